package daemon

import (
	"fmt"
	"runtime"
)

// verbsMemory adds memory/show.
func (s *Switch) verbsMemory(r Registrar) {
	r.Register("memory/show", "", 0, 0, s.reading(func([]string) (string, error) {
		ports, macs := 0, 0
		for _, b := range s.applier.Switch.Bridges {
			ports += len(b.Ifaces)
			macs += b.MACs.Len()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return fmt.Sprintf("bridges:%d flows:%d goroutines:%d heap-kB:%d macs:%d ports:%d",
			len(s.applier.Switch.Bridges), s.engine.Status().Flows, runtime.NumGoroutine(), m.HeapInuse/1024, macs, ports), nil
	}))
}
