package header

// IPv4 is an IPv4 header with its options (RFC 791).
type IPv4 []byte

// Parts of IPv4.Frag, and of IPv6Fragment.Offset.
const (
	IPv4MoreFragments = 0x2000
	IPv4DontFragment  = 0x4000
	IPv4OffsetMask    = 0x1fff // in units of 8 bytes
)

func (h IPv4) Version() int         { return int(h[0] >> 4) }
func (h IPv4) HeaderLen() int       { return int(h[0]&15) * 4 }
func (h IPv4) TOS() uint8           { return h[1] }
func (h IPv4) TotalLen() int        { return int(be.Uint16(h[2:])) }
func (h IPv4) ID() uint16           { return be.Uint16(h[4:]) }
func (h IPv4) Frag() uint16         { return be.Uint16(h[6:]) }
func (h IPv4) TTL() uint8           { return h[8] }
func (h IPv4) Proto() uint8         { return h[9] }
func (h IPv4) Checksum() uint16     { return be.Uint16(h[10:]) }
func (h IPv4) Src() []byte          { return h[12:16:16] }
func (h IPv4) Dst() []byte          { return h[16:20:20] }
func (h IPv4) SetTOS(v uint8)       { h[1] = v }
func (h IPv4) SetTotalLen(n int)    { be.PutUint16(h[2:], uint16(n)) }
func (h IPv4) SetID(v uint16)       { be.PutUint16(h[4:], v) }
func (h IPv4) SetFrag(v uint16)     { be.PutUint16(h[6:], v) }
func (h IPv4) SetTTL(v uint8)       { h[8] = v }
func (h IPv4) SetProto(v uint8)     { h[9] = v }
func (h IPv4) SetChecksum(v uint16) { be.PutUint16(h[10:], v) }

// SetVersion sets the version to 4 and the header's length in bytes.
func (h IPv4) SetVersion(headerLen int) { h[0] = 4<<4 | byte(headerLen/4) }

// UpdateChecksum fills the header checksum in.
func (h IPv4) UpdateChecksum() {
	h.SetChecksum(0)
	h.SetChecksum(Checksum(h[:h.HeaderLen()], 0))
}

// IPv6 is an IPv6 header without its extension headers (RFC 8200).
type IPv6 []byte

func (h IPv6) Version() int        { return int(h[0] >> 4) }
func (h IPv6) Class() uint8        { return h[0]<<4 | h[1]>>4 }
func (h IPv6) Label() uint32       { return be.Uint32(h[0:]) & 0xfffff }
func (h IPv6) PayloadLen() int     { return int(be.Uint16(h[4:])) }
func (h IPv6) Next() uint8         { return h[6] }
func (h IPv6) HopLimit() uint8     { return h[7] }
func (h IPv6) Src() []byte         { return h[8:24:24] }
func (h IPv6) Dst() []byte         { return h[24:40:40] }
func (h IPv6) SetPayloadLen(n int) { be.PutUint16(h[4:], uint16(n)) }
func (h IPv6) SetNext(v uint8)     { h[6] = v }
func (h IPv6) SetHopLimit(v uint8) { h[7] = v }

// SetVersion sets the version to 6, the traffic class and the flow label.
func (h IPv6) SetVersion(class uint8, label uint32) {
	be.PutUint32(h[0:], 6<<28|uint32(class)<<20|label&0xfffff)
}

// IPv6Fragment is the fragment extension header, of 8 bytes.
type IPv6Fragment []byte

// Offset is the place of the fragment in bytes.
func (h IPv6Fragment) Offset() int { return int(be.Uint16(h[2:]) &^ 7) }

// More says whether fragments follow.
func (h IPv6Fragment) More() bool { return h[3]&1 != 0 }
