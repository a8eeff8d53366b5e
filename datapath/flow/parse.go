package flow

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"govs/datapath/header"
)

// Parse reads a key and a mask in the syntax of dpctl(8), the one that Format
// prints. A field without a mask matters whole; what is not named does not
// matter. A port may be named where resolve, which may be nil, knows its name.
func Parse(text string, resolve func(name string) (PortNo, bool)) (Key, Mask, error) {
	p := &parser{resolve: resolve}
	p.k.EthType = LLC
	err := p.list(text)
	if err == nil {
		err = p.check()
	}
	return p.k, p.m, err
}

// A parser fills a key and a mask.
type parser struct {
	k       Key
	m       Mask
	resolve func(string) (PortNo, bool)
	depth   int      // of encap()
	typed   bool     // eth_type was given at this depth
	names   []string // of the groups seen
}

// list parses name(arguments),name(arguments)...
func (p *parser) list(text string) error {
	for text = strings.TrimSpace(text); text != ""; {
		name, rest, ok := strings.Cut(text, "(")
		if !ok {
			return fmt.Errorf("syntax error at %s", text)
		}
		end := closing(rest)
		if end < 0 {
			return fmt.Errorf("syntax error at %s", text)
		}
		args := rest[:end]
		rest = strings.TrimLeft(rest[end+1:], ", \t\n")
		name = strings.TrimSpace(name)
		if err := p.group(name, args); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		text = rest
	}
	return nil
}

// closing finds the parenthesis that closes what was opened before s.
func closing(s string) int {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// groups are the headers with named fields. A field stores into key and mask.
var groups = map[string]map[string]func(p *parser, value string) error{
	"eth": {
		"src": func(p *parser, v string) error { return mac(v, &p.k.EthSrc, &p.m.EthSrc) },
		"dst": func(p *parser, v string) error { return mac(v, &p.k.EthDst, &p.m.EthDst) },
	},
	"ipv4": {
		"src":   func(p *parser, v string) error { return ip(v, p.k.IPSrc[:4], p.m.IPSrc[:4]) },
		"dst":   func(p *parser, v string) error { return ip(v, p.k.IPDst[:4], p.m.IPDst[:4]) },
		"proto": func(p *parser, v string) error { return num(v, &p.k.Proto, &p.m.Proto, 0xff) },
		"tos":   func(p *parser, v string) error { return num(v, &p.k.TOS, &p.m.TOS, 0xff) },
		"ttl":   func(p *parser, v string) error { return num(v, &p.k.TTL, &p.m.TTL, 0xff) },
		"frag":  (*parser).frag,
	},
	"ipv6": {
		"src":    func(p *parser, v string) error { return ip(v, p.k.IPSrc[:], p.m.IPSrc[:]) },
		"dst":    func(p *parser, v string) error { return ip(v, p.k.IPDst[:], p.m.IPDst[:]) },
		"label":  func(p *parser, v string) error { return num(v, &p.k.IPLabel, &p.m.IPLabel, 0xfffff) },
		"proto":  func(p *parser, v string) error { return num(v, &p.k.Proto, &p.m.Proto, 0xff) },
		"tclass": func(p *parser, v string) error { return num(v, &p.k.TOS, &p.m.TOS, 0xff) },
		"hlimit": func(p *parser, v string) error { return num(v, &p.k.TTL, &p.m.TTL, 0xff) },
		"frag":   (*parser).frag,
	},
	"arp": {
		"sip": func(p *parser, v string) error { return ip(v, p.k.IPSrc[:4], p.m.IPSrc[:4]) },
		"tip": func(p *parser, v string) error { return ip(v, p.k.IPDst[:4], p.m.IPDst[:4]) },
		"op":  func(p *parser, v string) error { return num(v, &p.k.Proto, &p.m.Proto, 0xff) },
		"sha": func(p *parser, v string) error { return mac(v, &p.k.ARPSHA, &p.m.ARPSHA) },
		"tha": func(p *parser, v string) error { return mac(v, &p.k.ARPTHA, &p.m.ARPTHA) },
	},
	"tcp": ports, "udp": ports, "sctp": ports,
	"icmp": types, "icmpv6": types,
	"nd": {
		"target": func(p *parser, v string) error { return ip(v, p.k.NDTarget[:], p.m.NDTarget[:]) },
		"sll":    func(p *parser, v string) error { return mac(v, &p.k.ARPSHA, &p.m.ARPSHA) },
		"tll":    func(p *parser, v string) error { return mac(v, &p.k.ARPTHA, &p.m.ARPTHA) },
	},
	"mpls": {
		"label": func(p *parser, v string) error { return p.mpls(v, 12, 0xfffff) },
		"tc":    func(p *parser, v string) error { return p.mpls(v, 9, 7) },
		"bos":   func(p *parser, v string) error { return p.mpls(v, 8, 1) },
		"ttl":   func(p *parser, v string) error { return p.mpls(v, 0, 0xff) },
	},
}

var ports = map[string]func(*parser, string) error{
	"src": func(p *parser, v string) error { return num(v, &p.k.TPSrc, &p.m.TPSrc, 0xffff) },
	"dst": func(p *parser, v string) error { return num(v, &p.k.TPDst, &p.m.TPDst, 0xffff) },
}

var types = map[string]func(*parser, string) error{
	"type": func(p *parser, v string) error { return num(v, &p.k.TPSrc, &p.m.TPSrc, 0xff) },
	"code": func(p *parser, v string) error { return num(v, &p.k.TPDst, &p.m.TPDst, 0xff) },
}

func (p *parser) group(name, args string) error {
	if fields, ok := groups[name]; ok {
		if slices.Contains(p.names, name) {
			return fmt.Errorf("given twice")
		}
		p.names = append(p.names, name)
		return p.fields(fields, args)
	}
	switch name {
	case "recirc_id":
		return num(args, &p.k.RecircID, &p.m.RecircID, 0xffffffff)
	case "tunnel":
		return p.tunnel(args)
	case "in_port":
		return p.inPort(args)
	case "eth_type":
		return p.ethType(args)
	case "vlan":
		return p.vlan(args)
	case "encap":
		return p.encap(args)
	case "tcp_flags":
		p.names = append(p.names, name)
		var err error
		p.k.TCPFlags, p.m.TCPFlags, err = parseTCPFlags(args)
		return err
	case "packet_type":
		if err := p.packetType(strings.Replace(strings.Replace(args, "ns=", "(", 1), "id=", "", 1)); err != nil {
			return err
		}
		if p.k.Bare() || p.k.Tunnelled() { // all others are frames anyway
			p.m.PacketType = ^uint32(0)
		}
		return nil
	case "skb_priority", "skb_mark", "ct_state", "ct_zone", "ct_mark", "ct_label", "dp_hash":
		if v, _, _ := strings.Cut(args, "/"); v != "0" {
			return fmt.Errorf("%s: not supported", args)
		}
		return nil
	}
	return fmt.Errorf("syntax error at %s(%s)", name, args)
}

// packetType reads "(N,N)": a namespace and a type in it, of a frame or by an
// Ethernet type.
func (p *parser) packetType(text string) error {
	first, second, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(text, "("), ")"), ",")
	ns, err := number(first, 1)
	id, err2 := number(second, 0xffff)
	if err != nil || err2 != nil || ns == 0 && id != 0 {
		return fmt.Errorf("%s: not a packet type", text)
	}
	if ns == 1 {
		p.k.PacketType = PacketTypeNS | uint32(id)
	}
	return nil
}

// fields parses name=value,name=value...
func (p *parser) fields(known map[string]func(*parser, string) error, args string) error {
	seen := map[string]bool{}
	if args == "" {
		return nil // none of them matters
	}
	for _, arg := range strings.Split(args, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(arg), "=")
		store := known[name]
		if !ok || store == nil || seen[name] {
			return fmt.Errorf("syntax error at %s", arg)
		}
		seen[name] = true
		if err := store(p, value); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (p *parser) inPort(arg string) error {
	p.m.InPort = ^PortNo(0)
	if n, err := strconv.ParseUint(arg, 0, 32); err == nil {
		p.k.InPort = PortNo(n)
		return nil
	}
	if p.resolve != nil {
		if no, ok := p.resolve(arg); ok {
			p.k.InPort = no
			return nil
		}
	}
	return fmt.Errorf("%s: no such port", arg)
}

func (p *parser) ethType(arg string) error {
	if p.typed {
		return fmt.Errorf("given twice")
	}
	p.typed = true
	if err := num(arg, &p.k.EthType, &p.m.EthType, 0xffff); err != nil {
		return err
	}
	if p.m.EthType != 0xffff {
		return fmt.Errorf("%s: matches whole or not at all", arg)
	}
	if p.k.EthType < header.TypeMin {
		p.k.EthType = LLC
	}
	return nil
}

func (p *parser) vlan(args string) error {
	if p.depth >= len(p.k.VLAN) {
		return fmt.Errorf("more than %d tags", len(p.k.VLAN))
	}
	v, m := &p.k.VLAN[p.depth], &p.m.VLAN[p.depth]
	if v.Present() || !header.IsVLAN(p.k.EthType) {
		return fmt.Errorf("needs an eth_type of 0x8100 or 0x88a8 before it")
	}
	*v = VLAN{p.k.EthType, VLANPresent}
	*m = VLAN{0xffff, VLANPresent}
	if args == "" {
		return nil
	}
	part := func(shift uint, full uint16) func(*parser, string) error {
		return func(_ *parser, value string) error {
			var n, mask uint16
			err := num(value, &n, &mask, uint64(full))
			v.TCI |= n << shift
			m.TCI |= mask & full << shift
			return err
		}
	}
	return p.fields(map[string]func(*parser, string) error{
		"vid": part(0, VLANVIDMask), "pcp": part(13, 7), "cfi": part(12, 1),
	}, args)
}

func (p *parser) encap(args string) error {
	if p.depth < len(p.k.VLAN) && !p.k.VLAN[p.depth].Present() && header.IsVLAN(p.k.EthType) {
		// A tag of which no more matters than its TPID.
		p.k.VLAN[p.depth], p.m.VLAN[p.depth] = VLAN{p.k.EthType, VLANPresent}, VLAN{0xffff, VLANPresent}
	}
	if p.depth >= len(p.k.VLAN) || !p.k.VLAN[p.depth].Present() {
		return fmt.Errorf("needs a vlan before it")
	}
	p.depth++
	p.k.EthType, p.m.EthType, p.typed = LLC, 0, false
	if args == "" {
		p.m.EthType = 0xffff // a frame without type
	}
	return p.list(args)
}

func (p *parser) frag(value string) error {
	p.m.Frag = FragAny | FragLater
	switch value {
	case "no":
		p.k.Frag = 0
	case "first":
		p.k.Frag = FragAny
	case "later":
		p.k.Frag = FragAny | FragLater
	default:
		return fmt.Errorf("%s: not no, first or later", value)
	}
	return nil
}

func (p *parser) mpls(value string, shift uint, full uint32) error {
	var v, m uint32
	err := num(value, &v, &m, uint64(full))
	p.k.MPLS |= v << shift
	p.m.MPLS |= m & full << shift
	return err
}

// needs tells which type or protocol each group stands behind.
var needs = map[string]struct {
	types []uint16
	proto int
}{
	"ipv4": {[]uint16{header.TypeIPv4}, -1}, "ipv6": {[]uint16{header.TypeIPv6}, -1},
	"arp":       {[]uint16{header.TypeARP, header.TypeRARP}, -1},
	"mpls":      {[]uint16{header.TypeMPLS, header.TypeMPLSMul}, -1},
	"tcp_flags": {ipTypes, header.ProtoTCP},
	"tcp":       {ipTypes, header.ProtoTCP}, "udp": {ipTypes, header.ProtoUDP}, "sctp": {ipTypes, header.ProtoSCTP},
	"icmp": {ipTypes[:1], header.ProtoICMP}, "icmpv6": {ipTypes[1:], header.ProtoICMPv6}, "nd": {ipTypes[1:], header.ProtoICMPv6},
}

var ipTypes = []uint16{header.TypeIPv4, header.TypeIPv6}

// check says whether the groups fit together.
func (p *parser) check() error {
	for _, name := range p.names {
		need, ok := needs[name]
		if !ok {
			continue
		}
		fits := false
		for _, t := range need.types {
			fits = fits || p.k.EthType == t
		}
		if !fits {
			return fmt.Errorf("%s: does not fit eth_type %#04x", name, p.k.EthType)
		}
		if need.proto >= 0 && int(p.k.Proto) != need.proto {
			return fmt.Errorf("%s: does not fit IP protocol %d", name, p.k.Proto)
		}
		if need.proto >= 0 && p.m.Proto != 0xff && (p.m.TPSrc|p.m.TPDst|p.m.TCPFlags != 0 || p.m.NDTarget != [16]byte{} || p.m.ARPSHA != [6]byte{} || p.m.ARPTHA != [6]byte{}) {
			return fmt.Errorf("%s: matches only beside the whole of proto", name)
		}
	}
	return nil
}

func number(s string, limit uint64) (uint64, error) {
	n, err := strconv.ParseUint(s, 0, 64)
	if err != nil || n > limit {
		return 0, fmt.Errorf("%q is no number from 0 to %d", s, limit)
	}
	return n, nil
}

// num parses value or value/mask. Without a mask all bits matter, those
// behind limit too.
func num[T ~uint8 | ~uint16 | ~uint32](s string, v, m *T, limit uint64) error {
	value, mask, masked := strings.Cut(s, "/")
	n, err := number(value, limit)
	if err != nil {
		return err
	}
	*v, *m = T(n), ^T(0)
	if masked {
		n, err = number(mask, uint64(^T(0)))
		*m = T(n)
		if n == limit {
			*m = ^T(0)
		}
	}
	return err
}

func mac(s string, v, m *[6]byte) error {
	value, mask, masked := strings.Cut(s, "/")
	one := func(s string, to *[6]byte) error {
		a, err := net.ParseMAC(s)
		if err != nil || len(a) != 6 {
			return fmt.Errorf("%q is no Ethernet address", s)
		}
		copy(to[:], a)
		return nil
	}
	if err := one(value, v); err != nil {
		return err
	}
	fill(m[:])
	if masked {
		return one(mask, m)
	}
	return nil
}

func ip(s string, v, m []byte) error {
	value, mask, masked := strings.Cut(s, "/")
	one := func(s string, to []byte) error {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" || a.BitLen() != 8*len(to) {
			return fmt.Errorf("%q is no IPv%d address", s, map[int]int{4: 4, 16: 6}[len(to)])
		}
		copy(to, a.AsSlice())
		return nil
	}
	if err := one(value, v); err != nil {
		return err
	}
	fill(m)
	if !masked {
		return nil
	}
	if bits, err := strconv.Atoi(mask); err == nil && bits >= 0 && bits <= 8*len(m) {
		for i := range m {
			m[i] = byte(uint(0xff00) >> min(8, max(0, bits-8*i)))
		}
		return nil
	}
	return one(mask, m)
}
