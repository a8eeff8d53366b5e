package server

import (
	"crypto/subtle"

	"govs/ovsdb/monitor"
	"govs/schema"
	"govs/schema/atom"
)

// ids is what a database knows of the ids of transactions that clients see, and
// come back with after a restart (monitor_cond_since).
//
// Ephemeral columns are not kept: after a restart they have their defaults, and
// nobody knows what clients have in them. So those who have seen any values in
// them must not resume. They are shown ids under a mask that only this process
// has, which nobody finds later. Others are shown ids that are kept.
type ids struct {
	last atom.UUID // the last transaction
	kept atom.UUID // the last one of which there is a record
	mask atom.UUID // random
	held []bool    // by schema.Table.Index: an ephemeral column had a value
}

// startWith makes id the id of contents that were there before, perhaps with values
// in ephemeral columns.
func (i *ids) startWith(id atom.UUID) {
	i.last, i.kept = id, id
	for k := range i.held {
		i.held[k] = true
	}
}

// note notes a commit.
func (i *ids) note(c *commit) {
	i.last = c.id
	if c.kept {
		i.kept = c.id
	}
	for _, td := range c.delta.Tables {
		if i.held[td.Table.Index] {
			continue
		}
		for _, col := range td.Table.Columns[schema.FirstColumn:] {
			if !col.Ephemeral {
				continue
			}
			for k := range td.Rows {
				if td.Rows[k].Changed.Has(col) {
					i.held[td.Table.Index] = true
				}
			}
		}
	}
}

// shown is a transaction's id as m sees it.
func (i *ids) shown(m *monitor.Monitor, id atom.UUID) atom.UUID {
	if m.Ephemeral(func(t *schema.Table) bool { return i.held[t.Index] }) {
		return i.masked(id)
	}
	return id
}

// lastShown is the last transaction as m sees it.
func (i *ids) lastShown(m *monitor.Monitor) atom.UUID {
	if m.Ephemeral(func(t *schema.Table) bool { return i.held[t.Index] }) {
		return i.masked(i.last)
	}
	return i.kept // later ones are nothing to m
}

// masked puts the mask on an id, or takes it off.
func (i *ids) masked(id atom.UUID) atom.UUID {
	subtle.XORBytes(id[:], id[:], i.mask[:])
	return id
}
