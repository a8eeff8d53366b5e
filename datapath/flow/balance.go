package flow

import "govs/datapath/header"

// Balance is a hash by which flows are spread: of Ethernet and IP addresses, the
// VLAN given, the protocol and its ports. Those of the two directions are
// alike, and so are those of a packet's fragments. It tells what it looked at,
// beside EthType.
func (k *Key) Balance(basis uint32, vlan uint16) (hash uint8, looked Fields) {
	h, looked := k.balance(basis, vlan)
	return uint8(h ^ h>>32), looked
}

// Spread is a hash of what Balance looks at, which tells a packet's flow from
// others in a tunnel and in a queue.
func (k *Key) Spread() uint32 {
	h, _ := k.balance(0, k.VLAN[0].VID())
	return uint32(h ^ h>>32)
}

func (k *Key) balance(basis uint32, vlan uint16) (h uint64, looked Fields) {
	word := func(b []byte) (n uint64) {
		for _, c := range b {
			n = n<<8 | uint64(c)
		}
		return n
	}
	h = Mix(uint64(basis), word(k.EthSrc[:])^word(k.EthDst[:]), uint64(vlan)<<16|uint64(k.EthType))
	looked = EthSrc | EthDst
	switch k.EthType {
	case header.TypeIPv4:
		looked |= IPv4Src | IPv4Dst | Proto
		h = Mix(h, word(k.IPSrc[:4])^word(k.IPDst[:4]), uint64(k.Proto))
	case header.TypeIPv6:
		looked |= IPv6Src | IPv6Dst | Proto
		h = Mix(h, word(k.IPSrc[:8])^word(k.IPDst[:8]), word(k.IPSrc[8:])^word(k.IPDst[8:]))
	default:
		return h, looked
	}
	switch k.Proto {
	case header.ProtoTCP, header.ProtoUDP, header.ProtoSCTP:
		looked |= Frag
		if k.Frag == 0 {
			looked |= TPSrc | TPDst
			h = Mix(h, uint64(k.Proto), uint64(k.TPSrc^k.TPDst))
		}
	}
	return h, looked
}
