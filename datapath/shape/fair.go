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
	lost   Lost
	mtu    int
	codel  bool
	sparse bool // flows that come anew go first
	limit  int
	aqm    codel

	perturb time.Duration
	salt    uint32
	last    time.Duration // when the salt changed

	flows    []turn
	quantum  int
	new, old list
	n, bytes int // that wait in all
	stats    Stats
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
	f := &fair{
		lost: lost, mtu: c.MTU, quantum: max(cmp.Or(c.Quantum, c.MTU), 1), perturb: c.Perturb,
		salt: uint32(c.Seed), new: empty, old: empty,
	}
	flows := 1
	switch c.Kind {
	case SFQ:
		flows, f.limit = sfqFlows, cmp.Or(c.Limit, SFQLimit)
	case CoDel:
		f.codel, f.limit = true, cmp.Or(c.Limit, CoDelLimit)
	case FQCoDel:
		f.codel, f.sparse = true, true
		flows, f.limit = min(max(cmp.Or(c.Flows, FQCoDelFlows), 1), maxFlows), cmp.Or(c.Limit, FQCoDelLimit)
	}
	f.flows = make([]turn, flows)
	f.aqm = codel{target: cmp.Or(c.Target, CoDelTarget), interval: cmp.Or(c.Interval, CoDelInterval)}
	return f
}

func (f *fair) append(l *list, at int32) {
	f.flows[at].next = -1
	if l.tail < 0 {
		l.head = at
	} else {
		f.flows[l.tail].next = at
	}
	l.tail = at
}

func (f *fair) shift(l *list) {
	if l.head = f.flows[l.head].next; l.head < 0 {
		l.tail = -1
	}
}

// Push implements Scheduler.
func (f *fair) Push(frame Frame, now time.Duration) bool {
	if f.perturb > 0 && f.n == 0 && now-f.last >= f.perturb { // when it reorders nothing
		f.last = now
		f.salt = f.salt*1664525 + 1013904223
	}
	at := int32((frame.Hash ^ f.salt) * 2654435761 % uint32(len(f.flows)))
	t := &f.flows[at]
	t.q.push(frame, now)
	f.n++
	f.bytes += frame.Bytes
	if !t.listed {
		t.listed, t.deficit = true, f.quantum
		if f.sparse {
			f.append(&f.new, at)
		} else {
			f.append(&f.old, at)
		}
	}
	if f.n > f.limit {
		f.dropLongest()
	}
	return f.n == 1
}

// dropLongest makes room: the flow that takes most of it loses its oldest
// frame.
func (f *fair) dropLongest() {
	longest, most := 0, -1
	for i := range f.flows {
		if n := f.flows[i].q.bytes; f.flows[i].q.n > 0 && n > most {
			longest, most = i, n
		}
	}
	w := f.flows[longest].q.pop()
	f.left(&w)
	f.drop(w.Frame, drop.QueueFull)
}

func (f *fair) left(w *waiting) {
	f.n--
	f.bytes -= w.Bytes
}

func (f *fair) drop(frame Frame, why drop.Reason) {
	f.stats.Dropped++
	f.lost(frame, why)
}

// Pop implements Scheduler.
func (f *fair) Pop(now time.Duration) (Frame, bool, time.Duration) {
	for {
		l := &f.new
		if l.head < 0 {
			if l = &f.old; l.head < 0 {
				return Frame{}, false, Never
			}
		}
		at := l.head
		t := &f.flows[at]
		if t.deficit <= 0 {
			t.deficit += f.quantum
			f.shift(l)
			f.append(&f.old, at)
			continue
		}
		frame, ok := f.take(t, now)
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
		f.stats.Packets++
		f.stats.Bytes += uint64(frame.Bytes)
		return frame, true, now
	}
}

// take takes a flow's next frame.
func (f *fair) take(t *turn, now time.Duration) (Frame, bool) {
	if !f.codel {
		if t.q.n == 0 {
			return Frame{}, false
		}
		w := t.q.pop()
		f.left(&w)
		return w.Frame, true
	}
	return f.aqm.pop(f, t, now)
}

// Drain implements Scheduler.
func (f *fair) Drain() (Frame, bool) {
	for i := range f.flows {
		if t := &f.flows[i]; t.q.n > 0 {
			w := t.q.pop()
			f.left(&w)
			return w.Frame, true
		}
	}
	return Frame{}, false
}

// Stats implements Scheduler.
func (f *fair) Stats() []Stats {
	s := f.stats
	s.Waiting = f.n
	return []Stats{s}
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
func (c *codel) look(f *fair, t *turn, now time.Duration) (w waiting, ok, late bool) {
	s := &t.state
	if t.q.n == 0 {
		s.above = 0
		return w, false, false
	}
	w = t.q.pop()
	f.left(&w)
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

func (c *codel) pop(f *fair, t *turn, now time.Duration) (Frame, bool) {
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
			f.drop(w.Frame, drop.Shaped)
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
		f.drop(w.Frame, drop.Shaped)
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
