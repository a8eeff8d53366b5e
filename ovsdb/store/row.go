package store

import (
	"math/bits"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// Row is one version of a row; it never changes. Only columns that differ from
// their default take memory (16 bytes and the value).
type Row struct {
	UUID    atom.UUID
	Version atom.UUID // changes whenever the row does

	mask uint64       // columns in cols, by index; 0 in tables of more than 64 columns
	cols []data.Datum // in the order of the columns; all of them in large tables
}

// NewRow returns a row in which every column of t has its default value.
func NewRow(t *schema.Table, id atom.UUID) *Row {
	r := &Row{UUID: id}
	if len(t.Columns) > 64 {
		r.cols = make([]data.Datum, len(t.Columns))
		for i, c := range t.Columns {
			r.cols[i] = data.Default(&c.Type)
		}
	}
	return r
}

// Get returns the value of column c of the row's table.
func (r *Row) Get(c *schema.Column) data.Datum {
	switch {
	case c.Index == schema.UUIDColumn:
		return data.One(atom.ID(r.UUID))
	case c.Index == schema.VersionColumn:
		return data.One(atom.ID(r.Version))
	case r.mask>>(c.Index&63)&1 != 0 && c.Index < 64:
		return r.cols[bits.OnesCount64(r.mask&(1<<c.Index-1))]
	case r.mask == 0 && len(r.cols) > 64:
		return r.cols[c.Index]
	}
	return data.Default(&c.Type)
}

// Has reports whether column c, which must not be an implicit one, differs from
// its default.
func (r *Row) Has(c *schema.Column) bool {
	if len(r.cols) > 64 && r.mask == 0 {
		return !r.cols[c.Index].Equal(data.Default(&c.Type))
	}
	return c.Index < 64 && r.mask>>c.Index&1 != 0
}

// Value is a column and the value it is to have.
type Value struct {
	Column *schema.Column
	Datum  data.Datum
}

// With returns a row that differs from r in the given columns, which must not be
// implicit ones. The version stays; see Touch.
func (r *Row) With(vals ...Value) *Row {
	n := &Row{UUID: r.UUID, Version: r.Version}
	if r.mask == 0 && len(r.cols) > 64 {
		n.cols = append([]data.Datum(nil), r.cols...)
		for _, v := range vals {
			n.cols[v.Column.Index] = v.Datum
		}
		return n
	}
	n.mask = r.mask
	for _, v := range vals {
		if v.Column.Index >= 64 {
			panic("store: column of another table")
		}
		bit := uint64(1) << v.Column.Index
		if v.Datum.Equal(data.Default(&v.Column.Type)) {
			n.mask &^= bit
		} else {
			n.mask |= bit
		}
	}
	n.cols = make([]data.Datum, 0, bits.OnesCount64(n.mask))
	for m := n.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros64(m)
		var d data.Datum
		if r.mask>>i&1 != 0 {
			d = r.cols[bits.OnesCount64(r.mask&(1<<i-1))]
		}
		for _, v := range vals {
			if v.Column.Index == i {
				d = v.Datum
			}
		}
		n.cols = append(n.cols, d)
	}
	return n
}

// Equal reports whether two rows of one table have the same values, whatever
// their ids and versions.
func (r *Row) Equal(o *Row) bool {
	if r == o {
		return true
	}
	if r.mask != o.mask || len(r.cols) != len(o.cols) {
		return false
	}
	for i := range r.cols {
		if !r.cols[i].Equal(o.cols[i]) {
			return false
		}
	}
	return true
}

// Touch gives a row that is not yet shared a version.
func (r *Row) Touch(version atom.UUID) { r.Version = version }
