package ebpf

import (
	"fmt"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
)

// rule is a translator by a function. The mask it asks for is what the
// engine's megaflows have beside the fields that always count.
type rule func(*flow.Key) (flow.Fields, []action.Action)

func (r rule) Translate(req *engine.Request, res *engine.Result) {
	fields, actions := r(req.Key)
	res.Mask.Add(fields)
	res.Actions = append(res.Actions, actions...)
}

func out(ports ...flow.PortNo) (list []action.Action) {
	for _, p := range ports {
		list = append(list, action.Output{Port: p})
	}
	return list
}

// A world is an engine with ports 1 to n, "p1" to "pn", each with a host
// behind it in a namespace of its own.
type world struct {
	t     testing.TB
	sw    *porttest.NS
	hosts []*porttest.NS
	pool  *packet.Pool
	e     *engine.Engine
	cache *Cache
}

// newWorld makes one. The cache stands in front of the engine where cached is
// set.
func newWorld(t testing.TB, n int, cached bool, r rule) *world {
	t.Helper()
	w := &world{t: t, sw: porttest.NewNS(t), pool: new(packet.Pool)}
	w.start(cached, Options{}, r)
	if cached {
		w.cache.Commit()
	}
	for i := 1; i <= n; i++ {
		host := porttest.NewNS(t)
		w.hosts = append(w.hosts, host)
		w.sw.Veth(fmt.Sprint("p", i), host, "eth0")
		host.Addr("eth0", fmt.Sprintf("192.0.2.%d/24", i))
		w.open(i)
	}
	return w
}

// start makes the engine, and a cache that is not committed.
func (w *world) start(cached bool, o Options, r rule) {
	w.t.Helper()
	w.e = engine.New(engine.Options{Pool: w.pool, Translator: r, MaxIdle: time.Hour})
	w.cache = nil
	if cached {
		w.cache = newCache(w.t, o)
		w.e.SetFlowCache(w.cache)
	}
	e, c := w.e, w.cache
	w.t.Cleanup(func() {
		w.sw.Do(func() error { e.SetFlowCache(nil); return nil })
		e.Close()
		if c != nil {
			c.Close()
		}
	})
}

// newCache makes a cache, or skips the test.
func newCache(t testing.TB, o Options) *Cache {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (w *world) open(i int) {
	w.t.Helper()
	w.sw.Must(func() error {
		o := afpacket.Options{Pool: w.pool}
		if w.cache != nil {
			o.Guard = w.cache
		}
		p, err := afpacket.Open(fmt.Sprint("p", i), o)
		if err != nil {
			return err
		}
		return w.e.AddPort(flow.PortNo(i), port.Port(p))
	})
	if w.cache != nil {
		if err := w.e.Uncached(flow.PortNo(i)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// cross sends between ports 1 and 2 by Ethernet addresses.
func cross(k *flow.Key) (flow.Fields, []action.Action) {
	return flow.EthSrc | flow.EthDst, out(3 - k.InPort)
}

// TestTCP moves data at default offloads, and sees that the engine did not.
func TestTCP(t *testing.T) {
	w := newWorld(t, 2, true, cross)
	for _, args := range [][]string{{"-t", "1"}, {"-t", "1", "-P", "4", "-R"}} {
		bps := porttest.IPerf(t, w.hosts[0], w.hosts[1], "192.0.2.2", args...)
		t.Logf("iperf3 %v: %.2f Gbit/s", args, bps/1e9)
		if bps < 100e6 {
			t.Errorf("iperf3 %v: only %.0f bit/s", args, bps)
		}
	}
	w.e.Revalidate()
	st := w.e.Status()
	t.Logf("%+v", st)
	if st.Front < 1000 || st.Cached+st.Matched > st.Front/10 {
		t.Errorf("too little took the fast way: %+v", st)
	}
	s1, _ := w.e.PortStats(1)
	s2, _ := w.e.PortStats(2)
	t.Logf("%+v", s1)
	if s1.RxPackets != s2.TxPackets || s1.RxBytes != s2.TxBytes || s1.TxPackets != s2.RxPackets {
		t.Errorf("counters differ: %+v, %+v", s1, s2)
	}
}
