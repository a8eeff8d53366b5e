package ebpf

import (
	"encoding/binary"

	"govs/datapath/action"
	"govs/datapath/flow"
)

// setter collects the ops that change fields of packets that are like a key.
type setter struct {
	l  *list
	ok bool
	at uint32 // offset of the transport checksum
}

// set adds what carries out an action.Set, for packets that agree with key in
// what the mask has; false where the programs cannot.
func (l *list) set(key *flow.Key, mask *flow.Mask, a *action.Set) bool {
	left := a.Mask // what was not looked at yet
	s := &setter{l: l, ok: true}
	switch a.Group {
	case "eth":
		s.bytes(0, 0, a.Key.EthDst[:], left.EthDst[:])
		s.bytes(0, 6, a.Key.EthSrc[:], left.EthSrc[:])
		left.EthDst, left.EthSrc = [6]byte{}, [6]byte{}
		return s.ok && left == flow.Mask{}
	case "ipv4", "ipv6", "tcp", "udp":
	default:
		return false
	}
	if mask.Proto != 0xff {
		return false // packets of several protocols have their checksums in several places
	}
	if key.EthType == flow.TPID8021Q || key.EthType == flow.TPID8021AD || key.EthType == 0x8847 || key.EthType == 0x8848 {
		return false // there may be IP behind what counts as payload
	}
	sum := s.checksum(key)
	pseudo := sum
	if sum != 0 {
		pseudo |= setPseudo
	}
	has := false
	switch a.Group {
	case "ipv4":
		if has = key.EthType == typeIPv4; has {
			s.bytes(setL3|setIPSum, 0, []byte{0, a.Key.TOS, 0, 0}, []byte{0, left.TOS, 0, 0})
			// Not from 8 on: the checksum itself stands there.
			s.bytes(setL3|setIPSum, 6, []byte{0, 0, a.Key.TTL, 0}, []byte{0, 0, left.TTL, 0})
			s.bytes(setL3|setIPSum|pseudo, 12, a.Key.IPSrc[:4], left.IPSrc[:4])
			s.bytes(setL3|setIPSum|pseudo, 16, a.Key.IPDst[:4], left.IPDst[:4])
		}
		clear(left.IPSrc[:4])
		clear(left.IPDst[:4])
		left.TOS, left.TTL = 0, 0
	case "ipv6":
		if has = key.EthType == typeIPv6; has {
			v, m := a.Key.TOS, left.TOS
			s.bytes(setL3, 0, []byte{v >> 4, v << 4, 0, 0}, []byte{m >> 4, m << 4, 0, 0})
			s.bytes(setL3, 4, []byte{0, 0, 0, a.Key.TTL}, []byte{0, 0, 0, left.TTL})
			s.bytes(setL3|pseudo, 8, a.Key.IPSrc[:], left.IPSrc[:])
			s.bytes(setL3|pseudo, 24, a.Key.IPDst[:], left.IPDst[:])
		}
		clear(left.IPSrc[:])
		clear(left.IPDst[:])
		left.TOS, left.TTL = 0, 0
	default:
		proto := uint8(protoTCP)
		if a.Group == "udp" {
			proto = protoUDP
		}
		ip := key.EthType == typeIPv4 || key.EthType == typeIPv6
		if has = ip && key.Proto == proto && key.Frag&flow.FragLater == 0; has {
			var value, mask [4]byte
			be := binary.BigEndian
			be.PutUint16(value[0:], a.Key.TPSrc)
			be.PutUint16(value[2:], a.Key.TPDst)
			be.PutUint16(mask[0:], left.TPSrc)
			be.PutUint16(mask[2:], left.TPDst)
			s.bytes(setL4|sum, 0, value[:], mask[:])
		}
		left.TPSrc, left.TPDst = 0, 0
	}
	return s.ok && left == flow.Mask{}
}

// checksum says what keeps the transport checksum of the key's packets right,
// 0 where there is none.
func (s *setter) checksum(key *flow.Key) byte {
	if key.Frag&flow.FragLater != 0 {
		return 0
	}
	switch {
	case key.Proto == protoTCP:
		s.at = 16
		return setSum
	case key.Proto == protoUDP:
		s.at = 6
		return setSum | setZero
	case key.Proto == protoICMPv6 && key.EthType == typeIPv6:
		s.at = 2
		return setSum
	}
	return 0
}

// bytes sets bytes from an offset on, under a mask, in ops of four.
func (s *setter) bytes(arg byte, offset uint16, value, mask []byte) {
	for ; len(value) > 0; offset += 4 {
		n := min(4, len(value))
		var v, m [4]byte
		copy(m[:], mask[:n])
		for i := range n {
			v[i] = value[i] & m[i]
		}
		if m != [4]byte{} {
			ne := binary.NativeEndian
			s.ok = s.ok && s.l.add(opSet, arg, offset, s.at, ne.Uint32(v[:]), ne.Uint32(m[:]))
		}
		value, mask = value[n:], mask[n:]
	}
}
