// Package vnet is what ports with virtio-net headers share: the header's
// codec, and the buffers that frames and large segments are read into.
//
// # Caveats
//
// Headers are the legacy ones of 10 bytes in the host's byte order, as
// AF_PACKET and TAP sockets have them unless told otherwise.
package vnet

import (
	"encoding/binary"
	"errors"

	"govs/datapath/packet"
)

// HeaderLen is the length of struct virtio_net_hdr in bytes.
const HeaderLen = 10

// Bits of virtio_net_hdr.flags (virtio 1.2, section 5.1.6).
const (
	flagNeedsCsum = 1
	flagDataValid = 2
)

// ErrHeader says that a header asks for something that this switch does not
// know: a kind of large segment beyond packet.GSO.
var ErrHeader = errors.New("virtio-net header with unknown kind of segment")

// Decode reads a header. Offsets are as the sender gave them: nobody has
// checked that they lie within the frame.
func Decode(b *[HeaderLen]byte) (packet.Offload, error) {
	var o packet.Offload
	flags, gso := b[0], packet.GSO(b[1])
	if flags == 0 && gso == packet.GSONone {
		return o, nil
	}
	o.NeedsCsum = flags&flagNeedsCsum != 0
	o.CsumValid = flags&flagDataValid != 0
	switch gso {
	case packet.GSONone, packet.GSOTCPv4, packet.GSOTCPv6, packet.GSOUDPL4,
		packet.GSOTCPv4 | packet.GSOECN, packet.GSOTCPv6 | packet.GSOECN:
	default:
		return packet.Offload{}, ErrHeader
	}
	o.GSO = gso
	if gso != packet.GSONone {
		o.HdrLen = binary.NativeEndian.Uint16(b[2:])
		o.GSOSize = binary.NativeEndian.Uint16(b[4:])
	}
	if o.NeedsCsum {
		o.CsumStart = binary.NativeEndian.Uint16(b[6:])
		o.CsumOffset = binary.NativeEndian.Uint16(b[8:])
	}
	return o, nil
}

// Encode writes the header of a frame. The kernel takes hdr_len for the part
// to keep in one piece, so it is worked out from the frame: what a host once
// told may be its whole segment.
func Encode(b *[HeaderLen]byte, o *packet.Offload, frame []byte) {
	*b = [HeaderLen]byte{}
	if o.GSO != packet.GSONone {
		b[1] = byte(o.GSO)
		n := int(o.CsumStart)
		switch {
		case o.GSO == packet.GSOUDPL4:
			n += 8
		case n+13 <= len(frame):
			n += int(frame[n+12]>>4) * 4
		default:
			n += 20
		}
		binary.NativeEndian.PutUint16(b[2:], uint16(min(n, len(frame))))
		binary.NativeEndian.PutUint16(b[4:], o.GSOSize)
	}
	if o.NeedsCsum {
		b[0] |= flagNeedsCsum
		binary.NativeEndian.PutUint16(b[6:], o.CsumStart)
		binary.NativeEndian.PutUint16(b[8:], o.CsumOffset)
	} else if o.CsumValid {
		b[0] |= flagDataValid
	}
}
