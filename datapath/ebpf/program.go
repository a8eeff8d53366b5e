package ebpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// Fields of struct __sk_buff (linux/bpf.h).
const (
	skbLen         = 0
	skbVLANPresent = 20
	skbVLANTCI     = 24
	skbVLANProto   = 28
	skbIfindex     = 40
	skbGSOSize     = 176
)

// What TCX programs answer.
const (
	tcxNext = -1
	tcxDrop = 2
)

// The stack of a program.
const (
	sKey    = -80
	sMasked = -160
	sBuf    = -208
	// Each of the rest has 8 bytes to itself: so the verifier knows what it is.
	sIndex = -216
	sLoop  = -224
	sTotal = -232 // offset of the packet's end by its IP header
	sType  = -240 // 2 bytes
	sNow   = -248
	sOld   = -256
	sNew   = -264
	sWhere = -272
	sL3    = -280
	sL4    = -288
	sTags  = -296

	sFrames = -304 // 8 bytes, as the next three
	sSeg    = -312
	sRoom   = -320
	sShown  = -328
)

// A mode is where a program is attached.
type mode int

const (
	onSocket  mode = iota // filter of a port's packet socket: what passes goes to the engine
	onIngress             // TCX ingress of a port's device: nothing passes
	onEgress              // TCX egress of a TAP device: what passes goes to the engine
)

// maps are what the programs of one cache share.
type maps struct {
	devices *ebpf.Map // ifindex to place in ports
	ports   *ebpf.Map
	masks   *ebpf.Map
	flows   *ebpf.Map // raw key to places in lists and stats
	lists   *ebpf.Map // lists of actions
	stats   *ebpf.Map
	conf    *ebpf.Map
	pad     *ebpf.Map
	room    *ebpf.Map // in which a sample is put together
	ring    *ebpf.Map // samples for user space
}

// htons is n as the host reads it from a packet.
func htons(n uint16) int32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], n)
	return int32(binary.NativeEndian.Uint16(b[:]))
}

// program assembles the program of a mode.
//
// R6 is the packet throughout, R7 the port that it entered, R9 the scratch
// pad.
func program(m *maps, where mode) asm.Instructions {
	b := new(builder)
	unknown, miss := int32(tcxDrop), int32(tcxDrop)
	switch where {
	case onSocket:
		unknown, miss = 0, -1
	case onEgress:
		unknown, miss = tcxNext, tcxNext
	}
	b.add(asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Imm(asm.R1, 0))
	b.element(m.pad.FD(), asm.R1, "unknown")
	b.add(asm.Mov.Reg(asm.R9, asm.R0))
	if where == onIngress {
		// What the socket's filter found a moment ago holds.
		b.add(
			asm.LoadMem(asm.R1, asm.R9, sdVerdict, asm.Word),
			asm.JEq.Imm(asm.R1, verdictNone, "port"),
			asm.LoadMem(asm.R2, asm.R9, sdIfindex, asm.Word),
		)
		b.ctx(asm.R3, skbIfindex)
		b.add(asm.JNE.Reg(asm.R2, asm.R3, "port"))
		b.add(asm.LoadMem(asm.R2, asm.R9, sdLen, asm.Word))
		b.ctx(asm.R3, skbLen)
		b.add(asm.JEq.Reg(asm.R2, asm.R3, "decided"))
	}

	b.label("port")
	b.ctx(asm.R1, skbIfindex)
	b.put(sIndex, asm.R1, asm.Word)
	b.lookup(m.devices.FD(), sIndex)
	b.add(asm.JEq.Imm(asm.R0, 0, "unknown"))
	b.add(asm.LoadMem(asm.R1, asm.R0, 0, asm.Word))
	b.element(m.ports.FD(), asm.R1, "unknown")
	b.add(
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R1, asm.R7, pFlags, asm.Word),
		asm.And.Imm(asm.R1, portLive),
		asm.JEq.Imm(asm.R1, 0, "unknown"),
	)
	classify(b, m)

	b.label("police")
	police(b)

	if where == onSocket {
		b.ctx(asm.R1, skbIfindex)
		b.add(asm.StoreMem(asm.R9, sdIfindex, asm.R1, asm.Word))
		b.ctx(asm.R1, skbLen)
		b.add(
			asm.StoreMem(asm.R9, sdLen, asm.R1, asm.Word),
			asm.LoadMem(asm.R1, asm.R9, sdVerdict, asm.Word),
			asm.JEq.Imm(asm.R1, verdictMiss, "upcall"),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		)
		b.label("upcall")
		b.add(
			asm.Mov.Imm(asm.R1, 1),
			atomically(asm.AddAtomic, asm.R7, asm.R1, pUpcalls),
			asm.Mov.Imm(asm.R0, miss),
			asm.Return(),
		)
	} else {
		b.label("decided")
		b.add(
			asm.LoadMem(asm.R1, asm.R9, sdVerdict, asm.Word),
			asm.Mov.Imm(asm.R2, verdictNone),
			asm.StoreMem(asm.R9, sdVerdict, asm.R2, asm.Word),
			asm.JEq.Imm(asm.R1, verdictHit, "hit"),
			asm.JEq.Imm(asm.R1, verdictPoliced, "policed"),
			asm.Mov.Imm(asm.R0, miss),
			asm.Return(),
		)
		b.label("policed")
		b.add(asm.Mov.Imm(asm.R0, tcxDrop), asm.Return())
		b.label("hit")
		execute(b, m, where)
	}
	b.label("unknown")
	if where == onSocket {
		b.add(asm.Mov.Imm(asm.R1, 0))
		b.element(m.conf.FD(), asm.R1, "shut")
		b.add(
			asm.LoadMem(asm.R1, asm.R0, coOpen, asm.Word),
			asm.JEq.Imm(asm.R1, 0, "shut"),
			asm.Mov.Imm(asm.R0, miss),
			asm.Return(),
		)
		b.label("shut")
	}
	b.add(asm.Mov.Imm(asm.R0, unknown), asm.Return())
	return b.out
}

// classify fills the scratch pad: verdictHit and what to do, or verdictMiss.
// It ends at "police".
func classify(b *builder, m *maps) {
	// Whatever happens, the packet's length is known.
	b.ctx(asm.R1, skbVLANPresent)
	b.add(
		asm.Mov.Imm(asm.R2, 0),
		asm.JEq.Imm(asm.R1, 0, "untagged"),
		asm.Mov.Imm(asm.R2, 4),
	)
	b.label("untagged")
	b.add(asm.StoreMem(asm.R9, sdTag, asm.R2, asm.Word))
	b.ctx(asm.R1, skbLen)
	b.add(
		asm.StoreMem(asm.R9, sdSegLen, asm.R1, asm.Word),
		asm.Add.Reg(asm.R1, asm.R2),
		asm.StoreMem(asm.R9, sdBytes, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreMem(asm.R9, sdFrames, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 14),
		asm.StoreMem(asm.R9, sdL3, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R9, sdL4, asm.R1, asm.Word),
		asm.StoreMem(asm.R9, sdFlags, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, verdictMiss),
		asm.StoreMem(asm.R9, sdVerdict, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R7, pFlags, asm.Word),
		asm.And.Imm(asm.R1, portEmpty),
		asm.JNE.Imm(asm.R1, 0, "police"),
	)

	// Flows hold for as long as somebody looks after them.
	b.add(asm.FnKtimeGetCoarseNs.Call())
	b.put(sNow, asm.R0, asm.DWord)
	b.add(asm.Mov.Imm(asm.R1, 0))
	b.element(m.conf.FD(), asm.R1, "police")
	b.add(
		asm.LoadMem(asm.R8, asm.R0, coMasks, asm.Word),
		asm.JEq.Imm(asm.R8, 0, "police"),
		asm.LoadMem(asm.R1, asm.R0, coTags, asm.Word),
	)
	b.put(sTags, asm.R1, asm.DWord)
	b.add(asm.LoadMem(asm.R1, asm.R0, coUntil, asm.DWord))
	b.get(asm.R2, sNow, asm.DWord)
	b.add(asm.JGT.Reg(asm.R2, asm.R1, "police"))

	b.add(asm.Mov.Imm(asm.R1, 0))
	for at := int16(0); at < rawLen; at += 8 {
		b.put(sKey+at, asm.R1, asm.DWord)
	}
	parse(b)

	// One mask after the other. R8 is the number of masks.
	b.label("lookup")
	b.add(asm.Mov.Imm(asm.R1, 0))
	b.put(sLoop, asm.R1, asm.DWord)
	b.label("mask")
	b.get(asm.R1, sLoop, asm.DWord)
	b.add(
		asm.JGE.Imm(asm.R1, maxMasks, "police"),
		asm.JGE.Reg(asm.R1, asm.R8, "police"),
	)
	b.element(m.masks.FD(), asm.R1, "police")
	b.add(
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.JEq.Imm(asm.R1, 0, "next mask"), // the type is part of every mask that is used
	)
	for at := int16(0); at < rawLen; at += 8 {
		b.get(asm.R2, sKey+at, asm.DWord)
		b.add(asm.LoadMem(asm.R1, asm.R0, at, asm.DWord), asm.And.Reg(asm.R2, asm.R1))
		b.put(sMasked+at, asm.R2, asm.DWord)
	}
	b.get(asm.R1, sLoop, asm.DWord)
	b.put(sMasked+kMask, asm.R1, asm.Half)
	b.lookup(m.flows.FD(), sMasked)
	b.add(asm.JNE.Imm(asm.R0, 0, "found"))
	b.label("next mask")
	b.get(asm.R1, sLoop, asm.DWord)
	b.add(asm.Add.Imm(asm.R1, 1))
	b.put(sLoop, asm.R1, asm.DWord)
	b.add(asm.Ja.Label("mask"))

	b.label("found")
	b.add(
		asm.LoadMem(asm.R1, asm.R0, 4, asm.Word),
		asm.StoreMem(asm.R9, sdStat, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.Word),
		asm.StoreMem(asm.R9, sdList, asm.R1, asm.Word),
	)
	b.element(m.lists.FD(), asm.R1, "police")
	b.add(
		asm.LoadMem(asm.R1, asm.R0, laFlags, asm.Half),
		asm.JNE.Imm(asm.R1, 0, "police"),
		asm.LoadMem(asm.R1, asm.R0, laMax, asm.Word),
		asm.LoadMem(asm.R2, asm.R9, sdSegLen, asm.Word),
		asm.JGT.Reg(asm.R2, asm.R1, "police"),
		// Of what is dropped the engine sees some, for its samples.
		asm.LoadMem(asm.R1, asm.R0, laCount, asm.Half),
		asm.JNE.Imm(asm.R1, 0, "take"),
		asm.FnGetPrandomU32.Call(),
		asm.And.Imm(asm.R0, sampleDrops-1),
		asm.JEq.Imm(asm.R0, 0, "police"),
	)
	b.label("take")
	b.add(
		asm.Mov.Imm(asm.R1, verdictHit),
		asm.StoreMem(asm.R9, sdVerdict, asm.R1, asm.Word),
	)
}

// parse fills the key on the stack as flow.Extract would. What is malformed or
// rare goes to "police", as a miss: the engine knows what it is.
func parse(b *builder) {
	const miss = "police"
	b.add(asm.LoadMem(asm.R1, asm.R7, pNumber, asm.Word))
	b.put(sKey+kPort, asm.R1, asm.Word)
	b.load(asm.R0, 0, 14, miss)
	b.get(asm.R1, sBuf, asm.Word)
	b.put(sKey+kDst, asm.R1, asm.Word)
	b.get(asm.R1, sBuf+4, asm.Half)
	b.put(sKey+kDst+4, asm.R1, asm.Half)
	for at := int16(0); at < 6; at += 2 {
		b.get(asm.R1, sBuf+6+at, asm.Half)
		b.put(sKey+kSrc+at, asm.R1, asm.Half)
	}
	b.get(asm.R1, sBuf+12, asm.Half)
	b.put(sType, asm.R1, asm.Half)

	// The outer tag stands beside the packet, the inner one in it.
	b.ctx(asm.R2, skbVLANPresent)
	b.add(asm.JNE.Imm(asm.R2, 0, "tagged"))
	for _, tpid := range []uint16{0x8100, 0x88a8} {
		b.add(asm.JEq.Imm(asm.R1, htons(tpid), miss)) // the kernel could not take it off
	}
	b.add(asm.Ja.Label("type"))
	b.label("tagged")
	b.ctx(asm.R2, skbVLANProto)
	b.put(sKey+kTPID, asm.R2, asm.Half)
	b.ctx(asm.R2, skbVLANTCI)
	b.add(asm.Or.Imm(asm.R2, 0x1000))
	b.put(sKey+kTCI, asm.R2, asm.Half)
	for _, tpid := range []uint16{0x8100, 0x88a8} {
		b.add(asm.JEq.Imm(asm.R1, htons(tpid), "inner"))
	}
	b.add(asm.Ja.Label("type"))
	b.label("inner")
	b.get(asm.R2, sTags, asm.DWord)
	b.add(asm.JLT.Imm(asm.R2, 2, "type")) // payload
	b.put(sKey+kTPID2, asm.R1, asm.Half)
	b.load(asm.R0, 14, 4, miss)
	b.get(asm.R1, sBuf, asm.Half)
	b.add(asm.HostTo(asm.BE, asm.R1, asm.Half), asm.Or.Imm(asm.R1, 0x1000))
	b.put(sKey+kTCI2, asm.R1, asm.Half)
	b.get(asm.R1, sBuf+2, asm.Half)
	b.put(sType, asm.R1, asm.Half)
	b.add(
		asm.Mov.Imm(asm.R1, 18),
		asm.StoreMem(asm.R9, sdL3, asm.R1, asm.Word),
		asm.LoadMem(asm.R1, asm.R9, sdSegLen, asm.Word),
		asm.Sub.Imm(asm.R1, 4),
		asm.StoreMem(asm.R9, sdSegLen, asm.R1, asm.Word),
	)

	b.label("type")
	b.get(asm.R1, sType, asm.Half)
	b.put(sKey+kType, asm.R1, asm.Half)
	b.add(
		asm.JEq.Imm(asm.R1, htons(typeIPv4), "ipv4"),
		asm.JEq.Imm(asm.R1, htons(typeIPv6), "ipv6"),
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JLT.Imm(asm.R1, 0x600, miss),
	)
	b.ctx(asm.R1, skbGSOSize)
	b.add(asm.JNE.Imm(asm.R1, 0, miss), asm.Ja.Label("lookup"))

	ipv4(b, miss)
	ipv6(b, miss)
	transport(b, miss)
}

// ipv4 and ipv6 leave the transport header's offset in sdL4 and the packet's
// end in sTotal.
func ipv4(b *builder, miss string) {
	b.label("ipv4")
	b.add(asm.LoadMem(asm.R2, asm.R9, sdL3, asm.Word))
	b.load(asm.R2, 0, 20, miss)
	b.get(asm.R1, sBuf, asm.Byte)
	b.add(
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.RSh.Imm(asm.R2, 4),
		asm.JNE.Imm(asm.R2, 4, miss),
		asm.And.Imm(asm.R1, 15),
		asm.JLT.Imm(asm.R1, 5, miss),
		asm.LSh.Imm(asm.R1, 2),
	)
	b.get(asm.R2, sBuf+2, asm.Half)
	b.add(
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.JLT.Reg(asm.R2, asm.R1, miss),
		asm.LoadMem(asm.R3, asm.R9, sdL3, asm.Word),
		asm.Add.Reg(asm.R2, asm.R3),
	)
	b.ctx(asm.R4, skbLen)
	b.add(asm.JGT.Reg(asm.R2, asm.R4, miss))
	b.put(sTotal, asm.R2, asm.Word)
	b.add(asm.Add.Reg(asm.R1, asm.R3), asm.StoreMem(asm.R9, sdL4, asm.R1, asm.Word))
	b.get(asm.R1, sBuf+1, asm.Byte)
	b.put(sKey+kTOS, asm.R1, asm.Byte)
	b.get(asm.R1, sBuf+8, asm.Byte)
	b.put(sKey+kTTL, asm.R1, asm.Byte)
	b.get(asm.R1, sBuf+12, asm.Word)
	b.put(sKey+kIPSrc, asm.R1, asm.Word)
	b.get(asm.R1, sBuf+16, asm.Word)
	b.put(sKey+kIPDst, asm.R1, asm.Word)
	b.get(asm.R1, sBuf+9, asm.Byte)
	b.put(sKey+kProto, asm.R1, asm.Byte)
	b.get(asm.R2, sBuf+6, asm.Half)
	b.add(
		asm.HostTo(asm.BE, asm.R2, asm.Half),
		asm.And.Imm(asm.R2, 0x3fff),
		asm.JEq.Imm(asm.R2, 0, "whole"),
		asm.Mov.Imm(asm.R3, 1),
	)
	b.put(sKey+kFrag, asm.R3, asm.Byte)
	b.add(
		asm.And.Imm(asm.R2, 0x1fff),
		asm.JEq.Imm(asm.R2, 0, "whole"),
		asm.Mov.Imm(asm.R3, 3),
	)
	b.put(sKey+kFrag, asm.R3, asm.Byte)
	b.add(
		asm.Mov.Imm(asm.R3, 0),
		asm.StoreMem(asm.R9, sdL4, asm.R3, asm.Word),
	)
	b.ctx(asm.R1, skbGSOSize)
	b.add(asm.JNE.Imm(asm.R1, 0, miss), asm.Ja.Label("lookup"))
	b.label("whole") // the protocol is in R1
	b.add(
		asm.JEq.Imm(asm.R1, protoICMP, "icmp"),
		asm.JEq.Imm(asm.R1, protoIGMP, "icmp"),
		asm.Ja.Label("transport"),
	)
}

func ipv6(b *builder, miss string) {
	b.label("ipv6")
	b.add(asm.LoadMem(asm.R2, asm.R9, sdL3, asm.Word))
	b.load(asm.R2, 0, 40, miss)
	b.get(asm.R1, sBuf, asm.Word)
	b.add(
		asm.HostTo(asm.BE, asm.R1, asm.Word),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.RSh.Imm(asm.R2, 28),
		asm.JNE.Imm(asm.R2, 6, miss),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.And.Imm(asm.R2, 0xfffff),
	)
	b.put(sKey+kIPLabel, asm.R2, asm.Word)
	b.add(asm.RSh.Imm(asm.R1, 20), asm.And.Imm(asm.R1, 0xff))
	b.put(sKey+kTOS, asm.R1, asm.Byte)
	b.get(asm.R1, sBuf+4, asm.Half)
	b.add(
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.JEq.Imm(asm.R1, 0, miss),
		asm.LoadMem(asm.R2, asm.R9, sdL3, asm.Word),
		asm.Add.Imm(asm.R2, 40),
		asm.StoreMem(asm.R9, sdL4, asm.R2, asm.Word),
		asm.Add.Reg(asm.R1, asm.R2),
	)
	b.ctx(asm.R3, skbLen)
	b.add(asm.JGT.Reg(asm.R1, asm.R3, miss))
	b.put(sTotal, asm.R1, asm.Word)
	b.get(asm.R1, sBuf+7, asm.Byte)
	b.put(sKey+kTTL, asm.R1, asm.Byte)
	for at := int16(0); at < 16; at += 8 {
		b.get(asm.R1, sBuf+8+at, asm.DWord)
		b.put(sKey+kIPSrc+at, asm.R1, asm.DWord)
		b.get(asm.R1, sBuf+24+at, asm.DWord)
		b.put(sKey+kIPDst+at, asm.R1, asm.DWord)
	}
	b.get(asm.R1, sBuf+6, asm.Byte)
	b.put(sKey+kProto, asm.R1, asm.Byte)
	for _, extension := range []int32{0, 43, 44, 51, 60} {
		b.add(asm.JEq.Imm(asm.R1, extension, miss))
	}
	b.add(asm.JEq.Imm(asm.R1, protoICMPv6, "icmpv6"))
	b.label("transport") // the protocol is in R1
}

// transport reads what IP carries. The protocol is in R1.
func transport(b *builder, miss string) {
	// need goes to miss where the packet ends sooner; R2 becomes the offset.
	need := func(n int32) {
		b.add(asm.LoadMem(asm.R2, asm.R9, sdL4, asm.Word))
		b.get(asm.R3, sTotal, asm.Word)
		b.add(asm.Mov.Reg(asm.R4, asm.R2), asm.Add.Imm(asm.R4, n), asm.JGT.Reg(asm.R4, asm.R3, miss))
	}
	ports := func() {
		b.get(asm.R1, sBuf, asm.Word)
		b.put(sKey+kTPSrc, asm.R1, asm.Word)
	}
	b.add(
		asm.JEq.Imm(asm.R1, protoTCP, "tcp"),
		asm.JEq.Imm(asm.R1, protoUDP, "udp"),
		asm.JEq.Imm(asm.R1, protoSCTP, "sctp"),
	)
	b.add(asm.Ja.Label("plain"))

	b.label("icmp")
	need(8)
	b.add(asm.Ja.Label("code"))
	b.label("icmpv6")
	need(4)
	b.label("code")
	b.load(asm.R2, 0, 2, miss)
	b.get(asm.R1, sBuf, asm.Byte)
	b.put(sKey+kTPSrc+1, asm.R1, asm.Byte)
	b.get(asm.R1, sBuf+1, asm.Byte)
	b.put(sKey+kTPDst+1, asm.R1, asm.Byte)
	b.add(asm.Ja.Label("plain"))

	b.label("sctp")
	need(12)
	b.load(asm.R2, 0, 4, miss)
	ports()
	b.label("plain")
	b.ctx(asm.R1, skbGSOSize)
	b.add(asm.JNE.Imm(asm.R1, 0, miss), asm.Ja.Label("lookup"))

	b.label("udp")
	need(8)
	b.load(asm.R2, 0, 4, miss)
	ports()
	b.add(asm.Mov.Imm(asm.R2, 8), asm.Ja.Label("segment"))

	b.label("tcp")
	need(20)
	b.load(asm.R2, 0, 14, miss)
	ports()
	b.get(asm.R1, sBuf+12, asm.Half)
	b.add(
		asm.HostTo(asm.BE, asm.R1, asm.Half),
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.And.Imm(asm.R1, 0xfff),
		asm.StoreMem(asm.R9, sdFlags, asm.R1, asm.Word),
	)
	b.put(sKey+kFlags, asm.R1, asm.Half)
	b.add(asm.RSh.Imm(asm.R2, 12), asm.LSh.Imm(asm.R2, 2))

	// A large segment counts as the frames that it becomes. R2 is the length
	// of the transport header.
	b.label("segment")
	b.ctx(asm.R3, skbGSOSize)
	b.add(
		asm.JEq.Imm(asm.R3, 0, "lookup"),
		asm.JLT.Imm(asm.R2, 8, miss),
		asm.LoadMem(asm.R1, asm.R9, sdL4, asm.Word),
		asm.Add.Reg(asm.R2, asm.R1), // all headers
	)
	b.ctx(asm.R4, skbLen)
	b.get(asm.R5, sTotal, asm.Word)
	b.add(
		asm.JNE.Reg(asm.R4, asm.R5, miss),
		asm.JGE.Reg(asm.R2, asm.R4, miss),
		asm.Sub.Reg(asm.R4, asm.R2), // payload
		asm.Mov.Reg(asm.R5, asm.R4),
		asm.Add.Reg(asm.R5, asm.R3),
		asm.Sub.Imm(asm.R5, 1),
		asm.Div.Reg(asm.R5, asm.R3), // frames
		asm.StoreMem(asm.R9, sdFrames, asm.R5, asm.Word),
		// One segment, without the inner tag.
		asm.Add.Reg(asm.R3, asm.R2),
		asm.LoadMem(asm.R1, asm.R9, sdL3, asm.Word),
		asm.Sub.Imm(asm.R1, 14),
		asm.Sub.Reg(asm.R3, asm.R1),
		asm.StoreMem(asm.R9, sdSegLen, asm.R3, asm.Word),
		// All of them.
		asm.LoadMem(asm.R1, asm.R9, sdTag, asm.Word),
		asm.Add.Reg(asm.R2, asm.R1),
		asm.Mul.Reg(asm.R5, asm.R2),
		asm.Add.Reg(asm.R5, asm.R4),
		asm.StoreMem(asm.R9, sdBytes, asm.R5, asm.DWord),
	)
	b.add(asm.Ja.Label("lookup"))
}

// police makes the verdict verdictPoliced where the port's buckets are empty.
// A bucket is the time at which it would be full again: it is open while that
// is nearer than the time in which it fills, and a packet moves it on by what
// it costs. That is the arithmetic of package meter with one number instead
// of two, so that processors need no lock.
func police(b *builder) {
	b.add(
		asm.LoadMem(asm.R1, asm.R7, pFlags, asm.Word),
		asm.And.Imm(asm.R1, portPoliced),
		asm.JEq.Imm(asm.R1, 0, "conforms"),
		asm.FnKtimeGetNs.Call(),
		asm.Mov.Reg(asm.R8, asm.R0),
	)
	for _, at := range []int16{pBitCost, pPktCost} {
		full := fmt.Sprint("open ", at)
		b.add(
			asm.LoadMem(asm.R1, asm.R7, at, asm.DWord),
			asm.JEq.Imm(asm.R1, 0, full),
			asm.LoadMem(asm.R2, asm.R7, at+8, asm.DWord),
			asm.Add.Reg(asm.R2, asm.R8),
			asm.LoadMem(asm.R3, asm.R7, at+16, asm.DWord),
			asm.JGE.Reg(asm.R3, asm.R2, "full"),
		)
		b.label(full)
	}
	for _, at := range []int16{pBitCost, pPktCost} {
		again, later, taken := fmt.Sprint("again ", at), fmt.Sprint("later ", at), fmt.Sprint("taken ", at)
		b.add(
			asm.LoadMem(asm.R4, asm.R7, at, asm.DWord),
			asm.JEq.Imm(asm.R4, 0, taken),
		)
		if at == pBitCost {
			b.add(asm.LoadMem(asm.R1, asm.R9, sdBytes, asm.DWord))
		} else {
			b.add(asm.LoadMem(asm.R1, asm.R9, sdFrames, asm.Word))
		}
		b.add(
			asm.Mul.Reg(asm.R4, asm.R1),
			asm.RSh.Imm(asm.R4, 16),
			asm.Mov.Imm(asm.R5, 0),
		)
		b.label(again)
		b.add(
			asm.LoadMem(asm.R0, asm.R7, at+16, asm.DWord),
			asm.Mov.Reg(asm.R2, asm.R0),
			asm.JGE.Reg(asm.R2, asm.R8, later),
			asm.Mov.Reg(asm.R2, asm.R8),
		)
		b.label(later)
		b.add(
			asm.Add.Reg(asm.R2, asm.R4),
			asm.Mov.Reg(asm.R3, asm.R0),
			atomically(asm.CmpXchg, asm.R7, asm.R2, at+16),
			asm.JEq.Reg(asm.R0, asm.R3, taken),
			asm.Add.Imm(asm.R5, 1),
			asm.JLT.Imm(asm.R5, 8, again), // others were faster every time: this one is free
		)
		b.label(taken)
	}
	b.add(asm.Ja.Label("conforms"))
	b.label("full")
	b.add(
		asm.Mov.Imm(asm.R1, 1),
		atomically(asm.AddAtomic, asm.R7, asm.R1, pPoliced),
		asm.LoadMem(asm.R1, asm.R6, skbLen, asm.Word),
		asm.LoadMem(asm.R2, asm.R9, sdTag, asm.Word),
		asm.Add.Reg(asm.R1, asm.R2),
		atomically(asm.AddAtomic, asm.R7, asm.R1, pPolByte),
		asm.Mov.Imm(asm.R1, verdictPoliced),
		asm.StoreMem(asm.R9, sdVerdict, asm.R1, asm.Word),
	)
	b.label("conforms")
}
