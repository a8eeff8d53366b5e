package xlate

import (
	"fmt"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

// Where a packet went, for Sample.Creditor, beside an OpenFlow port number.
const (
	Flood   = 0xffff // flooded
	Many    = 0xfffe // to several ports for another reason
	Nowhere = 0xfffd // dropped
)

// Bounds of a translation. Patch ports can lead in circles, and two circles
// through one bridge would double the work with each round.
const (
	maxDepth = 64   // bridges one behind the other
	maxSteps = 4096 // bridges altogether
)

// A Translator is the engine's Translator for one configuration after the
// other. It is safe for concurrent use.
type Translator struct {
	index atomic.Pointer[index]
}

var _ engine.Translator = (*Translator)(nil)

// New returns a translator that drops everything until Set is called.
func New() *Translator {
	t := &Translator{}
	t.index.Store(newIndex(&Config{}))
	return t
}

// Set makes the translator work from the configuration, which must not change
// any more. Translations under way end by the old one; the caller then has
// the engine look at all megaflows again.
func (t *Translator) Set(c *Config) { t.index.Store(newIndex(c)) }

// A walk is one translation under way.
type walk struct {
	t     *Translator
	key   *flow.Key
	res   *engine.Result
	mask  *flow.Mask
	learn bool // there is a packet, at the time now
	now   time.Time
	note  func(bridge, text string) // nil, but in a trace

	packet *packet.Packet // nil where there is none

	have  stack // on the packet, after the actions so far
	depth int
	steps int
	why   drop.Reason // of the last drop
	over  bool        // too deep or too long: give up

	oam    bool // the packet is one of those that run the network
	bare   bool // the packet came without an Ethernet header
	within bool // the packet is one that a tunnel put its headers on

	mirrored uint64 // mirrors of the bridge at hand that have the packet
	snaplen  int    // how much of it they get; 0 is all

	out  uint16        // for NetFlow: where the first bridge sent the packet
	left int           // outputs so far
	last *iface        // of the last one; nil where the engine chooses
	from action.Tunnel // that the packet came out of
	to   action.Tunnel // of the last output
}

// Translate implements engine.Translator.
func (t *Translator) Translate(req *engine.Request, res *engine.Result) {
	w := walk{
		t: t, key: req.Key, res: res, mask: &res.Mask,
		learn: req.Packet != nil, now: req.Now, packet: req.Packet, note: req.Note,
		have: arrived(req.Key), out: Nowhere,
	}
	x := t.index.Load()
	in := x.ifaces[req.Key.InPort]
	if tunnels := x.tunnels[req.Key.InPort]; tunnels != nil {
		in = w.arrives(tunnels)
		w.drop(drop.NoTunnel)
	} else {
		w.drop(drop.NoBridge)
	}
	if in == nil {
		w.finish()
		return
	}
	w.why = drop.Pipeline
	if w.bare = in.Tunnel != nil && w.key.Bare(); w.bare {
		if !in.bare() { // and what would there be to forward it by
			w.finish()
			return
		}
		w.res.Actions = append(w.res.Actions, action.PushEth{})
	}
	w.enter(in, w.have)
	if nf := in.port.bridge.NetFlow; nf != nil {
		nf.Mask(w.key, w.mask)
		if len(res.Actions) == 0 || w.over {
			w.out = Nowhere
		}
		if c := nf.Creditor(w.key, in.OFPort, w.out); c != nil {
			res.Credit = append(res.Credit, c)
		}
	}
	w.finish()
	w.sampleArrived(in)
}

func (w *walk) finish() {
	if w.over {
		w.res.Actions = w.res.Actions[:0]
		w.why = drop.Loop
	}
	if w.left == 0 { // nobody sees what was done to it
		w.res.Actions = w.res.Actions[:0]
	}
	w.res.Actions = unwrap(w.res.Actions)
	if len(w.res.Actions) == 0 && w.why != drop.Pipeline {
		w.res.Actions = append(w.res.Actions, action.Drop{Reason: w.why})
	}
}

func (w *walk) drop(why drop.Reason) { w.why = why }

// enters notes that the packet is in the bridge, and what it does there.
func (w *walk) enters(br *bridge, does string) {
	if w.note != nil {
		w.note(br.Name, does)
	}
}

// says notes what becomes of the packet.
func (w *walk) says(format string, args ...any) {
	if w.note != nil {
		w.note("", fmt.Sprintf(format, args...))
	}
}

// enter takes the packet, with the tags t, into the bridge by one of its
// interfaces.
func (w *walk) enter(in *iface, t stack) {
	p := in.port
	br := p.bridge
	w.steps++
	if w.control(in) {
		return
	}
	switch {
	case w.depth >= maxDepth || w.steps > maxSteps:
		w.over = true
		return
	case in.Down || in.NoReceive:
		w.drop(drop.PortConfig)
		return
	case p.mirrorOut:
		w.enters(br, "")
		w.says(">>>> dropping packet received on port %s, which is reserved exclusively for mirroring <<<<", p.Name)
		w.drop(drop.MirrorPort)
		return
	case p.NoLearn:
		w.enters(br, "")
		w.drop(drop.SpanningTree)
		return
	}
	w.depth++
	before := w.mirrored // of the bridge that the packet comes from
	w.mirrored = 0
	w.mirrorArrived(br, p, t)
	if br.FailSecure {
		w.enters(br, "")
		w.drop(drop.Forwarding)
	} else {
		w.enters(br, "NORMAL")
		w.normal(br, in, t)
	}
	w.mirrored = before
	w.depth--
}

// normal is the NORMAL action.
func (w *walk) normal(br *bridge, in *iface, t stack) {
	p := in.port
	w.mask.Add(flow.EthSrc | flow.EthDst)
	if w.partial(&t) {
		if w.note != nil {
			if w.learn {
				w.says(">>>> dropping packet with partial VLAN tag received on port %s <<<<", p.Name)
			}
			w.says(">> partial VLAN tag, dropping")
		}
		w.drop(drop.BadVLAN)
		return
	}
	inside, ok := w.classify(p, t)
	switch {
	case !ok:
		if w.note != nil {
			w.refuses(p, t.outer().vid)
			w.says(">> disallowed VLAN VID for this input port, dropping")
		}
		w.drop(drop.BadVLAN)
		return
	case !br.ForwardBPDU && reserved(&w.key.EthDst):
		w.says("-> packet has reserved destination MAC, dropping")
		w.drop(drop.ReservedGroup)
		return
	case !w.admits(br, p, in, inside.outer().vid):
		w.drop(drop.Bond)
		return
	}
	vlan := inside.outer().vid
	w.learnSource(br, p, vlan)
	if p.Blocked {
		w.drop(drop.SpanningTree)
		return
	}
	if w.multicast(br, p, inside, t) {
		return
	}
	if to := w.lookup(br, vlan); to != nil {
		w.out = w.merge(w.out, to)
		switch {
		case to == p:
			w.says("-> learned port is input port, dropping")
			w.drop(drop.SamePort)
		case to.mirrorOut:
			w.drop(drop.MirrorPort)
		case p.Protected && to.Protected:
			w.says("-> forwarding to learned port")
			w.says(protectedNote)
			w.drop(drop.Protected)
		case !w.carries(to, &inside):
			w.says("-> forwarding to learned port")
			w.says(">> learned port does not carry the VLAN, dropping")
			w.drop(drop.BadVLAN)
		default:
			w.says("-> forwarding to learned port")
			w.output(to, inside, t)
		}
		return
	}
	w.says("-> no learned MAC for destination, flooding")
	w.flood(br, p, inside, t)
}

const protectedNote = ">> Flow is between protected ports, skipping output."

// refuses notes why a port does not take a packet of that VLAN.
func (w *walk) refuses(p *port, vid uint16) {
	switch p.Mode {
	case Access:
		w.says(">>>> dropping VLAN %d tagged packet received on port %s configured as VLAN %d access port <<<<", vid, p.Name, p.tag)
	case Tunnel:
		w.says(">>>> dropping VLAN %d packet received on dot1q-tunnel port %s that excludes this VLAN <<<<", vid, p.Name)
	default:
		w.says(">>>> dropping VLAN %d packet received on port %s not configured for trunking VLAN %d <<<<", vid, p.Name, vid)
	}
}

// flood sends the packet out of every port that carries its VLAN.
func (w *walk) flood(br *bridge, p *port, inside, t stack) {
	if w.depth == 1 {
		w.out = Flood
	}
	for _, to := range br.ports {
		switch {
		case to == p || !to.floods() || !w.carries(to, &inside):
		case p.Protected && to.Protected:
			w.says(protectedNote)
			if len(w.res.Actions) == 0 {
				w.drop(drop.Protected)
			}
		default:
			w.output(to, inside, t)
		}
		if w.over {
			return
		}
	}
}

// merge is where the packet went after it went to the port, too.
func (w *walk) merge(out uint16, to *port) uint16 {
	switch {
	case w.depth != 1 || to.active == nil:
		return out
	case out == Nowhere:
		return to.active.OFPort
	default:
		return Many
	}
}

// output sends the packet out of a port of its bridge.
func (w *walk) output(to *port, inside, t stack) {
	if to.Blocked {
		w.drop(drop.SpanningTree)
		return
	}
	if to.handsOver() && w.snaplen == 0 && to.bridge.IPFIX == nil { // which tells of interfaces
		leaves := w.emit(to, inside, t)
		w.commit(leaves)
		w.res.Actions = append(w.res.Actions, action.LBOutput{Bond: to.Bond.ID})
		w.left, w.last, w.to = w.left+1, nil, action.Tunnel{}
		w.mirrorLeaving(to, leaves)
		return
	}
	i := w.member(to, inside.outer().vid)
	if i == nil {
		w.drop(drop.PortDown)
		return
	}
	if i.NoForward {
		w.drop(drop.PortConfig)
		return
	}
	leaves := w.emit(to, inside, t)
	switch {
	case i.Tunnel != nil:
		if i.bare() {
			leaves = stack{}
		}
		w.commit(leaves)
		w.encapsulate(i)
	case i.No == 0:
		w.patch(i, leaves)
	default:
		w.commit(leaves)
		if !w.terminates(i, leaves) {
			w.send(i)
		}
	}
	w.mirrorLeaving(to, leaves)
}

// patch goes on in the bridge at the other end of a patch port.
func (w *walk) patch(i *iface, t stack) {
	if i.peer == nil {
		w.drop(drop.NoPort)
		return
	}
	if i.Counters != nil {
		w.res.Credit = append(w.res.Credit, (*sent)(i.Counters))
	}
	if c := i.peer.Counters; c != nil && !i.peer.Down {
		w.res.Credit = append(w.res.Credit, (*received)(c))
	}
	w.enter(i.peer, t)
}

// lookup is the port that the packet's destination was learned on, nil where
// it is to be flooded.
func (w *walk) lookup(br *bridge, vlan uint16) *port {
	if br.MACs == nil || br.flood != nil && br.flood.has(vlan) {
		return nil
	}
	name, ok := br.MACs.Lookup(vlan, w.key.EthDst)
	if !ok {
		return nil
	}
	return br.byName[name]
}

// reservedGroups are the addresses of other_config:forward-bpdu, where the
// last digit of an address with a mask does not matter.
var reservedGroups = [...]struct {
	addr [6]byte
	any  byte
}{
	{[6]byte{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00}, 0x0f},
	{[6]byte{0x00, 0xe0, 0x2b, 0x00, 0x00, 0x00}, 0},
	{[6]byte{0x00, 0xe0, 0x2b, 0x00, 0x00, 0x04}, 0x02},
	{[6]byte{0x01, 0x00, 0x0c, 0x00, 0x00, 0x00}, 0},
	{[6]byte{0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xc0}, 0x0f},
	{[6]byte{0x01, 0x00, 0x0c, 0xcd, 0xcd, 0xcd}, 0},
}

func reserved(a *[6]byte) bool {
	for i := range reservedGroups {
		g := &reservedGroups[i]
		b := *a
		b[5] &^= g.any
		if b == g.addr {
			return true
		}
	}
	return false
}
