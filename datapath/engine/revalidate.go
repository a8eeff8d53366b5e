package engine

import (
	"slices"
	"sync"
	"time"

	"govs/datapath/action"
	"govs/datapath/classifier"
	"govs/datapath/flow"
)

const (
	firstLimit = 10000
	leastLimit = 1000
	period     = 500 * time.Millisecond
	crowdIdle  = 100 * time.Millisecond // max-idle when there are too many megaflows
)

type entry = classifier.Entry[megaflow]

// A revalidator is what runs over the megaflows remember.
type revalidator struct {
	mu   sync.Mutex // one run at a time
	res  Result
	gone []*entry // removed in the last run; packets may still have been on their way
	dead int      // removed since the caches were swept

	stats struct { // what Status tells
		sync.Mutex
		took time.Duration
		most int
		mean float64
	}
}

// Changed says that translations may come out differently now: every
// megaflow is translated again, soon and in the background. Calls that come
// close together share one run.
func (e *Engine) Changed() {
	e.gen.Add(1)
	e.wake()
}

func (e *Engine) wake() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// revalidator is the goroutine that runs twice a second and after Changed.
func (e *Engine) revalidator() {
	defer close(e.stopped)
	tick := e.clock.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-tick.C():
		case <-e.kick:
		}
		start := time.Now()
		e.Revalidate()
		// Changes that come without end get half of one processor.
		if took := time.Since(start); took > 5*time.Millisecond {
			pause := time.NewTimer(took)
			select {
			case <-e.stop:
				pause.Stop()
				return
			case <-pause.C:
			}
		}
	}
}

// Revalidate credits traffic, expires what was idle, and translates again
// what was translated before the last Changed, all of it before it returns.
func (e *Engine) Revalidate() {
	start := time.Now()
	r := &e.rev
	r.mu.Lock()
	defer r.mu.Unlock()
	now, gen := e.clock.Now(), e.gen.Load()
	gone := r.gone
	r.gone = nil
	for _, f := range gone {
		e.uncache(f)
		credit(f)
	}
	e.collectPoliced()
	n := e.table.Len()
	limit := int(e.limit.Load())
	idle := time.Duration(e.maxIdle.Load())
	if n > limit {
		idle = min(idle, crowdIdle)
	}
	for f := range e.table.All() {
		e.collect(f)
		credit(f)
		if n > 2*limit || now.Sub(f.Value.lastUsed()) > idle || f.Value.gen != gen && !e.again(f, gen, now) {
			e.bury(f)
		}
	}
	e.table.Sort()
	e.sweepCaches()
	took := time.Since(start)
	e.adapt(n, took)
	r.stats.Lock()
	defer r.stats.Unlock()
	r.stats.took = took
	r.stats.most = max(r.stats.most, n)
	r.stats.mean += (float64(n) - r.stats.mean) / 16
}

// again translates a megaflow again, and says whether it still holds. Where
// other actions come out of the bits that it matches, another one with its
// counters takes its place.
func (e *Engine) again(f *entry, gen uint64, now time.Time) bool {
	res := &e.rev.res
	if !e.translate(&Request{Key: f.Key(), Now: now}, res) {
		return false
	}
	if res.Uncacheable || !f.Mask().Covers(&res.Mask) {
		return false
	}
	if !action.Equal(res.lasting(), f.Value.actions) {
		e.replace(f, res, gen)
		return true
	}
	f.Value.gen = gen
	f.Value.credit = append(f.Value.credit[:0], res.Credit...)
	return true
}

// replace puts a megaflow with other actions in the place of one. Traffic that
// still goes by the old one is credited where that came from.
func (e *Engine) replace(old *entry, res *Result, gen uint64) {
	f := classifier.New[megaflow](old.Key(), old.Mask())
	v, was := &f.Value, &old.Value
	v.actions, v.credit = slices.Clone(res.lasting()), slices.Clone(res.Credit)
	v.created, v.gen, v.credited = was.created, gen, was.credited
	v.packets.Store(was.credited.Packets)
	v.bytes.Store(was.credited.Bytes)
	v.flags.Store(was.flags.Load())
	v.used.Store(was.used.Load())
	e.bury(old)
	e.table.Insert(f)
}

// bury removes a megaflow. Packets that found it before are credited in the
// next run.
func (e *Engine) bury(f *entry) {
	if e.table.Remove(f) {
		e.unfront(f)
		e.rev.gone = append(e.rev.gone, f)
		e.rev.dead++
	}
}

// sweepAfter is the number of dead megaflows that caches may hold on to.
const sweepAfter = 1000

// sweepCaches makes the workers forget what was removed: those at rest here,
// the others at the end of their batch.
func (e *Engine) sweepCaches() {
	if e.rev.dead < sweepAfter {
		return
	}
	e.rev.dead = 0
	for _, m := range *e.ports.Load() {
		if m == nil {
			continue
		}
		m.worker.stale.Store(true)
		if m.worker.busy.TryLock() {
			m.worker.sweep()
			m.worker.busy.Unlock()
		}
	}
}

// adapt moves the flow limit to what can be looked through in about a second.
func (e *Engine) adapt(n int, took time.Duration) {
	limit, most := e.limit.Load(), e.cap.Load()
	switch ms := took.Milliseconds(); {
	case ms > 2000:
		limit = limit * 1000 / ms
	case ms > 1300:
		limit = limit * 3 / 4
	case ms < 1000 && int64(n) > limit/2:
		limit += 1000
	}
	e.limit.Store(min(max(limit, min(leastLimit, most)), most))
}

// Insert installs a megaflow that no packet asked for, and says whether there
// was none with its mask and masked key before. It lives until a revalidation
// finds that the Translator would answer otherwise.
func (e *Engine) Insert(key *flow.Key, mask *flow.Mask, actions []action.Action) bool {
	normalize(mask, key)
	f := classifier.New[megaflow](key, mask)
	f.Value.actions = slices.Clone(actions)
	f.Value.created, f.Value.gen = e.clock.Now(), e.gen.Load()
	_, fresh := e.table.Insert(f)
	return fresh
}

// Delete removes the megaflows that are wanted, after crediting their traffic,
// and returns how many.
func (e *Engine) Delete(wanted func(Flow) bool) int {
	n := 0
	e.sweep(func(f *entry) bool {
		if !wanted(f.Value.describe(f)) {
			return false
		}
		n++
		return true
	})
	return n
}

// Flush removes all megaflows, after crediting their traffic.
func (e *Engine) Flush() { e.sweep(func(*entry) bool { return true }) }

// forget removes the megaflows of an input port.
func (e *Engine) forget(no flow.PortNo) {
	e.uncacheTo(no)
	e.sweep(func(f *entry) bool { return f.Key().InPort == no })
}

func (e *Engine) sweep(wanted func(*entry) bool) {
	e.rev.mu.Lock()
	defer e.rev.mu.Unlock()
	for f := range e.table.All() {
		if wanted(f) {
			e.bury(f)
			e.collect(f)
			credit(f)
		}
	}
}

func (f *megaflow) lastUsed() time.Time {
	if at := f.used.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return f.created
}

// credit tells the megaflow's creditors of the traffic since the last time.
func credit(e *entry) {
	f := &e.Value
	t := Traffic{TCPFlags: uint16(f.flags.Load()), Packets: f.packets.Load(), Bytes: f.bytes.Load()}
	sum := t
	t.Packets -= f.credited.Packets
	t.Bytes -= f.credited.Bytes
	f.credited = sum
	if n := f.missPackets.Swap(0); n > 0 {
		t.Packets += n
		t.Bytes += f.missBytes.Swap(0)
	}
	if t.Packets == 0 {
		return
	}
	t.TCPFlags |= uint16(f.missFlags.Load())
	t.Last = f.lastUsed()
	t.First = t.Last
	if at := f.first.Swap(0); at != 0 {
		t.First = time.Unix(0, at)
	}
	for _, to := range f.credit {
		to.Credit(e.Key(), t)
	}
}
