package vsctl

import (
	"fmt"

	"govs/ovsdb/data"
	"govs/schema"
)

func needSet(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab, c.args[1])
	return f.needExprs(tab, c.args[2:], opsSet)
}

// runSet sets columns, or keys of columns, of one record.
func runSet(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	x, err := r.record(tab, c.args[1], !c.has("--if-exists"))
	if x == nil || err != nil {
		return err
	}
	return r.setAll(x, c.args[2:])
}

func (r *run) setAll(x *row, args []string) error {
	for _, arg := range args {
		if err := r.setOne(x, arg); err != nil {
			return err
		}
	}
	return nil
}

// setOne does COLUMN[:KEY]=VALUE.
func (r *run) setOne(x *row, arg string) error {
	e, err := parseExpr(r.names, x.t.Name, arg, opsSet)
	if err != nil {
		return err
	}
	col := x.t.Column(e.column)
	if err := mutable(x, col); err != nil {
		return err
	}
	if !e.hasKey {
		d, err := r.parseDatum(e.value, &col.Type)
		if err == nil {
			r.set(x, col.Name, d)
		}
		return err
	}
	if !col.Type.Map() {
		return fmt.Errorf("cannot specify key to set for non-map column %s", col.Name)
	}
	k, err := r.parseAtom(e.key, &col.Type.Key)
	if err != nil {
		return err
	}
	v, err := r.parseAtom(e.value, &col.Type.Value)
	if err != nil {
		return err
	}
	r.put(x, col.Name, data.Map(data.Pair{Key: k, Value: v}))
	return nil
}

// mutable refuses columns that only a new row may have set.
func mutable(x *row, c *schema.Column) error {
	if !c.Mutable && !x.isNew() {
		return fmt.Errorf("cannot modify read-only column %s in table %s", c.Name, x.t.Name)
	}
	return nil
}
