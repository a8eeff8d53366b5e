package clock

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"sync"
	"time"
)

// Dummy is a clock that can be stopped and moved by hand.
type Dummy struct {
	mu      sync.Mutex
	stopped bool
	offset  time.Duration // added to the real clock while running
	now     time.Time     // the time while stopped
	seq     uint64
	events  map[*event]struct{}
	changed chan struct{} // closed and replaced when the set of events changes
}

// event is one armed timer or ticker.
type event struct {
	d      *Dummy
	c      chan time.Time
	when   time.Time
	period time.Duration // 0: fires once
	seq    uint64        // ties fire in the order of arming
	real   *time.Timer   // drives the event while the clock runs
	armed  bool
}

// NewDummy returns a dummy clock that follows the real one until Stop.
func NewDummy() *Dummy {
	return &Dummy{events: map[*event]struct{}{}, changed: make(chan struct{})}
}

// NewStopped returns a dummy clock standing at the given time.
func NewStopped(at time.Time) *Dummy {
	d := NewDummy()
	d.stopped, d.now = true, at
	return d
}

func (d *Dummy) nowLocked() time.Time {
	if d.stopped {
		return d.now
	}
	return time.Now().Add(d.offset)
}

// Now returns the time of the dummy clock.
func (d *Dummy) Now() time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nowLocked()
}

// Since is Now().Sub(t).
func (d *Dummy) Since(t time.Time) time.Duration { return d.Now().Sub(t) }

// Stopped reports whether Stop was called.
func (d *Dummy) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// Stop freezes the clock at its current time; only Warp moves it from then on.
func (d *Dummy) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	d.now = d.nowLocked().Round(0)
	d.stopped = true
	for e := range d.events {
		if e.real != nil {
			e.real.Stop()
			e.real = nil
		}
	}
}

// Warp moves the clock forward by total, in steps of step (total at once where
// step is not in (0, total)); timers fire as the steps pass them, in order of
// their deadlines. It works on a running clock, too.
func (d *Dummy) Warp(total, step time.Duration) {
	if step <= 0 || step > total {
		step = total
	}
	for total > 0 {
		n := min(step, total)
		d.advance(n)
		total -= n
	}
}

// advance moves the clock by n, stopping at each deadline on the way.
func (d *Dummy) advance(n time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	target := d.nowLocked().Add(n)
	for {
		e := d.nextLocked(target)
		if e == nil {
			break
		}
		if d.stopped && e.when.After(d.now) {
			d.now = e.when
		}
		d.fireLocked(e)
	}
	if d.stopped {
		d.now = target
		return
	}
	d.offset += n
	for e := range d.events { // deadlines came nearer
		d.driveLocked(e)
	}
}

// nextLocked returns the earliest event not after limit, or nil.
func (d *Dummy) nextLocked(limit time.Time) *event {
	var best *event
	for e := range d.events {
		if e.when.After(limit) {
			continue
		}
		if best == nil || e.when.Before(best.when) || (e.when.Equal(best.when) && e.seq < best.seq) {
			best = e
		}
	}
	return best
}

func (d *Dummy) fireLocked(e *event) {
	select {
	case e.c <- e.when:
	default:
	}
	if e.period > 0 {
		e.when = e.when.Add(e.period)
		d.seq++
		e.seq = d.seq
		d.driveLocked(e)
		return
	}
	d.disarmLocked(e)
}

func (d *Dummy) armLocked(e *event, in time.Duration) {
	if in < 0 {
		in = 0
	}
	d.seq++
	e.seq, e.when, e.armed = d.seq, d.nowLocked().Add(in), true
	d.events[e] = struct{}{}
	d.noteLocked()
	if in == 0 && e.period == 0 {
		d.fireLocked(e)
		return
	}
	d.driveLocked(e)
}

func (d *Dummy) disarmLocked(e *event) {
	e.armed = false
	delete(d.events, e)
	if e.real != nil {
		e.real.Stop()
		e.real = nil
	}
	d.noteLocked()
}

func (d *Dummy) noteLocked() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// driveLocked sets the real timer behind e while the clock runs.
func (d *Dummy) driveLocked(e *event) {
	if e.real != nil {
		e.real.Stop()
		e.real = nil
	}
	if d.stopped || !e.armed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(max(0, e.when.Sub(d.nowLocked())), func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.stopped || !e.armed || e.real != t {
			return
		}
		d.fireLocked(e)
	})
	e.real = t
}

// NewTimer returns a timer of this clock.
func (d *Dummy) NewTimer(in time.Duration) Timer {
	e := &event{d: d, c: make(chan time.Time, 1)}
	d.mu.Lock()
	d.armLocked(e, in)
	d.mu.Unlock()
	return (*dummyTimer)(e)
}

// After is NewTimer(in).C().
func (d *Dummy) After(in time.Duration) <-chan time.Time { return d.NewTimer(in).C() }

// NewTicker returns a ticker of this clock.
func (d *Dummy) NewTicker(period time.Duration) Ticker {
	if period <= 0 {
		panic("clock: ticker period must be positive")
	}
	e := &event{d: d, c: make(chan time.Time, 1), period: period}
	d.mu.Lock()
	d.armLocked(e, period)
	d.mu.Unlock()
	return (*dummyTicker)(e)
}

// Deadlines returns the deadlines of the armed timers, earliest first.
func (d *Dummy) Deadlines() []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]time.Time, 0, len(d.events))
	for e := range d.events {
		out = append(out, e.when)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Before(out[j]) })
	return out
}

// AwaitTimers waits until at least n timers and tickers are armed.
func (d *Dummy) AwaitTimers(ctx context.Context, n int) error {
	for {
		d.mu.Lock()
		have, changed := len(d.events), d.changed
		d.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("clock: %d timers armed, waited for %d: %w", have, n, ctx.Err())
		}
	}
}

type dummyTimer event

func (t *dummyTimer) C() <-chan time.Time { return t.c }

func (t *dummyTimer) Stop() bool {
	e := (*event)(t)
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	was := e.armed
	e.d.disarmLocked(e)
	drain(e.c)
	return was
}

func (t *dummyTimer) Reset(in time.Duration) bool {
	e := (*event)(t)
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	was := e.armed
	drain(e.c)
	e.d.armLocked(e, in)
	return was
}

type dummyTicker event

func (t *dummyTicker) C() <-chan time.Time { return t.c }

func (t *dummyTicker) Stop() { (*dummyTimer)(t).Stop() }

func (t *dummyTicker) Reset(period time.Duration) {
	if period <= 0 {
		panic("clock: ticker period must be positive")
	}
	e := (*event)(t)
	e.d.mu.Lock()
	defer e.d.mu.Unlock()
	e.period = period
	drain(e.c)
	e.d.armLocked(e, period)
}

func drain(c chan time.Time) {
	select {
	case <-c:
	default:
	}
}

// Registrar is the part of a unixctl server that Register needs.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error))
}

// Register adds the verbs time/stop and time/warp to a unixctl server.
// settle, where not nil, is called after each step of a warp, so that a daemon
// can let its loops run before the next step.
func (d *Dummy) Register(r Registrar, settle func(ctx context.Context)) {
	var warping sync.Mutex
	r.Register("time/stop", "", 0, 0, func(context.Context, []string) (string, error) {
		d.Stop()
		return "", nil
	})
	r.Register("time/warp", "[large_msecs] msecs", 1, 2, func(ctx context.Context, args []string) (string, error) {
		total, step, err := warpArgs(args)
		if err != nil {
			return "", err
		}
		if !warping.TryLock() {
			return "", errWarping
		}
		defer warping.Unlock()
		for total > 0 && ctx.Err() == nil {
			n := min(step, total)
			d.advance(n)
			total -= n
			if settle != nil {
				settle(ctx)
			}
		}
		return "warped", nil
	})
}

//lint:ignore ST1005 the text of the C program
var errWarping = errors.New("A previous warp in progress")

func warpArgs(args []string) (total, step time.Duration, err error) {
	ms := make([]time.Duration, len(args))
	for i, a := range args {
		digits := 0 // what follows the number does not matter, as in C
		for digits < len(a) && a[digits] >= '0' && a[digits] <= '9' {
			digits++
		}
		n, err := strconv.ParseInt(a[:digits], 10, 64)
		if err != nil || n <= 0 || n > int64(1<<62/time.Millisecond) {
			return 0, 0, errors.New("invalid MSECS")
		}
		ms[i] = time.Duration(n) * time.Millisecond
	}
	total, step = ms[0], ms[len(ms)-1]
	return total, min(step, total), nil
}
