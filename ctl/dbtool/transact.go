package dbtool

import (
	"errors"
	"fmt"
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/internal/json/fault"
	"govs/ovsdb/history"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

// query executes a transaction and forgets what it changed.
func (t *tool) query(args []string) error { return t.execute(args, openRead, false) }

// transact executes a transaction.
func (t *tool) transact(args []string) error { return t.execute(args, openWrite, true) }

func (t *tool) execute(args []string, open func(string) (storage.Engine, error), commit bool) error {
	name, ops := defaultDB(), args[0]
	if len(args) > 1 {
		name, ops = args[0], args[1]
	}
	e, err := open(name)
	if err != nil {
		t.explain(name, err)
		return err
	}
	defer e.Close()
	params, err := json.Parse([]byte(ops))
	if what := fault.Of(ops, err); what != "" {
		return fmt.Errorf("\"%s\": %s", ops, what)
	}
	snap, _, err := load(e)
	if err != nil {
		return err
	}
	switch {
	case params.Kind() != json.Array:
		return t.print(dberr.Syntax(params, "array expected").AppendJSON(nil))
	case !params.At(0).Is(snap.Schema().Name):
		return t.print(dberr.Syntax(params, "database name expected as first parameter").AppendJSON(nil))
	}
	now := time.Now()
	// Nobody else changes the file: what has to wait has waited long enough.
	env := txn.Env{Now: now, Started: time.UnixMilli(0)}
	if t.role != "" && snap.Schema().Table(txn.RoleTable) != nil {
		// Roles allow what their clients' names are in the rows for: the tool has none.
		env.Permit = func(op string, table *schema.Table, _ *store.Row, _ []*schema.Column) *dberr.Error {
			return txn.Prohibited("", t.role, op, table)
		}
	}
	res := txn.Parse(snap.Schema(), params).Execute(snap, env)
	if res.Wait != nil {
		return errors.New("the transaction waits for something that cannot happen")
	}
	if commit && !res.Delta.Empty() {
		if body := history.Encode(res.Delta); body != nil {
			rec := storage.Record{ID: atom.New(), Time: now.UnixMilli(), Note: res.Comment, Body: body}
			if _, err := e.Append([]storage.Record{rec}, res.Durable); err != nil {
				return err
			}
		}
	}
	return t.print(res.Reply)
}

// print prints JSON with the members of objects in order.
func (t *tool) print(text []byte) error {
	v, err := json.Parse(text)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "%s\n", v.AppendSorted(nil))
	return err
}
