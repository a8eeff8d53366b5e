package vsctl

// runDelAAMapping takes an I-SID with its VLAN away from a bridge.
func runDelAAMapping(r *run, c *command) error {
	b, pair, err := r.mapping(c)
	if err != nil {
		return err
	}
	for _, x := range r.refs(b.row, "auto_attach") {
		r.drop(x, "mappings", pair, false)
	}
	return nil
}
