package collector

import (
	"sync/atomic"
	"time"

	"govs/internal/clock"
)

// A Loop is an exporter's goroutine: it looks from time to time what is to be
// sent, and at once when it is told to. It is safe for concurrent use.
type Loop struct {
	closed          atomic.Bool
	due, stop, done chan struct{}
}

// NewLoop calls tick after each interval, and full after Due, which may be nil
// where Due is not called; one at a time.
func NewLoop(c clock.Clock, interval time.Duration, tick, full func()) *Loop {
	l := &Loop{due: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go l.run(c, interval, tick, full)
	return l
}

func (l *Loop) run(c clock.Clock, interval time.Duration, tick, full func()) {
	defer close(l.done)
	t := c.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-l.due:
			full()
		case <-t.C():
			tick()
		}
	}
}

// Due says that something is to be sent now. It does not wait.
func (l *Loop) Due() {
	select {
	case l.due <- struct{}{}:
	default:
	}
}

// Closed says whether Close was called.
func (l *Loop) Closed() bool { return l.closed.Load() }

// Close ends the goroutine, and returns when it has ended. It says false, and
// does nothing, where it was called before.
func (l *Loop) Close() bool {
	if l.closed.Swap(true) {
		return false
	}
	close(l.stop)
	<-l.done
	return true
}
