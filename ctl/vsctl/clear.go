package vsctl

import (
	"fmt"

	"govs/ovsdb/data"
)

func needClear(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab, c.args[1])
	return f.needColumns(tab, c.args[2:])
}

// runClear empties columns of one record.
func runClear(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	x, err := r.record(tab, c.args[1], !c.has("--if-exists"))
	if x == nil || err != nil {
		return err
	}
	for _, word := range c.args[2:] {
		name, err := r.names.column(tab, word)
		if err != nil {
			return err
		}
		col := x.t.Column(name)
		if err := mutable(x, col); err != nil {
			return err
		}
		if col.Type.Min > 0 {
			return fmt.Errorf("\"clear\" operation cannot be applied to column %s of table %s, which is not allowed to be empty", name, tab)
		}
		r.set(x, name, data.Datum{})
	}
	return nil
}
