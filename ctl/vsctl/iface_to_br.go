package vsctl

// runIfaceToBr prints the bridge of an interface.
func runIfaceToBr(r *run, c *command) error {
	f, err := r.tree().iface(c.args[0])
	if err == nil {
		c.printf("%s\n", f.port.br.name)
	}
	return err
}
