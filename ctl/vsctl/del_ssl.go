package vsctl

// runDelSSL deletes the TLS configuration.
func runDelSSL(r *run, _ *command) error {
	r.replace(r.ovs(), "ssl", nil)
	return nil
}
