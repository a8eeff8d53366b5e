package vsctl

import (
	"fmt"
)

// runAddBondIface adds an interface to a port.
func runAddBondIface(r *run, c *command) error {
	t := r.tree()
	p, err := t.port(c.args[0])
	if err != nil {
		return err
	}
	name := c.args[1]
	if f := t.ifaceNamed(name); f != nil && c.has("--may-exist") {
		if f.port != p {
			return fmt.Errorf("\"%s\" but %s is actually attached to port %s", c.text(), name, f.port.name)
		}
		return nil
	}
	if err := t.conflict("an interface", name); err != nil {
		return err
	}
	x := r.newInterface(name, "")
	r.expected = append(r.expected, x)
	r.add(p.row, "interfaces", ref(x))
	return nil
}
