package ebpf

import (
	"encoding/binary"

	"govs/datapath/flow"
)

// Sizes of the maps.
const (
	maxPorts = 4096
	maxFlows = 65536
	maxLists = 8192 // different lists of actions
	maxMasks = 16
	maxOps   = 24 // of one list
)

// sampleDrops is how many packets that are dropped there are for each that the
// engine drops, and so samples; a power of two.
const sampleDrops = 256

// rawLen is the length of a key in the map of flows, a multiple of 8.
const rawLen = 80

// A raw key is what the programs make of a packet, and look up under a mask.
// Numbers of the packet stand in its byte order, the others in the host's.
type raw [rawLen]byte

// Places in a raw key.
const (
	kMask    = 0  // 2 bytes: number of the mask, in the map only
	kType    = 2  // 2: EthType
	kPort    = 4  // 4: InPort, host's order
	kDst     = 8  // 6
	kFrag    = 14 // 1
	kProto   = 15 // 1
	kSrc     = 16 // 6
	kTOS     = 22 // 1
	kTTL     = 23 // 1
	kTPID    = 24 // 2
	kTCI     = 26 // 2, host's order
	kTPID2   = 28 // 2
	kTCI2    = 30 // 2, host's order
	kTPSrc   = 32 // 2
	kTPDst   = 34 // 2
	kFlags   = 36 // 2: TCP flags, host's order
	kIPSrc   = 40 // 16
	kIPDst   = 56 // 16
	kIPLabel = 72 // 4, host's order
)

// fill writes the fields of a key, or those of a mask, that a raw key has.
func (r *raw) fill(k *flow.Key) {
	be, ne := binary.BigEndian, binary.NativeEndian
	*r = raw{}
	be.PutUint16(r[kType:], k.EthType)
	ne.PutUint32(r[kPort:], uint32(k.InPort))
	copy(r[kDst:], k.EthDst[:])
	r[kFrag], r[kProto] = k.Frag, k.Proto
	copy(r[kSrc:], k.EthSrc[:])
	r[kTOS], r[kTTL] = k.TOS, k.TTL
	be.PutUint16(r[kTPID:], k.VLAN[0].TPID)
	ne.PutUint16(r[kTCI:], k.VLAN[0].TCI)
	be.PutUint16(r[kTPID2:], k.VLAN[1].TPID)
	ne.PutUint16(r[kTCI2:], k.VLAN[1].TCI)
	be.PutUint16(r[kTPSrc:], k.TPSrc)
	be.PutUint16(r[kTPDst:], k.TPDst)
	ne.PutUint16(r[kFlags:], k.TCPFlags)
	copy(r[kIPSrc:], k.IPSrc[:])
	copy(r[kIPDst:], k.IPDst[:])
	ne.PutUint32(r[kIPLabel:], k.IPLabel)
}

func (r *raw) and(m *raw) {
	for i := range r {
		r[i] &= m[i]
	}
}

// Ethernet types and protocols that the programs look into.
const (
	typeIPv4 = 0x0800
	typeIPv6 = 0x86dd

	protoICMP   = 1
	protoIGMP   = 2
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
)

// l2 are the fields that the programs know of every frame.
const l2 = flow.InPort | flow.RecircID | flow.EthDst | flow.EthSrc | flow.EthType | flow.OuterTag | flow.InnerTag

// known is a mask of the fields of which the programs have the engine's view,
// for packets that are like the key in type and protocol.
func known(k *flow.Key) (m flow.Mask) {
	m.Add(l2)
	m.VLAN[0].TCI, m.VLAN[1].TCI = 0xffff, 0xffff
	switch k.EthType {
	case typeIPv4:
		m.Add(flow.Frag | flow.Proto | flow.IPv6Src | flow.IPv6Dst | flow.TOS | flow.TTL | flow.TPSrc | flow.TPDst | flow.TCPFlags | flow.IPLabel)
	case typeIPv6:
		m.Add(flow.Frag | flow.Proto | flow.IPv6Src | flow.IPv6Dst | flow.TOS | flow.TTL | flow.TPSrc | flow.TPDst | flow.TCPFlags | flow.IPLabel)
	}
	return m
}

// parses says whether the programs parse frames of that type: those with a
// length in its place are left to the engine.
func parses(t uint16) bool { return t >= 0x0600 }

// Places in an element of the map of ports, whose length is portLen.
const (
	portLen = 96

	pIfindex = 0
	pNumber  = 4
	pFlags   = 8
	pKind    = 12
	pBitCost = 16 // nanoseconds a byte, in 1/65536
	pBitTime = 24 // nanoseconds in which a full bucket runs empty
	pBitDue  = 32 // when the bucket would be full, on the monotonic clock
	pPktCost = 40 // the same for packets
	pPktTime = 48
	pPktDue  = 56
	pPoliced = 64 // packets dropped
	pPolByte = 72 // their bytes
	pUpcalls = 80 // packets left to the engine
)

// Bits of pFlags.
const (
	portLive    = 1 // packets are looked at
	portPoliced = 2
	portEmpty   = 4 // no flows: everything goes to the engine
)

// Kinds of output, in pKind.
const (
	outNone    = 0
	outDevice  = 1 // the device sends it
	outPeer    = 2 // the device's peer, in another namespace, receives it
	outReceive = 3 // the device receives it: a TAP device, whose other side is the switch
)

// Places in an element of the map of statistics.
const (
	statLen = 64

	stPackets = 0 // frames on the wire
	stBytes   = 8
	stSegs    = 16 // packets as the kernel counts them: a large segment is one
	stSegByte = 24
	stUsed    = 32 // monotonic nanoseconds
	stFirst   = 40
	stFlags   = 48 // TCP flags
)

// Places in a list of actions.
const (
	listHead = 8
	opLen    = 16
	listLen  = listHead + maxOps*opLen

	laCount = 0 // 2 bytes
	laFlags = 2 // 2 bytes
	laMax   = 4 // 4 bytes: longest packet, as MTU + 14

	listEngine = 1 // in laFlags: left to the engine
)

// Places in the configuration.
const (
	confLen = 64

	coUntil = 0  // until when flows hold, on the monotonic clock
	coMasks = 8  // masks in use
	coTags  = 12 // VLAN tags that count, 1 or 2
	coOpen  = 16 // 1: what enters by an unknown device is the engine's
)

// Places in the scratch pad that the socket filter and the ingress program of
// one processor share.
const (
	padLen = 64

	sdVerdict = 0 // 4 bytes
	sdIfindex = 4 // 4
	sdLen     = 8 // 4
	sdList    = 12
	sdStat    = 16
	sdFrames  = 20
	sdBytes   = 24 // 8
	sdL3      = 32 // 4: offset of the IP header
	sdL4      = 36 // 4: offset of the transport header, 0 where there is none
	sdSegLen  = 40 // 4: length of a frame on the wire without tags
	sdFlags   = 44 // 4: TCP flags
	sdTag     = 48 // 4: 4 where a VLAN tag travels beside the packet, else 0
)

// Verdicts.
const (
	verdictNone = iota
	verdictMiss
	verdictHit
	verdictPoliced
)
