package vsctl

// runGetSSL prints the files of the TLS configuration.
func runGetSSL(r *run, c *command) error {
	for _, x := range r.refs(r.ovs(), "ssl") {
		c.printf("Private key: %s\n", x.str("private_key"))
		c.printf("Certificate: %s\n", x.str("certificate"))
		c.printf("CA Certificate: %s\n", x.str("ca_cert"))
		c.printf("Bootstrap: %t\n", x.flag("bootstrap_ca_cert"))
	}
	return nil
}
