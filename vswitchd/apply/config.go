package apply

import (
	"cmp"
	"slices"

	"govs/vswitchd/bond"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/xlate"
)

// Services give what of the configuration is not of the plan's making. Each
// may be nil.
type Services struct {
	// Sample is a bridge's flow exporter, nil for none.
	Sample func(*ofproto.Bridge) xlate.Sample
	// Sampled are the samplers that a bridge has, each nil for none.
	Sampled func(*ofproto.Bridge) (*xlate.SFlow, *xlate.IPFIX)
	// Bond is what has become of a port of several interfaces.
	Bond func(*desired.Port) *bond.View
	// Mirrors are a bridge's mirrors.
	Mirrors func(*ofproto.Bridge) []*xlate.Mirror
	// Spans says whether a bridge speaks a spanning tree protocol, and Passes
	// what a port of it does with packets.
	Spans  func(*ofproto.Bridge) bool
	Passes func(*ofproto.Bridge, *desired.Port) (learn, forward bool)
	// Control is xlate.Config.Control.
	Control func(in string, frame []byte)
	// Underlay is xlate.Config.Underlay.
	Underlay *xlate.Underlay
}

// Config is what packets are translated from.
func (a *Applier) Config(s Services) *xlate.Config {
	c := &xlate.Config{Control: s.Control, Underlay: s.Underlay}
	for _, b := range a.Switch.Sorted() {
		x := &xlate.Bridge{
			Name:        b.Want.Name,
			MAC:         b.MAC,
			MACs:        b.MACs,
			Groups:      b.Groups,
			FloodVLANs:  b.Want.FloodVLANs,
			ForwardBPDU: b.Want.ForwardBPDU,
			FailSecure:  b.Want.FailSecure,
		}
		if s.Sample != nil {
			x.NetFlow = s.Sample(b)
		}
		if s.Sampled != nil {
			x.SFlow, x.IPFIX = s.Sampled(b)
		}
		if s.Mirrors != nil {
			x.Mirrors = s.Mirrors(b)
		}
		x.Spanning = s.Spans != nil && s.Spans(b)
		for _, p := range b.Want.Ports {
			port := configPort(b, p)
			if len(port.Interfaces) == 0 {
				continue
			}
			if p.Bond != nil && s.Bond != nil {
				port.Bond = s.Bond(p)
			}
			if x.Spanning && s.Passes != nil {
				learn, forward := s.Passes(b, p)
				port.NoLearn, port.Blocked = !learn, !forward
			}
			x.Ports = append(x.Ports, port)
		}
		// Floods leave by the local port first, then in the order of numbers.
		slices.SortFunc(x.Ports, func(a, b *xlate.Port) int {
			return cmp.Compare(floodOrder(a), floodOrder(b))
		})
		c.Bridges = append(c.Bridges, x)
	}
	return c
}

func floodOrder(p *xlate.Port) uint16 {
	if no := p.Interfaces[0].OFPort; no != desired.LocalPort {
		return no
	}
	return 0
}

var modes = map[desired.VLANMode]xlate.Mode{
	desired.Access:         xlate.Access,
	desired.Trunk:          xlate.Trunk,
	desired.NativeTagged:   xlate.NativeTagged,
	desired.NativeUntagged: xlate.NativeUntagged,
	desired.Tunnel:         xlate.Tunnel,
}

var priorityTags = map[string]xlate.PriorityTags{
	"never":      xlate.NeverTag,
	"if-nonzero": xlate.IfNonzero,
	"always":     xlate.AlwaysTag,
}

// configPort is one port with those of its interfaces that are open.
func configPort(b *ofproto.Bridge, p *desired.Port) *xlate.Port {
	out := &xlate.Port{
		Name:         p.Name,
		Mode:         modes[p.VLAN],
		Tag:          p.Tag,
		Trunks:       p.Trunks,
		Customers:    p.Customers,
		TunnelTPID:   p.TunnelTPID,
		PriorityTags: priorityTags[p.PriorityTags],
		Protected:    p.Protected,
		McastFlood:   p.McastFlood,
		McastReports: p.McastReports,
	}
	for _, want := range p.Interfaces {
		i := b.Ifaces[want.Name]
		if i == nil || !i.Open() || want.Fake {
			continue
		}
		x := xlate.Interface{
			Name:   want.Name,
			No:     i.No,
			OFPort: uint16(i.OFPort),
			Peer:   want.Peer,
			LACP:   p.LACP != nil,
			LLDP:   want.LLDP != nil,

			Counters: i.Counters,
			Tunnel:   want.Tunnel,
		}
		if want.BFD != nil {
			x.BFD = &xlate.BFD{Dst: want.BFD.Check, ZeroKey: want.BFD.ZeroKey, OAM: want.BFD.OAM}
		}
		if want.CFM != nil {
			t := want.Tunnel
			x.CFM = &xlate.CFM{Dst: want.CFM.Dst(), ZeroKey: t != nil && (t.InFlow || !t.InHasKey)}
		}
		if i.Port != nil {
			x.Ifindex = i.Port.State().Ifindex
		}
		out.Interfaces = append(out.Interfaces, x)
	}
	return out
}
