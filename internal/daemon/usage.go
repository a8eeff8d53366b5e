package daemon

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"time"

	"govs/internal/coverage"
)

// This file has the verbs on memory and counters as every daemon has them. One
// that knows more registers its own in their place.

// Count adds counters to those of coverage/show: more returns a new map each time.
func (p *Process) Count(more func() map[string]uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count = append(p.count, more)
}

func (p *Process) counters() map[string]uint64 {
	p.mu.Lock()
	count := p.count
	p.mu.Unlock()
	all := map[string]uint64{"unixctl_received": p.Ctl.Received()}
	for _, more := range count {
		maps.Copy(all, more())
	}
	return all
}

// usage registers the verbs, and samples the counters until the daemon ends.
func (p *Process) usage() {
	p.Ctl.Register("memory/show", "", 0, 0, func(context.Context, []string) (string, error) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return fmt.Sprintf("goroutines:%d heap-kB:%d", runtime.NumGoroutine(), m.HeapInuse/1024), nil
	})
	log := coverage.NewLog(p.counters)
	log.Register(p.Ctl)
	go func() {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				log.Sample(now)
			case <-p.ctx.Done():
				return
			}
		}
	}()
}
