package daemon

import (
	"bytes"
	"fmt"
	"time"

	"govs/vswitchd/bpdu"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/rstp"
	"govs/vswitchd/stp"
)

// A tree is a bridge's spanning tree: one of the two.
type tree struct {
	stp    *stp.Bridge
	rstp   *rstp.Bridge
	states map[string][2]bool // of its ports, as they were published: learn, forward
}

// configureTree makes the bridge's spanning tree the one that is wanted.
func (v *services) configureTree(b *ofproto.Bridge, now time.Time) {
	w := b.Want.Tree
	x := v.trees[b.Want.Name]
	if x == nil || w.Rapid != (x.rstp != nil) {
		x = &tree{states: make(map[string][2]bool)}
		v.trees[b.Want.Name] = x
		if w.Rapid {
			log := v.s.o.Log("rstp")
			x.rstp = rstp.New(b.Want.Name, func(text string) { log.Info(text) })
		} else {
			log := v.s.o.Log("stp")
			x.stp = stp.New(b.Want.Name, func(text string) { log.Info(text) })
		}
	}
	addr := [6]byte(b.MAC)
	if w.Address != nil {
		addr = [6]byte(w.Address)
	}
	if w.Rapid {
		c := rstp.Config{Address: addr, Priority: w.Priority, MaxAge: w.MaxAge, ForwardDelay: w.ForwardDelay, HoldCount: w.HoldCount, STP: w.Compatible}
		for _, p := range inNumbers(b) {
			up, cost, p2p := v.treeLink(b, p, now)
			c.Ports = append(c.Ports, rstp.Port{
				Name: p.Name, Number: p.Tree.Number, Priority: p.Tree.Priority, Cost: cost,
				AdminEdge: p.Tree.AdminEdge, AutoEdge: p.Tree.AutoEdge, MCheck: p.Tree.Check, Up: up, PointToPoint: p2p,
			})
		}
		x.rstp.Configure(c, now)
		return
	}
	c := stp.Config{Address: addr, Priority: w.Priority, Hello: w.Hello, MaxAge: w.MaxAge, ForwardDelay: w.ForwardDelay}
	for _, p := range inNumbers(b) {
		up, cost, _ := v.treeLink(b, p, now)
		c.Ports = append(c.Ports, stp.Port{Name: p.Name, Number: p.Tree.Number, Priority: p.Tree.Priority, Cost: cost, Up: up})
	}
	x.stp.Configure(c, now)
}

// inNumbers are the ports that take part in the bridge's tree, in the order of
// their OpenFlow numbers.
func inNumbers(b *ofproto.Bridge) (list []*desired.Port) {
	byNumber := make(map[int]*desired.Port)
	most := 0
	for _, p := range b.Want.Ports {
		if p.Tree == nil {
			continue
		}
		if no, ok := b.Number(p.Interfaces[0].Name); ok {
			byNumber[int(no)] = p
			most = max(most, int(no))
		}
	}
	for no := range most + 1 {
		if p := byNumber[no]; p != nil {
			list = append(list, p)
		}
	}
	return list
}

// treeLink is what a spanning tree asks of a port's link. What BFD and CFM find
// matters to RSTP alone, as in the C switch.
func (v *services) treeLink(b *ofproto.Bridge, p *desired.Port, now time.Time) (up bool, cost uint32, pointToPoint bool) {
	i := b.Ifaces[p.Interfaces[0].Name]
	up, pointToPoint = linked(i) && (!b.Want.Tree.Rapid || v.forwards(p.Interfaces[0].Name, now)), true
	var speed uint64
	if i != nil && i.Port != nil {
		st := i.Port.State()
		speed, pointToPoint = st.Speed, st.Duplex != "half"
	}
	if i != nil && i.Want.Kind == desired.DummyNIC && speed == 0 {
		speed = 10e9 // as the C daemon's dummies say
	}
	switch {
	case p.Tree.Cost != 0:
		cost = p.Tree.Cost
	case b.Want.Tree.Rapid:
		cost = rstp.Cost(speed)
	default:
		cost = stp.Cost(speed)
	}
	return up, cost, pointToPoint
}

// runTree lets a bridge's spanning tree work, and says whether packets go
// other ways from now on.
func (v *services) runTree(b *ofproto.Bridge, now time.Time) (changed bool) {
	x := v.trees[b.Want.Name]
	if x == nil {
		return false
	}
	flush := false
	for _, p := range b.Want.Ports {
		if p.Tree == nil {
			continue
		}
		up, cost, p2p := v.treeLink(b, p, now)
		if x.rstp != nil {
			x.rstp.SetLink(p.Name, up, cost, p2p)
		} else {
			x.stp.SetLink(p.Name, up, cost, now)
		}
	}
	send := func(port string, body []byte) {
		v.out = append(v.out, saying{iface: port, frame: bpduFrame(address(b, port), body)})
	}
	if x.rstp != nil {
		out, ports := x.rstp.Run(now)
		for _, m := range out {
			send(interfaceOf(b, m.Port), m.Bytes)
		}
		flush = len(ports) > 0
	} else {
		out, all := x.stp.Run(now)
		for _, m := range out {
			send(interfaceOf(b, m.Port), m.Bytes)
		}
		flush = all
	}
	if flush {
		// The whole table, as with the C daemon: an address that moved is known
		// behind a port that has not changed.
		b.MACs.Flush(now)
		if b.Groups != nil {
			b.Groups.Flush()
		}
	}
	for _, p := range b.Want.Ports {
		if p.Tree == nil {
			continue
		}
		learn, forward := x.portState(p.Name)
		if was, ok := x.states[p.Name]; !ok || was != [2]bool{learn, forward} {
			x.states[p.Name] = [2]bool{learn, forward}
			changed = true
		}
	}
	return changed
}

func (x *tree) portState(name string) (learn, forward bool) {
	if x.rstp != nil {
		return x.rstp.PortState(name)
	}
	return x.stp.PortState(name)
}

// interfaceOf is the interface of a port of one.
func interfaceOf(b *ofproto.Bridge, port string) string {
	for _, p := range b.Want.Ports {
		if p.Name == port && len(p.Interfaces) > 0 {
			return p.Interfaces[0].Name
		}
	}
	return port
}

// bpduFrame puts the headers in front of a BPDU: 802.3 with a length, and LLC.
func bpduFrame(src []byte, body []byte) []byte {
	llc := append(bpdu.LLC[:], body...)
	return frame(bpdu.Group, src, uint16(len(llc)), llc)
}

// heardBPDU takes a frame to the bridge's spanning tree.
func (v *services) heardBPDU(x *tree, i *ofproto.Iface, p *desired.Port, frame []byte, now time.Time) {
	const at = 14
	length := int(frame[12])<<8 | int(frame[13])
	if len(frame) < at+len(bpdu.LLC) || length < len(bpdu.LLC) || !bytes.Equal(frame[at:at+len(bpdu.LLC)], bpdu.LLC[:]) {
		return // of another protocol
	}
	body := frame[at+len(bpdu.LLC) : min(at+length, len(frame))]
	var err error
	if x.rstp != nil {
		err = x.rstp.Receive(p.Name, body)
	} else {
		err = x.stp.Receive(p.Name, body, now)
	}
	if err != nil && p.Tree != nil {
		v.malformed(i, frame, now)
		v.s.o.Log("stp").Debug(fmt.Sprintf("bad BPDU received on port %s: %v", p.Name, err))
	}
}

// spans says whether the bridge speaks a spanning tree protocol.
func (v *services) spans(b *ofproto.Bridge) bool { return v.trees[b.Want.Name] != nil }

// passes says whether a port learns and forwards.
func (v *services) passes(b *ofproto.Bridge, p *desired.Port) (learn, forward bool) {
	x := v.trees[b.Want.Name]
	if x == nil || p.Tree == nil {
		return true, true
	}
	return x.portState(p.Name)
}
