package shape

import (
	"cmp"
	"slices"
	"time"

	"govs/datapath/drop"
)

// A tree is a port's rate that queues share. A queue that has not used up its
// guaranteed rate goes before those that have; these share what is left over,
// those of the lowest priority number first, those of the same by turns, in
// proportion to their guaranteed rates. Within a queue flows take turns, so
// that no connection keeps others from their part, and a frame of one that
// sends little does not wait behind all of another.
type tree struct {
	root   bucket
	leaves []*leaf // by ID
	byID   map[uint32]*leaf
	levels []level // by priority
	n      int     // frames that wait
}

// A level are the queues of the same priority.
type level struct {
	priority uint32
	active   []*leaf // that have frames
	turn     [2]int  // whose turn it is, of those with guaranteed rate left, and of those without
}

type leaf struct {
	id      uint32
	q       flows
	own     bucket // guaranteed
	most    bucket
	level   *level
	quantum int
	deficit [2]int
	limit   int // frames
	room    int // bytes
	stats   Stats
}

// Bounds of a queue: what leaves in a tenth of a second, within these, in
// bytes; and no more frames than there would be of some hundred bytes each.
const (
	queueTime = 100 * time.Millisecond
	leastRoom = 64 << 10
	mostRoom  = 4 << 20
	leastLen  = 1000 // frames, as many as a device's queue has by default
)

// queueFlows is how many flows are told apart in a queue.
const queueFlows = 256

// most is the queue's highest rate, at a port of that rate; 0 is no limit.
func (q *Queue) most(port uint64) uint64 {
	if q.Max == 0 || port != 0 && q.Max > port {
		return port
	}
	return q.Max
}

// Room is how many bytes may wait in the queue, at a port of that rate in bits
// a second: what leaves in a tenth of a second, within bounds.
func (q *Queue) Room(port uint64) int {
	rate := q.most(port)
	if rate == 0 {
		return mostRoom
	}
	return min(max(int(perSecond(rate)*queueTime.Seconds()), q.Burst, leastRoom), mostRoom)
}

// mostQuantum is what the queue with the highest guaranteed rate sends in a
// turn, in bytes; the others send in proportion, but no less than a frame.
// (With Linux's htb turns are the same for all from 16 Mbit/s on.)
const mostQuantum = 60000

func newTree(c Config, lost Lost) *tree {
	t := &tree{byID: make(map[uint32]*leaf)}
	t.root = bucket{rate: perSecond(c.Rate), depth: float64(c.MTU)}
	queues := c.Queues
	if len(queues) == 0 || queues[0].ID != 0 {
		queues = append([]Queue{{DSCP: -1}}, queues...)
	}
	priorities, most := make([]uint32, 0, len(queues)), uint64(1)
	for _, q := range queues {
		priorities = append(priorities, q.Priority)
		most = max(most, q.Min)
	}
	slices.Sort(priorities)
	priorities = slices.Compact(priorities)
	t.levels = make([]level, len(priorities))
	for i, p := range priorities {
		t.levels[i].priority = p
	}
	for _, q := range queues {
		if t.byID[q.ID] != nil {
			continue
		}
		ceil := q.most(c.Rate)
		at, _ := slices.BinarySearch(priorities, q.Priority)
		l := &leaf{
			id:    q.ID,
			own:   bucket{rate: perSecond(q.Min), depth: float64(max(q.Burst, c.MTU))},
			most:  bucket{rate: perSecond(ceil), depth: float64(max(q.Burst, c.MTU))},
			level: &t.levels[at], quantum: max(int(mostQuantum*float64(q.Min)/float64(most)), c.MTU),
			room:  q.Room(c.Rate),
			stats: Stats{Queue: q.ID},
		}
		l.q = flows{quantum: c.MTU, mtu: c.MTU, sparse: true, salt: uint32(c.Seed), lost: func(f Frame, why drop.Reason) {
			l.stats.Dropped++
			lost(f, why)
		}}
		l.limit = cmp.Or(c.Limit, max(leastLen, l.room/128))
		t.leaves = append(t.leaves, l)
		t.byID[q.ID] = l
	}
	slices.SortFunc(t.leaves, func(a, b *leaf) int { return cmp.Compare(a.id, b.id) })
	return t
}

// Push implements Scheduler.
func (t *tree) Push(f Frame, now time.Duration) bool {
	l := t.byID[f.Queue]
	if l == nil {
		l = t.byID[0]
	}
	first := l.q.n == 0
	if first {
		if t.n == 0 {
			t.root.fill(now, false)
		}
		l.own.fill(now, false)
		l.most.fill(now, false)
		l.level.active = append(l.level.active, l)
		if l.q.turns == nil {
			l.q.room(queueFlows)
		}
	}
	l.q.push(f, now)
	t.n++
	// An empty queue takes a segment of any length.
	for l.q.n > 1 && (l.q.n > l.limit || l.q.bytes > l.room) {
		l.q.dropLongest()
		t.n--
	}
	return first
}

// Pop implements Scheduler.
func (t *tree) Pop(now time.Duration) (Frame, bool, time.Duration) {
	if t.n == 0 {
		return Frame{}, false, Never
	}
	if t.root.fill(now, true); !t.root.open() {
		return Frame{}, false, t.root.ready()
	}
	next := Never
	for i := range t.levels {
		for _, l := range t.levels[i].active {
			l.own.fill(now, true)
			if l.most.fill(now, true); !l.most.open() {
				next = min(next, l.most.ready())
			}
		}
	}
	for borrow := range 2 {
		for i := range t.levels {
			if l := t.levels[i].pick(borrow); l != nil {
				return t.send(l, borrow, now), true, now
			}
		}
	}
	return Frame{}, false, next
}

// pick is the queue whose turn it is.
func (v *level) pick(borrow int) *leaf {
	able := 0
	for _, l := range v.active {
		if l.can(borrow) {
			able++
		}
	}
	if able == 0 {
		return nil
	}
	for at := &v.turn[borrow]; ; *at++ {
		if *at >= len(v.active) {
			*at = 0
		}
		l := v.active[*at]
		switch {
		case !l.can(borrow):
		case able == 1: // what nobody else could take is no debt
			l.deficit[borrow] = max(l.deficit[borrow], l.quantum)
			return l
		case l.deficit[borrow] > 0:
			return l
		default:
			if l.deficit[borrow] += l.quantum; l.deficit[borrow] > 0 {
				return l
			}
		}
	}
}

// can says whether the queue may send: of its guaranteed rate, or of what is
// left over. One without a guaranteed rate has none of it left.
func (l *leaf) can(borrow int) bool {
	if !l.most.open() {
		return false
	}
	return (l.own.rate > 0 && l.own.tokens >= 0) == (borrow == 0)
}

// send takes a frame out of a queue.
func (t *tree) send(l *leaf, borrow int, now time.Duration) Frame {
	f, _ := l.q.pop(now)
	t.n--
	l.stats.Packets++
	l.stats.Bytes += uint64(f.Bytes)
	if borrow == 0 {
		l.own.take(f.Bytes)
	}
	l.most.take(f.Bytes)
	t.root.take(f.Bytes)
	l.deficit[borrow] -= f.Bytes
	if l.q.n == 0 {
		t.rest(l)
	} else if l.deficit[borrow] <= 0 {
		l.level.turn[borrow]++
	}
	return f
}

// rest takes an empty queue from those that have frames.
func (t *tree) rest(l *leaf) {
	v := l.level
	at := slices.Index(v.active, l)
	v.active = slices.Delete(v.active, at, at+1)
	for i := range v.turn {
		if v.turn[i] > at {
			v.turn[i]--
		}
		l.deficit[i] = min(l.deficit[i], 0)
	}
}

// Drain implements Scheduler.
func (t *tree) Drain() (Frame, bool) {
	for _, l := range t.leaves {
		if l.q.n > 0 {
			f, _ := l.q.drain()
			if t.n--; l.q.n == 0 {
				t.rest(l)
			}
			return f, true
		}
	}
	return Frame{}, false
}

// Stats implements Scheduler.
func (t *tree) Stats() []Stats {
	all := make([]Stats, 0, len(t.leaves))
	for _, l := range t.leaves {
		s := l.stats
		s.Waiting = l.q.n
		all = append(all, s)
	}
	return all
}
