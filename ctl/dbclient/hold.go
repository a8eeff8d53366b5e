package dbclient

import (
	"context"
	"sync"

	"govs/internal/unixctl"
)

// hold stops the reading of notifications while it is on: the verbs
// ovsdb-client/block and unblock.
type hold struct {
	mu sync.Mutex
	on bool
	ch chan struct{} // closed when on changes
}

func newHold(ctl *unixctl.Server) *hold {
	h := &hold{ch: make(chan struct{})}
	ctl.Register("ovsdb-client/block", "", 0, 0, func(context.Context, []string) (string, error) {
		return h.set(true, "already blocking")
	})
	ctl.Register("ovsdb-client/unblock", "", 0, 0, func(context.Context, []string) (string, error) {
		return h.set(false, "already unblocked")
	})
	return h
}

func (h *hold) set(on bool, already string) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.on == on {
		return already, nil
	}
	h.on = on
	close(h.ch)
	h.ch = make(chan struct{})
	return "", nil
}

// changed is closed at the next change.
func (h *hold) changed() <-chan struct{} {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ch
}

// wait returns when h is off, or with the context's error.
func (h *hold) wait(ctx context.Context) error {
	for h != nil {
		h.mu.Lock()
		on, ch := h.on, h.ch
		h.mu.Unlock()
		if !on {
			break
		}
		select {
		case <-ch:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return ctx.Err()
}
