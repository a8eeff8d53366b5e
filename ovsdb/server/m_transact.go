package server

import (
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/txn"
)

// maxBatch is how many transactions of one session are put together.
const maxBatch = 256

// transact handles a transact request: it is parsed here, on the session's
// goroutine, and what only reads is executed here, too. The others go to the
// sequencer together, when all that has come was parsed.
func (sess *session) transact(r *jsonrpc.Request) {
	if r.ID == nil {
		return // a notification is no transaction
	}
	params, perr := r.Parse()
	if perr != nil {
		sess.settle()
		refuse(r, dberr.New(dberr.SyntaxError, "%v", perr))
		return
	}
	db, err := sess.database(r, params)
	key := ""
	if err == nil && r.ID != nil {
		key = idKey(r.ID)
		sess.mu.Lock()
		if sess.pending[key] != nil {
			err = dberr.Syntax(params, "transact: duplicate request ID")
		}
		sess.mu.Unlock()
	}
	if err != nil {
		sess.settle()
		refuse(r, err)
		return
	}
	t := txn.Parse(db.schema, params)
	if db.relay != nil && t.Writes() && !sess.readsOnly(db) {
		if reply := sess.prohibited(db, t); reply != nil {
			r.Reply(reply)
		} else {
			sess.relayed(db, r, key)
		}
		return
	}
	if reads(params) {
		sess.settle()
		snap := db.mem.Snapshot()
		res := t.Execute(snap, txn.Env{
			Now:      time.Now(),
			ReadOnly: sess.readsOnly(db),
			Reserved: db.reserved(),
			HasLock:  func(name string) bool { return db.srv.locks.owns(sess, name) },
		})
		if res.Wait == nil && res.Delta.Empty() {
			if r.ID != nil {
				sess.js.QueueReply(r.ID, res.Reply)
			}
			db.srv.stats.transactions.Add(1)
			return
		}
	}
	req := &request{db: db, sess: sess, txn: t, key: key, started: time.Now()}
	if r.ID != nil {
		req.id = []byte(key)
		if len(key) != len(r.ID) || key != string(r.ID) {
			req.id = append([]byte(nil), r.ID...)
		}
	}
	sess.enter(db)
	if key != "" {
		sess.mu.Lock()
		if !sess.ended {
			sess.pending[key] = req
		}
		sess.mu.Unlock()
	}
	if sess.batch = append(sess.batch, req); len(sess.batch) >= maxBatch {
		sess.submit()
	}
}

// submit hands in the transactions that were put off.
func (sess *session) submit() {
	if len(sess.batch) > 0 {
		sess.batch[0].db.submit(sess.batch...)
		clear(sess.batch)
		sess.batch = sess.batch[:0]
	}
}

// idle is called before the session waits for its peer.
func (sess *session) idle() {
	sess.submit()
	sess.js.Flush()
}

// reads reports whether a transaction's operations only read, and need not
// wait.
func reads(params json.Value) bool {
	first := true
	for op := range params.Elems() {
		if first {
			first = false
			continue
		}
		switch name := op.Get("op"); {
		case name.Is("select"), name.Is("comment"), name.Is("abort"), name.Is("assert"):
		default:
			return false
		}
	}
	return true
}

// cancel ends a transaction of the session that waits. It has no answer of its
// own: it is a notification (RFC 7047, section 4.1.4).
func (sess *session) cancel(r *jsonrpc.Request) {
	if r.ID != nil {
		sess.settle()
		r.Fail([]byte(`"unknown method"`))
		return
	}
	sess.submit()
	params, err := json.Parse(r.Params)
	if err != nil || params.Len() != 1 {
		return
	}
	sess.mu.Lock()
	req := sess.pending[string(params.At(0).AppendSorted(nil))]
	sess.mu.Unlock()
	if req != nil {
		req.db.cancel(req)
	}
}
