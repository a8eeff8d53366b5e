package vsctl

import (
	"fmt"
	"govs/schema"
)

// needColumn is for TABLE RECORD COLUMN.
func needColumn(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab, c.args[1])
	return f.needColumns(tab, c.args[2:3])
}

// target finds the record and the column of add and remove.
func (r *run) target(c *command) (*row, *schema.Column, error) {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return nil, nil, err
	}
	x, err := r.record(tab, c.args[1], !c.has("--if-exists"))
	if x == nil || err != nil {
		return nil, nil, err
	}
	name, err := r.names.column(tab, c.args[2])
	if err != nil {
		return nil, nil, err
	}
	col := x.t.Column(name)
	return x, col, mutable(x, col)
}

// runAdd adds values or pairs to a column. In the last command a pair takes the
// place of one with the same key, in others that one stays, which is what
// ovs-vsctl(8) says of all: so the C program.
func runAdd(r *run, c *command) error {
	x, col, err := r.target(c)
	if x == nil || err != nil {
		return err
	}
	typ := col.Type
	typ.Min, typ.Max = 1, schema.Unlimited // the server judges the sum
	for _, arg := range c.args[3:] {
		d, err := r.parseDatum(arg, &typ)
		if err != nil {
			return err
		}
		if typ.Map() && r.last {
			r.put(x, col.Name, d)
		} else {
			r.add(x, col.Name, d)
		}
	}
	// Of the last command C leaves this to the server.
	if n := x.get(col).Len(); !r.last && uint32(n) > col.Type.Max {
		return fmt.Errorf("\"add\" operation would put %d %s in column %s of table %s but the maximum number is %d", n, counted(&col.Type), col.Name, x.t.Name, col.Type.Max)
	}
	return nil
}
