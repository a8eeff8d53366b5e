package xlate

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
	"govs/vswitchd/mac"
	"govs/vswitchd/underlay"
)

// An Underlay is what tunnels go through.
type Underlay struct {
	Net *underlay.Net
	// Solicit is told that the link layer address of ip is to be asked for on a
	// bridge. It is called on the packet path, and returns quickly.
	Solicit func(bridge string, ip, source netip.Addr)
}

// An entrance is where packets come out of tunnels of one kind.
type entrance struct {
	no   flow.PortNo
	kind tunnel.Kind
	port uint16 // of UDP
}

// addTunnel makes an interface one that packets come out of.
func (x *index) addTunnel(i *iface) {
	t := i.Tunnel
	x.tunnels[i.No] = append(x.tunnels[i.No], i)
	if len(x.tunnels[i.No]) == 1 {
		x.entrances = append(x.entrances, entrance{i.No, t.Kind, t.Port})
	}
}

// local is a bridge's local port, nil where it is not open.
func (b *bridge) local() *iface { return b.index.byName[b.Name] }

// key4 is an address in the place that a flow.Key has for it.
func key4(b [16]byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

// arrives is the tunnel that the packet came out of, nil for none: of those
// that take it the one that says most of what it takes.
func (w *walk) arrives(list []*iface) *iface {
	k := w.key
	fill := func(b *[16]byte) {
		for i := range b {
			b[i] = 0xff
		}
	}
	fill(&w.mask.TunSrc)
	fill(&w.mask.TunDst)
	w.mask.TunID, w.mask.TunTOS, w.mask.TunFlg = ^uint64(0), 0xff, flow.TunDF|flow.TunCsum|flow.TunKey
	w.mask.Add(flow.PacketType)
	src, dst := k.TunnelEnds()
	var best *iface
	most := -1
	for _, i := range list {
		t, score := i.Tunnel, 0
		if t.Mode != tunnel.PTAP {
			score = 1
		}
		switch {
		case !t.Mode.Takes(k.Bare()):
			continue
		case t.InFlow:
		case t.InKey == k.TunID && (t.InKey != 0 || !t.InHasKey || k.TunFlg&flow.TunKey != 0):
			score += 8
		default:
			continue
		}
		switch t.Remote {
		case src:
			score += 4
		case netip.Addr{}:
		default:
			continue
		}
		switch t.Local {
		case dst:
			score += 2
		case netip.Addr{}:
		default:
			continue
		}
		if score > most {
			best, most = i, score
		}
	}
	if best != nil && best.Counters != nil {
		w.res.Credit = append(w.res.Credit, (*received)(best.Counters))
	}
	if best != nil {
		t := best.Tunnel
		w.from = action.Tunnel{Name: best.Name, Kind: t.Kind, Src: src, Dst: dst, TOS: k.TunTOS, Port: t.Port,
			HasKey: k.TunFlg&flow.TunKey != 0, Key: uint32(k.TunID)}
	}
	return best
}

// terminates says that the packet, on its way to a local port without tags,
// ends in a tunnel, which takes its headers off. What neighbours tell of
// themselves is noted.
func (w *walk) terminates(i *iface, leaves stack) bool {
	br := i.port.bridge
	x := br.index
	if len(x.tunnels) == 0 || x.Underlay == nil || w.within || leaves.n > 0 || i.Name != br.Name || w.snaplen > 0 {
		return false
	}
	k := w.key
	to, field := key4(k.IPDst), flow.IPv4Dst
	switch k.EthType {
	case header.TypeARP:
		w.hear(br)
		return false
	case header.TypeIPv4:
	case header.TypeIPv6:
		if w.mask.Add(flow.Proto); k.Proto == header.ProtoICMPv6 {
			w.hearND(br)
			return false
		}
		to, field = netip.AddrFrom16(k.IPDst), flow.IPv6Dst
	default:
		return false
	}
	if len(br.MAC) != 6 || k.EthDst != [6]byte(br.MAC) || k.Frag != 0 {
		return false
	}
	if w.mask.Add(flow.Proto); k.Proto != header.ProtoGRE && k.Proto != header.ProtoUDP {
		return false
	}
	if w.mask.Add(field); !x.Underlay.Net.Has(br.Name, to) {
		return false
	}
	if k.Proto == header.ProtoUDP {
		w.mask.Add(flow.TPDst)
	}
	var pop action.TunnelPop
	for _, e := range x.entrances {
		switch {
		case e.kind.Proto() != k.Proto, k.Proto == header.ProtoUDP && e.port != k.TPDst:
		case e.kind == tunnel.ERSPAN && pop.Kind == tunnel.GRE:
			pop.ERSPAN = e.no
		case e.kind == tunnel.GRE && pop.Kind == tunnel.ERSPAN:
			pop = action.TunnelPop{Port: e.no, Kind: e.kind, ERSPAN: pop.Port}
		default:
			pop = action.TunnelPop{Port: e.no, Kind: e.kind}
		}
	}
	if pop.Kind == 0 {
		return false
	}
	w.res.Actions = append(w.res.Actions, pop)
	w.left, w.last, w.to = w.left+1, nil, action.Tunnel{}
	return true
}

// hear notes what an ARP packet for the bridge's own address tells of its
// sender.
func (w *walk) hear(br *bridge) {
	net := br.index.Underlay.Net
	w.mask.Add(flow.Proto | flow.IPv4Src | flow.IPv4Dst | flow.ARPSHA)
	k := w.key
	if k.Proto != arpReply && k.Proto != arpRequest || k.ARPSHA[0]&1 != 0 || k.ARPSHA == [6]byte{} || !net.Has(br.Name, key4(k.IPDst)) {
		return
	}
	w.neighbour(br, key4(k.IPSrc), k.ARPSHA)
}

// hearND is hear for neighbour discovery (RFC 4861, sections 7.2.3 and 7.2.5): a
// solicitation that asks for the bridge's own address, or an advertisement to
// it.
func (w *walk) hearND(br *bridge) {
	net := br.index.Underlay.Net
	k := w.key
	w.mask.Add(flow.TPSrc | flow.TPDst | flow.TTL)
	if k.TPDst != 0 || k.Frag != 0 || k.TTL != 255 { // 255: it was not routed
		return
	}
	switch k.TPSrc {
	case ndAdvertisement:
		w.mask.Add(flow.IPv6Dst | flow.NDTarget | flow.ARPTHA)
		if k.ARPTHA[0]&1 == 0 && k.ARPTHA != [6]byte{} && net.Has(br.Name, netip.AddrFrom16(k.IPDst)) {
			w.neighbour(br, netip.AddrFrom16(k.NDTarget), k.ARPTHA)
		}
	case ndSolicitation:
		w.mask.Add(flow.IPv6Src | flow.NDTarget | flow.ARPSHA)
		if k.ARPSHA[0]&1 == 0 && k.ARPSHA != [6]byte{} && k.IPSrc != [16]byte{} && net.Has(br.Name, netip.AddrFrom16(k.NDTarget)) {
			w.neighbour(br, netip.AddrFrom16(k.IPSrc), k.ARPSHA)
		}
	}
}

// Types of ICMPv6 that neighbours speak (RFC 4861, sections 4.3 and 4.4).
const (
	ndSolicitation  = 135
	ndAdvertisement = 136
)

// neighbour notes a neighbour, and has the megaflow's traffic keep it.
func (w *walk) neighbour(br *bridge, ip netip.Addr, mac [6]byte) {
	h := &hearsay{br.index.Underlay.Net, br.Name, ip, mac}
	if w.learn {
		h.net.Heard(h.bridge, h.ip, h.mac, w.now)
	}
	w.res.Credit = append(w.res.Credit, h)
}

// A hearsay refreshes a neighbour by a megaflow's traffic.
type hearsay struct {
	net    *underlay.Net
	bridge string
	ip     netip.Addr
	mac    [6]byte
}

// Credit implements engine.Creditor.
func (h *hearsay) Credit(_ *flow.Key, t engine.Traffic) {
	if known, ok := h.net.Neighbour(h.bridge, h.ip); ok && known == h.mac && t.Packets > 0 {
		h.net.Heard(h.bridge, h.ip, h.mac, t.Last)
	}
}

// encapsulate sends the packet into a tunnel, and what it becomes through the
// bridge that the route to the other end leads through.
func (w *walk) encapsulate(i *iface) {
	t, x := i.Tunnel, i.port.bridge.index
	_, came := w.key.TunnelEnds()
	if !t.Remote.IsValid() || w.key.Tunnelled() && came == t.Remote || x.Underlay == nil {
		w.says(">> Not tunneling to our own address")
		w.drop(drop.NoRoute)
		return
	}
	net := x.Underlay.Net
	w.says("-> output to native tunnel")
	route, ok := net.Route(t.Remote, t.Mark)
	var br *bridge
	if ok {
		br = x.bridges[route.Device]
	}
	if br == nil || br.local() == nil || len(br.MAC) != 6 || route.Local {
		w.says(">> native tunnel routing failed")
		w.drop(drop.NoRoute)
		return
	}
	w.says("-> tunneling to %s via %s", t.Remote, br.Name)
	src, next := route.Source, t.Remote
	if t.Local.IsValid() {
		src = t.Local
	}
	if route.Gateway.IsValid() {
		next = route.Gateway
	}
	if src.Is4() != t.Remote.Is4() || !src.IsValid() {
		w.says(">> native tunnel routing failed")
		w.drop(drop.NoRoute)
		return
	}
	h := w.outer(t)
	h.Src, h.Dst = src, t.Remote
	h.EthSrc = [6]byte(br.MAC)
	if h.EthDst, ok = net.Neighbour(br.Name, next); !ok {
		protocol := "ARP"
		if next.Is6() {
			protocol = "ND"
		}
		w.says("-> neighbor cache miss for %s on bridge %s, sending %s request", next, br.Name, protocol)
		if w.learn && x.Underlay.Solicit != nil && net.Ask(br.Name, next, w.now) {
			x.Underlay.Solicit(br.Name, next, src)
		}
		w.res.Uncacheable = true // the next packet may find the neighbour, or ask again
		w.drop(drop.NoNeighbour)
		return
	}
	w.says("-> tunneling from %s %s to %s %s", mac.Text(h.EthSrc), src, mac.Text(h.EthDst), t.Remote)
	typ := uint16(0)
	if i.bare() {
		typ = w.key.EthType
	}
	if typ == flow.TPID8021Q || typ == flow.TPID8021AD || !h.Carry(typ) { // a tag that does not count as one is not taken off
		w.says(">> native tunnel header build failed")
		w.drop(drop.TunnelPush)
		return
	}
	w.through(br, i, h)
}

// outer is the header that a tunnel puts on, but for its addresses.
func (w *walk) outer(t *tunnel.Config) tunnel.Header {
	k := w.key
	h := tunnel.Header{Kind: t.Kind, TOS: t.TOS, TTL: cmp.Or(t.TTL, tunnel.TTL), DF: !t.Fragment && t.Remote.Is4(), Port: t.Port, GPE: t.GPE, Seq: t.Seq, OAM: w.oam && t.Kind == tunnel.Geneve,
		Csum:    t.Csum && (t.Remote.Is4() || t.Kind == tunnel.GRE),
		Version: t.Version, Index: t.Index, Egress: t.Egress, Hardware: t.Hardware}
	key := t.OutKey
	if t.OutFlow {
		w.mask.TunID, key = ^uint64(0), k.TunID
	}
	if t.GBP {
		w.mask.TunGBPID, w.mask.TunGBPFlags = 0xffff, 0xff
		h.Policy = tunnel.Policy{Group: k.TunGBPID, Flags: k.TunGBPFlags}
	}
	h.Key, h.HasKey = uint32(key), t.Kind == tunnel.GRE && (t.OutHasKey || t.OutFlow)
	switch t.Kind {
	case tunnel.VXLAN, tunnel.Geneve:
		h.Key &= 0xffffff
	case tunnel.ERSPAN:
		h.Key &= tunnel.MaxSession
	}
	if k.EthType != header.TypeIPv4 && k.EthType != header.TypeIPv6 {
		return h
	}
	w.mask.TOS |= 3
	if t.TOSInherit {
		w.mask.TOS, h.TOS = 0xff, k.TOS&^3
	}
	h.TOS |= tunnel.Encapsulate(k.TOS)
	if t.TTLInherit && k.TTL > 0 {
		w.mask.TTL, h.TTL = 0xff, k.TTL
	}
	return h
}

// through translates the packet with its outer headers, which leaves through a
// bridge as if that bridge's local port had sent it.
func (w *walk) through(br *bridge, i *iface, h tunnel.Header) {
	local := br.local()
	key := flow.Key{InPort: local.No, EthDst: h.EthDst, EthSrc: h.EthSrc, EthType: header.TypeIPv4,
		Proto: h.Kind.Proto(), TOS: h.TOS, TTL: h.TTL, TPDst: h.Port}
	if h.Dst.Is6() {
		key.EthType = header.TypeIPv6
	}
	copy(key.IPSrc[:], h.Src.AsSlice())
	copy(key.IPDst[:], h.Dst.AsSlice())
	var res engine.Result
	in := walk{t: w.t, key: &key, res: &res, mask: &res.Mask, learn: w.learn, now: w.now, note: w.note,
		depth: w.depth, steps: w.steps, out: Nowhere, within: true}
	in.enter(local, stack{})
	w.steps, w.over = in.steps, w.over || in.over
	w.res.Credit = append(w.res.Credit, res.Credit...)
	w.res.Uncacheable = w.res.Uncacheable || res.Uncacheable
	w.res.Slow = w.res.Slow || res.Slow
	if w.over || len(res.Actions) == 0 {
		w.drop(in.why)
		return
	}
	if i.Counters != nil {
		w.res.Credit = append(w.res.Credit, (*sent)(i.Counters))
	}
	to := action.Tunnel{Name: i.Name, Kind: h.Kind, Src: h.Src, Dst: h.Dst, TOS: h.TOS, Port: h.Port, HasKey: h.HasKey || h.Kind != tunnel.GRE, Key: h.Key}
	w.sampleLeaving(i, to)
	var push []action.Action
	if w.snaplen > 0 {
		push = append(push, action.Truncate{Len: uint32(w.snaplen)})
	}
	if i.bare() {
		push = append(push, action.PopEth{})
	}
	push = append(push, action.TunnelPush{Header: h, Port: i.No, Out: local.No})
	w.res.Actions = append(w.res.Actions, action.Clone{Actions: append(push, res.Actions...)})
}

// unwrap does without the copy for a tunnel where nothing comes behind it.
func unwrap(list []action.Action) []action.Action {
	last := len(list) - 1
	if last < 0 {
		return list
	}
	c, ok := list[last].(action.Clone)
	if !ok || !slices.ContainsFunc(c.Actions, func(a action.Action) bool { _, is := a.(action.TunnelPush); return is }) {
		return list
	}
	return append(list[:last], unwrap(c.Actions)...)
}

// Enter translates what is to become of a frame of the switch's own making that
// enters a bridge by its local port.
func (t *Translator) Enter(bridge string, p *packet.Packet, now time.Time) []action.Action {
	br := t.index.Load().bridges[bridge]
	if br == nil || br.local() == nil {
		return nil
	}
	in := br.local()
	var key flow.Key
	if !flow.Extract(p, in.No, &key) {
		return nil
	}
	var res engine.Result
	w := walk{t: t, key: &key, res: &res, mask: &res.Mask, learn: true, packet: p, now: now, have: arrived(&key), out: Nowhere}
	w.enter(in, w.have)
	if w.over {
		return nil
	}
	return unwrap(res.Actions)
}

// Tunnel is the name of the interface that packets with that key come by, "" for
// none: of several tunnels that share a port the one that takes them.
func (t *Translator) Tunnel(key *flow.Key) string {
	var res engine.Result
	w := walk{t: t, key: key, res: &res, mask: &res.Mask}
	if i := w.arrives(t.index.Load().tunnels[key.InPort]); i != nil {
		return i.Name
	}
	return ""
}
