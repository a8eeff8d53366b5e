package txn

import (
	"encoding/binary"
	"math"
	"slices"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// opSelect reads rows (RFC 7047, 5.2.2). Rows that are alike in the columns asked
// for come once.
type opSelect struct {
	table   *schema.Table
	where   query.Condition
	columns []*schema.Column
	sort    []*schema.Column
}

func (p *parser) selectRows() (operation, *dberr.Error) {
	t := p.table()
	where := p.m.Get("where", dberr.WantArray)
	columns := p.m.Opt("columns", dberr.WantArray)
	sort := p.m.Opt("sort", dberr.WantArray)
	if p.faulty() {
		return nil, nil
	}
	op := &opSelect{table: t}
	var err *dberr.Error
	if op.where, err = query.ParseCondition(where, t, p.resolve); err != nil {
		return nil, err
	}
	if op.columns, err = t.ParseColumns(columns); err != nil {
		return nil, err
	}
	if sort.Kind() != json.Invalid {
		op.sort, err = t.ParseColumns(sort)
	}
	return op, err
}

func (op *opSelect) execute(x *execution) *dberr.Error {
	rows := distinct(x.find(op.table, &op.where), op.columns)
	if op.sort != nil {
		slices.SortStableFunc(rows, func(a, b *store.Row) int {
			for _, c := range op.sort {
				if o := a.Get(c).Compare(b.Get(c)); o != 0 {
					return o
				}
			}
			return 0
		})
	}
	x.out = append(x.out, `{"rows":[`...)
	for i, r := range rows {
		if i > 0 {
			x.out = append(x.out, ',')
		}
		x.out = appendRow(x.out, r, op.columns)
	}
	x.out = append(x.out, "]}"...)
	return nil
}

// appendRow appends a row as an object of the given columns.
func appendRow(b []byte, r *store.Row, cols []*schema.Column) []byte {
	b = append(b, '{')
	for i, c := range cols {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, c.Name...)
		b = append(b, `":`...)
		b = r.Get(c).AppendJSON(b, &c.Type)
	}
	return append(b, '}')
}

// appendKey appends what tells rows apart that differ in the given columns. Reals
// that are not the same may print alike, so it is not their text.
func appendKey(b []byte, r *store.Row, cols []*schema.Column) []byte {
	for _, c := range cols {
		d := r.Get(c)
		if c.Type.Key.Type != atom.Real && c.Type.Value.Type != atom.Real {
			b = append(d.AppendJSON(b, &c.Type), ',')
			continue
		}
		b = binary.AppendUvarint(b, uint64(d.Len()))
		for k, v := range d.Pairs() {
			b = appendAtom(appendAtom(b, k), v)
		}
	}
	return b
}

func appendAtom(b []byte, a atom.Atom) []byte {
	if a.Type() == atom.Real {
		return binary.BigEndian.AppendUint64(b, math.Float64bits(a.Float()+0)) // -0 is 0
	}
	return append(a.AppendJSON(b), ',')
}

// distinct drops rows that are alike in the given columns to one before.
func distinct(rows []*store.Row, cols []*schema.Column) []*store.Row {
	if len(rows) < 2 {
		return rows
	}
	for _, c := range cols {
		if c.Index == schema.UUIDColumn {
			return rows
		}
	}
	seen := make(map[string]bool, len(rows))
	var key []byte
	n := 0
	for _, r := range rows {
		key = appendKey(key[:0], r, cols)
		if !seen[string(key)] {
			seen[string(key)] = true
			rows[n] = r
			n++
		}
	}
	return rows[:n]
}
