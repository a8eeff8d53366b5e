package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/datapath/shape"
)

const mbit = 1000 * 1000

func (r *rig) shape(no flow.PortNo, c *shape.Config) {
	r.t.Helper()
	if err := r.SetShaper(no, c); err != nil {
		r.t.Fatal(err)
	}
}

// next waits for the next n frames that the port sends.
func (r *rig) next(no flow.PortNo, n int) (sent []dummy.Frame) {
	r.t.Helper()
	for range n {
		f, err := r.ports[no].Next(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		sent = append(sent, f)
	}
	if more := r.ports[no].Sent(); len(more) > 0 {
		r.t.Fatalf("port %d sent %d frames more than %d", no, len(more), n)
	}
	return sent
}

func TestShaperKeepsTheRate(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	// 8 Mbit/s are 1000 bytes a millisecond: a frame of 106 bytes takes 106 us.
	r.shape(2, &shape.Config{MTU: 106, Rate: 8 * mbit, Queues: []shape.Queue{{DSCP: -1}}})
	for range 50 {
		r.receive(1, icmp)
	}
	r.next(2, 2) // the burst, and one into debt
	stats := r.Shaping(2).Stats
	if len(stats) != 1 || stats[0].Waiting != 48 || stats[0].Packets != 2 || stats[0].Bytes != 212 {
		t.Errorf("%+v", stats)
	}
	r.clock.Warp(106*time.Microsecond, 0)
	r.next(2, 1)
	r.clock.Warp(10*106*time.Microsecond, 0)
	r.next(2, 10)
	// What waits is sent when the scheduler goes.
	r.shape(2, nil)
	r.next(2, 37)
	r.receive(1, icmp)
	r.next(2, 1)
	if r.Shaping(2) != nil {
		t.Error("there still is a scheduler")
	}
	r.drops(nil)
	if r.SetShaper(9, nil) == nil {
		t.Error("a port that is not there takes a scheduler")
	}
}

// TestQueues selects queues by action: each has its rate, and its DSCP for
// packets that were sent to it by name.
func TestQueues(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	r.shape(2, &shape.Config{Queues: []shape.Queue{{DSCP: 8}, {ID: 1, DSCP: 46}, {ID: 2, DSCP: -1}}})
	choose := func(queue uint32) action.Action { return action.SetPriority{Queue: queue} }
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		return 0, []action.Action{
			action.Output{Port: 2},
			choose(1), action.Output{Port: 2},
			choose(2), action.Output{Port: 2},
			choose(0), action.Output{Port: 2},
			choose(7), action.Output{Port: 2},
			action.Clone{Actions: []action.Action{choose(1), action.Output{Port: 2}}}, action.Output{Port: 2},
		}
	})
	marks := make(map[uint8]int)
	v6 := "in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=17,tclass=1,hlimit=64,frag=no),udp(src=1,dst=2)"
	r.receive(1, icmp, v6)
	for _, f := range r.next(2, 14) {
		b := f.Bytes[14:]
		if b[0]>>4 == 4 {
			if header.Checksum(b[:20], 0) != 0 {
				t.Errorf("bad checksum: % x", b[:20])
			}
			marks[header.IPv4(b).TOS()]++
		} else {
			marks[header.IPv6(b).Class()]++
		}
	}
	// Not selected, queue 2 and queue 7 (twice): 4; the default by name: 1; queue 1: 2. The ECN bits stay.
	for mark, n := range map[uint8]int{0: 4, 8 << 2: 1, 46 << 2: 2, 1: 4, 8<<2 | 1: 1, 46<<2 | 1: 2} {
		if marks[mark] != n {
			t.Errorf("%d packets with %#x, want %d: %v", marks[mark], mark, n, marks)
		}
	}
	stats := r.Shaping(2).Stats
	if stats[0].Packets != 8 || stats[1].Packets != 4 || stats[2].Packets != 2 {
		t.Errorf("%+v", stats)
	}
}

func TestShaperDrops(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	r.shape(2, &shape.Config{MTU: 106, Rate: 8000, Limit: 10})
	r.receive(1, icmp, icmp)
	r.next(2, 2)
	for range 18 {
		r.receive(1, icmp)
	}
	r.drops(map[drop.Reason]uint64{drop.QueueFull: 8})
	if s := r.PortDrops(1).Samples(); len(s) != 8 || s[0].Port != 1 || s[0].Out != 2 || s[0].Key.IPDst[3] != 2 || s[0].Len != 106 {
		t.Errorf("%+v", s)
	}
	if s, _ := r.PortStats(2); s.TxDropped != 8 {
		t.Errorf("%+v", s)
	}
	// Frames of the switch's own making do not wait.
	frame, err := flow.ComposeText(icmp)
	if err != nil {
		t.Fatal(err)
	}
	p := new(packet.Pool).From(frame)
	r.Execute(p, 0, to(2))
	r.next(2, 1)
	r.Execute(p, 1, to(2))
	r.drops(map[drop.Reason]uint64{drop.QueueFull: 9})
	// What cannot be sent when its time has come is told of, too.
	if err := r.ports[2].SetUp(false); err != nil {
		t.Fatal(err)
	}
	r.clock.Warp(2*time.Second, 0)
	told := func() bool {
		n := int(r.Drops().Total(drop.PortDown))
		return n > 0 && n+r.Shaping(2).Stats[0].Waiting == 10
	}
	for end := time.Now().Add(30 * time.Second); !told() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	for _, s := range r.DropSamples() {
		if s.Port != 1 || s.Out != 2 {
			t.Errorf("%+v", s)
		}
	}
	down := r.Drops().Total(drop.PortDown)
	if down == 0 {
		t.Error("frames for a port that is down left no trace")
	}
	// What waits for a port that goes is told of.
	if err := r.RemovePort(2); err != nil {
		t.Fatal(err)
	}
	r.drops(map[drop.Reason]uint64{drop.QueueFull: 9, drop.PortDown: down, drop.NoPort: 10 - down})
}

// TestShaperCutsSegments says that a large segment is cut where it would keep
// the port busy for long, and travels whole where it does not.
func TestShaperCutsSegments(t *testing.T) {
	r := newRig(t, 1, Options{}, dummy.Options{})
	r.add(2, dummy.Options{Offloads: port.Offloads{Csum: true, TSO4: true}})
	send := func() {
		if err := r.ports[1].ReceivePacket(segment(t, 10000, 1000)); err != nil {
			t.Fatal(err)
		}
		r.wait(1)
	}
	r.shape(2, &shape.Config{Rate: 1000 * mbit})
	send()
	if sent := r.next(2, 1); sent[0].Offload.GSO != packet.GSOTCPv4 {
		t.Errorf("%+v", sent[0].Offload)
	}
	if s := r.Shaping(2).Stats; s[0].Bytes != 10540 || s[0].Packets != 1 {
		t.Errorf("%+v, want the bytes of 10 frames", s)
	}
	r.shape(2, &shape.Config{Rate: 8 * mbit, MTU: 20000})
	send()
	for _, f := range r.next(2, 10) {
		if len(f.Bytes) != 1054 || !valid(f.Bytes) {
			t.Errorf("%d bytes, %+v", len(f.Bytes), f.Offload)
		}
	}
	r.drops(nil)
}

// TestShaperAndFlowCache says that what leaves by a port with a scheduler is
// not forwarded in front of the engine.
func TestShaperAndFlowCache(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	c := new(fakeCache)
	r.SetFlowCache(c)
	c.expect(t, "attach 1", "attach 2", "attach 3")
	r.receive(1, icmp)
	r.receive(1, icmp)
	c.expect(t, "install 1:2")
	r.shape(2, &shape.Config{Rate: 8 * mbit})
	c.expect(t, "remove 1:2", "free 1:2")
	r.receive(1, icmp)
	r.receive(1, icmp)
	c.expect(t)
	r.shape(2, &shape.Config{Rate: 9 * mbit})
	c.expect(t)
	r.shape(2, nil)
	r.receive(1, icmp)
	c.expect(t, "install 1:2")
}

// A queueing is a port whose device does what a scheduler would.
type queueing struct {
	*dummy.Port
	mu     sync.Mutex
	err    error
	shaped *shape.Config
	passes bool
	queue  uint32
	sent   []string // by queue, and how many
}

func (q *queueing) Pass(on bool) error {
	q.passes = on
	return nil
}

func (q *queueing) Shape(c *shape.Config) error {
	if q.err != nil && c != nil {
		return q.err
	}
	q.shaped, q.passes = c, c != nil
	return nil
}

func (q *queueing) Shaped() []shape.Stats { return []shape.Stats{{Packets: 77}} }

func (q *queueing) Select(queue uint32) { q.queue = queue }

func (q *queueing) Send(b *packet.Batch) error {
	q.mu.Lock()
	q.sent = append(q.sent, fmt.Sprintf("%d:%d", q.queue, b.Len()))
	q.mu.Unlock()
	return q.Port.Send(b)
}

// TestShapingByDevice leaves it to the device where that can and nothing has
// to be done to packets: they go by the queues that were selected, and
// megaflows stay in the flow cache.
func TestShapingByDevice(t *testing.T) {
	r := newRig(t, 1, Options{}, dummy.Options{})
	p, err := dummy.New("p2", dummy.Options{Keep: 100})
	if err != nil {
		t.Fatal(err)
	}
	q := &queueing{Port: p}
	if err := r.AddPort(2, q); err != nil {
		t.Fatal(err)
	}
	c := new(fakeCache)
	r.SetFlowCache(c)
	r.receive(1, icmp)
	r.receive(1, icmp)
	c.expect(t, "attach 1", "attach 2", "install 1:2")
	gig := &shape.Config{Rate: 1000 * mbit, Queues: []shape.Queue{{DSCP: -1}, {ID: 3, DSCP: -1}}}
	r.shape(2, gig)
	c.expect(t, "refresh 2")
	if x := r.Shaping(2); !x.Device || x.Stats[0].Packets != 77 || q.shaped.Rate != gig.Rate || !q.passes {
		t.Errorf("%+v", x)
	}
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		choose := func(queue uint32) action.Action { return action.SetPriority{Queue: queue} }
		out := action.Output{Port: 2}
		return 0, []action.Action{out, out, choose(3), out, choose(9), out, choose(3), out, out, out}
	})
	r.Flush()
	q.sent = nil
	r.receive(1, icmp)
	q.mu.Lock()
	if want := []string{"0:2", "3:1", "0:1", "3:3"}; !slices.Equal(q.sent, want) {
		t.Errorf("sent by the queues %q, want %q", q.sent, want)
	}
	q.mu.Unlock()

	for _, test := range []struct {
		c    *shape.Config
		err  error
		want string // why the device does not
	}{
		{&shape.Config{Rate: 100 * mbit, Queues: []shape.Queue{{DSCP: -1}}}, nil, "large segments are cut at such rates"},
		{gig, nil, ""},
		{&shape.Config{Rate: 1000 * mbit, Queues: []shape.Queue{{DSCP: 46}}}, nil, "packets are marked"},
		{&shape.Config{Kind: shape.SFQ}, nil, "only linux-htb is asked of the kernel"},
		{gig, errors.New("not here"), "not here"},
		{&shape.Config{Kind: shape.External}, nil, ""},
	} {
		q.err = test.err
		r.shape(2, test.c)
		x := r.Shaping(2)
		if test.want == "" != x.Device || !x.Device && x.Why.Error() != test.want {
			t.Errorf("%+v, want %q", x, test.want)
		}
		if x.Device != q.passes || (q.shaped != nil) != (x.Device && x.Kind == shape.HTB) {
			t.Errorf("%+v: passes %v, shaped %v", x, q.passes, q.shaped)
		}
	}
	r.shape(2, nil)
	if q.passes || q.shaped != nil || r.Shaping(2) != nil {
		t.Error("the device does something, and nothing is wanted")
	}
	r.shape(1, gig)
	if x := r.Shaping(1); x.Device || x.Why == nil {
		t.Errorf("%+v of a port without a device", x)
	}
	r.shape(1, &shape.Config{Kind: shape.External})
	if r.Shaping(1) != nil {
		t.Error("a port without a device has one of somebody else")
	}
}

// TestShaperChanges changes what is in front of a port while packets flow, by
// the real clock: every packet is sent once, or counted as dropped.
func TestShaperChanges(t *testing.T) {
	e := New(Options{Translator: &table{decide: forward(2)}})
	defer e.Close()
	in, err := dummy.New("in", dummy.Options{Queue: 100})
	if err != nil {
		t.Fatal(err)
	}
	out, err := dummy.New("out", dummy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	q := &queueing{Port: out}
	for no, p := range []port.Port{in, q} {
		if err := e.AddPort(flow.PortNo(no+1), p); err != nil {
			t.Fatal(err)
		}
	}
	frame, err := flow.ComposeText(icmp)
	if err != nil {
		t.Fatal(err)
	}
	stop, pushed := make(chan struct{}), make(chan uint64)
	go func() {
		n := uint64(0)
		for {
			select {
			case <-stop:
				pushed <- n
				return
			default:
				if in.Receive(frame) == nil {
					n++
				} else {
					time.Sleep(100 * time.Microsecond)
				}
			}
		}
	}()
	slow := &shape.Config{Rate: 50 * mbit, Queues: []shape.Queue{{DSCP: -1}}}
	fast := &shape.Config{Rate: 1000 * mbit, Queues: []shape.Queue{{DSCP: -1}}}
	for n := range 60 {
		c := []*shape.Config{slow, nil, fast, slow, {Kind: shape.Netem, Latency: time.Millisecond}, {Kind: shape.External}, {Kind: shape.FQCoDel},
			{Kind: shape.Policer, Rate: 20 * mbit, Burst: 2000}, fast, nil}[n%10]
		if err := e.SetShaper(2, c); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Millisecond) // for packets of it
	}
	if err := e.SetShaper(2, nil); err != nil {
		t.Fatal(err)
	}
	close(stop)
	want := <-pushed
	if err := in.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	var dropped uint64
	for _, why := range drop.Reasons() {
		dropped += e.Drops().Total(why)
	}
	if sent := out.Stats().TxPackets; sent+dropped != want || sent == 0 {
		t.Errorf("of %d packets %d were sent and %d dropped", want, sent, dropped)
	}
}

func BenchmarkShaped(b *testing.B) {
	e := New(Options{Translator: &table{decide: forward(2)}})
	defer e.Close()
	in, _ := dummy.New("in", dummy.Options{})
	out, _ := dummy.New("out", dummy.Options{})
	if e.AddPort(1, in) != nil || e.AddPort(2, out) != nil || e.SetShaper(2, &shape.Config{Rate: 1e12}) != nil {
		b.Fatal("no ports")
	}
	frame, err := flow.ComposeText(icmp)
	if err != nil {
		b.Fatal(err)
	}
	var pool packet.Pool
	w := newWorker(e, e.member(1))
	batch := make([]*packet.Packet, packet.MaxBatch)
	for i := range batch {
		batch[i] = pool.From(frame)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += len(batch) {
		w.run(batch)
	}
}
