package vsctl

import (
	"govs/schema/atom"
)

// runAddAAMapping adds an I-SID with its VLAN to a bridge.
func runAddAAMapping(r *run, c *command) error {
	b, pair, err := r.mapping(c)
	if err != nil {
		return err
	}
	if aa := r.refs(b.row, "auto_attach"); len(aa) > 0 {
		r.add(aa[0], "mappings", pair)
		return nil
	}
	x := r.insert("AutoAttach", atom.New())
	r.set(x, "mappings", pair)
	r.set(b.row, "auto_attach", ref(x))
	return nil
}
