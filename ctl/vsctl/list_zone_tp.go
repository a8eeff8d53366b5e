package vsctl

import (
	"fmt"
)

// runListZoneTP prints the time-outs of a datapath's zones.
func runListZoneTP(r *run, c *command) error {
	dp := r.datapath(c.args[0])
	if dp == nil {
		return fmt.Errorf("datapath: %s record not found", c.args[0])
	}
	for id, u := range dp.val("ct_zones").Pairs() {
		c.printf("Zone:%d, Timeout Policies: ", id.Int())
		zone := r.find("CT_Zone", u.UUID())
		if zone == nil {
			continue
		}
		policies := r.refs(zone, "timeout_policy")
		if len(policies) == 0 {
			c.printf("system default\n")
			continue
		}
		c.printf("%s\n", bare(policies[0].val("timeouts"), &policies[0].t.Column("timeouts").Type))
	}
	return nil
}
