// Package monitor is what a client asked to be told (RFC 7047, section 4.1.5;
// ovsdb-server(7), 4.1.12-16), as pure functions: a request is parsed once into
// an immutable [Monitor], and makes initial replies of snapshots and updates of
// deltas.
//
// Bytes are shared: two monitors that want the same columns of the same rows
// in the same form have the same Key, and an [Encoding] encodes a delta once for
// each key, a whole monitor or one of its tables.
//
// # Caveats
//
// The names and conditions of a monitor belong to one schema; after a
// conversion it is of no use. Where there are several requests for one table,
// the first one's condition is the table's, as in the C server.
package monitor

import (
	"fmt"
	"strings"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
)

// Version is the form of a monitor's updates.
type Version uint8

// The versions, by the requests that start them.
const (
	V1 Version = 1 // monitor, update
	V2 Version = 2 // monitor_cond, update2
	V3 Version = 3 // monitor_cond_since, update3
)

// Method is the method of the notifications.
func (v Version) Method() string {
	return [...]string{V1: "update", V2: "update2", V3: "update3"}[v]
}

// Request is the method of the requests that start such monitors.
func (v Version) Request() string {
	return [...]string{V1: "monitor", V2: "monitor_cond", V3: "monitor_cond_since"}[v]
}

// selects is a set of kinds of updates.
type selects uint8

const (
	initial selects = 1 << iota
	insert
	del
	modify
	all = initial | insert | del | modify
)

// column is a monitored column and the updates in which it stands.
type column struct {
	*schema.Column
	sel   selects
	name  []byte // its name in an object, with the colon
	unset []byte // name and default value
}

// table is what is wanted of one table.
type table struct {
	*schema.Table
	cols  []column
	sel   selects // of any column
	where *where  // nil: every row
	form  string  // the same for tables whose rows look the same
	key   string  // form and condition

	requests  int  // how many were added
	ephemeral bool // there are ephemeral columns among cols
}

// Monitor is one request. It does not change.
type Monitor struct {
	Version Version
	tables  []*table // by their index
	key     string
	plain   bool // no table has a condition
}

// Key is the same for monitors that get the same bytes.
func (m *Monitor) Key() string { return m.key }

// Ephemeral reports whether m has columns whose values do not outlive the server, in
// one of the tables.
func (m *Monitor) Ephemeral(tables func(*schema.Table) bool) bool {
	for _, t := range m.tables {
		if t.ephemeral && tables(t.Table) {
			return true
		}
	}
	return false
}

// Parse reads the <monitor-requests> of a monitor method.
func Parse(s *schema.Schema, v Version, requests json.Value) (*Monitor, *dberr.Error) {
	if requests.Kind() != json.Object {
		return nil, dberr.Syntax(requests, "monitor-requests must be object")
	}
	m := &Monitor{Version: v, tables: make([]*table, len(s.Tables))}
	for name, reqs := range requests.Members() {
		t := s.Table(name.Str())
		if t == nil {
			return nil, dberr.New(dberr.SyntaxError, "no table named %s", name.Str())
		}
		mt := &table{Table: t}
		if reqs.Kind() == json.Array {
			for r := range reqs.Elems() {
				if err := mt.add(v, r); err != nil {
					return nil, err
				}
			}
		} else if err := mt.add(v, reqs); err != nil {
			return nil, err
		}
		mt.name(v)
		m.tables[t.Index] = mt
	}
	m.compact()
	return m, nil
}

// compact drops the tables that nobody asked for and makes the key.
func (m *Monitor) compact() {
	var key strings.Builder
	n := 0
	m.plain = true
	for _, t := range m.tables {
		if t != nil {
			m.plain = m.plain && t.where == nil
			m.tables[n] = t
			n++
			key.WriteString(t.key)
		}
	}
	m.tables = m.tables[:n]
	m.key = key.String()
}

// name makes the table's key.
func (t *table) name(v Version) {
	var b strings.Builder
	form := v
	if form == V3 {
		form = V2 // the updates are the same
	}
	fmt.Fprintf(&b, "%d %d:%d", form, t.Index, t.sel)
	for _, c := range t.cols {
		fmt.Fprintf(&b, ",%d:%d", c.Index, c.sel)
	}
	t.form = b.String()
	if t.where != nil {
		b.WriteString(" " + t.where.text)
	}
	b.WriteByte('\n')
	t.key = b.String()
}

// add adds one <monitor-request>.
func (t *table) add(v Version, r json.Value) *dberr.Error {
	if r.Kind() != json.Object {
		return dberr.New(dberr.SyntaxError, "Parsing table %s failed: Object expected.", t.Name)
	}
	var columns, cond, sel json.Value
	for name, val := range r.Members() {
		want := json.Invalid
		switch n := name.Str(); {
		case n == "columns":
			columns, want = val, json.Array
		case n == "where" && v != V1:
			cond, want = val, json.Array
		case n == "select":
			sel, want = val, json.Object
		default:
			return dberr.Syntax(r, "Parsing table %s failed: Member '%s' is present but not allowed here.", t.Name, n)
		}
		if val.Kind() != want {
			return dberr.Syntax(r, "Parsing table %s failed: Type mismatch for member '%s'.", t.Name, name.Str())
		}
	}
	kinds := all
	for name, val := range sel.Members() {
		bit, ok := map[string]selects{"initial": initial, "insert": insert, "delete": del, "modify": modify}[name.Str()]
		if !ok {
			return dberr.Syntax(sel, "Parsing table %s select failed: Member '%s' is present but not allowed here.", t.Name, name.Str())
		}
		on, ok := val.Bool()
		if !ok {
			return dberr.Syntax(sel, "Parsing table %s select failed: Type mismatch for member '%s'.", t.Name, name.Str())
		}
		if !on {
			kinds &^= bit
		}
	}
	t.sel |= kinds
	if columns.Kind() == json.Invalid {
		// All but _uuid, which stands as the key.
		for _, c := range t.Columns[schema.VersionColumn:] {
			if err := t.addColumn(c, kinds, json.Value{}); err != nil {
				return err
			}
		}
	}
	for c := range columns.Elems() {
		if c.Kind() != json.String {
			return dberr.Syntax(columns, "array of column names expected")
		}
		col := t.Column(c.Str())
		if col == nil {
			return dberr.Syntax(columns, "%s is not a valid column name", c.Str())
		}
		if err := t.addColumn(col, kinds, columns); err != nil {
			return err
		}
	}
	var w *where
	if cond.Kind() == json.Array {
		var err *dberr.Error
		if w, err = parseWhere(t.Table, cond); err != nil {
			return err
		}
	}
	if t.requests++; t.requests == 1 {
		t.where = w
	}
	return nil
}

func (t *table) addColumn(c *schema.Column, kinds selects, columns json.Value) *dberr.Error {
	for _, have := range t.cols {
		if have.Column == c {
			if columns.Kind() == json.Invalid {
				return dberr.New(dberr.SyntaxError, "column %s mentioned more than once", c.Name)
			}
			return dberr.Syntax(columns, "column %s mentioned more than once", c.Name)
		}
	}
	name := append(json.AppendString(nil, c.Name), ':')
	unset := append([]byte(nil), name...)
	if !c.Implicit() {
		unset = data.Default(&c.Type).AppendJSON(unset, &c.Type)
	}
	t.cols = append(t.cols, column{c, kinds, name, unset})
	t.ephemeral = t.ephemeral || c.Ephemeral
	return nil
}

// Change reads the <monitor-cond-update-requests> of monitor_cond_change. It
// returns the monitor with the new conditions, and the updates that the
// change makes on a snapshot: nil where there are none, or no snapshot.
func (m *Monitor) Change(s *schema.Schema, requests json.Value, snap *store.Snapshot) (*Monitor, []byte, *dberr.Error) {
	if requests.Kind() != json.Object {
		return nil, nil, dberr.New(dberr.SyntaxError, "monitor-cond-change-requests must be object")
	}
	next := &Monitor{Version: m.Version, tables: append([]*table(nil), m.tables...)}
	var changed []int
	for name, reqs := range requests.Members() {
		t := s.Table(name.Str())
		if t == nil {
			return nil, nil, dberr.New(dberr.SyntaxError, "no table named %s", name.Str())
		}
		at := -1
		for i, mt := range m.tables {
			if mt.Table == t {
				at = i
			}
		}
		if at < 0 {
			return nil, nil, dberr.New(dberr.SyntaxError, "no table named %s in monitor session", name.Str())
		}
		mt := *m.tables[at]
		if reqs.Kind() != json.Array {
			return nil, nil, dberr.New(dberr.SyntaxError, "table %s no monitor-cond-change JSON array", t.Name)
		}
		for r := range reqs.Elems() {
			w, err := mt.change(m.Version, r)
			if err != nil {
				return nil, nil, err
			}
			mt.where = w // the last one counts
		}
		mt.name(m.Version)
		next.tables[at] = &mt
		changed = append(changed, at)
	}
	next.compact()
	if snap == nil {
		return next, nil, nil
	}
	var b []byte
	for _, i := range changed {
		b = appendMember(b, next.tables[i].Name, next.tables[i].appendChange(nil, m.tables[i].where, snap))
	}
	return next, wrap(b), nil
}

// change reads one <monitor-cond-update-request>. As in the C server it has no
// effect on a monitor of the first version, which has no conditions.
func (t *table) change(v Version, r json.Value) (*where, *dberr.Error) {
	if r.Kind() != json.Object {
		return nil, dberr.New(dberr.SyntaxError, "Parsing table %s failed: Object expected.", t.Name)
	}
	var w *where
	for name, val := range r.Members() {
		switch n := name.Str(); {
		case n == "columns" && val.Kind() == json.Array:
			return nil, dberr.Syntax(r, "changing columns is unsupported")
		case n == "where" && val.Kind() == json.Array:
			if v == V1 {
				continue
			}
			var err *dberr.Error
			if w, err = parseWhere(t.Table, val); err != nil {
				return nil, err
			}
		case n == "columns", n == "where":
			return nil, dberr.Syntax(r, "Parsing table %s failed: Type mismatch for member '%s'.", t.Name, n)
		default:
			return nil, dberr.Syntax(r, "Parsing table %s failed: Member '%s' is present but not allowed here.", t.Name, n)
		}
	}
	return w, nil
}
