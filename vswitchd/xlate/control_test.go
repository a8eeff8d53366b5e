package xlate

import (
	"strings"
	"testing"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
	"govs/vswitchd/cfm"
)

// TestOAM says which frames leave by Geneve as ones of those that run the network.
func TestOAM(t *testing.T) {
	const (
		ours  = "eth(src=50:54:00:00:00:01,dst=00:23:20:00:00:01),eth_type(0x0800),ipv4(src=169.254.1.1,dst=169.254.1.0,proto=17,tos=0,ttl=255,frag=no),udp(src=49152,dst=3784)"
		other = "eth(src=50:54:00:00:00:01,dst=01:80:c2:00:00:30),eth_type(0x8902)"
	)
	for _, test := range []struct {
		name, frame string
		kind        tunnel.Kind
		oam, want   bool
	}{
		{"BFD", ours, tunnel.Geneve, true, true},
		{"BFD without", ours, tunnel.Geneve, false, false},
		{"CFM", other, tunnel.Geneve, true, false},
		{"BFD by VXLAN", ours, tunnel.VXLAN, true, false},
	} {
		m := newMesh(t, tunnel.Config{Kind: test.kind, Port: 6081, Remote: there})
		m.net.Heard("br-ex", there, thereMAC, begin)
		m.in.Ports[1].Interfaces[0].BFD = &BFD{OAM: test.oam}
		m.tr.Set(&m.cfg)
		frame, err := flow.ComposeText(test.frame)
		if err != nil {
			t.Fatal(err)
		}
		var pool packet.Pool
		list := action.Join(m.tr.Output("t0", pool.From(frame), begin))
		if !strings.HasPrefix(list, "tnl_push(") || strings.Contains(list, "geneve(oam,vni=0x0)") != test.want {
			t.Errorf("%s: %s", test.name, list)
		}
	}
}

// TestWatched says which frames of CFM and BFD go to Config.Control, and which
// are packets like others.
func TestWatched(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there, InFlow: true}, tunnel.Config{Kind: tunnel.Geneve, Port: 6081, Remote: there, InKey: 5, InHasKey: true})
	watch := func(port int, zero bool) {
		i := &m.in.Ports[port].Interfaces[0]
		i.CFM, i.BFD = &CFM{Dst: cfm.Group, ZeroKey: zero}, &BFD{ZeroKey: zero}
	}
	watch(0, false) // p1
	watch(1, true)  // t0
	watch(2, false) // t1
	taken := make(map[string]int)
	m.cfg.Control = func(iface string, frame []byte) { taken[iface]++ }
	m.tr.Set(&m.cfg)
	const (
		ccm = "eth(src=50:54:00:00:00:01,dst=01:80:c2:00:00:30),eth_type(0x8902)"
		bfd = "eth(src=50:54:00:00:00:01,dst=00:23:20:00:00:01),eth_type(0x0800),ipv4(src=169.254.1.1,dst=169.254.1.0,proto=17,tos=0,ttl=255,frag=no),udp(src=49152,dst=3784)"
	)
	out := func(key string) string {
		return "tunnel(tun_id=" + key + ",src=1.1.2.92,dst=1.1.2.88,ttl=64,flags(key)),"
	}
	for _, test := range []struct {
		key, takes string // the interface, "" for none
	}{
		{"in_port(1)," + ccm, "p1"},
		{"in_port(1),eth(src=50:54:00:00:00:01,dst=01:80:c2:00:00:30),eth_type(0x8100),vlan(vid=5,pcp=3),encap(eth_type(0x8902))", "p1"},
		{"in_port(1),eth(src=50:54:00:00:00:01,dst=01:80:c2:00:00:31),eth_type(0x8902)", ""},
		{"in_port(1),eth(src=50:54:00:00:00:01,dst=01:23:20:00:00:30),eth_type(0x8902)", ""},
		{"in_port(1),eth(src=50:54:00:00:00:01,dst=01:80:c2:00:00:30),eth_type(0x88cc)", ""},
		{"in_port(1)," + bfd, "p1"},
		{"in_port(2)," + ccm, ""},
		// Out of a tunnel that takes any key the key must be 0.
		{out("0x0") + "in_port(4789)," + ccm, "t0"},
		{out("0x7") + "in_port(4789)," + ccm, ""},
		{out("0x0") + "in_port(4789)," + bfd, "t0"},
		{out("0x7") + "in_port(4789)," + bfd, ""},
		{out("0x5") + "in_port(6081)," + ccm, "t1"},
		{out("0x5") + "in_port(6081)," + bfd, "t1"},
	} {
		clear(taken)
		_, res := m.do(t, test.key)
		if res.Taken != (test.takes != "") || res.Taken && !res.Uncacheable || len(taken) > 1 || test.takes != "" && taken[test.takes] != 1 {
			t.Errorf("%s: taken %t, by %v, want %q", test.key, res.Taken, taken, test.takes)
		}
		if res.Taken {
			continue
		}
		// A frame that CFM would take must not meet this one's megaflow.
		like, _, err := flow.Parse("in_port(1),"+ccm, nil)
		if err != nil {
			t.Fatal(err)
		}
		mask := always()
		mask.Or(&res.Mask)
		if mask.Equal(&like, &m.key) {
			t.Errorf("%s: its megaflow has messages of CFM in it: %v", test.key, &mask)
		}
	}
}
