package vsctl

import (
	"fmt"

	"govs/schema/atom"
)

func needCreate(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	if !c.has("--id") && !f.names.roots[tab] {
		f.warn("db_ctl_base", fmt.Sprintf("applying \"create\" command to table %s without --id option will have no effect", tab))
	}
	f.need(tab)
	return nil
}

// runCreate makes a record and prints its UUID.
func runCreate(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	id := atom.New()
	var s *symbol
	if name, ok := c.opts["--id"]; ok {
		if u, isUUID := atom.Parse(name); isUUID {
			id = u
			r.given[id] = true
		} else {
			if s, err = r.define(name); err != nil {
				return err
			}
			id = s.id
		}
	}
	x := r.insert(tab, id)
	if s != nil {
		s.row = x
	}
	c.made = x
	return r.setAll(x, c.args[1:])
}
