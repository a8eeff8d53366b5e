package stp

import (
	"cmp"
	"time"

	"govs/vswitchd/bpdu"
)

// initialize is 8.8.1.
func (b *Bridge) initialize(id bpdu.ID) {
	b.started = true
	b.id, b.root = id, id
	b.useOwnTimes()
	for _, p := range b.ports {
		b.initializePort(p)
	}
	b.portStateSelection()
	b.configBPDUGeneration()
	b.helloTimer = b.now.Add(b.hello)
}

func (b *Bridge) useOwnTimes() { b.maxAge, b.hello, b.fwd = b.ownMaxAge, b.ownHello, b.ownFwd }

// initializePort is 8.8.1.4 (and 8.8.2 in part).
func (b *Bridge) initializePort(p *port) {
	b.becomeDesignated(p)
	b.setState(p, Blocking)
	if !p.Up {
		b.setState(p, Disabled)
	}
	p.topologyChangeAck, p.configPending = false, false
	p.messageAge, p.fwd, p.hold = time.Time{}, time.Time{}, time.Time{}
}

// disablePort is 8.8.3.
func (b *Bridge) disablePort(p *port) {
	was := b.isRoot()
	changed := p.state == Forwarding || p.state == Learning
	b.becomeDesignated(p)
	b.setState(p, Disabled)
	p.topologyChangeAck, p.configPending = false, false
	p.messageAge, p.fwd = time.Time{}, time.Time{}
	b.configurationUpdate()
	b.portStateSelection()
	b.becomeRoot(was)
	b.flush = b.flush || changed
}

// becomeRoot is what follows when the bridge is the root now and was not.
func (b *Bridge) becomeRoot(was bool) {
	if was || !b.isRoot() {
		return
	}
	b.useOwnTimes()
	b.topologyChangeDetection()
	b.tcnTimer = time.Time{}
	b.configBPDUGeneration()
	b.helloTimer = b.now.Add(b.hello)
}

// setBridgeID is 8.8.4.
func (b *Bridge) setBridgeID(id bpdu.ID) {
	was := b.isRoot()
	for _, p := range b.ports {
		if b.isDesignated(p) {
			p.designated.Bridge = id
		}
	}
	if was {
		for _, p := range b.ports {
			if p.designated.Root == b.id {
				p.designated.Root = id
			}
		}
		b.root = id
	}
	b.id = id
}

func (b *Bridge) isRoot() bool { return b.root == b.id }

func (b *Bridge) isDesignated(p *port) bool {
	return p.designated.Bridge == b.id && p.designated.Port == p.id
}

func (b *Bridge) setState(p *port, s State) {
	if p.state != s {
		p.state, p.changed = s, b.now
	}
}

// transmitConfig is 8.6.1.
func (b *Bridge) transmitConfig(p *port) {
	if !p.hold.IsZero() {
		p.configPending = true
		return
	}
	m := bpdu.Message{
		Kind:   bpdu.Config,
		Vector: bpdu.Vector{Root: b.root, Cost: b.rootCost, Bridge: b.id, Port: p.id},
		Times:  bpdu.Times{MaxAge: ticks(b.maxAge), Hello: ticks(b.hello), ForwardDelay: ticks(b.fwd)},
	}
	if r := b.rootPort; !b.isRoot() && r != nil {
		m.MessageAge = ticks(r.age + b.now.Sub(r.heard) + ageIncrement)
	}
	if p.topologyChangeAck {
		m.Flags |= bpdu.FlagTCAck
	}
	if b.topologyChange {
		m.Flags |= bpdu.FlagTC
	}
	p.topologyChangeAck, p.configPending = false, false
	if m.MessageAge < m.MaxAge {
		b.send(p, &m)
		p.hold = b.now.Add(holdTime)
	}
}

func (b *Bridge) send(p *port, m *bpdu.Message) {
	p.tx++
	b.out = append(b.out, Message{p.Name, m.Append(nil)})
}

// ticks is a time as BPDUs have it.
func ticks(d time.Duration) uint16 {
	return uint16(min(max(d*bpdu.Second/time.Second, 0), 1<<16-1))
}

func duration(ticks uint16) time.Duration { return time.Duration(ticks) * time.Second / bpdu.Second }

// order compares what two ports' segments offer: root, cost, and by whom.
func order(a, b bpdu.Vector) int {
	return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Bridge, b.Bridge))
}

// supersedes is 8.6.2.
func (b *Bridge) supersedes(p *port, m *bpdu.Message) bool {
	switch o := order(m.Vector, p.designated); {
	case o != 0:
		return o < 0
	default:
		return m.Bridge != b.id || m.Port <= p.designated.Port
	}
}

// recordConfig is 8.6.3.
func (b *Bridge) recordConfig(p *port, m *bpdu.Message) {
	p.designated = m.Vector
	p.age, p.heard = duration(m.MessageAge), b.now
	p.messageAge = b.now.Add(duration(m.MaxAge) - p.age)
}

// recordTimeouts is 8.6.4.
func (b *Bridge) recordTimeouts(m *bpdu.Message) {
	b.maxAge, b.hello, b.fwd = duration(m.MaxAge), max(duration(m.Hello), time.Second), duration(m.ForwardDelay)
	change := m.Has(bpdu.FlagTC)
	b.flush = b.flush || change && !b.topologyChange
	b.topologyChange = change
}

// configBPDUGeneration is 8.6.5.
func (b *Bridge) configBPDUGeneration() {
	for _, p := range b.ports {
		if p.state != Disabled && b.isDesignated(p) {
			b.transmitConfig(p)
		}
	}
}

// transmitTCN is 8.6.7.
func (b *Bridge) transmitTCN() {
	if b.rootPort != nil {
		b.send(b.rootPort, &bpdu.Message{Kind: bpdu.TCN})
	}
}

// configurationUpdate is 8.6.8 to 8.6.10.
func (b *Bridge) configurationUpdate() {
	// A root to which no information leads any more was this bridge's.
	b.root, b.rootCost, b.rootPort = b.id, 0, nil
	var best bpdu.Vector
	for _, p := range b.ports {
		if p.state == Disabled || b.isDesignated(p) || p.designated.Root >= b.id {
			continue
		}
		v := p.designated
		v.Cost += p.Cost
		if v.Cost < p.Cost { // of a liar
			v.Cost = 1<<32 - 1
		}
		if b.rootPort == nil || cmp.Or(order(v, best), cmp.Compare(v.Port, best.Port), cmp.Compare(p.id, b.rootPort.id)) < 0 {
			b.rootPort, best = p, v
		}
	}
	if b.rootPort != nil {
		b.root, b.rootCost = best.Root, best.Cost
	}
	for _, p := range b.ports {
		ours := bpdu.Vector{Root: b.root, Cost: b.rootCost, Bridge: b.id}
		d := p.designated
		if b.isDesignated(p) || d.Root != b.root || order(ours, d) < 0 || order(ours, d) == 0 && p.id <= d.Port {
			b.becomeDesignated(p)
		}
	}
}

// becomeDesignated is 8.6.11.
func (b *Bridge) becomeDesignated(p *port) {
	p.designated = bpdu.Vector{Root: b.root, Cost: b.rootCost, Bridge: b.id, Port: p.id}
}

// portStateSelection is 8.6.12 to 8.6.13.
func (b *Bridge) portStateSelection() {
	for _, p := range b.ports {
		switch {
		case p.state == Disabled:
		case p == b.rootPort:
			p.configPending, p.topologyChangeAck = false, false
			b.makeForwarding(p)
		case b.isDesignated(p):
			p.messageAge = time.Time{}
			b.makeForwarding(p)
		default:
			p.configPending, p.topologyChangeAck = false, false
			b.makeBlocking(p)
		}
	}
}

func (b *Bridge) makeForwarding(p *port) {
	if p.state == Blocking {
		b.setState(p, Listening)
		p.fwd = b.now.Add(b.fwd)
	}
}

func (b *Bridge) makeBlocking(p *port) {
	if p.state == Disabled || p.state == Blocking {
		return
	}
	if p.state == Forwarding || p.state == Learning {
		b.topologyChangeDetection()
	}
	b.setState(p, Blocking)
	p.fwd = time.Time{}
}

// topologyChangeDetection is 8.6.14.
func (b *Bridge) topologyChangeDetection() {
	b.flush = true
	if b.isRoot() {
		b.topologyChange = true
		b.tcTimer = b.now.Add(b.ownMaxAge + b.ownFwd)
	} else if !b.detected {
		b.transmitTCN()
		b.tcnTimer = b.now.Add(b.ownHello)
	}
	if !b.detected {
		b.events(b.name + ": detected topology change.")
	}
	b.detected = true
}

// receivedConfig is 8.7.1.
func (b *Bridge) receivedConfig(p *port, m *bpdu.Message) {
	was := b.isRoot()
	if !b.supersedes(p, m) {
		if b.isDesignated(p) {
			b.transmitConfig(p) // reply
		}
		return
	}
	b.recordConfig(p, m)
	b.configurationUpdate()
	b.portStateSelection()
	if was && !b.isRoot() {
		b.helloTimer = time.Time{}
		if b.detected {
			b.tcTimer = time.Time{}
			b.transmitTCN()
			b.tcnTimer = b.now.Add(b.ownHello)
		}
	}
	if p == b.rootPort {
		b.recordTimeouts(m)
		b.configBPDUGeneration()
		if m.Has(bpdu.FlagTCAck) {
			b.detected, b.tcnTimer = false, time.Time{}
		}
	}
}

// receivedTCN is 8.7.2.
func (b *Bridge) receivedTCN(p *port) {
	if !b.isDesignated(p) {
		return
	}
	b.topologyChangeDetection()
	p.topologyChangeAck = true
	b.transmitConfig(p)
}

// helloExpired is 8.7.3.
func (b *Bridge) helloExpired() {
	b.configBPDUGeneration()
	b.helloTimer = b.now.Add(b.hello)
}

// messageAgeExpired is 8.7.4.
func (b *Bridge) messageAgeExpired(p *port) {
	was := b.isRoot()
	p.messageAge = time.Time{}
	b.becomeDesignated(p)
	b.configurationUpdate()
	b.portStateSelection()
	b.becomeRoot(was)
}

// forwardDelayExpired is 8.7.5.
func (b *Bridge) forwardDelayExpired(p *port) {
	p.fwd = time.Time{}
	switch p.state {
	case Listening:
		b.setState(p, Learning)
		p.fwd = b.now.Add(b.fwd)
	case Learning:
		b.setState(p, Forwarding)
		for _, q := range b.ports {
			if q.state != Disabled && b.isDesignated(q) {
				b.topologyChangeDetection()
				return
			}
		}
	}
}

// tcnExpired is 8.7.6.
func (b *Bridge) tcnExpired() {
	b.transmitTCN()
	b.tcnTimer = b.now.Add(b.ownHello)
}

// topologyChangeExpired is 8.7.7.
func (b *Bridge) topologyChangeExpired() {
	b.detected, b.topologyChange, b.tcTimer = false, false, time.Time{}
}

// holdExpired is 8.7.8.
func (b *Bridge) holdExpired(p *port) {
	p.hold = time.Time{}
	if p.configPending {
		b.transmitConfig(p)
	}
}
