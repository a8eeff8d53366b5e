package engine

import (
	"encoding/binary"
	"hash/crc32"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
)

// places are where a frame's headers stand. An offset of 0 is none.
type places struct {
	typeAt int // of the Ethernet type behind the VLAN tags
	l3, l4 int
	end    int // of what IP carries
	typ    uint16
	proto  uint8
}

// locate finds the headers. Those that are cut off are not there, and neither
// is the transport header of a fragment that is not the first.
func locate(b []byte) (at places) {
	at.typeAt = 12
	for range flow.MaxTags {
		if len(b) >= at.typeAt+6 && header.IsVLAN(binary.BigEndian.Uint16(b[at.typeAt:])) {
			at.typeAt += header.VLANLen
		}
	}
	if len(b) < at.typeAt+2 {
		return places{}
	}
	at.typ = binary.BigEndian.Uint16(b[at.typeAt:])
	l3 := at.typeAt + 2
	h := b[l3:]
	switch at.typ {
	case header.TypeIPv4:
		ip := header.IPv4(h)
		if len(h) < header.IPv4Len || ip.Version() != 4 {
			return at
		}
		hlen, total := ip.HeaderLen(), ip.TotalLen()
		if hlen < header.IPv4Len || total < hlen || total > len(h) {
			return at
		}
		at.l3, at.proto, at.end = l3, ip.Proto(), l3+total
		if ip.Frag()&header.IPv4OffsetMask == 0 {
			at.l4 = l3 + hlen
		}
	case header.TypeIPv6:
		if len(h) < header.IPv6Len || header.IPv6(h).Version() != 6 {
			return at
		}
		at.l3, at.end = l3, l3+header.IPv6Len+header.IPv6(h).PayloadLen()
		if at.end > len(b) {
			at.end = len(b) // a large segment may be too long for the field
		}
		if rest, proto, first := flow.CarriedV6(h[6], b[l3+header.IPv6Len:at.end]); first {
			at.l4, at.proto = at.end-len(rest), proto
		}
	case header.TypeARP, header.TypeRARP:
		if len(h) >= header.ARPLen {
			at.l3 = l3
		}
	case header.TypeMPLS, header.TypeMPLSMul:
		if len(h) >= header.MPLSLen {
			at.l3 = l3
		}
	}
	return at
}

// put writes the bits of v that matter.
func put(to, v, mask []byte) {
	for i := range to {
		to[i] = to[i]&^mask[i] | v[i]&mask[i]
	}
}

// adjust changes a checksum by what changed of the bytes it covers, of which it
// gets the sums (RFC 1624). A partial one is the sum of the pseudo header alone.
func adjust(field []byte, before, after uint64, partial bool) {
	old := binary.BigEndian.Uint16(field)
	less := uint64(header.Fold(before))
	if partial {
		binary.BigEndian.PutUint16(field, ^header.Fold(uint64(old)+less+after))
		return
	}
	binary.BigEndian.PutUint16(field, header.Fold(uint64(^old)+less+after))
}

// set writes fields of a header. A packet without that header stays as it is.
func set(p *packet.Packet, a *action.Set) {
	b := p.Bytes()
	k, m := &a.Key, &a.Mask
	if len(b) < header.EthernetLen {
		return
	}
	if a.Group == "eth" {
		put(b[:6], k.EthDst[:], m.EthDst[:])
		put(b[6:12], k.EthSrc[:], m.EthSrc[:])
		return
	}
	at := locate(b)
	if at.l3 == 0 {
		return
	}
	switch {
	case a.Group == "ipv4" && at.typ == header.TypeIPv4:
		setIPv4(p, b, &at, k, m)
	case a.Group == "ipv6" && at.typ == header.TypeIPv6:
		setIPv6(p, b, &at, k, m)
	case a.Group == "arp" && (at.typ == header.TypeARP || at.typ == header.TypeRARP):
		arp := header.ARP(b[at.l3:])
		put(arp.SenderIP(), k.IPSrc[:4], m.IPSrc[:4])
		put(arp.TargetIP(), k.IPDst[:4], m.IPDst[:4])
		put(arp.SenderMAC(), k.ARPSHA[:], m.ARPSHA[:])
		put(arp.TargetMAC(), k.ARPTHA[:], m.ARPTHA[:])
		arp.SetOp(arp.Op()&^uint16(m.Proto) | uint16(k.Proto&m.Proto))
	case a.Group == "mpls" && (at.typ == header.TypeMPLS || at.typ == header.TypeMPLSMul):
		e := b[at.l3:]
		binary.BigEndian.PutUint32(e, binary.BigEndian.Uint32(e)&^m.MPLS|k.MPLS&m.MPLS)
	case at.l4 != 0:
		setTransport(p, b[at.l4:at.end], at.proto, a)
	}
}

// addressSum is where the checksum stands that covers the IP addresses, nil where
// there is none.
func (at *places) addressSum(b []byte) []byte {
	if at.l4 == 0 {
		return nil
	}
	h := b[at.l4:at.end]
	switch {
	case at.proto == header.ProtoTCP && len(h) >= header.TCPLen:
		return h[16:18]
	case at.proto == header.ProtoUDP && len(h) >= header.UDPLen:
		return h[6:8]
	case at.proto == header.ProtoICMPv6 && at.typ == header.TypeIPv6 && len(h) >= header.ICMPv6Len:
		return h[2:4]
	}
	return nil
}

// addresses writes both addresses, which stand side by side, with the transport
// checksum.
func addresses(p *packet.Packet, b, both []byte, at *places, k *flow.Key, m *flow.Mask) {
	half := len(both) / 2
	before := header.Sum(both, 0)
	put(both[:half], k.IPSrc[:half], m.IPSrc[:half])
	put(both[half:], k.IPDst[:half], m.IPDst[:half])
	if field := at.addressSum(b); field != nil {
		update(p, field, before, header.Sum(both, 0), at.proto, true)
	}
}

// update adjusts a transport checksum. pseudo says that what changed is part of
// the pseudo header: only that is in a partial checksum. One of UDP that is
// zero is none.
func update(p *packet.Packet, field []byte, before, after uint64, proto uint8, pseudo bool) {
	partial := p.Offload.NeedsCsum || p.Offload.GSO != packet.GSONone
	if partial && !pseudo {
		return
	}
	if !partial && proto == header.ProtoUDP && field[0]|field[1] == 0 {
		return
	}
	adjust(field, before, after, partial)
	if !partial && proto == header.ProtoUDP && field[0]|field[1] == 0 {
		field[0], field[1] = 0xff, 0xff
	}
}

func setIPv4(p *packet.Packet, b []byte, at *places, k *flow.Key, m *flow.Mask) {
	ip := header.IPv4(b[at.l3:])
	h := b[at.l3 : at.l3+header.IPv4Len]
	before := header.Sum(h[:10], header.Sum(h[12:20], 0))
	ip.SetTOS(ip.TOS()&^m.TOS | k.TOS&m.TOS)
	ip.SetTTL(ip.TTL()&^m.TTL | k.TTL&m.TTL)
	addresses(p, b, h[12:20], at, k, m)
	adjust(h[10:12], before, header.Sum(h[:10], header.Sum(h[12:20], 0)), false)
}

func setIPv6(p *packet.Packet, b []byte, at *places, k *flow.Key, m *flow.Mask) {
	ip := header.IPv6(b[at.l3:])
	ip.SetVersion(ip.Class()&^m.TOS|k.TOS&m.TOS, ip.Label()&^m.IPLabel|k.IPLabel&m.IPLabel)
	ip.SetHopLimit(ip.HopLimit()&^m.TTL | k.TTL&m.TTL)
	addresses(p, b, b[at.l3+8:at.l3+40], at, k, m)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// setTransport writes ports, or type and code, and what neighbour discovery
// tells.
func setTransport(p *packet.Packet, h []byte, proto uint8, a *action.Set) {
	k, m := &a.Key, &a.Mask
	two := func(to []byte, v, mask uint16) {
		binary.BigEndian.PutUint16(to, binary.BigEndian.Uint16(to)&^mask|v&mask)
	}
	switch {
	case a.Group == "tcp" && proto == header.ProtoTCP && len(h) >= header.TCPLen,
		a.Group == "udp" && proto == header.ProtoUDP && len(h) >= header.UDPLen:
		before := header.Sum(h[:4], 0)
		two(h, k.TPSrc, m.TPSrc)
		two(h[2:], k.TPDst, m.TPDst)
		sum := h[6:8]
		if proto == header.ProtoTCP {
			sum = h[16:18]
		}
		update(p, sum, before, header.Sum(h[:4], 0), proto, false)
	case a.Group == "sctp" && proto == header.ProtoSCTP && len(h) >= header.SCTPLen:
		// A checksum that was wrong stays wrong.
		wrong := binary.LittleEndian.Uint32(h[8:]) ^ sctpSum(h)
		two(h, k.TPSrc, m.TPSrc)
		two(h[2:], k.TPDst, m.TPDst)
		binary.LittleEndian.PutUint32(h[8:], sctpSum(h)^wrong)
	case a.Group == "icmp" && proto == header.ProtoICMP && len(h) >= header.ICMPLen,
		a.Group == "icmpv6" && proto == header.ProtoICMPv6 && len(h) >= header.ICMPv6Len:
		before := header.Sum(h[:2], 0)
		h[0] = h[0]&^byte(m.TPSrc) | byte(k.TPSrc&m.TPSrc)
		h[1] = h[1]&^byte(m.TPDst) | byte(k.TPDst&m.TPDst)
		update(p, h[2:4], before, header.Sum(h[:2], 0), proto, false)
	case a.Group == "nd" && proto == header.ProtoICMPv6 && len(h) >= header.NDLen && (h[0] == header.NDSolicit || h[0] == header.NDAdvert):
		before := header.Sum(h, 0)
		put(header.ND(h).Target(), k.NDTarget[:], m.NDTarget[:])
		for o := header.ND(h).Options(); len(o) >= 8 && o[1] != 0 && len(o) >= 8*int(o[1]); o = o[8*int(o[1]):] {
			switch {
			case o[1] != 1:
			case o[0] == header.NDSourceMAC:
				put(o[2:8], k.ARPSHA[:], m.ARPSHA[:])
			case o[0] == header.NDTargetMAC:
				put(o[2:8], k.ARPTHA[:], m.ARPTHA[:])
			}
		}
		update(p, h[2:4], before, header.Sum(h, 0), proto, false)
	}
}

// sctpSum is the checksum of an SCTP packet (RFC 9260, appendix A), whatever
// stands in its place.
func sctpSum(h []byte) uint32 {
	var zero [4]byte
	c := crc32.Update(0, castagnoli, h[:8])
	c = crc32.Update(c, castagnoli, zero[:])
	return crc32.Update(c, castagnoli, h[12:])
}

// pushMPLS makes room behind the VLAN tags. It says false where there is none,
// and for a large segment, which could not be cut behind a label.
func pushMPLS(p *packet.Packet, a action.PushMPLS) bool {
	at := locate(p.Bytes())
	if at.typeAt == 0 || p.Offload.GSO != packet.GSONone || packet.CompleteChecksum(p) != nil {
		return false
	}
	b := p.Push(header.MPLSLen)
	if b == nil {
		return false
	}
	copy(b[:at.typeAt], b[header.MPLSLen:header.MPLSLen+at.typeAt])
	binary.BigEndian.PutUint16(b[at.typeAt:], a.Type)
	binary.BigEndian.PutUint32(b[at.typeAt+2:], a.Entry)
	return true
}

func popMPLS(p *packet.Packet, a action.PopMPLS) {
	b := p.Bytes()
	at := locate(b)
	if at.l3 == 0 || at.typ != header.TypeMPLS && at.typ != header.TypeMPLSMul {
		return
	}
	copy(b[header.MPLSLen:header.MPLSLen+at.typeAt], b[:at.typeAt])
	b = p.Pull(header.MPLSLen)
	binary.BigEndian.PutUint16(b[at.typeAt:], a.Type)
}
