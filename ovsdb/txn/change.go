package txn

import (
	"govs/internal/dberr"
	"govs/ovsdb/store"
	"govs/schema"
)

// opChange makes a change that was decided elsewhere.
type opChange struct {
	make func(*store.Snapshot) (*store.Delta, *dberr.Error)
}

// Change is a transaction that makes the change that f gives for the snapshot it
// is executed on: what another server did, say. Its commit checks and collects
// as that of every transaction. The result of its one operation is {}.
func Change(s *schema.Schema, f func(*store.Snapshot) (*store.Delta, *dberr.Error)) *Txn {
	return &Txn{schema: s, ops: []operation{&opChange{f}}, total: 1, writes: true}
}

func (op *opChange) execute(x *execution) *dberr.Error {
	d, err := op.make(x.now())
	if err != nil {
		return err
	}
	for _, td := range d.Tables {
		for i := range td.Rows {
			c := &td.Rows[i]
			x.set(td.Table, c.UUID, c.Old, c.New)
		}
	}
	x.out = append(x.out, "{}"...)
	return nil
}
