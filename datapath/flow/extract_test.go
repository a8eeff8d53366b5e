package flow

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govs/datapath/header"
	"govs/datapath/packet"
)

// judge reads a frame with gopacket and says what the key must be, as far as
// gopacket understands it; ok is false where it gives up.
func judge(frame []byte) (k Key, ok bool) {
	p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
	if p.ErrorLayer() != nil || p.Metadata().Truncated {
		return k, false
	}
	tags, ip := 0, false
	for _, l := range p.Layers() {
		switch l := l.(type) {
		case *layers.Ethernet:
			if l.EthernetType < 0x600 {
				return k, false
			}
			copy(k.EthDst[:], l.DstMAC)
			copy(k.EthSrc[:], l.SrcMAC)
			k.EthType = uint16(l.EthernetType)
		case *layers.Dot1Q:
			if tags == 2 || ip || l.Type < 0x600 {
				return k, false
			}
			tpid := k.EthType
			if !header.IsVLAN(tpid) {
				return k, false
			}
			k.VLAN[tags] = VLAN{tpid, uint16(l.Priority)<<13 | l.VLANIdentifier | VLANPresent}
			k.EthType = uint16(l.Type)
			tags++
		case *layers.IPv4:
			if ip {
				return k, true
			}
			if k.EthType != header.TypeIPv4 || l.Version != 4 || binary.BigEndian.Uint16(l.Contents[2:]) == 0 {
				return k, false // gopacket takes these
			}
			ip = true
			copy(k.IPSrc[:], l.SrcIP.To4())
			copy(k.IPDst[:], l.DstIP.To4())
			k.TOS, k.TTL, k.Proto = l.TOS, l.TTL, uint8(l.Protocol)
			if l.FragOffset != 0 {
				k.Frag = FragAny | FragLater
				return k, true
			}
			if l.Flags&layers.IPv4MoreFragments != 0 {
				k.Frag = FragAny
				return k, false // gopacket stops here, Extract does not
			}
		case *layers.IPv6:
			if ip {
				return k, true
			}
			if k.EthType != header.TypeIPv6 || l.Version != 6 || binary.BigEndian.Uint16(l.Contents[4:]) == 0 {
				return k, false
			}
			ip = true
			copy(k.IPSrc[:], l.SrcIP)
			copy(k.IPDst[:], l.DstIP)
			k.TOS, k.TTL, k.IPLabel, k.Proto = l.TrafficClass, l.HopLimit, l.FlowLabel, uint8(l.NextHeader)
			if l.HopByHop != nil {
				k.Proto = uint8(l.HopByHop.NextHeader)
			}
		case *layers.IPv6Destination:
			k.Proto = uint8(l.NextHeader)
		case *layers.IPv6Fragment:
			return k, false
		case *layers.TCP:
			k.TPSrc, k.TPDst = uint16(l.SrcPort), uint16(l.DstPort)
			k.TCPFlags = binary.BigEndian.Uint16(l.Contents[12:]) & 0xfff
			return k, true
		case *layers.UDP:
			k.TPSrc, k.TPDst = uint16(l.SrcPort), uint16(l.DstPort)
			return k, true
		case *layers.SCTP:
			k.TPSrc, k.TPDst = uint16(l.SrcPort), uint16(l.DstPort)
			return k, true
		case *layers.ICMPv4:
			if k.EthType != header.TypeIPv4 {
				return k, false
			}
			k.TPSrc, k.TPDst = uint16(l.TypeCode.Type()), uint16(l.TypeCode.Code())
			return k, true
		case *layers.ARP:
			if k.EthType != header.TypeARP || l.AddrType != layers.LinkTypeEthernet || l.Protocol != layers.EthernetTypeIPv4 || l.HwAddressSize != 6 || l.ProtAddressSize != 4 {
				return k, false
			}
			if l.Operation <= 0xff {
				k.Proto = uint8(l.Operation)
			}
			copy(k.IPSrc[:], l.SourceProtAddress)
			copy(k.IPDst[:], l.DstProtAddress)
			copy(k.ARPSHA[:], l.SourceHwAddress)
			copy(k.ARPTHA[:], l.DstHwAddress)
			return k, true
		default:
			return k, false
		}
	}
	return k, false
}

// seeds are frames of all kinds.
func seeds(t testing.TB) [][]byte {
	var all [][]byte
	for _, c := range composed(t) {
		all = append(all, c.frame)
	}
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}}
	ip4 := &layers.IPv4{
		Version: 4, TTL: 7, TOS: 0xb8, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}, Protocol: layers.IPProtocolTCP,
		Options: []layers.IPv4Option{{OptionType: 7, OptionLength: 4, OptionData: []byte{4, 0}}},
	}
	ip6 := &layers.IPv6{
		Version: 6, HopLimit: 7, TrafficClass: 3, FlowLabel: 0xabcde, NextHeader: layers.IPProtocolUDP,
		SrcIP: append([]byte{0xfe, 0x80}, make([]byte, 14)...), DstIP: append([]byte{0xfe, 0x81}, make([]byte, 14)...),
	}
	tcp := &layers.TCP{SrcPort: 80, DstPort: 8080, ACK: true, ECE: true, Window: 5, Options: []layers.TCPOption{{OptionType: 1}}}
	udp := &layers.UDP{SrcPort: 53, DstPort: 5353}
	tcp.SetNetworkLayerForChecksum(ip4)
	udp.SetNetworkLayerForChecksum(ip6)
	data := gopacket.Payload("some data")
	add := func(t layers.EthernetType, list ...gopacket.SerializableLayer) {
		eth.EthernetType = t
		b := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(b, opts, append([]gopacket.SerializableLayer{eth}, list...)...); err != nil {
			panic(err)
		}
		all = append(all, bytes.Clone(b.Bytes()))
	}
	tag := func(id uint16, t layers.EthernetType) *layers.Dot1Q {
		return &layers.Dot1Q{VLANIdentifier: id, Priority: uint8(id) & 7, Type: t}
	}
	const v4, v6, q, ad = layers.EthernetTypeIPv4, layers.EthernetTypeIPv6, layers.EthernetTypeDot1Q, layers.EthernetTypeQinQ
	add(v4, ip4, tcp, data)
	add(q, tag(5, v4), ip4, tcp, data)
	add(v6, ip6, udp, data)
	add(ad, tag(4095, q), tag(7, v6), ip6, udp, data)
	add(q, tag(1, q), tag(2, q), tag(3, v6), ip6, udp, data)
	ip6.NextHeader = layers.IPProtocolIPv6Destination
	dst := &layers.IPv6Destination{}
	dst.NextHeader = layers.IPProtocolUDP
	dst.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionLength: 4, OptionData: make([]byte, 4)}}
	add(v6, ip6, dst, udp, data)
	add(layers.EthernetTypeARP, &layers.ARP{
		AddrType: layers.LinkTypeEthernet, Protocol: v4, HwAddressSize: 6, ProtAddressSize: 4, Operation: 2,
		SourceHwAddress: []byte{2, 0, 0, 0, 0, 1}, SourceProtAddress: []byte{10, 0, 0, 1},
		DstHwAddress: []byte{2, 0, 0, 0, 0, 2}, DstProtAddress: []byte{10, 0, 0, 2},
	})
	snap, _ := hex.DecodeString("5054000000095054000000080026aaaa0300000008004500001c000000004001000a00000000000000000000000000000000000000")
	llc, _ := hex.DecodeString("0180c20000005054000000080026424203000000000080000000000000000000")
	// A destination option, then a fragment header.
	frag, _ := hex.DecodeString("50540000000b50540000000986dd6000000000183c40fe800000000000000000000000000001fe8000000000000000000000000000022c00010400000000110000010000007b" + "0035003500080000")
	return append(all, snap, llc, frag)
}

func extract(frame []byte) (k Key, ok bool) {
	var pool packet.Pool
	p := pool.From(frame)
	defer p.Free()
	ok = Extract(p, 0, &k)
	return k, ok
}

func compare(t *testing.T, frame []byte) {
	t.Helper()
	got, _ := extract(frame)
	want, ok := judge(frame)
	if !ok {
		return
	}
	// What the judge does not know.
	want.NDTarget = got.NDTarget
	if got != want {
		t.Errorf("frame %x\ngot   %v\njudge %v", frame, &got, &want)
	}
}

func TestExtractAgainstGopacket(t *testing.T) {
	judged := 0
	for _, frame := range seeds(t) {
		compare(t, frame)
		if _, ok := judge(frame); ok {
			judged++
		}
	}
	if judged < 12 {
		t.Errorf("the judge understood %d frames only", judged)
	}
}

// A frame cut off anywhere gives a key that has the fields that are left, and
// no others: never a panic, never a byte from behind the end.
func TestExtractAtEveryTruncation(t *testing.T) {
	for _, frame := range seeds(t) {
		for n := range len(frame) {
			k, ok := extract(frame[:n:n])
			if ok != (n >= header.EthernetLen) {
				t.Fatalf("%d bytes: %v", n, ok)
			}
			if !ok && k != (Key{}) {
				t.Fatalf("%d bytes: %v", n, &k)
			}
			// The bytes behind the end do not matter.
			var pool packet.Pool
			p := pool.From(frame)
			p.SetLen(n)
			var behind Key
			if Extract(p, 0, &behind); behind != k {
				t.Fatalf("%d bytes of %x: bytes behind the end matter", n, frame)
			}
		}
	}
}

func TestExtractTheRest(t *testing.T) {
	for i, want := range map[int]string{
		-3: "eth_type(0x0800),ipv4(src=0.0.0.0,dst=0.0.0.0,proto=1,tos=0,ttl=64,frag=no),icmp(type=0,code=0)",
		-2: "eth_type(0/0xffff)",
		-1: "eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0,proto=17,tclass=0,hlimit=64,frag=first),udp(src=53,dst=53)",
	} {
		all := seeds(t)
		frame := all[len(all)+i]
		k, _ := extract(frame)
		var m Mask
		m.Add(EthType | Frag | Proto | IPv6Src | IPv6Dst | TTL | TOS | IPLabel | TPSrc | TPDst)
		want = "recirc_id(0),in_port(0),packet_type(ns=0,id=0)," + want
		if got := Format(&k, &m, Style{}); got != want {
			t.Errorf("frame %x\ngot  %s\nwant %s", frame, got, want)
		}
	}
}

func TestExtractAllocatesNothing(t *testing.T) {
	var pool packet.Pool
	for _, frame := range seeds(t) {
		p := pool.From(frame)
		var k Key
		if n := testing.AllocsPerRun(10, func() { Extract(p, 1, &k) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, frame := range seeds(f) {
		f.Add(frame)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > 2000 {
			return
		}
		compare(t, frame)
	})
}

func BenchmarkExtract(b *testing.B) {
	var pool packet.Pool
	for _, i := range []int{3, 5, 6, 13, 15} {
		c := composed(b)[i]
		p := pool.From(c.frame)
		var k Key
		b.Run(fmt.Sprint(len(c.frame), "-bytes-", i), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Extract(p, 1, &k)
			}
		})
	}
	b.Run("hash", func(b *testing.B) {
		k, _ := extract(composed(b)[6].frame)
		sum := uint64(0)
		for b.Loop() {
			sum += k.Hash()
		}
	})
}
