package vsctl

import (
	"fmt"
)

// runDelPort deletes a port.
func runDelPort(r *run, c *command) error {
	t := r.tree()
	name := c.args[len(c.args)-1]
	if t.bridges[name] != nil && !c.has("--if-exists") {
		return fmt.Errorf("cannot delete port %s because it is the local port for bridge %s (deleting this port requires deleting the entire bridge)", name, name)
	}
	p := t.portNamed(name)
	what := "no port named"
	if c.has("--with-iface") {
		what = "no port or interface named"
		if f := t.ifaceNamed(name); p == nil && f != nil {
			p = f.port
		}
	}
	if p == nil {
		if c.has("--if-exists") {
			return nil
		}
		return fmt.Errorf("%s %s", what, name)
	}
	b := p.br
	if len(c.args) == 2 {
		var err error
		if b, err = t.bridge(c.args[0]); err != nil {
			return err
		}
	}
	if p.br != b {
		if p.br.parent == b {
			return fmt.Errorf("bridge %s does not have a port %s (although its child bridge %s does)", b.name, name, p.br.name)
		}
		return fmt.Errorf("bridge %s does not have a port %s", b.name, name)
	}
	r.removePort(p)
	return nil
}
