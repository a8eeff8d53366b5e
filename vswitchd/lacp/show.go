package lacp

import (
	"fmt"
	"net"
	"strings"
)

// Show is the port as lacp/show prints it.
func (a *Aggregator) Show() string {
	var b strings.Builder
	fmt.Fprintf(&b, "---- %s ----\n", a.name)
	status := "passive"
	if a.config.Active {
		status = "active"
	}
	if a.negotiated {
		status += " negotiated"
	}
	fmt.Fprintf(&b, "  status: %s\n", status)
	fmt.Fprintf(&b, "  sys_id: %s\n", net.HardwareAddr(a.config.SystemID[:]))
	fmt.Fprintf(&b, "  sys_priority: %d\n", a.config.SystemPriority)
	b.WriteString("  aggregation key: ")
	if m := a.first(); m != nil {
		fmt.Fprint(&b, a.actor(m).Key)
	} else {
		b.WriteString("none")
	}
	time := "slow"
	if a.config.Fast {
		time = "fast"
	}
	fmt.Fprintf(&b, "\n  lacp_time: %s\n", time)
	for _, m := range a.members {
		a.showMember(&b, m)
	}
	return b.String()
}

func (a *Aggregator) showMember(b *strings.Builder, m *member) {
	attached := "detached"
	if m.attached {
		attached = "attached"
	}
	fmt.Fprintf(b, "\nmember: %s: %s %s\n", m.Name, m.receive, attached)
	fmt.Fprintf(b, "  port_id: %d\n  port_priority: %d\n  may_enable: %v\n", m.PortID, m.PortPriority, a.mayEnable(m))
	for _, end := range []struct {
		name string
		info Info
	}{{"actor", a.actor(m)}, {"partner", m.partner}} {
		i, n := &end.info, end.name
		fmt.Fprintf(b, "\n  %s sys_id: %s\n", n, net.HardwareAddr(i.SystemID[:]))
		fmt.Fprintf(b, "  %s sys_priority: %d\n", n, i.SystemPriority)
		fmt.Fprintf(b, "  %s port_id: %d\n", n, i.PortID)
		fmt.Fprintf(b, "  %s port_priority: %d\n", n, i.PortPriority)
		fmt.Fprintf(b, "  %s key: %d\n", n, i.Key)
		fmt.Fprintf(b, "  %s state:%s\n", n, i.State)
	}
}

// ShowStats is what lacp/show-stats prints.
func (a *Aggregator) ShowStats() string {
	var b strings.Builder
	fmt.Fprintf(&b, "---- %s statistics ----\n", a.name)
	for _, m := range a.members {
		s := &m.stats
		fmt.Fprintf(&b, "\nmember: %s:\n", m.Name)
		fmt.Fprintf(&b, "  TX PDUs: %d\n  RX PDUs: %d\n  RX Bad PDUs: %d\n  RX Marker Request PDUs: %d\n", s.TxPDUs, s.RxPDUs, s.BadPDUs, s.Markers)
		fmt.Fprintf(&b, "  Link Expired: %d\n  Link Defaulted: %d\n  Carrier Status Changed: %d\n", s.Expired, s.Defaulted, s.CarrierChange)
	}
	return b.String()
}
