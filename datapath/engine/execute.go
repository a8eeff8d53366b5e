package engine

import (
	"math/rand/v2"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
)

// execute carries the actions out. A packet that waits in a queue is not
// touched any more: a change after an output is made to a copy.
func (w *worker) execute(p *packet.Packet, actions []action.Action) {
	if len(actions) == 0 {
		w.drop(drop.Pipeline, p, nil)
		return
	}
	queued, cut := false, 0
	for i, a := range actions {
		switch a := a.(type) {
		case action.Output:
			if cut > 0 && p.Len() > cut {
				w.outputCut(p, a.Port, cut)
			} else {
				w.output(p, a.Port)
				queued = true
			}
			cut = 0
			continue
		case action.LBOutput:
			w.outputBond(p, a.Bond)
			queued = true
			continue
		case action.Truncate:
			cut = int(a.Len)
			continue
		case action.Userspace:
			w.slow(p)
			return
		case action.Meter:
			if !w.e.metered(a.ID, p, w.now) {
				w.drop(drop.Metered, p, nil)
				return
			}
			continue
		case action.Clone:
			w.aside(p, a.Actions)
			continue
		case action.Sample:
			if a.Probability > 0 && rand.Uint32() <= a.Probability {
				w.aside(p, a.Actions)
			}
			continue
		case action.Recirc:
			if i == len(actions)-1 && !queued {
				w.recirculate(p, a.ID)
				return
			}
			c := p.Clone()
			w.extra.Add(c)
			w.recirculate(c, a.ID)
			continue
		case action.Show:
			w.show(p, &a)
			continue
		case action.SetPriority:
			w.queueID = a.Queue
			continue
		case action.TunnelPush:
			w.encapsulate(p, &a, queued, cut, actions[i+1:])
			return
		case action.TunnelPop:
			last := i == len(actions)-1
			w.decapsulate(p, &a, queued || !last)
			if last {
				return
			}
			continue
		case action.Drop:
			w.drop(a.Reason, p, nil)
			return
		}
		if queued {
			p = p.Clone()
			w.extra.Add(p)
			queued = false
		}
		switch a := a.(type) {
		case action.PushVLAN:
			if !pushVLAN(p, a.Tag) {
				w.drop(drop.Headroom, p, nil)
				return
			}
		case action.PopVLAN:
			popVLAN(p)
		case action.PushEth:
			if !p.Bare {
				w.drop(drop.Rewrite, p, nil)
				return
			}
			copy(p.Bytes(), a.Dst[:])
			copy(p.Bytes()[6:], a.Src[:])
			p.Bare = false
		case action.PopEth:
			p.Bare = true
		case action.Set:
			if a.Group == "skb_mark" {
				w.key.PktMark = w.key.PktMark&^a.Mask.PktMark | a.Key.PktMark
				continue
			}
			set(p, &a)
		case action.PushMPLS:
			if !pushMPLS(p, a) {
				w.drop(drop.Rewrite, p, nil)
				return
			}
		case action.PopMPLS:
			popMPLS(p, a)
		}
	}
}

// aside carries actions out on a copy of the packet.
func (w *worker) aside(p *packet.Packet, actions []action.Action) {
	if len(actions) == 0 {
		return
	}
	c := p.Clone()
	w.extra.Add(c)
	mark, queueID := w.key.PktMark, w.queueID
	w.execute(c, actions)
	w.key.PktMark, w.queueID = mark, queueID
}

// maxPasses is how often a packet may go through the megaflows.
const maxPasses = 8

// recirculate takes a packet through the megaflows again.
func (w *worker) recirculate(p *packet.Packet, id uint32) {
	if w.pass+1 >= maxPasses {
		w.drop(drop.Recirc, p, nil)
		return
	}
	saved, mask := w.key, w.mask
	w.pass++
	w.tally.recirculated++
	flow.ExtractTags(p, saved.InPort, w.tags, &w.key)
	w.key.RecircID, w.key.PktMark = id, saved.PktMark
	w.look(p)
	w.pass--
	w.key, w.mask = saved, mask
}

// outputCut queues the beginning of a packet for a port, or that of each frame
// that a large segment becomes.
func (w *worker) outputCut(p *packet.Packet, no flow.PortNo, cut int) {
	short := func(q *packet.Packet) {
		if q.Len() > cut {
			q.Offload = packet.Offload{} // its checksum is of no use any more
			q.SetLen(cut)
		}
		w.extra.Add(q)
		w.output(q, no)
	}
	if p.Offload.GSO == packet.GSONone {
		short(p.Clone())
		return
	}
	var pieces packet.Batch
	if err := packet.Segment(p, w.e.pool, &pieces); err != nil {
		w.drop(drop.Segment, p, w.e.member(no))
		return
	}
	for _, q := range pieces.Packets {
		short(q)
	}
}

func pushVLAN(p *packet.Packet, tag flow.VLAN) bool {
	b := p.Push(header.VLANLen)
	if b == nil || len(b) < header.EthernetLen+header.VLANLen {
		return false
	}
	copy(b[:12], b[4:16])
	t := header.VLAN(b[12:])
	t.SetTPID(tag.TPID)
	if tag.TPID == 0 {
		t.SetTPID(flow.TPID8021Q)
	}
	t.SetTCI(tag.TCI &^ flow.VLANPresent)
	return true
}

func popVLAN(p *packet.Packet) {
	b := p.Bytes()
	if tags(b) == 0 {
		return
	}
	copy(b[4:16], b[:12])
	p.Pull(header.VLANLen)
}

// tags counts the VLAN tags of a frame, up to two.
func tags(b []byte) int {
	n := 0
	for at := 12; n < 2 && len(b) >= at+6 && header.IsVLAN(header.VLAN(b[at:]).TPID()); at += 4 {
		n++
	}
	return n
}

// output queues the packet for a port. There are no ports for packets without
// an Ethernet header.
func (w *worker) output(p *packet.Packet, no flow.PortNo) {
	to := w.e.member(no)
	if p.Bare {
		w.drop(drop.Rewrite, p, to)
		return
	}
	if to == nil {
		w.drop(drop.NoPort, p, nil)
		return
	}
	class := uint32(0)
	if s := to.stage.Load(); s != nil {
		if s.device != nil {
			class = s.class(w.queueID)
		} else if w.shape(s, p) {
			return
		}
	}
	q := w.queue(to)
	if q.class != class {
		if q.batch.Len() > 0 {
			w.transmit(q)
		}
		q.class = class
	}
	q.batch.Add(p)
	if q.batch.Len() == packet.MaxBatch {
		w.transmit(q)
	}
}

func (w *worker) queue(to *member) *queue {
	if int(to.no) >= len(w.slot) {
		w.slot = append(w.slot, make([]uint32, int(to.no)+1-len(w.slot))...)
	}
	if at := int(w.slot[to.no]); at < w.active && w.queues[at].to == to {
		return w.queues[at]
	}
	if w.active == len(w.queues) {
		w.queues = append(w.queues, new(queue))
	}
	w.slot[to.no] = uint32(w.active)
	q := w.queues[w.active]
	w.active++
	q.to, q.class = to, 0
	return q
}

// flush sends what waits in the queues.
func (w *worker) flush() {
	for _, q := range w.queues[:w.active] {
		if q.batch.Len() > 0 {
			w.transmit(q)
		}
		q.to = nil
	}
	w.active = 0
}
