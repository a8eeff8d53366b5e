// Package history keeps the last changes of a database with their ids, so that
// a client that was away for a while gets what it missed, and not everything
// (ovsdb-server(7), 4.1.15).
//
// # Caveats
//
// A Ring holds the rows of its deltas in memory, old and new, with large sets
// whole; its size is an estimate.
package history

import (
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// Entry is one transaction's change.
type Entry struct {
	ID    atom.UUID
	Delta *store.Delta
	size  int
}

// Ring holds the last entries, oldest first, as far as its limits let it. It
// is not safe for concurrent use.
type Ring struct {
	entries  []Entry
	base     atom.UUID // the transaction before the first entry, zero where unknown
	last     atom.UUID
	size     int
	maxSize  int
	maxCount int
}

// New makes a Ring that holds at most count entries of about size bytes
// together.
func New(count, size int) *Ring { return &Ring{maxCount: count, maxSize: size} }

// Reset forgets everything; the database is now as transaction id left it.
func (r *Ring) Reset(id atom.UUID) {
	clear(r.entries)
	r.entries, r.size, r.base, r.last = r.entries[:0], 0, id, id
}

// Last is the id of the last transaction, zero where there is none.
func (r *Ring) Last() atom.UUID { return r.last }

// Len is the number of entries, and Size their estimated bytes.
func (r *Ring) Len() int { return len(r.entries) }

// Size is the estimated number of bytes of all entries.
func (r *Ring) Size() int { return r.size }

// memory estimates the bytes that only a ring keeps of a delta: the rows as they
// were, of which columns that did not change are shared with the rows that are.
// What a row became is in the tables, or is counted with the change that came next.
func memory(d *store.Delta) int {
	const perEntry, perRow = 128, 256
	n := perEntry
	for _, td := range d.Tables {
		for i := range td.Rows {
			c := &td.Rows[i]
			n += perRow
			if c.Old == nil {
				continue
			}
			for _, col := range td.Table.Columns[schema.FirstColumn:] {
				if c.Changed.Has(col) {
					n += 16 + c.Old.Get(col).Memory()
				}
			}
		}
	}
	return n
}

// Add notes that transaction id made a change.
func (r *Ring) Add(id atom.UUID, d *store.Delta) {
	size := memory(d)
	r.last = id
	r.entries = append(r.entries, Entry{id, d, size})
	r.size += size
	drop := 0
	for drop < len(r.entries) && (r.size > r.maxSize || len(r.entries)-drop > r.maxCount) {
		r.size -= r.entries[drop].size
		r.base = r.entries[drop].ID
		r.entries[drop] = Entry{}
		drop++
	}
	r.entries = r.entries[drop:]
}

// Since returns the change from just after transaction id until now, and
// whether id was found. A change of a row that came back to what it was is
// left out.
func (r *Ring) Since(id atom.UUID) (*store.Delta, bool) {
	entries, found := r.After(id)
	if !found {
		return nil, false
	}
	return Merge(entries), true
}

// After returns what came after transaction id, oldest first, and whether id was
// found. The entries are the caller's.
func (r *Ring) After(id atom.UUID) (entries []Entry, found bool) {
	if id.Zero() {
		return nil, false
	}
	if id == r.last {
		return nil, true
	}
	for i := len(r.entries) - 1; i >= 0; i-- {
		if r.entries[i].ID == id {
			return append(entries, r.entries[i+1:]...), true
		}
	}
	if id == r.base {
		return append(entries, r.entries...), true
	}
	return nil, false
}

// Merge makes one change of several that follow one another. Its Changed sets
// hold every column that changed on the way, and perhaps changed back.
func Merge(entries []Entry) *store.Delta {
	if len(entries) == 1 {
		return entries[0].Delta
	}
	type key struct {
		table int
		id    atom.UUID
	}
	at := make(map[key]int)
	tables := make(map[int]*store.TableDelta)
	for _, e := range entries {
		for _, td := range e.Delta.Tables {
			t := tables[td.Table.Index]
			if t == nil {
				t = &store.TableDelta{Table: td.Table}
				tables[td.Table.Index] = t
			}
			for _, c := range td.Rows {
				k := key{td.Table.Index, c.UUID}
				i, ok := at[k]
				if !ok {
					at[k] = len(t.Rows)
					t.Rows = append(t.Rows, c)
					continue
				}
				t.Rows[i] = join(td.Table, t.Rows[i], c)
			}
		}
	}
	d := new(store.Delta)
	for _, t := range entriesSchema(entries) {
		td := tables[t]
		rows := td.Rows[:0]
		for _, c := range td.Rows {
			if c.Old != nil || c.New != nil {
				rows = append(rows, c)
			}
		}
		if td.Rows = rows; len(rows) > 0 {
			d.Tables = append(d.Tables, *td)
		}
	}
	return d
}

// entriesSchema lists the tables that changed, in order.
func entriesSchema(entries []Entry) []int {
	top := 0
	seen := make(map[int]bool)
	for _, e := range entries {
		for _, td := range e.Delta.Tables {
			seen[td.Table.Index] = true
			top = max(top, td.Table.Index)
		}
	}
	var out []int
	for i := 0; i <= top; i++ {
		if seen[i] {
			out = append(out, i)
		}
	}
	return out
}

// join makes one change of a row of two.
func join(t *schema.Table, a, b store.Change) store.Change {
	c := store.Change{UUID: a.UUID, Old: a.Old, New: b.New}
	for _, col := range t.Columns[schema.FirstColumn:] {
		if a.Changed.Has(col) || b.Changed.Has(col) {
			c.Changed.Add(col)
		}
	}
	return c
}
