package plan

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"govs/vswitchd/desired"
)

// bridgeChanges names what is different about a bridge that stays.
func bridgeChanges(have, want *desired.Bridge) (changes []string) {
	differ := func(name string, old, now any) {
		if !reflect.DeepEqual(old, now) {
			changes = append(changes, fmt.Sprintf("%s %v to %v", name, old, now))
		}
	}
	differ("datapath_type", have.DatapathType, want.DatapathType)
	differ("hwaddr", text(have.HWAddr.String()), text(want.HWAddr.String()))
	differ("datapath-id", text(have.DatapathID), text(want.DatapathID))
	differ("mac-aging-time", have.MACAging, want.MACAging)
	differ("mac-table-size", have.MACTableSize, want.MACTableSize)
	differ("flood_vlans", have.FloodVLANs, want.FloodVLANs)
	differ("forward-bpdu", have.ForwardBPDU, want.ForwardBPDU)
	differ("fail-secure", have.FailSecure, want.FailSecure)
	differ("spanning tree", have.Tree.String(), want.Tree.String())
	if !SameMirrors(have, want) {
		changes = append(changes, fmt.Sprintf("mirrors %v to %v", have.Mirrors, want.Mirrors))
	}
	differ("multicast snooping", have.Snooping.String(), want.Snooping.String())
	differ("netflow", have.NetFlow.String(), want.NetFlow.String())
	differ("sflow", have.SFlow.String(), want.SFlow.String())
	differ("ipfix", have.IPFIX.String(), want.IPFIX.String())
	differ("flow samples", fmt.Sprint(have.Samples), fmt.Sprint(want.Samples))

	before := make(map[string]*desired.Port, len(have.Ports))
	for _, p := range have.Ports {
		before[p.Name] = p
	}
	for _, p := range want.Ports {
		old, ok := before[p.Name]
		delete(before, p.Name)
		switch {
		case !ok:
			changes = append(changes, "port "+p.Name)
		case !SamePort(old, p):
			was, now := portText(old), portText(p)
			changes = append(changes, fmt.Sprintf("port %s %s to %s", p.Name, was, now))
		default:
			changes = append(changes, serviceChanges(old, p)...)
		}
	}
	for _, p := range have.Ports {
		if _, left := before[p.Name]; left {
			changes = append(changes, "no port "+p.Name)
		}
	}
	return changes
}

// SameMirrors compares the mirrors of two bridges.
func SameMirrors(a, b *desired.Bridge) bool { return reflect.DeepEqual(a.Mirrors, b.Mirrors) }

// SamePort compares ports, and of their interfaces the names.
func SamePort(a, b *desired.Port) bool {
	return a.VLAN == b.VLAN && a.Tag == b.Tag && a.PriorityTags == b.PriorityTags && a.Protected == b.Protected &&
		a.McastFlood == b.McastFlood && a.McastReports == b.McastReports &&
		slices.Equal(a.Trunks, b.Trunks) && slices.Equal(a.Customers, b.Customers) && a.TunnelTPID == b.TunnelTPID &&
		slices.EqualFunc(a.Interfaces, b.Interfaces, func(x, y *desired.Interface) bool { return x.Name == y.Name })
}

// serviceChanges names what is different about a port and leaves the stations
// behind it where they were.
func serviceChanges(have, want *desired.Port) (changes []string) {
	differ := func(old, now fmt.Stringer) {
		if !reflect.DeepEqual(old, now) {
			changes = append(changes, fmt.Sprintf("port %s %s to %s", want.Name, old, now))
		}
	}
	differ(have.Bond, want.Bond)
	differ(have.LACP, want.LACP)
	differ(have.Tree, want.Tree)
	for n, i := range want.Interfaces {
		if old := have.Interfaces[n]; old.LACP != i.LACP {
			changes = append(changes, fmt.Sprintf("interface %s lacp %v to %v", i.Name, old.LACP, i.LACP))
		}
		if old := have.Interfaces[n]; !reflect.DeepEqual(old.BFD, i.BFD) {
			changes = append(changes, fmt.Sprintf("interface %s bfd %v to %v", i.Name, old.BFD, i.BFD))
		}
		if old := have.Interfaces[n]; !reflect.DeepEqual(old.LLDP, i.LLDP) {
			changes = append(changes, fmt.Sprintf("interface %s lldp %v to %v", i.Name, old.LLDP, i.LLDP))
		}
		if old := have.Interfaces[n]; !reflect.DeepEqual(old.CFM, i.CFM) {
			changes = append(changes, fmt.Sprintf("interface %s cfm %v to %v", i.Name, old.CFM, i.CFM))
		}
	}
	return changes
}

func portText(p *desired.Port) string {
	s := vlanText(p)
	if p.PriorityTags != "never" {
		s += " priority-tags " + p.PriorityTags
	}
	if p.Protected {
		s += " protected"
	}
	if len(p.Interfaces) != 1 || p.Interfaces[0].Name != p.Name {
		s += " interfaces"
		for _, i := range p.Interfaces {
			s += " " + i.Name
		}
	}
	return s
}

// ifaceChanges names what is different about an interface that stays open.
func ifaceChanges(have, want *desired.Interface) (changes []string) {
	if !bytes.Equal(have.MAC, want.MAC) {
		changes = append(changes, fmt.Sprintf("mac %s to %s", text(have.MAC.String()), text(want.MAC.String())))
	}
	if have.MTU != want.MTU {
		changes = append(changes, fmt.Sprintf("mtu_request %d to %d", have.MTU, want.MTU))
	}
	if have.Policing != want.Policing {
		changes = append(changes, fmt.Sprintf("ingress policing %s to %s", have.Policing, want.Policing))
	}
	if !reflect.DeepEqual(have.QoS, want.QoS) {
		changes = append(changes, fmt.Sprintf("qos %s to %s", have.QoS, want.QoS))
	}
	if want.Kind == desired.DummyNIC && !maps.Equal(have.Options, want.Options) {
		changes = append(changes, fmt.Sprintf("options %v to %v", have.Options, want.Options))
	}
	if have.OFPRequest != want.OFPRequest {
		changes = append(changes, fmt.Sprintf("ofport_request %d to %d", have.OFPRequest, want.OFPRequest))
	}
	return changes
}

func text(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
