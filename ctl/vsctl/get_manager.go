package vsctl

// runGetManager prints the managers.
func runGetManager(r *run, c *command) error {
	c.printTargets(r.refs(r.ovs(), "manager_options"))
	return nil
}
