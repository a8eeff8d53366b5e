package flow

import (
	"math/bits"
	"unsafe"
)

// Words is the size of a Key in 64-bit words.
const Words = int(unsafe.Sizeof(Key{}) / 8)

// packetWords is how many words of a Key a packet's own bytes fill; the ones
// behind them are zero in a packet that just entered. tunnelWords are those
// with what the outer headers of a tunnel said, too.
const (
	packetWords = int(unsafe.Offsetof(Key{}.TunID) / 8)
	tunnelWords = int(unsafe.Offsetof(Key{}.CTState) / 8)
)

// Words is the key as 64-bit words, in place.
func (k *Key) Words() *[Words]uint64 { return (*[Words]uint64)(unsafe.Pointer(k)) }

// Words is the mask as 64-bit words, in place.
func (m *Mask) Words() *[Words]uint64 { return (*[Words]uint64)(unsafe.Pointer(m)) }

// Exact is the mask under which every bit matters. It is not to be changed.
var Exact = func() (m Mask) {
	for i := range m.Words() {
		m.Words()[i] = ^uint64(0)
	}
	return m
}()

// And is the key with every bit cleared that does not matter.
func (m *Mask) And(k *Key) Key {
	var out Key
	o, a, b := out.Words(), m.Words(), k.Words()
	for i := range o {
		o[i] = a[i] & b[i]
	}
	return out
}

// Equal says whether two keys agree in every bit that matters.
func (m *Mask) Equal(a, b *Key) bool {
	w, x, y := m.Words(), a.Words(), b.Words()
	for i := range w {
		if (x[i]^y[i])&w[i] != 0 {
			return false
		}
	}
	return true
}

// Covers says whether each bit that matters in n matters in m too.
func (m *Mask) Covers(n *Mask) bool {
	a, b := m.Words(), n.Words()
	for i := range a {
		if b[i]&^a[i] != 0 {
			return false
		}
	}
	return true
}

// Or makes matter in m what matters in n.
func (m *Mask) Or(n *Mask) {
	a, b := m.Words(), n.Words()
	for i := range a {
		a[i] |= b[i]
	}
}

// Numbers without pattern (digits of pi), to mix with.
const (
	mix0 = 0x243f6a8885a308d3
	mix1 = 0x13198a2e03707344
	mix2 = 0xa4093822299f31d0
)

// Mix folds two words and the state of a hash into its next state.
func Mix(h, a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^h^mix0, b^mix1)
	return hi ^ lo
}

// Hash is a hash of what a packet's own bytes put into the key, and of
// InPort and RecircID.
func (k *Key) Hash() uint64 {
	w := k.Words()
	h := uint64(mix2)
	for i := 0; i < packetWords; i += 2 {
		h = Mix(h, w[i], w[i+1])
	}
	if k.Tunnelled() {
		for i := packetWords; i < tunnelWords; i += 2 {
			h = Mix(h, w[i], w[i+1])
		}
	}
	return h
}
