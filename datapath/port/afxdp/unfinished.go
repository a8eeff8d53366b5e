package afxdp

import (
	"encoding/binary"

	"govs/datapath/header"
	"govs/datapath/packet"
)

// unfinished finds out whether a frame from this host has a transport checksum
// that covers the pseudo header only, which AF_XDP does not say. A whole checksum
// has the value of a partial one once in 65,536 frames; completing it again gives
// the same.
func unfinished(f []byte) packet.Offload {
	var none packet.Offload
	at, kind := 12, uint16(0)
	for {
		if len(f) < at+2 {
			return none
		}
		kind = binary.BigEndian.Uint16(f[at:])
		at += 2
		if !header.IsVLAN(kind) {
			break
		}
		at += 2
	}
	var (
		src, dst []byte
		proto    uint8
		length   int
	)
	switch kind {
	case header.TypeIPv4:
		if len(f) < at+20 {
			return none
		}
		h := header.IPv4(f[at:])
		n := h.HeaderLen()
		if h.Version() != 4 || n < 20 || h.Frag()&0x3fff != 0 {
			return none
		}
		src, dst, proto, length = h.Src(), h.Dst(), h.Proto(), h.TotalLen()-n
		at += n
	case header.TypeIPv6:
		if len(f) < at+40 {
			return none
		}
		h := header.IPv6(f[at:])
		if h.Version() != 6 {
			return none
		}
		src, dst, proto, length = h.Src(), h.Dst(), h.Next(), h.PayloadLen()
		at += 40
	default:
		return none
	}
	var offset int
	switch proto {
	case 6:
		offset = 16
	case 17:
		offset = 6
	default:
		return none
	}
	if length < offset+2 || len(f) < at+length {
		return none
	}
	field := binary.BigEndian.Uint16(f[at+offset:])
	if field == 0 || field != ^header.Fold(header.PseudoSum(src, dst, proto, length)) {
		return none
	}
	return packet.Offload{NeedsCsum: true, CsumStart: uint16(at), CsumOffset: uint16(offset)}
}
