package bridge

import (
	"context"
	"sync"
	"time"
)

// answers are those of one verb of the switch, by bridge. They are kept for a
// moment, so that what is read in several pieces is one.
type answers struct {
	ask Table

	mu   sync.Mutex
	last map[string]answer
}

type answer struct {
	text string
	at   time.Time
}

// keep is how long an answer is kept at the most.
const keep = 2 * time.Second

// get is an answer that is no older than age.
func (a *answers) get(ctx context.Context, bridge string, age time.Duration) (string, error) {
	a.mu.Lock()
	last, ok := a.last[bridge]
	a.mu.Unlock()
	if ok && time.Since(last.at) < age {
		return last.text, nil
	}
	text, err := a.ask(ctx, bridge)
	if err != nil {
		return "", err
	}
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	for n, t := range a.last {
		if now.Sub(t.at) > keep {
			delete(a.last, n)
		}
	}
	if a.last == nil {
		a.last = make(map[string]answer)
	}
	a.last[bridge] = answer{text, now}
	return text, nil
}

// forget drops the answer about a bridge.
func (a *answers) forget(bridge string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.last, bridge)
}
