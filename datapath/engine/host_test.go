package engine

import (
	"io"
	"net"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/meter"
	"govs/datapath/packet"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
)

const hostA, hostB = "192.0.2.1", "192.0.2.2"

// hosts are two namespaces behind an engine, ports 1 and 2.
func hosts(t testing.TB) (e *Engine, a, b *porttest.NS) {
	t.Helper()
	var sw *porttest.NS
	a, b, sw = porttest.NewNS(t), porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("pa", a, "eth0")
	sw.Veth("pb", b, "eth0")
	a.Addr("eth0", hostA+"/24")
	b.Addr("eth0", hostB+"/24")
	pool := new(packet.Pool)
	e = New(Options{Pool: pool, Translator: &table{decide: func(k *flow.Key) (flow.Fields, []action.Action) {
		return flow.EthSrc | flow.EthDst, to(3 - k.InPort)
	}}})
	t.Cleanup(func() { e.Close() })
	for no, name := range map[flow.PortNo]string{1: "pa", 2: "pb"} {
		sw.Must(func() error {
			p, err := afpacket.Open(name, afpacket.Options{Pool: pool})
			if err != nil {
				return err
			}
			return e.AddPort(no, p)
		})
	}
	return e, a, b
}

// transfer sends n bytes over TCP from a to b, and tells the time it took.
func transfer(t testing.TB, a, b *porttest.NS, n int64) time.Duration {
	t.Helper()
	var l net.Listener
	b.Must(func() (err error) {
		l, err = net.Listen("tcp4", hostB+":0")
		return err
	})
	defer l.Close()
	got := make(chan int64)
	go func() {
		defer close(got)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		sum, _ := io.Copy(io.Discard, c)
		got <- sum
	}()
	var c net.Conn
	a.Must(func() (err error) {
		c, err = net.DialTimeout("tcp4", l.Addr().String(), 5*time.Second)
		return err
	})
	c.SetDeadline(time.Now().Add(20 * time.Second))
	start := time.Now()
	buf := make([]byte, 128<<10)
	for left := n; left > 0; {
		m, err := c.Write(buf[:min(left, int64(len(buf)))])
		if err != nil {
			t.Fatal(err)
		}
		left -= int64(m)
	}
	c.Close()
	if sum := <-got; sum != n {
		t.Fatalf("%d bytes came, sent were %d", sum, n)
	}
	return time.Since(start)
}

func gbits(n int64, d time.Duration) float64 { return float64(n) * 8 / d.Seconds() / 1e9 }

// TCP at the hosts' default offloads, through the engine and through a policer.
func TestHostsTalk(t *testing.T) {
	e, a, b := hosts(t)
	const large = 100 << 20
	took := transfer(t, a, b, large)
	t.Logf("%.2f Gbit/s", gbits(large, took))
	var large32 bool
	for f := range e.Flows() {
		t.Log(flow.Format(&f.Key, &f.Mask, flow.Style{}), f.Stats(time.Now()), action.Format(f.Actions, nil))
		large32 = large32 || f.Bytes > large
	}
	if !large32 {
		t.Error("no megaflow carried the transfer")
	}
	for _, r := range []drop.Reason{drop.Segment, drop.Checksum, drop.Oversized, drop.NoPort, drop.UpcallError} {
		if n := e.Drops().Total(r); n != 0 {
			t.Errorf("%d drops for %s", n, r)
		}
	}
	if testing.Short() {
		return
	}
	// 10 Mbit/s with a burst of 1 Mbit.
	if err := e.SetPolicer(1, meter.New(meter.Config{RateKbps: 10000, BurstKb: 1000})); err != nil {
		t.Fatal(err)
	}
	const small = 2 << 20
	took = transfer(t, a, b, small)
	rate := gbits(small, took) * 1000
	t.Logf("policed: %.2f Mbit/s, %d frames dropped", rate, e.Drops().Total(drop.Policed))
	if rate > 16 || rate < 1 || e.Drops().Total(drop.Policed) == 0 {
		t.Errorf("%.2f Mbit/s through a policer of 10", rate)
	}
}

// Bytes a second over TCP between two hosts.
func BenchmarkHosts(b *testing.B) {
	_, x, y := hosts(b)
	const n = 500 << 20
	b.SetBytes(n)
	for b.Loop() {
		transfer(b, x, y, n)
	}
	b.ReportMetric(gbits(int64(b.N)*n, b.Elapsed()), "Gbit/s")
}
