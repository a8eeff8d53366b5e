package vsctl

// runListIfaces prints the interfaces of a bridge's ports, without its own.
func runListIfaces(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	var names []string
	for _, p := range b.ports {
		for _, f := range p.ifaces {
			if f.name != b.name {
				names = append(names, f.name)
			}
		}
	}
	c.printNames(names)
	return nil
}
