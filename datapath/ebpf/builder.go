package ebpf

import "github.com/cilium/ebpf/asm"

// A builder collects instructions. A label names the instruction that is
// added next.
type builder struct {
	out  asm.Instructions
	next string
}

func (b *builder) add(ins ...asm.Instruction) {
	for _, i := range ins {
		if b.next != "" {
			i = i.WithSymbol(b.next)
			b.next = ""
		}
		b.out = append(b.out, i)
	}
}

// label names the next instruction. Two names for one place need a jump that
// goes nowhere between them.
func (b *builder) label(name string) {
	if b.next != "" {
		b.add(asm.Ja.Label(name))
	}
	b.next = name
}

// lookup leaves in R0 the address of the map's element whose key stands on
// the stack at key, or 0.
func (b *builder) lookup(fd int, key int16) {
	b.add(
		asm.LoadMapPtr(asm.R1, fd),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, int32(key)),
		asm.FnMapLookupElem.Call(),
	)
}

// element is lookup for an array, whose index is in src. It goes to miss
// where there is none. The stack slot at sIndex is overwritten.
func (b *builder) element(fd int, src asm.Register, miss string) {
	b.add(asm.StoreMem(asm.RFP, sIndex, src, asm.Word))
	b.lookup(fd, sIndex)
	b.add(asm.JEq.Imm(asm.R0, 0, miss))
}

// load copies n bytes of the packet, from the offset in off (or at, where off
// is R0) on, to the stack at sBuf. It goes to miss where they are not there.
func (b *builder) load(off asm.Register, at int32, n int32, miss string) {
	b.add(asm.Mov.Reg(asm.R1, asm.R6))
	if off == asm.R0 {
		b.add(asm.Mov.Imm(asm.R2, at))
	} else {
		b.add(asm.Mov.Reg(asm.R2, off))
	}
	b.add(
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, sBuf),
		asm.Mov.Imm(asm.R4, n),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, miss),
	)
}

// ctx loads a word of struct __sk_buff.
func (b *builder) ctx(dst asm.Register, field int16) {
	b.add(asm.LoadMem(dst, asm.R6, field, asm.Word))
}

// stack loads from and stores to the stack.
func (b *builder) get(dst asm.Register, at int16, size asm.Size) {
	b.add(asm.LoadMem(dst, asm.RFP, at, size))
}

func (b *builder) put(at int16, src asm.Register, size asm.Size) {
	b.add(asm.StoreMem(asm.RFP, at, src, size))
}

// atomically is op on the memory at dst and offset. cilium/ebpf 0.22.0 leaves out
// which op it is when it encodes the instruction, so that all would add.
func atomically(op asm.AtomicOp, dst, src asm.Register, offset int16) asm.Instruction {
	i := op.Mem(dst, src, asm.DWord, offset)
	i.Constant = int64(op >> 8)
	return i
}
