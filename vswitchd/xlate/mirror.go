package xlate

import (
	"math/bits"
	"slices"
	"sync/atomic"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
)

// MaxMirrors is how many mirrors a bridge may have.
const MaxMirrors = 32

// A Mirror copies packets of its bridge that come in by some ports, or leave
// by some, to a port or a VLAN. Exactly one of Out and OutVLAN is set.
type Mirror struct {
	Src, Dst []string // ports by name
	VLANs    []int    // that the packet must be in one of; empty is all
	Out      string   // a port, which carries nothing else
	OutVLAN  int
	Snaplen  int // bytes of the frame, 0 is all
	Counters *MirrorCounters
}

// MirrorCounters are a mirror's traffic. They are shared between versions of
// the configuration.
type MirrorCounters struct{ Packets, Bytes atomic.Uint64 }

// Credit implements engine.Creditor.
func (c *MirrorCounters) Credit(_ *flow.Key, t engine.Traffic) {
	c.Packets.Add(t.Packets)
	c.Bytes.Add(t.Bytes)
}

// A mirror is a Mirror in the index. Sets of mirrors are bits, by their place
// in the bridge.
type mirror struct {
	*Mirror
	vlans *vlans // nil is all
	out   *port
	same  uint64 // those with the same destination, itself included
}

// addMirrors makes the bridge's mirrors known to its ports.
func (br *bridge) addMirrors() {
	for n, m := range br.Mirrors[:min(len(br.Mirrors), MaxMirrors)] {
		x := &mirror{Mirror: m, out: br.byName[m.Out]}
		if len(m.VLANs) > 0 {
			x.vlans = vlanSet(m.VLANs)
		}
		if x.out != nil {
			x.out.mirrorOut = true
		}
		br.mirrors = append(br.mirrors, x)
		for _, p := range br.ports {
			if slices.Contains(m.Src, p.Name) {
				p.mirrorSrc |= 1 << n
			}
			if slices.Contains(m.Dst, p.Name) {
				p.mirrorDst |= 1 << n
			}
		}
	}
	for _, x := range br.mirrors {
		for n, y := range br.mirrors {
			if x.Out == y.Out && x.OutVLAN == y.OutVLAN {
				x.same |= 1 << n
			}
		}
	}
}

// mirrorArrived mirrors a packet that comes in by the port with the tags t. A
// packet that the port's VLANs do not take is not in the bridge.
func (w *walk) mirrorArrived(br *bridge, p *port, t stack) {
	if p.mirrorSrc == 0 || p.NoLearn || p.Blocked || w.partial(&t) {
		return
	}
	if inside, ok := w.classify(p, t); ok {
		w.mirror(br, p.mirrorSrc, inside, t)
	}
}

// mirrorLeaving mirrors a packet that is to leave by the port with the tags t.
func (w *walk) mirrorLeaving(p *port, t stack) {
	if p.mirrorDst&^w.mirrored == 0 {
		return
	}
	if inside, ok := w.classify(p, t); ok {
		w.mirror(p.bridge, p.mirrorDst, inside, t)
	}
}

// mirror sends the packet to those mirrors of the set to whose destination it
// has not been sent before.
func (w *walk) mirror(br *bridge, set uint64, inside, t stack) {
	for set &^= w.mirrored; set != 0; set &= set - 1 {
		n := bits.TrailingZeros64(set)
		m := br.mirrors[n]
		if w.mirrored&(1<<n) != 0 || m.vlans != nil && !m.vlans.has(w.seeVID(inside.outer())) {
			continue
		}
		w.mirrored |= m.same
		before, snaplen := len(w.res.Actions), w.snaplen
		w.snaplen = m.Snaplen // a copy of a copy is one of the packet
		if m.out != nil {
			w.output(m.out, inside, t)
		} else {
			w.mirrorVLAN(br, uint16(m.OutVLAN), inside, t)
		}
		w.snaplen = snaplen
		if m.Counters != nil && len(w.res.Actions) > before {
			w.res.Credit = append(w.res.Credit, m.Counters)
		}
	}
}

// mirrorVLAN sends the packet out of every port that carries the VLAN, in that
// VLAN. What other switches would take for their own is left out.
func (w *walk) mirrorVLAN(br *bridge, vlan uint16, inside, t stack) {
	w.mask.Add(flow.EthDst)
	if reserved(&w.key.EthDst) || w.seeVID(inside.outer()) == vlan {
		return
	}
	if inside.n == 0 {
		inside = inside.push(tag{tpid: flow.TPID8021Q})
	}
	inside.tags[0].vid, inside.tags[0].ownVID = vlan, 0
	for _, p := range br.ports {
		if p.mirrorOut || !w.carries(p, &inside) {
			continue
		}
		w.output(p, inside, t)
		if w.over {
			return
		}
	}
}

// send puts the packet out of an interface.
func (w *walk) send(i *iface) {
	w.sampleLeaving(i, action.Tunnel{})
	if w.snaplen > 0 {
		w.res.Actions = append(w.res.Actions, action.Truncate{Len: uint32(w.snaplen)})
	}
	w.res.Actions = append(w.res.Actions, i.out)
}
