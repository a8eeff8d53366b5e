package vsctl

import (
	"strings"

	"govs/schema/atom"
)

// runBrGetExternalID prints one external ID of a bridge, or all.
func runBrGetExternalID(r *run, c *command) error {
	b, err := r.tree().bridge(c.args[0])
	if err != nil {
		return err
	}
	x, prefix := idsOf(b)
	ids := x.val("external_ids")
	if len(c.args) == 2 {
		if v, ok := ids.Get(atom.Str(prefix + c.args[1])); ok {
			c.printf("%s\n", v.Str())
		}
		return nil
	}
	for k, v := range ids.Pairs() {
		if key, ok := strings.CutPrefix(k.Str(), prefix); ok {
			c.printf("%s=%s\n", key, v.Str())
		}
	}
	return nil
}
