package vsctl

import (
	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runSetSSL sets the TLS configuration.
func runSetSSL(r *run, c *command) error {
	x := r.insert("SSL", atom.New())
	r.setString(x, "private_key", c.args[0])
	r.setString(x, "certificate", c.args[1])
	r.setString(x, "ca_cert", c.args[2])
	r.set(x, "bootstrap_ca_cert", data.One(atom.Bool(c.has("--bootstrap"))))
	r.replace(r.ovs(), "ssl", []*row{x})
	return nil
}
