package tunnel

import (
	"fmt"

	"govs/datapath/header"
)

// The first byte of GTP-U is its version, 1, and the protocol type, 1 too, and
// three bits of which each says that four more bytes are there, the last of
// which says which extension header is next (3GPP TS 29.281, section 5.1).
const (
	gtpuVersion   = 0x30
	gtpuExtension = 0x04
	gtpuOptions   = 0x07
	gtpuPacket    = 255 // type of the message that carries a user's packet
)

// putGTPU writes the header of a user's packet that t holds behind it.
func (h *Header) putGTPU(t []byte) {
	t[0], t[1] = gtpuVersion, gtpuPacket
	be.PutUint16(t[2:], uint16(len(t)-gtpuLen))
	be.PutUint32(t[4:], h.Key)
}

// gtpu reads the header of a user's packet and skips its extensions. What it
// carries is told by the version of IP.
func (m *Meta) gtpu(t []byte) (n int, err error) {
	length := gtpuLen + int(be.Uint16(t[2:]))
	if t[0]&0xf0 != gtpuVersion || t[1] != gtpuPacket || length > len(t) {
		return 0, ErrHeader
	}
	m.Key = be.Uint32(t[4:])
	m.End -= len(t) - length
	t, n = t[:length], gtpuLen
	if t[0]&gtpuOptions == 0 {
		return n, m.version(t[n:])
	}
	if n += 4; len(t) < n {
		return 0, ErrHeader
	}
	for more := t[0]&gtpuExtension != 0 && t[n-1] != 0; more; more = t[n-1] != 0 {
		if len(t) <= n || t[n] == 0 || len(t) < n+4*int(t[n]) {
			return 0, ErrHeader
		}
		n += 4 * int(t[n])
	}
	return n, m.version(t[n:])
}

// version tells by the version of IP what is carried.
func (m *Meta) version(ip []byte) error {
	switch {
	case len(ip) > 0 && ip[0]>>4 == 4:
		m.Carries = header.TypeIPv4
	case len(ip) > 0 && ip[0]>>4 == 6:
		m.Carries = header.TypeIPv6
	default:
		return ErrHeader
	}
	return nil
}

// lengthLeftOut says whether the checksum of UDP is right but for GTP-U's length:
// Open vSwitch 3.1.0 sums up before it writes that.
func lengthLeftOut(b []byte, pseudo uint64) bool {
	return header.Checksum(b, pseudo+uint64(^be.Uint16(b[header.UDPLen+2:]))) == 0
}

func (h *Header) textGTPU() string {
	return fmt.Sprintf("gtpu(flags=%#x,msgtype=%d,teid=%#x)", gtpuVersion, gtpuPacket, h.Key)
}
