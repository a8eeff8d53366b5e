package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Groups are the headers of which fields can be set, by their names in the
// syntax of dpctl(8).
var Groups = []string{"eth", "ipv4", "ipv6", "arp", "tcp", "udp", "sctp", "icmp", "icmpv6", "nd", "mpls", "skb_mark"}

// FormatGroup is one header's fields under a mask, such as
// "ipv4(src=10.0.0.1,ttl=63)".
func FormatGroup(name string, k *Key, m *Mask) string {
	f := &formatter{k: k, m: m}
	dec := func(field string, v, mask uint16) string { return f.dec(field, uint64(v), uint64(mask), 0xffff) }
	octet := func(field string, v, mask uint16) string { return f.dec(field, uint64(v), uint64(mask), 0xff) }
	switch name {
	case "eth":
		f.group(name, f.mac("src", k.EthSrc, m.EthSrc), f.mac("dst", k.EthDst, m.EthDst))
	case "ipv4":
		f.group(name, f.ip4("src", k.IPSrc, m.IPSrc), f.ip4("dst", k.IPDst, m.IPDst),
			f.hex("tos", uint64(k.TOS), uint64(m.TOS), 0xff), f.dec("ttl", uint64(k.TTL), uint64(m.TTL), 0xff))
	case "ipv6":
		f.group(name, f.ip6("src", k.IPSrc, m.IPSrc), f.ip6("dst", k.IPDst, m.IPDst),
			f.hex("label", uint64(k.IPLabel), uint64(m.IPLabel), 0xfffff),
			f.hex("tclass", uint64(k.TOS), uint64(m.TOS), 0xff), f.dec("hlimit", uint64(k.TTL), uint64(m.TTL), 0xff))
	case "arp":
		f.group(name, f.ip4("sip", k.IPSrc, m.IPSrc), f.ip4("tip", k.IPDst, m.IPDst),
			f.dec("op", uint64(k.Proto), uint64(m.Proto), 0xff), f.mac("sha", k.ARPSHA, m.ARPSHA), f.mac("tha", k.ARPTHA, m.ARPTHA))
	case "tcp", "udp", "sctp":
		f.group(name, dec("src", k.TPSrc, m.TPSrc), dec("dst", k.TPDst, m.TPDst))
	case "icmp", "icmpv6":
		f.group(name, octet("type", k.TPSrc, m.TPSrc), octet("code", k.TPDst, m.TPDst))
	case "nd":
		f.group(name, f.ip6("target", k.NDTarget, m.NDTarget), f.mac("sll", k.ARPSHA, m.ARPSHA), f.mac("tll", k.ARPTHA, m.ARPTHA))
	case "mpls":
		f.mpls()
	case "skb_mark":
		text := hexa(uint64(k.PktMark))
		if m.PktMark != ^uint32(0) {
			text += "/" + hexa(uint64(m.PktMark))
		}
		f.add("skb_mark(" + text + ")")
	}
	if len(f.parts) == 0 {
		return name + "()"
	}
	return strings.Join(f.parts, ",")
}

// ParseGroup reads what FormatGroup prints. Fields that are not named, and bits
// that do not matter, are zero in the key.
func ParseGroup(text string) (name string, k Key, m Mask, err error) {
	name, args, ok := strings.Cut(text, "(")
	args, closed := strings.CutSuffix(args, ")")
	if !ok || !closed || !slices.Contains(Groups, name) {
		return name, k, m, fmt.Errorf("%s: not a header of which fields are set", text)
	}
	p := &parser{}
	if name == "skb_mark" {
		err = num(args, &p.k.PktMark, &p.m.PktMark, 0xffffffff)
	} else if err = p.fields(groups[name], args); err == nil && (p.m.Frag != 0 || p.m.Proto != 0 && name != "arp") {
		err = fmt.Errorf("%s: a field that cannot be set", text)
	}
	if name == "icmp" || name == "icmpv6" {
		p.m.TPSrc &= 0xff
		p.m.TPDst &= 0xff
		if p.m.TPSrc == 0xff {
			p.m.TPSrc = 0xffff
		}
		if p.m.TPDst == 0xff {
			p.m.TPDst = 0xffff
		}
	}
	return name, p.m.And(&p.k), p.m, err
}
