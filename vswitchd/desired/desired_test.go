package desired_test

import (
	"fmt"
	"strings"
	"testing"

	"govs/vswitchd/desired"
	"govs/vswitchd/model/modeltest"
)

// TestTranscripts reads testdata: database lines (package modeltest), "dummy
// WAY", "disable-system", and "desired", which prints the state.
func TestTranscripts(t *testing.T) {
	modeltest.Transcripts(t, func(*testing.T) func(string) string {
		db := modeltest.New()
		var opts desired.Options
		return func(command string) string {
			switch verb, rest, _ := strings.Cut(command, " "); verb {
			case "dummy":
				opts.Dummy = map[string]desired.Dummy{
					"on": desired.DummyOn, "system": desired.DummySystem, "override": desired.DummyOverride,
				}[rest]
			case "disable-system":
				opts.DisableSystem = true
			case "desired":
				return print(desired.From(db.Snapshot(), opts))
			default:
				if err := db.Do(command); err != nil {
					return "error: " + err.Error() + "\n"
				}
			}
			return ""
		}
	})
}

func print(s *desired.State) string {
	var b strings.Builder
	fmt.Fprintf(&b, "cfg %d, stats every %v, flow-limit %d, max-idle %v\n", s.NextCfg, s.StatsInterval, s.FlowLimit, s.MaxIdle)
	for _, br := range s.Bridges {
		fmt.Fprintf(&b, "bridge %s (%s) aging %v size %d", br.Name, br.DatapathType, br.MACAging, br.MACTableSize)
		for _, add := range []struct {
			show bool
			text string
		}{
			{br.Dummy, "dummy"},
			{br.HWAddr != nil, "hwaddr " + br.HWAddr.String()},
			{br.DatapathID != "", "id " + br.DatapathID},
			{br.FloodVLANs != nil, fmt.Sprint("flood ", br.FloodVLANs)},
			{br.ForwardBPDU, "forward-bpdu"},
			{br.FailSecure, "fail-secure"},
			{br.Snooping != nil, "snooping " + br.Snooping.String()},
			{br.NetFlow != nil, "netflow " + br.NetFlow.String()},
			{br.SFlow != nil, "sflow " + br.SFlow.String()},
			{br.IPFIX != nil, "ipfix " + br.IPFIX.String()},
			{br.Tree != nil, br.Tree.String()},
			{br.Error != "", "ERROR " + br.Error},
		} {
			if add.show {
				b.WriteString(" " + add.text)
			}
		}
		b.WriteString("\n")
		for _, m := range br.Mirrors {
			fmt.Fprintf(&b, "  %s\n", m)
		}
		for _, p := range br.Ports {
			fmt.Fprintf(&b, "  port %s %s", p.Name, p.VLAN)
			if p.VLAN != desired.Trunk {
				fmt.Fprintf(&b, " %d", p.Tag)
			}
			if p.Trunks != nil {
				fmt.Fprintf(&b, " trunks %v", p.Trunks)
			}
			if p.VLAN == desired.Tunnel {
				fmt.Fprintf(&b, " customers %v tpid %#x", p.Customers, p.TunnelTPID)
			}
			if p.Protected {
				b.WriteString(" protected")
			}
			if p.PriorityTags != "never" {
				b.WriteString(" priority-tags " + p.PriorityTags)
			}
			if p.Bond != nil {
				fmt.Fprintf(&b, " %s", p.Bond)
			}
			if p.Tree != nil {
				fmt.Fprintf(&b, " %s", p.Tree)
			}
			if p.LACP != nil {
				fmt.Fprintf(&b, " %s", p.LACP)
			}
			b.WriteString("\n")
			for _, i := range p.Interfaces {
				printIface(&b, i)
			}
		}
	}
	for _, p := range s.Problems {
		fmt.Fprintf(&b, "problem: %s\n", p.Text)
	}
	return b.String()
}

func printIface(b *strings.Builder, i *desired.Interface) {
	fmt.Fprintf(b, "    %s %s", i.Name, i.Kind)
	if i.Local {
		b.WriteString(" local")
	}
	if i.MAC != nil {
		fmt.Fprintf(b, " mac %s", i.MAC)
	}
	if i.MTU != 0 {
		fmt.Fprintf(b, " mtu %d", i.MTU)
	}
	if i.OFPRequest != 0 {
		fmt.Fprintf(b, " ofport %d", i.OFPRequest)
	}
	if i.Peer != "" {
		fmt.Fprintf(b, " peer %s", i.Peer)
	}
	if i.Tunnel != nil && i.Error == "" {
		fmt.Fprintf(b, " %+v", *i.Tunnel)
	}
	if !i.Policing.Off() {
		fmt.Fprintf(b, " policed to %s", i.Policing)
	}
	if i.QoS != nil {
		fmt.Fprintf(b, " qos %s", i.QoS)
	}
	if i.LACP != (desired.LACPMember{}) {
		fmt.Fprintf(b, " lacp %v", i.LACP)
	}
	if i.Fake {
		b.WriteString(" fake")
	}
	if i.Error != "" {
		fmt.Fprintf(b, " ERROR %s", i.Error)
	}
	b.WriteString("\n")
}

// Without engine ids in the row they are those of the C switch for the
// datapath ovs-system.
func TestEngineIDs(t *testing.T) {
	db := modeltest.New()
	for _, line := range []string{"bridge br0", "port br0 br0", "netflow br0 targets=192.0.2.1:2055", "bridge br1", "netflow br1 targets=192.0.2.1:2055 engine_id=0"} {
		if err := db.Do(line); err != nil {
			t.Fatal(err)
		}
	}
	s := desired.From(db.Snapshot(), desired.Options{})
	if n := s.Bridges[0].NetFlow; n.EngineType != 0x2b || n.EngineID != 0xf6 {
		t.Errorf("engine %#x/%#x", n.EngineType, n.EngineID)
	}
	if n := s.Bridges[1].NetFlow; n.EngineType != 0x2b || n.EngineID != 0 {
		t.Errorf("engine %#x/%#x", n.EngineType, n.EngineID)
	}
}
