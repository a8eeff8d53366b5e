package xlate

import (
	"time"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/vswitchd/bfd"
	"govs/vswitchd/bpdu"
	"govs/vswitchd/cfm"
	"govs/vswitchd/lacp"
	"govs/vswitchd/lldp"
)

// control says whether the packet belongs to a protocol that the switch
// itself speaks on the interface, and hands it over where there is one.
func (w *walk) control(in *iface) bool {
	if !w.speaks(in) {
		return false
	}
	w.res.Uncacheable = true
	w.res.Taken = true
	if f := in.port.bridge.index.Control; f != nil && w.packet != nil {
		f(in.Name, w.packet.Bytes())
	}
	return true
}

func (w *walk) speaks(in *iface) bool {
	k := w.key
	if in.CFM != nil && k.EthType == cfm.EtherType { // whatever tags there are
		w.mask.Add(flow.EthDst)
		if k.EthDst == in.CFM.Dst && !(in.CFM.ZeroKey && k.TunID != 0) {
			return true
		}
	}
	switch {
	case k.VLAN[0].Present():
		return false
	case in.LACP && k.EthType == lacp.EtherType:
		return true
	case in.LLDP && k.EthType == lldp.EtherType:
		w.mask.Add(flow.EthDst)
		return k.EthDst == lldp.Group
	case in.BFD != nil && w.watches(in):
		return true
	case in.port.bridge.Spanning:
		w.mask.Add(flow.EthDst)
		return k.EthDst == bpdu.Group
	}
	return false
}

// watches says whether the packet is one of BFD's for the interface (RFC 5881,
// section 4).
func (w *walk) watches(in *iface) bool {
	k := w.key
	if k.EthType != header.TypeIPv4 || k.Frag != 0 || in.BFD.ZeroKey && k.TunID != 0 { // arrives looked at the key
		return false
	}
	if dst := in.BFD.Dst; dst != [6]byte{} {
		if w.mask.Add(flow.EthDst); k.EthDst != dst {
			return false
		}
	}
	if w.mask.Add(flow.Proto); k.Proto != header.ProtoUDP {
		return false
	}
	w.mask.Add(flow.TPDst)
	return k.TPDst == bfd.Port
}

// Send translates what is to become of a packet of the switch's own making
// that is to leave by a port of a bridge, in a VLAN (0 is none). It says
// false where there is no such port, or no way out of it.
func (t *Translator) Send(bridge, port string, vlan uint16, key *flow.Key) ([]action.Action, bool) {
	br := t.index.Load().bridges[bridge]
	if br == nil || br.byName[port] == nil {
		return nil, false
	}
	var res engine.Result
	w := walk{t: t, key: key, res: &res, mask: &res.Mask, have: arrived(key), out: Nowhere}
	inside := stack{}
	if vlan != 0 {
		inside = inside.push(tag{vid: vlan, tpid: flow.TPID8021Q})
	}
	w.output(br.byName[port], inside, inside)
	return res.Actions, len(res.Actions) > 0 && !w.over
}

// Output translates what is to become of a frame of the switch's own making
// that is to leave by an interface as it is, whatever the interface's state.
// At a patch port the frame enters the other bridge.
func (t *Translator) Output(name string, p *packet.Packet, now time.Time) []action.Action {
	i := t.index.Load().byName[name]
	if i == nil {
		return nil
	}
	if i.No != 0 && i.Tunnel == nil {
		return []action.Action{i.out}
	}
	var key flow.Key
	if !flow.Extract(p, 0, &key) {
		return nil
	}
	var res engine.Result
	w := walk{t: t, key: &key, res: &res, mask: &res.Mask, learn: true, packet: p, now: now, have: arrived(&key), out: Nowhere}
	if i.Tunnel != nil {
		w.oam = i.BFD != nil && i.BFD.OAM && key.EthType == header.TypeIPv4 && key.Proto == header.ProtoUDP && key.TPDst == bfd.Port
		w.encapsulate(i)
	} else {
		w.patch(i, w.have)
	}
	if w.over {
		return nil
	}
	return unwrap(res.Actions)
}
