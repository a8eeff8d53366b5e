package vsctl

import (
	"encoding/binary"
	"slices"

	"govs/internal/chash"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// row is a row as the database has it, with what the commands of this run have
// done to it.
type row struct {
	t    *schema.Table
	id   atom.UUID
	base []data.Datum // by Column.Index; nil in a new row
	cur  []data.Datum // nil while nothing was changed

	touched bool // is in run.order
	gone    bool
	whole   map[int]bool // columns to write as a whole
	muts    []mutation   // changes to the other columns, in order
	checks  map[int]bool // columns that must not have changed meanwhile
}

type mutation struct {
	col  *schema.Column
	op   string // insert or delete
	arg  data.Datum
	keys bool // arg is a set although the column is a map
	by   int  // the command, counted
}

func (x *row) isNew() bool { return x.base == nil }

// get returns the value of a column as this run sees it.
func (x *row) get(c *schema.Column) data.Datum {
	if c.Index == schema.UUIDColumn {
		return data.One(atom.ID(x.id))
	}
	if x.cur != nil {
		return x.cur[c.Index]
	}
	return x.base[c.Index]
}

// val is get by name; a column that the server does not have is empty.
func (x *row) val(name string) data.Datum {
	if c := x.t.Column(name); c != nil {
		return x.get(c)
	}
	return data.Datum{}
}

// str is the value of a string column, "" where it is empty.
func (x *row) str(name string) string {
	if d := x.val(name); d.Len() > 0 {
		return d.Key(0).Str()
	}
	return ""
}

func (x *row) flag(name string) bool {
	d := x.val(name)
	return d.Len() > 0 && d.Key(0).Bool()
}

// table holds the rows of a table by their UUIDs.
type tableRows map[atom.UUID]*row

// mirror is the part of the database that the commands need, kept up to date by
// a monitor.
type mirror struct {
	schema *schema.Schema
	rows   map[string]tableRows
	order  map[string]*chash.Table[atom.UUID] // as C walks them
	serial int                                // counts the updates
}

func newMirror(s *schema.Schema) *mirror {
	return &mirror{schema: s, rows: make(map[string]tableRows), order: make(map[string]*chash.Table[atom.UUID])}
}

// apply takes the updates of a monitor in (RFC 7047, section 4.1.6).
func (m *mirror) apply(updates json.Value) error {
	for name, rows := range updates.Members() {
		t := m.schema.Table(name.Str())
		if t == nil {
			continue
		}
		all := m.rows[t.Name]
		if all == nil {
			all = make(tableRows, rows.Len())
			m.rows[t.Name] = all
			m.order[t.Name] = chash.New(idHash)
		}
		// C walks the rows of an update as its parser's hash table has them.
		texts := chash.Names()
		for key := range rows.Members() {
			texts.Add(key.Str())
		}
		for text := range texts.All() {
			if id, ok := atom.Parse(text); ok {
				if _, known := all[id]; !known {
					m.order[t.Name].Add(id)
				}
			}
		}
		for key, u := range rows.Members() {
			id, ok := atom.ParseBytes(key.Bytes())
			if !ok {
				continue
			}
			now := u.Get("new")
			if now.Kind() != json.Object {
				delete(all, id)
				m.order[t.Name].Delete(id)
				continue
			}
			x, err := parseRow(t, id, now)
			if err != nil {
				return err
			}
			all[id] = x
		}
	}
	m.serial++
	return nil
}

// parseRow reads the columns of a row, but for its UUID and version.
func parseRow(t *schema.Table, id atom.UUID, columns json.Value) (*row, error) {
	x := &row{t: t, id: id, base: make([]data.Datum, len(t.Columns))}
	for c, v := range columns.Members() {
		col := t.Column(c.Str())
		if col == nil || col.Implicit() {
			continue
		}
		typ := col.Type
		typ.Key, typ.Value = schema.NewBaseType(typ.Key.Type), schema.NewBaseType(typ.Value.Type)
		d, err := data.ParseJSON(v, &typ, nil)
		if err != nil {
			return nil, err
		}
		x.base[col.Index] = d
	}
	return x, nil
}

// put takes a row in that was asked for, and says whether it is a new one.
func (m *mirror) put(x *row) bool {
	all := m.rows[x.t.Name]
	if all == nil {
		all = make(tableRows)
		m.rows[x.t.Name] = all
		m.order[x.t.Name] = chash.New(idHash)
	}
	_, known := all[x.id]
	if !known {
		m.order[x.t.Name].Add(x.id)
	}
	all[x.id] = x
	return !known
}

// idHash is C's hash of a UUID: its first four bytes.
func idHash(id atom.UUID) uint32 { return binary.BigEndian.Uint32(id[:4]) }

// list returns the rows of a table that are there in this run, in the order in
// which C's hash table gives them, by which people know it.
func (r *run) list(table string) []*row {
	order := r.m.order[table]
	if order == nil {
		order = chash.New(idHash)
	}
	fresh := false
	for _, x := range r.order {
		if x.isNew() && x.t.Name == table {
			if !fresh {
				order, fresh = order.Clone(), true
			}
			order.Add(x.id)
		}
	}
	rows := make([]*row, 0, len(r.m.rows[table])+4)
	for id := range order.All() {
		if x := r.find(table, id); x != nil {
			rows = append(rows, x)
		}
	}
	return rows
}

// find returns the row with a UUID, or nil.
func (r *run) find(table string, id atom.UUID) *row {
	if x := r.m.rows[table][id]; x != nil {
		if x.gone {
			return nil
		}
		return x
	}
	if x := r.fresh[id]; x != nil && !x.gone && x.t.Name == table {
		return x
	}
	return nil
}

// refs returns the rows that a column of references names, in its order, as
// well those that this run deleted without taking the references away: they last
// as long as those do.
func (r *run) refs(x *row, column string) []*row {
	c := x.t.Column(column)
	if c == nil {
		return nil
	}
	base, at := &c.Type.Key, data.Datum.Key
	if c.Type.Map() && c.Type.Value.RefTable != nil {
		base, at = &c.Type.Value, data.Datum.Value
	}
	if base.RefTable == nil {
		return nil
	}
	var out []*row
	d := x.get(c)
	for i := range d.Len() {
		id := at(d, i).UUID()
		if y := r.m.rows[base.RefTable.Name][id]; y != nil {
			out = append(out, y)
		} else if y := r.fresh[id]; y != nil && y.t == base.RefTable {
			out = append(out, y)
		}
	}
	return out
}

func (r *run) touch(x *row) {
	r.edits++
	if !x.touched {
		x.touched = true
		r.order = append(r.order, x)
	}
}

func (r *run) edit(x *row) {
	r.touch(x)
	if x.cur == nil {
		x.cur = slices.Clone(x.base)
		x.whole = make(map[int]bool)
	}
}

// insert makes a row with default values.
func (r *run) insert(table string, id atom.UUID) *row {
	t := r.m.schema.Table(table)
	x := &row{t: t, id: id, cur: make([]data.Datum, len(t.Columns)), whole: make(map[int]bool)}
	for _, c := range t.Columns[schema.FirstColumn:] {
		x.cur[c.Index] = data.Default(&c.Type)
	}
	r.fresh[id] = x
	r.touch(x)
	return x
}

func (r *run) remove(x *row) {
	r.touch(x)
	x.gone = true
}

// set writes a column as a whole.
func (r *run) set(x *row, column string, d data.Datum) {
	c := x.t.Column(column)
	if c == nil {
		return
	}
	r.edit(x)
	x.cur[c.Index] = d
	x.whole[c.Index] = true
	x.muts = slices.DeleteFunc(x.muts, func(m mutation) bool { return m.col == c })
}

func (r *run) setString(x *row, column, s string) { r.set(x, column, data.One(atom.Str(s))) }

// add puts elements or pairs into a column; of pairs with a known key the old
// one stays.
func (r *run) add(x *row, column string, d data.Datum) {
	c := x.t.Column(column)
	if c == nil {
		return
	}
	r.edit(x)
	x.cur[c.Index] = data.Union(x.cur[c.Index], d, c.Type.Map())
	if x.isNew() || x.whole[c.Index] {
		return
	}
	if n := len(x.muts); n > 0 && x.muts[n-1].col == c && x.muts[n-1].op == "insert" && x.muts[n-1].by == r.at {
		m := &x.muts[n-1]
		m.arg = data.Union(m.arg, d, c.Type.Map())
		return
	}
	x.muts = append(x.muts, mutation{col: c, op: "insert", arg: d, by: r.at})
}

// drop takes elements or pairs out of a column; keys says that d holds the keys
// of a map.
func (r *run) drop(x *row, column string, d data.Datum, keys bool) {
	c := x.t.Column(column)
	if c == nil {
		return
	}
	before := x.get(c)
	after := data.Subtract(before, d, c.Type.Map(), c.Type.Map() && !keys)
	if after.Len() == before.Len() {
		return
	}
	r.edit(x)
	x.cur[c.Index] = after
	if x.isNew() || x.whole[c.Index] {
		return
	}
	// What this run put in is not put in; the rest must be taken out.
	for i := range x.muts {
		if m := &x.muts[i]; m.col == c && m.op == "insert" {
			m.arg = data.Subtract(m.arg, d, c.Type.Map(), c.Type.Map() && !keys)
		}
	}
	x.muts = slices.DeleteFunc(x.muts, func(m mutation) bool { return m.arg.Len() == 0 })
	base := x.base[c.Index]
	d = data.Filter(d, func(k, _ atom.Atom) bool { _, ok := base.Find(k); return ok })
	if d.Len() > 0 {
		x.muts = append(x.muts, mutation{col: c, op: "delete", arg: d, keys: keys})
	}
}

// put sets pairs of a map.
func (r *run) put(x *row, column string, pairs data.Datum) {
	c := x.t.Column(column)
	if c == nil || data.Includes(x.get(c), pairs) {
		return
	}
	keys := make([]atom.Atom, 0, pairs.Len())
	for k := range pairs.Keys() {
		keys = append(keys, k)
	}
	r.drop(x, column, data.Set(keys...), true)
	r.add(x, column, pairs)
}

func ref(x *row) data.Datum { return data.One(atom.ID(x.id)) }

func pair(k, v string) data.Datum {
	return data.Map(data.Pair{Key: atom.Str(k), Value: atom.Str(v)})
}

// expect makes the transaction fail, and the commands run anew, where a column of
// a row was changed by somebody else meanwhile.
func (r *run) expect(x *row, column string) {
	c := x.t.Column(column)
	if c == nil || x.isNew() || c.Implicit() {
		return
	}
	r.touch(x)
	if x.checks == nil {
		x.checks = make(map[int]bool)
	}
	x.checks[c.Index] = true
}
