package vsctl

import (
	"errors"
)

// runSetFailMode sets a bridge's fail mode.
func runSetFailMode(r *run, c *command) error {
	b, err := r.tree().realBridge(c.args[0])
	if err != nil {
		return err
	}
	if m := c.args[1]; m != "standalone" && m != "secure" {
		return errors.New("fail-mode must be \"standalone\" or \"secure\"")
	}
	r.setString(b.row, "fail_mode", c.args[1])
	return nil
}
