package vsctl

import (
	"fmt"
	"strconv"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

func needAAMapping(f *fetch, c *command) error {
	f.need("Bridge", "auto_attach")
	f.need("AutoAttach", "mappings")
	return needBridges(f, c)
}

// mapping reads BRIDGE I-SID VLAN.
func (r *run) mapping(c *command) (b *bridge, pair data.Datum, err error) {
	if b, err = r.tree().bridge(c.args[0]); err != nil {
		return nil, pair, err
	}
	var n [2]int64
	for i, a := range c.args[1:] {
		if n[i], err = strconv.ParseInt(a, 10, 64); err != nil {
			return nil, pair, fmt.Errorf("Invalid argument %s", a)
		}
	}
	return b, data.Map(data.Pair{Key: atom.Int(n[0]), Value: atom.Int(n[1])}), nil
}
