package vsctl

// runDelManager takes the managers away.
func runDelManager(r *run, _ *command) error {
	r.replace(r.ovs(), "manager_options", nil)
	return nil
}
