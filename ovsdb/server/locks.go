package server

import (
	"slices"
	"sync"

	"govs/internal/json"
)

// lockTable holds the locks of RFC 7047, section 4.1.8: each has a queue, whose
// first one owns it.
type lockTable struct {
	mu    sync.Mutex
	locks map[string][]*lockWaiter
}

// lockWaiter is a session that owns a lock or waits for it.
type lockWaiter struct {
	name  string
	sess  *session
	steal bool // it stole the lock, and does not wait for it when it is stolen again
}

func (t *lockTable) init() { t.locks = make(map[string][]*lockWaiter) }

// lock queues a session, and calls answer with whether it is the owner now,
// before it can be told otherwise. Who steals becomes that at once: the owner so
// far is told, and waits behind unless it stole the lock itself, as in the C
// server.
func (t *lockTable) lock(w *lockWaiter, answer func(owner bool)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.locks[w.name]
	if !w.steal {
		t.locks[w.name] = append(q, w)
		answer(len(q) == 0)
		return
	}
	if len(q) > 0 {
		q[0].notify("stolen")
		if q[0].steal {
			q = q[1:]
		}
	}
	t.locks[w.name] = slices.Insert(q, 0, w)
	answer(true)
}

// unlock takes a session out of the queue. The owner is told that it has the
// lock, also where it was that before: so the C server does it.
func (t *lockTable) unlock(w *lockWaiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.locks[w.name]
	i := slices.Index(q, w)
	if i < 0 {
		return
	}
	q = slices.Delete(q, i, i+1)
	if len(q) == 0 {
		delete(t.locks, w.name)
		return
	}
	t.locks[w.name] = q
	q[0].notify("locked")
}

func (t *lockTable) releaseAll(sess *session) {
	sess.mu.Lock()
	held := sess.locks
	sess.locks = nil
	sess.mu.Unlock()
	for _, w := range held {
		t.unlock(w)
	}
}

// owns reports whether a session owns a lock.
func (t *lockTable) owns(sess *session, name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := t.locks[name]
	return len(q) > 0 && q[0].sess == sess
}

// state tells how a session stands to a lock that it asked for, as a key of a
// remote's status.
func (t *lockTable) state(sess *session, name string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, w := range t.locks[name] {
		switch {
		case w.sess != sess:
		case i == 0:
			return "locks_held"
		default:
			return "locks_waiting"
		}
	}
	return "locks_lost"
}

// notify tells the session that it got or lost the lock.
func (w *lockWaiter) notify(method string) {
	params := append(json.AppendString([]byte{'['}, w.name), ']')
	_ = w.sess.js.Notify(method, params) // a session that ends unlocks
}
