package xlate

import (
	"slices"
	"sync/atomic"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/vswitchd/bond"
)

// choose finds the interfaces that packets leave by.
func (p *port) choose() {
	up := func(i *iface) bool { return !i.Down }
	byName := func(name string) *iface {
		n := slices.IndexFunc(p.ifaces, func(i *iface) bool { return i.Name == name && up(i) })
		if n < 0 {
			return nil
		}
		return p.ifaces[n]
	}
	b := p.Bond
	if b == nil {
		if n := slices.IndexFunc(p.ifaces, up); n >= 0 {
			p.active = p.ifaces[n]
		}
		return
	}
	switch {
	case b.LACP == bond.Configured && !b.FallbackAB:
		return // nobody is at the other end
	case b.Mode == bond.BalanceTCP && b.LACP == bond.NoLACP:
		return
	}
	p.active = byName(b.Active)
	if b.Mode == bond.ActiveBackup || b.LACP == bond.Configured {
		return
	}
	p.spread = new([bond.Hashes]*iface)
	for h, name := range b.Buckets {
		p.spread[h] = byName(name)
	}
}

// admits says whether a packet that came in by one of the port's interfaces
// counts, where the port is a bond. The rules are those of the manual for
// bonds: of what a network floods only one copy enters, and what comes back
// from the network does not.
func (w *walk) admits(br *bridge, p *port, in *iface, vlan uint16) bool {
	b := p.Bond
	switch {
	case b == nil && len(p.ifaces) == 1:
		return true
	case !p.takes(in, w.key.EthDst[0]&1 != 0):
		w.says("-> bonding refused admissibility, dropping")
		return false
	case b == nil || b.Mode != bond.BalanceSLB || b.LACP != bond.NoLACP || br.MACs == nil:
		return true
	}
	// What another port has sent comes back.
	at, locked, ok := br.MACs.Find(vlan, w.key.EthSrc, w.now)
	if !ok || at == p.Name || w.gratuitous() && !locked {
		return true
	}
	w.says("-> SLB bond thinks this packet looped back, dropping")
	return false
}

// takes says whether the bond takes packets, to a group or to one station,
// from that interface.
func (p *port) takes(in *iface, group bool) bool {
	b := p.Bond
	switch {
	case b == nil:
		return in == p.active
	case b.LACP == bond.Negotiated:
		return b.Enabled[in.Name] || b.MayEnable[in.Name]
	case b.LACP == bond.Configured && !b.FallbackAB, !b.Enabled[in.Name]:
		return false
	case b.LACP == bond.Configured, b.Mode == bond.ActiveBackup:
		return in == p.active
	case b.Mode == bond.BalanceTCP:
		return false
	}
	return !group || in == p.active || b.AllActive
}

// handsOver says whether the engine places the bond's flows: those of
// balance-tcp with lb-output-action, to interfaces of the engine's.
func (p *port) handsOver() bool {
	return p.spread != nil && p.Bond.Mode == bond.BalanceTCP && p.Bond.ID != 0 &&
		!slices.ContainsFunc(p.ifaces, func(i *iface) bool { return i.No == 0 })
}

// member is the interface by which the packet leaves the port.
func (w *walk) member(p *port, vlan uint16) *iface {
	if p.spread == nil {
		return p.active
	}
	var h uint8
	switch p.Bond.Mode {
	case bond.BalanceSLB:
		h = bond.HashMAC(w.key.EthSrc, vlan, p.Bond.Basis)
	default:
		var looked flow.Fields
		h, looked = w.key.Balance(p.Bond.Basis, vlan)
		w.mask.Add(looked)
	}
	if p.Bond.Load != nil {
		w.res.Credit = append(w.res.Credit, (*share)(&p.Bond.Load[h]))
	}
	return p.spread[h]
}

// share is what one hash of a bond has sent.
type share atomic.Uint64

// Credit implements engine.Creditor.
func (s *share) Credit(_ *flow.Key, t engine.Traffic) { (*atomic.Uint64)(s).Add(t.Bytes) }
