package daemon

import (
	"context"
	"fmt"
	"maps"
	"time"

	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/internal/clock"
	"govs/vswitchd/apply"
	"govs/vswitchd/bfd"
	"govs/vswitchd/bond"
	"govs/vswitchd/bpdu"
	"govs/vswitchd/cfm"
	"govs/vswitchd/desired"
	"govs/vswitchd/lacp"
	"govs/vswitchd/lldp"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/status"
	"govs/vswitchd/xlate"
)

// services are the protocols that the switch itself speaks, and what follows
// from them for packets. Their state machines are run by a goroutine of their own
// (Switch.attend), when a frame was heard, a link changed or their time came.
type services struct {
	s      *Switch
	frames chan heard  // from the packet path
	timer  clock.Timer // for what comes next
	asked  chan wanted // neighbours, from the packet path
	out    []saying    // to be sent when the lock is free

	lacp     map[string]*lacp.Aggregator // by port
	bonds    map[string]*bonded          // by port
	lastBond uint32                      // number that a bond of the engine's has
	trees    map[string]*tree            // by bridge
	bfd      map[string]*bfd.Session     // by interface
	lastBFD  int                         // how many there were
	cfm      map[string]*cfm.Session     // by interface
	lldp     map[string]*lldp.Agent      // by interface
	attached map[string][]int            // VLANs of auto attachment, by UUID of the port
	trunks   map[string][]int            // that the database is to have, by UUID of the port

	counters map[string]*xlate.MirrorCounters // by mirror's UUID
}

// heard is a frame of a protocol of ours.
type heard struct {
	iface string
	frame []byte
}

// saying is a frame that the switch has made: it leaves by an interface as it
// is, or by a port, in a VLAN, or enters a bridge by its local port.
type saying struct {
	frame        []byte
	enters       string
	iface        string
	bridge, port string
	vlan         uint16
}

// waiting is how many frames may wait to be looked at. What is too much is
// lost, as on a wire.
const waiting = 4096

func newServices(s *Switch) *services {
	v := &services{
		s: s, frames: make(chan heard, waiting), asked: make(chan wanted, waiting), timer: s.o.Clock.NewTimer(time.Hour),
		lacp: make(map[string]*lacp.Aggregator), bonds: make(map[string]*bonded),
		trees: make(map[string]*tree), bfd: make(map[string]*bfd.Session), cfm: make(map[string]*cfm.Session), lldp: make(map[string]*lldp.Agent),
		attached: make(map[string][]int), trunks: make(map[string][]int), counters: make(map[string]*xlate.MirrorCounters),
	}
	v.timer.Stop()
	return v
}

// hear is xlate.Config.Control.
func (v *services) hear(iface string, frame []byte) {
	select {
	case v.frames <- heard{iface, append([]byte(nil), frame...)}:
		v.s.nudge()
	default:
	}
}

// attend looks after the services until the context ends: not by Run's goroutine,
// which waits for the database now and then (decision 26).
func (s *Switch) attend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.services.timer.C():
		case <-s.due:
		}
		s.serve()
	}
}

// rounds is how often the services are looked after before others have their
// turn. Two bridges of ours that are patched together answer each other at once.
const rounds = 100

// serve looks after the services until they have nothing to do at the moment.
func (s *Switch) serve() {
	for range rounds {
		s.mu.Lock()
		if s.services.run(s.o.Clock.Now()) {
			s.publish()
			s.poke() // the database is told
		}
		out := s.services.out
		s.services.out = nil
		s.mu.Unlock()
		for i := range out {
			s.say(&out[i])
		}
		if len(out) == 0 && len(s.services.frames) == 0 && len(s.services.asked) == 0 {
			return
		}
	}
	s.nudge()
}

// serving makes a verb run under the switch's lock with services that are up
// to date, before and after it.
func (s *Switch) serving(fn func(args []string) (string, error)) func(context.Context, []string) (string, error) {
	return func(ctx context.Context, args []string) (string, error) {
		s.serve()
		defer s.serve()
		return s.reading(fn)(ctx, args)
	}
}

// say sends a frame.
func (s *Switch) say(m *saying) {
	p := s.pool.From(m.frame)
	defer p.Free()
	if m.enters != "" {
		if actions := s.translator.Enter(m.enters, p, s.o.Clock.Now()); len(actions) > 0 {
			s.engine.Execute(p, 0, actions)
		}
		return
	}
	if m.iface != "" {
		if actions := s.translator.Output(m.iface, p, s.o.Clock.Now()); len(actions) > 0 {
			s.engine.Execute(p, 0, actions)
		}
		return
	}
	var key flow.Key
	flow.Extract(p, 0, &key)
	if actions, ok := s.translator.Send(m.bridge, m.port, m.vlan, &key); ok {
		s.engine.Execute(p, 0, actions)
	}
}

// publish makes packets follow what is configured, and what has become of it.
// The caller holds s.mu.
func (s *Switch) publish() {
	s.services.spreadInEngine()
	s.translator.Set(s.applier.Config(apply.Services{
		Sample:  func(b *ofproto.Bridge) xlate.Sample { return s.flows.sample(b) },
		Sampled: s.flows.sampled,
		Bond:    s.services.view,
		Mirrors: s.services.mirrored,
		Spans:   s.services.spans,
		Passes:  s.services.passes,
		Control: s.services.hear,

		Underlay: s.underlay(),
	}))
	s.engine.Changed()
}

// configure makes the state machines those that are wanted, and has them look
// at the links. The caller holds s.mu, and publishes afterwards.
func (v *services) configure(now time.Time) {
	aggregated, bonded, watched, managed := make(map[string]bool), make(map[string]bool), make(map[string]bool), make(map[string]bool)
	speaks, attached := make(map[string]bool), make(map[string]bool)
	for _, b := range v.s.applier.Switch.Sorted() {
		if b.Want.Tree != nil {
			v.configureTree(b, now)
		} else {
			delete(v.trees, b.Want.Name)
		}
		for _, p := range b.Want.Ports {
			for _, i := range p.Interfaces {
				if i.BFD != nil && (v.bfd[i.Name] != nil || opened(b, i)) {
					watched[i.Name] = true
					v.configureBFD(b, i, now)
				}
				if i.CFM != nil && (v.cfm[i.Name] != nil || opened(b, i)) {
					managed[i.Name] = true
					v.configureCFM(b, i, now)
				}
				if i.LLDP != nil && !i.Fake {
					speaks[i.Name], attached[p.UUID] = true, true
					v.configureLLDP(b, p, i)
				}
			}
			if p.LACP != nil {
				aggregated[p.Name] = true
				v.configureLACP(b, p, now)
			}
			if p.Bond != nil {
				bonded[p.Name] = true
				v.configureBond(b, p, now)
			}
		}
	}
	for name := range v.trees {
		if v.s.applier.Switch.Bridges[name] == nil {
			delete(v.trees, name)
		}
	}
	keep(v.bfd, watched)
	keep(v.cfm, managed)
	keep(v.lldp, speaks)
	for port := range v.attached {
		if !attached[port] {
			delete(v.attached, port)
			delete(v.trunks, port)
		}
	}
	keep(v.lacp, aggregated)
	keep(v.bonds, bonded)
	v.pruneMirrors()
	v.run(now)
}

// keep forgets the state machines that are not wanted any more.
func keep[T any](machines map[string]T, wanted map[string]bool) {
	maps.DeleteFunc(machines, func(name string, _ T) bool { return !wanted[name] })
}

// run does what is to be done now, and says whether packets go other ways
// from now on. The caller holds s.mu.
func (v *services) run(now time.Time) (changed bool) {
	v.listen(now)
	v.ask()
	found := false // something that the database is told, and packets do not depend on
	for _, b := range v.s.applier.Switch.Sorted() {
		for _, p := range b.Want.Ports {
			for _, i := range p.Interfaces {
				if i.BFD != nil && v.runBFD(b, i, now) {
					found = true
				}
				if i.CFM != nil && v.runCFM(b, i, now) {
					found = true
				}
				if i.LLDP != nil {
					v.runLLDP(b, i, now)
				}
			}
		}
		if v.runTree(b, now) {
			changed = true
		}
		for _, p := range b.Want.Ports {
			v.runLACP(b, p, now)
			if v.runBond(b, p, now) {
				changed = true
			}
		}
	}
	v.schedule(now)
	if found {
		v.s.poke()
	}
	return changed
}

// listen hands what was heard to the state machines.
func (v *services) listen(now time.Time) {
	for range waiting {
		select {
		case h := <-v.frames:
			if b, i := v.s.applier.Switch.Find(h.iface); b != nil && i.Open() {
				v.heard(b, i, h.frame, now)
			}
		default:
			return
		}
	}
}

func (v *services) heard(b *ofproto.Bridge, i *ofproto.Iface, frame []byte, now time.Time) {
	const header = 14
	if len(frame) < header {
		return
	}
	p := portOf(b, i.Want.Name)
	if [6]byte(frame) == bpdu.Group {
		if x := v.trees[b.Want.Name]; x != nil {
			v.heardBPDU(x, i, p, frame, now)
		}
		return
	}
	if s := v.cfm[i.Want.Name]; s != nil && cfm.Ours(frame) {
		if err := s.Receive(frame, now); err != nil {
			v.malformed(i, frame, now)
			v.s.o.Log("cfm").Debug(fmt.Sprintf("%s: bad continuity check message: %v", i.Want.Name, err))
		}
		return
	}
	if s := v.bfd[i.Want.Name]; s != nil && frame[12] == 0x08 && frame[13] == 0x00 {
		if err := s.Receive(frame, now); err != nil {
			v.malformed(i, frame, now)
			v.s.o.Log("bfd").Debug(fmt.Sprintf("%s: bad BFD control packet: %v", i.Want.Name, err))
		}
		return
	}
	if a := v.lldp[i.Want.Name]; a != nil && frame[12] == lldp.EtherType>>8 && frame[13] == lldp.EtherType&0xff {
		if err := a.Receive(frame, now); err != nil {
			v.malformed(i, frame, now)
			v.s.o.Log("lldp").Debug(fmt.Sprintf("%s: %v", i.Want.Name, err))
		}
		return
	}
	if a := v.lacp[p.Name]; a != nil && p.LACP != nil {
		if err := a.Receive(i.Want.Name, frame[header:], now); err != nil {
			v.malformed(i, frame, now)
			v.s.o.Log("lacp").Debug(fmt.Sprintf("%s: bad LACP PDU on %s: %v", p.Name, i.Want.Name, err))
		}
	}
}

// malformed counts a frame that a protocol of ours does not understand.
func (v *services) malformed(i *ofproto.Iface, frame []byte, now time.Time) {
	log := v.s.engine.Drops()
	log.Count(0, drop.BadControl, 1)
	s := drop.Sample{Time: now, Reason: drop.BadControl, Port: i.No, Len: len(frame), Head: frame}
	p := v.s.pool.From(frame)
	flow.Extract(p, i.No, &s.Key)
	p.Free()
	log.Sample(&s)
}

// portOf is the port that has the interface.
func portOf(b *ofproto.Bridge, iface string) *desired.Port {
	for _, p := range b.Want.Ports {
		for _, i := range p.Interfaces {
			if i.Name == iface {
				return p
			}
		}
	}
	return new(desired.Port)
}

// schedule sets the timer to the next moment at which there is something to do.
func (v *services) schedule(now time.Time) {
	var next time.Time
	add := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, a := range v.lacp {
		add(a.Next(now))
	}
	for _, x := range v.bfd {
		add(x.Next())
	}
	for _, x := range v.cfm {
		add(x.Next())
	}
	for _, x := range v.lldp {
		add(x.Next())
	}
	for _, b := range v.bonds {
		add(b.Next())
		add(b.look)
	}
	for _, x := range v.trees {
		if x.rstp != nil {
			add(x.rstp.Next(now))
		} else {
			add(x.stp.Next(now))
		}
	}
	if next.IsZero() {
		v.timer.Stop()
		return
	}
	v.timer.Reset(max(next.Sub(now), time.Millisecond))
}

// view is what translation needs of a port of several interfaces.
func (v *services) view(p *desired.Port) *bond.View {
	if b := v.bonds[p.Name]; b != nil {
		return b.View()
	}
	return nil
}

// bridge is what the database is told of a bridge.
func (v *services) bridge(b *ofproto.Bridge) (out status.Bridge) {
	switch x := v.trees[b.Want.Name]; {
	case x == nil:
	case x.rstp != nil:
		out.RSTP = x.rstp.Status()
	default:
		out.STP = x.stp.Status()
	}
	return out
}

// port is what the database is told of a port.
func (v *services) port(b *ofproto.Bridge, p *desired.Port, now time.Time) (out status.Port) {
	switch x := v.trees[b.Want.Name]; {
	case x == nil:
	case x.rstp != nil:
		out.RSTP, out.RSTPStats = x.rstp.PortStatus(p.Name, now)
	default:
		out.STP, out.STPStats = x.stp.PortStatus(p.Name, now)
	}
	if b := v.bonds[p.Name]; b != nil && p.Bond != nil {
		out.ActiveMAC = b.ActiveMAC()
	}
	return out
}
