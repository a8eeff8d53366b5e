package rtnl

// Changed is what the monitor calls, for tests.
func (d *Device) Changed(l Link) { d.changed(l) }
