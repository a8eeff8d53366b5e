package shape

import (
	"cmp"
	"math"
	"time"

	"govs/datapath/drop"
)

// A fair scheduler has flows take turns (SFQ), drops what has waited for too
// long (CoDel), or does both (FQCoDel). CoDel is one flow.
type fair struct {
	flows
	perturb time.Duration
	last    time.Duration // when the salt changed
	limit   int
	stats   Stats
}

// flows are queues of flows, which take turns. The zero value has no places yet.
type flows struct {
	turns    []turn
	aqm      *codel // nil where nothing is dropped for its age
	sparse   bool   // flows that come anew go first
	quantum  int
	mtu      int
	salt     uint32
	lost     Lost
	new, old list
	n, bytes int // that wait in all
}

// A turn is a flow, or some that have the same hash.
type turn struct {
	q       fifo
	deficit int
	state   codelState
	listed  bool
	next    int32 // in its list
}

// A list is one of flows, by their numbers.
type list struct{ head, tail int32 }

var empty = list{-1, -1}

// Defaults of Config, from the manuals tc-sfq(8), tc-codel(8) and
// tc-fq_codel(8).
const (
	SFQLimit      = 127
	sfqFlows      = 1024
	CoDelLimit    = 1000
	FQCoDelLimit  = 10240
	FQCoDelFlows  = 1024
	CoDelTarget   = 5 * time.Millisecond
	CoDelInterval = 100 * time.Millisecond
)

// maxFlows bounds Config.Flows, as fq_codel does.
const maxFlows = 65536

func newFair(c Config, lost Lost) *fair {
	f := &fair{perturb: c.Perturb}
	f.flows = flows{
		mtu: c.MTU, quantum: max(cmp.Or(c.Quantum, c.MTU), 1), salt: uint32(c.Seed),
		lost: func(frame Frame, why drop.Reason) {
			f.stats.Dropped++
			lost(frame, why)
		},
	}
	places := 1
	switch c.Kind {
	case SFQ:
		places, f.limit = sfqFlows, cmp.Or(c.Limit, SFQLimit)
	case CoDel:
		f.limit = cmp.Or(c.Limit, CoDelLimit)
	case FQCoDel:
		f.sparse = true
		places, f.limit = min(max(cmp.Or(c.Flows, FQCoDelFlows), 1), maxFlows), cmp.Or(c.Limit, FQCoDelLimit)
	}
	if c.Kind != SFQ {
		f.aqm = &codel{target: cmp.Or(c.Target, CoDelTarget), interval: cmp.Or(c.Interval, CoDelInterval)}
	}
	f.room(places)
	return f
}

// Push implements Scheduler.
func (f *fair) Push(frame Frame, now time.Duration) bool {
	if f.perturb > 0 && f.n == 0 && now-f.last >= f.perturb { // when it reorders nothing
		f.last = now
		f.salt = f.salt*1664525 + 1013904223
	}
	f.push(frame, now)
	if f.n > f.limit {
		f.dropLongest()
	}
	return f.n == 1
}

// Pop implements Scheduler.
func (f *fair) Pop(now time.Duration) (Frame, bool, time.Duration) {
	frame, ok := f.pop(now)
	if !ok {
		return Frame{}, false, Never
	}
	f.stats.Packets++
	f.stats.Bytes += uint64(frame.Bytes)
	return frame, true, now
}

// Drain implements Scheduler.
func (f *fair) Drain() (Frame, bool) { return f.drain() }

// Stats implements Scheduler.
func (f *fair) Stats() []Stats {
	s := f.stats
	s.Waiting = f.n
	return []Stats{s}
}

// room makes places for flows, of flows that have none.
func (f *flows) room(places int) {
	f.turns, f.new, f.old = make([]turn, places), empty, empty
}

func (f *flows) append(l *list, at int32) {
	f.turns[at].next = -1
	if l.tail < 0 {
		l.head = at
	} else {
		f.turns[l.tail].next = at
	}
	l.tail = at
}

func (f *flows) shift(l *list) {
	if l.head = f.turns[l.head].next; l.head < 0 {
		l.tail = -1
	}
}

func (f *flows) push(frame Frame, now time.Duration) {
	at := int32((frame.Hash ^ f.salt) * 2654435761 % uint32(len(f.turns)))
	t := &f.turns[at]
	t.q.push(frame, now)
	f.n++
	f.bytes += frame.Bytes
	if t.listed {
		return
	}
	t.listed, t.deficit = true, f.quantum
	if f.sparse {
		f.append(&f.new, at)
	} else {
		f.append(&f.old, at)
	}
}

// dropLongest makes room: the flow that takes most of it loses its oldest
// frame.
func (f *flows) dropLongest() {
	longest, most := 0, -1
	for i := range f.turns {
		if n := f.turns[i].q.bytes; f.turns[i].q.n > 0 && n > most {
			longest, most = i, n
		}
	}
	f.lost(f.take(&f.turns[longest]).Frame, drop.QueueFull)
}

// take takes the oldest frame of a flow that has one.
func (f *flows) take(t *turn) waiting {
	w := t.q.pop()
	f.n--
	f.bytes -= w.Bytes
	return w
}

// pop takes the next frame.
func (f *flows) pop(now time.Duration) (Frame, bool) {
	for {
		l := &f.new
		if l.head < 0 {
			if l = &f.old; l.head < 0 {
				return Frame{}, false
			}
		}
		at := l.head
		t := &f.turns[at]
		if t.deficit <= 0 {
			t.deficit += f.quantum
			f.shift(l)
			f.append(&f.old, at)
			continue
		}
		frame, ok := f.next(t, now)
		if !ok {
			f.shift(l)
			if l == &f.new && f.old.head >= 0 {
				f.append(&f.old, at) // it does not come anew for being empty for a moment
			} else {
				t.listed = false
			}
			continue
		}
		t.deficit -= frame.Bytes
		return frame, true
	}
}

// next takes a flow's next frame.
func (f *flows) next(t *turn, now time.Duration) (Frame, bool) {
	if f.aqm != nil {
		return f.aqm.pop(f, t, now)
	}
	if t.q.n == 0 {
		return Frame{}, false
	}
	return f.take(t).Frame, true
}

func (f *flows) drain() (Frame, bool) {
	if f.n > 0 {
		for i := range f.turns {
			if t := &f.turns[i]; t.q.n > 0 {
				return f.take(t).Frame, true
			}
		}
	}
	return Frame{}, false
}

// A codel is the controlled delay of RFC 8289, section 5; a codelState is that
// of a flow.
type codel struct{ target, interval time.Duration }

type codelState struct {
	above    time.Duration // when the delay will have been too long for an interval; 0 where it is not
	next     time.Duration // drop
	count    uint32        // drops since dropping began
	before   uint32        // that, of the last time
	dropping bool
}

// look takes a frame out of the flow and says whether it may be dropped.
func (c *codel) look(f *flows, t *turn, now time.Duration) (w waiting, ok, late bool) {
	s := &t.state
	if t.q.n == 0 {
		s.above = 0
		return w, false, false
	}
	w = f.take(t)
	backlog := t.q.bytes
	if now-w.since < c.target || backlog <= f.mtu {
		s.above = 0
		return w, true, false
	}
	if s.above == 0 {
		s.above = now + c.interval
		return w, true, false
	}
	return w, true, now >= s.above
}

// law is the time of the next drop.
func (c *codel) law(at time.Duration, count uint32) time.Duration {
	return at + time.Duration(float64(c.interval)/math.Sqrt(float64(count)))
}

func (c *codel) pop(f *flows, t *turn, now time.Duration) (Frame, bool) {
	s := &t.state
	w, ok, late := c.look(f, t, now)
	if !ok {
		s.dropping = false
		return Frame{}, false
	}
	switch {
	case s.dropping && !late:
		s.dropping = false
	case s.dropping:
		for s.dropping && now >= s.next {
			f.lost(w.Frame, drop.Shaped)
			s.count++
			if w, ok, late = c.look(f, t, now); !ok {
				s.dropping = false
				return Frame{}, false
			}
			if late {
				s.next = c.law(s.next, s.count)
			} else {
				s.dropping = false
			}
		}
	case late:
		f.lost(w.Frame, drop.Shaped)
		w, ok, _ = c.look(f, t, now)
		s.dropping = true
		// Where it dropped a moment ago it goes on at that pace.
		delta := s.count - s.before
		s.count = 1
		if delta > 1 && now-s.next < 16*c.interval {
			s.count = delta
		}
		s.next, s.before = c.law(now, s.count), s.count
		if !ok {
			s.dropping = false
			return Frame{}, false
		}
	}
	return w.Frame, true
}
