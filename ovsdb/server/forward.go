package server

import (
	"bytes"
	"errors"
	"sync"
	"time"

	"govs/internal/dberr"
	"govs/ovsdb/client"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/txn"
)

// forwards are requests of clients on their way to a relay's source, in the
// order in which they came. Those that wait while the source is away are sent
// when it is back; those that it may have got are canceled when it goes, for
// nobody knows what became of them.
type forwards struct {
	mu     sync.Mutex
	to     *client.Client // nil while there is nobody to send to
	queue  []*forward     // not sent yet
	all    map[*request]*forward
	closed bool
}

// forward is one of them.
type forward struct {
	req    *request
	method string
	params []byte
}

// relayed sends a request of a session to the source of the database, and its
// answer back. The session's other requests do not wait for it. What a
// transaction changed reaches the session before the answer, as the source
// sends it in this order.
func (sess *session) relayed(db *Database, r *jsonrpc.Request, key string) {
	req := &request{db: db, sess: sess, key: key, id: bytes.Clone(r.ID)}
	sess.submit() // what came before
	sess.mu.Lock()
	if sess.forwarded >= maxInFlight {
		sess.js.Flush()
	}
	for sess.forwarded >= maxInFlight && !sess.ended {
		sess.settled.Wait()
	}
	ended := sess.ended
	if !ended {
		sess.forwarded++
		if key != "" {
			sess.pending[key] = req
		}
	}
	sess.mu.Unlock()
	if !ended {
		db.relay.forwards.add(&forward{req, r.Method, bytes.Clone(r.Params)})
	}
}

// prohibited answers a transaction that the session's role does not permit, as
// the source does not know of the role; nil where it does.
func (sess *session) prohibited(db *Database, t *txn.Txn) []byte {
	snap := db.mem.Snapshot()
	permit := db.permit(snap, sess)
	if permit == nil {
		return nil
	}
	if res := t.Execute(snap, txn.Env{Now: time.Now(), Permit: permit}); res.Err != nil && res.Err.Tag == dberr.PermissionError {
		return res.Reply
	}
	return nil
}

// add sends a request, or keeps it until there is somebody to send it to.
func (f *forwards) add(w *forward) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		w.answer(canceledAnswer, true)
		return
	}
	if f.all == nil {
		f.all = make(map[*request]*forward)
	}
	f.all[w.req] = w
	if f.to == nil {
		f.queue = append(f.queue, w)
		return
	}
	f.send(w)
}

// send sends a request. The caller holds mu.
func (f *forwards) send(w *forward) {
	wait := f.to.Start(w.method, w.params)
	go func() {
		result, err := wait()
		if !f.remove(w.req) {
			return // canceled meanwhile
		}
		var e *jsonrpc.Error
		switch {
		case err == nil:
			w.answer(result, false)
		case errors.As(err, &e):
			w.answer(e.JSON, true)
		default:
			w.answer(canceledAnswer, true)
		}
	}()
}

// remove takes a request out, and reports whether it was there: who takes it out
// answers it.
func (f *forwards) remove(req *request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.all[req]
	if w == nil {
		return false
	}
	delete(f.all, req)
	for i, q := range f.queue {
		if q == w {
			f.queue = append(f.queue[:i], f.queue[i+1:]...)
			break
		}
	}
	return true
}

// cancel ends a request that a client no longer wants answered.
func (f *forwards) cancel(req *request) {
	if f.remove(req) {
		(&forward{req: req}).answer(canceledAnswer, true)
	}
}

// release sends what waits, and from now on what comes.
func (f *forwards) release(c *client.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = c
	queue := f.queue
	f.queue = nil
	for _, w := range queue {
		f.send(w)
	}
}

// hold keeps what comes from now on.
func (f *forwards) hold() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to = nil
}

// close cancels what waits, and what comes.
func (f *forwards) close() {
	f.mu.Lock()
	f.closed = true
	all := f.all
	f.all, f.queue = nil, nil
	f.mu.Unlock()
	for _, w := range all {
		w.answer(canceledAnswer, true)
	}
}

// answer answers, and makes room for another request of the session.
func (w *forward) answer(b []byte, failed bool) {
	sess := w.req.sess
	w.req.answer(b, failed)
	sess.js.Flush()
	sess.mu.Lock()
	sess.forwarded--
	sess.settled.Broadcast()
	sess.mu.Unlock()
}

var canceledAnswer = []byte(`"canceled"`)
