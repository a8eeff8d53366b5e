package shape

import (
	"cmp"
	"math/rand/v2"
	"time"

	"govs/datapath/drop"
)

// A netem has each frame wait for a while, and loses some.
type netem struct {
	lost            Lost
	latency, jitter time.Duration
	loss            float64
	limit           int
	random          *rand.Rand
	heap            []delayed
	count           uint64
	stats           Stats
}

type delayed struct {
	Frame
	due   time.Duration
	order uint64 // of those with the same time
}

func (a *delayed) before(b *delayed) bool {
	return a.due < b.due || a.due == b.due && a.order < b.order
}

// NetemLimit is Config.Limit's default for Netem.
const NetemLimit = 1000

func newNetem(c Config, lost Lost) *netem {
	return &netem{
		lost: lost, latency: c.Latency, jitter: c.Jitter, loss: c.Loss, limit: cmp.Or(c.Limit, NetemLimit),
		random: rand.New(rand.NewPCG(c.Seed, 1)),
	}
}

// Push implements Scheduler.
func (n *netem) Push(f Frame, now time.Duration) bool {
	switch {
	case n.loss > 0 && n.random.Float64() < n.loss:
		n.stats.Dropped++
		n.lost(f, drop.Shaped)
		return false
	case len(n.heap) >= n.limit:
		n.stats.Dropped++
		n.lost(f, drop.QueueFull)
		return false
	}
	due := now + n.latency
	if n.jitter > 0 {
		due = max(now, due-n.jitter+time.Duration(n.random.Int64N(2*int64(n.jitter)+1)))
	}
	n.count++
	n.heap = append(n.heap, delayed{f, due, n.count})
	at := len(n.heap) - 1
	for at > 0 {
		up := (at - 1) / 2
		if !n.heap[at].before(&n.heap[up]) {
			break
		}
		n.heap[at], n.heap[up] = n.heap[up], n.heap[at]
		at = up
	}
	return at == 0
}

// Pop implements Scheduler.
func (n *netem) Pop(now time.Duration) (Frame, bool, time.Duration) {
	switch {
	case len(n.heap) == 0:
		return Frame{}, false, Never
	case n.heap[0].due > now:
		return Frame{}, false, n.heap[0].due
	}
	f := n.take()
	n.stats.Packets++
	n.stats.Bytes += uint64(f.Bytes)
	return f, true, now
}

// take removes the first of the heap.
func (n *netem) take() Frame {
	f := n.heap[0].Frame
	last := len(n.heap) - 1
	n.heap[0] = n.heap[last]
	n.heap[last] = delayed{}
	n.heap = n.heap[:last]
	for at := 0; ; {
		down := 2*at + 1
		if down >= last {
			return f
		}
		if right := down + 1; right < last && n.heap[right].before(&n.heap[down]) {
			down = right
		}
		if !n.heap[down].before(&n.heap[at]) {
			return f
		}
		n.heap[at], n.heap[down] = n.heap[down], n.heap[at]
		at = down
	}
}

// Drain implements Scheduler.
func (n *netem) Drain() (Frame, bool) {
	if len(n.heap) == 0 {
		return Frame{}, false
	}
	return n.take(), true
}

// Stats implements Scheduler.
func (n *netem) Stats() []Stats {
	s := n.stats
	s.Waiting = len(n.heap)
	return []Stats{s}
}
