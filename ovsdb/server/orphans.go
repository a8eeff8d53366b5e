package server

import (
	"slices"
	"time"

	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

// How many rows that nothing refers to are kept for a later transaction, and
// for how long.
const (
	maxOrphans    = 256
	orphanTimeout = 10 * time.Minute
)

// orphans are rows outside the root set that a transaction inserted without
// referring to them. RFC 7047 (section 3.2, isRoot) has them deleted at once,
// and so they are, for all who look. But a person who types `ovs-vsctl create
// netflow ...` and then `ovs-vsctl add bridge br0 netflow UUID` means that row:
// the reference brings it back. The sequencer alone uses this.
type orphans struct {
	rows []orphan // oldest first
}

type orphan struct {
	txn.Orphan
	since time.Time
}

// keep takes the orphans of a transaction in.
func (o *orphans) keep(more []txn.Orphan, now time.Time) {
	for _, m := range more {
		if len(o.rows) == maxOrphans {
			o.rows = slices.Delete(o.rows, 0, 1)
		}
		o.rows = append(o.rows, orphan{m, now})
	}
}

// find returns a row, nil where there is none or its time is over.
func (o *orphans) find(t *schema.Table, id atom.UUID, now time.Time) *store.Row {
	for len(o.rows) > 0 && now.Sub(o.rows[0].since) > orphanTimeout {
		o.rows = slices.Delete(o.rows, 0, 1)
	}
	for _, r := range o.rows {
		if r.Table == t && r.Row.UUID == id {
			return r.Row
		}
	}
	return nil
}

// forget drops the rows that a transaction brought back: from now on they live
// and go as all others.
func (o *orphans) forget(d *store.Delta) {
	if len(o.rows) == 0 {
		return
	}
	for _, td := range d.Tables {
		for i := range td.Rows {
			c := &td.Rows[i]
			if c.Old != nil {
				continue
			}
			o.rows = slices.DeleteFunc(o.rows, func(r orphan) bool { return r.Table == td.Table && r.Row.UUID == c.UUID })
		}
	}
}
