package stp

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"govs/vswitchd/bpdu"
)

// Show is the bridge as stp/show prints it.
func (b *Bridge) Show() string {
	var s strings.Builder
	part := func(id bpdu.ID, hello, maxAge, fwd time.Duration) {
		addr := id.Address()
		fmt.Fprintf(&s, "  stp-priority  %d\n  stp-system-id   %s\n", id.Priority(), net.HardwareAddr(addr[:]))
		fmt.Fprintf(&s, "  stp-hello-time  %ds\n  stp-max-age     %ds\n  stp-fwd-delay   %ds\n",
			int(hello.Seconds()), int(maxAge.Seconds()), int(fwd.Seconds()))
	}
	fmt.Fprintf(&s, "---- %s ----\nRoot ID:\n", b.name)
	part(b.root, b.hello, b.maxAge, b.fwd)
	if b.rootPort == nil {
		s.WriteString("  This bridge is the root\n")
	} else {
		fmt.Fprintf(&s, "  root-port       %s\n  root-path-cost  %d\n", b.rootPort.Name, b.rootCost)
	}
	s.WriteString("\nBridge ID:\n")
	part(b.id, b.ownHello, b.ownMaxAge, b.ownFwd)
	fmt.Fprintf(&s, "\n  %-10s %-10s %-10s %-5s %-8s\n", "Interface", "Role", "State", "Cost", "Pri.Nbr")
	s.WriteString("  ---------- ---------- ---------- ----- -------\n")
	for _, p := range b.ports {
		if p.state == Disabled { // no link: as in the C switch it is not in the list
			continue
		}
		fmt.Fprintf(&s, "  %-10s %-10s %-10s %-5d %d.%d\n", p.Name, b.role(p), p.state, p.Cost, p.id>>8, p.number)
	}
	return s.String()
}

func (b *Bridge) role(p *port) string {
	switch {
	case p == b.rootPort:
		return "root"
	case b.isDesignated(p):
		return "designated"
	}
	return "alternate"
}

// Timers is a line for the bridge and one for each port, with the names of their
// timers (8.5.4 and 8.5.6) and the seconds until each ends; 0.00 where it does
// not run.
func (b *Bridge) Timers(now time.Time) string {
	left := func(end time.Time) float64 {
		if end.IsZero() {
			return 0
		}
		return max(end.Sub(now), 0).Seconds()
	}
	var s strings.Builder
	fmt.Fprintf(&s, "bridge %s hello %.2f tcn %.2f topology-change %.2f\n", b.name, left(b.helloTimer), left(b.tcnTimer), left(b.tcTimer))
	for _, p := range b.ports {
		fmt.Fprintf(&s, "port %s message-age %.2f forward-delay %.2f hold %.2f\n", p.Name, left(p.messageAge), left(p.fwd), left(p.hold))
	}
	return s.String()
}

// Status is the column status of the Bridge table.
func (b *Bridge) Status() map[string]string {
	return map[string]string{
		"stp_bridge_id":       b.id.Old(),
		"stp_designated_root": b.root.Old(),
		"stp_root_path_cost":  strconv.FormatUint(uint64(b.rootCost), 10),
	}
}

// PortStatus are the columns status and statistics of the Port table; nil for
// a port that takes no part.
func (b *Bridge) PortStatus(name string, now time.Time) (status map[string]string, stats map[string]int) {
	p := b.find(name)
	if p == nil {
		return nil, nil
	}
	status = map[string]string{
		"stp_port_id":      fmt.Sprintf("%04x", p.id),
		"stp_state":        p.state.String(),
		"stp_sec_in_state": strconv.Itoa(int(now.Sub(p.changed).Seconds())),
		"stp_role":         b.role(p),
	}
	return status, map[string]int{"stp_tx_count": int(p.tx), "stp_rx_count": int(p.rx), "stp_error_count": int(p.bad)}
}

// Cost is the path cost of a link of that speed in bits a second (table 8-5,
// as revised); 0 is a speed that is not known, which counts as 100 Mbit/s.
func Cost(speed uint64) uint32 {
	switch {
	case speed >= 10e9:
		return 2
	case speed >= 1e9:
		return 4
	case speed >= 100e6, speed == 0:
		return 19
	case speed >= 16e6:
		return 62
	case speed >= 10e6:
		return 100
	case speed >= 4e6:
		return 250
	}
	return 19
}
