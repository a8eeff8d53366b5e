package atom

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
)

// UUID is a universally unique identifier, its bytes in the order of its text.
type UUID [16]byte

// New returns a new random UUID (version 4 of RFC 4122). Its bits come from the
// runtime's ChaCha8 generator, which the kernel seeds: UUIDs are to be unique, not
// secret, and a transaction takes several.
func New() UUID {
	var u UUID
	binary.BigEndian.PutUint64(u[:8], rand.Uint64())
	binary.BigEndian.PutUint64(u[8:], rand.Uint64())
	u[6] = u[6]&0x0f | 0x40
	u[8] = u[8]&0x3f | 0x80
	return u
}

// Zero reports whether all bits of u are zero.
func (u UUID) Zero() bool { return u == UUID{} }

// Compare orders UUIDs as their texts are ordered: -1, 0 or 1.
func (u UUID) Compare(v UUID) int { return bytes.Compare(u[:], v[:]) }

// Parse reads a UUID in its text form of 36 characters, hexadecimal digits of
// either case.
func Parse(s string) (UUID, bool) { return parse(s) }

// ParseBytes is Parse for bytes.
func ParseBytes(s []byte) (UUID, bool) { return parse(s) }

func parse[T string | []byte](s T) (u UUID, ok bool) {
	if len(s) != 36 {
		return UUID{}, false
	}
	at := 0
	for i := 0; i < 36; i += 2 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if s[i] != '-' {
				return UUID{}, false
			}
			i++
		}
		hi, lo := unhex[s[i]], unhex[s[i+1]]
		if hi == 0 || lo == 0 {
			return UUID{}, false
		}
		u[at] = (hi-1)<<4 | (lo - 1)
		at++
	}
	return u, true
}

// unhex holds a hexadecimal digit's value plus one, 0 for other bytes.
var unhex = func() (t [256]byte) {
	for i := range 10 {
		t['0'+i] = byte(i) + 1
	}
	for i := range 6 {
		t['a'+i] = byte(i) + 11
		t['A'+i] = byte(i) + 11
	}
	return
}()

// String returns the text form, in lower case.
func (u UUID) String() string { return string(u.Append(nil)) }

// Append appends the text form.
func (u UUID) Append(b []byte) []byte {
	var text [36]byte
	at := 0
	for i, c := range u {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		p := hexPairs[c]
		text[at], text[at+1] = byte(p), byte(p>>8)
		at += 2
	}
	return append(b, text[:]...)
}

// hexPairs holds the two digits of each byte, the first one in the low half.
var hexPairs = func() (t [256]uint16) {
	const hex = "0123456789abcdef"
	for c := range t {
		t[c] = uint16(hex[c>>4]) | uint16(hex[c&15])<<8
	}
	return
}()

// AppendJSON appends the wire form ["uuid","..."].
func (u UUID) AppendJSON(b []byte) []byte {
	b = append(b, `["uuid","`...)
	b = u.Append(b)
	return append(b, `"]`...)
}

// words returns the two halves as numbers whose order is that of the UUIDs.
func (u UUID) words() (hi, lo uint64) {
	return binary.BigEndian.Uint64(u[:8]), binary.BigEndian.Uint64(u[8:])
}
