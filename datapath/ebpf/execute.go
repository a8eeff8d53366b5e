package ebpf

import "github.com/cilium/ebpf/asm"

// Codes of what a list of actions holds. An op is a code, a size or a flag, a
// number of 16 bits, one of 32, and 8 bytes of data:
//
//	code(1) arg(1) half(2) word(4) value(4) mask(4)
const (
	opOutput = 1 + iota // word: place of the port; arg 1: the last one
	opPush              // half: TPID; word: TCI
	opPop
	opSet  // arg: what the checksums need; half: offset; value, mask: of 4 bytes
	opShow // word: probability; value: number of the action
)

// Where the offset of opSet counts from, and the checksums that cover the
// bytes: bits of its arg.
const (
	setL3     = 1  // from the IP header; else from the frame's first byte
	setL4     = 2  // from the transport header
	setIPSum  = 4  // the IPv4 header's checksum covers the bytes
	setSum    = 8  // a transport checksum covers the bytes; its offset is in word's low half
	setPseudo = 16 // as part of the pseudo header
	setZero   = 32 // a checksum of 0 means none
)

// execute counts the packet and carries out its list of actions. R6, R7 and
// R9 are as in program; R7 becomes the list.
func execute(b *builder, m *maps, where mode) {
	b.add(asm.LoadMem(asm.R1, asm.R9, sdStat, asm.Word))
	b.element(m.stats.FD(), asm.R1, "drop")
	b.add(
		asm.Mov.Reg(asm.R8, asm.R0),
		asm.LoadMem(asm.R1, asm.R9, sdFrames, asm.Word),
		atomically(asm.AddAtomic, asm.R8, asm.R1, stPackets),
		asm.LoadMem(asm.R1, asm.R9, sdBytes, asm.DWord),
		atomically(asm.AddAtomic, asm.R8, asm.R1, stBytes),
		asm.Mov.Imm(asm.R1, 1),
		atomically(asm.AddAtomic, asm.R8, asm.R1, stSegs),
	)
	b.ctx(asm.R1, skbLen)
	b.add(
		asm.LoadMem(asm.R2, asm.R9, sdTag, asm.Word),
		asm.Add.Reg(asm.R1, asm.R2),
		atomically(asm.AddAtomic, asm.R8, asm.R1, stSegByte),
		asm.LoadMem(asm.R1, asm.R9, sdFlags, asm.Word),
		asm.LoadMem(asm.R2, asm.R8, stFlags, asm.DWord),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.Or.Reg(asm.R3, asm.R1),
		asm.JEq.Reg(asm.R3, asm.R2, "flags are known"),
		atomically(asm.OrAtomic, asm.R8, asm.R1, stFlags),
	)
	b.label("flags are known")
	b.add(
		asm.FnKtimeGetCoarseNs.Call(),
		asm.StoreMem(asm.R8, stUsed, asm.R0, asm.DWord),
		asm.LoadMem(asm.R1, asm.R8, stFirst, asm.DWord),
		asm.JNE.Imm(asm.R1, 0, "not the first"),
		asm.StoreMem(asm.R8, stFirst, asm.R0, asm.DWord),
	)
	b.label("not the first")

	b.add(asm.LoadMem(asm.R1, asm.R9, sdFrames, asm.Word))
	b.put(sFrames, asm.R1, asm.DWord)
	b.add(asm.LoadMem(asm.R1, asm.R9, sdSegLen, asm.Word))
	b.put(sSeg, asm.R1, asm.DWord)
	b.add(asm.LoadMem(asm.R1, asm.R9, sdL3, asm.Word))
	b.put(sL3, asm.R1, asm.Word)
	b.add(asm.LoadMem(asm.R1, asm.R9, sdL4, asm.Word))
	b.put(sL4, asm.R1, asm.Word)
	b.add(asm.LoadMem(asm.R1, asm.R9, sdList, asm.Word))
	b.element(m.lists.FD(), asm.R1, "drop")
	b.add(
		asm.Mov.Reg(asm.R7, asm.R0),
		asm.LoadMem(asm.R9, asm.R7, laCount, asm.Half), // the pad is not needed any more
		asm.Mov.Imm(asm.R1, 0),
	)
	b.put(sLoop, asm.R1, asm.DWord)

	b.label("op")
	b.get(asm.R1, sLoop, asm.DWord)
	b.add(
		asm.JGE.Imm(asm.R1, maxOps, "drop"),
		asm.JGE.Reg(asm.R1, asm.R9, "drop"),
		asm.LSh.Imm(asm.R1, 4),
		asm.Mov.Reg(asm.R8, asm.R7),
		asm.Add.Reg(asm.R8, asm.R1),
		asm.LoadMem(asm.R1, asm.R8, listHead, asm.Byte),
		asm.JEq.Imm(asm.R1, opOutput, "output"),
		asm.JEq.Imm(asm.R1, opSet, "set"),
		asm.JEq.Imm(asm.R1, opShow, "show"),
	)
	// The two that move the headers.
	b.ctx(asm.R2, skbLen)
	b.put(sWhere, asm.R2, asm.Word)
	b.add(
		asm.JEq.Imm(asm.R1, opPush, "push"),
		asm.JEq.Imm(asm.R1, opPop, "pop"),
		asm.Ja.Label("drop"),
	)
	b.label("push")
	b.add(
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMem(asm.R2, asm.R8, listHead+2, asm.Half),
		asm.LoadMem(asm.R3, asm.R8, listHead+4, asm.Word),
		asm.FnSkbVlanPush.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Ja.Label("moved"),
	)
	b.label("pop")
	b.add(
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.FnSkbVlanPop.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
	)
	b.label("moved")
	b.ctx(asm.R1, skbLen)
	b.get(asm.R2, sWhere, asm.Word)
	b.add(asm.Sub.Reg(asm.R1, asm.R2))
	for _, at := range []int16{sL3, sL4} {
		b.get(asm.R2, at, asm.Word)
		b.add(asm.Add.Reg(asm.R2, asm.R1))
		b.put(at, asm.R2, asm.Word)
	}
	b.add(asm.Ja.Label("next op"))

	set(b)
	show(b, m)
	output(b, m, where)

	b.label("next op")
	b.get(asm.R1, sLoop, asm.DWord)
	b.add(asm.Add.Imm(asm.R1, 1))
	b.put(sLoop, asm.R1, asm.DWord)
	b.add(asm.Ja.Label("op"))
	b.label("drop")
	b.add(asm.Mov.Imm(asm.R0, tcxDrop), asm.Return())
}

// set changes four bytes, and the checksums over them. R8 is the op.
func set(b *builder) {
	arg := func(bit int32, not string) {
		b.add(
			asm.LoadMem(asm.R1, asm.R8, listHead+1, asm.Byte),
			asm.And.Imm(asm.R1, bit),
			asm.JEq.Imm(asm.R1, 0, not),
		)
	}
	b.label("set")
	b.add(asm.LoadMem(asm.R2, asm.R8, listHead+2, asm.Half))
	arg(setL3, "not in IP")
	b.get(asm.R3, sL3, asm.Word)
	b.add(asm.Add.Reg(asm.R2, asm.R3))
	b.label("not in IP")
	arg(setL4, "not in transport")
	b.get(asm.R3, sL4, asm.Word)
	b.add(asm.JEq.Imm(asm.R3, 0, "next op"), asm.Add.Reg(asm.R2, asm.R3))
	b.label("not in transport")
	b.put(sWhere, asm.R2, asm.Word)
	b.load(asm.R2, 0, 4, "drop")
	b.get(asm.R1, sBuf, asm.Word)
	b.put(sOld, asm.R1, asm.Word)
	b.add(
		asm.LoadMem(asm.R2, asm.R8, listHead+8, asm.Word),
		asm.LoadMem(asm.R3, asm.R8, listHead+12, asm.Word),
		asm.Xor.Imm(asm.R3, -1),
		asm.And.Reg(asm.R1, asm.R3),
		asm.Or.Reg(asm.R1, asm.R2),
	)
	b.put(sNew, asm.R1, asm.Word)

	// Transport first: the helpers find the checksums by their offsets.
	arg(setSum, "no transport checksum")
	b.get(asm.R2, sL4, asm.Word)
	b.add(
		asm.JEq.Imm(asm.R2, 0, "no transport checksum"),
		asm.LoadMem(asm.R3, asm.R8, listHead+4, asm.Word),
		asm.Add.Reg(asm.R2, asm.R3),
		asm.Mov.Imm(asm.R5, 4),
		asm.LoadMem(asm.R1, asm.R8, listHead+1, asm.Byte),
		asm.Mov.Reg(asm.R3, asm.R1),
		asm.And.Imm(asm.R3, setPseudo), // which is BPF_F_PSEUDO_HDR
		asm.Or.Reg(asm.R5, asm.R3),
		asm.And.Imm(asm.R1, setZero), // which is BPF_F_MARK_MANGLED_0
		asm.Or.Reg(asm.R5, asm.R1),
		asm.Mov.Reg(asm.R1, asm.R6),
	)
	b.get(asm.R3, sOld, asm.Word)
	b.get(asm.R4, sNew, asm.Word)
	b.add(asm.FnL4CsumReplace.Call(), asm.JNE.Imm(asm.R0, 0, "drop"))
	b.label("no transport checksum")
	arg(setIPSum, "no IP checksum")
	b.get(asm.R2, sL3, asm.Word)
	b.add(
		asm.Add.Imm(asm.R2, 10),
		asm.Mov.Imm(asm.R5, 4),
		asm.Mov.Reg(asm.R1, asm.R6),
	)
	b.get(asm.R3, sOld, asm.Word)
	b.get(asm.R4, sNew, asm.Word)
	b.add(asm.FnL3CsumReplace.Call(), asm.JNE.Imm(asm.R0, 0, "drop"))
	b.label("no IP checksum")
	b.add(asm.Mov.Reg(asm.R1, asm.R6))
	b.get(asm.R2, sWhere, asm.Word)
	b.add(
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, sNew),
		asm.Mov.Imm(asm.R4, 4),
		asm.Mov.Imm(asm.R5, 1), // BPF_F_RECOMPUTE_CSUM, for a checksum over the whole packet
		asm.FnSkbStoreBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Ja.Label("next op"),
	)
}

// output sends the packet, or a copy where it is not the last time.
func output(b *builder, m *maps, where mode) {
	b.label("output")
	b.add(asm.LoadMem(asm.R1, asm.R8, listHead+4, asm.Word))
	b.element(m.ports.FD(), asm.R1, "next op")
	b.add(
		asm.LoadMem(asm.R3, asm.R0, pKind, asm.Word),
		asm.JEq.Imm(asm.R3, outNone, "next op"),
		asm.LoadMem(asm.R4, asm.R8, listHead+1, asm.Byte),
		asm.LoadMem(asm.R1, asm.R0, pIfindex, asm.Word),
		asm.JEq.Imm(asm.R4, 0, "copy"),
		asm.Mov.Imm(asm.R2, 0),
	)
	if where == onIngress {
		b.add(
			asm.JNE.Imm(asm.R3, outPeer, "no peer"),
			asm.FnRedirectPeer.Call(),
			asm.Return(),
		)
		b.label("no peer")
	}
	b.add(
		asm.JNE.Imm(asm.R3, outReceive, "send"),
		asm.Mov.Imm(asm.R2, 1), // BPF_F_INGRESS
	)
	b.label("send")
	b.add(asm.FnRedirect.Call(), asm.Return())

	b.label("copy")
	b.add(
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.JEq.Imm(asm.R3, outReceive, "copy in"),
		asm.Mov.Imm(asm.R3, 0),
		asm.FnCloneRedirect.Call(),
		asm.Ja.Label("next op"),
	)
	b.label("copy in")
	b.add(
		asm.Mov.Imm(asm.R3, 1),
		asm.FnCloneRedirect.Call(),
	)
}
