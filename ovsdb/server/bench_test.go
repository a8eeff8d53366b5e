package server_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"govs/ovsdb/client"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
	"govs/ovsdb/storage/memory"
	"govs/schema/vswitch"
)

func bolt(b testing.TB) storage.Engine {
	b.Helper()
	path := filepath.Join(b.TempDir(), "conf.db")
	if err := file.Create(path, vswitch.JSON()); err != nil {
		b.Fatal(err)
	}
	e, err := file.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// addBridge is what add-br sends, more or less.
func addBridge(name string) []byte {
	return fmt.Appendf(nil, `["Open_vSwitch",{"op":"insert","table":"Bridge","uuid-name":"b","row":{"name":%[1]q,"ports":["named-uuid","p"]}},`+
		`{"op":"insert","table":"Port","uuid-name":"p","row":{"name":%[1]q,"interfaces":["named-uuid","i"]}},`+
		`{"op":"insert","table":"Interface","uuid-name":"i","row":{"name":%[1]q,"type":"internal"}},`+
		`{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["set",[["named-uuid","b"]]]]]}]`, name)
}

// BenchmarkTransact adds bridges through sockets: clients x requests that each
// has under way.
func BenchmarkTransact(b *testing.B) {
	for _, c := range []struct{ clients, deep int }{{1, 1}, {8, 8}, {16, 4}} {
		for _, kind := range []string{"memory", "bolt"} {
			b.Run(fmt.Sprintf("add-br/%s/%dx%d", kind, c.clients, c.deep), func(b *testing.B) {
				var e storage.Engine = memory.New(vswitch.JSON())
				if kind == "bolt" {
					e = bolt(b)
				}
				f := start(b, e)
				first, _ := f.dial(b)
				call(b, first, "transact", fmt.Sprintf(insertOVS, 0))
				var wg sync.WaitGroup
				next := make(chan int)
				for i := range c.clients * c.deep {
					if i%c.deep == 0 {
						first, _ = f.dial(b)
					}
					wg.Add(1)
					go func(c *client.Client) {
						defer wg.Done()
						for n := range next {
							res, err := c.Call(context.Background(), "transact", addBridge(fmt.Sprint("br", n)))
							if err != nil || strings.Contains(string(res), "error") {
								b.Errorf("%s, %v", res, err)
							}
						}
					}(first)
				}
				n := 0
				for b.Loop() {
					next <- n
					if n++; n%2000 == 0 { // so that the set of bridges stays of a size
						call(b, first, "transact", `["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"bridges":["set",[]]}}]`)
					}
				}
				close(next)
				wg.Wait()
				b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "txn/s")
			})
		}
	}
}

// BenchmarkInitialMonitor is the first reply of a monitor of 10,000 rows.
func BenchmarkInitialMonitor(b *testing.B) {
	f := startVswitch(b)
	c, _ := f.dial(b)
	const batch = 500
	for i := 0; i < 10000; i += batch {
		var ops strings.Builder
		ops.WriteString(`["Open_vSwitch"`)
		for j := range batch {
			fmt.Fprintf(&ops, `,{"op":"insert","table":"QoS","row":{"type":"linux-htb","external_ids":["map",[["iface-id","some-name-%d"],["attached-mac","00:11:22:33:44:55"]]]}}`, i+j)
		}
		call(b, c, "transact", ops.String()+"]")
	}
	for _, cold := range []bool{true, false} {
		name := "shared"
		if cold {
			name = "first"
		}
		b.Run(name, func(b *testing.B) {
			n := 0
			for b.Loop() {
				if cold { // a change, so that nothing is at hand
					b.StopTimer()
					call(b, c, "transact", `["Open_vSwitch",{"op":"insert","table":"QoS","row":{"type":"x"}}]`)
					b.StartTimer()
				}
				res := call(b, c, "monitor_cond", fmt.Sprintf(`["Open_vSwitch","%s%d",{"QoS":{}}]`, name, n))
				if len(res) < 1<<20 {
					b.Fatal(len(res))
				}
				b.StopTimer()
				call(b, c, "monitor_cancel", fmt.Sprintf(`["%s%d"]`, name, n))
				b.StartTimer()
				n++
			}
		})
	}
}
