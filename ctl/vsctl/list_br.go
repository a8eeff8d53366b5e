package vsctl

// runListBr prints the names of bridges.
func runListBr(r *run, c *command) error {
	all := c.has("--real") == c.has("--fake")
	var names []string
	for _, b := range r.tree().bridges {
		if all || c.has("--real") == (b.parent == nil) {
			names = append(names, b.name)
		}
	}
	c.printNames(names)
	return nil
}
