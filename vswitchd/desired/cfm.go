package desired

import (
	"strings"
	"time"

	"govs/schema/vswitch"
	"govs/vswitchd/cfm"
)

// cfm reads Interface.cfm_mpid and other_config:cfm_*; nil where there is to be
// no CFM.
func (b *builder) cfm(row *vswitch.Interface) *cfm.Config {
	const highest = 8191 // maintenance point of the standard's
	id := uint64(deref(row.CFMMpid))
	if id == 0 {
		return nil
	}
	o := row.OtherConfig
	c := &cfm.Config{
		MPID: id, Interval: time.Second, Extended: o["cfm_extended"] == "true", Demand: o["cfm_demand"] == "true",
		Down: strings.EqualFold(o["cfm_opstate"], "down"), RandomVLAN: strings.EqualFold(o["cfm_ccm_vlan"], "random"),
	}
	if !c.Extended && id > highest {
		b.problem("Interface", row.UUID, "interface %s: cfm_mpid %d is not in the range 1 to %d, and other_config:cfm_extended is not true",
			row.Name, *row.CFMMpid, highest)
		return nil
	}
	if ms := integer(o, "cfm_interval", 0); ms > 0 && ms <= 1<<31-1 {
		c.Interval = time.Duration(ms) * time.Millisecond
	}
	if vid := integer(o, "cfm_ccm_vlan", 0); vid > 0 && vid <= 4095 {
		c.VLAN = uint16(vid)
	}
	if pcp := integer(o, "cfm_ccm_pcp", 0); pcp > 0 && pcp <= 7 {
		c.PCP = uint8(pcp)
	}
	return c
}
