package server

import (
	"strconv"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/jsonrpc"
	"govs/schema/atom"
)

func lockName(r *jsonrpc.Request, params json.Value) (string, *dberr.Error) {
	name := params.At(0)
	if params.Len() != 1 || name.Kind() != json.String || !atom.IsID(name.Str()) {
		return "", dberr.Syntax(params, "%s request params must be <id>", r.Method)
	}
	return name.Str(), nil
}

// refusesLocks refuses a request about locks where the session may only read.
func (sess *session) refusesLocks(r *jsonrpc.Request) bool {
	if !sess.readOnly() {
		return false
	}
	r.Fail([]byte(`"lock and unlock methods not allowed, DB server is read only."`))
	return true
}

// lock handles lock and steal.
func (sess *session) lock(r *jsonrpc.Request, params json.Value) *dberr.Error {
	if sess.refusesLocks(r) {
		return nil
	}
	name, err := lockName(r, params)
	if err != nil {
		return err
	}
	w := &lockWaiter{name: name, sess: sess, steal: r.Method == "steal"}
	sess.mu.Lock()
	dup := sess.locks[name] != nil
	if !dup && !sess.ended {
		sess.locks[name] = w
	}
	ended := sess.ended
	sess.mu.Unlock()
	if dup {
		return dberr.Syntax(params, `must issue "unlock" before new "%s"`, r.Method)
	}
	if ended {
		return nil
	}
	sess.srv.locks.lock(w, func(owner bool) {
		r.Reply(append(strconv.AppendBool([]byte(`{"locked":`), owner), '}'))
	})
	return nil
}

// unlock handles unlock.
func (sess *session) unlock(r *jsonrpc.Request, params json.Value) *dberr.Error {
	if sess.refusesLocks(r) {
		return nil
	}
	name, err := lockName(r, params)
	if err != nil {
		return err
	}
	sess.mu.Lock()
	w := sess.locks[name]
	delete(sess.locks, name)
	sess.mu.Unlock()
	if w == nil {
		return dberr.Syntax(params, `unlock: "unlock" without "lock" or "steal"`)
	}
	sess.srv.locks.unlock(w)
	r.Reply([]byte("{}"))
	return nil
}
