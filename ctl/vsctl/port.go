package vsctl

// needAddPort asks for what making a port and its interfaces takes. Settings
// among the arguments are no names, and harm nothing.
func needAddPort(f *fetch, c *command) error {
	f.column("Interface", "ofport", "error")
	return needNames(f, c)
}
