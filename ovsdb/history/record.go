package history

import (
	"bytes"
	"fmt"
	"strconv"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// isDiff is the member of a record whose modified columns are differences.
const isDiff = "_is_diff"

// Encode makes the body of a storage record of a delta: for each row null
// where it was deleted, otherwise the columns that changed; ephemeral columns
// are left out. Where rows were modified, the record has the member
// "_is_diff": true, and columns hold the difference between old and new value
// (data.Diff): what a change of a large set costs does not depend on its size
// on disk. Where a modified column has a least or greatest number of elements,
// the member is false and all values are whole: the C server (3.1) misreads
// differences of such columns. It returns nil where nothing is left.
func Encode(d *store.Delta) []byte {
	if b, ok := encode(d, true); ok {
		return b
	}
	b, _ := encode(d, false)
	return b
}

// encode is Encode with one kind of values; ok is false where differences will
// not do.
func encode(d *store.Delta, diff bool) (b []byte, ok bool) {
	b = make([]byte, 0, 512)
	b = append(b, `{"`+isDiff+`":`...)
	b = strconv.AppendBool(b, diff)
	head := len(b)
	for _, td := range d.Tables {
		start, first := len(b), true
		b = append(b, ',')
		b = json.AppendString(b, td.Table.Name)
		b = append(b, ':', '{')
		for i := range td.Rows {
			at := len(b)
			if !first {
				b = append(b, ',')
			}
			b = append(b, '"')
			b = td.Rows[i].UUID.Append(b)
			b = append(b, '"', ':')
			var some bool
			if b, some, ok = appendRow(b, td.Table, &td.Rows[i], diff); !ok {
				return nil, false
			}
			if some {
				first = false
			} else {
				b = b[:at]
			}
		}
		if first {
			b = b[:start]
			continue
		}
		b = append(b, '}')
	}
	if len(b) == head {
		return nil, true
	}
	return append(b, '}'), true
}

// appendRow appends a row's change, and reports whether there is one; ok is false
// where it cannot be told as a difference.
func appendRow(b []byte, t *schema.Table, c *store.Change, diff bool) (_ []byte, some, ok bool) {
	if c.New == nil {
		return append(b, "null"...), true, true
	}
	b = append(b, '{')
	first := true
	for _, col := range t.Columns[schema.FirstColumn:] {
		if col.Ephemeral || !c.Changed.Has(col) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = json.AppendString(b, col.Name)
		b = append(b, ':')
		v := c.New.Get(col)
		if diff && c.Old != nil && col.Type.Composite() {
			if col.Type.Min > 0 || col.Type.Max != schema.Unlimited {
				return b, false, false
			}
			v = data.Diff(c.Old.Get(col), v, &col.Type)
		}
		b = v.AppendJSON(b, &col.Type)
	}
	return append(b, '}'), c.Old == nil || !first, true
}

// Whole makes the delta that leads from the empty database to a snapshot.
func Whole(snap *store.Snapshot) *store.Delta {
	d := new(store.Delta)
	for _, t := range snap.Schema().Tables {
		td := store.TableDelta{Table: t, Rows: make([]store.Change, 0, snap.Len(t))}
		for r := range snap.Rows(t) {
			c := store.Change{UUID: r.UUID, New: r}
			for _, col := range t.Columns[schema.FirstColumn:] {
				if !col.Ephemeral && !r.Get(col).Equal(data.Default(&col.Type)) {
					c.Changed.Add(col)
				}
			}
			td.Rows = append(td.Rows, c)
		}
		if len(td.Rows) > 0 {
			d.Tables = append(d.Tables, td)
		}
	}
	return d
}

// EncodeWhole makes the body of the record that holds every row of a snapshot:
// what a database file starts with after compaction.
func EncodeWhole(snap *store.Snapshot) []byte {
	if b := Encode(Whole(snap)); b != nil {
		return b
	}
	return []byte("{}")
}

// Decode reads a record's body as a change of a snapshot, row by row, so that
// one that holds a whole database needs little memory beside it. Members whose
// names begin with '_' are of the format, not tables; those but _is_diff are
// skipped. Weak references that lose their row are taken out, whether the record
// says so or not.
func Decode(snap *store.Snapshot, body []byte) (*store.Delta, error) {
	diff, err := isDifference(body)
	if err != nil {
		return nil, err
	}
	tables := make([]*store.TableDelta, len(snap.Schema().Tables))
	r := json.NewReader(body)
	r.Enter()
	for name, ok := r.Next(); ok; name, ok = r.Next() {
		t := snap.Schema().Table(name)
		if t == nil {
			if name != "" && name[0] == '_' {
				r.Value()
				continue
			}
			return nil, fmt.Errorf("no table named %s", name)
		}
		if tables[t.Index] != nil {
			return nil, fmt.Errorf("table %s stands there twice", name)
		}
		td := &store.TableDelta{Table: t}
		tables[t.Index] = td
		r.Enter()
		for id, ok := r.Next(); ok; id, ok = r.Next() {
			row, ok := r.Value()
			if !ok {
				break
			}
			c, err := decodeRow(snap, t, id, row, diff)
			if err != nil {
				return nil, fmt.Errorf("table %s: %w", t.Name, err)
			}
			td.Rows = append(td.Rows, c)
		}
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	purgeWeak(snap, tables)
	d := new(store.Delta)
	for _, td := range tables {
		if td != nil && len(td.Rows) > 0 {
			d.Tables = append(d.Tables, *td)
		}
	}
	return d, nil
}

// isDifference looks for _is_diff, which may stand behind the tables.
func isDifference(body []byte) (bool, error) {
	if bytes.HasPrefix(body, []byte(`{"`+isDiff+`":true`)) {
		return true, nil
	}
	if bytes.HasPrefix(body, []byte(`{"`+isDiff+`":false`)) || !bytes.Contains(body, []byte(`"`+isDiff+`"`)) {
		return false, nil
	}
	v, err := json.Parse(body)
	if err != nil {
		return false, err
	}
	diff, _ := v.Get(isDiff).Bool()
	return diff, nil
}

func decodeRow(snap *store.Snapshot, t *schema.Table, id string, row json.Value, diff bool) (store.Change, error) {
	u, ok := atom.Parse(id)
	if !ok {
		return store.Change{}, fmt.Errorf("%q is no UUID", id)
	}
	c := store.Change{UUID: u, Old: snap.Row(t, u)}
	if row.Kind() == json.Null {
		if c.Old == nil {
			return c, fmt.Errorf("row %s, which is to be deleted, does not exist", u)
		}
		return store.NewChange(t, u, c.Old, nil), nil
	}
	if row.Kind() != json.Object {
		return c, fmt.Errorf("row %s is not an object", u)
	}
	vals := make([]store.Value, 0, row.Len())
	for name, v := range row.Members() {
		col := t.Column(name.Str())
		if col == nil || col.Implicit() {
			return c, fmt.Errorf("row %s: no column %s", u, name.Str())
		}
		ty := &col.Type
		if diff && c.Old != nil && ty.Composite() {
			loose := *ty // a difference may have more elements, and fewer
			loose.Min, loose.Max = 0, schema.Unlimited
			ty = &loose
		}
		d, err := data.ParseJSON(v, ty, nil)
		if err == nil && ty != &col.Type {
			d, err = data.ApplyDiff(c.Old.Get(col), d, &col.Type)
		}
		if err != nil {
			return c, fmt.Errorf("row %s: column %s: %w", u, col.Name, err)
		}
		vals = append(vals, store.Value{Column: col, Datum: d})
		c.Changed.Add(col)
	}
	base := c.Old
	if base == nil {
		base = store.NewRow(t, u)
	}
	c.New = base.With(vals...)
	c.New.Touch(atom.New())
	return c, nil
}
