package store

import (
	"math/bits"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// Columns is a set of columns of one table. The zero value is empty.
type Columns struct {
	lo uint64
	hi []uint64
}

// Add puts column c into the set.
func (s *Columns) Add(c *schema.Column) {
	if c.Index < 64 {
		s.lo |= 1 << c.Index
		return
	}
	i := c.Index/64 - 1
	for len(s.hi) <= i {
		s.hi = append(s.hi, 0)
	}
	s.hi[i] |= 1 << (c.Index % 64)
}

// Has reports whether column c is in the set.
func (s *Columns) Has(c *schema.Column) bool {
	if c.Index < 64 {
		return s.lo>>c.Index&1 != 0
	}
	i := c.Index/64 - 1
	return i < len(s.hi) && s.hi[i]>>(c.Index%64)&1 != 0
}

// Empty reports whether no column is in the set.
func (s *Columns) Empty() bool {
	if s.lo != 0 {
		return false
	}
	for _, w := range s.hi {
		if w != 0 {
			return false
		}
	}
	return true
}

// Intersects reports whether a column is in both sets.
func (s *Columns) Intersects(t *Columns) bool {
	if s.lo&t.lo != 0 {
		return true
	}
	for i := range min(len(s.hi), len(t.hi)) {
		if s.hi[i]&t.hi[i] != 0 {
			return true
		}
	}
	return false
}

// Len returns the number of columns in the set.
func (s *Columns) Len() int {
	n := bits.OnesCount64(s.lo)
	for _, w := range s.hi {
		n += bits.OnesCount64(w)
	}
	return n
}

// Delta is what a transaction changed: for each table that it touched, the rows
// that differ. It does not change after it was made.
type Delta struct {
	Tables []TableDelta // in the order of the schema's tables
}

// Empty reports whether nothing changed.
func (d *Delta) Empty() bool { return d == nil || len(d.Tables) == 0 }

// TableDelta is the change of one table.
type TableDelta struct {
	Table *schema.Table
	Rows  []Change // at least one, each row once, in no order
}

// Change is the change of one row: Old is nil for an insertion, New for a
// deletion. Changed holds the columns whose values differ, without _uuid and
// _version; for insertions and deletions those that are not at their default.
type Change struct {
	UUID     atom.UUID
	Old, New *Row
	Changed  Columns
}

// NewChange returns the change of a row of table t.
func NewChange(t *schema.Table, id atom.UUID, old, new *Row) Change {
	c := Change{UUID: id, Old: old, New: new}
	if old == nil || new == nil {
		r := old
		if r == nil {
			r = new
		}
		if r.mask != 0 || len(r.cols) <= 64 {
			c.Changed.lo = r.mask
			return c
		}
	}
	for _, col := range t.Columns[schema.FirstColumn:] {
		if col.Index < 64 && old != nil && new != nil && (old.mask|new.mask)>>col.Index&1 == 0 && len(t.Columns) <= 64 {
			continue // at its default in both
		}
		a, b := data.Default(&col.Type), data.Default(&col.Type)
		if old != nil {
			a = old.Get(col)
		}
		if new != nil {
			b = new.Get(col)
		}
		if !a.Same(b) && !a.Equal(b) {
			c.Changed.Add(col)
		}
	}
	return c
}
