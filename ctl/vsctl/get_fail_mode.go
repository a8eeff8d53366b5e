package vsctl

// runGetFailMode prints the fail mode of a bridge, or of its parent.
func runGetFailMode(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	if m := b.row.str("fail_mode"); m != "" {
		c.printf("%s\n", m)
	}
	return nil
}
