package vsctl

import (
	"fmt"
)

// runDelBondIface takes an interface out of its port.
func runDelBondIface(r *run, c *command) error {
	t := r.tree()
	name := c.args[len(c.args)-1]
	f, err := t.iface(name)
	if err != nil {
		if c.has("--if-exists") {
			return nil
		}
		return err
	}
	var p *port
	if len(c.args) == 2 {
		var err error
		if p, err = t.port(c.args[0]); err != nil {
			return err
		}
	}
	switch {
	case p != nil && f.port != p:
		return fmt.Errorf("port %s does not have an interface %s", p.name, name)
	case len(f.port.ifaces) == 1:
		return fmt.Errorf("cannot delete last interface from port %s", f.port.name)
	}
	r.drop(f.port.row, "interfaces", ref(f.row), false)
	r.remove(f.row)
	return nil
}
