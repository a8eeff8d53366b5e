package monitor

import (
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// Encoding makes the updates of one delta, each once for all who want it. It
// is not safe for concurrent use.
type Encoding struct {
	delta    *store.Delta
	monitors map[string][]byte
	forms    map[string]*tableUpdates
}

// NewEncoding makes an Encoding of a delta.
func NewEncoding(d *store.Delta) *Encoding {
	return &Encoding{delta: d, monitors: make(map[string][]byte), forms: make(map[string]*tableUpdates)}
}

// tableUpdates is the change of one table in one form: whole, or row by row for those who
// have conditions.
type tableUpdates struct {
	done  bool
	whole []byte
	each  [][]byte // an update of each kind for each row: nil where it was not yet made, "" where it has nothing
}

// Updates returns the <table-updates> or <table-updates2> for m, nil where the
// delta has nothing that m wants. The bytes are shared.
func (e *Encoding) Updates(m *Monitor) []byte {
	if m.plain {
		if b, ok := e.monitors[m.key]; ok {
			return b
		}
	}
	var b []byte
	i := 0
	for _, td := range e.delta.Tables {
		for i < len(m.tables) && m.tables[i].Index < td.Table.Index {
			i++
		}
		if i == len(m.tables) {
			break
		}
		t := m.tables[i]
		if t.Index != td.Table.Index {
			continue
		}
		f := e.forms[t.form]
		if f == nil {
			f = new(tableUpdates)
			e.forms[t.form] = f
		}
		b = f.append(b, t, m.Version, td.Rows)
	}
	b = wrap(b)
	if m.plain {
		e.monitors[m.key] = b
	}
	return b
}

// append appends what t wants of the changed rows to the inside of an object.
func (f *tableUpdates) append(b []byte, t *table, v Version, changes []store.Change) []byte {
	if t.where == nil {
		if !f.done {
			for i := range changes {
				f.whole = t.appendUpdate(f.whole, v, &changes[i], changeKind(&changes[i]))
			}
			f.done = true
		}
		return appendMember(b, t.Name, f.whole)
	}
	before := len(b)
	first := true
	for i := range changes {
		c := &changes[i]
		was, is := c.Old != nil && t.where.match(c.Old), c.New != nil && t.where.match(c.New)
		var kind selects
		switch {
		case was && is:
			kind = modify
		case is:
			kind = insert
		case was:
			kind = del
		default:
			continue
		}
		if f.each == nil {
			f.each = make([][]byte, 3*len(changes))
		}
		u := &f.each[3*i+int(kind/insert)/2]
		if *u == nil {
			if *u = t.appendUpdate(nil, v, c, kind); *u == nil {
				*u = []byte{}
			}
		}
		if len(*u) == 0 {
			continue
		}
		if first {
			b = openMember(b, t.Name, len(*u))
			first = false
		} else {
			b = append(b, ',')
		}
		b = append(b, *u...)
	}
	if len(b) == before {
		return b
	}
	return append(b, '}')
}

func changeKind(c *store.Change) selects {
	switch {
	case c.Old == nil:
		return insert
	case c.New == nil:
		return del
	}
	return modify
}

// openMember appends the begin of a table's object to the inside of an object, with
// room for about size bytes.
func openMember(b []byte, name string, size int) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	} else {
		b = append(make([]byte, 0, size+len(name)+16), '{')
	}
	b = json.AppendString(b, name)
	return append(b, ':', '{')
}

// appendMember appends a table's rows, if there are any, to the inside of an object.
func appendMember(b []byte, name string, rows []byte) []byte {
	if len(rows) == 0 {
		return b
	}
	b = append(openMember(b, name, len(rows)), rows...)
	return append(b, '}')
}

// wrap closes the object.
func wrap(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return append(b, '}')
}

func appendKey(b []byte, id atom.UUID) []byte {
	if len(b) > 0 {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = id.Append(b)
	return append(b, '"', ':')
}

// appendUpdate appends one row's update of a kind, if it is wanted.
func (t *table) appendUpdate(b []byte, v Version, c *store.Change, kind selects) []byte {
	switch {
	case t.sel&kind == 0:
	case kind == insert:
		b = t.appendInsert(b, v, c.New)
	case kind == del:
		b = t.appendDelete(b, v, c.Old)
	case t.touched(c):
		b = t.appendModify(b, v, c)
	}
	return b
}

// touched reports whether a monitored column changed.
func (t *table) touched(c *store.Change) bool {
	for i := range t.cols {
		if changed(c, t.cols[i].Column) {
			return true
		}
	}
	return false
}

// changed reports whether a column of a modified row changed.
func changed(c *store.Change, col *schema.Column) bool {
	switch col.Index {
	case schema.UUIDColumn:
		return false
	case schema.VersionColumn:
		return c.Old.Version != c.New.Version
	}
	return c.Changed.Has(col) && !c.Old.Get(col).Equal(c.New.Get(col))
}

// appendRow appends a row's first update: with kind initial in a first reply.
func (t *table) appendRow(b []byte, v Version, kind selects, r *store.Row) []byte {
	switch {
	case v == V1:
		b = append(b, `{"new":`...)
	case kind == initial:
		b = append(b, `{"initial":`...)
	default:
		b = append(b, `{"insert":`...)
	}
	return append(t.appendColumns(b, kind, r, v == V1), '}')
}

func (t *table) appendInsert(b []byte, v Version, r *store.Row) []byte {
	return t.appendRow(appendKey(b, r.UUID), v, insert, r)
}

func (t *table) appendDelete(b []byte, v Version, r *store.Row) []byte {
	b = appendKey(b, r.UUID)
	if v != V1 {
		return append(b, `{"delete":null}`...)
	}
	b = append(b, `{"old":`...)
	return append(t.appendColumns(b, del, r, true), '}')
}

func (t *table) appendModify(b []byte, v Version, c *store.Change) []byte {
	b = appendKey(b, c.UUID)
	if v == V1 {
		b = append(b, `{"old":{`...)
		first := true
		for i := range t.cols {
			col := &t.cols[i]
			if col.sel&modify != 0 && changed(c, col.Column) {
				b, first = col.append(b, c.Old, first), false
			}
		}
		b = append(b, `},"new":`...)
		return append(t.appendColumns(b, modify, c.New, true), '}')
	}
	b = append(b, `{"modify":{`...)
	first := true
	for i := range t.cols {
		col := &t.cols[i]
		switch {
		case col.sel&modify == 0 || !changed(c, col.Column):
			continue
		case !col.Type.Composite():
			b = col.append(b, c.New, first)
		default:
			if !first {
				b = append(b, ',')
			}
			b = append(b, col.name...)
			b = data.Diff(c.Old.Get(col.Column), c.New.Get(col.Column), &col.Type).AppendJSON(b, &col.Type)
		}
		first = false
	}
	return append(b, '}', '}')
}

// appendChange appends what a new condition lets the client see, and no longer
// see.
func (t *table) appendChange(b []byte, old *where, snap *store.Snapshot) []byte {
	for r := range snap.Rows(t.Table) {
		before, after := old.match(r), t.where.match(r)
		switch {
		case after && !before && t.sel&insert != 0:
			b = t.appendInsert(b, V2, r)
		case before && !after && t.sel&del != 0:
			b = t.appendDelete(b, V2, r)
		}
	}
	return b
}

// appendColumns appends a row with the columns that stand in updates of a kind:
// all of them, or those that are not at their default.
func (t *table) appendColumns(b []byte, kind selects, r *store.Row, all bool) []byte {
	b = append(b, '{')
	first := true
	for i := range t.cols {
		c := &t.cols[i]
		switch {
		case c.sel&kind == 0:
			continue
		case c.Index >= schema.FirstColumn && !r.Has(c.Column):
			if !all {
				continue
			}
			if !first {
				b = append(b, ',')
			}
			b = append(b, c.unset...)
		default:
			b = c.append(b, r, first)
		}
		first = false
	}
	return append(b, '}')
}

// append appends a column's member of a row's object.
func (c *column) append(b []byte, r *store.Row, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, c.name...)
	switch c.Index {
	case schema.UUIDColumn:
		return r.UUID.AppendJSON(b)
	case schema.VersionColumn:
		return r.Version.AppendJSON(b)
	}
	return r.Get(c.Column).AppendJSON(b, &c.Type)
}
