package store

import (
	"maps"
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// MakeRow returns a row of table t with the given values, of which the last one
// of a column counts, and defaults otherwise. It keeps nothing of vals.
func MakeRow(t *schema.Table, id, version atom.UUID, vals []Value) *Row {
	if len(t.Columns) > 64 {
		r := NewRow(t, id).With(vals...)
		r.Touch(version)
		return r
	}
	r := &Row{UUID: id, Version: version}
	for _, v := range vals {
		bit := uint64(1) << v.Column.Index
		if v.Datum.Equal(data.Default(&v.Column.Type)) {
			r.mask &^= bit
		} else {
			r.mask |= bit
		}
	}
	r.cols = make([]data.Datum, bits.OnesCount64(r.mask))
	for _, v := range vals {
		if bit := uint64(1) << v.Column.Index; r.mask&bit != 0 {
			r.cols[bits.OnesCount64(r.mask&(bit-1))] = v.Datum
		}
	}
	return r
}

// Build returns the version that holds the given rows, by schema.Table.Index: what
// setting them one after the other makes, but on all cores and faster. It returns
// nil where two rows of a table have the same UUID.
func Build(s *schema.Schema, rows [][]*Row) *Snapshot {
	snap := NewSnapshot(s)
	var twice atomic.Bool
	var first, second []func()
	refs := make([]references, len(s.Tables)) // of the rows of each table
	for i, t := range s.Tables {
		list := rows[i]
		if len(list) == 0 {
			continue
		}
		tab := snap.tables[i]
		first = append(first, func() {
			if !tab.rows.build(list, rowHash, func(a, b *Row) bool { return a.UUID == b.UUID }) {
				twice.Store(true)
			}
		})
		for k, cols := range t.Indexes {
			first = append(first, func() {
				places := make([]indexed, len(list))
				items := make([]*indexed, len(list))
				for n, r := range list {
					places[n] = indexed{r.UUID, indexHash(r, cols)}
					items[n] = &places[n]
				}
				tab.indexes[k].build(items, func(x *indexed) uint64 { return x.hash }, nil)
			})
		}
		if len(t.Strong)+len(t.Weak) > 0 {
			first = append(first, func() { refs[i] = gather(s, t, list) })
		}
	}
	for i, t := range s.Tables {
		tab := snap.tables[i]
		second = append(second, func() { tab.countRefs(t, refs) })
	}
	parallel(first)
	if twice.Load() {
		return nil
	}
	parallel(second)
	return snap
}

// parallel calls functions on all cores and returns when they are done.
func parallel(todo []func()) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(todo)) {
		all.Go(func() {
			for i := next.Add(1); i <= int64(len(todo)); i = next.Add(1) {
				todo[i-1]()
			}
		})
	}
	all.Wait()
}

// references are those from the rows of one table, by the tables that they lead to.
type references struct {
	strong, weak [][]reference
}

type reference struct{ target, source atom.UUID }

// gather lists the references of rows of t.
func gather(s *schema.Schema, t *schema.Table, rows []*Row) references {
	r := references{strong: make([][]reference, len(s.Tables)), weak: make([][]reference, len(s.Tables))}
	for _, c := range t.Strong {
		r.strong = gatherColumn(r.strong, c, schema.Strong, rows)
	}
	for _, c := range t.Weak {
		r.weak = gatherColumn(r.weak, c, schema.Weak, rows)
	}
	return r
}

func gatherColumn(out [][]reference, c *schema.Column, kind schema.RefType, rows []*Row) [][]reference {
	for pass, base := range []*schema.BaseType{&c.Type.Key, &c.Type.Value} {
		if base.RefTable == nil || base.RefType != kind {
			continue
		}
		list := slices.Grow(out[base.RefTable.Index], len(rows))
		for _, row := range rows {
			d := row.Get(c)
			for i := range d.Len() {
				a := d.Key(i)
				if pass == 1 {
					a = d.Value(i)
				}
				list = append(list, reference{a.UUID(), row.UUID})
			}
		}
		out[base.RefTable.Index] = list
	}
	return out
}

// countRefs counts the references to the rows of t; from holds those of each table.
func (tab *table) countRefs(t *schema.Table, from []references) {
	strong := make(map[atom.UUID]*strongRef)
	weak := make(map[weakRef]*weakRef)
	for i := range from {
		if from[i].strong == nil {
			continue
		}
		for _, ref := range from[i].strong[t.Index] {
			switch there := strong[ref.target]; {
			case i == t.Index && ref.target == ref.source: // a row does not keep itself alive
			case there != nil:
				there.n++
			default:
				strong[ref.target] = &strongRef{ref.target, 1}
			}
		}
		for _, ref := range from[i].weak[t.Index] {
			key := weakRef{target: ref.target, source: ref.source, table: i}
			there := weak[key]
			if there == nil {
				there = &weakRef{target: ref.target, source: ref.source, table: i}
				weak[key] = there
			}
			there.n++
		}
	}
	tab.strong.build(slices.Collect(maps.Values(strong)), func(r *strongRef) uint64 { return uuidHash(r.id) }, nil)
	tab.weak.build(slices.Collect(maps.Values(weak)), func(r *weakRef) uint64 { return weakHash(r.target, r.source) }, nil)
}

// hashed is an item with its hash.
type hashed[T any] struct {
	hash uint64
	item T
}

// build fills an empty tree. It returns false, and leaves the tree empty, where
// two items are the same.
func (t *tree[T]) build(items []T, hashOf func(T) uint64, same func(a, b T) bool) bool {
	if len(items) == 0 {
		return true
	}
	list := make([]hashed[T], len(items))
	for i, it := range items {
		list[i] = hashed[T]{hashOf(it), it}
	}
	root := buildNode(list, make([]hashed[T], len(list)), 0, same)
	if root == nil {
		return false
	}
	t.root, t.n = root, len(items)
	return true
}

// buildNode makes the node of the items of a level; spare is room for as many. It
// returns nil where two items are the same.
func buildNode[T comparable](list, spare []hashed[T], level int, same func(a, b T) bool) *node[T] {
	n := new(node[T])
	if level > maxLevel {
		n.item = make([]T, 0, len(list))
		for i := range list {
			if same != nil && slices.ContainsFunc(n.item, func(it T) bool { return same(it, list[i].item) }) {
				return nil
			}
			n.item = append(n.item, list[i].item)
		}
		return n
	}
	at := func(hash uint64) uint64 { return hash << (level * levelBits) >> (64 - levelBits) }
	var ends [1<<levelBits + 1]int // first the number of items in the slot before
	for i := range list {
		ends[at(list[i].hash)+1]++
	}
	kids := 0
	for slot := range 1 << levelBits {
		switch c := ends[slot+1]; {
		case c == 1:
			n.items |= 1 << slot
		case c > 1:
			n.kids |= 1 << slot
			kids++
		}
		ends[slot+1] += ends[slot]
	}
	starts := ends
	for i := range list {
		p := &starts[at(list[i].hash)]
		spare[*p] = list[i]
		*p++
	}
	if n.items != 0 {
		n.item = make([]T, 0, bits.OnesCount32(n.items))
	}
	if kids > 0 {
		n.kid = make([]*node[T], 0, kids)
	}
	for slot := range 1 << levelBits {
		from, to := ends[slot], ends[slot+1]
		switch {
		case to-from == 1:
			n.item = append(n.item, spare[from].item)
		case to > from:
			k := buildNode(spare[from:to], list[from:to], level+1, same)
			if k == nil {
				return nil
			}
			n.kid = append(n.kid, k)
		}
	}
	return n
}
