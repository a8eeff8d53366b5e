package xlate

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/vswitchd/bond"
	"govs/vswitchd/mac"
)

// A spec is a configuration as the transcripts write it, one line a thing:
//
//	vlan-limit N
//	bridge NAME [secure] [forward-bpdu] [flood=10,20]
//	port NAME [access|trunk|native-tagged|native-untagged|dot1q-tunnel] [tag=N] [trunks=1,2]
//	     [cvlans=1,2] [qinq=802.1q] [prio=if-nonzero|always] [protected] [peer=PATCH] [bond=IF,IF] [slb]
//
// A port belongs to the bridge above it. Each bridge has its local port, in
// front of the others.
type spec struct {
	cfg   Config
	names map[flow.PortNo]string
	nos   map[string]flow.PortNo
	vsctl []string // what makes the same of Debian's ovs-vswitchd
	last  uint16   // OpenFlow port number
	limit int      // VLAN tags that count
}

func newSpec() *spec {
	return &spec{limit: 1, names: map[flow.PortNo]string{}, nos: map[string]flow.PortNo{}}
}

func (s *spec) number(name string) flow.PortNo {
	no := flow.PortNo(len(s.nos) + 1)
	s.nos[name], s.names[no] = no, name
	return no
}

func ints(t testing.TB, s string) (out []int) {
	for _, f := range strings.Split(s, ",") {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatalf("bad number in %q", s)
		}
		out = append(out, n)
	}
	return out
}

// line reads a bridge or port line, and says whether it is one.
func (s *spec) line(t testing.TB, l string) bool {
	f := strings.Fields(l)
	if len(f) < 2 {
		return false
	}
	switch f[0] {
	case "vlan-limit":
		s.limit = ints(t, f[1])[0]
	case "bridge":
		s.bridge(t, f[1], f[2:])
	case "port":
		s.port(t, s.cfg.Bridges[len(s.cfg.Bridges)-1], f[1], f[2:])
	case "mirror":
		s.mirror(t, s.cfg.Bridges[len(s.cfg.Bridges)-1], f[1], f[2:])
	default:
		return false
	}
	return true
}

// mirror reads "mirror NAME [all] [src=PORTS] [dst=PORTS] [vlans=1,2]
// out=PORT|out-vlan=N [snaplen=N]", of ports that stand above it.
func (s *spec) mirror(t testing.TB, b *Bridge, name string, args []string) {
	m := &Mirror{Counters: new(MirrorCounters)}
	create := []string{"--", "--id=@m" + name, "create", "mirror", "name=" + name}
	ref := func(column, ports string) {
		var ids []string
		for _, p := range strings.Split(ports, ",") {
			id := "@" + name + column + p
			s.vsctl = append(s.vsctl, "--", "--id="+id, "get", "port", p)
			ids = append(ids, id)
		}
		create = append(create, column+"="+strings.Join(ids, ","))
	}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "all":
			for _, p := range b.Ports {
				m.Src = append(m.Src, p.Name)
			}
			m.Dst = m.Src
			create = append(create, "select_all=true")
		case "src":
			m.Src = strings.Split(v, ",")
			ref("select_src_port", v)
		case "dst":
			m.Dst = strings.Split(v, ",")
			ref("select_dst_port", v)
		case "vlans":
			m.VLANs = ints(t, v)
			create = append(create, "select_vlan="+v)
		case "out":
			m.Out = v
			ref("output_port", v)
		case "out-vlan":
			m.OutVLAN = ints(t, v)[0]
			create = append(create, "output_vlan="+v)
		case "snaplen":
			m.Snaplen = ints(t, v)[0]
			create = append(create, a)
		default:
			t.Fatalf("mirror: unknown %q", a)
		}
	}
	b.Mirrors = append(b.Mirrors, m)
	s.vsctl = append(append(s.vsctl, create...), "--", "add", "bridge", b.Name, "mirrors", "@m"+name)
}

func (s *spec) bridge(t testing.TB, name string, args []string) {
	b := &Bridge{Name: name, MACs: mac.New(mac.Options{}, nil)}
	set := []string{"--", "add-br", name, "--", "set", "bridge", name, "datapath_type=dummy"}
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "secure":
			b.FailSecure = true
			set = append(set, "fail_mode=secure")
		case "forward-bpdu":
			b.ForwardBPDU = true
			set = append(set, "other_config:forward-bpdu=true")
		case "flood":
			b.FloodVLANs = ints(t, v)
			set = append(set, "flood_vlans="+v)
		default:
			t.Fatalf("bridge: unknown %q", a)
		}
	}
	b.Ports = []*Port{{Name: name, Mode: Trunk, Interfaces: []Interface{{Name: name, No: s.number(name), OFPort: mac.Local}}}}
	s.cfg.Bridges = append(s.cfg.Bridges, b)
	s.vsctl = append(s.vsctl, set...)
}

func (s *spec) port(t testing.TB, b *Bridge, name string, args []string) {
	p := &Port{Name: name, Mode: Trunk}
	set := []string{"--", "set", "port", name, "name=" + name}
	members, peer := []string{name}, ""
	for _, a := range args {
		k, v, _ := strings.Cut(a, "=")
		switch k {
		case "access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel":
			p.Mode = map[string]Mode{"access": Access, "trunk": Trunk, "native-tagged": NativeTagged, "native-untagged": NativeUntagged, "dot1q-tunnel": Tunnel}[k]
			p.TunnelTPID = flow.TPID8021AD
			set = append(set, "vlan_mode="+k)
		case "cvlans":
			p.Customers = ints(t, v)
			set = append(set, a)
		case "qinq":
			p.TunnelTPID = flow.TPID8021Q
			set = append(set, "other_config:qinq-ethtype="+v)
		case "tag":
			p.Tag = ints(t, v)[0]
			set = append(set, a)
		case "trunks":
			p.Trunks = ints(t, v)
			set = append(set, a)
		case "prio":
			p.PriorityTags = map[string]PriorityTags{"if-nonzero": IfNonzero, "always": AlwaysTag}[v]
			set = append(set, "other_config:priority-tags="+v)
		case "protected":
			p.Protected = true
			set = append(set, "protected=true")
		case "peer":
			peer = v
		case "bond":
			members = strings.Split(v, ",")
			p.Bond = &bond.View{Active: members[0], Enabled: map[string]bool{}, MayEnable: map[string]bool{},
				Buckets: new([bond.Hashes]string), Load: new(bond.Load)}
			for n, m := range members {
				p.Bond.Enabled[m], p.Bond.MayEnable[m] = true, true
				for h := n; h < bond.Hashes; h += len(members) {
					p.Bond.Buckets[h] = m
				}
			}
			set = append(set, "other_config:bond-primary="+members[0])
		case "slb":
			p.Bond.Mode = bond.BalanceSLB
			set = append(set, "bond_mode=balance-slb")
		default:
			t.Fatalf("port: unknown %q", a)
		}
	}
	add := []string{"--", "add-port", b.Name, name}
	if len(members) > 1 {
		add = append([]string{"--", "add-bond", b.Name, name}, members...)
	}
	for _, m := range members {
		s.last++
		i := Interface{Name: m, OFPort: s.last, Peer: peer}
		typ := []string{"type=dummy"}
		if peer == "" {
			i.No = s.number(m)
		} else {
			typ = []string{"type=patch", "options:peer=" + peer}
		}
		typ = append(typ, fmt.Sprintf("ofport_request=%d", i.OFPort))
		add = append(add, append([]string{"--", "set", "interface", m}, typ...)...)
		p.Interfaces = append(p.Interfaces, i)
	}
	b.Ports = append(b.Ports, p)
	s.vsctl = append(append(s.vsctl, add...), set...)
}

// parsePacket reads "PORT [src=MAC] [dst=MAC] [vid=N] [pcp=N] [tpid=N]
// [inner=N] [type=N] [op=N spa=IP tpa=IP]". A MAC may be its last byte alone.
func parsePacket(t testing.TB, s *spec, args []string) *flow.Key {
	k := &flow.Key{EthSrc: addr(t, "01"), EthDst: addr(t, "02"), EthType: 0x0800, Proto: 17, TTL: 64, TPSrc: 1, TPDst: 2}
	no, ok := s.nos[args[0]]
	if !ok {
		t.Fatalf("no port %q", args[0])
	}
	k.InPort = no
	for _, a := range args[1:] {
		name, v, _ := strings.Cut(a, "=")
		n, _ := strconv.ParseUint(v, 0, 16)
		switch name {
		case "src":
			k.EthSrc = addr(t, v)
		case "dst":
			k.EthDst = addr(t, v)
		case "vid":
			k.VLAN[0].TCI |= uint16(n) | flow.VLANPresent
			if k.VLAN[0].TPID == 0 {
				k.VLAN[0].TPID = flow.TPID8021Q
			}
		case "pcp":
			k.VLAN[0].TCI |= uint16(n) << 13
		case "tpid":
			k.VLAN[0].TPID = uint16(n)
		case "inner":
			k.VLAN[1] = flow.VLAN{TPID: flow.TPID8021Q, TCI: uint16(n) | flow.VLANPresent}
		case "type":
			k.EthType = uint16(n)
			k.Proto, k.TTL, k.TPSrc, k.TPDst = 0, 0, 0, 0
		case "op":
			k.Proto = uint8(n)
		case "spa":
			copy(k.IPSrc[:], ip4(t, v))
		case "tpa":
			copy(k.IPDst[:], ip4(t, v))
		default:
			t.Fatalf("packet: unknown %q", a)
		}
	}
	return k
}

// seen is the key that the engine makes of a packet with that one.
func (s *spec) seen(k *flow.Key) *flow.Key {
	out := *k
	for i := s.limit; i < len(out.VLAN); i++ {
		if v := k.VLAN[i]; v.Present() {
			out = flow.Key{InPort: k.InPort, EthSrc: k.EthSrc, EthDst: k.EthDst, EthType: v.TPID}
			copy(out.VLAN[:i], k.VLAN[:])
		}
	}
	return &out
}

func ip4(t testing.TB, s string) []byte {
	var a, b, c, d byte
	if _, err := fmt.Sscanf(s, "%d.%d.%d.%d", &a, &b, &c, &d); err != nil {
		t.Fatalf("bad address %q", s)
	}
	return []byte{a, b, c, d}
}

func addr(t testing.TB, s string) (m [6]byte) {
	if s == "bcast" {
		return [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	}
	f := strings.Split(s, ":")
	if len(f) == 1 {
		f = append([]string{"0", "0", "0", "0", "0"}, f...)
	}
	for i := range m {
		n, err := strconv.ParseUint(f[i], 16, 8)
		if err != nil {
			t.Fatalf("bad MAC %q", s)
		}
		m[i] = byte(n)
	}
	return m
}

// text is the actions with names for ports.
func (s *spec) text(acts []action.Action) string {
	if len(acts) == 0 {
		return "drop"
	}
	var out []string
	for _, a := range acts {
		if o, ok := a.(action.Output); ok {
			out = append(out, s.names[o.Port])
			continue
		}
		out = append(out, a.String())
	}
	return strings.Join(out, ",")
}

// parse reads actions with names for ports.
func (s *spec) parse(text string) ([]action.Action, error) {
	return action.Parse(text, func(name string) (flow.PortNo, bool) {
		no, ok := s.nos[name]
		return no, ok
	})
}

// emissions is what the actions send when the packet has the key: for each
// frame the port and the tags on it.
func (s *spec) emissions(acts []action.Action, k *flow.Key) []string {
	var tags []string
	show := func(v flow.VLAN) string { return fmt.Sprintf(" %04x/%d/%d", v.TPID, v.VID(), v.PCP()) }
	for _, v := range k.VLAN {
		if v.Present() {
			tags = append(tags, show(v))
		}
	}
	var out []string
	cut := ""
	for _, a := range acts {
		switch a := a.(type) {
		case action.Truncate:
			cut = " " + a.String()
		case action.PopVLAN:
			tags = tags[1:]
		case action.PushVLAN:
			tags = append([]string{show(a.Tag)}, tags...)
		case action.Output:
			out = append(out, s.names[a.Port]+strings.Join(tags, "")+cut)
			cut = ""
		}
	}
	slices.Sort(out)
	return out
}
