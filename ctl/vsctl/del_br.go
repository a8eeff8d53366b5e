package vsctl

// runDelBr deletes a bridge and its ports.
func runDelBr(r *run, c *command) error {
	t := r.tree()
	b, err := t.bridge(c.args[0])
	if err != nil {
		if c.has("--if-exists") {
			return nil
		}
		return err
	}
	for _, f := range b.fakes {
		for _, p := range f.ports {
			r.removePort(p)
		}
	}
	for _, p := range b.ports {
		r.removePort(p)
	}
	if b.parent == nil {
		r.drop(r.ovs(), "bridges", ref(b.row), false)
		r.remove(b.row)
	}
	return nil
}
