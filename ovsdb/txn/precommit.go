package txn

import (
	"fmt"
	"strings"

	"govs/internal/dberr"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// commit does the work at the end of a transaction, and returns what changed; nil
// where nothing did.
func (x *execution) commit() (*store.Delta, *dberr.Error) {
	if !x.changed() {
		return nil, nil
	}
	for _, step := range [...]step{(*execution).checkTargets, (*execution).checkDeleted, (*execution).collect} {
		if err := x.each(step); err != nil {
			return nil, err
		}
	}
	if err := x.checkMaxRows(); err != nil {
		return nil, err
	}
	if err := x.each((*execution).purgeWeak); err != nil {
		return nil, err
	}
	if err := x.each((*execution).checkIndexes); err != nil {
		return nil, err
	}
	return x.delta(), nil
}

// changed reports whether a row is not what it was before.
func (x *execution) changed() bool {
	for i := range x.tables {
		for _, c := range x.tables[i].rows {
			if (c.now == nil) != (c.was == nil) || c.now != nil && !c.now.Equal(c.was) {
				return true
			}
		}
	}
	return false
}

// step is a part of the commit, for one row that was touched.
type step func(x *execution, t *schema.Table, c change) *dberr.Error

// each does a step for every row that was touched, also for those that the step
// touches.
func (x *execution) each(f step) *dberr.Error {
	for again := true; again; {
		again = false
		for i := range x.tables {
			touched := &x.tables[i]
			if len(touched.rows) == 0 {
				continue
			}
			t := x.base.Schema().Tables[i]
			before := x.count
			for j := 0; j < len(touched.rows); j++ {
				if err := f(x, t, touched.rows[j]); err != nil {
					return err
				}
			}
			again = again || x.count != before
		}
	}
	return nil
}

// old returns what a row was before the transaction, and whether it was touched.
func (x *execution) old(t *schema.Table, id atom.UUID) (*store.Row, bool) {
	tt := &x.tables[t.Index]
	if i, ok := tt.find(id); ok {
		return tt.rows[i].was, true
	}
	return nil, false
}

// references yields the references of one kind in a column: key and value of a
// map may both be some.
func references(c *schema.Column, d data.Datum, kind schema.RefType, f func(t *schema.Table, id atom.UUID) *dberr.Error) *dberr.Error {
	k, v := &c.Type.Key, &c.Type.Value
	keys := k.RefTable != nil && k.RefType == kind
	vals := v.RefTable != nil && v.RefType == kind
	if !keys && !vals {
		return nil
	}
	for i := range d.Len() {
		if keys {
			if err := f(k.RefTable, d.Key(i).UUID()); err != nil {
				return err
			}
		}
		if vals {
			if err := f(v.RefTable, d.Value(i).UUID()); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkTargets finds strong references to rows that do not exist, in columns that
// changed.
func (x *execution) checkTargets(t *schema.Table, ch change) *dberr.Error {
	id, row, was := ch.id, ch.now, ch.was
	if row == nil {
		return nil
	}
	for _, c := range t.Strong {
		d := row.Get(c)
		var o data.Datum
		if was != nil {
			o = was.Get(c)
		}
		if o.Same(d) {
			continue
		}
		err := references(c, data.Added(o, d), schema.Strong, func(to *schema.Table, target atom.UUID) *dberr.Error {
			if x.edit.Row(to, target) != nil {
				return nil
			}
			if was, _ := x.old(to, target); was != nil {
				return nil // deleted by this transaction: see checkDeleted
			}
			if x.adopt(to, target) {
				return nil
			}
			return dberr.New(dberr.Referential, "Table %s column %s row %s references nonexistent row %s in table %s.",
				t.Name, c.Name, id, target, to.Name)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// adopt brings a row back that an earlier transaction inserted for this one to
// refer to, and reports whether there is one.
func (x *execution) adopt(t *schema.Table, id atom.UUID) bool {
	if x.env.Orphan == nil {
		return false
	}
	row := x.env.Orphan(t, id)
	if row == nil {
		return false
	}
	row = row.With()
	row.Touch(x.newUUID())
	x.set(t, id, nil, row)
	return true
}

// checkDeleted finds strong references to a row that was deleted.
func (x *execution) checkDeleted(t *schema.Table, c change) *dberr.Error {
	if c.now != nil || c.was == nil {
		return nil
	}
	id := c.id
	if n := x.edit.StrongRefs(t, id); n > 0 {
		return dberr.New(dberr.Referential, "cannot delete %s row %s because of %d remaining reference(s)", t.Name, id, n)
	}
	return nil
}

// collect deletes rows that nothing refers to any more, in tables that are not in
// the root set: the row itself, those that it referred to before, and so on.
func (x *execution) collect(t *schema.Table, ch change) *dberr.Error {
	type place struct {
		t  *schema.Table
		id atom.UUID
	}
	var buf [8]place
	queue := append(buf[:0], place{t, ch.id})
	for len(queue) > 0 {
		p := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		row := x.edit.Row(p.t, p.id)
		lost := row // the version whose references are gone
		if row != nil && !p.t.IsRoot && !x.edit.AllReferenced(p.t) && x.edit.StrongRefs(p.t, p.id) == 0 {
			x.set(p.t, p.id, row, nil)
			if x.born[p.id] {
				x.orphans = append(x.orphans, Orphan{p.t, row})
			}
			row = nil
		} else if lost, _ = x.old(p.t, p.id); lost == nil {
			continue
		}
		for _, c := range p.t.Strong {
			gone := lost.Get(c)
			if row != nil {
				d := row.Get(c)
				if d.Same(gone) {
					continue
				}
				gone = data.Added(d, gone)
			}
			references(c, gone, schema.Strong, func(to *schema.Table, target atom.UUID) *dberr.Error {
				if !to.IsRoot && x.edit.Row(to, target) != nil && x.edit.StrongRefs(to, target) == 0 {
					queue = append(queue, place{to, target})
				}
				return nil
			})
		}
	}
	return nil
}

func (x *execution) checkMaxRows() *dberr.Error {
	for i := range x.tables {
		if len(x.tables[i].rows) == 0 {
			continue
		}
		t := x.base.Schema().Tables[i]
		if n := x.edit.Len(t); uint64(n) > uint64(t.MaxRows) {
			return dberr.New(dberr.ConstraintViolation,
				"transaction causes \"%s\" table to contain %d rows, greater than the schema-defined limit of %d row(s)",
				t.Name, n, t.MaxRows)
		}
	}
	return nil
}

// purgeWeak takes weak references to rows that do not exist out of a row, and
// those to a deleted row out of the rows that have them.
func (x *execution) purgeWeak(t *schema.Table, c change) *dberr.Error {
	id := c.id
	if c.now == nil {
		var from []func() *dberr.Error
		for ft, source := range x.edit.WeakRefs(t, id) {
			from = append(from, func() *dberr.Error { return x.purgeRow(ft, source) })
		}
		for _, f := range from {
			if err := f(); err != nil {
				return err
			}
		}
		return nil
	}
	if len(t.Weak) == 0 {
		return nil
	}
	return x.purgeRow(t, id)
}

func (x *execution) purgeRow(t *schema.Table, id atom.UUID) *dberr.Error {
	row := x.edit.Row(t, id)
	if row == nil {
		return nil
	}
	var vals []store.Value
	for _, c := range t.Weak {
		k, v := &c.Type.Key, &c.Type.Value
		zero := false
		d := row.Get(c)
		kept := data.Filter(d, func(key, value atom.Atom) bool {
			for _, ref := range []struct {
				b *schema.BaseType
				a atom.Atom
			}{{k, key}, {v, value}} {
				if ref.b.WeakRef() && x.edit.Row(ref.b.RefTable, ref.a.UUID()) == nil {
					zero = zero || ref.a.IsDefault()
					return false
				}
			}
			return true
		})
		if kept.Len() == d.Len() {
			continue
		}
		if kept.Len() < int(c.Type.Min) {
			return x.weakError(t, c, id, zero, d.Len()-kept.Len())
		}
		vals = append(vals, store.Value{Column: c, Datum: kept})
	}
	if vals != nil {
		x.set(t, id, row, row.With(vals...))
	}
	return nil
}

func (x *execution) weakError(t *schema.Table, c *schema.Column, id atom.UUID, zero bool, n int) *dberr.Error {
	state := ""
	if was, ok := x.old(t, id); ok && was == nil {
		state = " (inserted within this transaction)"
	}
	if zero {
		return dberr.New(dberr.ConstraintViolation, "Weak reference column \"%s\" in \"%s\" row %s%s contained all-zeros UUID "+
			"(probably as the default value for this column) but deleting this value caused a constraint volation "+
			"because this column is not allowed to be empty.", c.Name, t.Name, id, state)
	}
	return dberr.New(dberr.ConstraintViolation, "Deletion of %d weak reference(s) to deleted (or never-existing) rows "+
		"from column \"%s\" in \"%s\" row %s%s caused this column to become empty, "+
		"but constraints on this column disallow an empty column.", n, c.Name, t.Name, id, state)
}

// checkIndexes finds rows whose values in the columns of an index are those of
// another row.
func (x *execution) checkIndexes(t *schema.Table, c change) *dberr.Error {
	row, was := c.now, c.was
	if len(t.Indexes) == 0 || row == nil {
		return nil
	}
	for i, cols := range t.Indexes {
		if was != nil && sameIn(cols, was, row) {
			continue // a row that came to be like it is found at that row
		}
		if other := x.edit.Duplicate(t, i, row); other != nil {
			return x.duplicate(t, cols, row, other)
		}
	}
	return nil
}

func sameIn(cols []*schema.Column, a, b *store.Row) bool {
	for _, c := range cols {
		if !a.Get(c).Equal(b.Get(c)) {
			return false
		}
	}
	return true
}

func (x *execution) duplicate(t *schema.Table, cols []*schema.Column, a, b *store.Row) *dberr.Error {
	names := make([]string, len(cols))
	for i, c := range cols {
		names[i] = "\"" + c.Name + "\""
	}
	plural := ""
	if len(cols) > 1 {
		plural = "s"
	}
	return dberr.New(dberr.ConstraintViolation,
		"Transaction causes multiple rows in \"%s\" table to have identical values (%s) for index on column%s %s.  First row, with UUID %s, %s.  Second row, with UUID %s, %s.",
		t.Name, indexValues(cols, a), plural, english(names), a.UUID, x.history(t, cols, a), b.UUID, x.history(t, cols, b))
}

// history says where a row comes from, as the error for duplicates does.
func (x *execution) history(t *schema.Table, cols []*schema.Column, r *store.Row) string {
	was, ok := x.old(t, r.UUID)
	switch {
	case !ok:
		return "existed in the database before this transaction and was not modified by the transaction"
	case was == nil:
		return "was inserted by this transaction"
	case sameIn(cols, was, r):
		return "existed in the database before this transaction, which modified some of the row's columns but not any columns in this index"
	}
	return fmt.Sprintf("had the following index values before the transaction: %s", indexValues(cols, was))
}

// indexValues prints a row's values in the columns of an index.
func indexValues(cols []*schema.Column, r *store.Row) string {
	vals := make([]string, len(cols))
	for i, c := range cols {
		vals[i] = r.Get(c).Text(&c.Type)
	}
	return english(vals)
}

// english joins words: "a", "a and b", "a, b, and c".
func english(words []string) string {
	switch n := len(words); n {
	case 0:
		return ""
	case 1:
		return words[0]
	case 2:
		return words[0] + " and " + words[1]
	default:
		return strings.Join(words[:n-1], ", ") + ", and " + words[n-1]
	}
}

// delta collects what changed.
func (x *execution) delta() *store.Delta {
	d := new(store.Delta)
	n := 0
	for i := range x.tables {
		if len(x.tables[i].rows) > 0 {
			n++
		}
	}
	d.Tables = make([]store.TableDelta, 0, n)
	for i := range x.tables {
		rows := x.tables[i].rows
		if len(rows) == 0 {
			continue
		}
		t := x.base.Schema().Tables[i]
		td := store.TableDelta{Table: t, Rows: make([]store.Change, 0, len(rows))}
		for _, b := range rows {
			row := b.now
			if row == nil && b.was == nil {
				continue
			}
			c := store.NewChange(t, b.id, b.was, row)
			if b.was != nil && row != nil && c.Changed.Empty() {
				// The row is as it was: so is its version.
				x.edit.Set(t, b.id, b.was)
				continue
			}
			if b.was != nil && row != nil {
				row.Touch(x.newUUID())
			}
			td.Rows = append(td.Rows, c)
		}
		if len(td.Rows) > 0 {
			d.Tables = append(d.Tables, td)
		}
	}
	if d.Empty() {
		return nil
	}
	return d
}
