package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"govs/datapath/flow"
)

// A portSpec is one port of a generated configuration.
type portSpec struct {
	name, bridge, mode string // mode "" is none given
	tag                int    // -1 is none
	ofport             int
	patch              bool
	settings           []string // further columns of the Port table
}

// A config is a generated configuration.
type config struct {
	limit   int // other_config:vlan-limit
	bridges []string
	ports   []*portSpec
	snoops  bool
	setup   func(s *side) []string // of the bridges and ports, for one side
}

// generator makes configurations and packets.
type generator struct{ *rand.Rand }

func pick[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func (g *generator) vlan() int { return pick(g.Rand, 0, 10, 20, 30, 4095) }

// config makes the n-th configuration. What it leaves out stands in
// ../differences.txt.
func (g *generator) config(n int) *config {
	c := &config{limit: 1 + g.IntN(2), bridges: []string{"br0", "br1"}, snoops: g.IntN(3) == 0}
	customers := ""
	if g.IntN(2) == 0 {
		customers = fmt.Sprintf("cvlans=%d,%d", pick(g.Rand, 0, 10), pick(g.Rand, 20, 30))
	}
	for b, bridge := range c.bridges {
		for i := range 2 + g.IntN(4) {
			no := 1 + 10*b + i
			c.ports = append(c.ports, g.port(fmt.Sprintf("p%d", no), bridge, no, false, customers))
		}
		c.ports = append(c.ports, g.port(fmt.Sprintf("t%d", b), bridge, 50+b, true, ""))
	}
	bridges := make([]string, len(c.bridges))
	for i := range bridges {
		var other []string
		if g.IntN(5) == 0 {
			other = append(other, "other_config:forward-bpdu=true")
		}
		if g.IntN(4) == 0 {
			other = append(other, fmt.Sprintf("flood_vlans=%d", g.vlan()))
		}
		if c.snoops {
			other = append(other, "mcast_snooping_enable=true")
			if g.IntN(2) == 0 {
				other = append(other, "other_config:mcast-snooping-disable-flood-unregistered=true")
			}
		}
		bridges[i] = strings.Join(other, " ")
	}
	c.setup = func(s *side) []string {
		args := []string{"set", "open_vswitch", ".", fmt.Sprintf("other_config:vlan-limit=%d", c.limit)}
		for i, b := range c.bridges {
			args = append(args, "--", "add-br", b, "--", "set", "bridge", b, "datapath_type=dummy")
			args = append(args, strings.Fields(bridges[i])...)
		}
		for _, p := range c.ports {
			args = append(args, "--", "add-port", p.bridge, p.name, "--", "set", "interface", p.name, fmt.Sprintf("ofport_request=%d", p.ofport))
			if p.patch {
				args = append(args, "type=patch", "options:peer="+map[string]string{"t0": "t1", "t1": "t0"}[p.name])
			} else {
				args = append(args, "type=dummy", "options:tx_pcap="+s.file(n, p.name))
			}
			args = append(args, "--", "set", "port", p.name, "name="+p.name)
			args = append(args, p.settings...)
		}
		for _, b := range c.bridges {
			args = append(args, "--", "set", "interface", b, "options:tx_pcap="+s.file(n, b))
		}
		return args
	}
	return c
}

func (g *generator) port(name, bridge string, ofport int, patch bool, customers string) *portSpec {
	p := &portSpec{name: name, bridge: bridge, ofport: ofport, patch: patch, tag: -1}
	p.mode = pick(g.Rand, "", "access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel")
	if patch && p.mode == "dot1q-tunnel" {
		p.mode = "trunk"
	}
	add := func(format string, args ...any) { p.settings = append(p.settings, fmt.Sprintf(format, args...)) }
	switch p.mode {
	case "":
		if g.IntN(2) == 0 {
			p.tag = g.vlan()
		}
	case "dot1q-tunnel":
		p.tag = pick(g.Rand, 100, 200)
		if customers != "" {
			add("%s", customers)
		}
		if g.IntN(2) == 0 {
			add("other_config:qinq-ethtype=%s", pick(g.Rand, "802.1q", "802.1ad"))
		}
	case "trunk":
	default:
		p.tag = g.vlan()
	}
	if p.mode != "" {
		add("vlan_mode=%s", p.mode)
	}
	if p.tag >= 0 {
		add("tag=%d", p.tag)
	}
	if native := strings.HasPrefix(p.mode, "native"); (p.mode == "trunk" || native && p.tag != 0) && g.IntN(2) == 0 {
		add("trunks=%d,100,40", pick(g.Rand, 0, 10, 20, 30))
	}
	if g.IntN(3) == 0 {
		add("other_config:priority-tags=%s", pick(g.Rand, "if-nonzero", "always", "never"))
	}
	if g.IntN(5) == 0 {
		add("protected=true")
	}
	if g.IntN(6) == 0 {
		add("other_config:mcast-snooping-flood=true")
	}
	if g.IntN(6) == 0 {
		add("other_config:mcast-snooping-flood-reports=true")
	}
	return p
}

// inputs are the ports where packets can enter: all but the patch ports.
func (c *config) inputs() []string {
	names := slices.Clone(c.bridges)
	for _, p := range c.ports {
		if !p.patch {
			names = append(names, p.name)
		}
	}
	return names
}

func (c *config) port(name string) *portSpec {
	for _, p := range c.ports {
		if p.name == name {
			return p
		}
	}
	return nil // a bridge's local port
}

// packet makes a packet that enters by the port.
func (g *generator) packet(c *config, port string) []byte {
	k := g.key()
	if c.snoops && g.IntN(2) == 0 {
		return g.tag(c, port, g.group())
	}
	b := flow.Compose(k, 0)
	switch g.IntN(12) {
	case 0:
		b = b[:14+g.IntN(len(b)-13)]
	case 1: // a byte of the headers behind Ethernet's
		if len(b) > 16 {
			b[14+g.IntN(min(len(b)-14, 60))] ^= byte(1 << g.IntN(8))
		}
	}
	return g.tag(c, port, b)
}

func (g *generator) addr() (a [6]byte) {
	a[0], a[5] = 0x02, byte(1+g.IntN(5))
	return a
}

func (g *generator) key() *flow.Key {
	k := &flow.Key{EthSrc: g.addr(), EthDst: g.addr(), TTL: pick(g.Rand, byte(1), 64, 255), TOS: byte(g.IntN(256))}
	switch g.IntN(10) {
	case 0:
		k.EthDst = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case 1:
		k.EthDst = [6]byte{0x01, 0x80, 0xc2, 0, 0, byte(g.IntN(18))}
	case 2:
		k.EthDst = [6]byte{0x01, 0, 0x5e, 1, 2, byte(g.IntN(3))}
	case 3:
		k.EthSrc[0] = 1 // a group
	}
	k.TPSrc, k.TPDst = uint16(g.IntN(300)), uint16(g.IntN(300))
	switch g.IntN(10) {
	case 0:
		k.EthType, k.Proto = 0x0806, byte(1+g.IntN(2))
		k.ARPSHA = k.EthSrc
		k.TOS, k.TTL, k.TPSrc, k.TPDst = 0, 0, 0, 0
		k.IPSrc, k.IPDst = [16]byte{10, 0, 0, 1}, [16]byte{10, 0, 0, byte(1 + g.IntN(2))}
	case 1, 2, 3:
		k.EthType, k.IPLabel = 0x86dd, uint32(g.IntN(1<<20))
		k.IPSrc[15], k.IPDst[15] = 1, 2
		k.Proto = pick(g.Rand, byte(6), 17, 58, 132, 59, 44, 0)
		if k.Proto == 58 {
			k.TPSrc, k.TPDst = uint16(pick(g.Rand, 128, 129, 133, 135, 136)), 0
			if k.TPSrc >= 135 {
				k.NDTarget[15], k.ARPSHA = 9, k.EthSrc
			}
		}
		k.Frag = pick(g.Rand, byte(0), 0, 0, 1, 3)
	case 4:
		k.EthType, k.MPLS = 0x8847, g.Uint32()
	case 5:
		k.EthType = uint16(pick(g.Rand, 0x1234, 0x05ff, 0x88cc, 0x8100))
	default:
		k.EthType = 0x0800
		k.IPSrc, k.IPDst = [16]byte{10, 0, 0, 1}, [16]byte{10, 0, 0, byte(g.IntN(255))}
		k.Proto = pick(g.Rand, byte(6), 17, 1, 132, 2, 47)
		if k.Proto == 1 {
			k.TPSrc, k.TPDst = uint16(pick(g.Rand, 0, 8, 3)), 0
		}
		k.Frag = pick(g.Rand, byte(0), 0, 0, 1, 3)
	}
	if k.Proto == 6 {
		k.TCPFlags = uint16(g.IntN(512))
	}
	return k
}

// tag puts tags in front, as many as C does not lose.
func (g *generator) tag(c *config, port string, b []byte) []byte {
	n := g.IntN(3)
	p := c.port(port)
	if c.limit == 2 && p != nil && (p.mode == "access" || p.mode == "dot1q-tunnel" || p.mode == "" && p.tag >= 0) {
		n = min(n, 1)
	}
	for i := range n {
		vid := pick(g.Rand, 0, 0, 10, 20, 30, 40, 100, 4095)
		if c.limit == 2 && n == 2 && vid == 0 {
			vid = 10
		}
		tpid := uint16(0x8100)
		if i == n-1 && g.IntN(5) == 0 {
			tpid = 0x88a8
		}
		t := binary.BigEndian.AppendUint16(nil, tpid)
		t = binary.BigEndian.AppendUint16(t, uint16(vid)|uint16(pick(g.Rand, 0, 3, 7))<<13)
		b = slices.Concat(b[:12], t, b[12:])
	}
	return b
}

// everything is the mask of a whole key.
var everything = func() (m flow.Mask) {
	for i := range m.Words() {
		m.Words()[i] = ^uint64(0)
	}
	return m
}()

// flowText is the flow of a packet that enters at the port, as ofproto/trace
// reads it.
func flowText(port string, b []byte, limit int) string {
	k := keyOf(b, limit)
	text := flow.Format(&k, &everything, flow.Style{Name: func(flow.PortNo) string { return port }})
	return strings.Replace(text, ",eth_type(0/0xffff)", "", 1) // an LLC frame has none
}

func hexa(b []byte) string { return hex.EncodeToString(b) }
