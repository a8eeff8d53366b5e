package vsctl

// runDelController takes a bridge's controllers away.
func runDelController(r *run, c *command) error {
	b, err := r.tree().realBridge(c.args[0])
	if err != nil {
		return err
	}
	r.replace(b.row, "controller", nil)
	return nil
}
