package afpacket

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/datapath/meter"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/porttest"
)

// The hosts' addresses.
const (
	hostA = "192.0.2.1"
	hostB = "192.0.2.2"
)

// A wire is the smallest switch there is: two hosts, a port to each, and a
// loop each way, with a policer on what the first host sends.
type wire struct {
	t        testing.TB
	a, b, sw *porttest.NS
	pa, pb   *Port
	police   *meter.Policer // nil for none
	pool     packet.Pool
	wg       sync.WaitGroup
}

// newWire makes one. edit changes what comes from the first host, and from the
// second.
func newWire(t testing.TB, police *meter.Policer, edit ...func(*packet.Packet)) *wire {
	edit = append(edit, nil, nil)
	w := &wire{t: t, police: police}
	w.a, w.b, w.sw = porttest.NewNS(t), porttest.NewNS(t), porttest.NewNS(t)
	w.sw.Veth("pa", w.a, "eth0")
	w.sw.Veth("pb", w.b, "eth0")
	w.a.Addr("eth0", hostA+"/24")
	w.b.Addr("eth0", hostB+"/24")
	w.pa = open(t, w.sw, "pa", Options{Pool: &w.pool})
	w.pb = open(t, w.sw, "pb", Options{Pool: &w.pool})
	w.wg.Add(2)
	go w.forward(w.pa, w.pb, police, edit[0])
	go w.forward(w.pb, w.pa, nil, edit[1])
	t.Cleanup(func() {
		w.pa.Close()
		w.pb.Close()
		w.wg.Wait()
	})
	return w
}

// forward takes packets from one port to the other until one is closed. edit,
// where it is not nil, changes each.
func (w *wire) forward(in, out port.Port, police *meter.Policer, edit func(*packet.Packet)) {
	defer w.wg.Done()
	var b, kept packet.Batch
	for {
		b.Reset()
		if err := in.Recv(&b); errors.Is(err, port.ErrClosed) || errors.Is(err, port.ErrGone) {
			return
		}
		if police != nil {
			w.admit(&b, &kept)
		}
		if edit != nil {
			for _, p := range b.Packets {
				edit(p)
			}
		}
		if err := out.Send(&b); errors.Is(err, port.ErrClosed) {
			b.FreeAll()
			return
		}
		b.FreeAll()
	}
}

// admit leaves in the batch what the policer lets through.
func (w *wire) admit(b, kept *packet.Batch) {
	kept.Reset()
	now := time.Now()
	for _, p := range b.Packets {
		if p.Offload.GSO == packet.GSONone {
			if w.police.Admit(p.Len(), now) {
				kept.Add(p)
			} else {
				p.Free()
			}
			continue
		}
		var cut packet.Batch
		if err := packet.Segment(p, &w.pool, &cut); err != nil {
			w.t.Errorf("segment: %v", err)
		}
		p.Free()
		for _, s := range cut.Packets {
			if w.police.Admit(s.Len(), now) {
				kept.Add(s)
			} else {
				s.Free()
			}
		}
	}
	b.Packets, kept.Packets = kept.Packets, b.Packets
}

// iperf runs iperf3 from the first host to the second.
func (w *wire) iperf(addr string, args ...string) (bps float64) {
	w.t.Helper()
	return porttest.IPerf(w.t, w.a, w.b, addr, args...)
}

// short is the time that iperf3 runs in a test; GOVS_IPERF_SECONDS makes it
// longer for measurements.
func short() string {
	if s := os.Getenv("GOVS_IPERF_SECONDS"); s != "" {
		return s
	}
	return "1"
}

func (w *wire) ping(addr string) {
	w.t.Helper()
	if _, err := exec.LookPath("ping"); err != nil {
		w.t.Skip("needs ping")
	}
	if out, err := w.a.Run("ping", "-c", "3", "-i", "0.01", "-W", "2", addr); err != nil {
		w.t.Fatalf("%v\n%s", err, out)
	}
}

// tcp runs iperf3 at default offload settings, once for each list of options.
func (w *wire) tcp(addr string, runs ...[]string) {
	w.t.Helper()
	for _, args := range runs {
		bps := w.iperf(addr, append(args, "-t", short())...)
		w.t.Logf("iperf3 %v to %s: %.2f Gbit/s", args, addr, bps/1e9)
		// Where offloads are lost only retransmissions arrive, a segment for each
		// timeout. A busy machine is slow, but not as slow as that.
		if bps < 1e6 {
			w.t.Errorf("iperf3 %v to %s: only %.0f bit/s", args, addr, bps)
		}
	}
	for _, p := range []*Port{w.pa, w.pb} {
		if s := p.Stats(); s.TxErrors+s.RxErrors+s.RxFrameErr+s.RxOverErr != 0 {
			w.t.Errorf("%s: %+v", p.Name(), s)
		}
	}
}

func TestForward(t *testing.T) {
	w := newWire(t, nil)
	w.ping(hostB)
	w.tcp(hostB, nil, []string{"-R"}, []string{"-P", "4"})
}

// TestTrunk has two switches between the hosts: one pushes tags, the trunk
// between them carries tagged large segments whole, the other pops them.
func TestTrunk(t *testing.T) {
	for _, tags := range [][]uint16{{0x8100}, {0x8100, 0x88a8}} {
		w := &wire{t: t}
		w.a, w.b, w.sw = porttest.NewNS(t), porttest.NewNS(t), porttest.NewNS(t)
		sw2 := porttest.NewNS(t)
		w.sw.Veth("pa", w.a, "eth0")
		sw2.Veth("pb", w.b, "eth0")
		w.sw.Veth("trunk", sw2, "trunk")
		w.a.Addr("eth0", hostA+"/24")
		w.b.Addr("eth0", hostB+"/24")
		w.pa = open(t, w.sw, "pa", Options{Pool: &w.pool})
		w.pb = open(t, sw2, "pb", Options{Pool: &w.pool})
		t1 := open(t, w.sw, "trunk", Options{Pool: &w.pool})
		t2 := open(t, sw2, "trunk", Options{Pool: &w.pool})
		if len(tags) > 1 {
			// Devices make room for one tag beyond their MTU, and only for 802.1Q.
			for _, p := range []*Port{t1, t2} {
				if err := p.SetMTU(1508); err != nil {
					t.Fatal(err)
				}
			}
		}
		push := func(p *packet.Packet) {
			for _, tpid := range tags {
				pushTag(p, tpid, 10)
			}
		}
		pop := func(p *packet.Packet) {
			for i := range tags {
				f := p.Bytes()
				if tpid := uint16(f[12])<<8 | uint16(f[13]); tpid != tags[len(tags)-1-i] {
					t.Errorf("tag %d came as % x", i, f[12:16])
				}
				copy(f[4:16], f[:12])
				p.Pull(4)
			}
		}
		w.wg.Add(4)
		go w.forward(w.pa, t1, nil, push)
		go w.forward(t1, w.pa, nil, pop)
		go w.forward(w.pb, t2, nil, push)
		go w.forward(t2, w.pb, nil, pop)
		w.ping(hostB)
		w.tcp(hostB, nil)
		for _, p := range []*Port{w.pa, w.pb, t1, t2} {
			if s := p.Stats(); s.TxErrors+s.RxErrors != 0 {
				t.Errorf("%s: %+v", p.Name(), s)
			}
			p.Close()
		}
		w.wg.Wait()
	}
}

// TestHostSilent checks that the host around the switch does not answer what
// arrives at a port, and answers again after the port is closed.
func TestHostSilent(t *testing.T) {
	sw, host := porttest.NewNS(t), porttest.NewNS(t)
	sw.Veth("p0", host, "eth0")
	sw.Addr("p0", "192.0.2.2/24")
	host.Addr("eth0", "192.0.2.1/24")
	if _, err := exec.LookPath("ping"); err != nil {
		t.Skip("needs ping")
	}
	ping := func() error {
		_, err := host.Run("ping", "-c", "1", "-W", "1", "192.0.2.2")
		return err
	}
	if err := ping(); err != nil {
		t.Fatal(err)
	}
	p := open(t, sw, "p0", Options{})
	if err := p.HostSees(); err != nil {
		t.Skip(err)
	}
	if ping() == nil {
		t.Error("the host answers on a port of the switch")
	}
	if n := p.Stats().RxPackets; n != 0 {
		t.Errorf("%d packets were received before Recv", n)
	}
	p.Close()
	if err := ping(); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

// TestPolice holds TCP and UDP to what ingress_policing_rate=1000 and
// ingress_policing_burst=100 promise, and ten times that. On an idle machine
// TCP gets 0.95 Mbit/s of the one; the bounds leave room for a busy one.
func TestPolice(t *testing.T) {
	seconds := "4"
	if s := os.Getenv("GOVS_IPERF_SECONDS"); s != "" {
		seconds = s
	}
	for _, run := range []struct {
		name     string
		rate     uint64
		args     []string
		min, max float64
	}{
		{"tcp", 1000, nil, 0.4, 1.3},
		{"tcp-4", 1000, []string{"-P", "4"}, 0.3, 1.3},
		{"udp", 1000, []string{"-u", "-b", "5M"}, 0.5, 1.3},
		{"tcp-fast", 10_000, nil, 2, 13},
	} {
		t.Run(run.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t, meter.New(meter.Config{RateKbps: run.rate, BurstKb: 100}))
			// Never more; less than the least only where the machine is too busy to send.
			for try := 1; ; try++ {
				mbps := w.iperf(hostB, append(run.args, "-t", seconds)...) / 1e6
				t.Logf("%.3f Mbit/s", mbps)
				if mbps > run.max || mbps < run.min && try == 3 {
					t.Errorf("%.3f Mbit/s, want %.2f to %.2f", mbps, run.min, run.max)
				}
				if mbps >= run.min || try == 3 {
					return
				}
			}
		})
	}
}

// BenchmarkForward moves frames of 60 bytes from one host to the other and
// counts those that came.
func BenchmarkForward(b *testing.B) {
	w := newWire(b, nil)
	gen := open(b, w.a, "eth0", Options{Pool: &w.pool, KeepHost: true})
	var out packet.Batch
	for range packet.MaxBatch {
		p := w.pool.Get(60)
		p.SetLen(60)
		copy(p.Bytes(), []byte{2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 1, 0x88, 0xb5})
		out.Add(p)
	}
	start := time.Now()
	before := w.pb.Stats()
	for b.Loop() {
		if err := gen.Send(&out); err != nil {
			b.Fatal(err)
		}
	}
	took := time.Since(start)
	after := w.pb.Stats()
	in := w.pa.Stats()
	b.ReportMetric(float64(after.TxPackets-before.TxPackets)/took.Seconds()/1000, "kpps")
	b.ReportMetric(float64(gen.Stats().TxPackets)/took.Seconds()/1000, "offered-kpps")
	b.ReportMetric(float64(in.RxDropped), "dropped")
}

// BenchmarkRTT sends one UDP datagram after the other to and fro.
func BenchmarkRTT(b *testing.B) {
	w := newWire(b, nil)
	var echo, conn *net.UDPConn
	w.b.Must(func() (err error) {
		echo, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(hostB)})
		return err
	})
	defer echo.Close()
	w.a.Must(func() (err error) {
		conn, err = net.DialUDP("udp4", nil, echo.LocalAddr().(*net.UDPAddr))
		return err
	})
	defer conn.Close()
	// Blocking sockets, so that it is the switch's latency that counts.
	in, err := echo.File()
	if err != nil {
		b.Fatal(err)
	}
	out, err := conn.File()
	if err != nil {
		b.Fatal(err)
	}
	in.Fd() // makes them blocking
	out.Fd()
	go func() {
		buf := make([]byte, 100)
		for {
			n, from, err := unix.Recvfrom(int(in.Fd()), buf, 0)
			if err != nil || n == 0 {
				return
			}
			if unix.Sendto(int(in.Fd()), buf[:n], 0, from) != nil {
				return
			}
		}
	}()
	defer unix.Shutdown(int(in.Fd()), unix.SHUT_RDWR)
	buf := make([]byte, 64)
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := unix.Write(int(out.Fd()), buf); err != nil {
			b.Fatal(err)
		}
		if _, err := unix.Read(int(out.Fd()), buf); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Nanoseconds())/1000, "p50-us")
	b.ReportMetric(float64(times[len(times)*99/100].Nanoseconds())/1000, "p99-us")
}
