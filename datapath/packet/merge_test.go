package packet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"govs/datapath/header"
)

// large is a large segment of TCP with n bytes of data, in pieces of size.
func large(pool *Pool, v6 bool, tags, options, n, size int) *Packet {
	var f []byte
	f = append(f, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1)
	for i := range tags {
		f = append(f, 0x81, 0, 0, byte(i+1))
	}
	l3 := len(f) + 2
	l4 := l3 + header.IPv4Len
	if v6 {
		l4 = l3 + header.IPv6Len
	}
	f = append(f, make([]byte, l4-len(f)+header.TCPLen+options+n)...)
	binary.BigEndian.PutUint16(f[l3-2:], header.TypeIPv4)
	gso, src, dst := GSOTCPv4, f[l3+12:l3+16], f[l3+16:l4]
	if v6 {
		binary.BigEndian.PutUint16(f[l3-2:], header.TypeIPv6)
		gso, src, dst = GSOTCPv6, f[l3+8:l3+24], f[l3+24:l4]
		ip := header.IPv6(f[l3:])
		ip.SetVersion(0, 7)
		ip.SetPayloadLen(len(f) - l4)
		ip.SetNext(header.ProtoTCP)
		ip.SetHopLimit(64)
	} else {
		ip := header.IPv4(f[l3:])
		ip.SetVersion(header.IPv4Len)
		ip.SetTotalLen(len(ip))
		ip.SetID(0xfffe)
		ip.SetTTL(64)
		ip.SetProto(header.ProtoTCP)
	}
	copy(src, []byte{10, 0, 0, 1})
	copy(dst, []byte{10, 0, 0, 2})
	if !v6 {
		header.IPv4(f[l3:]).UpdateChecksum()
	}
	tcp := header.TCP(f[l4:])
	tcp.SetSrc(1000)
	tcp.SetDst(2000)
	tcp.SetSeq(0xffffff00)
	tcp.SetFlags(header.TCPLen+options, header.ACK|header.PSH)
	for i := range n {
		f[l4+header.TCPLen+options+i] = byte(i * 7)
	}
	tcp.SetChecksum(^header.Fold(header.PseudoSum(src, dst, header.ProtoTCP, len(tcp))))
	p := pool.get(len(f))
	p.SetLen(copy(p.Buffer(), f))
	p.Offload = Offload{NeedsCsum: true, GSO: gso, GSOSize: uint16(size), HdrLen: uint16(l4 + header.TCPLen + options), CsumStart: uint16(l4), CsumOffset: tcpSum}
	return p
}

// cut is what packets are on the wire, each marked as one that may be merged.
func cut(t testing.TB, pool *Pool, list ...*Packet) (out []*Packet) {
	t.Helper()
	for _, p := range list {
		if p.Offload.GSO == GSONone {
			out = append(out, p)
			continue
		}
		var b Batch
		if err := Segment(p, pool, &b); err != nil {
			t.Fatal(err)
		}
		for _, s := range b.Packets {
			s.Offload, s.Mergeable = Offload{}, true
			out = append(out, s)
		}
	}
	return out
}

func merge(pool *Pool, list []*Packet) (out []*Packet, made int) {
	var b, m Batch
	Merge(list, true, true, pool, &b, &m)
	return b.Packets, m.Len()
}

func TestMergeIsWhatWasCut(t *testing.T) {
	var pool Pool
	for _, v6 := range []bool{false, true} {
		for tags := range 3 {
			for _, options := range []int{0, 12} {
				for _, n := range []int{1401, 2800, 10000, 40000} {
					p := large(&pool, v6, tags, options, n, 1400)
					list := cut(t, &pool, p)
					out, made := merge(&pool, list)
					if len(out) != 1 || made != 1 || !bytes.Equal(out[0].Bytes(), p.Bytes()) || out[0].Offload != p.Offload {
						t.Errorf("IPv6 %v, %d tags, options of %d, %d bytes: %d packets, %+v", v6, tags, options, n, len(out), out[0].Offload)
					}
				}
			}
		}
	}
}

// TestMergeRefuses changes one of four segments: which of them are put together is
// said by the number of packets that each of those becomes that come out.
func TestMergeRefuses(t *testing.T) {
	var pool Pool
	const l3, l4 = 14, 34
	tcp := func(b []byte) { // its checksum
		h := header.TCP(b[l4:])
		h.SetChecksum(0)
		h.SetChecksum(header.Checksum(h, header.PseudoSum(b[26:30], b[30:34], header.ProtoTCP, len(h))))
	}
	ip := func(b []byte) { header.IPv4(b[l3:]).UpdateChecksum() }
	for name, c := range map[string]struct {
		at   int
		edit func(p *Packet, b []byte)
		want string
	}{
		"nothing":                {2, func(*Packet, []byte) {}, "[4]"},
		"not marked":             {2, func(p *Packet, _ []byte) { p.Mergeable = false }, "[2 1 1]"},
		"no Ethernet header":     {2, func(p *Packet, _ []byte) { p.Bare = true }, "[2 1 1]"},
		"offload":                {0, func(p *Packet, _ []byte) { p.Offload.NeedsCsum = true }, "[1 3]"},
		"another host":           {2, func(_ *Packet, b []byte) { b[0] = 4 }, "[2 1 1]"},
		"another address":        {1, func(_ *Packet, b []byte) { b[29]++; ip(b); tcp(b) }, "[1 1 2]"},
		"TOS":                    {1, func(_ *Packet, b []byte) { b[15] = 3; ip(b) }, "[1 1 2]"},
		"TTL":                    {1, func(_ *Packet, b []byte) { b[22]--; ip(b) }, "[1 1 2]"},
		"ID":                     {1, func(_ *Packet, b []byte) { b[18]++; ip(b) }, "[1 1 2]"},
		"don't fragment":         {1, func(_ *Packet, b []byte) { b[20] = 0x40; ip(b) }, "[1 1 2]"},
		"a fragment":             {1, func(_ *Packet, b []byte) { b[20] = 0x20; ip(b) }, "[1 1 2]"},
		"IP's checksum":          {1, func(_ *Packet, b []byte) { b[24]++ }, "[1 1 2]"},
		"TCP's checksum":         {1, func(_ *Packet, b []byte) { b[50]++ }, "[1 1 2]"},
		"data":                   {1, func(_ *Packet, b []byte) { b[70]++ }, "[1 1 2]"},
		"another port":           {1, func(_ *Packet, b []byte) { b[35]++; tcp(b) }, "[1 1 2]"},
		"a gap":                  {1, func(_ *Packet, b []byte) { b[41]++; tcp(b) }, "[1 1 2]"},
		"another acknowledgment": {1, func(_ *Packet, b []byte) { b[45]++; tcp(b) }, "[1 1 2]"},
		"another window":         {1, func(_ *Packet, b []byte) { b[49]++; tcp(b) }, "[1 1 2]"},
		"options":                {1, func(_ *Packet, b []byte) { b[54]++; tcp(b) }, "[1 1 2]"},
		"FIN":                    {1, func(_ *Packet, b []byte) { b[47] |= 1; tcp(b) }, "[1 1 2]"},
		"PSH":                    {1, func(_ *Packet, b []byte) { b[47] |= 8; tcp(b) }, "[2 2]"},
		"congestion":             {3, func(_ *Packet, b []byte) { b[47] |= 0x40; tcp(b) }, "[3 1]"},
		"a header cut off":       {1, func(_ *Packet, b []byte) { b[46] = 0xf0; tcp(b) }, "[1 1 2]"},
		"another protocol":       {1, func(_ *Packet, b []byte) { b[23] = 17; ip(b) }, "[1 1 2]"},
		"another type":           {1, func(_ *Packet, b []byte) { b[12] = 9 }, "[1 1 2]"},
		"shorter": {1, func(p *Packet, b []byte) {
			p.SetLen(len(b) - 4)
			header.IPv4(b[l3:]).SetTotalLen(len(b) - 4 - l3)
			ip(b)
			tcp(b[:len(b)-4])
		}, "[2 2]"},
		"padding": {1, func(p *Packet, b []byte) { p.SetLen(len(b) + 6) }, "[4]"},
	} {
		list := cut(t, &pool, large(&pool, false, 0, 12, 3500, 1000))
		c.edit(list[c.at], list[c.at].Bytes())
		out, _ := merge(&pool, list)
		var counts []int
		for _, p := range out {
			n := 1
			if p.Offload.GSO != GSONone {
				n, _ = Wire(p)
			}
			counts = append(counts, n)
		}
		if got := fmt.Sprint(counts); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	list := cut(t, &pool, large(&pool, false, 0, 0, 3000, 1000))
	var out, made Batch
	if Merge(list, false, true, &pool, &out, &made); out.Len() != 3 || made.Len() != 0 {
		t.Errorf("%d packets for a port that takes none", out.Len())
	}
}

// FuzzMerge changes bytes of segments, and their order: cut again, they are what
// they were.
func FuzzMerge(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, uint16(seed*3), byte(1), seed%2 == 0)
	}
	f.Fuzz(func(t *testing.T, seed uint64, at uint16, to byte, v6 bool) {
		var pool Pool
		r := rand.New(rand.NewPCG(seed, 1))
		var list []*Packet
		for range 1 + r.IntN(3) {
			list = append(list, cut(t, &pool, large(&pool, v6, r.IntN(3), 4*r.IntN(4), 1+r.IntN(5000), 100+r.IntN(1000)))...)
		}
		for range r.IntN(3) {
			i, j := r.IntN(len(list)), r.IntN(len(list))
			list[i], list[j] = list[j], list[i]
		}
		b := list[r.IntN(len(list))].Bytes()
		b[int(at)%min(len(b), 80)] ^= to
		var before [][]byte
		for _, p := range list {
			before = append(before, bytes.Clone(p.Bytes()))
		}
		merged, _ := merge(&pool, list)
		after := cut(t, &pool, merged...)
		if len(after) != len(before) {
			t.Fatalf("%d packets of %d", len(after), len(before))
		}
		for i := range before {
			got, want := after[i].Bytes(), before[i]
			if bytes.Equal(got, want) {
				continue
			}
			// Without fragments the numbers of packets of IPv4 do not matter, nor does
			// what stands behind the packet.
			for _, f := range [][]byte{got, want} {
				if l3 := bytes.Index(f[:24], []byte{8, 0, 0x45}) + 2; l3 > 1 && len(f) >= l3+20 && f[l3+6]&0x40 != 0 {
					clear(f[l3+4 : l3+6])
					clear(f[l3+10 : l3+12])
				}
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("packet %d is\n% x, was\n% x", i, got, want)
			}
		}
	})
}

func BenchmarkMerge(b *testing.B) {
	var pool Pool
	list := cut(b, &pool, large(&pool, false, 0, 12, 32*1388, 1388))
	var out, made Batch
	b.SetBytes(32 * 1388)
	b.ReportAllocs()
	for b.Loop() {
		out.Reset()
		Merge(list, true, true, &pool, &out, &made)
		if made.Len() != 1 {
			b.Fatal(made.Len())
		}
		made.FreeAll()
	}
}
