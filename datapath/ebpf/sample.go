package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/ringbuf"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
)

// mostShown is the highest probability of a sample that the programs draw: at
// a higher one the engine, which sees every packet, is quicker.
const mostShown = 1 << 32 / 16

// A sample in the ring is showHead bytes of these, and the frame.
const (
	showHead = 24
	showMax  = 9600 // bytes of a frame; longer ones are the engine's

	shID   = 0  // 4: of the action
	shTCI  = 4  // 4: of a tag that travels beside the packet
	shTPID = 8  // 4: its type, in the packet's order; 0 where there is none
	shGSO  = 12 // 4: payload of a frame, of a large segment
	shLen  = 16 // 4: of the frame that follows

	showLen = showHead + showMax // of the room in which it is put together
	ringLen = 1 << 21
)

// A shown is an action Show of packets that enter by one port.
type shown struct {
	show action.Show
	in   flow.PortNo
}

// A showUse is one that lists have.
type showUse struct {
	shown
	refs int
}

// showID is the number by which programs know the action; false where they
// cannot carry it out.
func (c *Cache) showID(a action.Show, in flow.PortNo) (uint32, bool) {
	if c.samples == nil || a.Probability > mostShown || !reflect.ValueOf(a).Comparable() {
		return 0, false
	}
	s := shown{a, in}
	id, ok := c.showAt[s]
	if !ok {
		c.lastShow++
		id = c.lastShow
		c.showAt[s] = id
		c.shows[id] = &showUse{shown: s}
		c.fresh = append(c.fresh, id)
	}
	return id, true
}

// useShow counts a list that has the action, or has it no more.
func (c *Cache) useShow(id uint32, by int) {
	u := c.shows[id]
	if u == nil {
		return
	}
	if u.refs += by; u.refs <= 0 {
		delete(c.shows, id)
		delete(c.showAt, u.shown)
	}
}

// forgetFresh gives up numbers that came into no list after all.
func (c *Cache) forgetFresh() {
	for _, id := range c.fresh {
		c.useShow(id, 0)
	}
	c.fresh = c.fresh[:0]
}

// listen hands samples over until the ring is closed.
func (c *Cache) listen() {
	var r ringbuf.Record
	pool := new(packet.Pool)
	for {
		err := c.samples.ReadInto(&r)
		if errors.Is(err, ringbuf.ErrClosed) {
			return
		}
		if err != nil {
			c.log.Warn(fmt.Sprintf("a sample could not be read: %v", err))
			continue
		}
		ne := binary.NativeEndian
		b := r.RawSample
		if len(b) < showHead || len(b) < showHead+int(ne.Uint32(b[shLen:])) {
			continue
		}
		c.mu.Lock()
		u := c.shows[ne.Uint32(b[shID:])]
		c.mu.Unlock()
		if u == nil {
			continue // the flow is gone
		}
		p := pool.From(restore(b))
		u.show.To.Sampled(&action.Taken{Cookie: u.show.Cookie, In: u.in, Packet: p, Now: time.Now()})
		p.Free()
	}
}

// restore makes a frame of a sample, as it would be on the wire: with its tag,
// of a large segment the first piece, and with its checksums.
func restore(b []byte) []byte {
	ne := binary.NativeEndian
	tpid, tci := ne.Uint32(b[shTPID:]), ne.Uint32(b[shTCI:])
	frame := b[showHead : showHead+ne.Uint32(b[shLen:])]
	if tpid != 0 {
		// The head's room takes the tag.
		tagged := b[showHead-4 : showHead+len(frame)]
		copy(tagged, frame[:12])
		ne.PutUint16(tagged[12:], uint16(tpid))
		binary.BigEndian.PutUint16(tagged[14:], uint16(tci))
		frame = tagged
	}
	at := 12
	for at+6 <= len(frame) && header.IsVLAN(binary.BigEndian.Uint16(frame[at:])) {
		at += 4
	}
	complete(frame[min(at, len(frame)):], ne.Uint32(b[shGSO:]) != 0)
	return frame
}

// complete sets the checksums of what begins with an EtherType, and for the
// piece of a large segment the lengths.
func complete(f []byte, piece bool) {
	be := binary.BigEndian
	if len(f) < 2 {
		return
	}
	ip := f[2:]
	var proto uint8
	var src, dst, payload []byte
	switch {
	case be.Uint16(f) == header.TypeIPv4 && len(ip) >= 20:
		h := header.IPv4(ip)
		if h.HeaderLen() < 20 || len(ip) < h.HeaderLen() || h.Frag()&0x3fff != 0 {
			return
		}
		if piece {
			h.SetTotalLen(len(ip))
			h.UpdateChecksum()
		}
		if h.TotalLen() < h.HeaderLen() || h.TotalLen() > len(ip) {
			return
		}
		proto, src, dst, payload = h.Proto(), h.Src(), h.Dst(), ip[h.HeaderLen():h.TotalLen()]
	case be.Uint16(f) == header.TypeIPv6 && len(ip) >= 40:
		h := header.IPv6(ip)
		if piece {
			h.SetPayloadLen(len(ip) - 40)
		}
		if 40+h.PayloadLen() > len(ip) {
			return
		}
		proto, src, dst, payload = h.Next(), h.Src(), h.Dst(), ip[40:40+h.PayloadLen()]
	default:
		return
	}
	var sum []byte
	none := uint16(0) // a sum of 0 that stands for none
	switch {
	case proto == header.ProtoTCP && len(payload) >= 20:
		sum = payload[16:18]
	case proto == header.ProtoUDP && len(payload) >= 8:
		if piece {
			header.UDP(payload).SetLen(len(payload))
		}
		if sum = payload[6:8]; be.Uint16(sum) == 0 && !piece {
			return // it has none
		}
		none = 0xffff
	default:
		return
	}
	be.PutUint16(sum, 0)
	v := header.Checksum(payload, header.PseudoSum(src, dst, proto, len(payload)))
	if v == 0 {
		v = none
	}
	be.PutUint16(sum, v)
}

// show draws whether the packet is shown, and puts it into the ring. Each of
// the frames that a large segment becomes has its chance; one at the most is
// shown, which is the first. R8 is the op.
func show(b *builder, m *maps) {
	b.label("show")
	b.add(asm.FnGetPrandomU32.Call())
	b.get(asm.R1, sFrames, asm.DWord)
	b.add(
		asm.LoadMem(asm.R2, asm.R8, listHead+4, asm.Word),
		asm.Mul.Reg(asm.R1, asm.R2),
		asm.JGT.Reg(asm.R0, asm.R1, "next op"),
		asm.Mov.Imm(asm.R1, 0),
	)
	b.element(m.room.FD(), asm.R1, "next op")
	b.put(sRoom, asm.R0, asm.DWord)
	b.add(
		asm.LoadMem(asm.R1, asm.R8, listHead+8, asm.Word),
		asm.StoreMem(asm.R0, shID, asm.R1, asm.Word),
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.R0, shTPID, asm.R1, asm.Word),
	)
	b.ctx(asm.R1, skbVLANPresent)
	b.add(asm.JEq.Imm(asm.R1, 0, "no tag beside"))
	b.ctx(asm.R1, skbVLANProto)
	b.add(asm.StoreMem(asm.R0, shTPID, asm.R1, asm.Word))
	b.ctx(asm.R1, skbVLANTCI)
	b.add(asm.StoreMem(asm.R0, shTCI, asm.R1, asm.Word))
	b.label("no tag beside")
	b.ctx(asm.R1, skbGSOSize)
	b.add(asm.StoreMem(asm.R0, shGSO, asm.R1, asm.Word))
	// One frame, with the tags that are in it.
	b.get(asm.R4, sSeg, asm.DWord)
	b.get(asm.R1, sL3, asm.Word)
	b.add(
		asm.Add.Reg(asm.R4, asm.R1),
		asm.Sub.Imm(asm.R4, 14),
		asm.JGT.Imm(asm.R4, showMax, "next op"),
		asm.JLT.Imm(asm.R4, 14, "next op"),
		asm.StoreMem(asm.R0, shLen, asm.R4, asm.Word),
	)
	b.put(sShown, asm.R4, asm.DWord)
	b.add(
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, 0),
		asm.Mov.Reg(asm.R3, asm.R0),
		asm.Add.Imm(asm.R3, showHead),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "next op"),
		asm.LoadMapPtr(asm.R1, m.ring.FD()),
	)
	b.get(asm.R2, sRoom, asm.DWord)
	b.get(asm.R3, sShown, asm.DWord)
	b.add(
		asm.JGT.Imm(asm.R3, showMax, "next op"), // as above, for the verifier
		asm.Add.Imm(asm.R3, showHead),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnRingbufOutput.Call(),
		asm.Ja.Label("next op"),
	)
}
