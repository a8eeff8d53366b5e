package bond

import "math/bits"

// HashMAC is the hash by which balance-slb places the flows of a station: the
// low byte of MurmurHash3 (32 bits) of VLAN and address, two words, which is
// what the C switch prints for bond/hash.
func HashMAC(mac [6]byte, vlan uint16, basis uint32) uint8 {
	high := uint32(vlan)<<16 | uint32(mac[0])<<8 | uint32(mac[1])
	low := uint32(mac[2])<<24 | uint32(mac[3])<<16 | uint32(mac[4])<<8 | uint32(mac[5])
	return uint8(murmur(basis, low, high))
}

// murmur is MurmurHash3_x86_32 of words.
func murmur(seed uint32, words ...uint32) uint32 {
	h := seed
	for _, w := range words {
		w = bits.RotateLeft32(w*0xcc9e2d51, 15) * 0x1b873593
		h = bits.RotateLeft32(h^w, 13)*5 + 0xe6546b64
	}
	h ^= uint32(4 * len(words))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}
