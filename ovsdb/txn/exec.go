package txn

import (
	"sync"

	"govs/internal/dberr"
	"govs/ovsdb/data"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// execution is one run of a transaction.
type execution struct {
	env     *Env
	base    *store.Snapshot // what edit is made of
	shared  *store.Edit     // the caller's; nil: edit is our own
	edit    *store.Edit     // nil before the first change
	tables  []touched       // by schema.Table.Index
	count   int             // rows in tables
	out     []byte
	comment string
	durable bool
	wait    *Wait
	born    map[atom.UUID]bool // rows inserted with an id that the server chose, outside the root set
	orphans []Orphan
	one     [1]*store.Row
}

// touched lists the rows of one table that the transaction changed.
type touched struct {
	rows []change
	pos  map[atom.UUID]int // position in rows, where there are many
	free map[atom.UUID]int // an empty map for pos
}

// change is what a row was before the transaction and what it is now: nil where
// there is none.
type change struct {
	id       atom.UUID
	was, now *store.Row
}

const manyRows = 12

func (t *touched) find(id atom.UUID) (int, bool) {
	if t.pos != nil {
		i, ok := t.pos[id]
		return i, ok
	}
	for i := range t.rows {
		if t.rows[i].id == id {
			return i, true
		}
	}
	return 0, false
}

// set notes that a row, which was old, is now another. It reports whether it is
// the first change of the row.
func (t *touched) set(id atom.UUID, old, row *store.Row) bool {
	if i, ok := t.find(id); ok {
		t.rows[i].now = row
		return false
	}
	t.rows = append(t.rows, change{id, old, row})
	switch {
	case t.pos != nil:
		t.pos[id] = len(t.rows) - 1
	case len(t.rows) > manyRows:
		if t.pos, t.free = t.free, nil; t.pos == nil {
			t.pos = make(map[atom.UUID]int, 4*manyRows)
		}
		for i, b := range t.rows {
			t.pos[b.id] = i
		}
	}
	return true
}

// executions are kept for their memory.
var executions = sync.Pool{New: func() any { return new(execution) }}

// start makes an execution ready.
func start(s *schema.Schema, env *Env, total int) *execution {
	x := executions.Get().(*execution)
	x.env = env
	if n := len(s.Tables); cap(x.tables) < n {
		x.tables = make([]touched, n)
	} else {
		x.tables = x.tables[:n]
	}
	x.out = append(make([]byte, 0, 64+64*total), '[')
	return x
}

// free gives the memory back.
func (x *execution) free() {
	const keep = 64 // rows
	tables := x.tables
	for i := range tables {
		t := &tables[i]
		clear(t.rows)
		if t.pos != nil && len(t.rows) <= keep {
			clear(t.pos)
			t.free = t.pos
		}
		if cap(t.rows) > 2*keep {
			t.rows = nil
		}
		t.rows, t.pos = t.rows[:0], nil
	}
	*x = execution{tables: tables}
	executions.Put(x)
}

// Execute runs the transaction on a snapshot.
func (t *Txn) Execute(s *store.Snapshot, env Env) Result {
	x := start(s.Schema(), &env, t.total)
	x.base = s
	res := x.execute(t)
	res.Next = s
	if res.Delta != nil {
		res.Next = x.edit.Done()
	}
	x.free()
	return res
}

// ExecuteOn runs the transaction on what an Edit holds, and leaves its changes
// there. Where it fails, or has to wait, the Edit holds the same rows as before.
// Result.Next is nil: several transactions share one new version, and the nodes
// of its trees.
func (t *Txn) ExecuteOn(e *store.Edit, env Env) Result {
	x := start(e.Schema(), &env, t.total)
	x.base, x.shared = &e.Snapshot, e
	res := x.execute(t)
	if res.Delta == nil && x.edit != nil {
		x.undo()
	}
	x.free()
	return res
}

// undo brings back the rows that were there before.
func (x *execution) undo() {
	for i := range x.tables {
		for _, c := range x.tables[i].rows {
			x.edit.Set(x.base.Schema().Tables[i], c.id, c.was)
		}
	}
}

func (x *execution) execute(t *Txn) Result {
	if x.env.Started.IsZero() {
		x.env.Started = x.env.Now
	}
	err := x.run(t)
	if x.wait != nil {
		return Result{Wait: x.wait}
	}
	res := Result{Durable: x.durable, Comment: x.comment}
	if err == nil && x.edit != nil {
		res.Delta, err = x.commit()
		res.Orphans = x.orphans
		if err != nil {
			if t.total > 0 {
				x.out = append(x.out, ',')
			}
			x.out = err.AppendJSON(x.out)
		}
	}
	res.Err = err
	res.Reply = append(x.out, ']')
	return res
}

// run executes the operations up to the first that fails.
func (x *execution) run(t *Txn) *dberr.Error {
	for i := range t.total {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		mark := len(x.out)
		var err *dberr.Error
		if i < len(t.ops) {
			err = t.ops[i].execute(x)
			if x.wait != nil {
				return nil
			}
			if err == nil && (x.env.ReadOnly || x.env.Reserved != "") {
				err = x.refuse(t.ops[i])
			}
		} else {
			err = t.broken
		}
		if err != nil {
			x.out = err.AppendJSON(x.out[:mark])
			for range t.total - i - 1 {
				x.out = append(x.out, ",null"...)
			}
			return err
		}
	}
	return nil
}

// refuse gives the error of an operation that may not be done here.
func (x *execution) refuse(op operation) *dberr.Error {
	name := ""
	switch op.(type) {
	case *opInsert:
		name = "insert"
	case *opUpdate:
		name = "update"
	case *opMutate:
		name = "mutate"
	case *opDelete:
		name = "delete"
	case *opCommit:
		name = "commit"
	default:
		return nil
	}
	if x.env.ReadOnly {
		return dberr.New(dberr.NotAllowed, "%s operation not allowed when database server is in read only mode", name)
	}
	return dberr.New(dberr.NotAllowed, "%s operation not allowed on table in reserved database %s", name, x.env.Reserved)
}

func (x *execution) permit(op string, t *schema.Table, row *store.Row, cols []*schema.Column) *dberr.Error {
	if x.env.Permit == nil {
		return nil
	}
	return x.env.Permit(op, t, row, cols)
}

func (x *execution) newUUID() atom.UUID {
	if x.env.NewUUID != nil {
		return x.env.NewUUID()
	}
	return atom.New()
}

// now returns the tables as the transaction sees them.
func (x *execution) now() *store.Snapshot {
	if x.edit != nil {
		return &x.edit.Snapshot
	}
	return x.base
}

// known reports whether a row exists, or did before the transaction: one that the
// transaction itself inserted and deleted leaves no trace.
func (x *execution) known(t *schema.Table, id atom.UUID) bool {
	if was, ok := x.old(t, id); ok && was != nil {
		return true
	}
	return x.now().Row(t, id) != nil
}

// set replaces the row old by row; nil stands for no row.
func (x *execution) set(t *schema.Table, id atom.UUID, old, row *store.Row) {
	if x.edit == nil {
		if x.edit = x.shared; x.edit == nil {
			x.edit = x.base.Edit()
		}
	}
	if x.tables[t.Index].set(id, old, row) {
		x.count++
	}
	x.edit.Set(t, id, row)
}

// find returns the rows that meet a condition. Conditions for equality on _uuid
// or on the columns of an index are looked up, others need a look at every row.
func (x *execution) find(t *schema.Table, where *query.Condition) []*store.Row {
	s := x.now()
	for i := range where.Clauses {
		cl := &where.Clauses[i]
		switch {
		case cl.Function == query.False:
			return nil
		case cl.Column != nil && cl.Column.Index == schema.UUIDColumn && (cl.Function == query.EQ || cl.Function == query.Includes) && cl.Arg.Len() == 1:
			r := s.Row(t, cl.Arg.Key(0).UUID())
			if r == nil || !where.All(r) {
				return nil
			}
			x.one[0] = r
			return x.one[:]
		}
	}
	if len(where.Clauses) > 0 {
		for i, cols := range t.Indexes {
			if rows, ok := byIndex(s, t, i, cols, where); ok {
				return rows
			}
		}
	}
	rows := make([]*store.Row, 0, min(s.Len(t), 64))
	for r := range s.Rows(t) {
		if where.All(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// byIndex looks rows up where the condition fixes every column of an index.
func byIndex(s *store.Snapshot, t *schema.Table, index int, cols []*schema.Column, where *query.Condition) ([]*store.Row, bool) {
	var buf [4]data.Datum
	key := buf[:0]
columns:
	for _, c := range cols {
		for i := range where.Clauses {
			if cl := &where.Clauses[i]; cl.Column == c && cl.Function == query.EQ {
				key = append(key, cl.Arg)
				continue columns
			}
		}
		return nil, false
	}
	var rows []*store.Row
	for r := range s.Lookup(t, index, key) {
		if where.All(r) {
			rows = append(rows, r)
		}
	}
	return rows, true
}
