package porttest

import (
	"bytes"
	"encoding/binary"
	"testing"

	"govs/datapath/packet"
)

// segment is a large TCP segment over IPv4 with n bytes of payload whose
// checksum covers the pseudo header only, as a host hands it to its device.
func (s *suite) segment(n, gsoSize int) *packet.Packet {
	const eth, ip, tcp = 14, 20, 32
	p := s.pool.Get(eth + ip + tcp + n)
	p.SetLen(eth + ip + tcp + n)
	f := p.Bytes()
	clear(f)
	copy(f, []byte{0x02, 0, 0, 0, 0x0f, 1, 0x02, 0, 0, 0, 0x0f, 2, 0x08, 0x00})
	h := f[eth:]
	h[0], h[8], h[9] = 0x45, 64, 6
	binary.BigEndian.PutUint16(h[2:], uint16(ip+tcp+n))
	copy(h[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	binary.BigEndian.PutUint16(h[10:], ^sum(h[:ip], 0))
	l4 := h[ip:]
	binary.BigEndian.PutUint16(l4, 4000)
	binary.BigEndian.PutUint16(l4[2:], 5001)
	binary.BigEndian.PutUint32(l4[4:], 1000)
	l4[12], l4[13] = tcp/4<<4, 0x18
	for i := range n {
		l4[tcp+i] = byte(i * 7)
	}
	binary.BigEndian.PutUint16(l4[16:], sum(h[12:20], uint32(6+tcp+n)))
	p.Offload = packet.Offload{
		NeedsCsum: true, CsumStart: eth + ip, CsumOffset: 16,
	}
	if gsoSize != 0 {
		p.Offload.GSO = packet.GSOTCPv4
		p.Offload.GSOSize = uint16(gsoSize)
		p.Offload.HdrLen = eth + ip + tcp
	}
	return p
}

// sum is the Internet checksum (RFC 1071), not complemented: a naive one on
// purpose, as it judges the fast one.
func sum(b []byte, acc uint32) uint16 {
	for i := 0; i+1 < len(b); i += 2 {
		acc += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		acc += uint32(b[len(b)-1]) << 8
	}
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return uint16(acc)
}

// sameOffload compares what must survive: hdr_len is only a hint.
func sameOffload(a, b packet.Offload) bool {
	a.HdrLen, b.HdrLen = 0, 0
	a.CsumValid, b.CsumValid = false, false
	return a == b
}

func (s *suite) offloadIn(t *testing.T, pair Pair) {
	if pair.NoOffload {
		t.Skip("the far end knows no offload")
	}
	if pair.NoSegments {
		t.Skip("the far end cuts large segments")
	}
	for _, n := range []int{2000, 1448 * 10, 65000} {
		p := s.segment(n, 1448)
		if err := pair.Inject(p); err != nil {
			t.Fatal(err)
		}
		got, err := recv(pair.Port, 1)
		if err != nil {
			t.Fatalf("a segment of %d bytes: %v", n, err)
		}
		s.same(t, got[0], p)
	}
}

func (s *suite) same(t *testing.T, got, want *packet.Packet) {
	t.Helper()
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Fatalf("%d bytes became %d bytes, or others", want.Len(), got.Len())
	}
	if !sameOffload(got.Offload, want.Offload) {
		t.Fatalf("offload %+v became %+v", want.Offload, got.Offload)
	}
}

func (s *suite) offloadOut(t *testing.T, pair Pair) {
	if !pair.Port.State().Offloads.TSO4 {
		t.Skip("the port takes no large segments")
	}
	for _, n := range []int{2000, 1448 * 10, 65000} {
		p := s.segment(n, 1448)
		if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{p}}); err != nil {
			t.Fatal(err)
		}
		got, err := capture(pair)
		if err != nil {
			t.Fatalf("a segment of %d bytes: %v %+v", n, err, pair.Port.Stats())
		}
		if pair.NoOffload {
			continue
		}
		s.same(t, got, p)
	}
}

// offloadVLAN checks that large segments keep whole with one and two tags.
func (s *suite) offloadVLAN(t *testing.T, pair Pair) {
	if !pair.Port.State().Offloads.TSO4 || pair.NoOffload {
		t.Skip("the port or its far end knows no offload")
	}
	for tags := 1; tags <= 2; tags++ {
		p := s.segment(20000, 1400)
		pushTag(p, 0x8100, 10)
		if tags == 2 {
			pushTag(p, 0x88a8, 20)
		}
		if err := pair.Port.Send(&packet.Batch{Packets: []*packet.Packet{p}}); err != nil {
			t.Fatal(err)
		}
		got, err := capture(pair)
		if err != nil {
			t.Fatalf("%d tags out: %v %+v", tags, err, pair.Port.Stats())
		}
		s.same(t, got, p)
		if err := pair.Inject(p); err != nil {
			t.Fatal(err)
		}
		in, err := recv(pair.Port, 1)
		if err != nil {
			t.Fatalf("%d tags in: %v", tags, err)
		}
		s.same(t, in[0], p)
	}
}

func (s *suite) partialChecksum(t *testing.T, pair Pair) {
	if pair.NoOffload || !pair.Port.State().Offloads.Csum {
		t.Skip("the port or its far end knows no offload")
	}
	p := s.segment(501, 0)
	if err := pair.Inject(p); err != nil {
		t.Fatal(err)
	}
	in, err := recv(pair.Port, 1)
	if err != nil {
		t.Fatal(err)
	}
	s.same(t, in[0], p)
	if err := pair.Port.Send(&packet.Batch{Packets: in}); err != nil {
		t.Fatal(err)
	}
	out, err := capture(pair)
	if err != nil {
		t.Fatal(err)
	}
	s.same(t, out, p)
}

// badOffload checks that work which makes no sense is refused, not more.
func (s *suite) badOffload(t *testing.T, pair Pair) {
	var b packet.Batch
	for _, o := range []packet.Offload{
		{NeedsCsum: true, CsumStart: 60000, CsumOffset: 16},
		{NeedsCsum: true, CsumStart: 34, CsumOffset: 65000},
		{NeedsCsum: true, CsumStart: 65535, CsumOffset: 65535, GSO: packet.GSOTCPv4, GSOSize: 1},
		{GSO: packet.GSOTCPv6, GSOSize: 0},
		{GSO: 77, GSOSize: 1000},
		{GSO: packet.GSOTCPv4, GSOSize: 1, HdrLen: 65535},
	} {
		p := s.segment(1000, 0)
		p.Offload = o
		b.Add(p)
	}
	b.Add(s.frame(5, 60))
	if err := pair.Port.Send(&b); err != nil {
		t.Fatal(err)
	}
	for {
		p, err := capture(pair)
		if err != nil {
			t.Fatalf("the good frame behind bad ones: %v", err)
		}
		if i, ok := number(p.Bytes()); ok && i == 5 {
			return
		}
	}
}
