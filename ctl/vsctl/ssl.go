package vsctl

func needSSL(f *fetch, _ *command) error {
	f.need("Open_vSwitch", "ssl")
	f.need("SSL", "private_key", "certificate", "ca_cert", "bootstrap_ca_cert")
	return nil
}
