// Package clock gives daemons a time source that can be stopped and warped.
//
// A daemon holds one [Clock]. In production it is [Real]. With --enable-dummy
// it is a [Dummy], which follows the real clock until [Dummy.Stop] and from
// then on moves only when [Dummy.Warp] says so; the unixctl verbs time/stop
// and time/warp ([Dummy.Register]) drive it from outside, as the manual of
// ovs-vswitchd describes them. A test makes a Dummy with [NewStopped], which
// starts at a given instant and is fully deterministic.
//
// # Caveats
//
// A warp fires the timers that fall due in order of their deadlines, but their
// consumers are other goroutines: a warp does not wait until these have run.
// A test that needs that waits for the consumer's own event, or uses
// [Dummy.AwaitTimers] to see the consumer re-arm its timer.
package clock

import "time"

// Clock is a source of the current time and of timers that follow it.
// All methods may be called from many goroutines.
type Clock interface {
	// Now returns the current time of this clock.
	Now() time.Time
	// Since is Now().Sub(t).
	Since(t time.Time) time.Duration
	// NewTimer returns a timer that fires once, d from now. A d <= 0 fires at once.
	NewTimer(d time.Duration) Timer
	// After is NewTimer(d).C(), for waits that are never abandoned.
	After(d time.Duration) <-chan time.Time
	// NewTicker returns a ticker with period d (> 0); slow receivers lose ticks.
	NewTicker(d time.Duration) Ticker
}

// Timer is a single event in the future, as time.Timer.
type Timer interface {
	// C carries the time at which the timer fired; capacity one.
	C() <-chan time.Time
	// Stop prevents the firing; it reports whether the timer was still waiting.
	// After Stop nothing is left in C.
	Stop() bool
	// Reset re-arms the timer to fire d from now, dropping an unread firing.
	Reset(d time.Duration) bool
}

// Ticker fires again and again, as time.Ticker.
type Ticker interface {
	C() <-chan time.Time
	Stop()
	// Reset changes the period; the next tick is d from now.
	Reset(d time.Duration)
}

type realClock struct{}

// Real is the wall clock of the operating system (with its monotonic part).
func Real() Clock { return realClock{} }

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) Since(t time.Time) time.Duration        { return time.Since(t) }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }
func (realClock) NewTimer(d time.Duration) Timer         { return realTimer{time.NewTimer(d)} }
func (realClock) NewTicker(d time.Duration) Ticker       { return realTicker{time.NewTicker(d)} }

type realTimer struct{ t *time.Timer }

func (r realTimer) C() <-chan time.Time        { return r.t.C }
func (r realTimer) Stop() bool                 { return r.t.Stop() }
func (r realTimer) Reset(d time.Duration) bool { return r.t.Reset(d) }

type realTicker struct{ t *time.Ticker }

func (r realTicker) C() <-chan time.Time   { return r.t.C }
func (r realTicker) Stop()                 { r.t.Stop() }
func (r realTicker) Reset(d time.Duration) { r.t.Reset(d) }
