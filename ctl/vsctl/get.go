package vsctl

import (
	"errors"
	"fmt"
)

func needGet(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	f.needRecord(tab, c.args[1])
	return f.needExprs(tab, c.args[2:], nil)
}

// runGet prints columns, or values of keys, of one record.
func runGet(r *run, c *command) error {
	if c.has("--id") && c.has("--if-exists") {
		return errors.New("--if-exists and --id may not be specified together")
	}
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	x, err := r.record(tab, c.args[1], !c.has("--if-exists"))
	if x == nil || err != nil {
		return err
	}
	if id, ok := c.opts["--id"]; ok {
		s, err := r.define(id)
		if err != nil {
			return err
		}
		s.id = x.id
	}
	for _, arg := range c.args[2:] {
		e, err := parseExpr(r.names, tab, arg, nil)
		if err != nil {
			return err
		}
		col := x.t.Column(e.column)
		r.expect(x, e.column)
		d := x.get(col)
		if !e.hasKey {
			c.printf("%s\n", d.Text(&col.Type))
			continue
		}
		if !col.Type.Map() {
			return fmt.Errorf("cannot specify key to get for non-map column %s", col.Name)
		}
		key, err := r.parseAtom(e.key, &col.Type.Key)
		if err != nil {
			return err
		}
		v, ok := d.Get(key)
		switch {
		case ok:
			c.printf("%s\n", v)
		case c.has("--if-exists"):
			c.printf("\n")
		default:
			return fmt.Errorf("no key \"%s\" in %s record \"%s\" column %s", e.key, tab, c.args[1], col.Name)
		}
	}
	return nil
}
