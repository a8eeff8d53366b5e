package history

import (
	"bytes"
	"runtime"
	"sync"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// DecodeWhole reads the record that a database file starts with: the change from
// the empty database to what the record holds. It works on all cores, and on
// large records only. Where it returns nil, which it does for everything that is
// not plain, Decode tells what there is.
func DecodeWhole(s *schema.Schema, body []byte) *store.Snapshot {
	if len(body) < wholeLeast {
		return nil
	}
	return decodeWhole(s, body)
}

func decodeWhole(s *schema.Schema, body []byte) *store.Snapshot {
	parts, ok := split(s, body)
	if !ok {
		return nil
	}
	made := make([][]*store.Row, len(parts)) // the rows of each part
	next := make(chan int)
	var all sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			d := decoder{src: body, tables: make([]*tableDecoder, len(s.Tables))}
			for i := range next {
				made[i] = d.rows(parts[i])
			}
		})
	}
	for i := range parts {
		next <- i
	}
	close(next)
	all.Wait()
	rows := make([][]*store.Row, len(s.Tables))
	for i, p := range parts {
		if made[i] == nil {
			return nil
		}
		if rows[p.table.Index] == nil {
			rows[p.table.Index] = made[i]
		} else {
			rows[p.table.Index] = append(rows[p.table.Index], made[i]...)
		}
	}
	return store.Build(s, rows)
}

const (
	wholeLeast = 256 << 10 // bytes of a record that is worth it
	partSize   = 64 << 10  // about the bytes of what one goroutine decodes at a time
)

// part is some members of a table's object: src[from:to], with commas between them.
type part struct {
	table    *schema.Table
	from, to int
}

// split finds the rows of a record, and looks at nothing else.
func split(s *schema.Schema, src []byte) (parts []part, ok bool) {
	at := 1
	if len(src) < 2 || src[0] != '{' {
		return nil, false
	}
	seen := make([]bool, len(s.Tables))
	for {
		if src[at] != '"' {
			return nil, false
		}
		end := bytes.IndexByte(src[at+1:], '"')
		if end < 0 || at+end+3 >= len(src) || src[at+end+2] != ':' {
			return nil, false
		}
		name := src[at+1 : at+1+end]
		at += end + 3
		if t := s.Table(string(name)); t != nil {
			if seen[t.Index] || src[at] != '{' {
				return nil, false
			}
			seen[t.Index] = true
			if parts, at, ok = splitTable(parts, t, src, at+1); !ok {
				return nil, false
			}
		} else {
			var doc json.Doc
			var err error
			plain := func(c rune) bool { return c == '_' || c >= 'a' && c <= 'z' }
			if end == 0 || name[0] != '_' || len(bytes.TrimFunc(name, plain)) > 0 {
				return nil, false
			}
			if _, at, err = doc.ParseNext(src, at); err != nil {
				return nil, false
			}
		}
		if at >= len(src) {
			return nil, false
		}
		if src[at] == '}' {
			return parts, at+1 == len(src)
		}
		if src[at] != ',' || at+1 >= len(src) {
			return nil, false
		}
		at++
	}
}

// splitTable reads the members of an object up to its end.
func splitTable(parts []part, t *schema.Table, src []byte, at int) (_ []part, end int, ok bool) {
	from := at
	for {
		// "UUID":{..}
		if at+40 > len(src) || src[at] != '"' || src[at+37] != '"' || src[at+38] != ':' || src[at+39] != '{' {
			return nil, 0, false
		}
		if at = skip(src, at+39); at < 0 || at >= len(src) {
			return nil, 0, false
		}
		switch last := src[at] == '}'; {
		case !last && src[at] != ',':
			return nil, 0, false
		case last || at-from >= partSize:
			parts = append(parts, part{t, from, at})
			if last {
				return parts, at + 1, true
			}
			from = at + 1
		}
		at++
	}
}

// skip returns the offset behind the value that begins at src[at], as far as
// strings and brackets tell; -1 where there is none.
func skip(src []byte, at int) int {
	depth := 0
	for at < len(src) {
		switch src[at] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return at
			}
			if depth == 0 {
				return at + 1
			}
		case ',':
			if depth == 0 {
				return at
			}
		case '"':
			for at++; at < len(src) && src[at] != '"'; at++ {
				if src[at] == '\\' {
					at++
				}
			}
		}
		at++
	}
	return -1
}

// decoder makes rows. It is for one goroutine.
type decoder struct {
	src    []byte
	doc    json.Doc
	tables []*tableDecoder
	vals   []store.Value
}

// tableDecoder remembers what rows of a table had in common so far.
type tableDecoder struct {
	*schema.Table
	order []*schema.Column // of the last row
	seen  []seen           // by column
}

// seen are values of one column.
type seen struct {
	tried, hit int
	values     map[string]data.Datum
	last       data.Datum
}

const (
	fewValues  = 512  // values of a column that are remembered
	enoughSeen = 2048 // lookups after which a column whose values differ is given up
)

// rows makes the rows of a part; nil where something is not plain.
func (d *decoder) rows(p part) []*store.Row {
	t := d.tables[p.table.Index]
	if t == nil {
		t = &tableDecoder{Table: p.table, seen: make([]seen, len(p.table.Columns))}
		d.tables[p.table.Index] = t
	}
	out := make([]*store.Row, 0, (p.to-p.from)/128+1)
	src := d.src[:p.to]
	for at := p.from; at < p.to; at++ {
		id, ok := atom.ParseBytes(src[at+1 : at+37])
		if !ok {
			return nil
		}
		v, end, err := d.doc.ParseNext(src, at+39)
		if err != nil || v.Kind() != json.Object || end < p.to && src[end] != ',' {
			return nil
		}
		row := d.row(t, id, v)
		if row == nil {
			return nil
		}
		out = append(out, row)
		at = end
	}
	return out
}

func (d *decoder) row(t *tableDecoder, id atom.UUID, row json.Value) *store.Row {
	d.vals = d.vals[:0]
	i := 0
	for name, v := range row.Members() {
		if i == len(t.order) {
			t.order = append(t.order, nil)
		}
		col := t.order[i]
		if col == nil || !name.Is(col.Name) {
			if col = t.Column(name.Str()); col == nil || col.Implicit() {
				return nil
			}
			t.order[i] = col
		}
		i++
		val, ok := t.seen[col.Index].value(v, &col.Type)
		if !ok {
			return nil
		}
		d.vals = append(d.vals, store.Value{Column: col, Datum: val})
	}
	return store.MakeRow(t.Table, id, atom.New(), d.vals)
}

// value reads a value, or finds one that was read before.
func (s *seen) value(v json.Value, t *schema.Type) (data.Datum, bool) {
	many := s.tried >= enoughSeen && s.hit < s.tried/4
	raw := v.Raw()
	if !many && len(raw) <= 256 {
		s.tried++
		if d, ok := s.values[string(raw)]; ok {
			s.hit++
			return d, true
		}
	}
	d, err := data.ParseJSON(v, t, nil)
	if err != nil {
		return d, false
	}
	if t.Map() {
		d = d.ShareKeys(s.last)
		s.last = d
	}
	switch {
	case many:
		s.values = nil
	case len(raw) <= 256 && len(s.values) < fewValues:
		if s.values == nil {
			s.values = make(map[string]data.Datum)
		}
		s.values[string(raw)] = d
	}
	return d, true
}
