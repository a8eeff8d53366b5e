package vsctl

// runSetManager sets the managers.
func runSetManager(r *run, c *command) error {
	rows, err := r.targets(c, "Manager", c.args)
	if err == nil {
		r.replace(r.ovs(), "manager_options", rows)
	}
	return err
}
