package status

import (
	"maps"

	"govs/schema/vswitch"
	"govs/vswitchd/cfm"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// An Iface is what an interface is like at the moment, as far as its row tells
// it. To compare two is much cheaper than to compare rows.
type Iface struct {
	iface
	status map[string]string
	bfd    map[string]string // nil where it is not watched
	cfm    *cfm.Status       // nil where it has no maintenance point
}

// iface are the values that Go compares.
type iface struct {
	ofport      int // 0 where it has none
	err         string
	open        bool // it moves packets, so it has statistics
	known       bool // what follows is known
	admin, link bool
	resets      int
	ifindex     int
	speed, mtu  int // 0 where not known
	duplex, mac string

	lacp, heard bool // it negotiates, and has heard from a partner
}

// See looks at an interface.
func See(i *ofproto.Iface) Iface {
	seen := Iface{iface: iface{ofport: i.OFPort, err: i.Err, open: i.Open()}}
	switch {
	case i.Port != nil:
		state := i.Port.State()
		seen.known = true
		seen.admin, seen.link, seen.resets = state.Admin, state.Link, state.Resets
		seen.ifindex, seen.speed, seen.mtu, seen.duplex = state.Ifindex, int(state.Speed), state.MTU, state.Duplex
		if len(state.MAC) == 6 {
			seen.mac = state.MAC.String()
		}
		seen.status = portStatus(i, state)
	case i.Open(): // a patch port or a tunnel
		if i.Egress != "" {
			seen.status = map[string]string{"tunnel_egress_iface": i.Egress, "tunnel_egress_iface_carrier": upDown(i.Carrier)}
		}
		seen.known, seen.admin, seen.link = true, true, true
		if len(i.MAC) == 6 {
			seen.mac = i.MAC.String()
		}
	}
	return seen
}

// Partner notes that the interface negotiates, and whether it has heard from a
// partner.
func (i *Iface) Partner(heard bool) { i.lacp, i.heard = true, heard }

// Watched notes what BFD has found out about the interface.
func (i *Iface) Watched(status map[string]string) { i.bfd = status }

// Managed notes what CFM has found out about the interface.
func (i *Iface) Managed(status *cfm.Status) { i.cfm = status }

func (i Iface) equal(other Iface) bool {
	return i.iface == other.iface && maps.Equal(i.status, other.status) && maps.Equal(i.bfd, other.bfd) && i.cfm.Equal(other.cfm)
}

// IfaceRow sets what an interface is like at the moment.
func (r Rows) IfaceRow(uuid string, i Iface) {
	row := Row{
		"ofport": -1, "error": Empty{},
		"admin_state": Empty{}, "link_state": Empty{}, "link_resets": Empty{},
		"link_speed": Empty{}, "duplex": Empty{}, "ifindex": Empty{},
		"mac_in_use": Empty{}, "mtu": Empty{}, "lacp_current": Empty{}, "status": full(i.status), "bfd_status": full(i.bfd),
	}
	row.optional("ofport", i.ofport, i.ofport != 0)
	row.optional("error", i.err, i.err != "")
	row.optional("lacp_current", i.heard, i.lacp)
	if !i.open {
		row["statistics"] = map[string]int{}
	}
	if i.known {
		row["admin_state"], row["link_state"] = upDown(i.admin), upDown(i.link)
		row["link_resets"], row["ifindex"] = i.resets, i.ifindex
		row.optional("link_speed", i.speed, i.speed != 0)
		row.optional("duplex", i.duplex, i.duplex != "")
		row.optional("mtu", i.mtu, i.mtu != 0)
		row.optional("mac_in_use", i.mac, i.mac != "")
	}
	if i.cfm != nil {
		row.cfm(i.cfm)
	}
	r.Set(vswitch.InterfaceTable, uuid, row)
}

// Unmanaged empties the columns of CFM, which a new row has empty.
func (r Rows) Unmanaged(uuid string) {
	row := make(Row)
	for _, column := range []string{"cfm_fault", "cfm_fault_status", "cfm_flap_count", "cfm_health", "cfm_remote_mpids", "cfm_remote_opstate"} {
		row[column] = Empty{}
	}
	r.Set(vswitch.InterfaceTable, uuid, row)
}

// cfm sets what connectivity fault management has found out.
func (row Row) cfm(s *cfm.Status) {
	row["cfm_fault"], row["cfm_flap_count"] = s.Faults != 0, s.Flaps
	for _, column := range []string{"cfm_fault_status", "cfm_health", "cfm_remote_mpids", "cfm_remote_opstate"} {
		row[column] = Empty{}
	}
	if names := s.Faults.Names(); len(names) > 0 {
		row["cfm_fault_status"] = names
	}
	if len(s.Points) > 0 {
		ids := make([]int, len(s.Points))
		for n, id := range s.Points {
			ids[n] = int(id) // as the database has it
		}
		row["cfm_remote_mpids"] = ids
	}
	row.optional("cfm_health", s.Health, s.Health >= 0)
	row.optional("cfm_remote_opstate", upDown(!s.Down), s.Extended)
}

// Refused sets that an interface cannot be.
func (r Rows) Refused(i *desired.Interface) {
	r.IfaceRow(i.UUID, See(&ofproto.Iface{Want: i, Err: i.Error}))
}
