package ebpf

import "time"

// places hands out the places of a map. One that was given back rests for a
// while, as a program may still hold it.
type places struct {
	limit uint32
	next  uint32
	free  []uint32
	rests []rest // oldest first
}

type rest struct {
	at    uint32
	until time.Time
}

func (p *places) take() (uint32, bool) {
	if len(p.rests) > 0 {
		now := time.Now()
		n := 0
		for n < len(p.rests) && p.rests[n].until.Before(now) {
			p.free = append(p.free, p.rests[n].at)
			n++
		}
		p.rests = append(p.rests[:0], p.rests[n:]...)
	}
	if n := len(p.free); n > 0 {
		at := p.free[n-1]
		p.free = p.free[:n-1]
		return at, true
	}
	if p.next == p.limit {
		return 0, false
	}
	p.next++
	return p.next - 1, true
}

func (p *places) give(at uint32) { p.rests = append(p.rests, rest{at, time.Now().Add(limbo)}) }
