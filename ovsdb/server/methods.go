package server

import (
	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/jsonrpc"
)

// handlers registers the methods of a session. All but transact wait until the
// transactions before them are answered.
func (sess *session) handlers() {
	sess.js.OnIdle(sess.idle)
	sess.js.HandleInPlace("transact", sess.transact)
	sess.js.Handle("cancel", sess.cancel)
	for name, h := range map[string]func(*jsonrpc.Request, json.Value) *dberr.Error{
		"list_dbs":            sess.listDBs,
		"get_schema":          sess.getSchema,
		"monitor":             sess.monitor,
		"monitor_cond":        sess.monitor,
		"monitor_cond_since":  sess.monitor,
		"monitor_cond_change": sess.monitorCondChange,
		"monitor_cancel":      sess.monitorCancel,
		"lock":                sess.lock,
		"steal":               sess.lock,
		"unlock":              sess.unlock,
		"echo":                sess.echo,
		"get_server_id":       sess.getServerID,
		"set_db_change_aware": sess.setDBChangeAware,
		"convert":             sess.convert,
	} {
		sess.js.Handle(name, func(r *jsonrpc.Request) {
			if r.ID == nil {
				return // but for cancel, the server knows no notifications
			}
			sess.settle()
			if sess.srv.noMonitorCond.Load() && (name == "monitor_cond" || name == "monitor_cond_since") {
				r.Fail([]byte(`"unknown method"`))
				return
			}
			params, err := json.Parse(r.Params)
			if err != nil {
				refuse(r, dberr.New(dberr.SyntaxError, "%v", err))
				return
			}
			if err := h(r, params); err != nil {
				refuse(r, err)
			}
		})
	}
}

// refuse answers with an error of the request as a whole.
func refuse(r *jsonrpc.Request, err *dberr.Error) { r.Fail(err.AppendJSON(nil)) }

// database finds the database that a request names as its first parameter.
func (sess *session) database(r *jsonrpc.Request, params json.Value) (*Database, *dberr.Error) {
	name := params.At(0)
	if name.Kind() != json.String {
		return nil, dberr.Syntax(params, "%s request params must begin with <db-name>", r.Method)
	}
	db := sess.srv.Database(name.Str())
	if db == nil && sess.srv.hasRelay(name.Str()) {
		return nil, dberr.New("database not available",
			"%s request specifies database %s which is not yet available because it has not completed joining its cluster", r.Method, name.Str())
	}
	if db == nil {
		return nil, dberr.Quote(dberr.UnknownDatabase, params, "%s request specifies unknown database %s", r.Method, name.Str())
	}
	return db, nil
}

func (sess *session) echo(r *jsonrpc.Request, _ json.Value) *dberr.Error {
	r.Reply(r.Params)
	return nil
}

func (sess *session) listDBs(r *jsonrpc.Request, _ json.Value) *dberr.Error {
	b := []byte{'['}
	for i, name := range sess.srv.allDatabases() {
		if i > 0 {
			b = append(b, ',')
		}
		b = json.AppendString(b, name)
	}
	r.Reply(append(b, ']'))
	return nil
}

func (sess *session) getSchema(r *jsonrpc.Request, params json.Value) *dberr.Error {
	db, err := sess.database(r, params)
	if err == nil {
		r.Reply(db.text)
	}
	return err
}

func (sess *session) getServerID(r *jsonrpc.Request, _ json.Value) *dberr.Error {
	r.Reply(quote(sess.srv.id.String()))
	return nil
}

func (sess *session) setDBChangeAware(r *jsonrpc.Request, params json.Value) *dberr.Error {
	on, ok := params.At(0).Bool()
	if !ok || params.Len() != 1 {
		return dberr.Syntax(params, "set_db_change_aware: true or false parameter expected")
	}
	sess.changeAware.Store(on)
	r.Reply([]byte("{}"))
	return nil
}
