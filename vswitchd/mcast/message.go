package mcast

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"govs/datapath/header"
)

// Types of IGMP and MLD messages.
const (
	igmpQuery   = 0x11
	igmpReport1 = 0x12
	igmpReport2 = 0x16
	igmpLeave   = 0x17
	igmpReport3 = 0x22
	mldQuery    = 130
	mldReport   = 131
	mldDone     = 132
	mldReport2  = 143
)

// Kinds of group record (RFC 3376, section 4.2.12) by which a host without
// sources says that it does not listen any more.
const (
	isInclude = 1
	toInclude = 3
)

// IsReport says whether an IGMP message of the type is from a host and meant
// for routers: a report of any version, or a leave.
func IsReport(kind uint8) bool {
	return kind == igmpReport1 || kind == igmpReport2 || kind == igmpReport3 || kind == igmpLeave
}

// IsMLD says whether an ICMPv6 message of the type is one of MLD, and query
// whether it is from a router.
func IsMLD(kind uint8) (is, query bool) {
	return kind == mldQuery || kind == mldReport || kind == mldDone || kind == mldReport2, kind == mldQuery
}

// IGMP takes note of a message that came in by the port: from is who sent it,
// and b the message, which is what the IPv4 packet carries. It returns what is
// new, in a sentence for ofproto/trace, "" for nothing.
func (t *Table) IGMP(b []byte, from netip.Addr, vlan uint16, port string, now time.Time) string {
	where := fmt.Sprintf("port %s in VLAN %d", port, vlan)
	if len(b) < 8 {
		return ""
	}
	if header.Checksum(b, 0) != 0 {
		return "multicast snooping received bad IGMP checksum on " + where
	}
	g := Group{vlan, netip.AddrFrom4([4]byte(b[4:8]))}
	switch b[0] {
	case igmpReport1, igmpReport2:
		if t.Join(g, port, now) {
			return fmt.Sprintf("multicast snooping learned that %s is on %s", g.Addr, where)
		}
	case igmpLeave:
		if t.Leave(g, port) {
			return fmt.Sprintf("multicast snooping leaving %s is on %s", g.Addr, where)
		}
	case igmpQuery:
		if from.IsValid() && !from.IsUnspecified() && t.Router(vlan, port, now) {
			return fmt.Sprintf("multicast snooping query from %s is on %s", from, where)
		}
	case igmpReport3:
		return processed(t.records(b[8:], int(binary.BigEndian.Uint16(b[6:])), 4, vlan, port, now), where)
	}
	return ""
}

func processed(n int, where string) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("multicast snooping processed %d addresses on %s", n, where)
}

// records takes note of the group records of IGMPv3 or MLDv2, whose addresses
// have that many bytes, and returns how many were news. What is cut off is left
// out.
func (t *Table) records(b []byte, count, size int, vlan uint16, port string, now time.Time) (news int) {
	for ; count > 0 && len(b) >= 4+size; count-- {
		sources := int(binary.BigEndian.Uint16(b[2:]))
		addr, _ := netip.AddrFromSlice(b[4 : 4+size])
		length := 4 + size + size*sources + 4*int(b[1])
		if len(b) < length {
			return news
		}
		if t.record(b[0], sources, Group{vlan, addr}, port, now) {
			news++
		}
		b = b[length:]
	}
	return news
}

func (t *Table) record(kind uint8, sources int, g Group, port string, now time.Time) bool {
	if kind < isInclude || kind > 6 {
		return false
	}
	if sources == 0 && (kind == isInclude || kind == toInclude) {
		return t.Leave(g, port)
	}
	return t.Join(g, port, now)
}

// MLD takes note of a message that came in by the port: from and to are the
// packet's addresses, and b the message, which is what the IPv6 packet carries.
// It returns what is new, as IGMP does.
func (t *Table) MLD(b []byte, from, to netip.Addr, vlan uint16, port string, now time.Time) string {
	where := fmt.Sprintf("port %s in VLAN %d", port, vlan)
	if len(b) < 8 || !from.Is6() || !to.Is6() {
		return ""
	}
	if header.Checksum(b, header.PseudoSum(from.AsSlice(), to.AsSlice(), header.ProtoICMPv6, len(b))) != 0 {
		return "multicast snooping received bad MLD checksum on " + where
	}
	switch b[0] {
	case mldQuery:
		if !from.IsUnspecified() && t.Router(vlan, port, now) {
			return "multicast snooping query on " + where
		}
	case mldReport, mldDone:
		if len(b) < 24 {
			return ""
		}
		g := Group{vlan, netip.AddrFrom16([16]byte(b[8:24]))}
		news := 0
		if b[0] == mldDone && t.Leave(g, port) || b[0] == mldReport && t.Join(g, port, now) {
			news = 1
		}
		return processed(news, where)
	case mldReport2:
		return processed(t.records(b[8:], int(binary.BigEndian.Uint16(b[6:])), 16, vlan, port, now), where)
	}
	return ""
}
