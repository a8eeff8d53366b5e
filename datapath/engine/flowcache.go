package engine

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/meter"
	"govs/datapath/port"
)

// A FlowCache carries out the actions of megaflows in front of the engine,
// which does not see the packets then. Package ebpf has one. It takes the
// megaflows, and the ports, that it can do; the engine does the rest.
type FlowCache interface {
	// Attach looks at the port's packets from now on, and sends to it. An
	// error says why the port's packets stay with the engine; the port may be
	// one that can be sent to nevertheless, then it is not nil.
	Attach(no flow.PortNo, p port.Port) (CachedPort, error)
	// SetTags says how many VLAN tags count, see flow.ExtractTags.
	SetTags(n int)
	// Install takes a megaflow, or returns nil. It borrows its arguments.
	Install(key *flow.Key, mask *flow.Mask, actions []action.Action) CachedFlow
}

// A CachedPort is a port in a FlowCache.
type CachedPort interface {
	// Police has the cache admit the port's packets, the engine's too; it says
	// false where that is left to the engine.
	Police(meter.Config) bool
	// Refresh looks at the port's state again.
	Refresh()
	Stats() PortHits
	// Detach ends it. The port is closed already, or gets another guard.
	Detach()
}

// A CachedFlow is a megaflow in a FlowCache.
type CachedFlow interface {
	// Hits is what the cache did with it so far; First is that of the packets
	// since the last call.
	Hits() Hits
	// Remove makes the cache forget the megaflow. Packets under way may still
	// count.
	Remove()
	// Free ends the use of it, some time after Remove.
	Free()
}

// Hits are what a FlowCache did for a megaflow.
type Hits struct {
	Packets, Bytes         uint64 // on the wire, see Traffic
	Segments, SegmentBytes uint64 // as ports count: a large segment is one
	TCPFlags               uint16
	First, Last            time.Time // zero where there is none
}

// PortHits are the packets that a FlowCache took from a port, sent to it, and
// dropped by its policer. They count as ports count.
type PortHits struct {
	RxPackets, RxBytes, TxPackets, TxBytes uint64
	Policed                                uint64
}

// SetFlowCache puts a cache in front of the engine, nil takes it away. It
// belongs to the network namespace of the calling thread, as opening a port
// does. The cache stays the caller's, who closes it after it was taken away.
func (e *Engine) SetFlowCache(c FlowCache) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || c == nil && e.front.cache == nil {
		return
	}
	e.setFront(nil)
	e.rev.mu.Lock()
	for _, f := range e.rev.gone {
		credit(f)
		e.uncache(f)
	}
	e.rev.gone = nil
	for f := range e.table.All() {
		e.uncache(f)
	}
	e.rev.mu.Unlock()
	for no, m := range *e.ports.Load() {
		if m == nil {
			continue
		}
		had := m.cached.Load() != nil
		e.detach(m)
		if g, ok := m.port.(port.Guarded); ok && had {
			_ = g.SetGuard(nil) // the port tells of the error
		}
		e.attach(flow.PortNo(no), m, c)
	}
	e.setFront(c)
}

// front is the cache, and which one in a row.
type front struct {
	sync.Mutex // held while megaflows are put in and taken out
	cache      FlowCache
	count      uint64
	epoch      atomic.Uint64 // 0 while there is none; changes when more may be taken than before
}

func (e *Engine) setFront(c FlowCache) {
	f := &e.front
	f.Lock()
	defer f.Unlock()
	f.cache = c
	f.count++
	if c == nil {
		f.epoch.Store(0)
	} else {
		c.SetTags(int(e.tags.Load()))
		f.epoch.Store(f.count)
	}
}

// setFrontTags tells the cache how many VLAN tags count.
func (e *Engine) setFrontTags(n int) {
	e.front.Lock()
	defer e.front.Unlock()
	if e.front.cache != nil {
		e.front.cache.SetTags(n)
	}
}

// retry has megaflows offered again that the cache did not take.
func (e *Engine) retry() {
	f := &e.front
	f.Lock()
	defer f.Unlock()
	if f.cache != nil {
		f.count++
		f.epoch.Store(f.count)
	}
}

// attach gives a port to the cache. The caller holds e.mu.
func (e *Engine) attach(no flow.PortNo, m *member, c FlowCache) {
	if c == nil {
		return
	}
	cp, err := c.Attach(no, m.port)
	if cp != nil {
		m.cached.Store(&cp)
	}
	if err != nil {
		m.uncached.Store(&err)
	} else {
		m.uncached.Store(nil)
		e.policeFront(m)
	}
	e.retry()
}

// detach takes a port from the cache, and keeps its counters.
func (e *Engine) detach(m *member) {
	cp := m.cached.Load()
	if cp == nil {
		return
	}
	h := (*cp).Stats()
	m.counted.Lock()
	m.counted.before.add(&h)
	m.cached.Store(nil)
	m.counted.Unlock()
	m.uncached.Store(nil)
	(*cp).Detach()
	e.policeFront(m)
}

// policeFront has the cache, or else the engine, police a port.
func (e *Engine) policeFront(m *member) {
	p := m.wanted.Load()
	if cp := m.cached.Load(); cp != nil && m.uncached.Load() == nil {
		var conf meter.Config
		known := p == nil
		if p != nil {
			var pol *meter.Policer
			if pol, known = p.Policer.(*meter.Policer); known {
				conf = pol.Config()
			}
		}
		if (*cp).Police(conf) && known {
			p = nil
		}
	}
	m.policy.Store(p)
}

// hits are what caches did for the port, from the first one on.
func (m *member) hits() PortHits {
	m.counted.Lock()
	defer m.counted.Unlock()
	h := m.counted.before
	if cp := m.cached.Load(); cp != nil {
		now := (*cp).Stats()
		h.add(&now)
	}
	return h
}

func (h *PortHits) add(o *PortHits) {
	h.RxPackets += o.RxPackets
	h.RxBytes += o.RxBytes
	h.TxPackets += o.TxPackets
	h.TxBytes += o.TxBytes
	h.Policed += o.Policed
}

// RefreshPorts has the cache look at the state of ports again. It belongs to
// the network namespace of the calling thread.
func (e *Engine) RefreshPorts(which func(port.Port) bool) {
	for _, m := range *e.ports.Load() {
		if m == nil || !which(m.port) {
			continue
		}
		if cp := m.cached.Load(); cp != nil {
			(*cp).Refresh()
		}
	}
}

// Uncached says why no flow cache looks at the port's packets: nil where one
// does.
func (e *Engine) Uncached(no flow.PortNo) error {
	m := e.member(no)
	switch {
	case m == nil:
		return noPort(no)
	case m.uncached.Load() != nil:
		return *m.uncached.Load()
	case m.cached.Load() == nil:
		return ErrNoFlowCache
	}
	return nil
}

// ErrNoFlowCache says that the engine has no flow cache.
var ErrNoFlowCache = errors.New("there is no flow cache")

// offer gives a megaflow that was hit to the cache, once in an epoch.
func (e *Engine) offer(f *entry, epoch uint64) {
	v := &f.Value
	if v.offered.Swap(epoch) == epoch {
		return
	}
	if m := e.member(f.Key().InPort); m == nil || m.cached.Load() == nil || m.uncached.Load() != nil {
		return
	}
	e.front.Lock()
	defer e.front.Unlock()
	if e.front.cache == nil || f.Dead() || v.cached.Load() != nil || e.shaped(v.actions) {
		return
	}
	if c := e.front.cache.Install(f.Key(), f.Mask(), v.actions); c != nil {
		v.cached.Store(&c)
	}
}

// unfront makes the cache forget a megaflow that is dead.
func (e *Engine) unfront(f *entry) {
	e.front.Lock()
	defer e.front.Unlock()
	if c := f.Value.cached.Load(); c != nil {
		(*c).Remove()
	}
}

// collect counts what the cache did for a megaflow. The caller holds rev.mu.
func (e *Engine) collect(f *entry) {
	v := &f.Value
	c := v.cached.Load()
	if c == nil {
		return
	}
	h := (*c).Hits()
	if h.Segments == v.front.Segments {
		return
	}
	segments := h.Segments - v.front.Segments
	v.packets.Add(h.Packets - v.front.Packets)
	v.bytes.Add(h.Bytes - v.front.Bytes)
	v.flags.Or(uint32(h.TCPFlags))
	v.front = h
	if at := h.Last.UnixNano(); at > v.used.Load() {
		v.used.Store(at)
	}
	if !h.First.IsZero() {
		v.first.CompareAndSwap(0, h.First.UnixNano())
	}
	e.count[0].front.Add(segments)
	if len(v.actions) == 0 {
		e.drops.Count(0, drop.Pipeline, segments)
	} else if d, ok := v.actions[0].(action.Drop); ok {
		e.drops.Count(0, d.Reason, segments)
	}
}

// uncache ends the cache's part in a megaflow. The caller holds rev.mu.
func (e *Engine) uncache(f *entry) {
	c := f.Value.cached.Load()
	if c == nil {
		return
	}
	if !f.Dead() { // else it was removed then
		e.unfront(f)
	}
	e.collect(f)
	f.Value.cached.Store(nil)
	f.Value.front = Hits{}
	(*c).Free()
}

// uncacheTo takes the megaflows from the cache that send to a port which is
// gone. Those that are still right when the number is in use again are offered
// again.
func (e *Engine) uncacheTo(no flow.PortNo) {
	e.rev.mu.Lock()
	defer e.rev.mu.Unlock()
	for f := range e.table.All() {
		if f.Value.cached.Load() != nil && slices.Contains(f.Value.actions, action.Action(action.Output{Port: no})) {
			e.uncache(f)
		}
	}
}

// collectPoliced counts what the cache's policers dropped. The caller holds
// rev.mu.
func (e *Engine) collectPoliced() {
	for _, m := range *e.ports.Load() {
		if m == nil {
			continue
		}
		if n := m.hits().Policed; n > m.policed {
			e.drops.Count(0, drop.Policed, n-m.policed)
			m.policed = n
		}
	}
}
