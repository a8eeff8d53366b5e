package server

import (
	"strconv"

	"govs/internal/json"
	"govs/ovsdb/history"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/monitor"
	"govs/ovsdb/store"
	"govs/schema/atom"
)

// subscription is a session's monitor of a database. Its fields but the first
// three are guarded by Database.pub.
type subscription struct {
	sess *session
	db   *Database
	key  string // of the id

	mon    *monitor.Monitor
	id     []byte // raw JSON
	head   []byte // of its notifications
	held   bool   // the first reply has not gone out: updates wait
	queue  [][]byte
	closed bool
	due    bool // it is in Database.due
}

func (sub *subscription) setID(id []byte) {
	sub.id = id
	b := append([]byte(`{"id":null,"method":"`), sub.mon.Version.Method()...)
	b = append(b, `","params":[`...)
	b = append(b, id...)
	sub.head = append(b, ',')
}

var tail = []byte(`]}`)

// message makes the pieces of a notification. updates is shared.
func (sub *subscription) message(txn atom.UUID, updates []byte) [][]byte {
	if sub.mon.Version != monitor.V3 {
		return [][]byte{sub.head, updates, tail}
	}
	id := make([]byte, 0, 40)
	id = append(id, '"')
	id = sub.db.shown(sub.mon, txn).Append(id)
	return [][]byte{sub.head, append(id, '"', ','), updates, tail}
}

// send queues the pieces of a message, to be sent when the batch is answered, or
// after the first reply.
func (sub *subscription) send(pieces [][]byte) {
	if sub.held {
		sub.queue = append(sub.queue, pieces...)
		return
	}
	sub.sess.js.Queue(pieces...)
	if !sub.due {
		sub.due = true
		sub.db.due = append(sub.db.due, sub)
	}
}

// fewDue is up to how many sessions are flushed on the goroutine that publishes.
const fewDue = 3

// flush sends what publish queued. Many sessions are flushed on a goroutine of
// its own, and what comes meanwhile goes out with its next round: the more falls
// due, the more goes with one system call. The caller holds pub.
func (db *Database) flush() {
	switch {
	case db.flushing || len(db.due) == 0:
	case len(db.due) <= fewDue:
		for i, sub := range db.due {
			sub.due = false
			sub.sess.js.Flush()
			db.due[i] = nil
		}
		db.due = db.due[:0]
	default:
		db.flushing = true
		go db.flushAll()
	}
}

func (db *Database) flushAll() {
	var subs []*subscription
	for {
		clear(subs)
		db.pub.Lock()
		subs, db.due = db.due, subs[:0]
		for _, sub := range subs {
			sub.due = false
		}
		db.flushing = len(subs) > 0
		db.pub.Unlock()
		if len(subs) == 0 {
			return
		}
		for _, sub := range subs {
			sub.sess.js.Flush()
		}
	}
}

// publish makes snap the current version and sends the updates of the deltas
// that led to it, each before the answer to its transaction. Later requests of
// the sessions go on when all is sent: what ended a wait is not done before the
// transaction that waited is answered.
func (db *Database) publish(snap *store.Snapshot, commits []commit) {
	db.pub.Lock()
	defer db.pub.Unlock()
	db.mem.Publish(snap)
	for i := range commits {
		c := &commits[i]
		if !c.delta.Empty() {
			db.note(c)
			db.ring.Add(c.id, c.delta)
			if len(db.subs) > 0 {
				enc := monitor.NewEncoding(c.delta)
				for sub := range db.subs {
					if b := enc.Updates(sub.mon); b != nil {
						sub.send(sub.message(c.id, b))
						db.srv.stats.updates.Add(1)
					}
				}
			}
		}
		c.left = c.req.answer(c.res.Reply, false)
	}
	for i := range commits {
		if c := &commits[i]; c.left {
			c.req.sent()
		}
	}
	db.flush()
}

// subscribe starts a monitor and answers the request. since, where not nil,
// is the transaction whose state the client has.
func (db *Database) subscribe(r *jsonrpc.Request, sub *subscription, since *atom.UUID) {
	db.pub.Lock()
	if db.subs == nil {
		db.pub.Unlock()
		sub.forget()
		r.Fail([]byte(`"canceled"`))
		return
	}
	snap, last := db.mem.Snapshot(), db.lastShown(sub.mon)
	var missed []history.Entry
	found := false
	if since != nil {
		if missed, found = db.ring.After(*since); !found {
			missed, found = db.ring.After(db.masked(*since))
		}
	}
	sub.held = true
	db.subs[sub] = struct{}{}
	db.pub.Unlock()

	var result [][]byte
	if found {
		b := monitor.NewEncoding(history.Merge(missed)).Updates(sub.mon)
		if b == nil {
			b = []byte("{}")
		}
		result = [][]byte{b}
	} else {
		result = db.blocks.Initial(sub.mon, snap)
	}
	if sub.mon.Version == monitor.V3 {
		head := append(strconv.AppendBool([]byte{'['}, found), `,"`...)
		head = append(last.Append(head), `",`...)
		result = append(append([][]byte{head}, result...), []byte{']'})
	}
	db.release(sub, func() { r.ReplyPieces(result...) })
	n := 0
	for _, b := range result {
		n += len(b)
	}
	db.srv.spent(n)
}

// release lets a subscription's updates go, after what first sends.
func (db *Database) release(sub *subscription, first func()) {
	db.pub.Lock()
	defer db.pub.Unlock()
	first()
	sub.held = false
	if len(sub.queue) > 0 && !sub.closed {
		_ = sub.sess.js.Send(sub.queue...) // a session that ends unsubscribes
	}
	sub.queue = nil
}

func (db *Database) unsubscribe(sub *subscription) {
	db.pub.Lock()
	defer db.pub.Unlock()
	delete(db.subs, sub)
	sub.closed = true
}

// forget takes a subscription out of its session's.
func (sub *subscription) forget() {
	sub.sess.mu.Lock()
	delete(sub.sess.monitors, sub.key)
	sub.sess.mu.Unlock()
}

// cancelMonitors tells those who monitor a database that goes away.
func (db *Database) cancelMonitors() {
	db.pub.Lock()
	subs := db.subs
	db.subs = nil // no more of them
	for sub := range subs {
		sub.closed = true
	}
	db.pub.Unlock()
	for sub := range subs {
		sub.forget()
		if sub.sess.changeAware.Load() {
			_ = sub.sess.js.Notify("monitor_canceled", append(append([]byte{'['}, sub.id...), ']')) // or it ended
		}
	}
}

// quote makes a JSON string.
func quote(s string) []byte { return json.AppendString(nil, s) }
