package ebpf

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/afpacket"
	"govs/datapath/port/porttest"
	"govs/datapath/port/tap"
)

// A stream is numbered frames from one host to another, without a host's
// stack: what is lost and what comes twice is counted.
type stream struct {
	t    *testing.T
	from port.Port
	to   port.Port
	pool packet.Pool

	sent uint32
	mu   sync.Mutex
	got  map[uint32]int
	came chan struct{}
	last time.Time     // when a frame came
	gap  time.Duration // the longest time without
}

// streamType is the EtherType of a stream's frames (local experiments).
const streamType = 0x88b5

func newStream(t *testing.T, from, to *porttest.NS) *stream {
	t.Helper()
	s := &stream{t: t, got: make(map[uint32]int), came: make(chan struct{}, 1)}
	for _, end := range []struct {
		ns *porttest.NS
		to *port.Port
	}{{from, &s.from}, {to, &s.to}} {
		end.ns.Must(func() error {
			p, err := afpacket.Open("eth0", afpacket.Options{Pool: &s.pool, KeepHost: true})
			*end.to = p
			return err
		})
		t.Cleanup(func() { (*end.to).Close() })
	}
	go func() {
		var b packet.Batch
		for {
			b.Reset()
			if err := s.to.Recv(&b); err != nil {
				return
			}
			s.mu.Lock()
			now := time.Now()
			if !s.last.IsZero() {
				s.gap = max(s.gap, now.Sub(s.last))
			}
			s.last = now
			for _, p := range b.Packets {
				if f := p.Bytes(); len(f) >= 60 && be.Uint16(f[12:]) == streamType {
					s.got[be.Uint32(f[14:])]++
				}
				p.Free()
			}
			s.mu.Unlock()
			select {
			case s.came <- struct{}{}:
			default:
			}
		}
	}()
	return s
}

// send sends n frames, with a moment between them.
func (s *stream) send(n int) {
	s.t.Helper()
	f := make([]byte, 60)
	copy(f, []byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1})
	be.PutUint16(f[12:], streamType)
	for range n {
		be.PutUint32(f[14:], s.sent)
		s.sent++
		p := s.pool.From(f)
		err := s.from.Send(&packet.Batch{Packets: []*packet.Packet{p}})
		p.Free()
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(200 * time.Microsecond)
	}
}

// run sends until the function that it returns is called.
func (s *stream) run() (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
				s.send(1)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// arrive sends a frame until one comes.
func (s *stream) arrive() {
	s.t.Helper()
	for range 500 {
		s.mu.Lock()
		before := len(s.got)
		s.mu.Unlock()
		s.send(1)
		select {
		case <-s.came:
		case <-time.After(10 * time.Millisecond):
		}
		s.mu.Lock()
		now := len(s.got)
		s.mu.Unlock()
		if now > before {
			return
		}
	}
	s.t.Fatal("nothing comes through")
}

// count waits for the last frames and tells how many were lost, and how many
// came more than once.
func (s *stream) count() (lost, twice int) {
	for last := -1; ; {
		select {
		case <-s.came:
		case <-time.After(200 * time.Millisecond):
		}
		s.mu.Lock()
		n := len(s.got)
		s.mu.Unlock()
		if n == last || n == int(s.sent) {
			break
		}
		last = n
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.got {
		twice += n - 1
	}
	return int(s.sent) - len(s.got), twice
}

// TestComeAndGo has other ports come and go, and the cache itself, while two
// hosts talk.
func TestComeAndGo(t *testing.T) {
	w := newWorld(t, 2, true, cross)
	s := newStream(t, w.hosts[0], w.hosts[1])
	s.arrive()
	w.hosts = append(w.hosts, porttest.NewNS(t))
	stop := s.run()
	for range 5 {
		w.sw.Veth("p3", w.hosts[2], "eth0")
		w.open(3)
		if err := w.e.RemovePort(3); err != nil {
			t.Error(err)
		}
		w.sw.Must(func() error { return exec.Command("ip", "link", "del", "p3").Run() })
	}
	stop()
	lost, twice := s.count()
	t.Logf("%d frames, %d lost, %d twice", s.sent, lost, twice)
	if lost > 0 || twice > 0 {
		t.Errorf("other ports came and went: %d of %d frames lost, %d twice", lost, s.sent, twice)
	}

	stop = s.run()
	for range 3 {
		w.sw.Must(func() error {
			w.e.SetFlowCache(nil)
			if err := w.e.Uncached(1); err == nil {
				return errors.New("port 1 is cached without a cache")
			}
			w.e.SetFlowCache(w.cache)
			return w.e.Uncached(1)
		})
	}
	stop()
	lost2, twice := s.count()
	t.Logf("%d frames, %d lost, %d twice", s.sent, lost2, twice)
	if lost2-lost > int(s.sent)/10 || twice > 0 {
		t.Errorf("the cache came and went: %d of %d frames lost, %d twice", lost2, s.sent, twice)
	}
	st, _ := w.e.PortStats(1)
	if n := st.RxPackets; int(n) < int(s.sent)-lost2 {
		t.Errorf("rx_packets is %d, sent were %d", n, s.sent)
	}

	// The port itself goes and comes back.
	if err := w.e.RemovePort(2); err != nil {
		t.Fatal(err)
	}
	w.open(2)
	s.arrive()
	w.e.Revalidate()
	before := w.e.Status().Front
	s.send(20)
	w.e.Revalidate()
	if n := w.e.Status().Front - before; n < 10 {
		t.Errorf("%d of 20 frames took the fast way after the port came back", n)
	}
}

// bpffs mounts a BPF file system for the time of the test.
func bpffs(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, ""); err != nil {
		t.Skip("needs the privilege to mount a BPF file system: ", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return filepath.Join(dir, "govs", "test")
}

// TestRestart ends the process's part, as often as it likes: what was pinned
// goes on, and the next one takes over.
func TestRestart(t *testing.T) {
	o := Options{Pins: bpffs(t)}
	w := newWorld(t, 2, false, cross) // namespaces and ports; then the life with the cache
	for no := range 2 {
		w.e.RemovePort(flow.PortNo(no + 1))
	}
	s := newStream(t, w.hosts[0], w.hosts[1])
	var stop func()
	for life := range 3 {
		w.start(true, o, cross)
		if !w.cache.Pinned() {
			t.Fatal("not pinned")
		}
		w.open(1)
		w.open(2)
		w.cache.Commit()
		if stop == nil {
			s.arrive()
			stop = s.run()
		} else {
			s.mu.Lock()
			n := len(s.got)
			s.mu.Unlock()
			t.Logf("life %d: %d frames so far", life, n)
		}
		for range 1000 { // until the flow is in the maps
			if w.cache.Summary().Flows > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		w.cache.Keep()
		w.sw.Must(func() error { w.e.Close(); w.cache.Close(); return nil })
		if pins, _ := os.ReadDir(o.Pins); len(pins) != 2 {
			t.Fatalf("pinned: %v", pins)
		}
	}
	stop()
	lost, twice := s.count()
	t.Logf("%d frames over two restarts, %d lost, %d twice; the longest time without a frame was %v", s.sent, lost, twice, s.gap)
	if lost > int(s.sent)/20 || twice > 0 {
		t.Errorf("%d of %d frames lost, %d twice", lost, s.sent, twice)
	}

	// Another life, in which only port 1 is left: nothing of port 2's remains.
	w.start(true, o, cross)
	w.open(1)
	w.cache.Commit()
	pins, _ := os.ReadDir(o.Pins)
	if len(pins) != 1 {
		t.Errorf("pinned: %v", pins)
	}
	w.sw.Must(func() error { w.e.Close(); w.cache.Close(); return nil })
	if _, err := os.Stat(o.Pins); err == nil {
		t.Error("something is left after the end")
	}
}

// TestLease lets flows go when nobody looks after them any more.
func TestLease(t *testing.T) {
	c := bench(t, 0)
	f := make([]byte, 60)
	be.PutUint16(f[12:], streamType)
	k := flow.Key{InPort: 1, EthType: streamType}
	var m flow.Mask
	m.Add(flow.InPort | flow.RecircID | flow.EthType | flow.VLANTPID | flow.VLANHas | flow.CVLANTPID | flow.CVLANHas)
	if c.Install(&k, &m, out(2)) == nil {
		t.Fatal("not taken")
	}
	if ret, _ := run(t, c, f); ret != tcxRedirect {
		t.Fatal(ret)
	}
	c.conf.u64(0, coUntil).Store(uint64(monotonic() - time.Second))
	if ret, _ := run(t, c, f); ret == tcxRedirect {
		t.Error("forwards after the lease")
	}
	c.beat()
	if ret, _ := run(t, c, f); ret != tcxRedirect {
		t.Error("does not forward again")
	}
}

// TestChange has ports that go down, and whose MTU shrinks: packets to them
// are the engine's then.
func TestChange(t *testing.T) {
	c := bench(t, 1500)
	f := make([]byte, 1514)
	be.PutUint16(f[12:], streamType)
	k := flow.Key{InPort: 1, EthType: streamType}
	var m flow.Mask
	m.Add(flow.InPort | flow.RecircID | flow.EthType | flow.VLANTPID | flow.VLANHas | flow.CVLANTPID | flow.CVLANHas)
	often, seldom := action.Show{Probability: mostShown + 1, Cookie: action.SFlow{}, To: new(taker)}, action.Show{Probability: mostShown, Cookie: action.SFlow{}, To: new(taker)}
	for _, list := range [][]action.Action{{often, action.Output{Port: 2}}, {seldom, action.Drop{}}, {action.Output{Port: 2}, seldom}, {seldom, action.Output{Port: 77}}} {
		if c.Install(&k, &m, list) != nil {
			t.Errorf("takes %v", list)
		}
	}
	if s := c.Install(&k, &m, []action.Action{seldom, action.Output{Port: 2}}); s == nil || len(c.shows) != 1 {
		t.Errorf("a sample is not taken, %d are known", len(c.shows))
	} else {
		s.Remove()
		s.Free()
	}
	if len(c.shows) != 0 || len(c.showAt) != 0 {
		t.Errorf("%d samples are known to the end", len(c.shows))
	}
	e := c.Install(&k, &m, []action.Action{action.PushVLAN{Tag: flow.VLAN{TCI: 5 | flow.VLANPresent}}, action.Output{Port: 2}})
	if e == nil {
		t.Fatal("not taken")
	}
	hit := func() bool { ret, _ := run(t, c, f); return ret == tcxRedirect }
	if !hit() {
		t.Error("a packet that fits is not sent")
	}
	p := c.members[2].port.(*fake)
	p.mtu = 1499
	c.members[2].Refresh()
	if hit() {
		t.Error("a packet that does not fit is sent")
	}
	p.mtu = 9000
	c.members[2].Refresh()
	if !hit() {
		t.Error("a packet that fits again is not sent")
	}
	p.down = true
	c.members[2].Refresh()
	if hit() {
		t.Error("a packet is sent to a port that is down")
	}
	p.down = false
	c.members[2].Refresh()
	if !hit() {
		t.Error("a packet is not sent to a port that is up again")
	}
	// Its place is kept until the last list that knows it is gone.
	m2 := c.members[2]
	m2.Detach()
	if hit() {
		t.Error("a packet is sent to a port that is gone")
	}
	if m2.at == noPlace {
		t.Error("the place of a port was given back too early")
	}
	e.Remove()
	e.Free()
	if m2.at != noPlace {
		t.Error("the place of a port was not given back")
	}
}

// TestInternal is a host behind a TAP device of the switch that talks with one
// behind a veth pair, both ways in the kernel.
func TestInternal(t *testing.T) {
	w := newWorld(t, 1, true, func(k *flow.Key) (flow.Fields, []action.Action) {
		return flow.EthSrc | flow.EthDst, out(3 - k.InPort)
	})
	var inside *tap.Port
	w.sw.Must(func() (err error) {
		inside, err = tap.Open("br0", tap.Options{Pool: w.pool, Up: true})
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err == nil {
			err = w.e.AddPort(2, inside)
		}
		return err
	})
	if inside == nil {
		t.Skip("the kernel has no TAP devices")
	}
	if err := w.e.Uncached(2); err != nil {
		t.Fatal(err)
	}
	w.sw.Addr("br0", "192.0.2.2/24")
	for _, args := range [][]string{{"-t", "1"}, {"-t", "1", "-R"}} {
		bps := porttest.IPerf(t, w.hosts[0], w.sw, "192.0.2.2", args...)
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
}

// TestPeer moves the other end of a port to another namespace and back: what
// reaches it there must not be used here.
func TestPeer(t *testing.T) {
	w := newWorld(t, 1, true, cross)
	ns := porttest.NewNS(t)
	w.hosts = append(w.hosts, ns)
	w.sw.Veth("p2", w.sw, "eth0")
	w.open(2)
	cp := func() uint32 { w.cache.mu.Lock(); defer w.cache.mu.Unlock(); return w.cache.members[2].kind }
	refresh := func() { w.sw.Must(func() error { w.e.RefreshPorts(func(port.Port) bool { return true }); return nil }) }
	if k := cp(); k != outDevice {
		t.Errorf("kind %d with the peer at home", k)
	}
	if err := w.sw.Move("eth0", ns); err != nil {
		t.Fatal(err)
	}
	ns.Up("eth0")
	refresh()
	if k := cp(); k != outPeer {
		t.Errorf("kind %d with the peer away", k)
	}
	s := newStream(t, w.hosts[0], ns)
	s.arrive()
	s.send(100)
	if lost, twice := s.count(); lost > 10 || twice > 0 {
		t.Errorf("%d lost, %d twice", lost, twice)
	}
	if err := ns.Move("eth0", w.sw); err != nil {
		t.Fatal(err)
	}
	w.sw.Up("eth0")
	refresh()
	if k := cp(); k != outDevice {
		t.Errorf("kind %d with the peer back at home", k)
	}
	s = newStream(t, w.hosts[0], w.sw)
	s.arrive()
	s.send(100)
	if lost, twice := s.count(); lost > 10 || twice > 0 {
		t.Errorf("%d lost, %d twice", lost, twice)
	}
	w.e.Revalidate()
	if n := w.e.Status().Front; n < 150 {
		t.Errorf("%d packets took the fast way", n)
	}
}

// TestSamples drops in the kernel. Some of the packets come to the engine all
// the same, which has samples of them; none counts twice.
func TestSamples(t *testing.T) {
	w := newWorld(t, 2, true, func(*flow.Key) (flow.Fields, []action.Action) {
		return flow.EthSrc, []action.Action{action.Drop{Reason: drop.BadVLAN}}
	})
	s := newStream(t, w.hosts[0], w.hosts[1])
	for total := uint64(0); total < 10; {
		s.send(10)
		total = w.e.Drops().Total(drop.BadVLAN)
	}
	s.send(1000)
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		w.e.Revalidate()
		n := w.e.Drops().Total(drop.BadVLAN)
		if n == uint64(s.sent) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d frames count as dropped", n, s.sent)
		}
	}
	st := w.e.Status()
	if st.Front < 900 || st.Front == uint64(s.sent) {
		t.Errorf("%d of %d frames were dropped in the kernel", st.Front, s.sent)
	}
}
