package vsctl

// runBrToVlan prints a fake bridge's VLAN, 0 for a real one.
func runBrToVlan(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err == nil {
		c.printf("%d\n", b.vlan)
	}
	return err
}
