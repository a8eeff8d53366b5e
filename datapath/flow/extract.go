package flow

import (
	"encoding/binary"

	"govs/datapath/header"
	"govs/datapath/packet"
)

// LLC is the EthType of a frame that has a length in that place and no SNAP
// header to give a type.
const LLC = 0x05ff

// Extract fills the key with what the packet holds. It says false, and leaves
// all fields but InPort zero, where the frame is shorter than an Ethernet
// header. Headers that are cut off or malformed end the parsing: their fields
// stay zero.
func Extract(p *packet.Packet, in PortNo, k *Key) bool { return ExtractTags(p, in, MaxTags, k) }

// MaxTags is how many VLAN tags a key has room for.
const MaxTags = len(Key{}.VLAN)

// ExtractTags is Extract where at most that many VLAN tags count
// (other_config:vlan-limit): those behind them are payload, of which the type
// is EthType.
func ExtractTags(p *packet.Packet, in PortNo, tags int, k *Key) bool {
	*k = Key{InPort: in}
	b := p.Bytes()
	if len(b) < header.EthernetLen {
		return false
	}
	copy(k.EthDst[:], b[0:6])
	copy(k.EthSrc[:], b[6:12])
	b = b[12:]
	t := binary.BigEndian.Uint16(b)
	for i := 0; i < min(tags, MaxTags) && header.IsVLAN(t) && len(b) >= header.VLANLen+2; i++ {
		tag := header.VLAN(b)
		k.VLAN[i] = VLAN{t, tag.TCI() | VLANPresent}
		b = b[header.VLANLen:]
		t = binary.BigEndian.Uint16(b)
	}
	b = b[2:]
	if t < header.TypeMin {
		// LLC with SNAP and no organisation: the type follows (RFC 1042).
		if len(b) >= 8 && string(b[:6]) == "\xaa\xaa\x03\x00\x00\x00" && binary.BigEndian.Uint16(b[6:]) >= header.TypeMin {
			t = binary.BigEndian.Uint16(b[6:])
			b = b[8:]
		} else {
			t = LLC
		}
	}
	k.EthType = t
	if p.Bare {
		k.PacketType = PacketTypeNS | uint32(t)
	}
	switch t {
	case header.TypeIPv4:
		k.ipv4(b)
	case header.TypeIPv6:
		k.ipv6(b, p.Offload.GSO != packet.GSONone)
	case header.TypeARP, header.TypeRARP:
		k.arp(b)
	case header.TypeMPLS, header.TypeMPLSMul:
		if len(b) >= header.MPLSLen {
			k.MPLS = binary.BigEndian.Uint32(b)
		}
	}
	return true
}

// CarriedV6 goes through the extension headers of IPv6, of which next is the
// number of the first: it returns what comes behind them and its protocol, and
// whether they are whole and the packet is no later fragment.
func CarriedV6(next byte, b []byte) (rest []byte, proto uint8, first bool) {
	var k Key
	rest, ok := k.extensions(next, b)
	return rest, k.Proto, ok && k.Frag&FragLater == 0
}

// Carried is what the IP packet in a frame carries: from the transport header
// on, nil where there is none. Behind up to MaxTags tags.
func Carried(frame []byte) []byte {
	at := 12
	for range MaxTags {
		if len(frame) >= at+6 && header.IsVLAN(binary.BigEndian.Uint16(frame[at:])) {
			at += header.VLANLen
		}
	}
	if len(frame) < at+2 {
		return nil
	}
	b := frame[at+2:]
	switch binary.BigEndian.Uint16(frame[at:]) {
	case header.TypeIPv4:
		if len(b) < header.IPv4Len {
			return nil
		}
		ip := header.IPv4(b)
		if hlen, total := ip.HeaderLen(), ip.TotalLen(); ip.Version() == 4 && hlen >= header.IPv4Len && total >= hlen && total <= len(b) {
			return b[hlen:total]
		}
	case header.TypeIPv6:
		if len(b) < header.IPv6Len {
			return nil
		}
		if total := header.IPv6Len + header.IPv6(b).PayloadLen(); total <= len(b) {
			var k Key
			rest, _ := k.extensions(b[6], b[header.IPv6Len:total])
			return rest
		}
	}
	return nil
}

func (k *Key) ipv4(b []byte) {
	if len(b) < header.IPv4Len {
		return
	}
	ip := header.IPv4(b)
	hlen, total := ip.HeaderLen(), ip.TotalLen()
	if ip.Version() != 4 || hlen < header.IPv4Len || total < hlen || total > len(b) {
		return
	}
	copy(k.IPSrc[:4], b[12:16])
	copy(k.IPDst[:4], b[16:20])
	k.TOS, k.TTL, k.Proto = b[1], b[8], b[9]
	if frag := ip.Frag(); frag&(header.IPv4MoreFragments|header.IPv4OffsetMask) != 0 {
		k.Frag = FragAny
		if frag&header.IPv4OffsetMask != 0 {
			k.Frag = FragAny | FragLater
			return
		}
	}
	k.transport(b[hlen:total], header.ProtoICMP)
}

func (k *Key) ipv6(b []byte, large bool) {
	if len(b) < header.IPv6Len {
		return
	}
	ip := header.IPv6(b)
	total := header.IPv6Len + ip.PayloadLen()
	if large && ip.PayloadLen() == 0 {
		total = len(b) // too long for the field
	}
	if ip.Version() != 6 || total > len(b) {
		return
	}
	copy(k.IPSrc[:], b[8:24])
	copy(k.IPDst[:], b[24:40])
	if l4, ok := k.extensions(b[6], b[header.IPv6Len:total]); ok {
		k.TOS, k.TTL, k.IPLabel = ip.Class(), b[7], ip.Label()
		if k.Frag&FragLater == 0 {
			k.transport(l4, header.ProtoICMPv6)
		}
	}
}

// extensions goes through the extension headers of IPv6 and returns what comes
// behind them. Where they are cut off it says false, and Proto and Frag are
// zero.
func (k *Key) extensions(next byte, b []byte) (rest []byte, ok bool) {
	for {
		var length int
		switch next {
		case header.ProtoHopOpts, header.ProtoRouting, header.ProtoDstOpts:
			if len(b) < 8 {
				k.Frag = 0
				return nil, false
			}
			length = 8 + 8*int(b[1])
		case header.ProtoAH:
			if len(b) < 8 {
				k.Frag = 0
				return nil, false
			}
			length = 8 + 4*int(b[1])
		case header.ProtoFragment:
			if len(b) < 8 {
				k.Frag = 0
				return nil, false
			}
			frag := header.IPv6Fragment(b)
			if frag.Offset() != 0 {
				k.Frag, k.Proto = FragAny|FragLater, next
				return nil, true
			}
			if frag.More() {
				k.Frag = FragAny
			}
			length = 8
		default:
			k.Proto = next
			return b, true
		}
		if len(b) < length {
			k.Frag = 0
			return nil, false
		}
		next, b = b[0], b[length:]
	}
}

// transport parses what IP carries; icmp is the number of its own ICMP.
func (k *Key) transport(b []byte, icmp uint8) {
	switch k.Proto {
	case header.ProtoTCP:
		if len(b) >= header.TCPLen {
			tcp := header.TCP(b)
			k.TPSrc, k.TPDst, k.TCPFlags = tcp.Src(), tcp.Dst(), tcp.Flags()
		}
	case header.ProtoUDP:
		if len(b) >= header.UDPLen {
			udp := header.UDP(b)
			k.TPSrc, k.TPDst = udp.Src(), udp.Dst()
		}
	case header.ProtoSCTP:
		if len(b) >= header.SCTPLen {
			sctp := header.SCTP(b)
			k.TPSrc, k.TPDst = sctp.Src(), sctp.Dst()
		}
	case icmp:
		if icmp == header.ProtoICMP {
			if len(b) >= header.ICMPLen {
				k.TPSrc, k.TPDst = uint16(b[0]), uint16(b[1])
			}
		} else if len(b) >= header.ICMPv6Len {
			k.TPSrc, k.TPDst = uint16(b[0]), uint16(b[1])
			if k.TPDst == 0 && (k.TPSrc == header.NDSolicit || k.TPSrc == header.NDAdvert) {
				k.nd(b)
			}
		}
	case header.ProtoIGMP:
		if icmp == header.ProtoICMP && len(b) >= 8 {
			k.TPSrc, k.TPDst = uint16(b[0]), uint16(b[1])
		}
	}
}

// nd parses neighbour discovery; options that are malformed or come twice
// make it all count as not there.
func (k *Key) nd(b []byte) {
	if len(b) < header.NDLen {
		return
	}
	copy(k.NDTarget[:], header.ND(b).Target())
	var seen [2]bool
	for b = header.ND(b).Options(); len(b) >= 8; {
		length := 8 * int(b[1])
		if length == 0 || length > len(b) {
			k.clearND()
			return
		}
		if kind := b[0]; length == 8 && (kind == header.NDSourceMAC || kind == header.NDTargetMAC) {
			if seen[kind-1] {
				k.clearND()
				return
			}
			seen[kind-1] = true
			if kind == header.NDSourceMAC {
				copy(k.ARPSHA[:], b[2:8])
			} else {
				copy(k.ARPTHA[:], b[2:8])
			}
		}
		b = b[length:]
	}
}

func (k *Key) clearND() {
	k.NDTarget, k.ARPSHA, k.ARPTHA = [16]byte{}, [6]byte{}, [6]byte{}
}

func (k *Key) arp(b []byte) {
	if len(b) < header.ARPLen || !header.ARP(b).IsIPv4() {
		return
	}
	arp := header.ARP(b)
	if op := arp.Op(); op <= 0xff {
		k.Proto = uint8(op)
	}
	copy(k.ARPSHA[:], arp.SenderMAC())
	copy(k.IPSrc[:4], arp.SenderIP())
	copy(k.ARPTHA[:], arp.TargetMAC())
	copy(k.IPDst[:4], arp.TargetIP())
}
