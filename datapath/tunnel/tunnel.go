// Package tunnel builds and parses the headers that stand in front of a frame
// while it travels through a tunnel: Ethernet, IPv4, and VXLAN (RFC 7348),
// GRE (RFC 2784, RFC 2890), Geneve (RFC 8926) or ERSPAN of types II and III
// (draft-foschiano-erspan). It is pure: bytes and values,
// no packets sent, nothing remembered, and nothing allocated.
//
// # Caveats
//
// The frame within is an Ethernet frame, always. What is a fragment or has IP
// options is refused. Options of Geneve are skipped, a critical one is refused.
package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"govs/datapath/header"
)

var be = binary.BigEndian

// A Kind is a tunnelling protocol.
type Kind uint8

// The kinds.
const (
	VXLAN Kind = iota + 1
	GRE
	Geneve
	ERSPAN
)

// String is the kind as Interface.type has it.
func (k Kind) String() string {
	switch k {
	case VXLAN:
		return "vxlan"
	case GRE:
		return "gre"
	case Geneve:
		return "geneve"
	case ERSPAN:
		return "erspan"
	}
	return fmt.Sprintf("tunnel kind %d", uint8(k))
}

// number is the kind's in the text of tnl_push.
func (k Kind) number() int { return map[Kind]int{GRE: 3, VXLAN: 4, Geneve: 5, ERSPAN: 107}[k] }

// UDP ports of the kinds (IANA).
const (
	VXLANPort  = 4789
	GenevePort = 6081
)

// Proto is the IP protocol that carries the kind.
func (k Kind) Proto() uint8 {
	if k == GRE || k == ERSPAN {
		return header.ProtoGRE
	}
	return header.ProtoUDP
}

// Lengths in bytes.
const (
	vxlanLen   = 8
	geneveLen  = 8
	greLen     = 4
	typeIILen  = 8 // of ERSPAN, behind GRE
	typeIIILen = 12
	// MaxLen is the longest header that a Header describes.
	MaxLen = header.EthernetLen + header.IPv4Len + 2*greLen + typeIIILen
)

// Bits of the first 16 of GRE.
const (
	greCsum = 0x8000
	greKey  = 0x2000
	greSeq  = 0x1000
)

// Ethernet types of what GRE carries.
const (
	typeTEB = 0x6558 // a bridged frame
	typeII  = 0x88be // one with a header of ERSPAN
	typeIII = 0x22eb
)

// Errors of Parse.
var (
	ErrHeader   = errors.New("outer header is cut off or malformed")
	ErrChecksum = errors.New("outer checksum is wrong")
)

// A Header describes what is put in front of a frame. Headers are compared as
// values.
type Header struct {
	Kind           Kind
	EthDst, EthSrc [6]byte
	Src, Dst       [4]byte
	TOS, TTL       uint8
	DF             bool
	Port           uint16 // UDP destination; 0 for GRE
	Csum           bool   // checksum of UDP or GRE, over the frame too
	HasKey         bool   // GRE only: the others have a key of 0 otherwise
	Seq            bool   // GRE only
	Key            uint32 // of GRE, a VNI of 24 bits, or ERSPAN's session of 10
	// Of ERSPAN, where Kind says so: 1 is type II, 2 is type III.
	Version  uint8
	Index    uint32 // of type II, 20 bits
	Egress   bool   // of type III: the direction
	Hardware uint8  // of type III: its id, 6 bits
}

// Len is how long the header is in bytes.
func (h *Header) Len() int {
	const outer = header.EthernetLen + header.IPv4Len
	if h.Kind == ERSPAN {
		if h.Version == 2 {
			return outer + 2*greLen + typeIIILen
		}
		return outer + 2*greLen + typeIILen
	}
	if h.Kind != GRE {
		return outer + header.UDPLen + vxlanLen
	}
	n := outer + greLen
	for _, field := range [...]bool{h.Csum, h.HasKey, h.Seq} {
		if field {
			n += 4
		}
	}
	return n
}

// Put writes the header to the first Len bytes of b, in which the frame
// stands behind them. port is UDP's source port, seq a sequence number
// for those that have one, and stamp a time in units of 100 microseconds. What does not fit an IP packet is refused.
func (h *Header) Put(b []byte, port uint16, seq, stamp uint32) bool {
	n := h.Len()
	if len(b) < n || len(b)-header.EthernetLen > 0xffff {
		return false
	}
	copy(b[0:6], h.EthDst[:])
	copy(b[6:12], h.EthSrc[:])
	be.PutUint16(b[12:], header.TypeIPv4)
	ip := header.IPv4(b[header.EthernetLen:])
	ip.SetVersion(header.IPv4Len)
	ip.SetTOS(h.TOS)
	ip.SetTotalLen(len(ip))
	ip.SetID(0)
	ip.SetFrag(0)
	if h.DF {
		ip.SetFrag(header.IPv4DontFragment)
	}
	ip.SetTTL(h.TTL)
	ip.SetProto(h.Kind.Proto())
	copy(ip.Src(), h.Src[:])
	copy(ip.Dst(), h.Dst[:])
	ip.SetChecksum(0)
	ip.SetChecksum(header.Checksum(ip[:header.IPv4Len], 0))
	rest := ip[header.IPv4Len:]
	switch h.Kind {
	case GRE:
		h.putGRE(rest, seq)
		return true
	case ERSPAN:
		h.putERSPAN(rest, seq, stamp)
		return true
	}
	u := header.UDP(rest)
	u.SetSrc(port)
	u.SetDst(h.Port)
	u.SetLen(len(u))
	u.SetChecksum(0)
	t := rest[header.UDPLen:]
	clear(t[:vxlanLen])
	if h.Kind == VXLAN {
		t[0] = 0x08
	} else {
		be.PutUint16(t[2:], typeTEB)
	}
	be.PutUint32(t[4:], h.Key<<8)
	if h.Csum {
		c := header.Checksum(rest, header.PseudoSum(h.Src[:], h.Dst[:], header.ProtoUDP, len(rest)))
		if c == 0 {
			c = 0xffff
		}
		u.SetChecksum(c)
	}
	return true
}

func (h *Header) putGRE(b []byte, seq uint32) {
	be.PutUint16(b, h.greFlags())
	be.PutUint16(b[2:], typeTEB)
	at := greLen
	if h.Csum {
		be.PutUint32(b[at:], 0)
		at += 4
	}
	if h.HasKey {
		be.PutUint32(b[at:], h.Key)
		at += 4
	}
	if h.Seq {
		be.PutUint32(b[at:], seq)
	}
	if h.Csum {
		be.PutUint16(b[greLen:], header.Checksum(b, 0))
	}
}

func (h *Header) greFlags() (f uint16) {
	if h.Csum {
		f |= greCsum
	}
	if h.HasKey {
		f |= greKey
	}
	if h.Seq {
		f |= greSeq
	}
	return f
}

// Meta is what the outer headers said of a frame.
type Meta struct {
	Src, Dst [4]byte
	TOS, TTL uint8
	DF       bool
	Csum     bool
	HasKey   bool
	Key      uint32
	Len      int // bytes in front of the frame
	End      int // where the frame ends: behind it there is padding only
}

// Parse reads the outer headers of a packet of that kind, which may have VLAN
// tags. Checksums are looked at unless trusted says that they need not be, or
// cannot be since the frame's own is not complete.
func Parse(b []byte, kind Kind, trusted bool) (m Meta, err error) {
	at := 12
	for tags := 0; tags < 2 && len(b) >= at+6 && header.IsVLAN(be.Uint16(b[at:])); tags++ {
		at += header.VLANLen
	}
	if len(b) < at+2+header.IPv4Len || be.Uint16(b[at:]) != header.TypeIPv4 {
		return m, ErrHeader
	}
	at += 2
	ip := header.IPv4(b[at:])
	total := ip.TotalLen()
	if ip.Version() != 4 || ip.HeaderLen() != header.IPv4Len || total < header.IPv4Len || total > len(ip) ||
		ip.Frag()&(header.IPv4MoreFragments|header.IPv4OffsetMask) != 0 || ip.Proto() != kind.Proto() {
		return m, ErrHeader
	}
	if header.Checksum(ip[:header.IPv4Len], 0) != 0 {
		return m, ErrChecksum
	}
	m.Src, m.Dst = [4]byte(ip.Src()), [4]byte(ip.Dst())
	m.TOS, m.TTL, m.DF = ip.TOS(), ip.TTL(), ip.Frag()&header.IPv4DontFragment != 0
	m.Len, m.End = at+header.IPv4Len, at+total
	rest := b[m.Len:m.End]
	var n int
	switch kind {
	case GRE:
		n, err = m.gre(rest, trusted)
	case ERSPAN:
		n, err = m.erspan(rest)
	default:
		n, err = m.udp(rest, kind, trusted)
	}
	if m.Len += n; err == nil && m.End-m.Len < header.EthernetLen {
		err = ErrHeader
	}
	return m, err
}

func (m *Meta) gre(b []byte, trusted bool) (n int, err error) {
	if len(b) < greLen {
		return 0, ErrHeader
	}
	flags := be.Uint16(b)
	if flags&^(greCsum|greKey|greSeq) != 0 || be.Uint16(b[2:]) != typeTEB {
		return 0, ErrHeader // a version or field of which nothing is known
	}
	n = greLen
	for _, f := range [...]uint16{greCsum, greKey, greSeq} {
		if flags&f == 0 {
			continue
		}
		if len(b) < n+4 {
			return 0, ErrHeader
		}
		if f == greKey {
			m.HasKey, m.Key = true, be.Uint32(b[n:])
		}
		n += 4
	}
	if m.Csum = flags&greCsum != 0; m.Csum && !trusted && header.Checksum(b, 0) != 0 {
		return 0, ErrChecksum
	}
	return n, nil
}

func (m *Meta) udp(b []byte, kind Kind, trusted bool) (n int, err error) {
	const least = header.UDPLen + vxlanLen
	if len(b) < least {
		return 0, ErrHeader
	}
	u := header.UDP(b)
	// A large segment says how long it is in its IP header alone.
	if u.Len() > len(b) || u.Len() < least && !trusted {
		return 0, ErrHeader
	}
	m.Csum = u.Checksum() != 0
	if m.Csum && !trusted && header.Checksum(b[:u.Len()], header.PseudoSum(m.Src[:], m.Dst[:], header.ProtoUDP, u.Len())) != 0 {
		return 0, ErrChecksum
	}
	t := b[header.UDPLen:]
	n = least
	if kind == VXLAN {
		if t[0]&0x08 == 0 { // RFC 7348, section 5: the other bits are ignored
			return 0, ErrHeader
		}
	} else {
		// RFC 8926, section 3.4: version, options, O and C, protocol.
		if t[0]>>6 != 0 || t[1]&0xc0 != 0 || be.Uint16(t[2:]) != typeTEB {
			return 0, ErrHeader
		}
		if n += int(t[0]&0x3f) * 4; len(b) < n {
			return 0, ErrHeader
		}
	}
	m.HasKey, m.Key = true, be.Uint32(t[4:])>>8
	return n, nil
}

// String is the header in the syntax of tnl_push, as dpctl/dump-flows prints it.
func (h Header) String() string {
	frag := "0"
	if h.DF {
		frag = "0x4000"
	}
	s := fmt.Sprintf("header(size=%d,type=%d,eth(dst=%s,src=%s,dl_type=0x0800),ipv4(src=%s,dst=%s,proto=%d,tos=%s,ttl=%d,frag=%s),",
		h.Len(), h.Kind.number(), net.HardwareAddr(h.EthDst[:]), net.HardwareAddr(h.EthSrc[:]),
		netip.AddrFrom4(h.Src), netip.AddrFrom4(h.Dst), h.Kind.Proto(), hexa(uint32(h.TOS)), h.TTL, frag)
	if h.Kind == GRE {
		s += fmt.Sprintf("gre((flags=%s,proto=%#x)", hexa(uint32(h.greFlags())), typeTEB)
		if h.Csum {
			s += ",csum=0x0"
		}
		if h.HasKey {
			s += fmt.Sprintf(",key=%s", hexa(h.Key))
		}
		if h.Seq {
			s += ",seq=0x0"
		}
		return s + "))"
	}
	if h.Kind == ERSPAN {
		return s + h.textERSPAN() + ")"
	}
	csum := "0x0"
	if h.Csum {
		csum = "0xffff"
	}
	s += fmt.Sprintf("udp(src=0,dst=%d,csum=%s),", h.Port, csum)
	if h.Kind == VXLAN {
		return s + fmt.Sprintf("vxlan(flags=0x8000000,vni=0x%x))", h.Key)
	}
	return s + fmt.Sprintf("geneve(vni=0x%x))", h.Key)
}

func hexa(n uint32) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%#x", n)
}

// ParseHeader reads what String prints.
func ParseHeader(text string) (h Header, err error) {
	var size, typ, proto int
	var dst, src, sip, dip, rest string
	bad := fmt.Errorf("%s: not a header of tnl_push", text)
	// Each separator is one that Sscanf does not read as a part of a word.
	words := splitter(text)
	n, _ := fmt.Sscanf(words, "header size=%d type=%d eth dst=%s src=%s dl_type=0x0800 ipv4 src=%s dst=%s proto=%d tos=%v ttl=%d frag=%s",
		&size, &typ, &dst, &src, &sip, &dip, &proto, &h.TOS, &h.TTL, &rest)
	if n != 10 {
		return h, bad
	}
	for _, k := range [...]Kind{VXLAN, GRE, Geneve, ERSPAN} {
		if k.number() == typ {
			h.Kind = k
		}
	}
	h.DF = rest == "0x4000"
	for _, a := range []struct {
		to   *[6]byte
		text string
	}{{&h.EthDst, dst}, {&h.EthSrc, src}} {
		mac, err := net.ParseMAC(a.text)
		if err != nil || len(mac) != 6 {
			return h, bad
		}
		copy(a.to[:], mac)
	}
	for _, a := range []struct {
		to   *[4]byte
		text string
	}{{&h.Src, sip}, {&h.Dst, dip}} {
		ip, err := netip.ParseAddr(a.text)
		if err != nil || !ip.Is4() {
			return h, bad
		}
		*a.to = ip.As4()
	}
	if h.Kind == GRE {
		h.fieldsGRE(words)
	} else if h.Kind == ERSPAN {
		h.fieldsERSPAN(words)
	} else if !h.fieldsUDP(words) {
		return h, bad
	}
	if h.Kind == 0 || h.String() != text { // which also tells of what was left over
		return h, bad
	}
	return h, nil
}
