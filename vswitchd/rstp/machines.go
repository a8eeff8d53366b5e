package rstp

import "govs/vswitchd/bpdu"

// A state is one of a machine.
type state uint8

// The states of each machine; the first is where it begins.
const (
	receiveDiscard state = iota
	receiveReceive
)
const (
	checkingRSTP state = iota
	sensing
	selectingSTP
)
const (
	notEdge state = iota
	edge
)
const transmitIdle state = 0
const (
	portInfoDisabled state = iota
	portInfoAged
	portInfoUpdate
	portInfoCurrent
)
const (
	disablePort state = iota
	disabledPort
	rootPort
	designatedPort
	blockPort
	alternatePort
)
const (
	topologyInactive state = iota
	topologyLearning
	topologyActive
)

// begin is BEGIN for a port: every machine enters its first state.
func (b *Bridge) begin(p *port) {
	p.rcvdBPDU, p.rcvdRSTP, p.rcvdSTP, p.rcvdMsg = false, false, false, false
	p.receive, p.edgeDelayWhile = receiveDiscard, migrateTime
	b.checkRSTP(p)
	p.detection, p.operEdge = notEdge, false
	if p.AdminEdge {
		p.detection, p.operEdge = edge, true
	}
	p.newInfo, p.txCount = true, 0
	p.transmit, p.helloWhen = transmitIdle, helloTime
	b.disableInfo(p)
	p.role, p.selectedRole = Disabled, Disabled
	p.learn, p.forward, p.synced, p.sync, p.reRoot = false, false, false, true, true
	p.rrWhile, p.fdWhile, p.rbWhile = b.config.ForwardDelay, b.config.MaxAge, 0
	p.transition = disablePort
	p.learning, p.forwarding = false, false
	p.designatedPriority = vector{bpdu.Vector{Root: b.id, Bridge: b.id, Port: p.id}, p.id}
	p.portPriority = p.designatedPriority
	p.designatedTimes, p.portTimes = b.bridgeTimes, b.bridgeTimes
	p.topology, p.fdbFlush, p.tcWhile, p.tcAck = topologyInactive, true, 0, false
	p.rcvdTc, p.rcvdTcn, p.rcvdTcAck, p.tcProp, p.disputed = false, false, false, false, false
}

// most is how many rounds the machines may take to come to rest. They need a
// handful; the bound is there so that a mistake would not hang the switch.
const most = 1000

// machines runs all of them until none moves.
func (b *Bridge) machines() {
	for range most {
		moved := false
		for _, p := range b.ports {
			moved = b.portReceive(p) || moved
			moved = b.protocolMigration(p) || moved
			moved = b.bridgeDetection(p) || moved
			moved = b.portInformation(p) || moved
		}
		moved = b.roleSelection() || moved
		for _, p := range b.ports {
			moved = b.roleTransitions(p) || moved
			moved = p.stateTransition() || moved
			moved = b.topologyChange(p) || moved
			if p.fdbFlush {
				p.fdbFlush = false
				b.flush = append(b.flush, p.Name)
			}
		}
		// Sent is what the others have come to.
		if !moved {
			for _, p := range b.ports {
				moved = b.portTransmit(p) || moved
			}
		}
		if !moved {
			return
		}
	}
	b.events(b.name + ": spanning tree does not come to rest")
}

// Conditions and parameters of 17.20 and 17.21.

func (b *Bridge) rstpVersion() bool { return !b.config.STP }

func (p *port) edgeDelay() int {
	if p.PointToPoint {
		return migrateTime
	}
	return p.maxAge()
}

func (p *port) forwardDelay() int {
	if p.sendRSTP {
		return p.hello()
	}
	return p.fwdDelay()
}

func (p *port) hello() int    { return max(bpdu.Seconds(p.designatedTimes.Hello), 1) }
func (p *port) fwdDelay() int { return bpdu.Seconds(p.designatedTimes.ForwardDelay) }
func (p *port) maxAge() int   { return bpdu.Seconds(p.designatedTimes.MaxAge) }
func (p *port) acts() bool    { return p.role == Root || p.role == Designated }
func (p *port) told() bool    { return p.selected && !p.updtInfo }

func (b *Bridge) allSynced() bool {
	for _, p := range b.ports {
		if !p.told() || p.role != p.selectedRole || p.role != Root && !p.synced {
			return false
		}
	}
	return true
}

func (b *Bridge) reRooted(p *port) bool {
	for _, q := range b.ports {
		if q != p && q.reRoot {
			return false
		}
	}
	return true
}

// portReceive is 17.23.
func (b *Bridge) portReceive(p *port) bool {
	switch {
	case (p.rcvdBPDU || p.edgeDelayWhile != migrateTime) && !p.Up:
		p.rcvdBPDU, p.rcvdRSTP, p.rcvdSTP, p.rcvdMsg = false, false, false, false
		p.edgeDelayWhile, p.receive = migrateTime, receiveDiscard
	case p.rcvdBPDU && p.Up && (p.receive == receiveDiscard || !p.rcvdMsg):
		// updtBPDUVersion
		if p.msg.Kind == bpdu.RST {
			p.rcvdRSTP = true
		} else {
			p.rcvdSTP = true
		}
		p.operEdge, p.rcvdBPDU, p.rcvdMsg = false, false, true
		p.edgeDelayWhile, p.receive = migrateTime, receiveReceive
	default:
		return false
	}
	return true
}

func (b *Bridge) checkRSTP(p *port) {
	p.migration = checkingRSTP
	p.mcheck, p.sendRSTP, p.mdelayWhile = false, b.rstpVersion(), migrateTime
}

// protocolMigration is 17.24.
func (b *Bridge) protocolMigration(p *port) bool {
	sense := func() {
		p.migration = sensing
		p.rcvdRSTP, p.rcvdSTP = false, false
	}
	switch p.migration {
	case checkingRSTP:
		switch {
		case p.mdelayWhile != migrateTime && !p.Up:
			b.checkRSTP(p)
		case p.mdelayWhile == 0:
			sense()
		default:
			return false
		}
	case sensing:
		switch {
		case !p.Up || p.mcheck || b.rstpVersion() && !p.sendRSTP && p.rcvdRSTP:
			b.checkRSTP(p)
		case p.sendRSTP && p.rcvdSTP:
			p.migration = selectingSTP
			p.sendRSTP, p.mdelayWhile = false, migrateTime
		default:
			return false
		}
	case selectingSTP:
		if p.mdelayWhile != 0 && p.Up && !p.mcheck {
			return false
		}
		sense()
	}
	return true
}

// bridgeDetection is 17.25.
func (b *Bridge) bridgeDetection(p *port) bool {
	switch p.detection {
	case edge:
		if p.operEdge && (p.Up || p.AdminEdge) {
			return false
		}
		p.detection, p.operEdge = notEdge, false
	default:
		if !(!p.Up && p.AdminEdge || p.edgeDelayWhile == 0 && p.AutoEdge && p.sendRSTP && p.proposing) {
			return false
		}
		p.detection, p.operEdge = edge, true
	}
	return true
}

// portTransmit is 17.26.
func (b *Bridge) portTransmit(p *port) bool {
	if !p.told() {
		return false
	}
	if p.helloWhen == 0 {
		p.newInfo = p.newInfo || p.role == Designated || p.role == Root && p.tcWhile != 0
		p.helloWhen = p.hello()
		return true
	}
	if !p.newInfo || p.txCount >= b.config.HoldCount || !p.Up {
		return false
	}
	msg := bpdu.Message{Vector: p.designatedPriority.Vector, Times: p.portTimes}
	if p.tcWhile != 0 {
		msg.Flags |= bpdu.FlagTC
	}
	switch {
	case p.sendRSTP:
		msg.Kind = bpdu.RST
		msg.Flags |= p.rstFlags()
	case p.role == Designated:
		msg.Kind = bpdu.Config
		if p.tcAck {
			msg.Flags |= bpdu.FlagTCAck
		}
	case p.role == Root:
		msg.Kind = bpdu.TCN
	default:
		return false
	}
	if msg.Kind != bpdu.TCN {
		p.tcAck = false
		if msg.MessageAge >= msg.MaxAge {
			p.newInfo = false // nobody would believe it (14.2.3 of 802.1D-1998, 9.3.4)
			return true
		}
	}
	p.newInfo = false
	p.txCount++
	p.tx++
	p.helloWhen = p.hello()
	b.out = append(b.out, Message{p.Name, msg.Append(nil)})
	return true
}

func (p *port) rstFlags() (f uint8) {
	switch p.role {
	case Root:
		f = bpdu.Root.Flag()
	case Designated:
		f = bpdu.Designated.Flag()
	case Alternate, Backup:
		f = bpdu.Alternate.Flag()
	}
	for _, flag := range []struct {
		on  bool
		bit uint8
	}{{p.proposing, bpdu.FlagProposal}, {p.learning, bpdu.FlagLearning}, {p.forwarding, bpdu.FlagForwarding}, {p.agree, bpdu.FlagAgreement}} {
		if flag.on {
			f |= flag.bit
		}
	}
	return f
}

func (b *Bridge) disableInfo(p *port) {
	p.information, p.infoIs = portInfoDisabled, infoDisabled
	p.rcvdMsg, p.proposing, p.proposed, p.agree, p.agreed = false, false, false, false, false
	p.rcvdInfoWhile = 0
	p.reselect, p.selected = true, false
}

// portInformation is 17.27.
func (b *Bridge) portInformation(p *port) bool {
	if !p.Up && p.infoIs != infoDisabled {
		b.disableInfo(p)
		return true
	}
	age := func() {
		p.information, p.infoIs = portInfoAged, infoAged
		p.reselect, p.selected = true, false
	}
	update := func() {
		p.information = portInfoUpdate
		p.proposing, p.proposed = false, false
		p.agreed = p.agreed && p.infoIs == infoMine && compare(p.portPriority, p.designatedPriority) >= 0
		p.synced = p.synced && p.agreed
		p.portPriority, p.portTimes = p.designatedPriority, p.designatedTimes
		p.updtInfo, p.infoIs, p.newInfo = false, infoMine, true
		p.information = portInfoCurrent
	}
	switch p.information {
	case portInfoDisabled:
		switch {
		case p.Up:
			age()
		case p.rcvdMsg:
			p.rcvdMsg = false
		default:
			return false
		}
	case portInfoAged:
		if !p.selected || !p.updtInfo {
			return false
		}
		update()
	case portInfoCurrent:
		switch {
		case p.selected && p.updtInfo:
			update()
		case p.infoIs == infoReceived && p.rcvdInfoWhile == 0 && !p.updtInfo && !p.rcvdMsg:
			age()
		case p.rcvdMsg && !p.updtInfo:
			b.take(p)
			p.rcvdMsg = false
		default:
			return false
		}
	}
	return true
}

// take is what the port information machine does with a message: rcvInfo and
// the states that follow from it.
func (b *Bridge) take(p *port) {
	m := &p.msg
	if m.Kind == bpdu.TCN {
		p.rcvdTcn = true
		return
	}
	role := m.Role()
	theirs := vector{m.Vector, p.id}
	order := compare(theirs, p.portPriority)
	same := m.Bridge.Address() == p.portPriority.Bridge.Address() && m.Port&0xfff == p.portPriority.Port&0xfff
	switch {
	case role == bpdu.Designated && (order < 0 || same && order != 0 || order == 0 && m.Times != p.portTimes):
		p.agreed, p.proposing = false, false
		p.recordProposal(role)
		p.setTcFlags()
		p.agree = p.agree && p.infoIs == infoReceived && order >= 0
		p.synced = p.synced && p.agreed
		p.portPriority, p.portTimes = theirs, m.Times
		p.portTimes.Hello = max(p.portTimes.Hello, bpdu.Second)
		p.updtRcvdInfoWhile()
		p.infoIs = infoReceived
		p.reselect, p.selected = true, false
	case role == bpdu.Designated && order == 0:
		p.recordProposal(role)
		p.setTcFlags()
		p.updtRcvdInfoWhile()
	case role == bpdu.Designated:
		// recordDispute
		if m.Kind == bpdu.RST && p.msg.Has(bpdu.FlagLearning) {
			p.agreed, p.disputed = false, true
		}
	case role != bpdu.NoRole && order >= 0:
		p.recordAgreement(b)
		p.setTcFlags()
	}
}

func (p *port) recordProposal(role bpdu.Role) {
	if role == bpdu.Designated && p.msg.Kind == bpdu.RST && p.msg.Has(bpdu.FlagProposal) {
		p.proposed = true
	}
}

func (p *port) recordAgreement(b *Bridge) {
	p.agreed = b.rstpVersion() && p.PointToPoint && p.msg.Has(bpdu.FlagAgreement)
	if p.agreed {
		p.proposing = false
	}
}

func (p *port) setTcFlags() {
	p.rcvdTc = p.rcvdTc || p.msg.Has(bpdu.FlagTC)
	p.rcvdTcAck = p.rcvdTcAck || p.msg.Kind == bpdu.Config && p.msg.Has(bpdu.FlagTCAck)
}

func (p *port) updtRcvdInfoWhile() {
	p.rcvdInfoWhile = 0
	if bpdu.Seconds(p.portTimes.MessageAge)+1 <= bpdu.Seconds(p.portTimes.MaxAge) {
		p.rcvdInfoWhile = 3 * max(bpdu.Seconds(p.portTimes.Hello), 1)
	}
}

// roleSelection is 17.28.
func (b *Bridge) roleSelection() bool {
	reselect := false
	for _, p := range b.ports {
		reselect = reselect || p.reselect
		p.reselect = false
	}
	if !reselect {
		return false
	}
	b.updtRolesTree()
	for _, p := range b.ports {
		p.selected = true
	}
	return true
}

// updtRolesTree is 17.21.25.
func (b *Bridge) updtRolesTree() {
	best := vector{bpdu.Vector{Root: b.id, Bridge: b.id}, 0}
	times := b.bridgeTimes
	var root *port
	for _, p := range b.ports {
		if p.infoIs != infoReceived || p.portPriority.Bridge.Address() == b.id.Address() {
			continue
		}
		v := p.portPriority
		v.Cost += p.Cost
		if v.Cost < p.Cost { // of a liar
			v.Cost = ^uint32(0)
		}
		if compare(v, best) < 0 {
			best, root = v, p
			times = p.portTimes
			times.MessageAge += bpdu.Second
			if times.MessageAge < bpdu.Second {
				times.MessageAge = ^uint16(0)
			}
		}
	}
	b.rootPriority, b.rootTimes, b.rootPort = best, times, root
	for _, p := range b.ports {
		p.designatedPriority = vector{bpdu.Vector{Root: best.Root, Cost: best.Cost, Bridge: b.id, Port: p.id}, p.id}
		p.designatedTimes = times
		p.designatedTimes.Hello = b.bridgeTimes.Hello
	}
	for _, p := range b.ports {
		p.updtInfo = false
		switch p.infoIs {
		case infoDisabled:
			p.selectedRole = Disabled
		case infoAged:
			p.updtInfo, p.selectedRole = true, Designated
		case infoMine:
			p.selectedRole = Designated
			p.updtInfo = compare(p.portPriority, p.designatedPriority) != 0 || p.portTimes != p.designatedTimes
		case infoReceived:
			switch {
			case p == root:
				p.selectedRole = Root
			case compare(p.designatedPriority, p.portPriority) < 0:
				p.updtInfo, p.selectedRole = true, Designated
			case p.portPriority.Bridge.Address() != b.id.Address():
				p.selectedRole = Alternate
			default:
				p.selectedRole = Backup
			}
		}
	}
}

// roleTransitions is 17.29.
func (b *Bridge) roleTransitions(p *port) bool {
	if p.selectedRole != p.role && p.told() {
		p.role = p.selectedRole
		switch p.role {
		case Disabled:
			p.learn, p.forward, p.transition = false, false, disablePort
		case Root:
			p.rrWhile, p.transition = p.fwdDelay(), rootPort
		case Designated:
			p.transition = designatedPort
		default:
			p.learn, p.forward, p.transition = false, false, blockPort
		}
		return true
	}
	switch p.transition {
	case disablePort:
		if p.learning || p.forwarding || !p.told() {
			return false
		}
		p.transition = disabledPort
		p.fdWhile, p.synced, p.rrWhile, p.sync, p.reRoot = p.maxAge(), true, 0, false, false
		return true
	case disabledPort:
		if !p.told() || p.fdWhile == p.maxAge() && !p.sync && !p.reRoot && p.synced {
			return false
		}
		p.fdWhile, p.synced, p.rrWhile, p.sync, p.reRoot = p.maxAge(), true, 0, false, false
		return true
	case rootPort:
		return p.told() && b.rootTransitions(p)
	case designatedPort:
		return p.told() && p.designatedTransitions()
	}
	return p.told() && b.alternateTransitions(p)
}

func (b *Bridge) setSyncTree() {
	for _, p := range b.ports {
		p.sync = true
	}
}

func (b *Bridge) rootTransitions(p *port) bool {
	ready := p.fdWhile == 0 || b.reRooted(p) && p.rbWhile == 0 && b.rstpVersion()
	switch {
	case p.proposed && !p.agree:
		b.setSyncTree()
		p.proposed = false
	case b.allSynced() && !p.agree, p.proposed && p.agree:
		p.proposed, p.sync, p.agree, p.newInfo = false, false, true, true
	case !p.forward && !p.reRoot:
		for _, q := range b.ports {
			q.reRoot = true
		}
	case ready && !p.learn:
		p.fdWhile, p.learn = p.forwardDelay(), true
	case ready && p.learn && !p.forward:
		p.fdWhile, p.forward = 0, true
	case p.reRoot && p.forward:
		p.reRoot = false
	case p.rrWhile != p.fwdDelay():
		p.rrWhile = p.fwdDelay()
	default:
		return false
	}
	return true
}

func (p *port) designatedTransitions() bool {
	ready := (p.fdWhile == 0 || p.agreed || p.operEdge) && (p.rrWhile == 0 || !p.reRoot) && !p.sync
	switch {
	case !p.forward && !p.agreed && !p.proposing && !p.operEdge:
		p.proposing, p.newInfo = true, true
		p.edgeDelayWhile = p.edgeDelay()
	case !p.learning && !p.forwarding && !p.synced, p.agreed && !p.synced, p.operEdge && !p.synced, p.sync && p.synced:
		p.rrWhile, p.synced, p.sync = 0, true, false
	case p.rrWhile == 0 && p.reRoot:
		p.reRoot = false
	case (p.sync && !p.synced || p.reRoot && p.rrWhile != 0 || p.disputed) && !p.operEdge && (p.learn || p.forward):
		p.learn, p.forward, p.disputed = false, false, false
		p.fdWhile = p.forwardDelay()
	case ready && !p.learn:
		p.learn = true
		p.fdWhile = p.forwardDelay()
	case ready && p.learn && !p.forward:
		p.forward = true
		p.fdWhile, p.agreed = 0, p.sendRSTP
	default:
		return false
	}
	return true
}

func (b *Bridge) alternateTransitions(p *port) bool {
	settle := func() {
		p.fdWhile, p.synced, p.rrWhile, p.sync, p.reRoot = p.fwdDelay(), true, 0, false, false
	}
	switch {
	case p.transition == blockPort:
		if p.learning || p.forwarding {
			return false
		}
		p.transition = alternatePort
		settle()
	case p.proposed && !p.agree:
		b.setSyncTree()
		p.proposed = false
	case b.allSynced() && !p.agree, p.proposed && p.agree:
		p.proposed, p.agree, p.newInfo = false, true, true
	case p.role == Backup && p.rbWhile != 2*p.hello():
		p.rbWhile = 2 * p.hello()
	case p.fdWhile != p.fwdDelay() || p.sync || p.reRoot || !p.synced:
		settle()
	default:
		return false
	}
	return true
}

// stateTransition is 17.30.
func (p *port) stateTransition() bool {
	learning, forwarding := p.learning, p.forwarding
	switch {
	case !p.learn && !p.forward:
		p.learning, p.forwarding = false, false
	case p.learn && !p.learning:
		p.learning = true
	default:
		p.forwarding = p.forward
		p.learning = p.learn
	}
	return p.learning != learning || p.forwarding != forwarding
}

func (b *Bridge) newTcWhile(p *port) {
	if p.tcWhile != 0 {
		return
	}
	if p.sendRSTP {
		p.tcWhile, p.newInfo = p.hello()+1, true
	} else {
		p.tcWhile = bpdu.Seconds(b.rootTimes.MaxAge) + bpdu.Seconds(b.rootTimes.ForwardDelay)
	}
}

func (b *Bridge) setTcPropTree(p *port) {
	for _, q := range b.ports {
		if q != p {
			q.tcProp = true
		}
	}
}

// topologyChange is 17.31.
func (b *Bridge) topologyChange(p *port) bool {
	heard := p.rcvdTc || p.rcvdTcn || p.rcvdTcAck || p.tcProp
	switch p.topology {
	case topologyInactive:
		if !p.learn || p.fdbFlush {
			return false
		}
		p.topology = topologyLearning
		p.rcvdTc, p.rcvdTcn, p.rcvdTcAck, p.tcProp = false, false, false, false
	case topologyLearning:
		switch {
		case p.acts() && p.forward && !p.operEdge:
			b.newTcWhile(p)
			b.setTcPropTree(p)
			p.newInfo, p.topology = true, topologyActive
			b.events(b.name + ": detected topology change.")
		case !p.acts() && !p.learn && !p.learning && !heard:
			p.topology, p.fdbFlush, p.tcWhile, p.tcAck = topologyInactive, true, 0, false
		case heard:
			p.rcvdTc, p.rcvdTcn, p.rcvdTcAck, p.tcProp = false, false, false, false
		default:
			return false
		}
	case topologyActive:
		switch {
		case !p.acts() || p.operEdge:
			p.topology = topologyLearning
			p.rcvdTc, p.rcvdTcn, p.rcvdTcAck, p.tcProp = false, false, false, false
		case p.rcvdTcn, p.rcvdTc:
			if p.rcvdTcn {
				b.newTcWhile(p)
			}
			p.tcAck = p.tcAck || p.role == Designated && p.rcvdTcn
			p.rcvdTcn, p.rcvdTc = false, false
			b.setTcPropTree(p)
		case p.tcProp && !p.operEdge:
			b.newTcWhile(p)
			p.fdbFlush, p.tcProp = true, false
		case p.rcvdTcAck:
			p.tcWhile, p.rcvdTcAck = 0, false
		default:
			return false
		}
	}
	return true
}
