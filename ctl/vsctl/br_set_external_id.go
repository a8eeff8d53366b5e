package vsctl

import (
	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runBrSetExternalID sets or removes a bridge's external ID.
func runBrSetExternalID(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	x, prefix := idsOf(b)
	key := prefix + c.args[1]
	if len(c.args) == 3 {
		r.put(x, "external_ids", pair(key, c.args[2]))
	} else {
		r.drop(x, "external_ids", data.One(atom.Str(key)), true)
	}
	return nil
}
