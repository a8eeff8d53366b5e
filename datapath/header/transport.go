package header

// TCP is a TCP header with its options (RFC 9293).
type TCP []byte

// TCP flags.
const (
	FIN = 1 << iota
	SYN
	RST
	PSH
	ACK
	URG
	ECE
	CWR
	NS
)

func (h TCP) Src() uint16          { return be.Uint16(h[0:]) }
func (h TCP) Dst() uint16          { return be.Uint16(h[2:]) }
func (h TCP) Seq() uint32          { return be.Uint32(h[4:]) }
func (h TCP) HeaderLen() int       { return int(h[12]>>4) * 4 }
func (h TCP) Flags() uint16        { return be.Uint16(h[12:]) & 0x0fff }
func (h TCP) Checksum() uint16     { return be.Uint16(h[16:]) }
func (h TCP) SetSrc(v uint16)      { be.PutUint16(h[0:], v) }
func (h TCP) SetDst(v uint16)      { be.PutUint16(h[2:], v) }
func (h TCP) SetSeq(v uint32)      { be.PutUint32(h[4:], v) }
func (h TCP) SetChecksum(v uint16) { be.PutUint16(h[16:], v) }

// SetFlags sets the header's length in bytes and the twelve flag bits.
func (h TCP) SetFlags(headerLen int, flags uint16) {
	be.PutUint16(h[12:], uint16(headerLen/4)<<12|flags&0x0fff)
}

// UDP is a UDP header (RFC 768).
type UDP []byte

func (h UDP) Src() uint16          { return be.Uint16(h[0:]) }
func (h UDP) Dst() uint16          { return be.Uint16(h[2:]) }
func (h UDP) Len() int             { return int(be.Uint16(h[4:])) }
func (h UDP) Checksum() uint16     { return be.Uint16(h[6:]) }
func (h UDP) SetSrc(v uint16)      { be.PutUint16(h[0:], v) }
func (h UDP) SetDst(v uint16)      { be.PutUint16(h[2:], v) }
func (h UDP) SetLen(n int)         { be.PutUint16(h[4:], uint16(n)) }
func (h UDP) SetChecksum(v uint16) { be.PutUint16(h[6:], v) }

// SCTP is an SCTP common header (RFC 9260, section 3.1).
type SCTP []byte

func (h SCTP) Src() uint16          { return be.Uint16(h[0:]) }
func (h SCTP) Dst() uint16          { return be.Uint16(h[2:]) }
func (h SCTP) Checksum() uint32     { return be.Uint32(h[8:]) }
func (h SCTP) SetSrc(v uint16)      { be.PutUint16(h[0:], v) }
func (h SCTP) SetDst(v uint16)      { be.PutUint16(h[2:], v) }
func (h SCTP) SetChecksum(v uint32) { be.PutUint32(h[8:], v) }

// ICMP is the head of an ICMP or ICMPv6 message (RFC 792, RFC 4443).
type ICMP []byte

func (h ICMP) Type() uint8          { return h[0] }
func (h ICMP) Code() uint8          { return h[1] }
func (h ICMP) Checksum() uint16     { return be.Uint16(h[2:]) }
func (h ICMP) SetType(v uint8)      { h[0] = v }
func (h ICMP) SetCode(v uint8)      { h[1] = v }
func (h ICMP) SetChecksum(v uint16) { be.PutUint16(h[2:], v) }

// ICMPv6 types of neighbour discovery (RFC 4861), and the types of its
// options that carry link layer addresses.
const (
	NDSolicit   = 135
	NDAdvert    = 136
	NDSourceMAC = 1
	NDTargetMAC = 2
)

// ND is a neighbour solicitation or advertisement, from its ICMPv6 type on.
type ND []byte

func (h ND) Target() []byte { return h[8:24:24] }

// Options are the bytes behind the target.
func (h ND) Options() []byte { return h[24:] }
