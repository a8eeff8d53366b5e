package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/shape"
)

// noQueue is a packet's queue where none was selected for it.
const noQueue = ^uint32(0)

// A stage is what a port with a discipline has in front of its output: packets
// wait in its scheduler, and its goroutine sends them. Where the port's device
// does that, the stage only says in which queue.
type stage struct {
	e      *Engine
	to     *member
	conf   shape.Config
	device port.Queueing // that does it, nil where the stage does
	why    error         // why the device does not
	queues map[uint32]bool

	// Of a stage that does it:
	dscp   map[uint32]uint8
	start  time.Time // that the scheduler's time counts from
	alarm  alarm
	ending atomic.Bool
	gone   bool // what still waits has nowhere to go; set before ending
	done   chan struct{}

	mu     sync.Mutex
	closed bool // nothing is pushed any more
	sched  shape.Scheduler
	lost   []loss
}

// A loss is a packet that the scheduler dropped, to be told of when its lock is
// free.
type loss struct {
	p   *packet.Packet
	in  flow.PortNo
	why drop.Reason
}

// SetShaper has packets leave the port as the configuration says; nil is at
// once. The port's device does it where it can and no large segment would be
// cut, else a scheduler here, to which the megaflows that output to the port
// are kept out of the flow cache. Packets that wait in a scheduler that was
// there before are sent. It belongs to the network namespace of the calling
// thread.
func (e *Engine) SetShaper(no flow.PortNo, c *shape.Config) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	m := e.member(no)
	if m == nil {
		return noPort(no)
	}
	old := m.stage.Load()
	if c == nil && old == nil {
		return nil
	}
	s := e.stage(m, c)
	if s != nil && s.device == nil {
		go s.run()
	}
	m.stage.Store(s)
	if old != nil {
		if old.device == nil {
			old.end(false)
		} else if s == nil || s.device == nil {
			if err := old.device.Shape(nil); err != nil {
				e.log.Debug(fmt.Sprintf("%s: %v", m.port.Name(), err))
			}
		}
	}
	if cp := m.cached.Load(); cp != nil && (old != nil && old.device != nil || s != nil && s.device != nil) {
		(*cp).Refresh() // other ways of sending may be right now
	}
	e.retry() // waits for an offer under way, which saw no stage
	if s != nil && s.device == nil {
		e.uncacheTo(no)
	}
	return nil
}

// stage makes what the port is to have, nil where it is to have nothing.
func (e *Engine) stage(m *member, c *shape.Config) *stage {
	if c == nil {
		return nil
	}
	s := &stage{e: e, to: m, conf: *c, queues: make(map[uint32]bool)}
	q, ok := m.port.(port.Queueing)
	switch {
	case c.Kind == shape.External:
		if !ok {
			return nil
		}
		if err := errors.Join(q.Shape(nil), q.Pass(true)); err != nil {
			e.log.Warn(fmt.Sprintf("%s: %v", m.port.Name(), err))
			return nil
		}
		s.device = q
		return s
	case !ok:
		s.why = errors.New("the kernel has no queues in front of such a port")
	case c.Kind != shape.HTB:
		s.why = errors.New("only linux-htb is asked of the kernel")
	case !c.Light():
		s.why = errors.New("large segments are cut at such rates")
	case marks(c):
		s.why = errors.New("packets are marked")
	default:
		if s.why = q.Shape(&s.conf); s.why == nil {
			s.device = q
			for _, q := range c.Queues {
				s.queues[q.ID] = true
			}
			return s
		}
	}
	s.begin()
	return s
}

func marks(c *shape.Config) bool {
	return slices.ContainsFunc(c.Queues, func(q shape.Queue) bool { return q.DSCP >= 0 })
}

// Shaping is what SetShaper has come to.
type Shaping struct {
	shape.Config
	Stats  []shape.Stats // of the queues
	Device bool          // the port's device does it
	Why    error         // why it does not
}

// Shaping is what has become of the port's configuration, nil where it has none.
func (e *Engine) Shaping(no flow.PortNo) *Shaping {
	m := e.member(no)
	if m == nil {
		return nil
	}
	s := m.stage.Load()
	if s == nil {
		return nil
	}
	out := &Shaping{Config: s.conf, Device: s.device != nil, Why: s.why}
	if s.device != nil {
		out.Stats = s.device.Shaped()
		return out
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Stats = s.sched.Stats()
	return out
}

// shaped says whether the actions output to a port with a scheduler here.
func (e *Engine) shaped(actions []action.Action) bool {
	for _, a := range actions {
		if out, ok := a.(action.Output); ok {
			if m := e.member(out.Port); m != nil {
				if s := m.stage.Load(); s != nil && s.device == nil {
					return true
				}
			}
		}
	}
	return false
}

// begin makes the stage one that does it itself.
func (s *stage) begin() {
	s.dscp = make(map[uint32]uint8)
	s.start = s.e.clock.Now()
	s.alarm, s.done = newAlarm(s.e.clock), make(chan struct{})
	for _, q := range s.conf.Queues {
		if q.DSCP >= 0 {
			s.dscp[q.ID] = uint8(q.DSCP)
		}
	}
	if s.conf.Seed == 0 {
		s.conf.Seed = rand.Uint64() // nobody is to know which flows share a place
	}
	s.sched = shape.New(s.conf, func(f shape.Frame, why drop.Reason) {
		s.lost = append(s.lost, loss{f.Packet, flow.PortNo(f.In), why})
	})
}

// class is the device's queue for a packet.
func (s *stage) class(queueID uint32) uint32 {
	if s.queues[queueID] {
		return queueID
	}
	return 0
}

// end ends the stage: what waits in it is sent, or dropped when the port is
// gone.
func (s *stage) end(gone bool) {
	s.gone = gone
	s.ending.Store(true)
	s.alarm.ring()
	<-s.done
	s.alarm.close() // nothing is pushed any more, so nobody rings
}

// shape puts a copy of the packet in hand, of which w.key is the key, into a
// port's scheduler. Frames of the switch's own making are not to wait, or to be
// lost, with what they are about: it says false for them.
func (w *worker) shape(s *stage, p *packet.Packet) bool {
	if w.key.InPort == 0 {
		return false
	}
	f := shape.Frame{In: uint32(w.key.InPort), Hash: w.key.Spread()}
	marked := uint8(0)
	mark := false
	if w.queueID != noQueue {
		f.Queue = w.queueID
		marked, mark = s.dscp[f.Queue]
	}
	_, bytes := wire(p)
	c := p.Clone()
	if mark {
		markDSCP(c, marked)
	}
	if p.Offload.GSO != packet.GSONone && int(bytes) > s.conf.Whole(f.Queue) {
		w.pieces.Reset()
		err := packet.Segment(c, w.e.pool, &w.pieces)
		c.Free()
		if err != nil {
			w.drop(drop.Segment, p, s.to)
			return true
		}
		for _, piece := range w.pieces.Packets {
			f.Packet, f.Bytes = piece, piece.Len()
			s.push(f)
		}
		w.pieces.Reset()
	} else {
		f.Packet, f.Bytes = c, int(bytes)
		s.push(f)
	}
	return true
}

// push hands a packet to the scheduler, which has it from then on.
func (s *stage) push(f shape.Frame) {
	s.mu.Lock()
	if s.closed { // it was replaced while the packet was under way
		s.mu.Unlock()
		s.e.lose(&loss{f.Packet, flow.PortNo(f.In), drop.QueueFull}, s.to)
		return
	}
	if s.sched.Push(f, s.e.clock.Since(s.start)) {
		s.alarm.ring()
	}
	s.unlock()
}

// unlock gives the lock back, and tells of what was lost.
func (s *stage) unlock() {
	if len(s.lost) == 0 {
		s.mu.Unlock()
		return
	}
	var few [4]loss
	lost := append(few[:0], s.lost...)
	clear(s.lost)
	s.lost = s.lost[:0]
	s.mu.Unlock()
	for i := range lost {
		s.e.lose(&lost[i], s.to)
	}
}

// nap is the shortest sleep of a stage: at high rates several packets leave
// together. No rate is lost by that.
const nap = 100 * time.Microsecond

// run is the stage's goroutine.
func (s *stage) run() {
	defer close(s.done)
	w := newWorker(s.e, nil)
	w.shard = int(s.to.no)
	q := &queue{to: s.to}
	for !s.ending.Load() {
		next := s.fetch(q)
		switch {
		case q.batch.Len() > 0:
			s.send(w, q)
		case next == shape.Never:
			s.alarm.wait(shape.Never)
		default:
			s.alarm.wait(max(next-s.e.clock.Since(s.start), nap))
		}
	}
	s.finish(w, q)
}

// fetch takes up to a batch of what is to leave now. It says when the next one
// is.
func (s *stage) fetch(q *queue) (next time.Duration) {
	now := s.e.clock.Since(s.start)
	s.mu.Lock()
	defer s.unlock()
	for q.batch.Len() < packet.MaxBatch {
		f, ok, at := s.sched.Pop(now)
		if !ok {
			return at
		}
		q.add(&f)
	}
	return now
}

func (q *queue) add(f *shape.Frame) {
	q.batch.Add(f.Packet)
	q.from = append(q.from, flow.PortNo(f.In))
}

// send sends a batch and frees it.
func (s *stage) send(w *worker, q *queue) {
	w.now, w.tags = s.e.clock.Now(), int(s.e.tags.Load())
	mine := append(w.mine[:0], q.batch.Packets...)
	w.transmit(q)
	q.from = q.from[:0]
	w.finish()
	for i, p := range mine {
		p.Free()
		mine[i] = nil
	}
	w.mine = mine[:0]
}

// finish empties the stage.
func (s *stage) finish(w *worker, q *queue) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for {
		s.mu.Lock()
		for q.batch.Len() < packet.MaxBatch {
			f, ok := s.sched.Drain()
			if !ok {
				break
			}
			if s.gone {
				s.lost = append(s.lost, loss{f.Packet, flow.PortNo(f.In), drop.NoPort})
				continue
			}
			q.add(&f)
		}
		s.unlock()
		if q.batch.Len() == 0 {
			return
		}
		s.send(w, q)
	}
}

// lose counts and samples a packet that came in some time ago, and frees it.
func (e *Engine) lose(l *loss, out *member) {
	s := drop.Sample{Time: e.clock.Now(), Reason: l.why, Port: l.in, Len: l.p.Len(), Head: l.p.Bytes(), Out: out.no}
	flow.ExtractTags(l.p, l.in, int(e.tags.Load()), &s.Key)
	log := &e.drops
	log.Count(int(l.in), l.why, 1)
	if in := e.member(l.in); in != nil {
		log = &in.drops
		log.Count(int(l.in), l.why, 1)
	}
	log.Sample(&s)
	out.txDropped.Add(1)
	if e.events.Dropped != nil {
		e.events.Dropped(s)
	}
	l.p.Free()
}

// markDSCP sets the DSCP of an IP packet, and leaves its ECN bits.
func markDSCP(p *packet.Packet, dscp uint8) {
	a := &dscpActions[dscp&63]
	switch locate(p.Bytes()).typ {
	case header.TypeIPv4:
		set(p, &a[0])
	case header.TypeIPv6:
		set(p, &a[1])
	}
}

// dscpActions are those of each value, for IPv4 and IPv6.
var dscpActions = func() (all [64][2]action.Set) {
	for n := range all {
		for i, group := range [...]string{"ipv4", "ipv6"} {
			a := &all[n][i]
			a.Group = group
			a.Key.TOS, a.Mask.TOS = uint8(n)<<2, 0xfc
		}
	}
	return all
}()
