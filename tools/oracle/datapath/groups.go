package main

import (
	"encoding/binary"
	"slices"

	"govs/datapath/header"
)

// group makes an IGMP or MLD message, or a packet for a group.
func (g *generator) group() []byte {
	if g.IntN(3) == 0 {
		return g.mld()
	}
	group := []byte{225, 1, 2, byte(g.IntN(3))}
	if g.IntN(6) == 0 {
		group = []byte{224, 0, 0, byte(g.IntN(30))}
	}
	var body []byte
	switch kind := pick(g.Rand, byte(0x11), 0x12, 0x16, 0x16, 0x16, 0x17, 0x22, 0x22, 0); kind {
	case 0: // not a message
		return g.ip4(group, 17, []byte{0, 9, 0, 9, 0, 8, 0, 0})
	case 0x22:
		body = []byte{kind, 0, 0, 0, 0, 0, 0, byte(1 + g.IntN(2))}
		for range body[7] {
			sources := g.IntN(3)
			if g.IntN(2) == 0 {
				sources = 0
			}
			body = append(body, byte(1+g.IntN(6)), 0, 0, byte(sources), 225, 1, 2, byte(g.IntN(3)))
			for range sources {
				body = append(body, 10, 0, 0, 9)
			}
		}
	case 0x11:
		to := []byte{0, 0, 0, 0}
		if g.IntN(3) == 0 {
			to = group
		}
		body = slices.Concat([]byte{kind, 100, 0, 0}, to)
		if g.IntN(2) == 0 {
			body = append(body, 2, 125, 0, 0)
		}
	default:
		body = slices.Concat([]byte{kind, 0, 0, 0}, group)
	}
	binary.BigEndian.PutUint16(body[2:], header.Checksum(body, 0))
	if g.IntN(12) == 0 {
		body[g.IntN(len(body))] ^= 1 // and a bad checksum with it
	}
	if g.IntN(20) == 0 {
		body = body[:g.IntN(len(body))]
	}
	return g.ip4(group, 2, body)
}

func (g *generator) ip4(group []byte, proto byte, body []byte) []byte {
	src := g.addr()
	b := slices.Concat([]byte{1, 0, 0x5e, group[1] & 0x7f, group[2], group[3]}, src[:], []byte{8, 0})
	ip := header.IPv4(make([]byte, header.IPv4Len))
	ip.SetVersion(header.IPv4Len)
	ip.SetTotalLen(len(ip) + len(body))
	ip.SetTTL(1)
	ip.SetProto(proto)
	copy(ip.Src(), []byte{10, 0, 0, src[5]})
	copy(ip.Dst(), group)
	ip.UpdateChecksum()
	return slices.Concat(b, ip, body)
}

func (g *generator) mld() []byte {
	group := make([]byte, 16)
	copy(group, []byte{0xff, 0x0e})
	group[15] = byte(1 + g.IntN(3))
	if g.IntN(6) == 0 {
		group[1] = 2
	}
	var body []byte
	switch kind := pick(g.Rand, byte(130), 131, 131, 132, 143, 143, 0); kind {
	case 0:
		return g.ip6(group, 17, []byte{0, 9, 0, 9, 0, 8, 0, 0})
	case 143:
		body = []byte{kind, 0, 0, 0, 0, 0, 0, byte(1 + g.IntN(2))}
		for range body[7] {
			body = append(body, byte(1+g.IntN(6)), 0, 0, 0)
			body = append(body, group...)
		}
	case 130:
		to := group
		if g.IntN(2) == 0 {
			to = make([]byte, 16)
		}
		body = slices.Concat([]byte{kind, 0, 0, 0, 0, 100, 0, 0}, to)
	default:
		body = slices.Concat([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, group)
	}
	return g.ip6(group, 58, body)
}

func (g *generator) ip6(group []byte, proto byte, body []byte) []byte {
	src := g.addr()
	b := slices.Concat([]byte{0x33, 0x33}, group[12:], src[:], []byte{0x86, 0xdd})
	ip := header.IPv6(make([]byte, header.IPv6Len))
	ip.SetVersion(0, 0)
	ip.SetPayloadLen(len(body))
	ip.SetNext(proto)
	ip.SetHopLimit(1)
	copy(ip.Src(), []byte{0xfe, 0x80, 15: src[5]})
	copy(ip.Dst(), group)
	if proto == 58 {
		header.ICMP(body).SetChecksum(header.Checksum(body, header.PseudoSum(ip.Src(), ip.Dst(), 58, len(body))))
	}
	return slices.Concat(b, ip, body)
}
