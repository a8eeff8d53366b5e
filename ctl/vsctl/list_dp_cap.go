package vsctl

import (
	"fmt"
)

// runListDPCap prints what a datapath can do.
func runListDPCap(r *run, c *command) error {
	dp := r.datapath(c.args[0])
	if dp == nil {
		return fmt.Errorf("datapath \"%s\" record not found", c.args[0])
	}
	c.printf("%s\n", bare(dp.val("capabilities"), &dp.t.Column("capabilities").Type))
	return nil
}
