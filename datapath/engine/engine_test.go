package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/internal/clock"
)

// A table is a translator for tests: a function of the key that names the
// fields it looked at, and counters of the traffic that was credited.
type table struct {
	mu       sync.Mutex
	decide   func(k *flow.Key) (flow.Fields, []action.Action)
	asked    int
	credited Traffic
	no       bool // answers are not to be cached
}

func (t *table) Translate(req *Request, res *Result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked++
	fields, actions := t.decide(req.Key)
	res.Mask.Add(fields)
	res.Actions = append(res.Actions, actions...)
	res.Credit = append(res.Credit, t)
	res.Uncacheable = t.no
}

func (t *table) Credit(_ *flow.Key, n Traffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.credited.Packets += n.Packets
	t.credited.Bytes += n.Bytes
	t.credited.TCPFlags |= n.TCPFlags
	t.credited.Last = n.Last
	if t.credited.First.IsZero() {
		t.credited.First = n.First
	}
}

func (t *table) set(decide func(k *flow.Key) (flow.Fields, []action.Action)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.decide = decide
}

func to(ports ...flow.PortNo) []action.Action {
	var list []action.Action
	for _, no := range ports {
		list = append(list, action.Output{Port: no})
	}
	return list
}

// always to the same ports, by destination.
func forward(ports ...flow.PortNo) func(*flow.Key) (flow.Fields, []action.Action) {
	return func(*flow.Key) (flow.Fields, []action.Action) { return flow.EthDst, to(ports...) }
}

// A rig is an engine with dummy ports numbered from 1.
type rig struct {
	*Engine
	t     *testing.T
	clock *clock.Dummy
	table *table
	ports []*dummy.Port // ports[0] is nil
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newRig(t *testing.T, n int, o Options, po dummy.Options) *rig {
	t.Helper()
	r := &rig{t: t, clock: clock.NewStopped(epoch), table: &table{decide: forward(2)}, ports: make([]*dummy.Port, 1)}
	o.Translator, o.Clock = r.table, r.clock
	r.Engine = New(o)
	t.Cleanup(func() { r.Close() })
	for no := 1; no <= n; no++ {
		r.add(flow.PortNo(no), po)
	}
	return r
}

func (r *rig) add(no flow.PortNo, o dummy.Options) *dummy.Port {
	r.t.Helper()
	o.Keep = 1000
	p, err := dummy.New(fmt.Sprintf("p%d", no), o)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.AddPort(no, p); err != nil {
		r.t.Fatal(err)
	}
	r.ports = append(r.ports, p)
	return p
}

// receive hands frames to a port and waits until they went through.
func (r *rig) receive(no int, frames ...string) {
	r.t.Helper()
	for _, text := range frames {
		frame, err := flow.ComposeText(text)
		if err != nil {
			r.t.Fatal(err)
		}
		if err := r.ports[no].Receive(frame); err != nil {
			r.t.Fatal(err)
		}
	}
	r.wait(no)
}

func (r *rig) wait(no int) {
	r.t.Helper()
	if err := r.ports[no].Wait(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
}

// sent is how many frames left each port.
func (r *rig) sent() []int {
	var n []int
	for _, p := range r.ports[1:] {
		n = append(n, len(p.Sent()))
	}
	return n
}

func (r *rig) expect(want ...int) {
	r.t.Helper()
	if got := r.sent(); !slices.Equal(got, want) {
		r.t.Errorf("sent %v, want %v", got, want)
	}
}

func (r *rig) drops(want map[drop.Reason]uint64) {
	r.t.Helper()
	for _, reason := range drop.Reasons() {
		if got := r.Drops().Total(reason); got != want[reason] {
			r.t.Errorf("%d drops for %s, want %d", got, reason, want[reason])
		}
	}
}

const (
	icmp = "in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)"
	syn = "in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=8,dst=5),tcp_flags(syn)"
	ack = "in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=8,dst=5),tcp_flags(ack)"
)

func TestCachesAnswerAfterTheFirstPacket(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	r.receive(1, syn)
	r.receive(1, syn, ack)
	r.receive(1, syn, ack)
	r.expect(0, 5, 0)
	s := r.Status()
	if s.Missed != 1 || s.Matched != 2 || s.Cached != 2 || s.Flows != 1 || s.Masks != 1 {
		t.Errorf("%+v", s)
	}
	for f := range r.Flows() {
		if f.Packets != 4 || f.Bytes != 2*54+2*118 || f.TCPFlags != header.SYN|header.ACK || !f.Used.Equal(epoch) {
			t.Errorf("%+v", f)
		}
		if got, want := f.Stats(epoch.Add(1209*time.Millisecond)), "packets:4, bytes:344, used:1.209s, flags:S."; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	r.Revalidate()
	if c := r.table.credited; c.Packets != 5 || c.Bytes != 3*54+2*118 || c.TCPFlags != header.SYN|header.ACK {
		t.Errorf("credited %+v", c)
	}
	r.Revalidate()
	if c := r.table.credited; c.Packets != 5 {
		t.Errorf("credited again: %+v", c)
	}
	r.drops(nil)
}

func TestFlood(t *testing.T) {
	r := newRig(t, 60, Options{}, dummy.Options{})
	var all []flow.PortNo
	want := make([]int, 60)
	for no := 2; no <= 60; no++ {
		all = append(all, flow.PortNo(no))
		want[no-1] = 50
	}
	r.table.set(forward(all...))
	for range 50 {
		r.receive(1, icmp)
	}
	r.expect(want...)
}

func TestChangesAfterAnOutputAreMadeToACopy(t *testing.T) {
	r := newRig(t, 4, Options{}, dummy.Options{})
	tag := func(vid uint16) action.Action {
		return action.PushVLAN{Tag: flow.VLAN{TPID: 0x8100, TCI: flow.VLANPresent | vid}}
	}
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		return 0, slices.Concat(to(2), []action.Action{tag(7)}, to(3), []action.Action{action.PopVLAN{}, tag(9)}, to(4, 2))
	})
	r.receive(1, icmp)
	plain, _ := flow.ComposeText(icmp)
	tagged := func(vid byte) []byte { return slices.Concat(plain[:12], []byte{0x81, 0, 0, vid}, plain[12:]) }
	for no, want := range [][][]byte{2: {plain, tagged(9)}, 3: {tagged(7)}, 4: {tagged(9)}} {
		if no == 0 {
			continue
		}
		got := r.ports[no].Sent()
		if len(got) != len(want) {
			t.Fatalf("port %d sent %d frames, want %d", no, len(got), len(want))
		}
		for i := range want {
			if !slices.Equal(got[i].Bytes, want[i]) {
				t.Errorf("port %d sent % x, want % x", no, got[i].Bytes, want[i])
			}
		}
	}
}

func TestTruncate(t *testing.T) {
	r := newRig(t, 4, Options{}, dummy.Options{})
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		return 0, slices.Concat([]action.Action{action.Truncate{Len: 20}}, to(2, 3), []action.Action{action.Truncate{Len: 9000}}, to(4))
	})
	r.receive(1, icmp)
	plain, _ := flow.ComposeText(icmp)
	for no, want := range map[flow.PortNo][]byte{2: plain[:20], 3: plain, 4: plain} {
		if got := r.ports[no].Sent(); len(got) != 1 || !slices.Equal(got[0].Bytes, want) {
			t.Errorf("port %d sent %v, want % x", no, got, want)
		}
	}
}

func TestBond(t *testing.T) {
	r := newRig(t, 4, Options{}, dummy.Options{})
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) { return 0, []action.Action{action.LBOutput{Bond: 7}} })
	r.receive(1, icmp) // there is no such bond
	k, _, err := flow.Parse(icmp, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, _ := k.Balance(5, 0)
	b := &Bond{Basis: 5, Load: new([Buckets]atomic.Uint64)}
	for i := range b.Ports {
		b.Ports[i] = 2
	}
	b.Ports[h] = 3
	r.SetBond(7, b)
	r.receive(1, icmp)
	other := *b
	other.Ports[h] = 4
	r.SetBond(7, &other)
	r.receive(1, icmp)
	r.receive(1, icmp)
	plain, _ := flow.ComposeText(icmp)
	if got := b.Load[h].Load(); got != uint64(3*len(plain)) {
		t.Errorf("%d bytes counted, want %d", got, 3*len(plain))
	}
	r.SetBond(7, nil)
	r.receive(1, icmp)
	r.expect(0, 0, 1, 2)
	if n := r.Drops().Total(drop.NoPort); n != 2 {
		t.Errorf("%d drops, want 2", n)
	}
}

func TestChangedTranslatesAgain(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	r.receive(1, icmp)
	r.Changed()
	r.Revalidate()
	if s := r.Status(); s.Flows != 1 {
		t.Errorf("a megaflow went that did not change: %+v", s)
	}
	r.table.set(forward(3))
	r.Changed()
	r.Revalidate()
	if s := r.Status(); s.Flows != 1 {
		t.Errorf("a megaflow went that has other actions: %+v", s)
	}
	r.receive(1, icmp, icmp)
	r.expect(0, 1, 2)
	if s := r.Status(); s.Missed != 1 {
		t.Errorf("packets missed for which there was a megaflow: %+v", s)
	}
	for f := range r.Flows() {
		if f.Packets != 2 {
			t.Errorf("the megaflow counts %d packets", f.Packets)
		}
	}
	r.Revalidate()
	if r.table.credited.Packets != 3 {
		t.Errorf("credited %+v", r.table.credited)
	}
}

func TestIdleFlowsExpire(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	r.receive(1, icmp)
	r.clock.Warp(9*time.Second, 9*time.Second)
	r.receive(1, icmp)
	r.clock.Warp(9*time.Second, 9*time.Second)
	r.Revalidate()
	if n := r.Status().Flows; n != 1 {
		t.Errorf("%d flows, want 1", n)
	}
	r.clock.Warp(2*time.Second, 2*time.Second)
	r.Revalidate()
	if n := r.Status().Flows; n != 0 {
		t.Errorf("%d flows, want 0", n)
	}
	if c := r.table.credited; c.Packets != 2 || !c.Last.Equal(epoch.Add(9*time.Second)) || !c.First.Equal(epoch) {
		t.Errorf("credited %+v", c)
	}
}

func TestFlowLimitAndUncacheable(t *testing.T) {
	r := newRig(t, 2, Options{FlowLimit: 10}, dummy.Options{})
	for i := range 20 {
		r.receive(1, fmt.Sprintf("in_port(1),eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:%02x),eth_type(0x1234)", i))
	}
	if n := r.Status().Flows; n != 10 {
		t.Errorf("%d flows, want 10", n)
	}
	r.Flush()
	if n := r.Status().Flows; n != 0 {
		t.Errorf("%d flows, want 0", n)
	}
	r.table.no = true
	r.receive(1, icmp)
	if n := r.Status().Flows; n != 0 {
		t.Errorf("%d flows, want 0", n)
	}
	r.expect(0, 21)
	if r.table.credited.Packets != 21 {
		t.Errorf("credited %+v", r.table.credited)
	}
}

// TestSetFlowLimit configures the limit again and again, as each change of the
// configuration does: what it adapted to stays.
func TestSetFlowLimit(t *testing.T) {
	r := newRig(t, 0, Options{}, dummy.Options{})
	r.limit.Store(50000)
	for _, c := range []struct{ set, want int }{
		{0, 50000}, {DefaultFlowLimit, 50000}, {1000000, 50000}, {20000, 20000}, {5000, 5000}, {0, firstLimit},
	} {
		r.SetFlowLimit(c.set)
		if n := r.Status().FlowLimit; n != c.want {
			t.Errorf("SetFlowLimit(%d): %d in force, want %d", c.set, n, c.want)
		}
	}
}

// TestCloseCreditsLatePackets has a packet that found its megaflow just before
// it was removed.
func TestCloseCreditsLatePackets(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	r.receive(1, icmp)
	var late *entry
	for late = range r.Engine.table.All() {
		r.bury(late)
	}
	late.Value.hit(1, 98, 0, epoch)
	r.Close()
	if r.table.credited.Packets != 2 {
		t.Errorf("credited %+v", r.table.credited)
	}
}

func TestDropsHaveNames(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
		switch k.EthType {
		case 1 << 8 * 16:
			return 0, nil
		case 0x1001:
			return 0, to(9)
		case 0x1002:
			return 0, []action.Action{action.Drop{Reason: drop.BadVLAN}}
		case 0x1003:
			return 0, to(3)
		}
		return 0, to(2)
	})
	eth := func(t string) string {
		return "eth(src=50:54:00:00:00:09,dst=50:54:00:00:00:0a),eth_type(" + t + ")"
	}
	r.ports[3].SetUp(false)
	r.receive(1, eth("0x1000"), eth("0x1001"), eth("0x1002"), eth("0x1003"))
	r.ports[1].Receive([]byte{1, 2, 3})
	r.wait(1)
	r.ports[1].Receive(append(make([]byte, 12), make([]byte, 1503)...))
	r.wait(1)
	r.drops(map[drop.Reason]uint64{
		drop.Pipeline: 1, drop.NoPort: 1, drop.BadVLAN: 1, drop.PortDown: 1, drop.Invalid: 1, drop.Oversized: 1,
	})
	for _, s := range r.DropSamples() {
		if s.Port != 1 || !s.Time.Equal(epoch) || len(s.Head) == 0 {
			t.Errorf("%+v", s)
		}
	}
	if s, _ := r.PortStats(3); s.TxDropped != 1 {
		t.Errorf("%+v", s)
	}
}

func TestPortFailsAndGoes(t *testing.T) {
	failed := make(chan error, 10)
	r := newRig(t, 2, Options{Events: Events{PortFailed: func(no flow.PortNo, err error) { failed <- fmt.Errorf("%d: %w", no, err) }}}, dummy.Options{})
	r.receive(1, icmp)
	r.ports[2].Vanish()
	if err := <-failed; !errors.Is(err, port.ErrGone) || err.Error() != "2: device is gone" {
		t.Errorf("failed with %v", err)
	}
	if err := r.RemovePort(2); err != nil {
		t.Error(err)
	}
	if err := r.RemovePort(2); err == nil || err.Error() != "datapath has no port 2" {
		t.Error(err)
	}
	if err := r.AddPort(1, r.ports[1]); err == nil || err.Error() != "port number 1 is in use by p1" {
		t.Error(err)
	}
	if err := r.RemovePort(1); err != nil {
		t.Error(err)
	}
	if n := r.Status().Flows; n != 0 {
		t.Errorf("%d flows, want 0", n)
	}
	if err := r.ports[1].Receive(nil); !errors.Is(err, port.ErrClosed) {
		t.Error(err)
	}
	if len(failed) > 0 {
		t.Errorf("a port that was removed failed: %v", <-failed)
	}
}

func TestExecute(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	frame, _ := flow.ComposeText(icmp)
	var pool packet.Pool
	p := pool.From(frame)
	r.Execute(p, 0, to(2, 3))
	p.Free()
	r.expect(0, 1, 1)
}

func TestCachesLetGoOfDeadMegaflows(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	k, _, _ := flow.Parse(icmp, nil)
	for range sweepAfter {
		k.EthDst[5]++
		if k.EthDst[5] == 0 {
			k.EthDst[4]++
		}
		r.ports[1].Receive(flow.Compose(&k, 0))
		r.ports[1].Receive(flow.Compose(&k, 0)) // into the cache
		r.wait(1)
	}
	r.Flush()
	for range 3 { // the worker at rest, or at the end of its next batch
		r.Revalidate()
		r.receive(1, icmp)
	}
	w := r.member(1).worker
	w.busy.Lock()
	defer w.busy.Unlock()
	if w.stale.Load() {
		t.Error("the cache was not swept")
	}
}
