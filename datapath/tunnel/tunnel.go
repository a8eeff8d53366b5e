// Package tunnel builds and parses the headers that stand in front of a frame
// while it travels through a tunnel: Ethernet, IPv4 or IPv6, and VXLAN (RFC 7348,
// or its generic protocol extension, draft-ietf-nvo3-vxlan-gpe), GRE (RFC 2784,
// RFC 2890), Geneve (RFC 8926), ERSPAN of types II and III
// (draft-foschiano-erspan) or GTP-U (3GPP TS 29.281). It is pure: bytes and
// values, no packets sent, nothing remembered, and nothing allocated.
//
// # Caveats
//
// What is a fragment or has IP options or extension headers is refused. Options
// of Geneve are skipped, a critical one is refused. Of GTP-U there are packets
// of users only: what its ends say to each other is not read.
package tunnel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

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
	GTPU
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
	case GTPU:
		return "gtpu"
	}
	return fmt.Sprintf("tunnel kind %d", uint8(k))
}

// number is that of the header's kind in the text of tnl_push.
func (h *Header) number() int {
	if h.v6() {
		switch h.Kind {
		case GRE:
			return 109
		case ERSPAN:
			return 108
		}
	}
	return map[Kind]int{GRE: 3, VXLAN: 4, Geneve: 5, ERSPAN: 107, GTPU: 110}[h.Kind]
}

// UDP ports of the kinds (IANA).
const (
	VXLANPort  = 4789
	GenevePort = 6081
	GTPUPort   = 2152
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
	gtpuLen    = 8
	greLen     = 4
	typeIILen  = 8 // of ERSPAN, behind GRE
	typeIIILen = 12
	// MaxLen is the longest header that a Header describes.
	MaxLen = header.EthernetLen + header.IPv6Len + 2*greLen + typeIIILen
)

// Bits of the second byte of Geneve.
const (
	geneveControl  = 0x80 // O
	geneveCritical = 0x40 // C
)

// Bits of the first 16 of GRE.
const (
	greCsum = 0x8000
	greKey  = 0x2000
	greSeq  = 0x1000
)

// Flags of VXLAN's first byte; with gpeNext the fourth one says what is carried,
// with gbpPolicy the second one are flags and the two behind it a group.
const (
	gbpPolicy = 0x80
	vxlanVNI  = 0x08
	gpeNext   = 0x04
)

// A Policy is what VXLAN's group policy option says of a packet
// (draft-smith-vxlan-group-policy). The zero value is none.
type Policy struct {
	Group uint16
	Flags uint8 // 0x08: it was applied; 0x40: the sender's address is not to be learned
}

// gpeCarries are the Ethernet types of what the fourth byte names. One that is
// not there is 1, and 0 is a frame.
var gpeCarries = [...]uint16{0: 1, 1: header.TypeIPv4, 2: header.TypeIPv6, 3: 0, 4: typeNSH}

const typeNSH = 0x894f

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
	Carries        uint16 // Ethernet type of a packet that goes without its Ethernet header; 0 is a frame, or GTP-U
	EthDst, EthSrc [6]byte
	Src, Dst       netip.Addr // both of IPv4, or both of IPv6
	TOS, TTL       uint8
	DF             bool   // IPv4 only
	Port           uint16 // UDP destination; 0 for GRE
	Csum           bool   // checksum of UDP or GRE, over the frame too; UDP over IPv6 has one always
	GPE            bool   // VXLAN only: with the generic protocol extension
	Policy         Policy // VXLAN only, and not with GPE
	HasKey         bool   // GRE only: the others have a key of 0 otherwise
	Seq            bool   // GRE only
	OAM            bool   // Geneve only: what is carried is of those that run the network
	Key            uint32 // of GRE, a VNI of 24 bits, ERSPAN's session of 10, or GTP-U's TEID
	// Of ERSPAN, where Kind says so: 1 is type II, 2 is type III.
	Version  uint8
	Index    uint32 // of type II, 20 bits
	Egress   bool   // of type III: the direction
	Hardware uint8  // of type III: its id, 6 bits
}

// v6 says whether the ends' addresses are of IPv6.
func (h *Header) v6() bool { return h.Dst.Is6() }

// ipLen is the length of the IP header.
func (h *Header) ipLen() int {
	if h.v6() {
		return header.IPv6Len
	}
	return header.IPv4Len
}

// Len is how long the header is in bytes.
func (h *Header) Len() int {
	outer := header.EthernetLen + h.ipLen()
	if h.Kind == ERSPAN {
		if h.Version == 2 {
			return outer + 2*greLen + typeIIILen
		}
		return outer + 2*greLen + typeIILen
	}
	if h.Kind != GRE {
		return outer + header.UDPLen + vxlanLen // the others are as long
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
	rest := b[header.EthernetLen+h.ipLen():]
	src, dst := h.Src.AsSlice(), h.Dst.AsSlice()
	if h.v6() {
		if len(rest) > 0xffff {
			return false
		}
		be.PutUint16(b[12:], header.TypeIPv6)
		ip := header.IPv6(b[header.EthernetLen:])
		ip.SetVersion(h.TOS, 0)
		ip.SetPayloadLen(len(rest))
		ip.SetNext(h.Kind.Proto())
		ip.SetHopLimit(h.TTL)
		copy(ip.Src(), src)
		copy(ip.Dst(), dst)
	} else {
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
		copy(ip.Src(), src)
		copy(ip.Dst(), dst)
		ip.SetChecksum(0)
		ip.SetChecksum(header.Checksum(ip[:header.IPv4Len], 0))
	}
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
	h.putUDP(rest[header.UDPLen:])
	if h.Csum || h.Kind == GTPU || h.v6() { // RFC 8200, section 8.1
		c := header.Checksum(rest, header.PseudoSum(src, dst, header.ProtoUDP, len(rest)))
		if c == 0 {
			c = 0xffff
		}
		u.SetChecksum(c)
	}
	return true
}

// putUDP writes what stands behind the UDP header.
func (h *Header) putUDP(t []byte) {
	clear(t[:vxlanLen])
	be.PutUint32(t[4:], h.Key<<8)
	switch {
	case h.Kind == VXLAN:
		be.PutUint32(t, h.vxlanFlags())
	case h.Kind == GTPU:
		h.putGTPU(t)
	default:
		if h.OAM {
			t[1] = geneveControl
		}
		be.PutUint16(t[2:], typeTEB)
	}
}

// vxlanFlags are the first 32 bits of VXLAN.
func (h *Header) vxlanFlags() uint32 {
	const first = 24
	flags := uint32(vxlanVNI) << first
	switch {
	case h.GPE:
		flags |= gpeNext<<first | uint32(h.gpe())
	case h.Policy != Policy{}:
		flags |= gbpPolicy<<first | uint32(h.Policy.Flags)<<16 | uint32(h.Policy.Group)
	}
	return flags
}

// gpe is what the generic protocol extension calls that which is carried.
func (h *Header) gpe() uint8 {
	for n, typ := range gpeCarries {
		if typ == h.Carries {
			return uint8(n)
		}
	}
	return 0
}

// Carry has the header say that it carries a packet of that Ethernet type without
// its Ethernet header, or a frame where it is 0. It returns false, and changes
// nothing, where the header cannot.
func (h *Header) Carry(typ uint16) bool {
	switch {
	case h.Kind == ERSPAN && h.Version == 0:
		return false
	case h.Kind == GTPU: // 3GPP TS 29.281, section 4.2: a T-PDU is an IP datagram, and says itself which
		return typ == header.TypeIPv4 || typ == header.TypeIPv6
	case typ == 0, h.Kind == GRE && typ >= header.TypeMin, h.GPE && slices.Contains(gpeCarries[1:], typ):
		h.Carries = typ
		return true
	}
	return false
}

func (h *Header) putGRE(b []byte, seq uint32) {
	be.PutUint16(b, h.greFlags())
	be.PutUint16(b[2:], h.greProto())
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

func (h *Header) greProto() uint16 {
	if h.Carries != 0 {
		return h.Carries
	}
	return typeTEB
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
	Src, Dst netip.Addr
	TOS, TTL uint8
	DF       bool
	Csum     bool
	HasKey   bool
	Key      uint32
	Port     uint16 // of UDP, the source's
	Carries  uint16 // Ethernet type of a packet without an Ethernet header; 0 is a frame
	Policy   Policy
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
	if len(b) < at+2 {
		return m, ErrHeader
	}
	switch be.Uint16(b[at:]) {
	case header.TypeIPv4:
		err = m.ipv4(b[at+2:], kind)
	case header.TypeIPv6:
		err = m.ipv6(b[at+2:], kind)
	default:
		err = ErrHeader
	}
	if err != nil {
		return m, err
	}
	m.Len, m.End = m.Len+at+2, m.End+at+2
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
	least := header.EthernetLen
	if m.Carries != 0 {
		least = 1
	}
	if m.Len += n; err == nil && m.End-m.Len < least {
		err = ErrHeader
	}
	return m, err
}

// ipv4 and ipv6 read the IP header; Len and End count from there.
func (m *Meta) ipv4(b []byte, kind Kind) error {
	ip := header.IPv4(b)
	if len(b) < header.IPv4Len || ip.Version() != 4 || ip.HeaderLen() != header.IPv4Len || ip.TotalLen() < header.IPv4Len || ip.TotalLen() > len(ip) ||
		ip.Frag()&(header.IPv4MoreFragments|header.IPv4OffsetMask) != 0 || ip.Proto() != kind.Proto() {
		return ErrHeader
	}
	if header.Checksum(ip[:header.IPv4Len], 0) != 0 {
		return ErrChecksum
	}
	m.Src, m.Dst = netip.AddrFrom4([4]byte(ip.Src())), netip.AddrFrom4([4]byte(ip.Dst()))
	m.TOS, m.TTL, m.DF = ip.TOS(), ip.TTL(), ip.Frag()&header.IPv4DontFragment != 0
	m.Len, m.End = header.IPv4Len, ip.TotalLen()
	return nil
}

func (m *Meta) ipv6(b []byte, kind Kind) error {
	ip := header.IPv6(b)
	if len(b) < header.IPv6Len || ip.Version() != 6 || header.IPv6Len+ip.PayloadLen() > len(b) || ip.Next() != kind.Proto() {
		return ErrHeader
	}
	m.Src, m.Dst = netip.AddrFrom16([16]byte(ip.Src())), netip.AddrFrom16([16]byte(ip.Dst()))
	m.TOS, m.TTL = ip.Class(), ip.HopLimit()
	m.Len, m.End = header.IPv6Len, header.IPv6Len+ip.PayloadLen()
	return nil
}

func (m *Meta) gre(b []byte, trusted bool) (n int, err error) {
	if len(b) < greLen {
		return 0, ErrHeader
	}
	flags := be.Uint16(b)
	proto := be.Uint16(b[2:])
	if flags&^(greCsum|greKey|greSeq) != 0 || proto < header.TypeMin {
		return 0, ErrHeader // a version or field of which nothing is known
	}
	if proto != typeTEB {
		m.Carries = proto
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
	m.Port, m.Csum = u.Src(), u.Checksum() != 0
	if m.Csum && !trusted {
		pseudo := header.PseudoSum(m.Src.AsSlice(), m.Dst.AsSlice(), header.ProtoUDP, u.Len())
		if header.Checksum(b[:u.Len()], pseudo) != 0 && (kind != GTPU || !lengthLeftOut(b[:u.Len()], pseudo)) {
			return 0, ErrChecksum
		}
	}
	m.HasKey = true
	switch t := b[header.UDPLen:]; kind {
	case VXLAN:
		n, err = m.vxlan(t)
	case GTPU:
		n, err = m.gtpu(t)
	default:
		n, err = m.geneve(t)
	}
	return header.UDPLen + n, err
}

// vxlan, like geneve and gtpu, reads what stands behind UDP: 8 bytes at least.
func (m *Meta) vxlan(t []byte) (n int, err error) {
	// RFC 7348, section 5: the other bits are ignored, but for those of the
	// extension when they can be meant.
	if t[0]&vxlanVNI == 0 {
		return 0, ErrHeader
	}
	if t[0]&0xf0 == 0 && t[0]&gpeNext != 0 {
		if t[3] == 0 || int(t[3]) >= len(gpeCarries) {
			return 0, ErrHeader
		}
		m.Carries = gpeCarries[t[3]]
	}
	if t[0]&gbpPolicy != 0 {
		m.Policy = Policy{be.Uint16(t[2:]), t[1]}
	}
	m.Key = be.Uint32(t[4:]) >> 8
	return vxlanLen, nil
}

func (m *Meta) geneve(t []byte) (n int, err error) {
	// RFC 8926, section 3.4: version, options, C, protocol. What the O bit says
	// is said of the frame within, too.
	if t[0]>>6 != 0 || t[1]&geneveCritical != 0 || be.Uint16(t[2:]) != typeTEB {
		return 0, ErrHeader
	}
	if n = geneveLen + int(t[0]&0x3f)*4; len(t) < n {
		return 0, ErrHeader
	}
	m.Key = be.Uint32(t[4:]) >> 8
	return n, nil
}

// String is the header in the syntax of tnl_push, as dpctl/dump-flows prints it.
func (h Header) String() string {
	s := fmt.Sprintf("header(size=%d,type=%d,eth(dst=%s,src=%s,dl_type=", h.Len(), h.number(), net.HardwareAddr(h.EthDst[:]), net.HardwareAddr(h.EthSrc[:]))
	if h.v6() {
		s += fmt.Sprintf("0x86dd),ipv6(src=%s,dst=%s,label=0,proto=%d,tclass=%#x,hlimit=%d),", h.Src, h.Dst, h.Kind.Proto(), h.TOS, h.TTL)
	} else {
		frag := "0"
		if h.DF {
			frag = "0x4000"
		}
		s += fmt.Sprintf("0x0800),ipv4(src=%s,dst=%s,proto=%d,tos=%s,ttl=%d,frag=%s),", h.Src, h.Dst, h.Kind.Proto(), hexa(uint32(h.TOS)), h.TTL, frag)
	}
	if h.Kind == GRE {
		s += fmt.Sprintf("gre((flags=%s,proto=%#x)", hexa(uint32(h.greFlags())), h.greProto())
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
	if h.Csum || h.v6() {
		csum = "0xffff"
	}
	s += fmt.Sprintf("udp(src=0,dst=%d,csum=%s),", h.Port, csum)
	if h.Kind == VXLAN {
		return s + fmt.Sprintf("vxlan(flags=%#x,vni=0x%x))", h.vxlanFlags(), h.Key)
	}
	if h.Kind == GTPU {
		return s + h.textGTPU() + ")"
	}
	oam := ""
	if h.OAM {
		oam = "oam,"
	}
	return s + fmt.Sprintf("geneve(%svni=0x%x))", oam, h.Key)
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
		n, _ = fmt.Sscanf(words, "header size=%d type=%d eth dst=%s src=%s dl_type=0x86dd ipv6 src=%s dst=%s label=0 proto=%d tclass=%v hlimit=%d",
			&size, &typ, &dst, &src, &sip, &dip, &proto, &h.TOS, &h.TTL)
		if n != 9 {
			return h, bad
		}
	}
	for _, a := range []struct {
		to   *netip.Addr
		text string
	}{{&h.Src, sip}, {&h.Dst, dip}} {
		if *a.to, err = netip.ParseAddr(a.text); err != nil {
			return h, bad
		}
	}
	for _, k := range [...]Kind{VXLAN, GRE, Geneve, ERSPAN, GTPU} {
		h.Kind = k
		if h.number() == typ {
			break
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
	if h.Kind == GRE {
		h.fieldsGRE(words)
	} else if h.Kind == ERSPAN {
		h.fieldsERSPAN(words)
	} else if !h.fieldsUDP(words) {
		return h, bad
	}
	if h.String() != text { // which also tells of what was left over
		return h, bad
	}
	return h, nil
}
