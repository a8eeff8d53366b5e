package store

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"math/rand/v2"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// Edit makes a new version from a Snapshot. It is itself readable: the embedded
// Snapshot holds what was set so far. It is for one goroutine.
type Edit struct {
	Snapshot
	owner *token
}

// Edit starts a new version.
func (s *Snapshot) Edit() *Edit {
	e := &Edit{Snapshot: Snapshot{schema: s.schema}, owner: new(token)}
	e.tables = append([]*table(nil), s.tables...)
	return e
}

// own returns a table that the Edit may change.
func (e *Edit) own(t *schema.Table) *table {
	tab := e.tables[t.Index]
	if tab.owner != e.owner {
		c := *tab
		c.owner = e.owner
		c.indexes = append([]tree[*indexed](nil), tab.indexes...)
		tab = &c
		e.tables[t.Index] = tab
	}
	return tab
}

// Done returns the new version. The Edit must not be used afterwards.
func (e *Edit) Done() *Snapshot {
	e.owner = nil
	return &e.Snapshot
}

// Set makes row the row of table t with that UUID; nil removes it. Indexes and
// reference counts follow.
func (e *Edit) Set(t *schema.Table, id atom.UUID, row *Row) {
	old := e.Row(t, id)
	if old == row {
		return
	}
	tab := e.own(t)
	same := func(r *Row) bool { return r.UUID == id }
	if row != nil {
		tab.rows.put(e.owner, uuidHash(id), row, same, rowHash)
	} else {
		tab.rows.del(e.owner, uuidHash(id), same)
	}
	for i, cols := range t.Indexes {
		e.reindex(&tab.indexes[i], cols, id, old, row)
	}
	for _, c := range t.Strong {
		e.recount(t, c, id, schema.Strong, old, row)
	}
	for _, c := range t.Weak {
		e.recount(t, c, id, schema.Weak, old, row)
	}
}

// indexed is a row's place in an index. It stays as long as the row's values in
// the columns of the index do.
type indexed struct {
	id   atom.UUID
	hash uint64
}

func (e *Edit) reindex(ix *tree[*indexed], cols []*schema.Column, id atom.UUID, old, row *Row) {
	if old != nil && row != nil {
		equal := true
		for _, c := range cols {
			if !old.Get(c).Equal(row.Get(c)) {
				equal = false
				break
			}
		}
		if equal {
			return
		}
	}
	if old != nil {
		ix.del(e.owner, indexHash(old, cols), func(x *indexed) bool { return x.id == id })
	}
	if row != nil {
		h := indexHash(row, cols)
		ix.put(e.owner, h, &indexed{id, h}, nil, func(x *indexed) uint64 { return x.hash })
	}
}

// strongRef counts the strong references to the row id from other rows.
type strongRef struct {
	id atom.UUID
	n  int
}

// weakRef says that row source of a table refers weakly to row target, n times.
type weakRef struct {
	target, source atom.UUID
	table          int
	n              int
}

// recount brings the counts of references of one kind from column c up to date.
func (e *Edit) recount(t *schema.Table, c *schema.Column, id atom.UUID, kind schema.RefType, old, row *Row) {
	var a, b data.Datum
	if old != nil {
		a = old.Get(c)
	}
	if row != nil {
		b = row.Get(c)
	}
	if a.Same(b) {
		return
	}
	if base := &c.Type.Key; !c.Type.Map() && (a.Len() == 0 || b.Len() == 0) {
		for i := range a.Len() {
			e.count(base, kind, a.Key(i).UUID(), t, id, -1)
		}
		for i := range b.Len() {
			e.count(base, kind, b.Key(i).UUID(), t, id, 1)
		}
		return
	}
	for pass, base := range []*schema.BaseType{&c.Type.Key, &c.Type.Value} {
		if base.RefTable == nil || base.RefType != kind {
			continue
		}
		get := data.Datum.Key
		if pass == 1 {
			get = data.Datum.Value
		}
		count := func(u atom.UUID, by int) { e.count(base, kind, u, t, id, by) }
		if pass == 0 && !c.Type.Map() {
			data.EachDiff(a, b, func(key, _, _ atom.Atom, _, added bool) {
				if added {
					count(key.UUID(), 1)
				} else {
					count(key.UUID(), -1)
				}
			})
			continue
		}
		for i := range b.Len() {
			count(get(b, i).UUID(), 1)
		}
		for i := range a.Len() {
			count(get(a, i).UUID(), -1)
		}
	}
}

// count notes that row id of table t has a reference to row u more or less.
func (e *Edit) count(base *schema.BaseType, kind schema.RefType, u atom.UUID, t *schema.Table, id atom.UUID, by int) {
	switch {
	case kind == schema.Strong && u == id && base.RefTable == t:
		// A row does not keep itself alive.
	case kind == schema.Strong:
		e.countStrong(base.RefTable, u, by)
	default:
		e.countWeak(base.RefTable, u, t, id, by)
	}
}

func (e *Edit) countStrong(t *schema.Table, id atom.UUID, by int) {
	refs := &e.own(t).strong
	same := func(r *strongRef) bool { return r.id == id }
	n := e.StrongRefs(t, id) + by
	if n == 0 {
		refs.del(e.owner, uuidHash(id), same)
		return
	}
	refs.put(e.owner, uuidHash(id), &strongRef{id, n}, same, func(r *strongRef) uint64 { return uuidHash(r.id) })
}

func (e *Edit) countWeak(t *schema.Table, target atom.UUID, from *schema.Table, source atom.UUID, by int) {
	refs := &e.own(t).weak
	hash := weakHash(target, source)
	same := func(r *weakRef) bool { return r.target == target && r.source == source && r.table == from.Index }
	n := by
	if there := refs.get(hash, same); there != nil {
		n += there.n
	}
	if n == 0 {
		refs.del(e.owner, hash, same)
		return
	}
	refs.put(e.owner, hash, &weakRef{target, source, from.Index, n}, same,
		func(r *weakRef) uint64 { return weakHash(r.target, r.source) })
}

// uuidHash mixes all of a UUID with what an outsider cannot know: clients may
// choose the UUIDs of rows, and number them.
func uuidHash(id atom.UUID) uint64 {
	hi, lo := bits.Mul64(binary.BigEndian.Uint64(id[:8])^uuidSeed[0], binary.BigEndian.Uint64(id[8:])^uuidSeed[1])
	return hi ^ lo
}

var uuidSeed = [2]uint64{rand.Uint64(), rand.Uint64()}

func rowHash(r *Row) uint64 { return uuidHash(r.UUID) }

// weakHash begins with bits of the target, so that all references to it lie in
// one branch of the tree.
func weakHash(target, source atom.UUID) uint64 {
	return uuidHash(target)&^0xffffffff | uuidHash(source)>>32
}

// weakPrefixLevels is the number of levels of the tree that the target's bits
// in a weakHash decide alone.
const weakPrefixLevels = 32 / levelBits

// seed is the hash function's: fixed for the life of the process.
var seed = maphash.MakeSeed()

func keyHash(key []data.Datum) uint64 {
	h := uint64(0)
	for _, d := range key {
		h = mix(h, d.Hash(seed))
	}
	return h
}

func indexHash(r *Row, cols []*schema.Column) uint64 {
	h := uint64(0)
	for _, c := range cols {
		h = mix(h, r.Get(c).Hash(seed))
	}
	return h
}

func mix(h, one uint64) uint64 { return bits.RotateLeft64(h, 23)*0x9e3779b97f4a7c15 ^ one }
