package command

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"govs/ovsdb/client"
)

// BenchmarkServers runs the same work against our server and against Debian's,
// both processes of their own with a database on disk, one after the other.
func BenchmarkServers(b *testing.B) {
	debs := debian(b)
	start := map[string]func(testing.TB) *running{
		"govs": func(t testing.TB) *running { return ours(t) },
		"C":    func(t testing.TB) *running { return theirs(t, debs) },
	}
	for _, clients := range []int{1, 16} {
		for _, durable := range []bool{false, true} {
			for _, who := range []string{"govs", "C"} {
				name := fmt.Sprintf("update/%d clients/%s", clients, who)
				if durable {
					name = fmt.Sprintf("durable update/%d clients/%s", clients, who)
				}
				b.Run(name, func(b *testing.B) { benchUpdate(b, start[who](b), clients, durable) })
			}
		}
	}
	for _, who := range []string{"govs", "C"} {
		b.Run("initial monitor of 10000 rows/"+who, func(b *testing.B) { benchInitial(b, start[who](b)) })
	}
}

func connect(b *testing.B, s *running) *client.Client {
	b.Helper()
	c, err := client.Dial(b.Context(), s.target(), client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return c
}

func transact(b *testing.B, c *client.Client, ops string) {
	b.Helper()
	res, err := c.Call(context.Background(), "transact", []byte(`["Open_vSwitch",`+ops+`]`))
	if err != nil || strings.Contains(string(res), `"error"`) {
		b.Errorf("%s, %v", res, err)
	}
}

// benchUpdate has each client update a row of its own, one after the other.
func benchUpdate(b *testing.B, s *running, clients int, durable bool) {
	commit := ""
	if durable {
		commit = `,{"op":"commit","durable":true}`
	}
	var wg sync.WaitGroup
	next := make(chan int)
	for i := range clients {
		c := connect(b, s)
		transact(b, c, fmt.Sprintf(`{"op":"insert","table":"QoS","row":{"type":"%d"}}`, i))
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := range next {
				transact(b, c, fmt.Sprintf(`{"op":"update","table":"QoS","where":[["type","==","%d"]],"row":{"external_ids":["map",[["n","%d"]]]}}%s`, i, n, commit))
			}
		}()
	}
	n := 0
	for b.Loop() {
		next <- n
		n++
	}
	close(next)
	wg.Wait()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "txn/s")
}

func benchInitial(b *testing.B, s *running) {
	c := connect(b, s)
	const batch = 500
	for i := 0; i < 10000; i += batch {
		ops := make([]string, batch)
		for j := range ops {
			ops[j] = fmt.Sprintf(`{"op":"insert","table":"QoS","row":{"type":"linux-htb","external_ids":["map",[["iface-id","some-name-%d"],["attached-mac","00:11:22:33:44:55"]]]}}`, i+j)
		}
		transact(b, c, strings.Join(ops, ","))
	}
	for b.Loop() {
		b.StopTimer()
		transact(b, c, `{"op":"insert","table":"QoS","row":{"type":"x"}}`) // nothing is at hand
		b.StartTimer()
		res, err := c.Call(b.Context(), "monitor_cond", []byte(`["Open_vSwitch","m",{"QoS":{}}]`))
		if err != nil || len(res) < 1<<20 {
			b.Fatal(len(res), err)
		}
		b.StopTimer()
		if _, err := c.Call(b.Context(), "monitor_cancel", []byte(`["m"]`)); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}
