package coverage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Log is the counters of a daemon with their history. It is safe for concurrent use.
type Log struct {
	mu       sync.Mutex
	history  History
	counters func() map[string]uint64
}

// NewLog makes a log of what counters returns, a new map each time.
func NewLog(counters func() map[string]uint64) *Log { return &Log{counters: counters} }

// Sample is to be called now and then: see History.Sample.
func (l *Log) Sample(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Sample(now, l.counters())
}

// Registrar takes control verbs: a unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error))
}

// Register adds coverage/show and coverage/read-counter.
func (l *Log) Register(ctl Registrar) {
	ctl.Register("coverage/show", "", 0, 0, func(context.Context, []string) (string, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.history.Show(time.Now(), l.counters()), nil
	})
	ctl.Register("coverage/read-counter", "COUNTER", 1, 1, func(_ context.Context, args []string) (string, error) {
		n, ok := l.counters()[args[0]]
		if !ok {
			return "", errors.New("No such counter") //nolint:staticcheck // the C daemons' text
		}
		return fmt.Sprint(n), nil
	})
}
