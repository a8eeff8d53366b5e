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
	"govs/datapath/meter"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
)

// A fakeCache notes what it is asked for, and has the hits that a test says.
type fakeCache struct {
	mu     sync.Mutex
	log    []string
	flows  []*fakeFlow
	ports  map[flow.PortNo]*fakePort
	refuse flow.PortNo // a port that it does not look at
	full   bool
	tags   int
}

type fakeFlow struct {
	c    *fakeCache
	name string
	hits Hits
	late uint64 // packets that the cache forwards while it is asked to remove the flow
}

type fakePort struct {
	c      *fakeCache
	no     flow.PortNo
	hits   PortHits
	police bool
	conf   meter.Config
}

func (c *fakeCache) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

func (c *fakeCache) expect(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.log, want) {
		t.Errorf("asked for %q, want %q", c.log, want)
	}
	c.log = nil
}

func (c *fakeCache) Attach(no flow.PortNo, _ port.Port) (CachedPort, error) {
	c.note("attach %d", no)
	if c.ports == nil {
		c.ports = make(map[flow.PortNo]*fakePort)
	}
	c.ports[no] = &fakePort{c: c, no: no, police: true}
	if no == c.refuse {
		return c.ports[no], errors.New("not this one")
	}
	return c.ports[no], nil
}

func (c *fakeCache) SetTags(n int) { c.tags = n }

func (c *fakeCache) Install(k *flow.Key, _ *flow.Mask, actions []action.Action) CachedFlow {
	name := fmt.Sprintf("%d:%s", k.InPort, action.Join(actions))
	if c.full {
		c.note("refuse %s", name)
		return nil
	}
	c.note("install %s", name)
	f := &fakeFlow{c: c, name: name}
	c.flows = append(c.flows, f)
	return f
}

func (f *fakeFlow) Hits() Hits {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.hits
}

// set has the cache count hits; the revalidator may be asking for them.
func (f *fakeFlow) set(h Hits) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	f.hits = h
}

// Remove takes late packets on: those that were in the cache at the time.
func (f *fakeFlow) Remove() {
	f.c.note("remove %s", f.name)
	h := f.Hits()
	h.Packets += f.late
	h.Segments += f.late
	f.set(h)
}
func (f *fakeFlow) Free() { f.c.note("free %s", f.name) }

func (p *fakePort) Police(conf meter.Config) bool {
	p.conf = conf
	return p.police
}
func (p *fakePort) Refresh()        { p.c.note("refresh %d", p.no) }
func (p *fakePort) Stats() PortHits { return p.hits }
func (p *fakePort) Detach()         { p.c.note("detach %d", p.no) }

// A megaflow is offered at its second packet, goes before it means something
// else, and what the cache did for it counts as if the engine had done it.
func TestFlowCache(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	c := new(fakeCache)
	r.SetFlowCache(c)
	c.expect(t, "attach 1", "attach 2")
	if c.tags != flow.MaxTags {
		t.Errorf("%d tags count", c.tags)
	}
	r.receive(1, "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x88b5)")
	c.expect(t)
	for range 3 {
		r.receive(1, "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x88b5)")
	}
	c.expect(t, "install 1:2")
	r.Revalidate()
	before := r.table.credited
	at := epoch.Add(5 * time.Second)
	c.flows[0].set(Hits{Packets: 10, Bytes: 1000, Segments: 2, SegmentBytes: 800, TCPFlags: 0x12, First: epoch.Add(time.Second), Last: at})
	r.clock.Warp(9*time.Second, time.Second)
	r.Revalidate()
	got := r.table.credited
	if got.Packets-before.Packets != 10 || got.Bytes-before.Bytes != 1000 || got.TCPFlags != 0x12 || !got.Last.Equal(at) {
		t.Errorf("credited %+v, before %+v", got, before)
	}
	for f := range r.Flows() {
		if f.Packets != 13 || !f.Used.Equal(at) || !f.Front {
			t.Errorf("%+v", f)
		}
	}
	if st := r.Status(); st.Front != 2 || st.Flows != 1 {
		t.Errorf("%+v", st)
	}
	// Used in the cache 4 seconds ago, in the engine 9: it stays. Then it goes.
	r.clock.Warp(5*time.Second, time.Second)
	r.Revalidate()
	c.expect(t)
	before = r.table.credited
	c.flows[0].late = 1
	r.clock.Warp(3*time.Second, time.Second)
	r.Revalidate()
	r.Revalidate()
	c.expect(t, "remove 1:2", "free 1:2")
	if n := r.table.credited.Packets - before.Packets; n != 1 {
		t.Errorf("%d late packets were credited, want 1", n)
	}

	// Another meaning.
	frame := "in_port(2),eth(src=02:00:00:00:00:02,dst=02:00:00:00:00:01),eth_type(0x88b5)"
	r.table.set(forward(1))
	r.receive(2, frame)
	r.receive(2, frame)
	c.expect(t, "install 2:1")
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		return flow.EthDst, []action.Action{action.Drop{Reason: drop.BadVLAN}}
	})
	r.Changed()
	r.Revalidate()
	r.Revalidate()
	c.expect(t, "remove 2:1", "free 2:1")
	r.receive(2, frame)
	r.receive(2, frame)
	c.expect(t, "install 2:drop(drop_action_vlan)")
	n := r.Drops().Total(drop.BadVLAN)
	c.flows[len(c.flows)-1].set(Hits{Packets: 5, Segments: 4, Last: r.clock.Now()})
	r.Revalidate()
	if n = r.Drops().Total(drop.BadVLAN) - n; n != 4 {
		t.Errorf("%d drops count, want 4", n)
	}

	// One that was refused is offered again when more may fit.
	c.full = true
	frame = "in_port(2),eth(src=02:00:00:00:00:02,dst=02:00:00:00:00:03),eth_type(0x88b5)"
	for range 4 {
		r.receive(2, frame)
	}
	c.expect(t, "refuse 2:drop(drop_action_vlan)")
	r.add(3, dummy.Options{})
	c.full = false
	r.receive(2, frame)
	c.expect(t, "attach 3", "install 2:drop(drop_action_vlan)")

	// Without the cache everything is the engine's again, and nothing is lost.
	c.ports[2].hits = PortHits{RxPackets: 7, RxBytes: 700, Policed: 2}
	r.SetFlowCache(nil)
	c.mu.Lock()
	log := slices.Clone(c.log)
	c.log = nil
	c.mu.Unlock()
	slices.Sort(log)
	if want := []string{"detach 1", "detach 2", "detach 3", "free 2:drop(drop_action_vlan)", "free 2:drop(drop_action_vlan)",
		"remove 2:drop(drop_action_vlan)", "remove 2:drop(drop_action_vlan)"}; !slices.Equal(log, want) {
		t.Errorf("asked for %q", log)
	}
	st, err := r.PortStats(2)
	if err != nil || st.RxPackets < 7+9 || st.RxDropped != 2 {
		t.Errorf("%+v, %v", st, err)
	}
	r.Revalidate()
	if n := r.Drops().Total(drop.Policed); n != 2 {
		t.Errorf("%d policed drops count, want 2", n)
	}
	if err := r.Uncached(2); !errors.Is(err, ErrNoFlowCache) {
		t.Error(err)
	}
}

// A port that the cache does not look at keeps its megaflows to the engine,
// and a policer is where the packets are.
func TestFlowCachePorts(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	conf := meter.Config{RateKbps: 1000}
	if err := r.SetPolicer(1, meter.New(conf)); err != nil {
		t.Fatal(err)
	}
	c := &fakeCache{refuse: 2}
	r.SetFlowCache(c)
	c.expect(t, "attach 1", "attach 2")
	if c.ports[1].conf != conf || r.member(1).policy.Load() != nil {
		t.Errorf("the cache polices %+v, the engine %v", c.ports[1].conf, r.member(1).policy.Load())
	}
	if err := r.SetPolicer(2, meter.New(conf)); err != nil {
		t.Fatal(err)
	}
	if c.ports[2].conf == conf || r.member(2).policy.Load() == nil {
		t.Error("the policer of a port that the cache does not look at is not the engine's")
	}
	if err := r.SetPolicer(2, nil); err != nil {
		t.Fatal(err)
	}
	r.table.set(forward(1))
	for range 3 {
		r.receive(2, "in_port(2),eth(src=02:00:00:00:00:02,dst=02:00:00:00:00:01),eth_type(0x88b5)")
	}
	c.expect(t)
	if err := r.Uncached(2); err == nil || err.Error() != "not this one" {
		t.Error(err)
	}
	r.RefreshPorts(func(p port.Port) bool { return p.Name() == "p2" })
	c.expect(t, "refresh 2")
	if err := r.SetPolicer(1, nil); err != nil || !c.ports[1].conf.Unlimited() {
		t.Errorf("%v, the cache polices %+v", err, c.ports[1].conf)
	}
	if err := r.SetPolicer(1, meter.New(conf)); err != nil {
		t.Fatal(err)
	}
	r.SetFlowCache(nil)
	if r.member(1).policy.Load() == nil {
		t.Error("nobody polices after the cache is gone")
	}
	if err := r.RemovePort(1); err != nil {
		t.Fatal(err)
	}
}
