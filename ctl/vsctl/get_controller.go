package vsctl

// runGetController prints the controllers of a bridge, or of its parent.
func runGetController(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err == nil {
		c.printTargets(r.refs(b.row, "controller"))
	}
	return err
}
