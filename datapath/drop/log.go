package drop

import (
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/flow"
)

const (
	shards   = 8
	ring     = 32  // samples kept of each reason
	headSize = 128 // bytes kept of each sampled frame
)

// A Sample is one packet that was discarded.
type Sample struct {
	Time   time.Time
	Reason Reason
	Port   flow.PortNo // where the packet entered
	Out    flow.PortNo // where it was to leave, 0 where it had not come that far
	Key    flow.Key
	Mask   *flow.Mask // of the megaflow that did it, nil where none was looked up
	Len    int        // length of the frame in bytes
	Head   []byte     // its first bytes, 128 at the most
}

// A Log counts drops and keeps the last samples of each reason. The zero
// value is ready; a Log is safe for concurrent use and must not be copied.
type Log struct {
	counts [shards]struct {
		n [numReasons]atomic.Uint64
		_ [64]byte
	}
	samples [numReasons]struct {
		mu   sync.Mutex
		ring []Sample
		next uint64
	}
}

// Count adds n drops. shard is any number: goroutines that pass different
// ones do not wait for each other.
func (l *Log) Count(shard int, r Reason, n uint64) {
	l.counts[uint(shard)%shards].n[r].Add(n)
}

// Sample keeps s, whose Head may alias the frame and have any length: what is
// kept is a copy. It keeps nothing when another goroutine is at it.
func (l *Log) Sample(s *Sample) {
	q := &l.samples[s.Reason]
	if !q.mu.TryLock() {
		return
	}
	defer q.mu.Unlock()
	if q.ring == nil {
		q.ring = make([]Sample, ring)
		heads := make([]byte, ring*headSize)
		for i := range q.ring {
			q.ring[i].Head = heads[i*headSize : i*headSize : (i+1)*headSize]
		}
	}
	to := &q.ring[q.next%ring]
	q.next++
	head := append(to.Head[:0], s.Head[:min(len(s.Head), headSize)]...)
	*to = *s
	to.Head = head
}

// Total is the number of drops for the reason.
func (l *Log) Total(r Reason) uint64 {
	var sum uint64
	for i := range l.counts {
		sum += l.counts[i].n[r].Load()
	}
	return sum
}

// Samples are the last drops, grouped by reason, oldest first within each.
func (l *Log) Samples() []Sample {
	var all []Sample
	for i := range l.samples {
		q := &l.samples[i]
		q.mu.Lock()
		first := uint64(0)
		if q.next > ring {
			first = q.next - ring
		}
		for n := first; n < q.next; n++ {
			s := q.ring[n%ring]
			s.Head = append([]byte(nil), s.Head...)
			all = append(all, s)
		}
		q.mu.Unlock()
	}
	return all
}
