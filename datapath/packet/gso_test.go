package packet

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"

	"govs/datapath/header"
)

// naiveSum is RFC 1071 word for word.
func naiveSum(b []byte, acc uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		acc += w
		acc = acc>>16 + acc&0xffff
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// A shape is a large segment to be cut.
type shape struct {
	v6, udp, exthdr bool
	tags, size, n   int
}

// build makes the segment with gopacket and leaves its checksum to Segment.
func build(t testing.TB, pool *Pool, s shape) *Packet {
	t.Helper()
	payload := make([]byte, s.n)
	for i := range payload {
		payload[i] = byte(i * 13)
	}
	eth := &layers.Ethernet{SrcMAC: []byte{2, 0, 0, 0, 0, 1}, DstMAC: []byte{2, 0, 0, 0, 0, 2}}
	list := []gopacket.SerializableLayer{eth}
	next := layers.EthernetTypeIPv4
	if s.v6 {
		next = layers.EthernetTypeIPv6
	}
	types := append(make([]layers.EthernetType, 0, 3), layers.EthernetTypeQinQ, layers.EthernetTypeDot1Q)[2-s.tags:]
	types = append(types, next)
	eth.EthernetType = types[0]
	for i := range s.tags {
		list = append(list, &layers.Dot1Q{VLANIdentifier: uint16(10 + i), Type: types[i+1]})
	}
	proto := layers.IPProtocolTCP
	if s.udp {
		proto = layers.IPProtocolUDP
	}
	var network gopacket.NetworkLayer
	if s.v6 {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto,
			SrcIP: []byte{0x20, 1, 0xd, 0xb8, 15: 1}, DstIP: []byte{0x20, 1, 0xd, 0xb8, 15: 2}}
		network = ip
		list = append(list, ip)
		if s.exthdr {
			ip.NextHeader = layers.IPProtocolIPv6Destination
			list = append(list, gopacket.Payload([]byte{byte(proto), 0, 1, 4, 0, 0, 0, 0}))
		}
	} else {
		ip := &layers.IPv4{Version: 4, TTL: 64, Id: 0xfffe, Flags: layers.IPv4DontFragment, Protocol: proto,
			SrcIP: []byte{192, 0, 2, 1}, DstIP: []byte{192, 0, 2, 2}}
		network = ip
		list = append(list, ip)
	}
	gso := GSOTCPv4
	if s.udp {
		gso = GSOUDPL4
		u := &layers.UDP{SrcPort: 1, DstPort: 2}
		u.SetNetworkLayerForChecksum(network)
		list = append(list, u)
	} else {
		if s.v6 {
			gso = GSOTCPv6
		}
		tcp := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 0xfffffff0, Ack: 7, ACK: true, PSH: true, FIN: true, CWR: true, ECE: true,
			Window: 500, Options: []layers.TCPOption{{OptionType: layers.TCPOptionKindNop}, {OptionType: layers.TCPOptionKindNop},
				{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: make([]byte, 8)}}}
		tcp.SetNetworkLayerForChecksum(network)
		list = append(list, tcp)
	}
	list = append(list, gopacket.Payload(payload))
	buf := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, list...); err != nil {
		t.Fatal(err)
	}
	p := pool.From(buf.Bytes())
	l3 := 14 + 4*s.tags
	l4 := l3 + 20
	if s.v6 {
		l4 = l3 + 40
	}
	if s.exthdr {
		l4 += 8
	}
	off := uint16(16)
	if s.udp {
		off = 6
	}
	p.Offload = Offload{NeedsCsum: true, CsumStart: uint16(l4), CsumOffset: off, GSO: gso, GSOSize: uint16(s.size)}
	f := p.Bytes()
	binary.BigEndian.PutUint16(f[l4+int(off):], naivePseudo(f, l3, l4, s))
	return p
}

// naivePseudo is the sum of the pseudo header (RFC 9293, RFC 8200).
func naivePseudo(f []byte, l3, l4 int, s shape) uint16 {
	proto := uint32(6)
	if s.udp {
		proto = 17
	}
	addrs := f[l3+12 : l3+20]
	if s.v6 {
		addrs = f[l3+8 : l3+40]
	}
	return naiveSum(addrs, proto+uint32(len(f)-l4))
}

var shapes = []shape{
	{size: 1448, n: 10000},
	{size: 1448, n: 1448},
	{size: 1448, n: 1449},
	{size: 1448, n: 0},
	{size: 1000, n: 65000},
	{tags: 1, size: 1448, n: 5001},
	{tags: 2, size: 1448, n: 5001},
	{v6: true, size: 1428, n: 9999},
	{v6: true, tags: 2, size: 1428, n: 9999},
	{v6: true, exthdr: true, size: 1420, n: 4000},
	{udp: true, size: 1200, n: 12001},
	{udp: true, tags: 1, size: 1200, n: 12001},
	{udp: true, v6: true, size: 1, n: 300},
	{udp: true, v6: true, tags: 2, size: 1452, n: 60000},
}

func TestSegment(t *testing.T) {
	var pool Pool
	for _, s := range shapes {
		p := build(t, &pool, s)
		before, offload := bytes.Clone(p.Bytes()), p.Offload
		var out Batch
		if err := Segment(p, &pool, &out); err != nil {
			t.Errorf("%+v: %v", s, err)
			continue
		}
		if !bytes.Equal(before, p.Bytes()) || p.Offload != offload {
			t.Errorf("%+v: Segment changed the packet", s)
		}
		check(t, s, before[len(before)-s.n:], &out)
		frames, total := Wire(p)
		sum := 0
		for _, q := range out.Packets {
			sum += q.Len()
		}
		if frames != out.Len() || total != sum {
			t.Errorf("%+v: Wire is %d frames of %d bytes, cut were %d of %d", s, frames, total, out.Len(), sum)
		}
		out.FreeAll()
	}
}

// check lets gopacket read the frames and recomputes their checksums.
func check(t *testing.T, s shape, payload []byte, out *Batch) {
	t.Helper()
	var all []byte
	for i, p := range out.Packets {
		f := p.Bytes()
		last := i == out.Len()-1
		pkt := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
		if e := pkt.ErrorLayer(); e != nil {
			t.Fatalf("%+v: frame %d: %v", s, i, e.Error())
		}
		if l4, ok := pkt.TransportLayer().(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			l4.SetNetworkLayerForChecksum(pkt.NetworkLayer())
		}
		if err, bad := pkt.VerifyChecksums(); err != nil || len(bad) != 0 {
			t.Errorf("%+v: frame %d: checksums %v %v", s, i, bad, err)
		}
		if p.Offload != (Offload{CsumValid: true}) {
			t.Errorf("%+v: frame %d: offload %+v", s, i, p.Offload)
		}
		if ip, ok := pkt.NetworkLayer().(*layers.IPv4); ok && ip.Id != 0xfffe+uint16(i) {
			t.Errorf("%+v: frame %d: IP id %#x", s, i, ip.Id)
		}
		switch l4 := pkt.TransportLayer().(type) {
		case *layers.TCP:
			if l4.Seq != 0xfffffff0+uint32(len(all)) {
				t.Errorf("%+v: frame %d: sequence number %#x", s, i, l4.Seq)
			}
			if l4.FIN != last || l4.PSH != last || l4.CWR != (i == 0) || !l4.ECE || !l4.ACK {
				t.Errorf("%+v: frame %d: flags FIN %v PSH %v CWR %v", s, i, l4.FIN, l4.PSH, l4.CWR)
			}
			all = append(all, l4.Payload...)
		case *layers.UDP:
			if int(l4.Length) != 8+len(l4.Payload) {
				t.Errorf("%+v: frame %d: UDP length %d", s, i, l4.Length)
			}
			all = append(all, l4.Payload...)
		default:
			t.Fatalf("%+v: frame %d: transport %v", s, i, l4)
		}
	}
	if !bytes.Equal(all, payload) {
		t.Errorf("%+v: %d bytes of payload became %d, or others", s, len(payload), len(all))
	}
}

func TestSegmentErrors(t *testing.T) {
	var pool Pool
	base := shape{size: 1000, n: 5000}
	for name, change := range map[string]func(*Packet){
		"no size":           func(p *Packet) { p.Offload.GSOSize = 0 },
		"wrong version":     func(p *Packet) { p.Offload.GSO = GSOTCPv6 },
		"wrong protocol":    func(p *Packet) { p.Offload.GSO = GSOUDPL4 },
		"unknown kind":      func(p *Packet) { p.Offload.GSO = 9 },
		"wrong csum_start":  func(p *Packet) { p.Offload.CsumStart = 60000 },
		"a fragment":        func(p *Packet) { p.Bytes()[14+6] = 0x20 },
		"short":             func(p *Packet) { p.SetLen(40) },
		"a header too long": func(p *Packet) { p.Bytes()[14] = 0x4f },
		"TCP header":        func(p *Packet) { p.Bytes()[34+12] = 0x10 },
		"length":            func(p *Packet) { p.Bytes()[16] = 0xff },
		"ARP":               func(p *Packet) { p.Bytes()[13] = 6 },
	} {
		p := build(t, &pool, base)
		change(p)
		var out Batch
		if err := Segment(p, &pool, &out); err != ErrOffload || out.Len() != 0 {
			t.Errorf("%s: %v and %d frames", name, err, out.Len())
		}
	}
	p := build(t, &pool, shape{size: 1, n: 60000})
	var out Batch
	if err := Segment(p, &pool, &out); err != ErrSegments || out.Len() != 0 {
		t.Errorf("a segment size of 1: %v and %d frames", err, out.Len())
	}
}

func TestCompleteChecksum(t *testing.T) {
	var pool Pool
	for _, s := range []shape{{n: 100}, {n: 101, tags: 2}, {udp: true, n: 100, v6: true}, {udp: true, n: 33, tags: 1}} {
		p := build(t, &pool, s)
		p.Offload.GSO, p.Offload.GSOSize = GSONone, 0
		if err := CompleteChecksum(p); err != nil {
			t.Errorf("%+v: %v", s, err)
		}
		check(t, s, p.Bytes()[p.Len()-s.n:], &Batch{Packets: []*Packet{p}})
	}
	p := build(t, &pool, shape{n: 100})
	p.Offload = Offload{NeedsCsum: true, CsumStart: uint16(p.Len()), CsumOffset: 0}
	if err := CompleteChecksum(p); err != ErrOffload {
		t.Errorf("csum_start behind the frame: %v", err)
	}
	p.Offload = Offload{NeedsCsum: true, CsumStart: 34, CsumOffset: 16, GSO: GSOTCPv4, GSOSize: 10}
	if err := CompleteChecksum(p); err != ErrOffload {
		t.Errorf("a large segment: %v", err)
	}
}

// FuzzOffload feeds Segment, CompleteChecksum and Wire with untrusted frames
// and offloads. What is cut must have the same bytes of payload.
func FuzzOffload(f *testing.F) {
	var pool Pool
	for _, s := range shapes {
		p := build(f, &pool, s)
		o := p.Offload
		b := p.Bytes()
		f.Add(b[:min(len(b), 300)], o.NeedsCsum, byte(o.GSO), o.GSOSize, o.CsumStart, o.CsumOffset)
	}
	f.Fuzz(func(t *testing.T, frame []byte, needs bool, gso byte, size, start, offset uint16) {
		if len(frame) > MaxFrame {
			return
		}
		// A pool of its own: what is covered must not depend on what was before.
		var pool Pool
		for cut := len(frame); ; cut = cut * 3 / 4 {
			p := pool.From(frame[:cut])
			p.Offload = Offload{NeedsCsum: needs, GSO: GSO(gso), GSOSize: size, CsumStart: start, CsumOffset: offset}
			var out Batch
			frames, _ := Wire(p)
			if err := Segment(p, &pool, &out); err == nil && frames != out.Len() {
				t.Errorf("Wire says %d frames, Segment made %d", frames, out.Len())
			}
			out.FreeAll()
			_ = CompleteChecksum(p)
			p.Free()
			if cut == 0 {
				break
			}
		}
	})
}

// TestGrown copies packets that are longer than MaxFrame, as the longest ones
// are after tags were pushed.
func TestGrown(t *testing.T) {
	var pool Pool
	p := pool.Get(MaxFrame)
	p.SetLen(MaxFrame)
	for i := range p.Bytes() {
		p.Bytes()[i] = byte(i)
	}
	for _, n := range []int{8, Headroom - 8} {
		if p.Push(n) == nil {
			t.Fatal("no head-room")
		}
		c := p.Clone()
		if !bytes.Equal(c.Bytes(), p.Bytes()) {
			t.Errorf("the copy of a packet of %d bytes is another", p.Len())
		}
		c.Free()
		var out Batch
		if err := Segment(p, &pool, &out); err != nil || !bytes.Equal(out.Packets[0].Bytes(), p.Bytes()) {
			t.Errorf("a frame of %d bytes: %v", p.Len(), err)
		}
		out.FreeAll()
	}
	if c := pool.Get(MaxFrame); c.Push(Headroom) == nil {
		t.Error("a packet that was used again has no head-room")
	}

	// A large segment that is one frame, as long as IPv6 allows, and two tags.
	p = build(t, &pool, shape{v6: true, tags: 2, n: 65535 - header.TCPLen - 12})
	l, err := parse(p.Bytes(), &p.Offload)
	if err != nil {
		t.Fatal(err)
	}
	p.Offload.GSOSize = uint16(l.end - l.payload)
	var out Batch
	if err := Segment(p, &pool, &out); err != nil || out.Len() != 1 || out.Packets[0].Len() != p.Len() {
		t.Errorf("%v, %d frames", err, out.Len())
	}
}

func TestSegmentAllocs(t *testing.T) {
	var pool Pool
	p := build(t, &pool, shape{size: 1448, n: 60000})
	var out Batch
	if n := testing.AllocsPerRun(50, func() {
		if err := Segment(p, &pool, &out); err != nil {
			t.Fatal(err)
		}
		out.FreeAll()
	}); n >= 1 && !raceEnabled {
		t.Errorf("Segment allocates %v times", n)
	}
}

func BenchmarkSegment64K(b *testing.B) {
	var pool Pool
	p := build(b, &pool, shape{size: 1448, n: 64000})
	b.SetBytes(int64(p.Len()))
	var out Batch
	for b.Loop() {
		if err := Segment(p, &pool, &out); err != nil {
			b.Fatal(err)
		}
		out.FreeAll()
	}
}
