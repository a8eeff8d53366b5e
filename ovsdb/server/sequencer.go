package server

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"govs/internal/dberr"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

// request is a transaction on its way.
type request struct {
	db       *Database
	sess     *session // nil: the server's own
	txn      *txn.Txn
	key      string // of the request's id
	id       []byte // of the request; nil where it was a notification
	started  time.Time
	wait     *txn.Wait
	answered bool

	reply func(result []byte) // of the server's own
	error func(err []byte)
}

// commit is a transaction that a batch executed.
type commit struct {
	req   *request
	res   *txn.Result
	delta *store.Delta
	id    atom.UUID
	kept  bool // there is a record of it
	left  bool // answered just now: it no longer holds up its session
	broke bool // a fault of ours ended it
}

// leave tells the session that the request no longer holds up others, unless
// it was set aside before.
func (r *request) leave() {
	if r.sess != nil && r.wait == nil {
		r.sess.leave()
	}
}

// answer queues the answer, whatever it is, unless there was one.
func (r *request) answer(b []byte, failed bool) bool {
	if r.answered {
		return false
	}
	r.answered = true
	if r.sess != nil && r.key != "" {
		r.sess.mu.Lock()
		delete(r.sess.pending, r.key)
		r.sess.mu.Unlock()
	}
	switch {
	case r.sess == nil && failed:
		r.error(b)
	case r.sess == nil:
		r.reply(b)
	case r.id == nil:
	case failed:
		r.sess.js.QueueError(r.id, b)
	default:
		r.sess.js.QueueReply(r.id, b)
	}
	return true
}

// sent sends what was queued, and leaves.
func (r *request) sent() {
	if r.sess != nil {
		r.sess.js.Flush()
	}
	r.leave()
}

// finish answers, sends and leaves.
func (r *request) finish(b []byte, failed bool) {
	if r.answer(b, failed) {
		r.sent()
	}
}

func (r *request) done(result []byte) { r.finish(result, false) }

func (r *request) fail(err *dberr.Error) { r.finish(err.AppendJSON(nil), true) }

func (r *request) canceled() { r.finish([]byte(`"canceled"`), true) }

// sequence writes the database: what waits when a turn begins is one batch. One
// turn is had at a time, by this goroutine or by one that submits when nobody
// has it.
func (db *Database) sequence() {
	defer close(db.done)
	for db.wait() {
		batch, jobs := db.take()
		db.turn(batch, jobs)
		db.mu.Lock()
		db.pass()
		db.mu.Unlock()
	}
	if db.timer != nil {
		db.timer.Stop()
	}
	for _, r := range db.waiting {
		r.canceled()
	}
	db.waiting = nil
}

// turn does what was taken.
func (db *Database) turn(batch []*request, jobs []func()) {
	if len(batch) > 0 {
		db.run(batch)
		clear(batch)
	}
	for _, f := range jobs {
		f()
	}
	db.schedule()
}

// lead has a turn on the goroutine of whoever submitted, which saves a change of
// goroutines where requests come one at a time.
func (db *Database) lead(batch []*request, jobs []func()) {
	done := false
	defer func() {
		if done {
			return
		}
		// A fault of ours, halfway through a turn: nobody must go on with what
		// it left, so it ends the process, as in the sequencer's goroutine.
		p, stack := recover(), debug.Stack()
		go panic(fmt.Sprintf("%v\n%s", p, stack))
		select {}
	}()
	db.turn(batch, jobs)
	done = true
}

// run executes a batch, keeps what it changed, publishes and answers.
func (db *Database) run(batch []*request) {
	if db.replaced {
		for _, r := range batch {
			r.canceled()
		}
		return
	}
	began := time.Now()
	edit := db.mem.Snapshot().Edit()
	commits := make([]commit, 0, len(batch))
	records := make([]storage.Record, 0, len(batch))
	durable := false
	for len(batch) > 0 {
		var woken []*request
		for _, r := range batch {
			c := db.execute(edit, r, began)
			if c.broke {
				// The Edit may be anything now: the next goes on from what those
				// before made.
				edit = db.mem.Snapshot().Edit()
				for i := range commits {
					edit.Apply(commits[i].delta)
				}
			}
			if c.res == nil {
				continue
			}
			db.orphans.keep(c.res.Orphans, began)
			if c.delta != nil {
				if rec, ok := record(&c, began); ok {
					c.kept = true
					records = append(records, rec)
				}
				durable = durable || c.res.Durable
				db.orphans.forget(c.delta)
				woken = db.wake(woken, c.delta)
			}
			commits = append(commits, c)
		}
		// Transactions that waited for what the batch changed come next.
		batch = woken
	}
	if err := db.keep(records, durable); err != nil {
		db.srv.log.Error(db.schema.Name + ": " + err.Error())
		if again := db.waiting; len(commits) > 1 || len(again) > 0 {
			// One at a time, so that those that change nothing are answered
			// from what is there. Those that wait may have been set aside
			// because of what is not to be.
			db.waiting = nil
			for _, c := range commits {
				db.run([]*request{c.req})
			}
			for _, r := range again {
				db.run([]*request{r})
			}
			return
		}
		// The versions were never published: as if it had not been executed.
		c := &commits[0]
		c.req.done(withError(c.res.Reply, ioError(err)))
		return
	}
	db.publish(edit.Done(), commits)
	db.srv.stats.transactions.Add(uint64(len(commits)))
	for _, c := range commits {
		if !c.delta.Empty() {
			db.srv.changed(db, c.delta)
			db.srv.logged.write(db, c.delta)
		}
	}
	if n := largeRecords(records); n > 0 {
		db.srv.spent(8 * n)
	}
	if f := db.srv.cfg.Events.Committed; f != nil && len(commits) > 0 {
		f(db.schema.Name, len(commits), time.Since(began))
	}
	db.autoCompact(began)
}

// largeRecords is the bytes of those records that are large: their requests took
// some times as much while they were executed.
func largeRecords(records []storage.Record) int {
	const large = 1 << 20
	n := 0
	for i := range records {
		if len(records[i].Body) >= large {
			n += len(records[i].Body)
		}
	}
	return n
}

// execute runs one transaction on what edit holds. It sets it aside when it has to wait:
// the commit has no result then.
func (db *Database) execute(edit *store.Edit, r *request, now time.Time) commit {
	if r.answered {
		return commit{}
	}
	env := txn.Env{Now: now, Started: r.started, Orphan: func(t *schema.Table, id atom.UUID) *store.Row { return db.orphans.find(t, id, now) }}
	if r.sess != nil {
		env.ReadOnly, env.Reserved = r.sess.readsOnly(db), db.reserved()
		env.Permit = db.permit(&edit.Snapshot, r.sess)
		env.HasLock = func(name string) bool { return db.srv.locks.owns(r.sess, name) }
	}
	res, broke := db.attempt(edit, r.txn, env)
	if res.Wait != nil {
		aside := r.wait != nil
		r.wait = res.Wait
		if !aside && r.sess != nil {
			r.sess.leave()
		}
		if !slices.Contains(db.waiting, r) {
			db.waiting = append(db.waiting, r)
		}
		return commit{}
	}
	c := commit{req: r, res: &res, broke: broke}
	if !res.Delta.Empty() {
		c.delta, c.id = res.Delta, atom.New()
	}
	return c
}

// attempt executes a transaction. A fault of ours costs this transaction only:
// nothing was published yet. broke tells that there was one.
func (db *Database) attempt(edit *store.Edit, t *txn.Txn, env txn.Env) (res txn.Result, broke bool) {
	defer func() {
		if p := recover(); p != nil {
			db.srv.log.Error(fmt.Sprintf("%s: transaction failed: %v", db.schema.Name, p), "stack", string(debug.Stack()))
			err := dberr.New(dberr.InternalError, "transaction failed, see the server's log")
			res = txn.Result{Reply: withError([]byte("[]"), err), Err: err}
			broke = true
		}
	}()
	return t.ExecuteOn(edit, env), false
}

// wake takes the transactions that a delta may let go on out of the waiting ones.
func (db *Database) wake(woken []*request, d *store.Delta) []*request {
	if len(db.waiting) == 0 {
		return woken
	}
	rest := db.waiting[:0]
	for _, r := range db.waiting {
		if touches(d, r.wait) {
			woken = append(woken, r)
		} else {
			rest = append(rest, r)
		}
	}
	clear(db.waiting[len(rest):])
	db.waiting = rest
	return woken
}

// touches reports whether a delta may end a wait.
func touches(d *store.Delta, w *txn.Wait) bool {
	if w.Table == nil {
		return true
	}
	for _, td := range d.Tables {
		if td.Table != w.Table {
			continue
		}
		for i := range td.Rows {
			if c := &td.Rows[i]; c.Old == nil || c.New == nil || c.Changed.Intersects(&w.Columns) {
				return true
			}
		}
	}
	return false
}

// schedule sets the timer for the next wait that times out.
func (db *Database) schedule() {
	var next time.Time
	for _, r := range db.waiting {
		if d := r.wait.Deadline; !d.IsZero() && (next.IsZero() || d.Before(next)) {
			next = d
		}
	}
	if db.timer != nil {
		db.timer.Stop()
		db.timer = nil
	}
	if !next.IsZero() {
		db.timer = time.AfterFunc(time.Until(next), func() { db.do(db.expire) })
	}
}

// expire runs the transactions whose time is over once more.
func (db *Database) expire() {
	now := time.Now()
	var due []*request
	rest := db.waiting[:0]
	for _, r := range db.waiting {
		if d := r.wait.Deadline; !d.IsZero() && !d.After(now) {
			due = append(due, r)
		} else {
			rest = append(rest, r)
		}
	}
	clear(db.waiting[len(rest):])
	db.waiting = rest
	if len(due) > 0 {
		db.run(due)
	}
}

// withError puts an error at the end of an array of results.
func withError(results []byte, err *dberr.Error) []byte {
	b := append([]byte(nil), results[:len(results)-1]...)
	if len(b) > 1 {
		b = append(b, ',')
	}
	return append(err.AppendJSON(b), ']')
}

// readOnly reports whether a session may change nothing: its remote is read-only,
// or the server is a backup.
func (sess *session) readOnly() bool {
	return sess.remote != nil && sess.remote.options().ReadOnly || sess.srv.repl.backup.Load()
}

// readsOnly reports whether a session may change nothing in a database.
func (sess *session) readsOnly(db *Database) bool { return db.backup.Load() || sess.readOnly() }

// reserved is the name of a database that no session may change.
func (db *Database) reserved() string {
	if db.schema.Name == serverDB {
		return serverDB
	}
	return ""
}
