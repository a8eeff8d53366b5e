package rstp

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"govs/vswitchd/bpdu"
)

// Show is the bridge as rstp/show prints it.
func (b *Bridge) Show() string {
	var s strings.Builder
	part := func(id bpdu.ID, t bpdu.Times) {
		addr := id.Address()
		fmt.Fprintf(&s, "  stp-priority    %d\n  stp-system-id   %s\n", id.Priority(), net.HardwareAddr(addr[:]))
		fmt.Fprintf(&s, "  stp-hello-time  %ds\n  stp-max-age     %ds\n  stp-fwd-delay   %ds\n", bpdu.Seconds(t.Hello), bpdu.Seconds(t.MaxAge), bpdu.Seconds(t.ForwardDelay))
	}
	fmt.Fprintf(&s, "---- %s ----\nRoot ID:\n", b.name)
	part(b.rootPriority.Root, b.rootTimes)
	if b.rootPort == nil {
		s.WriteString("  This bridge is the root\n")
	} else {
		fmt.Fprintf(&s, "  root-port       %s\n  root-path-cost  %d\n", b.rootPort.Name, b.rootPriority.Cost)
	}
	s.WriteString("\nBridge ID:\n")
	part(b.id, b.bridgeTimes)
	fmt.Fprintf(&s, "\n  %-10s %-10s %-10s %-8s %-8s\n", "Interface", "Role", "State", "Cost", "Pri.Nbr")
	s.WriteString("  ---------- ---------- ---------- -------- -------\n")
	for _, p := range b.ports {
		fmt.Fprintf(&s, "  %-10s %-10s %-10s %-8d %d.%d\n", p.Name, p.role, p.state(), p.Cost, p.id>>8, p.number)
	}
	return s.String()
}

func (p *port) state() string {
	switch {
	case p.forwarding:
		return "Forwarding"
	case p.learning:
		return "Learning"
	}
	return "Discarding"
}

// Status is the column rstp_status of the Bridge table.
func (b *Bridge) Status() map[string]string {
	designated, rootID := b.id, uint16(0)
	var theirs uint16
	if b.rootPort != nil {
		designated, theirs, rootID = b.rootPriority.Bridge, b.rootPriority.Port, b.rootPort.id
	}
	return map[string]string{
		"rstp_bridge_id":          b.id.String(),
		"rstp_root_id":            b.rootPriority.Root.String(),
		"rstp_root_path_cost":     strconv.FormatUint(uint64(b.rootPriority.Cost), 10),
		"rstp_designated_id":      designated.String(),
		"rstp_designated_port_id": fmt.Sprintf("%04x", theirs),
		"rstp_bridge_port_id":     fmt.Sprintf("%04x", rootID),
	}
}

// PortStatus are the columns rstp_status and rstp_statistics of the Port
// table; nil for a port that takes no part.
func (b *Bridge) PortStatus(name string, now time.Time) (status map[string]string, stats map[string]int) {
	p := b.find(name)
	if p == nil {
		return nil, nil
	}
	v := p.portPriority
	status = map[string]string{
		"rstp_port_id":              fmt.Sprintf("%04x", p.id),
		"rstp_port_role":            p.role.String(),
		"rstp_port_state":           p.state(),
		"rstp_designated_bridge_id": v.Bridge.String(),
		"rstp_designated_port_id":   fmt.Sprintf("%04x", v.Port),
		"rstp_designated_path_cost": strconv.FormatUint(uint64(v.Cost), 10),
	}
	return status, map[string]int{
		"rstp_tx_count": int(p.tx), "rstp_rx_count": int(p.rx), "rstp_error_count": int(p.bad),
		"rstp_uptime": int(now.Sub(p.since).Seconds()),
	}
}

// Cost is the path cost of a link of that speed in bits a second (table
// 17-3); 0 is a speed that is not known, which counts as 100 Mbit/s.
func Cost(speed uint64) uint32 {
	if speed == 0 {
		speed = 100e6
	}
	return uint32(min(max(20e12/speed, 1), 200_000_000))
}
