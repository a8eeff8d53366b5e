package flow

import (
	"encoding/binary"
	"fmt"

	"govs/datapath/header"
)

// ComposeText makes a frame for flow text as Parse reads it, with Compose.
func ComposeText(text string) ([]byte, error) {
	k, _, err := Parse(text, nil)
	if err != nil {
		return nil, err
	}
	return Compose(&k, 0), nil
}

// laterOffset is the place of a fragment that is not the first, in bytes.
const laterOffset = 800

// Compose makes a frame from which Extract reads the key, checksums and all.
// What carries data, that is TCP without SYN, FIN and RST, UDP, and ICMP echo,
// gets 64 bytes of it, 0 to 63. With a length other than 0 the frame gets as
// many zeros instead as it needs to be that long. There is no frame for keys
// that contradict themselves; what their fields say is taken as far as the
// headers have room for it.
func Compose(k *Key, length int) []byte {
	b := make([]byte, 0, 160)
	b = append(b, k.EthDst[:]...)
	b = append(b, k.EthSrc[:]...)
	for _, v := range k.VLAN {
		if v.Present() {
			b = binary.BigEndian.AppendUint16(b, v.TPID)
			b = binary.BigEndian.AppendUint16(b, v.TCI&^VLANPresent)
		}
	}
	b = binary.BigEndian.AppendUint16(b, k.EthType)
	l3 := len(b)
	switch k.EthType {
	case header.TypeIPv4:
		return k.composeIPv4(b, length)
	case header.TypeIPv6:
		return k.composeIPv6(b, length)
	case header.TypeARP, header.TypeRARP:
		b = k.composeARP(b)
	case header.TypeMPLS, header.TypeMPLSMul:
		b = binary.BigEndian.AppendUint32(b, k.MPLS)
	}
	b = pad(b, length)
	if k.EthType < header.TypeMin {
		binary.BigEndian.PutUint16(b[l3-2:], uint16(min(len(b), header.TypeMin-1)))
	}
	return b
}

func pad(b []byte, length int) []byte {
	if n := length - len(b); n > 0 {
		b = append(b, make([]byte, n)...)
	}
	return b
}

// extend makes room for a header of n zero bytes.
func extend(b []byte, n int) (all, h []byte) {
	at := len(b)
	b = append(b, make([]byte, n)...)
	return b, b[at:]
}

func (k *Key) composeARP(b []byte) []byte {
	b, h := extend(b, header.ARPLen)
	arp := header.ARP(h)
	arp.SetIPv4()
	arp.SetOp(uint16(k.Proto))
	copy(arp.SenderMAC(), k.ARPSHA[:])
	copy(arp.SenderIP(), k.IPSrc[:])
	copy(arp.TargetMAC(), k.ARPTHA[:])
	copy(arp.TargetIP(), k.IPDst[:])
	return b
}

func (k *Key) composeIPv4(b []byte, length int) []byte {
	l3 := len(b)
	b, _ = extend(b, header.IPv4Len)
	b = k.composeTransport(b, length, header.ProtoICMP)
	ip := header.IPv4(b[l3:])
	ip.SetVersion(header.IPv4Len)
	ip.SetTOS(k.TOS)
	ip.SetTotalLen(len(ip))
	switch {
	case k.Frag&FragLater != 0:
		ip.SetFrag(header.IPv4MoreFragments | laterOffset/8)
	case k.Frag&FragAny != 0:
		ip.SetFrag(header.IPv4MoreFragments)
	}
	ip.SetTTL(k.TTL)
	ip.SetProto(k.Proto)
	copy(ip.Src(), k.IPSrc[:4])
	copy(ip.Dst(), k.IPDst[:4])
	ip.UpdateChecksum()
	k.checksum(ip[header.IPv4Len:], ip.Src(), ip.Dst())
	return b
}

func (k *Key) composeIPv6(b []byte, length int) []byte {
	l3 := len(b)
	b, _ = extend(b, header.IPv6Len)
	next := k.Proto
	if k.Frag != 0 {
		var h []byte
		b, h = extend(b, 8)
		h[0], next = k.Proto, header.ProtoFragment
		if k.Frag&FragLater != 0 {
			if k.Proto == header.ProtoFragment {
				h[0] = header.ProtoUDP
			}
			binary.BigEndian.PutUint16(h[2:], laterOffset)
		} else {
			binary.BigEndian.PutUint16(h[2:], 1)
		}
	}
	l4 := len(b)
	b = k.composeTransport(b, length, header.ProtoICMPv6)
	ip := header.IPv6(b[l3:])
	ip.SetVersion(k.TOS, k.IPLabel)
	ip.SetPayloadLen(len(ip) - header.IPv6Len)
	ip.SetNext(next)
	ip.SetHopLimit(k.TTL)
	copy(ip.Src(), k.IPSrc[:])
	copy(ip.Dst(), k.IPDst[:])
	k.checksum(b[l4:], ip.Src(), ip.Dst())
	return b
}

// composeTransport appends what IP carries, but for the checksum.
func (k *Key) composeTransport(b []byte, length int, icmp uint8) []byte {
	if k.Frag&FragLater != 0 {
		return pad(b, length)
	}
	var h []byte
	data := false
	switch k.Proto {
	case header.ProtoTCP:
		b, h = extend(b, header.TCPLen)
		tcp := header.TCP(h)
		tcp.SetSrc(k.TPSrc)
		tcp.SetDst(k.TPDst)
		tcp.SetFlags(header.TCPLen, k.TCPFlags)
		data = k.TCPFlags&(header.SYN|header.FIN|header.RST) == 0
	case header.ProtoUDP:
		b, h = extend(b, header.UDPLen)
		udp := header.UDP(h)
		udp.SetSrc(k.TPSrc)
		udp.SetDst(k.TPDst)
		data = true
	case header.ProtoSCTP:
		b, h = extend(b, header.SCTPLen)
		sctp := header.SCTP(h)
		sctp.SetSrc(k.TPSrc)
		sctp.SetDst(k.TPDst)
	case icmp:
		b, h = extend(b, header.ICMPLen)
		m := header.ICMP(h)
		m.SetType(uint8(k.TPSrc))
		m.SetCode(uint8(k.TPDst))
		switch {
		case icmp == header.ProtoICMP:
			data = k.TPDst == 0 && (k.TPSrc == 8 || k.TPSrc == 0)
		case k.TPDst == 0 && (k.TPSrc == header.NDSolicit || k.TPSrc == header.NDAdvert):
			b = k.composeND(b)
		default:
			data = k.TPDst == 0 && (k.TPSrc == 128 || k.TPSrc == 129)
		}
	case header.ProtoIGMP:
		if icmp == header.ProtoICMP {
			b, h = extend(b, 8)
			h[0], h[1] = uint8(k.TPSrc), uint8(k.TPDst)
		}
	}
	if length == 0 && data {
		for i := range byte(64) {
			b = append(b, i)
		}
	}
	return pad(b, length)
}

func (k *Key) composeND(b []byte) []byte {
	b = append(b, k.NDTarget[:]...)
	if k.ARPSHA != [6]byte{} {
		b = append(append(b, header.NDSourceMAC, 1), k.ARPSHA[:]...)
	}
	if k.ARPTHA != [6]byte{} {
		b = append(append(b, header.NDTargetMAC, 1), k.ARPTHA[:]...)
	}
	return b
}

// checksum fills the checksum in of what IP carries.
func (k *Key) checksum(b, src, dst []byte) {
	if k.Frag&FragLater != 0 {
		return
	}
	pseudo := header.PseudoSum(src, dst, k.Proto, len(b))
	switch k.Proto {
	case header.ProtoTCP:
		header.TCP(b).SetChecksum(header.Checksum(b, pseudo))
	case header.ProtoUDP:
		udp := header.UDP(b)
		udp.SetLen(len(b))
		sum := header.Checksum(b, pseudo)
		if sum == 0 {
			sum = 0xffff
		}
		udp.SetChecksum(sum)
	case header.ProtoICMPv6:
		if len(src) == 16 {
			header.ICMP(b).SetChecksum(header.Checksum(b, pseudo))
		}
	case header.ProtoICMP, header.ProtoIGMP:
		if len(src) == 4 {
			header.ICMP(b).SetChecksum(header.Checksum(b, 0))
		}
	}
}

// String is the key in full, without a mask.
func (k *Key) String() string {
	var m Mask
	for i := range m.Words() {
		m.Words()[i] = ^uint64(0)
	}
	return Format(k, &m, Style{})
}

// String tells what matters, for messages: the mask as hexadecimal words.
func (m *Mask) String() string {
	return fmt.Sprintf("%x", *m.Words())
}
