// Package store keeps the tables of one database in memory, in many versions: a
// Snapshot is one version, immutable and shared by any number of readers; an
// Edit makes the next one from it, sharing all that did not change.
//
// Beside the rows, a Snapshot holds hash indexes for the schema's indexes, the
// number of strong references to each row, and who refers to it weakly, so that
// checks at commit cost what changed.
//
// # Caveats
//
// A snapshot that is held keeps its rows in memory. The trees are hash tries, with
// a seed of the process; rows come in no useful order.
package store

import (
	"iter"
	"sync/atomic"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// DB is a database in memory: the current Snapshot, replaced by one writer.
type DB struct {
	head atomic.Pointer[Snapshot]
}

// New returns an empty database.
func New(s *schema.Schema) *DB {
	db := new(DB)
	db.head.Store(NewSnapshot(s))
	return db
}

// Snapshot returns the current version. It takes no lock.
func (db *DB) Snapshot() *Snapshot { return db.head.Load() }

// Publish makes s the current version. Only one goroutine may publish.
func (db *DB) Publish(s *Snapshot) { db.head.Store(s) }

// Apply makes the current version with a delta applied the current one.
func (db *DB) Apply(d *Delta) *Snapshot {
	s := db.Snapshot().Apply(d)
	db.Publish(s)
	return s
}

// Snapshot is one version of a database. It never changes.
type Snapshot struct {
	schema *schema.Schema
	tables []*table // by schema.Table.Index
}

// table is one version of a table. As with the nodes of trees, the owner may
// change it in place.
type table struct {
	owner   *token
	rows    tree[*Row]
	indexes []tree[*indexed] // by position in schema.Table.Indexes
	strong  tree[*strongRef]
	weak    tree[*weakRef]
}

// NewSnapshot returns the empty version of a database.
func NewSnapshot(s *schema.Schema) *Snapshot {
	n := &Snapshot{schema: s, tables: make([]*table, len(s.Tables))}
	for i, t := range s.Tables {
		n.tables[i] = &table{indexes: make([]tree[*indexed], len(t.Indexes))}
	}
	return n
}

// Schema returns the database's schema.
func (s *Snapshot) Schema() *schema.Schema { return s.schema }

// Len returns the number of rows of a table.
func (s *Snapshot) Len(t *schema.Table) int { return s.tables[t.Index].rows.n }

// Row returns the row with a UUID, or nil.
func (s *Snapshot) Row(t *schema.Table, id atom.UUID) *Row {
	return s.tables[t.Index].rows.get(uuidHash(id), func(r *Row) bool { return r.UUID == id })
}

// Rows yields the rows of a table, in no order.
func (s *Snapshot) Rows(t *schema.Table) iter.Seq[*Row] {
	return s.tables[t.Index].rows.all()
}

// Lookup yields the rows whose columns of the table's index number i have the
// given values: at most one, outside of transactions.
func (s *Snapshot) Lookup(t *schema.Table, i int, key []data.Datum) iter.Seq[*Row] {
	cols, hash := t.Indexes[i], keyHash(key)
	return func(yield func(*Row) bool) {
	found:
		for x := range s.tables[t.Index].indexes[i].find(hash, func(x *indexed) bool { return x.hash == hash }) {
			r := s.Row(t, x.id)
			for j, c := range cols {
				if !r.Get(c).Equal(key[j]) {
					continue found
				}
			}
			if !yield(r) {
				return
			}
		}
	}
}

// Duplicate returns a row other than r, which is in table t, that is like it in
// the columns of the table's index number i; nil where there is none.
func (s *Snapshot) Duplicate(t *schema.Table, i int, r *Row) *Row {
	cols := t.Indexes[i]
	hash := indexHash(r, cols)
next:
	for x := range s.tables[t.Index].indexes[i].find(hash, func(x *indexed) bool { return x.hash == hash }) {
		if x.id == r.UUID {
			continue
		}
		other := s.Row(t, x.id)
		for _, c := range cols {
			if !other.Get(c).Equal(r.Get(c)) {
				continue next
			}
		}
		return other
	}
	return nil
}

// StrongRefs returns the number of strong references to a row of table t.
func (s *Snapshot) StrongRefs(t *schema.Table, id atom.UUID) int {
	ref := s.tables[t.Index].strong.get(uuidHash(id), func(r *strongRef) bool { return r.id == id })
	if ref == nil {
		return 0
	}
	return ref.n
}

// AllReferenced reports whether every row of table t has strong references, as far
// as all of those refer to rows that exist. It looks at no row.
func (s *Snapshot) AllReferenced(t *schema.Table) bool {
	tab := s.tables[t.Index]
	return tab.strong.n == tab.rows.n
}

// WeakRefs yields the rows that refer weakly to a row of table t, each once, as
// table and UUID.
func (s *Snapshot) WeakRefs(t *schema.Table, id atom.UUID) iter.Seq2[*schema.Table, atom.UUID] {
	return func(yield func(*schema.Table, atom.UUID) bool) {
		for r := range s.tables[t.Index].weak.prefix(weakHash(id, atom.UUID{}), weakPrefixLevels) {
			if r.target == id && !yield(s.schema.Tables[r.table], r.source) {
				return
			}
		}
	}
}

// Apply returns the version that a delta makes of s.
func (s *Snapshot) Apply(d *Delta) *Snapshot {
	e := s.Edit()
	e.Apply(d)
	return e.Done()
}

// Apply makes the changes of a delta, which may be nil.
func (e *Edit) Apply(d *Delta) {
	if d == nil {
		return
	}
	for _, td := range d.Tables {
		for i := range td.Rows {
			c := &td.Rows[i]
			e.Set(td.Table, c.UUID, c.New)
		}
	}
}
