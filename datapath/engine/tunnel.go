package engine

import (
	"encoding/binary"
	"net/netip"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
)

// Source ports of tunnels over UDP, if nothing else is said: the range from which
// Linux takes those of connections.
const (
	FirstSource = 32768
	LastSource  = 61000
)

// SourcePorts are the first and the last source port of tunnels over UDP.
func (e *Engine) SourcePorts() (first, last uint16) {
	r := e.sources.Load()
	return uint16(r >> 16), uint16(r)
}

// SetSourcePorts changes them.
func (e *Engine) SetSourcePorts(first, last uint16) {
	e.sources.Store(uint32(first)<<16 | uint32(last))
}

// sourcePort spreads the flows in a tunnel over source ports, so that the
// networks on the way can spread them over links.
func (e *Engine) sourcePort(k *flow.Key) uint16 {
	first, last := e.SourcePorts()
	return uint16(uint64(first) + uint64(k.Spread())*(uint64(last)-uint64(first)+1)>>32)
}

// A sequel is one tunnel's packets, as far as their numbers go.
type sequel struct {
	kind     tunnel.Kind
	src, dst netip.Addr
	key      uint32
}

// nextSeq is the sequence number of the next packet of a tunnel (RFC 2890,
// section 2.2).
func (e *Engine) nextSeq(h *tunnel.Header) uint32 {
	at := sequel{h.Kind, h.Src, h.Dst, h.Key}
	e.seq.Lock()
	defer e.seq.Unlock()
	n := e.seq.next[at]
	e.seq.next[at] = n + 1
	return n
}

// encapsulate carries out a TunnelPush, and the rest of the actions with what
// comes of it. shared says that the packet waits in a queue.
//
// What its sender left undone is done first: there is no port that could do it
// within a tunnel. A segment of TCP that would be too long for the port behind
// the tunnel is cut to what is not.
func (w *worker) encapsulate(p *packet.Packet, a *action.TunnelPush, shared bool, cut int, rest []action.Action) {
	mtu := 0
	if out := w.e.member(a.Out); out != nil {
		if n := out.port.State().MTU; n > 0 {
			mtu = n - (a.Header.Len() - header.EthernetLen)
			if p.Bare {
				mtu += bareLen(p.Bytes())
			}
		}
	}
	o := packet.Fit(p, mtu)
	if o.GSO == packet.GSONone {
		if shared || cut > 0 {
			p = p.Clone()
			w.extra.Add(p)
		}
		w.push(p, a, mtu, cut, rest)
		return
	}
	var pieces packet.Batch
	was := p.Offload
	p.Offload = o
	err := packet.Segment(p, w.e.pool, &pieces)
	p.Offload = was
	if err != nil {
		w.drop(drop.Segment, p, nil)
		return
	}
	for _, piece := range pieces.Packets {
		w.extra.Add(piece)
		w.push(piece, a, mtu, cut, rest)
	}
}

// push puts the header in front of a packet of ours, and carries out the rest.
func (w *worker) push(p *packet.Packet, a *action.TunnelPush, mtu, cut int, rest []action.Action) {
	if cut > 0 && p.Len() > cut {
		p.Offload = packet.Offload{} // its checksum is of no use any more
		p.SetLen(cut)
	}
	if mtu > 0 && p.Len() > mtu {
		w.drop(drop.Oversized, p, w.e.member(a.Out))
		return
	}
	if err := packet.CompleteChecksum(p); err != nil {
		w.drop(drop.Checksum, p, nil)
		return
	}
	if p.Bare {
		p.Pull(bareLen(p.Bytes()))
		p.Bare = false
	}
	b := p.Push(a.Header.Len())
	if b == nil {
		w.drop(drop.Headroom, p, nil)
		return
	}
	var seq uint32
	if a.Header.Seq || a.Header.Kind == tunnel.ERSPAN {
		seq = w.e.nextSeq(&a.Header)
	}
	if !a.Header.Put(b, w.e.sourcePort(&w.key), seq, uint32(w.now.UnixMicro()/100)) {
		w.drop(drop.TunnelPush, p, nil)
		return
	}
	p.Offload = packet.Offload{}
	if len(rest) > 0 {
		w.execute(p, rest)
	} else {
		w.drop(drop.Pipeline, p, nil)
	}
}

// bareLen is the length of an Ethernet header that does not travel.
func bareLen(b []byte) int { return header.EthernetLen + header.VLANLen*tags(b) }

// decapsulate carries out a TunnelPop.
func (w *worker) decapsulate(p *packet.Packet, a *action.TunnelPop, shared bool) {
	if w.pass+1 >= maxPasses {
		w.drop(drop.Recirc, p, nil)
		return
	}
	if shared {
		p = p.Clone()
		w.extra.Add(p)
	}
	if p.Offload.GSO != packet.GSOUDPL4 {
		w.pop(p, a)
		return
	}
	// Several packets of one tunnel that were put together on the way.
	var pieces packet.Batch
	if err := packet.Segment(p, w.e.pool, &pieces); err != nil {
		w.drop(drop.Segment, p, nil)
		return
	}
	for _, piece := range pieces.Packets {
		w.extra.Add(piece)
		w.pop(piece, a)
	}
}

// pop takes the headers off a packet of ours, and takes it through the
// megaflows again.
func (w *worker) pop(p *packet.Packet, a *action.TunnelPop) {
	o := &p.Offload
	whole := o.GSO != packet.GSONone
	if !whole && o.NeedsCsum && int(o.CsumStart) < outerLen(p.Bytes()) { // of the outer UDP header
		if err := packet.CompleteChecksum(p); err != nil {
			w.drop(drop.Checksum, p, nil)
			return
		}
	}
	kind, no := a.Kind, a.Port
	if kind == tunnel.GRE && a.ERSPAN != 0 && tunnel.IsERSPAN(flow.Carried(p.Bytes())) {
		kind, no = tunnel.ERSPAN, a.ERSPAN
	}
	m, err := tunnel.Parse(p.Bytes(), kind, whole || o.NeedsCsum || o.CsumValid)
	if err != nil {
		reason := drop.TunnelPop
		if err == tunnel.ErrChecksum {
			reason = drop.TunnelSum
		}
		w.drop(reason, p, nil)
		return
	}
	p.SetLen(m.End)
	if o.NeedsCsum && int(o.CsumStart) < m.Len {
		w.drop(drop.Checksum, p, nil)
		return
	}
	p.Pull(m.Len)
	if p.Bare = m.Carries != 0; p.Bare {
		b := p.Push(header.EthernetLen)
		clear(b[:12])
		binary.BigEndian.PutUint16(b[12:], m.Carries)
	}
	if !o.NeedsCsum && !whole {
		*o = packet.Offload{} // what was vouched for was the outer checksum
	}
	p.Mergeable = true
	if !congested(p.Bytes(), m.TOS) {
		w.drop(drop.TunnelECN, p, nil)
		return
	}
	saved, mask, port := w.key, w.mask, w.tunnelPort
	w.pass++
	w.tally.recirculated++
	flow.ExtractTags(p, no, w.tags, &w.key)
	k := &w.key
	k.SetTunnel(m.Src, m.Dst)
	k.TunGBPID, k.TunGBPFlags = m.Policy.Group, m.Policy.Flags
	k.TunTOS, k.TunTTL, k.TunID, k.PktMark = m.TOS, m.TTL, uint64(m.Key), saved.PktMark
	for _, f := range [...]struct {
		is  bool
		bit uint16
	}{{m.DF, flow.TunDF}, {m.Csum, flow.TunCsum}, {m.HasKey, flow.TunKey}} {
		if f.is {
			k.TunFlg |= f.bit
		}
	}
	w.tunnelPort = m.Port
	w.look(p)
	w.pass--
	w.key, w.mask, w.tunnelPort = saved, mask, port
}

// outerLen is where the payload of the outer UDP header begins, at least.
func outerLen(b []byte) int {
	at := 12 + header.VLANLen*tags(b)
	ip := header.IPv4Len
	if len(b) >= at+2 && binary.BigEndian.Uint16(b[at:]) == header.TypeIPv6 {
		ip = header.IPv6Len
	}
	return at + 2 + ip + header.UDPLen
}

// congested gives the frame's IP header the mark of congestion that the outer
// one had, and says whether the packet may go on.
func congested(b []byte, outer uint8) bool {
	if outer&3 == 0 {
		return true
	}
	at := 12 + header.VLANLen*tags(b)
	if len(b) < at+2 {
		return true
	}
	typ, h := binary.BigEndian.Uint16(b[at:]), b[at+2:]
	switch {
	case typ == header.TypeIPv4 && len(h) >= header.IPv4Len:
		ip := header.IPv4(h)
		ecn, ok := tunnel.Decapsulate(outer, ip.TOS())
		if tos := ip.TOS()&^3 | ecn; tos != ip.TOS() {
			old := binary.BigEndian.Uint16(h)
			ip.SetTOS(tos) // and RFC 1624: a wrong checksum stays wrong
			ip.SetChecksum(header.Fold(uint64(^ip.Checksum()) + uint64(^old) + uint64(binary.BigEndian.Uint16(h))))
		}
		return ok
	case typ == header.TypeIPv6 && len(h) >= header.IPv6Len:
		ip := header.IPv6(h)
		ecn, ok := tunnel.Decapsulate(outer, ip.Class())
		ip.SetVersion(ip.Class()&^3|ecn, ip.Label())
		return ok
	}
	return true
}
