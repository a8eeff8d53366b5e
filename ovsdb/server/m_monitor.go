package server

import (
	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/monitor"
	"govs/schema/atom"
)

// monitor handles monitor, monitor_cond and monitor_cond_since.
func (sess *session) monitor(r *jsonrpc.Request, params json.Value) *dberr.Error {
	db, err := sess.database(r, params)
	if err != nil {
		return err
	}
	version, n := monitor.V1, 3
	switch r.Method {
	case "monitor_cond":
		version = monitor.V2
	case "monitor_cond_since":
		version, n = monitor.V3, 4
	}
	if params.Len() != n {
		return dberr.Syntax(params, "invalid parameters")
	}
	if params.At(2).Kind() != json.Object {
		return dberr.Syntax(params.At(2), "monitor-requests must be object")
	}
	id := params.At(1)
	key := string(id.AppendSorted(nil))
	sess.mu.Lock()
	dup := sess.monitors[key] != nil
	sess.mu.Unlock()
	if dup {
		return dberr.Syntax(id, "duplicate monitor ID")
	}
	m, err := monitor.Parse(db.schema, version, params.At(2))
	if err != nil {
		return err
	}
	var since *atom.UUID
	if version == monitor.V3 {
		if params.At(3).Kind() != json.String {
			return dberr.Syntax(params.At(3), "last-txn-id must be string")
		}
		u, ok := atom.Parse(params.At(3).Str())
		if !ok {
			return dberr.Syntax(params.At(3), "last-txn-id must be UUID format.")
		}
		since = &u
		sess.js.DropEarly(historyBytes / 4) // the history reaches back that far
	}
	sub := &subscription{sess: sess, db: db, key: key, mon: m}
	sub.setID([]byte(key))
	sess.mu.Lock()
	ended := sess.ended
	if !ended {
		sess.monitors[key] = sub
	}
	sess.mu.Unlock()
	if !ended {
		db.subscribe(r, sub, since)
	}
	return nil
}

// monitorCondChange handles monitor_cond_change.
func (sess *session) monitorCondChange(r *jsonrpc.Request, params json.Value) *dberr.Error {
	if params.Len() != 3 {
		return dberr.Syntax(params, "invalid parameters")
	}
	id, newID := params.At(0), params.At(1)
	key, newKey := string(id.AppendSorted(nil)), string(newID.AppendSorted(nil))
	sess.mu.Lock()
	sub, dup := sess.monitors[key], sess.monitors[newKey]
	sess.mu.Unlock()
	switch {
	case sub == nil:
		return dberr.Syntax(id, "unknown monitor session")
	case newKey != key && dup != nil:
		return dberr.Syntax(newID, "duplicate monitor ID")
	}
	db := sub.db

	// From here on the subscription has the new condition; what it changes goes
	// out before later updates.
	db.pub.Lock()
	snap, last := db.mem.Snapshot(), db.last
	next, _, err := sub.mon.Change(db.schema, params.At(2), nil)
	if err != nil {
		db.pub.Unlock()
		return err
	}
	old := sub.mon
	sub.mon, sub.held = next, true
	if newKey != key {
		sub.setID([]byte(newKey))
		sess.mu.Lock()
		if !sess.ended {
			delete(sess.monitors, key)
			sess.monitors[newKey] = sub
			sub.key = newKey
		}
		sess.mu.Unlock()
	}
	db.pub.Unlock()

	_, changes, err := old.Change(db.schema, params.At(2), snap)
	db.release(sub, func() {
		if changes != nil && err == nil {
			_ = sess.js.Send(sub.message(last, changes)...) // or the session ended
		}
		r.Reply([]byte("{}"))
	})
	return nil
}

// monitorCancel handles monitor_cancel.
func (sess *session) monitorCancel(r *jsonrpc.Request, params json.Value) *dberr.Error {
	if params.Len() != 1 {
		r.Fail([]byte(`"invalid parameters"`))
		return nil
	}
	key := string(params.At(0).AppendSorted(nil))
	sess.mu.Lock()
	sub := sess.monitors[key]
	delete(sess.monitors, key)
	sess.mu.Unlock()
	if sub == nil {
		r.Fail([]byte(`"unknown monitor"`))
		return nil
	}
	sub.db.unsubscribe(sub)
	r.Reply([]byte("{}"))
	return nil
}
