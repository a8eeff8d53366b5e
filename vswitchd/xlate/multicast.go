package xlate

import (
	"net/netip"
	"slices"

	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/vswitchd/mcast"
)

// multicast does what the bridge knows to do with a packet for a group, by
// multicast snooping (RFC 4541). It returns false where the packet is like any
// other.
func (w *walk) multicast(br *bridge, p *port, inside, t stack) bool {
	k := w.key
	if br.Groups == nil || k.EthDst[0]&1 == 0 || k.EthDst == [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} {
		return false
	}
	vlan := inside.outer().vid
	var to netip.Addr
	switch k.EthType {
	case header.TypeIPv4:
		w.mask.Add(flow.Proto)
		if k.Proto == header.ProtoIGMP {
			w.igmp(br, p, inside, t)
			return true
		}
		w.mask.Add(flow.IPv4Dst)
		if to = netip.AddrFrom4([4]byte(k.IPDst[:4])); k.IPDst[0] == 224 && k.IPDst[1] == 0 && k.IPDst[2] == 0 {
			w.everywhere(br, p, inside, t, "-> RFC4541: section 2.1.2, item 2, flooding")
			return true
		}
	case header.TypeIPv6:
		w.mask.Add(flow.Proto)
		if k.Proto == header.ProtoICMPv6 {
			w.mask.Add(flow.TPSrc)
			if is, query := mcast.IsMLD(uint8(k.TPSrc)); is {
				w.mld(br, p, inside, t, query)
				return true
			}
		}
		w.mask.Add(flow.IPv6Dst)
		if to = netip.AddrFrom16(k.IPDst); to == allNodes {
			w.everywhere(br, p, inside, t, "-> RFC4541: section 2.1.2, item 2, flooding")
			return true
		}
	default:
		return false
	}
	d := &delivery{walk: w, in: p, inside: inside, entered: t}
	ports, known := br.Groups.Ports(mcast.Group{VLAN: vlan, Addr: to})
	switch {
	case known:
		for _, name := range ports {
			d.to(br.byName[name], "group port")
		}
		d.flagged(br, "flood port", func(p *port) bool { return p.McastFlood })
		d.routers(br, vlan)
	case br.Groups.Quiet():
		d.routers(br, vlan)
		d.flagged(br, "flood port", func(p *port) bool { return p.McastFlood })
	default:
		w.everywhere(br, p, inside, t, "-> unregistered multicast, flooding")
	}
	return true
}

// allNodes is the group that every IPv6 host is in (RFC 4291, section 2.7.1).
var allNodes = netip.MustParseAddr("ff02::1")

func (w *walk) everywhere(br *bridge, p *port, inside, t stack, why string) {
	w.says("%s", why)
	w.flood(br, p, inside, t)
}

// igmp takes note of an IGMP message, and passes it on: from hosts to routers,
// from routers to everybody.
func (w *walk) igmp(br *bridge, p *port, inside, t stack) {
	w.res.Slow = true
	vlan := inside.outer().vid
	if w.learn && !p.McastFlood { // which gets everything as it is
		from := netip.AddrFrom4([4]byte(w.key.IPSrc[:4]))
		w.hears(br.Groups.IGMP(w.carried(), from, vlan, p.Name, w.now))
	}
	if mcast.IsReport(uint8(w.key.TPSrc)) {
		w.report(br, p, inside, t)
		return
	}
	w.everywhere(br, p, inside, t, "-> multicast traffic, flooding")
}

// mld does the same with a message of MLD.
func (w *walk) mld(br *bridge, p *port, inside, t stack, query bool) {
	w.res.Slow = true
	if w.learn && !p.McastFlood { // which gets everything as it is
		from, to := netip.AddrFrom16(w.key.IPSrc), netip.AddrFrom16(w.key.IPDst)
		w.hears(br.Groups.MLD(w.carried(), from, to, inside.outer().vid, p.Name, w.now))
	}
	if query {
		w.everywhere(br, p, inside, t, "-> MLD query, flooding")
		return
	}
	w.report(br, p, inside, t)
}

// carried is what the IP packet carries.
func (w *walk) carried() []byte {
	if w.packet == nil || w.key.Frag != 0 {
		return nil
	}
	return flow.Carried(w.packet.Bytes())
}

func (w *walk) hears(news string) {
	if news != "" && w.note != nil {
		w.note("", "-> "+news)
	}
}

// report sends what hosts say to where routers are, and to the ports that are
// to hear it.
func (w *walk) report(br *bridge, p *port, inside, t stack) {
	d := &delivery{walk: w, in: p, inside: inside, entered: t}
	d.routers(br, inside.outer().vid)
	d.flagged(br, "port", func(p *port) bool { return p.McastReports })
}

// A delivery sends a packet to ports one by one, once to each.
type delivery struct {
	*walk
	in              *port
	inside, entered stack
	done            []*port
}

func (d *delivery) routers(br *bridge, vlan uint16) {
	for _, name := range br.Groups.Routers(vlan) {
		d.to(br.byName[name], "router port")
	}
	if d.note != nil {
		for range br.Groups.Elsewhere(vlan) {
			d.says("-> mcast router is on another vlan, dropping")
		}
	}
}

func (d *delivery) flagged(br *bridge, what string, wanted func(*port) bool) {
	for _, p := range br.ports {
		if wanted(p) {
			d.to(p, what)
		}
	}
}

// to sends the packet to a port, which may be gone.
func (d *delivery) to(p *port, what string) {
	verb := "forwarding to mcast " + what
	if what == "port" {
		verb = "forwarding report to mcast flagged port"
	}
	switch {
	case p == nil || p.mirrorOut:
		return
	case p == d.in:
		d.says("-> mcast %s is input port, dropping", what)
		if len(d.res.Actions) == 0 {
			d.drop(drop.SamePort)
		}
		return
	}
	d.says("-> %s", verb)
	switch {
	case slices.Contains(d.done, p):
		return
	case what != "port" && what != "flood port" && !d.carries(p, &d.inside):
		return // ports with a flag get the packet unconditionally, as the manual says
	case p.Protected && d.in.Protected:
		d.says(protectedNote)
		d.drop(drop.Protected)
		return
	}
	d.done = append(d.done, p)
	if d.depth == 1 {
		d.out = Many
	}
	d.output(p, d.inside, d.entered)
}
