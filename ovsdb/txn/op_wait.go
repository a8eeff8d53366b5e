package txn

import (
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
)

// opWait blocks until rows are, or are not, as given (RFC 7047, 5.2.6).
type opWait struct {
	table   *schema.Table
	where   query.Condition
	columns []*schema.Column
	equal   bool // until "=="
	any     bool // what comes of an operation before it may be another when anything changes: a write, an assert, another wait
	rows    map[string]bool
	timeout int64 // milliseconds; negative: none
}

func (p *parser) wait() (operation, *dberr.Error) {
	t := p.table()
	timeout := p.m.Opt("timeout", dberr.WantInteger)
	where := p.m.Get("where", dberr.WantArray)
	columns := p.m.Opt("columns", dberr.WantArray)
	until := p.m.Get("until", dberr.WantString)
	rows := p.m.Get("rows", dberr.WantArray)
	if p.faulty() {
		return nil, nil
	}
	op := &opWait{table: t, timeout: -1, any: p.writes || p.judges}
	p.judges = true
	var err *dberr.Error
	if op.where, err = query.ParseCondition(where, t, p.resolve); err != nil {
		return nil, err
	}
	if op.columns, err = t.ParseColumns(columns); err != nil {
		return nil, err
	}
	if timeout.Kind() != json.Invalid {
		op.timeout, _ = timeout.Int()
		if op.timeout < 0 {
			return nil, dberr.Syntax(timeout, "timeout must be nonnegative")
		}
	}
	switch {
	case until.Is("=="):
		op.equal = true
	case !until.Is("!="):
		return nil, dberr.Syntax(until, "\"until\" must be \"==\" or \"!=\"")
	}
	op.rows = make(map[string]bool, rows.Len())
	for v := range rows.Elems() {
		vals, err := p.row(v, t)
		if err != nil {
			return nil, err
		}
		op.rows[string(appendKey(nil, expected(t, vals), op.columns))] = true
	}
	return op, nil
}

// expected makes a row of what a wait gives.
func expected(t *schema.Table, vals []store.Value) *store.Row {
	r := &store.Row{}
	for _, v := range vals {
		switch v.Column.Index {
		case schema.UUIDColumn:
			r.UUID = v.Datum.Key(0).UUID()
		case schema.VersionColumn:
			r.Version = v.Datum.Key(0).UUID()
		}
	}
	full := store.NewRow(t, r.UUID).With(explicitOnly(vals)...)
	full.Touch(r.Version)
	return full
}

func (op *opWait) execute(x *execution) *dberr.Error {
	found := make(map[string]bool, len(op.rows))
	same := true
	for _, r := range x.find(op.table, &op.where) {
		key := string(appendKey(nil, r, op.columns))
		if !op.rows[key] {
			same = false
			break
		}
		found[key] = true
	}
	same = same && len(found) == len(op.rows)
	if same == op.equal {
		x.out = append(x.out, "{}"...)
		return nil
	}
	w := &Wait{Table: op.table}
	if op.timeout >= 0 {
		// An operation before this one may have waited, too.
		if waited := x.env.Now.Sub(x.env.Started).Milliseconds(); waited >= op.timeout {
			if waited <= 0 {
				return dberr.New(dberr.TimedOut, "\"where\" clause test failed")
			}
			return dberr.New(dberr.TimedOut, "\"wait\" timed out after %d ms", waited)
		}
		if limit := time.Duration(op.timeout); limit < time.Duration(1<<63-1)/time.Millisecond {
			w.Deadline = x.env.Started.Add(limit * time.Millisecond)
		}
	}
	if op.any {
		w.Table = nil
	}
	all := false
	add := func(c *schema.Column) {
		w.Columns.Add(c)
		all = all || c.Index == schema.VersionColumn // it changes with every other one
	}
	for _, c := range op.columns {
		add(c)
	}
	for _, cl := range op.where.Clauses {
		if cl.Column != nil {
			add(cl.Column)
		}
	}
	if all {
		for _, c := range op.table.Columns {
			w.Columns.Add(c)
		}
	}
	x.wait = w
	return nil
}
