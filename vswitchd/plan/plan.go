// Package plan compares what runs with what is desired and lists the steps
// from one to the other. It is pure: nothing is opened or changed, so that a
// plan can be printed before, or instead of, being carried out.
//
// Steps stand in the order in which they are done: what goes away goes first,
// so that names and OpenFlow numbers are free for what comes. A step that
// fails does not stop those after it.
//
// What plans look like is written down in the transcripts of package apply,
// vswitchd/apply/testdata, which make plans and carry them out.
//
// # Caveats
//
// The plan says which OpenFlow number is asked for, not which one will be
// given: an interface gets its number only when its device could be opened.
// Bridge addresses follow from the devices' and are not part of the plan.
package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"govs/internal/chash"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// A Step is one change of what runs; its String is a line for people.
type Step interface{ String() string }

// RemoveInterface closes an interface.
type RemoveInterface struct{ Bridge, Name, Why string }

// RemoveBridge takes down a bridge that has no interfaces any more.
type RemoveBridge struct{ Name, Why string }

// AddBridge makes a bridge without interfaces.
type AddBridge struct{ Want *desired.Bridge }

// SetBridge changes a bridge's own configuration and its ports' VLANs.
// Changes names what is different.
type SetBridge struct {
	Want    *desired.Bridge
	Changes []string
}

// AddInterface opens an interface, or tries again.
type AddInterface struct {
	Bridge string
	Port   *desired.Port
	Want   *desired.Interface
	Retry  bool
}

// SetInterface changes an interface that stays open. Changes names what is
// different.
type SetInterface struct {
	Bridge  string
	Want    *desired.Interface
	Changes []string
}

// Renumber gives interfaces of a bridge other OpenFlow numbers, all at once.
type Renumber struct {
	Bridge string
	Moves  []Move
}

// A Move is one interface's change of number: to To, or to any when it is 0.
type Move struct {
	Name     string
	From, To int
}

// Refuse notes why an interface cannot be.
type Refuse struct {
	Bridge string
	Want   *desired.Interface
}

// RefuseBridge notes why a bridge cannot be.
type RefuseBridge struct{ Want *desired.Bridge }

func (s RemoveInterface) String() string {
	return fmt.Sprintf("remove interface %s from bridge %s (%s)", s.Name, s.Bridge, s.Why)
}

func (s RemoveBridge) String() string {
	return fmt.Sprintf("remove bridge %s (%s)", s.Name, s.Why)
}

func (s AddBridge) String() string {
	return fmt.Sprintf("add bridge %s (%s)", s.Want.Name, s.Want.DatapathType)
}

func (s SetBridge) String() string {
	return fmt.Sprintf("change bridge %s: %s", s.Want.Name, strings.Join(s.Changes, ", "))
}

func (s AddInterface) String() string {
	var b strings.Builder
	verb := "add"
	if s.Retry {
		verb = "try again to add"
	}
	fmt.Fprintf(&b, "%s interface %s to bridge %s (%s", verb, s.Want.Name, s.Bridge, s.Want.Kind)
	if s.Want.Peer != "" {
		fmt.Fprintf(&b, ", peer %s", s.Want.Peer)
	}
	if s.Want.OFPRequest != 0 {
		fmt.Fprintf(&b, ", ofport %d", s.Want.OFPRequest)
	}
	fmt.Fprintf(&b, ", %s)", vlanText(s.Port))
	if !s.Want.Policing.Off() {
		fmt.Fprintf(&b, " policed to %s", s.Want.Policing)
	}
	if s.Want.QoS != nil {
		fmt.Fprintf(&b, " qos %s", s.Want.QoS)
	}
	return b.String()
}

func (s SetInterface) String() string {
	return fmt.Sprintf("change interface %s of bridge %s: %s", s.Want.Name, s.Bridge, strings.Join(s.Changes, ", "))
}

func (s Renumber) String() string {
	var moves []string
	for _, m := range s.Moves {
		to := "any"
		if m.To != 0 {
			to = fmt.Sprint(m.To)
		}
		moves = append(moves, fmt.Sprintf("%s %d to %s", m.Name, m.From, to))
	}
	return fmt.Sprintf("renumber interfaces of bridge %s: %s", s.Bridge, strings.Join(moves, ", "))
}

func (s Refuse) String() string {
	return fmt.Sprintf("refuse interface %s of bridge %s: %s", s.Want.Name, s.Bridge, s.Want.Error)
}

func (s RefuseBridge) String() string {
	return fmt.Sprintf("refuse bridge %s: %s", s.Want.Name, s.Want.Error)
}

// vlanText is the port's VLAN configuration in a few words.
func vlanText(p *desired.Port) string {
	text := p.VLAN.String()
	if p.VLAN != desired.Trunk {
		text += fmt.Sprintf(" %d", p.Tag)
	}
	if p.Trunks != nil {
		text += fmt.Sprintf(" trunks %v", p.Trunks)
	}
	if p.VLAN == desired.Tunnel {
		text += fmt.Sprintf(" tpid %#x", p.TunnelTPID)
		if p.Customers != nil {
			text += fmt.Sprintf(" cvlans %v", p.Customers)
		}
	}
	return text
}

// Make lists the steps from what runs to what is wanted.
func Make(running *ofproto.Switch, want *desired.State) []Step {
	m := &maker{want: make(map[string]*desired.Bridge)}
	for _, b := range want.Bridges {
		if b.Error == "" {
			m.want[b.Name] = b
		}
	}
	m.gone(running)
	for _, b := range want.Bridges {
		if b.Error != "" {
			m.add(RefuseBridge{b})
			continue
		}
		m.bridge(running.Bridges[b.Name], b)
	}
	return slices.Concat(m.removals, m.bridges, m.steps)
}

type maker struct {
	want                     map[string]*desired.Bridge
	removals, bridges, steps []Step
}

func (m *maker) add(s Step)    { m.steps = append(m.steps, s) }
func (m *maker) remove(s Step) { m.removals = append(m.removals, s) }

// gone removes what is not wanted, or not in that form.
func (m *maker) gone(running *ofproto.Switch) {
	for _, have := range running.Sorted() {
		want := m.want[have.Want.Name]
		why, wanted := replaceBridge(have.Want, want), index(want)
		for _, i := range have.Sorted() {
			if why != "" {
				m.remove(RemoveInterface{have.Want.Name, i.Want.Name, why})
				continue
			}
			if reason := replaceIface(i.Want, wanted[i.Want.Name]); reason != "" {
				m.remove(RemoveInterface{have.Want.Name, i.Want.Name, reason})
			}
		}
		if why != "" {
			m.remove(RemoveBridge{have.Want.Name, why})
		}
	}
}

// replaceBridge says why a running bridge cannot stay, "" where it can. As in
// the C daemon a bridge and an interface are who they are by their names: rows
// that one transaction deletes and makes again disturb no packet.
func replaceBridge(have, want *desired.Bridge) string {
	switch {
	case want == nil:
		return "bridge not wanted"
	case have.Dummy != want.Dummy:
		return "datapath type changed"
	}
	return ""
}

// replaceIface says why an interface cannot stay open, "" where it can.
func replaceIface(have, want *desired.Interface) string {
	switch {
	case want == nil:
		return "not wanted"
	case want.Error != "":
		return "cannot be"
	case have.Kind != want.Kind:
		return "type changed"
	case have.Peer != want.Peer:
		return "peer changed"
	case want.Kind == desired.TunnelEnd && *have.Tunnel != *want.Tunnel:
		return "options changed"
	case (want.Kind == desired.AFXDP || want.Kind == desired.PCAP) && !maps.Equal(have.Options, want.Options):
		return "options changed"
	}
	return ""
}

func (m *maker) bridge(have *ofproto.Bridge, want *desired.Bridge) {
	if have == nil || replaceBridge(have.Want, want) != "" {
		m.bridges = append(m.bridges, AddBridge{want})
		have = nil
	} else if changes := bridgeChanges(have.Want, want); len(changes) > 0 {
		m.add(SetBridge{want, changes})
	}
	if have != nil {
		m.renumber(have, want)
	}
	// Who has a claim to a number takes it before anybody else can.
	ports := inOrder(have, want)
	for rank := range ranks {
		for _, p := range ports {
			for _, i := range p.Interfaces {
				if rankOf(i) == rank {
					m.iface(have, want, p, i)
				}
			}
		}
	}
}

// inOrder is the order in which ports get their numbers. Where there are several
// new ones it is that of the C daemon's hash table of ports, so that they get the
// same numbers. Within a bucket, where C's order is random, that is by name.
func inOrder(have *ofproto.Bridge, want *desired.Bridge) []*desired.Port {
	ports, fresh := make(map[string]*desired.Port, len(want.Ports)), 0
	for _, p := range want.Ports {
		ports[p.Name] = p
		if have == nil || have.Ifaces[p.Name] == nil {
			fresh++
		}
	}
	if fresh < 2 {
		return want.Ports
	}
	table := chash.Names()
	for _, p := range slices.Backward(want.Ports) { // the last of a bucket comes first
		table.Add(p.Name)
	}
	order := make([]*desired.Port, 0, len(ports))
	for name := range table.All() {
		order = append(order, ports[name])
	}
	return order
}

const ranks = 4

// rankOf is the order in which interfaces get their numbers: the local port,
// those that ask for one, those that had one, the others.
func rankOf(i *desired.Interface) int {
	switch {
	case i.Local:
		return 0
	case i.OFPRequest != 0:
		return 1
	case i.OFPBefore != 0:
		return 2
	}
	return 3
}

func (m *maker) iface(bridge *ofproto.Bridge, wantBridge *desired.Bridge, p *desired.Port, want *desired.Interface) {
	var have *ofproto.Iface
	if bridge != nil {
		have = bridge.Ifaces[want.Name]
	}
	switch {
	case want.Error != "":
		m.add(Refuse{wantBridge.Name, want})
	case have == nil || replaceIface(have.Want, want) != "":
		m.add(AddInterface{wantBridge.Name, p, want, false})
	case !have.Open():
		m.add(AddInterface{wantBridge.Name, p, want, true})
	default:
		if changes := ifaceChanges(have.Want, want); len(changes) > 0 {
			m.add(SetInterface{wantBridge.Name, want, changes})
		}
	}
}

// renumber moves the interfaces whose number is not the requested one, and
// those that stand in their way. A number that several ask for stays with the
// one that has it; else the first by name gets it. Interfaces that have no
// number yet make room for themselves when they are opened.
func (m *maker) renumber(have *ofproto.Bridge, want *desired.Bridge) {
	claims := make(map[int]string)
	for _, p := range want.Ports {
		for _, i := range p.Interfaces {
			no := i.OFPRequest
			if r := have.Ifaces[i.Name]; no == 0 || i.Error != "" || i.Local || r == nil || r.OFPort == 0 || replaceIface(r.Want, i) != "" {
				continue
			}
			if claims[no] == "" || have.Numbers.Owner(no) == i.Name {
				claims[no] = i.Name
			}
		}
	}
	if len(claims) == 0 {
		return
	}
	var moves []Move
	wanted := index(want)
	for _, i := range have.Sorted() {
		w := wanted[i.Want.Name]
		if w == nil || i.OFPort == 0 || w.Local || replaceIface(i.Want, w) != "" {
			continue
		}
		switch no := w.OFPRequest; {
		case no == i.OFPort:
		case no != 0 && claims[no] == w.Name:
			moves = append(moves, Move{w.Name, i.OFPort, no})
		case claims[i.OFPort] != "":
			moves = append(moves, Move{w.Name, i.OFPort, 0})
		}
	}
	if len(moves) > 0 {
		m.add(Renumber{want.Name, moves})
	}
}

// index are the bridge's interfaces by name.
func index(b *desired.Bridge) map[string]*desired.Interface {
	byName := make(map[string]*desired.Interface)
	if b == nil {
		return byName
	}
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			byName[i.Name] = i
		}
	}
	return byName
}
