package vsctl

import (
	"govs/ovsdb/data"
)

// runDelFailMode takes a bridge's fail mode away.
func runDelFailMode(r *run, c *command) error {
	b, err := r.tree().realBridge(c.args[0])
	if err == nil {
		r.set(b.row, "fail_mode", data.Datum{})
	}
	return err
}
