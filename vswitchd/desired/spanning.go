package desired

import (
	"fmt"
	"net"
	"strings"
	"time"

	"govs/schema/vswitch"
	"govs/vswitchd/rstp"
	"govs/vswitchd/stp"
)

// A Tree is the spanning tree protocol that a bridge speaks.
type Tree struct {
	Rapid                       bool             // RSTP, else STP
	Address                     net.HardwareAddr // nil is the bridge's
	Priority                    uint16
	Hello, MaxAge, ForwardDelay int  // seconds
	HoldCount                   int  // of RSTP
	Compatible                  bool // RSTP that speaks STP (rstp-force-protocol-version)
}

// A TreePort is a port's part in its bridge's spanning tree.
type TreePort struct {
	Number, Priority           int    // 0 is any number
	Cost                       uint32 // 0 is by the link's speed
	AdminEdge, AutoEdge, Check bool   // of RSTP
}

// tree reads a bridge's columns; nil where it speaks neither protocol.
func (b *builder) tree(br *Bridge, row *vswitch.Bridge) *Tree {
	other := row.OtherConfig
	number := func(key string, low, high, otherwise int) int {
		n := integer(other, key, otherwise)
		if n < low || n > high {
			b.wrong(row.UUID, "Bridge", row.UUID, "bridge %s: %s %d is out of range %d to %d", row.Name, key, n, low, high)
		}
		return clamp(n, low, high)
	}
	address := func(key string) net.HardwareAddr {
		text, ok := other[key]
		if !ok {
			return nil
		}
		mac, err := net.ParseMAC(text)
		if err != nil || len(mac) != 6 {
			b.wrong(row.UUID, "Bridge", row.UUID, "bridge %s: invalid %s, defaulting to bridge's MAC address", row.Name, key)
			return nil
		}
		return mac
	}
	switch {
	case row.RSTPEnable:
		if row.STPEnable {
			b.wrong(row.UUID, "Bridge", row.UUID, "bridge %s: STP and RSTP are mutually exclusive, using RSTP", row.Name)
		}
		if _, ok := other["rstp-ageing-time"]; ok {
			br.MACAging = time.Duration(number("rstp-ageing-time", 10, 1000000, defaultMACAging)) * time.Second
		}
		return &Tree{
			Rapid: true, Address: address("rstp-address"),
			Priority: uint16(number("rstp-priority", 0, 61440, rstp.DefaultPriority)) &^ 0xfff,
			Hello:    2, MaxAge: number("rstp-max-age", 6, 40, rstp.DefaultMaxAge),
			ForwardDelay: number("rstp-forward-delay", 4, 30, rstp.DefaultForwardDelay),
			HoldCount:    number("rstp-transmit-hold-count", 1, 10, rstp.DefaultHoldCount),
			Compatible:   integer(other, "rstp-force-protocol-version", 2) == 0,
		}
	case row.STPEnable:
		t := &Tree{
			Address:      address("stp-system-id"),
			Priority:     uint16(number("stp-priority", 0, 65535, stp.DefaultPriority)),
			Hello:        number("stp-hello-time", 1, 10, stp.DefaultHello),
			MaxAge:       number("stp-max-age", 6, 40, stp.DefaultMaxAge),
			ForwardDelay: number("stp-forward-delay", 4, 30, stp.DefaultForwardDelay),
		}
		// 802.1D-1998, 8.10.2.
		t.MaxAge = max(t.MaxAge, 2*(t.Hello+1))
		t.ForwardDelay = max(t.ForwardDelay, t.MaxAge/2+1)
		return t
	}
	return nil
}

// treePort reads a port's columns; nil where it takes no part in the tree:
// bonds, internal ports, and those that are told not to.
func (b *builder) treePort(br *Bridge, p *Port, row *vswitch.Port) *TreePort {
	if br.Tree == nil || len(p.Interfaces) != 1 || p.Interfaces[0].Type == "internal" {
		return nil
	}
	other := row.OtherConfig
	prefix, most, steps, numbers := "stp-", 255, 1, 255
	var t TreePort
	if br.Tree.Rapid {
		prefix, most, steps, numbers = "rstp-", 240, 16, 4095
		t.AdminEdge, t.AutoEdge = other["rstp-port-admin-edge"] == "true", other["rstp-port-auto-edge"] != "false"
		t.Check = other["rstp-port-mcheck"] == "true"
	}
	if other[prefix+"enable"] == "false" {
		return nil
	}
	number := func(key string, low, high, otherwise int) int {
		text, ok := other[prefix+key]
		n := integer(other, prefix+key, low-1)
		if ok && (n < low || n > high) {
			b.wrong(row.UUID, "Port", row.UUID, "port %s: ignoring invalid %s%s %q", row.Name, prefix, key, text)
		}
		if n < low || n > high {
			return otherwise
		}
		return n
	}
	t.Number = number("port-num", 1, numbers, 0)
	t.Priority = number("port-priority", 0, most, 0x80) / steps * steps
	if br.Tree.Rapid {
		t.Cost = uint32(number("path-cost", 1, 200000000, 0))
	} else {
		t.Cost = uint32(number("path-cost", 0, 65535, 0))
	}
	return &t
}

// String is the configuration in a few words.
func (t *Tree) String() string {
	if t == nil {
		return "no spanning tree"
	}
	s := "stp"
	if t.Rapid {
		s = "rstp"
	}
	s += fmt.Sprintf(" priority %d hello %d max-age %d forward-delay %d", t.Priority, t.Hello, t.MaxAge, t.ForwardDelay)
	if t.Address != nil {
		s += " address " + t.Address.String()
	}
	if t.Rapid {
		s += fmt.Sprintf(" hold-count %d", t.HoldCount)
	}
	if t.Compatible {
		s += " compatible"
	}
	return s
}

// String is the configuration in a few words.
func (t *TreePort) String() string {
	if t == nil {
		return "outside of the tree"
	}
	s := []string{fmt.Sprintf("in the tree priority %d", t.Priority)}
	if t.Number != 0 {
		s = append(s, fmt.Sprintf("number %d", t.Number))
	}
	if t.Cost != 0 {
		s = append(s, fmt.Sprintf("cost %d", t.Cost))
	}
	for _, flag := range []struct {
		on   bool
		name string
	}{{t.AdminEdge, "admin-edge"}, {t.AutoEdge, "auto-edge"}, {t.Check, "mcheck"}} {
		if flag.on {
			s = append(s, flag.name)
		}
	}
	return strings.Join(s, " ")
}
