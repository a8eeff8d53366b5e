package daemon

import (
	"slices"
	"time"

	"govs/vswitchd/desired"
	"govs/vswitchd/lldp"
	"govs/vswitchd/ofproto"
)

// configureLLDP makes the interface's agent say what is wanted, and has the port
// carry the VLANs of auto attachment: the database is told so, as the C daemon
// does.
func (v *services) configureLLDP(b *ofproto.Bridge, p *desired.Port, i *desired.Interface) {
	a := v.lldp[i.Name]
	if a == nil {
		a = lldp.New(i.Name)
		v.lldp[i.Name] = a
	}
	c := *i.LLDP
	copy(c.MAC[:], address(b, i.Name))
	c.Description = "openvswitch " + v.s.o.Version
	a.Configure(c)

	var vlans []int
	for _, m := range c.Mappings {
		vlans = append(vlans, int(m.VLAN))
	}
	slices.Sort(vlans)
	vlans = slices.Compact(vlans)
	before := v.attached[p.UUID]
	if slices.Equal(before, vlans) {
		return
	}
	v.attached[p.UUID] = vlans
	trunks := slices.Clone(p.Trunks)
	trunks = slices.DeleteFunc(trunks, func(vid int) bool { return slices.Contains(before, vid) && !slices.Contains(vlans, vid) })
	trunks = append(trunks, vlans...)
	slices.Sort(trunks)
	v.trunks[p.UUID] = slices.Compact(trunks)
}

// runLLDP does what the interface's agent has to do.
func (v *services) runLLDP(b *ofproto.Bridge, i *desired.Interface, now time.Time) {
	a := v.lldp[i.Name]
	is := b.Ifaces[i.Name]
	if a == nil || is == nil || !is.Open() {
		return
	}
	if f := a.Run(now); f != nil {
		v.out = append(v.out, saying{iface: i.Name, frame: f})
	}
}
