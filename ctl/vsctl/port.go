package vsctl

func needAddPort(f *fetch, c *command) error {
	f.need("Interface", "ofport", "error")
	return needTree(f, c)
}
