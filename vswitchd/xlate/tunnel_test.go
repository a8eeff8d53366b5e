package xlate

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
	"govs/vswitchd/mac"
	"govs/vswitchd/underlay"
)

// A mesh is two bridges: br-in with the port 1 and tunnels, br-ex with the cable
// 2, its own port 100 and the address 1.1.2.88.
type mesh struct {
	tr    *Translator
	net   *underlay.Net
	asked []netip.Addr
	key   flow.Key
	cfg   Config
	in    *Bridge
}

var (
	hereMAC  = [6]byte{0xaa, 0x55, 0xaa, 0x55, 0, 0}
	thereMAC = [6]byte{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6}
	there    = netip.MustParseAddr("1.1.2.92")
)

func newMesh(t *testing.T, tunnels ...tunnel.Config) *mesh {
	m := &mesh{tr: New(), net: underlay.New(func() {})}
	port := func(name string, i Interface) *Port {
		i.Name = name
		return &Port{Name: name, Mode: Trunk, Interfaces: []Interface{i}}
	}
	in := &Bridge{Name: "br-in", MACs: mac.New(mac.Options{Aging: time.Minute, Size: 100}, func() {}), Ports: []*Port{port("p1", Interface{No: 1, OFPort: 1})}}
	for n, c := range tunnels {
		no := flow.PortNo(c.Port)
		if c.Kind == 0 {
			c.Kind, c.Port, no = tunnel.VXLAN, 4789, 4789
		}
		in.Ports = append(in.Ports, port("t"+string(rune('0'+n)), Interface{No: no, OFPort: uint16(10 + n), Tunnel: &c, Counters: new(Counters)}))
	}
	ex := &Bridge{Name: "br-ex", MAC: hereMAC[:], MACs: mac.New(mac.Options{Aging: time.Minute, Size: 100}, func() {}),
		Ports: []*Port{port("br-ex", Interface{No: 100, OFPort: 65534}), port("e1", Interface{No: 2, OFPort: 1})}}
	m.in = in
	m.cfg = Config{Bridges: []*Bridge{in, ex}, Underlay: &Underlay{Net: m.net, Solicit: func(bridge string, ip, source netip.Addr) {
		if bridge != "br-ex" || source != netip.MustParseAddr("1.1.2.88") {
			t.Errorf("asked on %s from %s", bridge, source)
		}
		m.asked = append(m.asked, ip)
	}}}
	m.tr.Set(&m.cfg)
	m.net.SetHost([]underlay.Route{{Prefix: netip.MustParsePrefix("1.1.2.0/24"), Device: "br-ex", Source: netip.MustParseAddr("1.1.2.88")}},
		map[string][]netip.Prefix{"br-ex": {netip.MustParsePrefix("1.1.2.88/24")}})
	return m
}

func (m *mesh) do(t *testing.T, text string) (string, *engine.Result) {
	t.Helper()
	key, _, err := flow.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	m.key = key
	var pool packet.Pool
	var res engine.Result
	m.tr.Translate(&engine.Request{Key: &key, Packet: pool.From(make([]byte, 60)), Now: begin}, &res)
	return action.Join(res.Actions), &res
}

const (
	inner = "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0xb9,ttl=9,frag=no),udp(src=1,dst=2)"
	reply = "in_port(2),eth(src=f8:bc:12:44:34:b6,dst=aa:55:aa:55:00:00),eth_type(0x0806),arp(sip=1.1.2.92,tip=1.1.2.88,op=2,sha=f8:bc:12:44:34:b6,tha=aa:55:aa:55:00:00)"
	outer = "in_port(2),eth(src=f8:bc:12:44:34:b6,dst=aa:55:aa:55:00:00),eth_type(0x0800),ipv4(src=1.1.2.92,dst=1.1.2.88,proto=17,tos=0,ttl=64,frag=no),udp(src=40000,dst=4789)"
)

func pushed(tos, ttl, csum, vni string) string {
	return "tnl_push(tnl_port(4789),header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=" +
		tos + ",ttl=" + ttl + ",frag=0x4000),udp(src=0,dst=4789,csum=" + csum + "),vxlan(flags=0x8000000,vni=" + vni + ")),out_port(100)),2"
}

// A neighbour is asked for, heard of, and then packets go into the tunnel.
func TestTunnelNeighbour(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there, OutKey: 123, InKey: 123, InHasKey: true})
	got, res := m.do(t, inner)
	if got != "drop("+drop.NoNeighbour.String()+")" || !res.Uncacheable || len(m.asked) != 1 || m.asked[0] != there {
		t.Errorf("%s, asked for %v", got, m.asked)
	}
	m.do(t, inner)
	if len(m.asked) != 1 {
		t.Error("asked twice at once")
	}
	if got, res = m.do(t, reply); got != "100" || res.Mask.ARPSHA != [6]byte{255, 255, 255, 255, 255, 255} {
		t.Error(got)
	}
	if got, res = m.do(t, inner); got != pushed("0x1", "64", "0x0", "0x7b") || res.Mask.TOS != 3 || res.Mask.TTL != 0 || res.Uncacheable {
		t.Errorf("%s, %+v", got, res.Mask)
	}
	// Megaflow traffic keeps the neighbour.
	_, res = m.do(t, reply)
	for _, c := range res.Credit {
		c.Credit(&m.key, engine.Traffic{Packets: 1, Last: begin.Add(10 * time.Minute)})
	}
	m.net.Expire(begin.Add(20 * time.Minute))
	if _, ok := m.net.Neighbour("br-ex", there); !ok {
		t.Error("a neighbour that is heard of was forgotten")
	}
	// By its address, e1 is known; what it does not say is not believed.
	m.do(t, strings.Replace(reply, "tip=1.1.2.88", "tip=1.1.2.89", 1))
}

func TestTunnelOptions(t *testing.T) {
	for name, c := range map[string]struct {
		config tunnel.Config
		want   string
	}{
		"inherited":    {tunnel.Config{TOSInherit: true, TTLInherit: true, OutKey: 1}, pushed("0xb9", "9", "0x0", "0x1")},
		"given":        {tunnel.Config{TOS: 0x20, TTL: 3, Csum: true, OutKey: 1}, pushed("0x21", "3", "0xffff", "0x1")},
		"key of none":  {tunnel.Config{OutFlow: true}, pushed("0x1", "64", "0x0", "0x0")},
		"fragments":    {tunnel.Config{Fragment: true}, strings.Replace(pushed("0x1", "64", "0x0", "0x0"), "0x4000", "0", 1)},
		"from another": {tunnel.Config{Local: netip.MustParseAddr("1.1.2.3")}, strings.Replace(pushed("0x1", "64", "0x0", "0x0"), "1.1.2.88", "1.1.2.3", 1)},
		"to nowhere":   {tunnel.Config{Remote: netip.MustParseAddr("9.9.9.9")}, "drop(" + drop.NoRoute.String() + ")"},
	} {
		if !c.config.Remote.IsValid() {
			c.config.Remote = there
		}
		m := newMesh(t, c.config)
		m.net.Heard("br-ex", there, thereMAC, begin)
		if got, _ := m.do(t, inner); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// What is behind the tunnel's copy gets the packet as it was.
func TestTunnelAndOthers(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there}, tunnel.Config{Remote: there, OutKey: 5, InKey: 5, InHasKey: true})
	m.net.Heard("br-ex", there, thereMAC, begin)
	want := "clone(" + pushed("0x1", "64", "0x0", "0x0") + ")," + pushed("0x1", "64", "0x0", "0x5")
	if got, _ := m.do(t, inner); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestTunnelPop(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there})
	got, res := m.do(t, outer)
	if got != "tnl_pop(4789)" || res.Mask.TPDst != 0xffff || res.Mask.TPSrc != 0 || res.Mask.IPSrc != [16]byte{} {
		t.Errorf("%s, %+v", got, res.Mask)
	}
	for _, change := range [][2]string{{"dst=1.1.2.88", "dst=1.1.2.89"}, {"dst=4789", "dst=4790"}, {"dst=aa:55:aa:55:00:00", "dst=aa:55:aa:55:00:01"}, {"frag=no", "frag=first"}, {"proto=17", "proto=6"}} {
		if got, _ := m.do(t, strings.Replace(strings.Replace(outer, change[0], change[1], 1), "udp", map[bool]string{true: "tcp", false: "udp"}[change[1] == "proto=6"], 1)); got != "100" {
			t.Errorf("%v: %s", change, got)
		}
	}
}

// Of the tunnels that take a packet it is the one that says most of it.
func TestTunnelArrives(t *testing.T) {
	other := netip.MustParseAddr("1.1.2.93")
	m := newMesh(t,
		tunnel.Config{Remote: there, InKey: 1, InHasKey: true}, tunnel.Config{Remote: there, InFlow: true}, tunnel.Config{InKey: 1, InHasKey: true},
		tunnel.Config{Remote: there, Local: netip.MustParseAddr("1.1.2.88"), InKey: 1, InHasKey: true}, tunnel.Config{Remote: other, InKey: 2, InHasKey: true})
	for _, c := range []struct {
		src, dst string
		key      uint64
		want     string
	}{
		{"1.1.2.92", "1.1.2.88", 1, "t3"}, {"1.1.2.92", "1.1.2.87", 1, "t0"}, {"1.1.2.92", "1.1.2.87", 9, "t1"}, {"1.1.2.1", "1.1.2.88", 1, "t2"},
		{"1.1.2.93", "1.1.2.88", 2, "t4"}, {"1.1.2.93", "1.1.2.88", 3, ""},
	} {
		k := flow.Key{InPort: 4789, TunID: c.key, TunFlg: flow.TunKey}
		src, dst := netip.MustParseAddr(c.src).As4(), netip.MustParseAddr(c.dst).As4()
		copy(k.TunSrc[:], src[:])
		copy(k.TunDst[:], dst[:])
		if got := m.tr.Tunnel(&k); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
		var res engine.Result
		m.tr.Translate(&engine.Request{Key: &k, Now: begin}, &res)
		if missed := len(res.Actions) == 1 && res.Actions[0] == (action.Drop{Reason: drop.NoTunnel}); missed != (c.want == "") {
			t.Errorf("%+v: %s", c, action.Join(res.Actions))
		}
		if res.Mask.TunID != ^uint64(0) || res.Mask.TunSrc[3] != 0xff || res.Mask.TunFlg == 0 {
			t.Errorf("%+v: mask %+v", c, res.Mask)
		}
	}
}

// A frame of the switch's own goes where one of the host would.
func TestEnter(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there})
	var pool packet.Pool
	p := pool.From(make([]byte, 60))
	defer p.Free()
	copy(p.Bytes()[6:], hereMAC[:])
	if got := action.Join(m.tr.Enter("br-ex", p, begin)); got != "2" {
		t.Error(got)
	}
	if got := m.tr.Enter("br-in", p, begin); got != nil {
		t.Error(got)
	}
}

// A policy goes from one tunnel to the next, where that one has any.
func TestTunnelPolicy(t *testing.T) {
	gbp := tunnel.Config{Kind: tunnel.VXLAN, Port: 4790, Remote: netip.MustParseAddr("1.1.2.93"), OutKey: 9, GBP: true}
	without := gbp
	without.GBP = false
	came := "tunnel(tun_id=0,src=1.1.2.92,dst=1.1.2.88,tos=0,ttl=64,vxlan(gbp(id=100,flags=0x8)),flags(key)),in_port(4789),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:06),eth_type(0x1234)"
	for _, c := range []struct {
		to           tunnel.Config
		packet, want string
	}{
		{gbp, came, "vxlan(flags=0x88080064,vni=0x9)"},
		{gbp, strings.Replace(came, "vxlan(gbp(id=100,flags=0x8)),", "", 1), "vxlan(flags=0x8000000,vni=0x9)"},
		{gbp, inner, "vxlan(flags=0x8000000,vni=0x9)"},
		{without, came, "vxlan(flags=0x8000000,vni=0x9)"},
	} {
		m := newMesh(t, tunnel.Config{Remote: there}, c.to)
		m.net.Heard("br-ex", there, thereMAC, begin)
		m.net.Heard("br-ex", c.to.Remote, thereMAC, begin)
		got, res := m.do(t, c.packet)
		if !strings.Contains(got, c.want) || (res.Mask.TunGBPID == 0xffff && res.Mask.TunGBPFlags == 0xff) != c.to.GBP {
			t.Errorf("%s: %s, want %s; the mask has %#x, %#x", c.packet, got, c.want, res.Mask.TunGBPID, res.Mask.TunGBPFlags)
		}
	}
}

// Packets without Ethernet headers: which tunnel they are of, what they get, and
// how a frame becomes one. The actions are those of Open vSwitch 3.1.0, but for
// the tag that is taken off before.
func TestTunnelBare(t *testing.T) {
	gre := tunnel.Config{Kind: tunnel.GRE, Port: 3, Remote: there, InKey: 2, OutKey: 2, OutHasKey: true}
	l3 := func(c tunnel.Config) tunnel.Config { c.Mode = tunnel.LegacyL3; return c }
	ptap := func(c tunnel.Config) tunnel.Config { c.Mode = tunnel.PTAP; return c }
	gpe := l3(tunnel.Config{Kind: tunnel.VXLAN, Port: 4789, Remote: there, InKey: 6, OutKey: 6, GPE: true})
	gtpu := l3(tunnel.Config{Kind: tunnel.GTPU, Port: 2152, Remote: there, InKey: 8, OutKey: 8})
	const none = "drop(drop_action_no_tunnel)"
	bare := func(no, id, typ string) string {
		return "tunnel(tun_id=" + id + ",src=1.1.2.92,dst=1.1.2.88,tos=0,ttl=64,flags(key)),in_port(" + no + "),packet_type(ns=1,id=" + typ + "),eth_type(" + typ + ")"
	}
	framed := "tunnel(tun_id=2,src=1.1.2.92,dst=1.1.2.88,tos=0,ttl=64,flags(key)),in_port(3),eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:06),eth_type(0x1234)"
	for name, c := range map[string]struct {
		tunnels []tunnel.Config
		packet  string
		want    string
	}{
		"IP at legacy_l2":       {[]tunnel.Config{gre}, bare("3", "2", "0x0800"), none},
		"IP at legacy_l3":       {[]tunnel.Config{l3(gre)}, bare("3", "2", "0x0800"), "push_eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),1"},
		"IP at ptap":            {[]tunnel.Config{ptap(gre)}, bare("3", "2", "0x0800"), "drop"},
		"frame at legacy_l2":    {[]tunnel.Config{gre}, framed, "1"},
		"frame at legacy_l3":    {[]tunnel.Config{l3(gre)}, framed, none},
		"frame at ptap":         {[]tunnel.Config{ptap(gre)}, framed, "1"},
		"IP with both":          {[]tunnel.Config{ptap(gre), l3(gre)}, bare("3", "2", "0x86dd"), "push_eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),1," + strings.Replace(pushedBare("", "gre((flags=0x2000,proto=0x6558),key=0x2)", "3"), "tos=0x1", "tos=0", 1)},
		"another key":           {[]tunnel.Config{gtpu}, bare("2152", "9", "0x0800"), none},
		"GTP-U":                 {[]tunnel.Config{gtpu}, bare("2152", "8", "0x86dd"), "push_eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),1"},
		"GPE":                   {[]tunnel.Config{gpe}, bare("4789", "6", "0x0800"), "push_eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),1"},
		"nobody sends to it":    {[]tunnel.Config{l3(gre), gtpu}, inner, "drop"},
		"but to one for frames": {[]tunnel.Config{l3(gre), ptap(gre)}, inner, pushedBare("", "gre((flags=0x2000,proto=0x6558),key=0x2)", "3")},
	} {
		m := newMesh(t, c.tunnels...)
		m.net.Heard("br-ex", there, thereMAC, begin)
		got, res := m.do(t, c.packet)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if m.key.Tunnelled() && res.Mask.PacketType != ^uint32(0) {
			t.Errorf("%s: the packet type does not count", name)
		}
		if _, known := m.in.MACs.Lookup(0, [6]byte{}); known {
			t.Errorf("%s: an address that nobody has was learned", name)
		}
	}
	arp := strings.Replace(strings.Replace(reply, "in_port(2)", "in_port(1)", 1), "dst=aa:55:aa:55:00:00", "dst=50:54:00:00:00:02", 1)
	typ := func(text string) string {
		return "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02)," + text
	}
	for name, c := range map[string]struct {
		tunnel         tunnel.Config
		packet, header string // "" for none
	}{
		"IP by GRE":     {l3(gre), inner, "gre((flags=0x2000,proto=0x800),key=0x2)"},
		"ARP by GRE":    {l3(gre), arp, "gre((flags=0x2000,proto=0x806),key=0x2)"},
		"other by GRE":  {l3(gre), typ("eth_type(0x1234)"), "gre((flags=0x2000,proto=0x1234),key=0x2)"},
		"LLC by GRE":    {l3(gre), typ("eth_type(0/0xffff)"), ""},
		"IP by GPE":     {gpe, inner, "udp(src=0,dst=4789,csum=0x0),vxlan(flags=0xc000001,vni=0x6)"},
		"NSH by GPE":    {gpe, typ("eth_type(0x894f)"), "udp(src=0,dst=4789,csum=0x0),vxlan(flags=0xc000004,vni=0x6)"},
		"ARP by GPE":    {gpe, arp, ""},
		"IP by GTP-U":   {gtpu, inner, "udp(src=0,dst=2152,csum=0x0),gtpu(flags=0x30,msgtype=255,teid=0x8)"},
		"MPLS by GTP-U": {gtpu, typ("eth_type(0x8847),mpls(label=1,tc=0,ttl=1,bos=1)"), ""},
		"tagged":        {l3(gre), typ("eth_type(0x8100),vlan(vid=0,pcp=3),encap(eth_type(0x0800),ipv4(frag=no))"), "gre((flags=0x2000,proto=0x800),key=0x2)"},
		"a tag within":  {l3(gre), typ("eth_type(0x8100),vlan(vid=0,pcp=3),encap(eth_type(0x8100))"), ""},
	} {
		m := newMesh(t, c.tunnel)
		m.net.Heard("br-ex", there, thereMAC, begin)
		m.in.MACs.AddStatic(0, [6]byte{0x50, 0x54, 5: 2}, "t0", begin)
		got, _ := m.do(t, c.packet)
		want := "drop(datapath_drop_tunnel_push_error)"
		if c.header != "" {
			want = pushedBare("pop_eth,", c.header, fmt.Sprint(c.tunnel.Port))
		}
		if name == "tagged" {
			want = "pop_vlan," + want
		}
		if strings.Replace(got, "tos=0x1,", "tos=0,", 1) != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// pushedBare is a push by the tunnel's port of a header between the two ends.
func pushedBare(before, header, no string) string {
	proto, size := "47", "42"
	if !strings.HasPrefix(header, "gre") {
		proto, size = "17", "50"
	}
	typ := map[string]string{"gre": "3", "udp": "4"}[header[:3]]
	if no == "2152" {
		typ = "110"
	}
	tos := "0"
	if before == "" {
		tos = "0x1"
	}
	return before + "tnl_push(tnl_port(" + no + "),header(size=" + size + ",type=" + typ + ",eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=" +
		proto + ",tos=" + tos + ",ttl=64,frag=0x4000)," + header + "),out_port(100)),2"
}

// GRE and ERSPAN are one protocol of IP, and told apart by what is in it.
func TestTunnelPopGRE(t *testing.T) {
	gre, erspan := tunnel.Config{Kind: tunnel.GRE, Port: 7, Remote: there}, tunnel.Config{Kind: tunnel.ERSPAN, Port: 8, Remote: there, Version: 1}
	packet := strings.Replace(strings.Replace(outer, ",udp(src=40000,dst=4789)", "", 1), "proto=17", "proto=47", 1)
	for _, c := range []struct {
		tunnels []tunnel.Config
		want    action.TunnelPop
	}{
		{[]tunnel.Config{gre, erspan}, action.TunnelPop{Port: 7, Kind: tunnel.GRE, ERSPAN: 8}},
		{[]tunnel.Config{erspan, gre}, action.TunnelPop{Port: 7, Kind: tunnel.GRE, ERSPAN: 8}},
		{[]tunnel.Config{erspan}, action.TunnelPop{Port: 8, Kind: tunnel.ERSPAN}},
		{[]tunnel.Config{gre}, action.TunnelPop{Port: 7, Kind: tunnel.GRE}},
	} {
		_, res := newMesh(t, c.tunnels...).do(t, packet)
		if len(res.Actions) != 1 || res.Actions[0] != c.want {
			t.Errorf("%+v, want %+v", res.Actions, c.want)
		}
	}
}

// A mirror's port can be a tunnel: what it is to get is cut before the headers
// are put on.
func TestTunnelMirror(t *testing.T) {
	m := newMesh(t, tunnel.Config{Kind: tunnel.ERSPAN, Port: 8, Remote: there, Version: 1, OutKey: 5, Index: 3})
	m.net.Heard("br-ex", there, thereMAC, begin)
	m.in.Mirrors = []*Mirror{{Src: []string{"p1"}, Out: "t0", Snaplen: 100}}
	m.in.Ports = append(m.in.Ports, &Port{Name: "p9", Mode: Trunk, Interfaces: []Interface{{Name: "p9", No: 9, OFPort: 9}}})
	m.tr.Set(&m.cfg)
	want := "clone(trunc(100),tnl_push(tnl_port(8),header(size=50,type=107,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
		"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0x1,ttl=64,frag=0x4000),erspan(ver=1,sid=0x5,idx=0x3)),out_port(100)),2),9"
	if got, _ := m.do(t, inner); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Samples tell of the tunnel that a packet came out of, and of the one that it
// goes into where it goes nowhere else.
func TestTunnelSamples(t *testing.T) {
	m := newMesh(t, tunnel.Config{Remote: there, InKey: 123, InHasKey: true, OutKey: 123, OutHasKey: true})
	to := new(taker)
	m.in.SFlow, m.in.IPFIX = &SFlow{^uint32(0), to}, &IPFIX{^uint32(0), true, true, to}
	m.tr.Set(&m.cfg)
	m.do(t, reply)
	cookies := func(text string) (list []action.Cookie) {
		_, res := m.do(t, text)
		for _, a := range res.Actions {
			if s, ok := a.(action.Show); ok {
				list = append(list, s.Cookie)
			}
		}
		return list
	}
	away := action.Tunnel{Name: "t0", Kind: tunnel.VXLAN, Src: netip.MustParseAddr("1.1.2.88"), Dst: netip.MustParseAddr("1.1.2.92"), TOS: 1, Port: 4789, HasKey: true, Key: 123}
	back := action.Tunnel{Name: "t0", Kind: tunnel.VXLAN, Src: netip.MustParseAddr("1.1.2.92"), Dst: netip.MustParseAddr("1.1.2.88"), TOS: 4, Port: 4789, HasKey: true, Key: 123}
	same := func(what string, got []action.Cookie, want ...action.Cookie) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
		}
	}
	same("into the tunnel", cookies(inner),
		action.SFlow{Output: 0x80000001, To: away}, action.IPFIX{Output: action.NoOutput}, action.IPFIX{Output: 4789, To: away})
	same("out of the tunnel", cookies("tunnel(tun_id=123,src=1.1.2.92,dst=1.1.2.88,tos=4,ttl=64,flags(key)),"+strings.Replace(inner, "in_port(1)", "in_port(4789)", 1)),
		action.SFlow{Output: 0x80000001, From: back}, action.IPFIX{Output: action.NoOutput, From: back}, action.IPFIX{Output: 1, From: back})

	// To a port and to the tunnel: sFlow tells of neither.
	m.in.Ports = append(m.in.Ports, &Port{Name: "p3", Mode: Trunk, Interfaces: []Interface{{Name: "p3", No: 3, OFPort: 3}}})
	m.tr.Set(&m.cfg)
	if got := cookies(strings.Replace(inner, "dst=50:54:00:00:00:02", "dst=ff:ff:ff:ff:ff:ff", 1)); len(got) == 0 || got[0] != action.Cookie(action.SFlow{Output: 0x80000002}) {
		t.Errorf("two outputs: %+v", got)
	}
}
