package vsctl

func needManager(f *fetch, _ *command) error {
	f.need("Open_vSwitch", "manager_options")
	f.need("Manager", "target", "inactivity_probe")
	return nil
}
