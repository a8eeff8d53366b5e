package vsctl

// runSetController gives a bridge controllers.
func runSetController(r *run, c *command) error {
	b, err := r.tree().realBridge(c.args[0])
	if err != nil {
		return err
	}
	rows, err := r.targets(c, "Controller", c.args[1:])
	if err == nil {
		r.replace(b.row, "controller", rows)
	}
	return err
}
