package vsctl

// runBrToParent prints a fake bridge's parent, and a real bridge itself.
func runBrToParent(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	if b.parent != nil {
		b = b.parent
	}
	c.printf("%s\n", b.name)
	return nil
}
