package vsctl

// runListPorts prints the ports of a bridge, without its own.
func runListPorts(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	var names []string
	for _, p := range b.ports {
		if p.name != b.name {
			names = append(names, p.name)
		}
	}
	c.printNames(names)
	return nil
}
