package flow

import (
	"math/rand/v2"
	"testing"

	"govs/datapath/packet"
)

// A key is filled to its last bit, whatever was in it, and padding is zero.
func TestExtractOverwritesTheWholeKey(t *testing.T) {
	var pool packet.Pool
	for _, frame := range append(seeds(t), nil) {
		var fresh, used Key
		for i := range used.Words() {
			used.Words()[i] = ^uint64(0)
		}
		p := pool.From(frame)
		Extract(p, 1, &fresh)
		Extract(p, 1, &used)
		if *fresh.Words() != *used.Words() || fresh.Hash() != used.Hash() {
			t.Errorf("frame %x: words %x, want %x", frame, *used.Words(), *fresh.Words())
		}
		copied := fresh
		if *copied.Words() != *fresh.Words() {
			t.Errorf("a copy has words %x, want %x", *copied.Words(), *fresh.Words())
		}
	}
}

// Each field is some bits of its own; together with the fields of tunnels,
// connections and registers they are the key.
func TestFieldsDoNotOverlap(t *testing.T) {
	var sum Mask
	for f := InPort; f <= PacketType; f <<= 1 {
		if f == IPv4Src || f == IPv4Dst {
			continue // part of the IPv6 addresses
		}
		var m Mask
		m.Add(f)
		if m == (Mask{}) {
			t.Errorf("field %#x has no bits", uint64(f))
		}
		for i, w := range m.Words() {
			if w&sum.Words()[i] != 0 {
				t.Errorf("field %#x overlaps with one before", uint64(f))
			}
		}
		sum.Or(&m)
		if !sum.Covers(&m) {
			t.Errorf("field %#x is not covered", uint64(f))
		}
	}
	var all Mask
	all.Add(1<<63 - 1)
	if all != sum {
		t.Error("all fields at once are other bits than one by one")
	}
}

func TestMaskOperations(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	random := func(w *[Words]uint64, sparse bool) {
		for i := range w {
			w[i] = r.Uint64()
			if sparse && r.IntN(3) > 0 {
				w[i] = 0
			}
		}
	}
	for range 200 {
		var a, b Key
		var m, n Mask
		random(a.Words(), false)
		b = a
		random(m.Words(), true)
		random(n.Words(), true)
		if x := m.And(&a); !m.Equal(&a, &x) {
			t.Fatal("a masked key differs from the key under the mask")
		}
		bit := r.IntN(64 * Words)
		b.Words()[bit/64] ^= 1 << (bit % 64)
		if matters := m.Words()[bit/64]>>(bit%64)&1 == 1; m.Equal(&a, &b) == matters {
			t.Fatalf("bit %d matters: %v", bit, matters)
		}
		union := m
		union.Or(&n)
		if !union.Covers(&m) || !union.Covers(&n) || m.Covers(&union) && m != union {
			t.Fatal("Or and Covers disagree")
		}
	}
}

func TestTCPFlagLetters(t *testing.T) {
	for flags, want := range map[uint16]string{0: "", 2: "S", 0x12: "S.", 0x1ff: "SFPRU.ECN"} {
		if got := TCPFlagLetters(flags); got != want {
			t.Errorf("%#x: %s, want %s", flags, got, want)
		}
	}
}
