package shape

import (
	"time"

	"govs/datapath/drop"
)

// A policer drops what does not conform to a single token bucket, as the
// manual has it for egress-policer, and lets the rest through at once.
type policer struct {
	lost   Lost
	rate   float64 // bytes a second
	depth  float64
	header int
	tokens float64
	at     time.Duration
	begun  bool
	limit  int
	q      fifo
	stats  Stats
}

// policerRoom is how many frames may wait to be fetched.
const policerRoom = 4096

func newPolicer(c Config, lost Lost) *policer {
	return &policer{lost: lost, rate: perSecond(c.Rate), depth: float64(c.Burst), header: c.Header, limit: policerRoom}
}

// Push implements Scheduler.
func (p *policer) Push(f Frame, now time.Duration) bool {
	if !p.begun {
		p.begun, p.tokens = true, p.depth
	} else if now > p.at {
		p.tokens = min(p.depth, p.tokens+p.rate*(now-p.at).Seconds())
	}
	p.at = max(p.at, now)
	size := float64(max(f.Bytes-p.header, 0))
	why := drop.Shaped
	switch {
	case size > p.tokens:
	case p.q.n >= p.limit:
		why = drop.QueueFull
	default:
		p.tokens -= size
		p.q.push(f, now)
		return p.q.n == 1
	}
	p.stats.Dropped++
	p.lost(f, why)
	return false
}

// Pop implements Scheduler.
func (p *policer) Pop(now time.Duration) (Frame, bool, time.Duration) {
	if p.q.n == 0 {
		return Frame{}, false, Never
	}
	f := p.q.pop().Frame
	p.stats.Packets++
	p.stats.Bytes += uint64(f.Bytes)
	return f, true, now
}

// Drain implements Scheduler.
func (p *policer) Drain() (Frame, bool) {
	if p.q.n == 0 {
		return Frame{}, false
	}
	return p.q.pop().Frame, true
}

// Stats implements Scheduler.
func (p *policer) Stats() []Stats {
	s := p.stats
	s.Waiting = p.q.n
	return []Stats{s}
}
