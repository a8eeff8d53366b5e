package flow

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"govs/datapath/header"
)

// A Style says how Format prints.
type Style struct {
	// Name gives the name of a port; where it is nil or gives "", the number
	// is printed.
	Name func(PortNo) string
	// All prints fields that do not matter too, as dpctl/dump-flows -m does.
	All bool
}

// Format is a key under a mask in the syntax of dpctl(8), as
// `ovs-appctl dpctl/dump-flows` prints it. A field of which some bits matter
// is printed as its value and the mask, 10.0.0.1/255.0.0.0; the value is that
// of the whole field, bits that do not matter included.
func Format(k *Key, m *Mask, s Style) string {
	f := &formatter{k: k, m: m, all: s.All}
	if s.All {
		f.add("skb_priority(0/0)")
	}
	f.tunnel()
	if s.All {
		f.add("skb_mark(0/0)", "ct_state(0/0)", "ct_zone(0/0)", "ct_mark(0/0)", "ct_label(0/0)")
	}
	f.add(fmt.Sprintf("recirc_id(%s)", hexa(uint64(k.RecircID))))
	if s.All {
		f.add("dp_hash(0/0)")
	}
	in := fmt.Sprint(k.InPort)
	if s.Name != nil {
		if name := s.Name(k.InPort); name != "" {
			in = name
		}
	}
	f.add("in_port("+in+")", fmt.Sprintf("packet_type(ns=%d,id=%s)", k.PacketType>>16, hexa(uint64(k.PacketType&0xffff))))
	if !k.Bare() {
		f.group("eth", f.mac("src", k.EthSrc, m.EthSrc), f.mac("dst", k.EthDst, m.EthDst))
	}
	closing := ""
	for i, v := range k.VLAN {
		if !v.Present() || m.VLAN[i].TCI&VLANPresent == 0 {
			break
		}
		f.add(fmt.Sprintf("eth_type(%#04x)", v.TPID))
		if i == 0 || f.all || m.VLAN[i].TCI&^VLANPresent != 0 {
			f.add(f.vlan(v, m.VLAN[i]))
		}
		f.add("encap(")
		closing += ")"
	}
	f.payload()
	text := strings.Join(f.parts, ",") + closing
	return strings.ReplaceAll(text, "(,", "(")
}

// A formatter collects the parts of a key's text.
type formatter struct {
	k     *Key
	m     *Mask
	all   bool
	parts []string
}

func (f *formatter) add(parts ...string) { f.parts = append(f.parts, parts...) }

// group adds name(fields), without the fields that are "", unless all are.
func (f *formatter) group(name string, fields ...string) {
	var there []string
	for _, field := range fields {
		if field != "" {
			there = append(there, field)
		}
	}
	if len(there) > 0 {
		f.add(name + "(" + strings.Join(there, ",") + ")")
	}
}

func (f *formatter) payload() {
	k, m := f.k, f.m
	switch {
	case m.EthType == 0 && !f.all:
	case k.EthType == LLC && k.VLAN[0].Present(): // told by there being nothing
	case k.EthType == LLC || k.EthType == 0:
		f.add("eth_type(0/0xffff)")
	default:
		f.add(fmt.Sprintf("eth_type(%#04x)", k.EthType))
	}
	switch k.EthType {
	case header.TypeIPv4:
		f.group("ipv4",
			f.ip4("src", k.IPSrc, m.IPSrc), f.ip4("dst", k.IPDst, m.IPDst),
			f.dec("proto", uint64(k.Proto), uint64(m.Proto), 0xff), f.hex("tos", uint64(k.TOS), uint64(m.TOS), 0xff),
			f.dec("ttl", uint64(k.TTL), uint64(m.TTL), 0xff), f.frag())
		f.transport("icmp", header.ProtoICMP)
	case header.TypeIPv6:
		f.group("ipv6",
			f.ip6("src", k.IPSrc, m.IPSrc), f.ip6("dst", k.IPDst, m.IPDst),
			f.hex("label", uint64(k.IPLabel), uint64(m.IPLabel), 0xfffff),
			f.dec("proto", uint64(k.Proto), uint64(m.Proto), 0xff), f.hex("tclass", uint64(k.TOS), uint64(m.TOS), 0xff),
			f.dec("hlimit", uint64(k.TTL), uint64(m.TTL), 0xff), f.frag())
		f.transport("icmpv6", header.ProtoICMPv6)
	case header.TypeARP, header.TypeRARP:
		f.group("arp",
			f.ip4("sip", k.IPSrc, m.IPSrc), f.ip4("tip", k.IPDst, m.IPDst),
			f.dec("op", uint64(k.Proto), uint64(m.Proto), 0xff),
			f.mac("sha", k.ARPSHA, m.ARPSHA), f.mac("tha", k.ARPTHA, m.ARPTHA))
	case header.TypeMPLS, header.TypeMPLSMul:
		if m.MPLS != 0 || f.all {
			f.mpls()
		}
	}
}

func (f *formatter) transport(icmp string, proto uint8) {
	k, m := f.k, f.m
	if k.Frag&FragLater != 0 {
		return
	}
	src := f.dec("src", uint64(k.TPSrc), uint64(m.TPSrc), 0xffff)
	dst := f.dec("dst", uint64(k.TPDst), uint64(m.TPDst), 0xffff)
	switch k.Proto {
	case header.ProtoTCP:
		f.group("tcp", src, dst)
		if m.TCPFlags != 0 || f.all && k.TCPFlags != 0 {
			f.add("tcp_flags(" + formatTCPFlags(k.TCPFlags, m.TCPFlags) + ")")
		}
	case header.ProtoUDP:
		f.group("udp", src, dst)
	case header.ProtoSCTP:
		f.group("sctp", src, dst)
	case proto:
		f.group(icmp, f.dec("type", uint64(k.TPSrc), uint64(m.TPSrc), 0xffff), f.dec("code", uint64(k.TPDst), uint64(m.TPDst), 0xffff))
		if proto == header.ProtoICMPv6 && k.TPDst == 0 && (k.TPSrc == header.NDSolicit || k.TPSrc == header.NDAdvert) {
			f.group("nd", f.ip6("target", k.NDTarget, m.NDTarget), f.mac("sll", k.ARPSHA, m.ARPSHA), f.mac("tll", k.ARPTHA, m.ARPTHA))
		}
	}
}

// hexa is a number as C's %#x prints it.
func hexa(n uint64) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}

// masked is name=value, name=value/mask, or "" where the field is left out.
func (f *formatter) masked(name, value string, mask, full uint64) string {
	mask &= full
	switch {
	case mask == full:
		return name + "=" + value
	case mask == 0 && !f.all:
		return ""
	}
	return name + "=" + value + "/" + hexa(mask)
}

func (f *formatter) dec(name string, v, mask, full uint64) string {
	return f.masked(name, fmt.Sprint(v), mask, full)
}

func (f *formatter) hex(name string, v, mask, full uint64) string {
	return f.masked(name, hexa(v), mask, full)
}

// bytes is masked for addresses, which print gives.
func (f *formatter) bytes(name string, v, mask []byte, print func([]byte) string) string {
	ones, zeros := true, true
	for _, b := range mask {
		ones = ones && b == 0xff
		zeros = zeros && b == 0
	}
	switch {
	case ones:
		return name + "=" + print(v)
	case zeros && !f.all:
		return ""
	}
	return name + "=" + print(v) + "/" + print(mask)
}

func (f *formatter) mac(name string, v, mask [6]byte) string {
	return f.bytes(name, v[:], mask[:], func(b []byte) string { return net.HardwareAddr(b).String() })
}

// printIP is an address as inet_ntop(3) of the C library prints it: one of
// IPv6 with six leading words of zeros as an IPv4 address.
func printIP(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	if len(b) == 16 && [12]byte(b[:12]) == [12]byte{} && (b[12] != 0 || b[13] != 0) {
		return "::" + netip.AddrFrom4([4]byte(b[12:])).String()
	}
	return a.String()
}

func (f *formatter) ip4(name string, v, mask [16]byte) string {
	return f.bytes(name, v[:4], mask[:4], printIP)
}

func (f *formatter) ip6(name string, v, mask [16]byte) string {
	return f.bytes(name, v[:], mask[:], printIP)
}

func (f *formatter) frag() string {
	switch {
	case f.m.Frag == 0 && !f.all:
		return ""
	case f.k.Frag&FragLater != 0:
		return "frag=later"
	case f.k.Frag != 0:
		return "frag=first"
	}
	return "frag=no"
}

// vlan prints a tag; of its fields those that are neither zero nor matter.
func (f *formatter) vlan(v, mask VLAN) string {
	var fields []string
	field := func(name string, v, mask, full uint16) {
		switch {
		case mask == full:
			fields = append(fields, fmt.Sprintf("%s=%d", name, v))
		case v != 0 || mask != 0 || f.all:
			fields = append(fields, fmt.Sprintf("%s=%d/%#x", name, v, mask))
		}
	}
	field("vid", v.VID(), mask.VID(), VLANVIDMask)
	field("pcp", uint16(v.PCP()), uint16(mask.PCP()), 7)
	return "vlan(" + strings.Join(fields, ",") + ")"
}

// mpls prints the label stack entry: label, traffic class, bottom of stack,
// time to live (RFC 3032).
func (f *formatter) mpls() {
	v, m := f.k.MPLS, f.m.MPLS
	if m == 0xffffffff {
		f.add(fmt.Sprintf("mpls(label=%d,tc=%d,ttl=%d,bos=%d)", v>>12, v>>9&7, v&0xff, v>>8&1))
		return
	}
	f.add(fmt.Sprintf("mpls(label=%d/%#x,tc=%d/%x,ttl=%d/%#x,bos=%d/%x)",
		v>>12, m>>12, v>>9&7, m>>9&7, v&0xff, m&0xff, v>>8&1, m>>8&1))
}
