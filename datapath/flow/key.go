// Package flow holds what the switch looks at in a packet: the key, the mask
// that says which of its bits mattered, and the parser that fills a key.
//
// A Key is one fixed block of 64-bit words without pointers or padding, so
// that it is masked, compared and hashed word by word. Field names follow
// ovs-fields(7). Multi-byte fields hold host-order numbers; addresses are
// bytes as on the wire.
//
// # Caveats
//
// A key has the fields of a packet's outer headers only, and two VLAN tags at
// the most: what stands behind a third tag is not looked at. An ICMP message's
// quoted packet is not either.
package flow

import "net/netip"

// PortNo is a port's number in the engine: one number space for all bridges.
// 0 is no port.
type PortNo uint32

// VLAN is one tag of a frame as the wire has it (IEEE 802.1Q, clause 9.6).
// TCI 0 with TPID 0 is no tag; a tag that is there has TCI bit VLANPresent set
// in a Key, whatever the frame says in its place (the DEI bit).
type VLAN struct {
	TPID uint16 // 0x8100 or 0x88a8
	TCI  uint16 // PCP, VLANPresent, VID
}

// The Ethernet types of a VLAN tag.
const (
	TPID8021Q  = 0x8100 // customer tag
	TPID8021AD = 0x88a8 // service tag
)

// Parts of VLAN.TCI.
const (
	VLANPresent = 0x1000
	VLANVIDMask = 0x0fff
	VLANPCPMask = 0xe000
)

// VID is the VLAN identifier, 0 where there is no tag.
func (v VLAN) VID() uint16 { return v.TCI & VLANVIDMask }

// PCP is the priority code point, 0 to 7.
func (v VLAN) PCP() uint8 { return uint8(v.TCI >> 13) }

// Present says whether there is a tag.
func (v VLAN) Present() bool { return v.TCI&VLANPresent != 0 }

// PacketTypeNS is the namespace of Ethernet types in packet_type, in its place in
// Key.PacketType.
const PacketTypeNS = 1 << 16

// Bare says whether the packet has no Ethernet header.
func (k *Key) Bare() bool { return k.PacketType != 0 }

// Bits of Key.Frag (nw_frag).
const (
	FragAny   = 1 // is a fragment
	FragLater = 2 // is not the first one
)

// Bits of Key.TunFlg (tun_flags), for a packet that came out of a tunnel.
const (
	TunDF   = 1 << iota // the outer header forbids fragments
	TunCsum             // it had a checksum over the packet
	TunKey              // it had a key
)

// TunV6 says whether the tunnel's ends have addresses of IPv6. (None of them has
// twelve zeros behind the first four bytes: that would be the address of all
// routers in a network.)
func (k *Key) TunV6() bool { return [12]byte(k.TunDst[4:]) != [12]byte{} }

// SetTunnel sets the addresses of the tunnel's ends.
func (k *Key) SetTunnel(src, dst netip.Addr) {
	k.TunSrc, k.TunDst = [16]byte{}, [16]byte{}
	copy(k.TunSrc[:], src.AsSlice())
	copy(k.TunDst[:], dst.AsSlice())
}

// TunnelEnds are the addresses of the tunnel's ends.
func (k *Key) TunnelEnds() (src, dst netip.Addr) {
	if k.TunV6() {
		return netip.AddrFrom16(k.TunSrc), netip.AddrFrom16(k.TunDst)
	}
	return netip.AddrFrom4([4]byte(k.TunSrc[:4])), netip.AddrFrom4([4]byte(k.TunDst[:4]))
}

// Tunnelled says whether the packet came out of a tunnel.
func (k *Key) Tunnelled() bool { return k.TunDst != [16]byte{} }

// A Key is everything that the switch may look at in a packet. A field that
// the packet does not have is zero.
type Key struct {
	InPort   PortNo // where the packet entered
	RecircID uint32 // 0 on the first pass

	EthDst  [6]byte
	EthSrc  [6]byte
	EthType uint16 // of the payload behind the VLAN tags; below 0x600 is an LLC frame: 0x05ff
	Frag    uint8  // FragAny, FragLater
	Proto   uint8  // nw_proto; the low byte of the opcode for ARP

	VLAN [2]VLAN // outermost first

	IPSrc [16]byte // IPv4 and ARP addresses stand in the first four bytes
	IPDst [16]byte

	TOS      uint8 // DSCP and ECN
	TTL      uint8
	TCPFlags uint16
	IPLabel  uint32 // IPv6 flow label

	TPSrc uint16 // TCP, UDP and SCTP port; ICMP and IGMP type
	TPDst uint16 // port, or ICMP code
	MPLS  uint32 // first label stack entry

	ARPSHA [6]byte // ARP source, ND source link layer
	ARPTHA [6]byte // ARP target, ND target link layer
	// PacketType is 0 for a frame, and for a packet without an Ethernet header
	// PacketTypeNS and its Ethernet type.
	PacketType uint32

	NDTarget [16]byte

	TunID   uint64
	TunSrc  [16]byte // IPv4 addresses stand in the first four bytes
	TunDst  [16]byte
	TunTOS  uint8
	TunTTL  uint8
	TunFlg  uint16
	PktMark uint32

	CTState uint32
	CTMark  uint32
	CTZone  uint16
	// Of a tunnel, too: the group and the flags of its policy (tun_gbp_id, tun_gbp_flags).
	TunGBPID    uint16
	TunGBPFlags uint8
	_           [3]byte
	CTLabel     [16]byte

	Metadata uint64
	Regs     [16]uint32
}

// A Mask has a bit set for each bit of a key that matters. It has a Key's
// layout, so that a field of the mask is named as that of the key.
type Mask Key
