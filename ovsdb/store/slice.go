package store

import (
	"iter"

	"govs/schema"
)

// A Slice is a part of a table's rows. Slices of two versions are equal (==) only
// where they hold the same rows: what was made of one serves the other.
type Slice struct {
	n     *node[*Row]
	loose bool // the items of the node itself only, not those below it
}

// sliceRows is about how many rows a slice should have at the least.
const sliceRows = 64

// Slices returns the rows of a table as slices of some hundred rows, which hold
// each row once.
func (s *Snapshot) Slices(t *schema.Table) []Slice {
	tree := &s.tables[t.Index].rows
	if tree.root == nil {
		return nil
	}
	return split(nil, tree.root, tree.n)
}

// split appends a node's slices; count is about how many rows are in it and below.
func split(out []Slice, n *node[*Row], count int) []Slice {
	if len(n.kid) == 0 || count < sliceRows<<levelBits {
		return append(out, Slice{n: n})
	}
	if len(n.item) > 0 {
		out = append(out, Slice{n: n, loose: true})
	}
	for _, k := range n.kid {
		out = split(out, k, count>>levelBits)
	}
	return out
}

// Rows yields the slice's rows, always in the same order.
func (s Slice) Rows() iter.Seq[*Row] {
	return func(yield func(*Row) bool) {
		if !s.loose {
			s.n.walk(yield)
			return
		}
		for _, r := range s.n.item {
			if !yield(r) {
				return
			}
		}
	}
}
