package stream

import (
	"crypto/rand"
	"encoding/binary"
)

// nonce is a random number for temporary names.
func nonce() uint32 {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint32(b[:])
}
