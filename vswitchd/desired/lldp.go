package desired

import (
	"maps"
	"slices"

	"govs/schema/vswitch"
	"govs/vswitchd/lldp"
)

// lldp reads Interface.lldp, and the mappings of its bridge's AutoAttach row; nil
// where there is to be no LLDP.
func (b *builder) lldp(br *Bridge, row *vswitch.Interface) *lldp.Config {
	if row.LLDP["enable"] != "true" {
		return nil
	}
	return &lldp.Config{Mappings: br.mappings}
}

// attach reads the mappings of a bridge.
func (b *builder) attach(row *vswitch.Bridge) (list []lldp.Mapping) {
	if row.AutoAttach == nil || b.rows.Attaches[*row.AutoAttach] == nil {
		return nil
	}
	mappings := b.rows.Attaches[*row.AutoAttach].Mappings
	for _, isid := range slices.Sorted(maps.Keys(mappings)) {
		if vid := mappings[isid]; isid >= 0 && isid < 1<<24 && vid >= 0 && vid < 1<<12 {
			list = append(list, lldp.Mapping{ISID: uint32(isid), VLAN: uint16(vid)})
		}
	}
	return list
}
