package vsctl

// runGetAAMapping prints a bridge's I-SIDs and VLANs.
func runGetAAMapping(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	for _, x := range r.refs(b.row, "auto_attach") {
		for k, v := range x.val("mappings").Pairs() {
			c.printf("%d %d\n", k.Int(), v.Int())
		}
	}
	return nil
}
