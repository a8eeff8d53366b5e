package engine

import (
	"maps"
	"sync/atomic"

	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

// Buckets is the number of a bond's buckets: one for each value of
// flow.Key.Balance.
const Buckets = 256

// A Bond says where action.LBOutput sends packets.
type Bond struct {
	Basis uint32
	Ports [Buckets]flow.PortNo    // 0 drops
	Load  *[Buckets]atomic.Uint64 // bytes sent are added to it; may be nil
}

// SetBond makes or replaces a bond, which must not change any more; nil takes
// it away. It holds for the next packet.
func (e *Engine) SetBond(id uint32, b *Bond) {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make(map[uint32]*Bond)
	if old := e.bonds.Load(); old != nil {
		maps.Copy(all, *old)
	}
	if b == nil {
		delete(all, id)
	} else {
		all[id] = b
	}
	e.bonds.Store(&all)
}

// Bonds are the bonds there are; to be read only.
func (e *Engine) Bonds() map[uint32]*Bond {
	if all := e.bonds.Load(); all != nil {
		return *all
	}
	return nil
}

// outputBond queues the packet in hand, of which w.key is the key, for the port
// that a bond has for it.
func (w *worker) outputBond(p *packet.Packet, id uint32) {
	b := w.e.Bonds()[id]
	if b == nil {
		w.drop(drop.NoPort, p, nil)
		return
	}
	h, _ := w.key.Balance(b.Basis, w.key.VLAN[0].VID())
	if b.Ports[h] == 0 {
		w.drop(drop.PortDown, p, nil)
		return
	}
	if b.Load != nil {
		_, bytes := wire(p)
		b.Load[h].Add(bytes)
	}
	w.output(p, b.Ports[h])
}
