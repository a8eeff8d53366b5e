package engine

import (
	"slices"

	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
)

// transmit gives a queue to its port, after completing what the port cannot
// take.
func (w *worker) transmit(q *queue) {
	st := q.to.port.State()
	b := w.merge(q, &st)
	for i, p := range b.Packets {
		if !fits(p, &st) {
			w.complete(q, b.Packets, &st, i)
			b = &w.ready
			break
		}
	}
	for rest := b.Packets; len(rest) > 0; {
		n := min(len(rest), packet.MaxBatch)
		w.chunk.Packets = rest[:n:n]
		rest = rest[n:]
		w.tally.sends++
		w.tally.sent += uint64(n)
		q.to.sending.Lock()
		if s := q.to.stage.Load(); s != nil && s.device != nil {
			s.device.Select(q.class)
		}
		err := q.to.port.Send(&w.chunk)
		q.to.sending.Unlock()
		if err != nil {
			for _, p := range w.chunk.Packets {
				w.dropOut(drop.NoPort, p, q.to)
			}
			w.e.fail(q.to, err)
		}
	}
	w.chunk.Packets = nil
	w.ready.Reset()
	w.merged.Reset()
	q.batch.Reset()
}

// merge is the queue's batch, with large segments made of packets that were cut
// on their way, where the port takes such.
func (w *worker) merge(q *queue, st *port.State) *packet.Batch {
	o := &st.Offloads
	if q.from != nil || !o.Csum || !o.TSO4 && !o.TSO6 || q.batch.Len() < 2 || !slices.ContainsFunc(q.batch.Packets, func(p *packet.Packet) bool { return p.Mergeable }) {
		return &q.batch
	}
	w.merged.Reset()
	packet.Merge(q.batch.Packets, o.TSO4, o.TSO6, w.e.pool, &w.merged, &w.extra)
	return &w.merged
}

// fits says whether the port takes the packet as it is.
func fits(p *packet.Packet, st *port.State) bool {
	if !st.Admin {
		return false
	}
	if p.Offload.GSO != packet.GSONone {
		return takes(p.Offload.GSO, &st.Offloads) && short(p, st.MTU)
	}
	if p.Offload.NeedsCsum && !st.Offloads.Csum {
		return false
	}
	return short(p, st.MTU)
}

func takes(g packet.GSO, o *port.Offloads) bool {
	switch g &^ packet.GSOECN {
	case packet.GSOTCPv4:
		return o.TSO4
	case packet.GSOTCPv6:
		return o.TSO6
	case packet.GSOUDPL4:
		return o.USO
	}
	return false
}

// short says whether the packet, or each frame that it becomes, is no longer
// than the MTU allows. VLAN tags do not count.
func short(p *packet.Packet, mtu int) bool {
	if mtu == 0 {
		return true
	}
	n := p.Len()
	limit := mtu + header.EthernetLen
	if n <= limit {
		return true
	}
	if p.Offload.GSO != packet.GSONone {
		frames, bytes := packet.Wire(p)
		// All frames but the last have the same headers and GSOSize bytes.
		size := int(p.Offload.GSOSize)
		n = size + (bytes-n)/max(1, frames-1)
		if frames == 1 {
			n = bytes
		}
	}
	return n <= limit+header.VLANLen*tags(p.Bytes())
}

// complete fills w.ready with packets for the queue's port as the port takes
// them; those before first need nothing.
func (w *worker) complete(q *queue, list []*packet.Packet, st *port.State, first int) {
	for i, p := range list {
		if q.from != nil {
			w.key.InPort = q.from[i]
		}
		switch {
		case i < first:
			w.ready.Add(p)
		case !st.Admin:
			w.dropOut(drop.PortDown, p, q.to)
		case p.Offload.GSO != packet.GSONone && !takes(p.Offload.GSO, &st.Offloads):
			w.pieces.Reset()
			if err := packet.Segment(p, w.e.pool, &w.pieces); err != nil {
				w.dropOut(drop.Segment, p, q.to)
				continue
			}
			for _, piece := range w.pieces.Packets {
				w.extra.Add(piece)
				w.finishOne(q, st, piece)
			}
		default:
			w.finishOne(q, st, p)
		}
	}
}

func (w *worker) finishOne(q *queue, st *port.State, p *packet.Packet) {
	if !short(p, st.MTU) {
		w.dropOut(drop.Oversized, p, q.to)
		return
	}
	if p.Offload.NeedsCsum && !st.Offloads.Csum && p.Offload.GSO == packet.GSONone {
		// The packet may wait for other ports too: they take it complete.
		if err := packet.CompleteChecksum(p); err != nil {
			w.dropOut(drop.Checksum, p, q.to)
			return
		}
	}
	w.ready.Add(p)
}

// dropOut drops a packet on its way out, when w.key is not its key any more.
func (w *worker) dropOut(r drop.Reason, p *packet.Packet, out *member) {
	in := w.key.InPort
	key := w.key
	flow.ExtractTags(p, in, w.tags, &w.key)
	w.drop(r, p, out)
	w.key = key
}

// wire is the number of frames that the packet is on the wire, and of their
// bytes.
func wire(p *packet.Packet) (frames, bytes uint64) {
	if p.Offload.GSO == packet.GSONone {
		return 1, uint64(p.Len())
	}
	n, size := packet.Wire(p)
	return uint64(n), uint64(size)
}
