package apply_test

import (
	"fmt"
	"testing"

	"govs/vswitchd/desired"
	"govs/vswitchd/model/modeltest"
	"govs/vswitchd/plan"
)

// BenchmarkOnePort is what one more port costs on a bridge that has many:
// desired state and plan, without the device.
func BenchmarkOnePort(b *testing.B) {
	for _, ports := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(ports), func(b *testing.B) {
			w := &world{db: modeltest.New()}
			w.reset()
			for n := range ports {
				if err := w.db.Do(fmt.Sprint("port br0 p", n)); err != nil {
					b.Fatal(err)
				}
			}
			w.do("apply")
			if err := w.db.Do("port br0 another"); err != nil {
				b.Fatal(err)
			}
			rows := w.db.Snapshot()
			b.ReportAllocs()
			for b.Loop() {
				if steps := plan.Make(w.applier.Switch, desired.From(rows, desired.Options{})); len(steps) != 2 {
					b.Fatal(steps)
				}
			}
			w.applier.Close()
		})
	}
}
