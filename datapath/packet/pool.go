package packet

import "sync"

// smallBuffer is the room for a frame of the usual MTUs, in bytes.
const smallBuffer = 2048 - Headroom

// A Pool keeps packets for reuse: small ones for frames of the usual MTUs and
// large ones for whole segments. Pools are safe for concurrent use; the zero
// value is ready.
type Pool struct {
	small, large sync.Pool
}

// Get returns an empty packet with room for at least size bytes, a full
// Headroom in front of it and no offload. It panics when size is larger than
// MaxFrame.
func (p *Pool) Get(size int) *Packet {
	if size > MaxFrame {
		panic("packet: larger than MaxFrame")
	}
	return p.get(size)
}

// get is Get that gives up head-room where size is larger than MaxFrame: a
// frame of that length to which tags were pushed has to be copied, too. There
// is room for Headroom bytes beyond MaxFrame.
func (p *Pool) get(size int) *Packet {
	from, room := &p.small, smallBuffer
	if size > smallBuffer {
		from, room = &p.large, MaxFrame
	}
	pkt, ok := from.Get().(*Packet)
	if !ok {
		pkt = &Packet{buf: make([]byte, Headroom+room), pool: p}
	}
	pkt.off = min(Headroom, len(pkt.buf)-size)
	pkt.end, pkt.Offload, pkt.Bare, pkt.Mergeable = pkt.off, Offload{}, false, false
	return pkt
}

// From returns a packet that holds a copy of frame: one of MaxFrame bytes at
// the most, or what another packet holds.
func (p *Pool) From(frame []byte) *Packet {
	pkt := p.get(len(frame))
	pkt.SetLen(copy(pkt.Buffer(), frame))
	return pkt
}

func (p *Pool) put(pkt *Packet) {
	if len(pkt.buf) > Headroom+smallBuffer {
		p.large.Put(pkt)
		return
	}
	p.small.Put(pkt)
}
