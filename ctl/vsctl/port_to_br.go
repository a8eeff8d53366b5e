package vsctl

// runPortToBr prints the bridge of a port.
func runPortToBr(r *run, c *command) error {
	p, err := r.tree().port(c.args[0])
	if err == nil {
		c.printf("%s\n", p.br.name)
	}
	return err
}
