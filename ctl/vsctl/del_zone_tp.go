package vsctl

import (
	"fmt"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runDelZoneTP deletes the time-outs of a zone.
func runDelZoneTP(r *run, c *command) error {
	dp, id, zone, err := r.zone(c)
	if err != nil {
		return err
	}
	if zone == nil {
		if c.has("--if-exists") {
			return nil
		}
		return fmt.Errorf("zone id %d does not exist", id)
	}
	r.drop(dp, "ct_zones", data.One(atom.Int(id)), true)
	return nil
}
