package history

import (
	"slices"

	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// purgeWeak takes the weak references that a change would leave without a row
// out of the rows that have them, as a commit does. Our own records need none of
// it; the C server (3.1) leaves it out of its records where one transaction
// deletes a row and modifies another column of a row that refers to it, and does
// it when it reads them. tables is by schema.Table.Index, nil where nothing changed.
func purgeWeak(snap *store.Snapshot, tables []*store.TableDelta) {
	p := purge{snap, tables, make([]map[atom.UUID]int, len(tables))}
	for _, t := range snap.Schema().Tables {
		td := tables[t.Index]
		if td == nil {
			continue
		}
		for i := 0; i < len(td.Rows); i++ { // a row may come to its own table
			c := &td.Rows[i]
			if c.New == nil {
				for from, id := range snap.WeakRefs(t, c.UUID) {
					p.row(from, p.change(from, id))
				}
			} else if slices.ContainsFunc(t.Weak, c.Changed.Has) {
				p.row(t, c)
			}
		}
	}
}

// purge finds rows of a change by their ids.
type purge struct {
	snap   *store.Snapshot
	tables []*store.TableDelta
	at     []map[atom.UUID]int
}

// find returns the change of a row, or nil.
func (p *purge) find(t *schema.Table, id atom.UUID) *store.Change {
	td := p.tables[t.Index]
	if td == nil {
		return nil
	}
	at := p.at[t.Index]
	if at == nil {
		at = make(map[atom.UUID]int, len(td.Rows))
		p.at[t.Index] = at
	}
	for i := len(at); i < len(td.Rows); i++ {
		at[td.Rows[i].UUID] = i
	}
	if i, ok := at[id]; ok {
		return &td.Rows[i]
	}
	return nil
}

// change returns the change of a row that exists; one that changes nothing where
// there was none.
func (p *purge) change(t *schema.Table, id atom.UUID) *store.Change {
	if c := p.find(t, id); c != nil {
		return c
	}
	if p.tables[t.Index] == nil {
		p.tables[t.Index] = &store.TableDelta{Table: t}
	}
	td, row := p.tables[t.Index], p.snap.Row(t, id)
	td.Rows = append(td.Rows, store.Change{UUID: id, Old: row, New: row})
	return &td.Rows[len(td.Rows)-1]
}

// exists reports whether there is a row after the change.
func (p *purge) exists(t *schema.Table, id atom.UUID) bool {
	if c := p.find(t, id); c != nil {
		return c.New != nil
	}
	return p.snap.Row(t, id) != nil
}

func (p *purge) row(t *schema.Table, c *store.Change) {
	if c.New == nil {
		return
	}
	for _, col := range t.Weak {
		k, v := &col.Type.Key, &col.Type.Value
		was := c.New.Get(col)
		kept := data.Filter(was, func(key, value atom.Atom) bool {
			return (!k.WeakRef() || p.exists(k.RefTable, key.UUID())) && (!v.WeakRef() || p.exists(v.RefTable, value.UUID()))
		})
		if kept.Len() == was.Len() || kept.Len() < int(col.Type.Min) {
			continue
		}
		c.New = c.New.With(store.Value{Column: col, Datum: kept})
		c.New.Touch(atom.New())
		c.Changed.Add(col)
	}
}
