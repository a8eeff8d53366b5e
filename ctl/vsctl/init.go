package vsctl

import (
	"govs/schema/atom"
)

// runInit does nothing more than every command does: see ovs.
func runInit(r *run, _ *command) error {
	r.ovs()
	return nil
}

// ovs returns the row of the Open_vSwitch table, which it makes if need be.
func (r *run) ovs() *row {
	if rows := r.list("Open_vSwitch"); len(rows) > 0 {
		return rows[0]
	}
	return r.insert("Open_vSwitch", atom.New())
}
