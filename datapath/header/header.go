// Package header gives names to the bytes of protocol headers: each header is
// a slice type with getters and setters by offset.
//
//	ip := header.IPv4(frame[14:])
//	ip.SetTTL(ip.TTL() - 1)
//
// # Caveats
//
// Nothing is checked: a slice shorter than the header's Len constant makes
// its methods panic. Parsers look at lengths first. Setters of fields that a
// checksum covers leave the checksum alone, but for those named Update.
package header

import "encoding/binary"

var be = binary.BigEndian

// Ethernet is a frame from its destination address on (IEEE 802.3, clause 3).
type Ethernet []byte

// Lengths of headers in bytes, without options.
const (
	EthernetLen = 14
	VLANLen     = 4
	ARPLen      = 28
	IPv4Len     = 20
	IPv6Len     = 40
	TCPLen      = 20
	UDPLen      = 8
	SCTPLen     = 12
	ICMPLen     = 8
	ICMPv6Len   = 4
	NDLen       = 24 // ICMPv6 neighbour solicitation or advertisement
	MPLSLen     = 4
)

// Ethernet types.
const (
	TypeIPv4    = 0x0800
	TypeARP     = 0x0806
	TypeVLAN    = 0x8100
	TypeRARP    = 0x8035
	TypeIPv6    = 0x86dd
	TypeMPLS    = 0x8847
	TypeMPLSMul = 0x8848
	TypeQinQ    = 0x88a8
	TypeMin     = 0x0600 // smaller numbers are lengths
)

// IP protocols.
const (
	ProtoHopOpts  = 0
	ProtoICMP     = 1
	ProtoIGMP     = 2
	ProtoTCP      = 6
	ProtoUDP      = 17
	ProtoRouting  = 43
	ProtoGRE      = 47
	ProtoFragment = 44
	ProtoAH       = 51
	ProtoICMPv6   = 58
	ProtoDstOpts  = 60
	ProtoSCTP     = 132
)

func (h Ethernet) Dst() []byte      { return h[0:6:6] }
func (h Ethernet) Src() []byte      { return h[6:12:12] }
func (h Ethernet) Type() uint16     { return be.Uint16(h[12:]) }
func (h Ethernet) SetType(t uint16) { be.PutUint16(h[12:], t) }

// IsVLAN says whether an Ethernet type is that of a VLAN tag.
func IsVLAN(t uint16) bool { return t == TypeVLAN || t == TypeQinQ }

// VLAN is a tag and what follows: TPID and TCI (IEEE 802.1Q, clause 9), then
// the Ethernet type of what the tag stands before.
type VLAN []byte

func (h VLAN) TPID() uint16      { return be.Uint16(h[0:]) }
func (h VLAN) TCI() uint16       { return be.Uint16(h[2:]) }
func (h VLAN) SetTPID(t uint16)  { be.PutUint16(h[0:], t) }
func (h VLAN) SetTCI(tci uint16) { be.PutUint16(h[2:], tci) }

// ARP is an address resolution message for Ethernet and IPv4 (RFC 826).
type ARP []byte

func (h ARP) Op() uint16        { return be.Uint16(h[6:]) }
func (h ARP) SetOp(op uint16)   { be.PutUint16(h[6:], op) }
func (h ARP) SenderMAC() []byte { return h[8:14:14] }
func (h ARP) SenderIP() []byte  { return h[14:18:18] }
func (h ARP) TargetMAC() []byte { return h[18:24:24] }
func (h ARP) TargetIP() []byte  { return h[24:28:28] }

// IsIPv4 says whether the message is about IPv4 over Ethernet.
func (h ARP) IsIPv4() bool {
	return be.Uint16(h[0:]) == 1 && be.Uint16(h[2:]) == TypeIPv4 && h[4] == 6 && h[5] == 4
}

// SetIPv4 makes it so.
func (h ARP) SetIPv4() {
	be.PutUint16(h[0:], 1)
	be.PutUint16(h[2:], TypeIPv4)
	h[4], h[5] = 6, 4
}
