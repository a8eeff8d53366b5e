package header

import (
	"encoding/binary"
	"math/bits"
)

// Sum adds bytes, as big-endian words of 16 bits, to a ones' complement sum
// (RFC 1071) and returns it folded to 16 bits. An odd last byte counts as
// padded with a zero, so only the last one of several slices may be odd.
func Sum(b []byte, sum uint64) uint64 {
	// The order of bytes does not matter as long as it is the same throughout
	// (RFC 1071, section 2 B): words of 64 bits are read as they stand, on
	// the processors that matter, and swapped back at the end.
	acc, c := uint64(bits.ReverseBytes16(fold(sum))), uint64(0)
	le := binary.LittleEndian
	for len(b) >= 64 {
		acc, c = bits.Add64(acc, le.Uint64(b), c)
		acc, c = bits.Add64(acc, le.Uint64(b[8:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[16:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[24:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[32:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[40:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[48:]), c)
		acc, c = bits.Add64(acc, le.Uint64(b[56:]), c)
		b = b[64:]
	}
	for len(b) >= 8 {
		acc, c = bits.Add64(acc, le.Uint64(b), c)
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	acc, c = bits.Add64(acc, le.Uint64(last[:]), c)
	acc, c = bits.Add64(acc, 0, c)
	return uint64(bits.ReverseBytes16(fold(acc + c)))
}

// fold makes 16 bits of a sum.
func fold(sum uint64) uint16 {
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>32 + sum&0xffffffff
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}

// Fold makes a checksum field of a sum: it folds it to 16 bits and inverts it.
func Fold(sum uint64) uint16 { return ^fold(sum) }

// Checksum is the checksum field for the bytes and what was summed before.
func Checksum(b []byte, sum uint64) uint16 { return Fold(Sum(b, sum)) }

// PseudoSum is the sum of the pseudo header of TCP, UDP and ICMPv6: addresses
// of 4 or of 16 bytes, the protocol and the length of what follows the IP
// headers (RFC 9293, section 3.1; RFC 8200, section 8.1).
func PseudoSum(src, dst []byte, proto uint8, length int) uint64 {
	return Sum(src, Sum(dst, uint64(proto)+uint64(length)))
}
