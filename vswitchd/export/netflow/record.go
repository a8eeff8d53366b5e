package netflow

import (
	"bytes"
	"cmp"
	"time"
)

// A Flow is what tells flows apart.
type Flow struct {
	IPv6     bool
	In       uint16   // OpenFlow port number
	Src, Dst [16]byte // the first four bytes for IPv4
	SrcPort  uint16
	DstPort  uint16 // type and code for ICMP
	Proto    uint8
	TOS      uint8 // without the ECN bits
}

// icmp says whether DstPort is ICMP's type and code.
func (f *Flow) icmp() bool {
	return f.Proto == protoICMP && !f.IPv6 || f.Proto == protoICMPv6 && f.IPv6
}

// A record is a flow's traffic, ready to be told of.
type record struct {
	Flow
	out         uint16
	packets     uint64
	bytes       uint64
	first, last time.Time
	flags       uint8
}

// compare orders records by template, and by time.
func (r record) compare(o record) int {
	return cmp.Or(cmp.Compare(r.template(), o.template()), r.last.Compare(o.last), bytes.Compare(r.Src[:], o.Src[:]), bytes.Compare(r.Dst[:], o.Dst[:]),
		cmp.Compare(r.SrcPort, o.SrcPort), cmp.Compare(r.DstPort, o.DstPort))
}

// millis is a time in milliseconds since boot, modulo 2^32, as SysUptime.
func millis(t, boot time.Time) uint32 { return uint32(max(t.Sub(boot), 0).Milliseconds()) }

// version is that which the settings ask for.
func (s *Settings) version() uint8 {
	if s.Version == Version9 {
		return Version9
	}
	return Version5
}

// iface is the interface number of an OpenFlow port: the port's own, or nine
// bits of it below seven of the engine id.
func (s *Settings) iface(port uint16) uint16 {
	if !s.AddIDToInterface {
		return port
	}
	return uint16(s.EngineID&0x7f)<<9 | port&0x1ff
}
