package monitor

import (
	"fmt"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// Decode reads the updates that a server sent in the form of version v as a
// change of a snapshot: it undoes what an [Encoding] does. The first reply to a
// monitor is a change of the empty snapshot. Members _uuid and _version of rows
// are skipped; rows get versions of their own. An update that does not fit the
// snapshot is an error: a row that is inserted must not exist, one that is
// modified or deleted must.
func Decode(snap *store.Snapshot, v Version, updates []byte) (*store.Delta, error) {
	tables := make([]*store.TableDelta, len(snap.Schema().Tables))
	r := json.NewReader(updates)
	r.Enter()
	for name, ok := r.Next(); ok; name, ok = r.Next() {
		t := snap.Schema().Table(name)
		if t == nil {
			return nil, fmt.Errorf("unknown table %s", name)
		}
		if tables[t.Index] != nil {
			return nil, fmt.Errorf("table %s stands there twice", name)
		}
		td := &store.TableDelta{Table: t}
		tables[t.Index] = td
		seen := make(map[atom.UUID]struct{})
		r.Enter()
		for id, ok := r.Next(); ok; id, ok = r.Next() {
			update, ok := r.Value()
			if !ok {
				break
			}
			c, err := decodeChange(snap, t, v, id, update)
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", name, err)
			}
			if _, dup := seen[c.UUID]; dup {
				return nil, fmt.Errorf("table %s: row %s stands there twice", name, c.UUID)
			}
			seen[c.UUID] = struct{}{}
			if c.Old == nil || c.New == nil || !c.Changed.Empty() {
				td.Rows = append(td.Rows, c)
			}
		}
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	return collect(tables), nil
}

// collect makes a delta of tables, by index; those that have no rows are left out.
func collect(tables []*store.TableDelta) *store.Delta {
	d := new(store.Delta)
	for _, td := range tables {
		if td != nil && len(td.Rows) > 0 {
			d.Tables = append(d.Tables, *td)
		}
	}
	return d
}

func decodeChange(snap *store.Snapshot, t *schema.Table, v Version, id string, update json.Value) (c store.Change, err error) {
	u, ok := atom.Parse(id)
	if !ok {
		return c, fmt.Errorf("bad row UUID %q", id)
	}
	if update.Kind() != json.Object {
		return c, fmt.Errorf("row %s: the update is not an object", u)
	}
	c.UUID = u
	kind, row := kindOf(v, update)
	old := snap.Row(t, u)
	switch {
	case kind == 0:
		return c, fmt.Errorf("row %s: unknown form of an update", u)
	case kind == insert && old != nil:
		return c, fmt.Errorf("cannot insert existing row %s", u)
	case kind == modify && old == nil:
		return c, fmt.Errorf("cannot modify missing row %s", u)
	case kind == del && old == nil:
		return c, fmt.Errorf("cannot delete missing row %s", u)
	case kind == del:
		return store.NewChange(t, u, old, nil), nil
	case row.Kind() != json.Object:
		return c, fmt.Errorf("row %s is not an object", u)
	}
	base := old
	if old == nil {
		base = store.NewRow(t, u)
	}
	vals := make([]store.Value, 0, row.Len())
	for name, val := range row.Members() {
		col := t.Column(name.Str())
		if col == nil {
			return c, fmt.Errorf("row %s: unknown column %s", u, name.Str())
		}
		if col.Implicit() {
			continue
		}
		d, err := decodeValue(base, col, val, v != V1 && kind == modify)
		if err != nil {
			return c, fmt.Errorf("row %s: column %s: %w", u, col.Name, err)
		}
		vals = append(vals, store.Value{Column: col, Datum: d})
	}
	row2 := base.With(vals...)
	row2.Touch(atom.New())
	return store.NewChange(t, u, old, row2), nil
}

// kindOf tells what kind of change an update of a row is, 0 for none, and finds
// the row's values. What an initial reply holds counts as inserted.
func kindOf(v Version, update json.Value) (selects, json.Value) {
	if v == V1 {
		old, new := update.Get("old"), update.Get("new")
		switch {
		case new.Kind() == json.Object && old.Kind() == json.Object:
			return modify, new
		case new.Kind() == json.Object:
			return insert, new
		case old.Kind() == json.Object:
			return del, old
		}
		return 0, json.Value{}
	}
	if update.Len() == 1 {
		for name, row := range update.Members() {
			switch name.Str() {
			case "initial", "insert":
				return insert, row
			case "modify":
				return modify, row
			case "delete":
				return del, row
			}
		}
	}
	return 0, json.Value{}
}

// decodeValue reads a column's value, or its difference from the value that the
// row has.
func decodeValue(row *store.Row, col *schema.Column, val json.Value, diff bool) (data.Datum, error) {
	if !diff || !col.Type.Composite() {
		d, err := data.ParseJSON(val, &col.Type, nil)
		if err != nil {
			return d, err
		}
		return d, nil
	}
	loose := col.Type // a difference may have more elements, and fewer
	loose.Min, loose.Max = 0, schema.Unlimited
	d, err := data.ParseJSON(val, &loose, nil)
	if err == nil {
		d, err = data.ApplyDiff(row.Get(col), d, &col.Type)
	}
	if err != nil {
		return d, err
	}
	return d, nil
}

// Toward makes the change that leads from a snapshot to the contents that a
// delta of the empty snapshot holds, in the tables that covers names. Rows that
// are the same already stay as they are.
func Toward(snap *store.Snapshot, contents *store.Delta, covers func(*schema.Table) bool) *store.Delta {
	tables := make([]*store.TableDelta, len(snap.Schema().Tables))
	want := make([]map[atom.UUID]*store.Row, len(tables))
	for _, td := range contents.Tables {
		rows := make(map[atom.UUID]*store.Row, len(td.Rows))
		for i := range td.Rows {
			rows[td.Rows[i].UUID] = td.Rows[i].New
		}
		want[td.Table.Index] = rows
	}
	for i, t := range snap.Schema().Tables {
		if !covers(t) {
			continue
		}
		td, rows := &store.TableDelta{Table: t}, want[i]
		tables[i] = td
		for old := range snap.Rows(t) {
			new := rows[old.UUID]
			delete(rows, old.UUID)
			if new == nil || !old.Equal(new) {
				td.Rows = append(td.Rows, store.NewChange(t, old.UUID, old, new))
			}
		}
		for id, new := range rows {
			td.Rows = append(td.Rows, store.NewChange(t, id, nil, new))
		}
	}
	return collect(tables)
}

// RequestAll makes the requests of a monitor of all columns of the tables that
// covers names: raw JSON, for [Decode] to read what comes.
func RequestAll(s *schema.Schema, covers func(*schema.Table) bool) []byte {
	b := []byte{'{'}
	for _, t := range s.Tables {
		if !covers(t) {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = json.AppendString(b, t.Name)
		b = append(b, `:[{"columns":[`...)
		for i, c := range t.Columns[schema.FirstColumn:] {
			if i > 0 {
				b = append(b, ',')
			}
			b = json.AppendString(b, c.Name)
		}
		b = append(b, "]}]"...)
	}
	return append(b, '}')
}
