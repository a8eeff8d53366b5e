package engine

import (
	"math/rand/v2"

	"govs/datapath/action"
	"govs/datapath/packet"
)

// show gives the packet to the sample's handler if chance will have it. Each
// frame that a large segment becomes has its own chance.
func (w *worker) show(p *packet.Packet, a *action.Show) {
	if a.To == nil {
		return
	}
	if p.Offload.GSO == packet.GSONone {
		if chosen(a.Probability) {
			w.hand(p, a)
		}
		return
	}
	c, err := packet.Cut(p)
	if err != nil {
		return // the output, if there is one, tells of it
	}
	for i := range c.Frames {
		if chosen(a.Probability) {
			q := c.Frame(i, w.e.pool)
			w.hand(q, a)
			q.Free()
		}
	}
}

// hand hands a frame over, with its checksum.
func (w *worker) hand(p *packet.Packet, a *action.Show) {
	if p.Offload.NeedsCsum {
		p = p.Clone()
		defer p.Free()
		if packet.CompleteChecksum(p) != nil {
			return
		}
	}
	a.To.Sampled(&action.Taken{Cookie: a.Cookie, In: w.key.InPort, TunnelPort: w.tunnelPort, Packet: p, Now: w.now})
}

func chosen(probability uint32) bool {
	return probability == 1<<32-1 || rand.Uint32() < probability
}
