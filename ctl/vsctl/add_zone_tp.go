package vsctl

import (
	"fmt"
	"strconv"
	"strings"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runAddZoneTP gives a connection tracking zone time-outs.
func runAddZoneTP(r *run, c *command) error {
	dp, id, zone, err := r.zone(c)
	if err != nil {
		return err
	}
	if zone != nil && !c.has("--may-exist") {
		return fmt.Errorf("zone id %d already exists", id)
	}
	var pairs []data.Pair
	for _, a := range c.args[2:] {
		k, v, _ := strings.Cut(a, "=")
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: expected POLICY=SECONDS", a)
		}
		pairs = append(pairs, data.Pair{Key: atom.Str(k), Value: atom.Int(n)})
	}
	policy := r.insert("CT_Timeout_Policy", atom.New())
	r.set(policy, "timeouts", data.Map(pairs...))
	if zone == nil {
		zone = r.insert("CT_Zone", atom.New())
		r.add(dp, "ct_zones", data.Map(data.Pair{Key: atom.Int(id), Value: atom.ID(zone.id)}))
	}
	r.set(zone, "timeout_policy", ref(policy))
	return nil
}
