package header

import (
	"math/rand/v2"
	"testing"
)

// naive is RFC 1071 word by word.
func naive(b []byte) uint16 {
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		sum += w
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func fillRandom(r *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(r.Uint32())
		if r.IntN(3) == 0 {
			b[i] = 0xff // carries
		}
	}
}

func TestChecksum(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := make([]byte, r.IntN(200))
		fillRandom(r, b)
		if got, want := Checksum(b, 0), naive(b); got != want {
			t.Fatalf("%x: %#04x, want %#04x", b, got, want)
		}
		cut := r.IntN(len(b)/2+1) * 2
		if got, want := Fold(Sum(b[cut:], Sum(b[:cut], 0))), naive(b); got != want {
			t.Fatalf("%x cut at %d: %#04x, want %#04x", b, cut, got, want)
		}
		// What was summed before is a sum of any size; only nothing sums to 0.
		before := r.Uint64() >> r.IntN(64)
		head := make([]byte, 8)
		be.PutUint64(head, before)
		if got, want := Checksum(b, before), naive(append(head, b...)); got != want {
			t.Fatalf("%x after %#x: %#04x, want %#04x", b, before, got, want)
		}
	}
}

func TestSettersAndGetters(t *testing.T) {
	ip := IPv4(make([]byte, IPv4Len))
	ip.SetVersion(20)
	ip.SetTOS(1)
	ip.SetTotalLen(40)
	ip.SetID(7)
	ip.SetFrag(IPv4DontFragment)
	ip.SetTTL(64)
	ip.SetProto(ProtoTCP)
	copy(ip.Src(), []byte{10, 0, 0, 1})
	copy(ip.Dst(), []byte{10, 0, 0, 2})
	ip.UpdateChecksum()
	if ip.Version() != 4 || ip.HeaderLen() != 20 || ip.TOS() != 1 || ip.TotalLen() != 40 || ip.ID() != 7 ||
		ip.Frag() != IPv4DontFragment || ip.TTL() != 64 || ip.Proto() != ProtoTCP || Checksum(ip, 0) != 0 || ip.Checksum() == 0 {
		t.Errorf("% x", []byte(ip))
	}
	ip6 := IPv6(make([]byte, IPv6Len))
	ip6.SetVersion(0xa5, 0xfffff)
	ip6.SetPayloadLen(5)
	ip6.SetNext(17)
	ip6.SetHopLimit(3)
	if ip6.Version() != 6 || ip6.Class() != 0xa5 || ip6.Label() != 0xfffff || ip6.PayloadLen() != 5 || ip6.Next() != 17 || ip6.HopLimit() != 3 {
		t.Errorf("% x", []byte(ip6))
	}
	tcp := TCP(make([]byte, TCPLen))
	tcp.SetFlags(20, NS|ACK)
	tcp.SetSeq(0xdeadbeef)
	tcp.SetChecksum(9)
	if tcp.HeaderLen() != 20 || tcp.Flags() != NS|ACK || tcp.Seq() != 0xdeadbeef || tcp.Checksum() != 9 {
		t.Errorf("% x", []byte(tcp))
	}
	vlan := VLAN(make([]byte, 4))
	vlan.SetTPID(TypeQinQ)
	vlan.SetTCI(0xe005)
	if vlan.TPID() != TypeQinQ || vlan.TCI() != 0xe005 || !IsVLAN(vlan.TPID()) {
		t.Errorf("% x", []byte(vlan))
	}
}

func BenchmarkChecksum1500(b *testing.B) {
	data := make([]byte, 1500)
	b.SetBytes(1500)
	for b.Loop() {
		Checksum(data, 0)
	}
}
