package flow

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"govs/datapath/header"
)

// protocols are the words of ovs-fields(7) that stand for an Ethernet type
// and an IP protocol; -1 is any.
var protocols = []struct {
	word  string
	typ   uint16
	proto int
}{
	{"tcp", header.TypeIPv4, header.ProtoTCP}, {"udp", header.TypeIPv4, header.ProtoUDP}, {"sctp", header.TypeIPv4, header.ProtoSCTP},
	{"icmp", header.TypeIPv4, header.ProtoICMP}, {"tcp6", header.TypeIPv6, header.ProtoTCP}, {"udp6", header.TypeIPv6, header.ProtoUDP},
	{"sctp6", header.TypeIPv6, header.ProtoSCTP}, {"icmp6", header.TypeIPv6, header.ProtoICMPv6},
	{"ip", header.TypeIPv4, -1}, {"ipv6", header.TypeIPv6, -1}, {"arp", header.TypeARP, -1}, {"rarp", header.TypeRARP, -1},
	{"mpls", header.TypeMPLS, -1}, {"mplsm", header.TypeMPLSMul, -1},
}

// matchFields are the fields of ovs-fields(7) by their names there.
var matchFields = map[string]func(p *parser, value string) error{
	"dl_src":      groups["eth"]["src"],
	"dl_dst":      groups["eth"]["dst"],
	"dl_type":     func(p *parser, v string) error { return p.ethType(v) },
	"dl_vlan":     func(p *parser, v string) error { return p.tagPart(v, 0, VLANVIDMask) },
	"dl_vlan_pcp": func(p *parser, v string) error { return p.tagPart(v, 13, 7) },
	"vlan_vid":    func(p *parser, v string) error { return p.tagPart(v, 0, VLANVIDMask|VLANPresent) },
	"vlan_tci":    func(p *parser, v string) error { return p.tagPart(v, 0, 0xffff) },
	"nw_src":      groups["ipv4"]["src"],
	"nw_dst":      groups["ipv4"]["dst"],
	"ipv6_src":    groups["ipv6"]["src"],
	"ipv6_dst":    groups["ipv6"]["dst"],
	"ipv6_label":  groups["ipv6"]["label"],
	"nw_proto":    groups["ipv4"]["proto"],
	"nw_tos":      func(p *parser, v string) error { return p.bits(v, &p.k.TOS, &p.m.TOS, 0xfc) },
	"nw_ecn":      func(p *parser, v string) error { return p.bits(v, &p.k.TOS, &p.m.TOS, 3) },
	"ip_dscp":     func(p *parser, v string) error { return p.dscp(v) },
	"nw_ttl":      groups["ipv4"]["ttl"],
	"nw_frag":     (*parser).matchFrag,
	"arp_spa":     groups["arp"]["sip"],
	"arp_tpa":     groups["arp"]["tip"],
	"arp_op":      groups["arp"]["op"],
	"arp_sha":     groups["arp"]["sha"],
	"arp_tha":     groups["arp"]["tha"],
	"tp_src":      ports["src"],
	"tp_dst":      ports["dst"],
	"icmp_type":   types["type"],
	"icmp_code":   types["code"],
	"tcp_flags": func(p *parser, v string) (err error) {
		p.k.TCPFlags, p.m.TCPFlags, err = parseTCPFlags(v)
		return err
	},
	"nd_target":  groups["nd"]["target"],
	"nd_sll":     groups["nd"]["sll"],
	"nd_tll":     groups["nd"]["tll"],
	"mpls_label": groups["mpls"]["label"],
	"mpls_tc":    groups["mpls"]["tc"],
	"mpls_bos":   groups["mpls"]["bos"],
	"mpls_ttl":   groups["mpls"]["ttl"],
	"recirc_id":  func(p *parser, v string) error { return num(v, &p.k.RecircID, &p.m.RecircID, 0xffffffff) },
	"packet_type": func(p *parser, v string) error {
		p.m.PacketType = ^uint32(0)
		return p.packetType(v)
	},
	"metadata":      func(p *parser, v string) error { return long(v, &p.k.Metadata, &p.m.Metadata) },
	"tun_id":        tunnelFields["tun_id"],
	"tun_src":       tunnelFields["src"],
	"tun_dst":       tunnelFields["dst"],
	"tun_ipv6_src":  tunnelFields["ipv6_src"],
	"tun_ipv6_dst":  tunnelFields["ipv6_dst"],
	"tun_tos":       tunnelFields["tos"],
	"tun_ttl":       tunnelFields["ttl"],
	"tun_gbp_id":    policyFields["id"],
	"tun_gbp_flags": policyFields["flags"],
	"tun_flags":     (*parser).tunFlags,
	"pkt_mark":      func(p *parser, v string) error { return num(v, &p.k.PktMark, &p.m.PktMark, 0xffffffff) },
	"ct_mark":       func(p *parser, v string) error { return num(v, &p.k.CTMark, &p.m.CTMark, 0xffffffff) },
	"ct_zone":       func(p *parser, v string) error { return num(v, &p.k.CTZone, &p.m.CTZone, 0xffff) },
}

// otherNames are further names of the same fields.
var otherNames = map[string]string{
	"eth_src": "dl_src", "eth_dst": "dl_dst", "eth_type": "dl_type", "vlan_pcp": "dl_vlan_pcp", "ip_src": "nw_src", "ip_dst": "nw_dst",
	"ip_proto": "nw_proto", "ip_ecn": "nw_ecn", "ip_frag": "nw_frag", "tcp_src": "tp_src", "tcp_dst": "tp_dst", "udp_src": "tp_src",
	"udp_dst": "tp_dst", "sctp_src": "tp_src", "sctp_dst": "tp_dst", "icmpv6_type": "icmp_type", "icmpv6_code": "icmp_code",
	"tunnel_id": "tun_id",
}

// ParseMatch reads a key and a mask in the syntax of ovs-fields(7), such as
// "in_port=p1,tcp,nw_src=10.0.0.0/8,tp_dst=80". What is not named does not
// matter, and is zero. A port is a number or a name that resolve, which may be
// nil, knows. The errors are in the words of ovs-ofctl.
func ParseMatch(text string, resolve func(name string) (PortNo, bool)) (Key, Mask, error) {
	p := &parser{resolve: resolve}
	depth := 0
	for _, word := range strings.FieldsFunc(text, func(c rune) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		return depth <= 0 && (c == ',' || c == ' ' || c == '\t' || c == '\n')
	}) {
		name, value, given := strings.Cut(word, "=")
		if !given { // name(value) does, too
			if n, v, ok := strings.Cut(word, "("); ok && strings.HasSuffix(v, ")") {
				name, value, given = n, v[:len(v)-1], true
			}
		}
		if err := p.matchWord(name, value, given); err != nil {
			return p.k, p.m, err
		}
	}
	return p.k, p.m, nil
}

func (p *parser) matchWord(name, value string, given bool) error {
	if name == "eth" && !given {
		return nil
	}
	for _, proto := range protocols {
		if proto.word != name || given {
			continue
		}
		if p.typed {
			return fmt.Errorf("Ethernet type set multiple times")
		}
		p.typed, p.k.EthType, p.m.EthType = true, proto.typ, 0xffff
		if proto.proto >= 0 {
			p.k.Proto, p.m.Proto = uint8(proto.proto), 0xff
		}
		return nil
	}
	if other, ok := otherNames[name]; ok {
		name = other
	}
	var reg int
	if n, err := fmt.Sscanf(name, "reg%d", &reg); n == 1 && err == nil && reg >= 0 && reg < len(p.k.Regs) {
		return num(value, &p.k.Regs[reg], &p.m.Regs[reg], 0xffffffff)
	}
	if name == "in_port" {
		if err := p.inPort(value); err != nil {
			return fmt.Errorf("bad value for in_port (%s: invalid or unknown port for in_port)", value)
		}
		return nil
	}
	store, ok := matchFields[name]
	if !ok {
		return fmt.Errorf("unknown field %s", name)
	}
	if name == "dl_type" && p.typed {
		return fmt.Errorf("Ethernet type set multiple times")
	}
	if err := store(p, value); err != nil {
		return fmt.Errorf("bad value for %s (%w)", name, err)
	}
	return nil
}

// tagPart stores a part of the outer tag, which is there with it.
func (p *parser) tagPart(value string, shift uint, full uint16) error {
	var n, m uint16
	if err := num(value, &n, &m, uint64(full)); err != nil {
		return err
	}
	v, mask := &p.k.VLAN[0], &p.m.VLAN[0]
	v.TCI |= n << shift
	mask.TCI |= m & full << shift
	if full&VLANPresent == 0 {
		v.TCI |= VLANPresent
		mask.TCI |= VLANPresent
	}
	if v.Present() {
		v.TPID = TPID8021Q
	}
	return nil
}

// bits stores some bits of a byte.
func (p *parser) bits(value string, v, m *uint8, full uint8) error {
	var n, mask uint8
	if err := num(value, &n, &mask, 0xff); err != nil {
		return err
	}
	if n&^full != 0 {
		return fmt.Errorf("%s: not a value of this field", value)
	}
	*v |= n
	*m |= mask & full
	return nil
}

func (p *parser) dscp(value string) error {
	n, err := number(value, 63)
	p.k.TOS |= uint8(n << 2)
	p.m.TOS |= 0xfc
	return err
}

func (p *parser) matchFrag(value string) error {
	switch value {
	case "yes":
		p.k.Frag, p.m.Frag = FragAny, FragAny
		return nil
	case "not_later":
		p.k.Frag, p.m.Frag = 0, FragLater
		return nil
	}
	return p.frag(value)
}

func long(s string, v, m *uint64) (err error) {
	value, mask, masked := strings.Cut(s, "/")
	*m = ^uint64(0)
	if *v, err = strconv.ParseUint(value, 0, 64); err != nil {
		return fmt.Errorf("%q is no number", value)
	}
	if masked {
		if *m, err = strconv.ParseUint(mask, 0, 64); err != nil {
			return fmt.Errorf("%q is no number", mask)
		}
	}
	return nil
}

// FormatKey is a whole key as `ovs-appctl ofproto/trace` prints it, in the
// syntax of ovs-fields(7); port is the text of the input port.
func FormatKey(k *Key, port string) string {
	f := &matcher{k: k, all: true}
	for i := range f.m.Words() {
		f.m.Words()[i] = ^uint64(0)
	}
	f.packetType("")
	word := f.protocol()
	f.add(word != "" && !k.Bare(), "%s", word)
	f.tunnel()
	f.add(true, "in_port=%s", port)
	f.tags()
	f.rest(word)
	return strings.Join(f.parts, ",")
}

// FormatMatch is a key under a mask in the same syntax.
func FormatMatch(k *Key, m *Mask, port string) string {
	f := &matcher{k: k, m: *m}
	f.add(m.RecircID != 0, "recirc_id=%s", hexa(uint64(k.RecircID)))
	f.packetType("eth")
	word := f.protocol()
	f.add(word != "", "%s", word)
	f.tunnel()
	f.add(m.InPort != 0, "in_port=%s", port)
	f.tags()
	f.rest(word)
	return strings.Join(f.parts, ",")
}

// A matcher collects the parts of a text of ovs-fields(7).
type matcher struct {
	k     *Key
	m     Mask
	all   bool
	parts []string
}

func (f *matcher) add(there bool, format string, args ...any) {
	if there {
		f.parts = append(f.parts, fmt.Sprintf(format, args...))
	}
}

// packetType adds the type of a packet without an Ethernet header, or else the
// word for frames.
func (f *matcher) packetType(frame string) {
	if f.k.Bare() {
		f.add(true, "packet_type=(%d,%#x)", f.k.PacketType>>16, f.k.PacketType&0xffff)
		return
	}
	f.add(frame != "", "%s", frame)
}

// protocol is the word for the key's type and protocol, "" where there is none.
func (f *matcher) protocol() string {
	if f.m.EthType != 0xffff {
		return ""
	}
	at := slices.IndexFunc(protocols, func(p struct {
		word  string
		typ   uint16
		proto int
	}) bool {
		return p.typ == f.k.EthType && (p.proto < 0 || f.m.Proto == 0xff && p.proto == int(f.k.Proto))
	})
	if at < 0 {
		return ""
	}
	return protocols[at].word
}

func (f *matcher) tags() {
	if f.k.Bare() {
		return
	}
	for i, v := range f.k.VLAN {
		m, suffix := f.m.VLAN[i], ""
		if i > 0 {
			suffix = fmt.Sprint(i)
		}
		if !v.Present() {
			f.add(f.all, "vlan_tci%s=0x0000", suffix)
			return
		}
		switch {
		case m.VID() == VLANVIDMask:
			f.add(true, "dl_vlan%s=%d", suffix, v.VID())
			f.add(m.PCP() == 7, "dl_vlan_pcp%s=%d", suffix, v.PCP())
		case m.TCI != 0 && i == 0:
			f.add(true, "vlan_tci%s=%#04x/%#04x", suffix, v.TCI&m.TCI, m.TCI)
		}
	}
}

func (f *matcher) rest(word string) {
	k, m := f.k, &f.m
	if !k.Bare() {
		f.mac("dl_src", k.EthSrc, m.EthSrc)
		f.mac("dl_dst", k.EthDst, m.EthDst)
		f.add(word == "" && m.EthType != 0, "dl_type=%#04x", k.EthType)
	}
	switch k.EthType {
	case header.TypeIPv4:
		f.ip("nw_src", k.IPSrc[:4], m.IPSrc[:4])
		f.ip("nw_dst", k.IPDst[:4], m.IPDst[:4])
	case header.TypeIPv6:
		f.ip("ipv6_src", k.IPSrc[:], m.IPSrc[:])
		f.ip("ipv6_dst", k.IPDst[:], m.IPDst[:])
		f.add(m.IPLabel != 0, "ipv6_label=%#05x", k.IPLabel)
	case header.TypeARP, header.TypeRARP:
		f.ip("arp_spa", k.IPSrc[:4], m.IPSrc[:4])
		f.ip("arp_tpa", k.IPDst[:4], m.IPDst[:4])
		f.add(m.Proto != 0, "arp_op=%d", k.Proto)
		f.mac("arp_sha", k.ARPSHA, m.ARPSHA)
		f.mac("arp_tha", k.ARPTHA, m.ARPTHA)
		return
	case header.TypeMPLS, header.TypeMPLSMul:
		f.add(m.MPLS>>12 != 0, "mpls_label=%d", k.MPLS>>12)
		f.add(m.MPLS>>9&7 != 0, "mpls_tc=%d", k.MPLS>>9&7)
		f.add(m.MPLS&0xff != 0, "mpls_ttl=%d", k.MPLS&0xff)
		f.add(m.MPLS>>8&1 != 0, "mpls_bos=%d", k.MPLS>>8&1)
		f.add(f.all && k.MPLS>>8&1 == 0, "mpls_lse1=0,mpls_lse2=0") // a key has the first entry only
		return
	default:
		return
	}
	proto := -1
	for _, p := range protocols {
		if p.word == word {
			proto = p.proto
		}
	}
	f.add(proto < 0 && m.Proto == 0xff, "nw_proto=%d", k.Proto)
	f.add(m.TOS&0xfc != 0, "nw_tos=%d", k.TOS&0xfc)
	f.add(m.TOS&3 != 0, "nw_ecn=%d", k.TOS&3)
	f.add(m.TTL != 0, "nw_ttl=%d", k.TTL)
	f.add(m.Frag&FragLater != 0, "nw_frag=%s", map[uint8]string{0: "no", FragAny: "first", FragAny | FragLater: "later"}[k.Frag&3])
	if k.Frag&FragLater == 0 {
		f.transport(proto)
	}
}

func (f *matcher) transport(proto int) {
	k, m := f.k, &f.m
	switch proto {
	case header.ProtoICMP, header.ProtoICMPv6:
		f.add(m.TPSrc != 0, "icmp_type=%d", k.TPSrc)
		f.add(m.TPDst != 0, "icmp_code=%d", k.TPDst)
		if proto == header.ProtoICMPv6 && k.TPDst == 0 && (k.TPSrc == header.NDSolicit || k.TPSrc == header.NDAdvert) {
			f.ip("nd_target", k.NDTarget[:], m.NDTarget[:])
			f.mac("nd_sll", k.ARPSHA, m.ARPSHA)
			f.mac("nd_tll", k.ARPTHA, m.ARPTHA)
		}
		return
	case -1:
		if k.Proto != header.ProtoIGMP || k.EthType != header.TypeIPv4 {
			return
		}
	}
	f.add(m.TPSrc != 0, "tp_src=%d", k.TPSrc)
	f.add(m.TPDst != 0, "tp_dst=%d", k.TPDst)
	if proto == header.ProtoTCP && m.TCPFlags != 0 {
		f.add(true, "tcp_flags=%s", formatTCPFlags(k.TCPFlags, m.TCPFlags))
	}
}

func (f *matcher) mac(name string, v, m [6]byte) {
	switch m {
	case [6]byte{}:
	case [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}:
		f.add(true, "%s=%s", name, net.HardwareAddr(v[:]))
	default:
		f.add(true, "%s=%s/%s", name, net.HardwareAddr(v[:]), net.HardwareAddr(m[:]))
	}
}

func (f *matcher) ip(name string, v, m []byte) {
	ones, bits := 0, 8*len(m)
	for _, b := range m {
		for ; b&0x80 != 0; b <<= 1 {
			ones++
		}
	}
	masked := slices.Clone(v)
	for i := range masked {
		masked[i] &= m[i]
	}
	switch {
	case ones == bits:
		f.add(true, "%s=%s", name, printIP(v))
	case !slices.ContainsFunc(m, func(b byte) bool { return b != 0 }):
	case slices.Equal(net.CIDRMask(ones, bits), m):
		f.add(true, "%s=%s/%d", name, printIP(masked), ones)
	default:
		f.add(true, "%s=%s/%s", name, printIP(masked), printIP(m))
	}
}
