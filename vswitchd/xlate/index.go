package xlate

import (
	"slices"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/tunnel"
	"govs/vswitchd/bond"
)

// vlans is a set of VLANs.
type vlans [64]uint64

func vlanSet(list []int) *vlans {
	var s vlans
	for _, v := range list {
		if v >= 0 && v <= flow.VLANVIDMask {
			s[v/64] |= 1 << (v % 64)
		}
	}
	return &s
}

func (s *vlans) has(v uint16) bool { return s[v/64%64]&(1<<(v%64)) != 0 }

// An index is a Config as the translator reads it: whatever can be found out
// beforehand is, and nothing in it changes.
type index struct {
	*Config
	ifaces  map[flow.PortNo]*iface
	byName  map[string]*iface
	bridges map[string]*bridge

	tunnels   map[flow.PortNo][]*iface // by the port that they share
	entrances []entrance
}

type bridge struct {
	*Bridge
	index   *index
	ports   []*port
	byName  map[string]*port
	flood   *vlans // nil is none
	mirrors []*mirror
	bonds   bool // some port is a bond
}

type port struct {
	*Port
	bridge               *bridge
	tag                  uint16
	trunks               *vlans // nil is all
	customers            *vlans // nil is all
	ifaces               []*iface
	mirrorSrc, mirrorDst uint64               // mirrors that take what comes in, and what leaves
	mirrorOut            bool                 // carries nothing but what is mirrored
	active               *iface               // where packets leave, but for flows that are balanced; nil where all interfaces are down
	spread               *[bond.Hashes]*iface // where balanced flows leave; nil where none are
}

type iface struct {
	*Interface
	port *port
	peer *iface        // of a patch port; nil where there is none
	out  action.Action // output to the interface
}

func newIndex(c *Config) *index {
	x := &index{
		Config:  c,
		ifaces:  make(map[flow.PortNo]*iface),
		byName:  make(map[string]*iface),
		bridges: make(map[string]*bridge, len(c.Bridges)),
		tunnels: make(map[flow.PortNo][]*iface),
	}
	patches := make(map[string]*iface)
	for _, b := range c.Bridges {
		x.addBridge(b, patches)
	}
	for _, i := range patches {
		// Both ends must agree, as two patch ports that name each other do.
		if p := patches[i.Peer]; p != nil && p.Peer == i.Name {
			i.peer = p
		}
	}
	return x
}

func (x *index) addBridge(b *Bridge, patches map[string]*iface) {
	br := &bridge{Bridge: b, index: x, byName: make(map[string]*port, len(b.Ports))}
	if len(b.FloodVLANs) > 0 {
		br.flood = vlanSet(b.FloodVLANs)
	}
	x.bridges[b.Name] = br
	for _, p := range b.Ports {
		pt := &port{Port: p, bridge: br, tag: uint16(p.Tag) & flow.VLANVIDMask}
		if len(p.Trunks) > 0 {
			pt.trunks = vlanSet(p.Trunks)
		}
		if len(p.Customers) > 0 {
			pt.customers = vlanSet(p.Customers)
		}
		for n := range p.Interfaces {
			in := &p.Interfaces[n]
			i := &iface{Interface: in, port: pt, out: action.Output{Port: in.No}}
			pt.ifaces = append(pt.ifaces, i)
			x.byName[in.Name] = i
			if in.Tunnel != nil {
				x.addTunnel(i)
			} else if in.No != 0 {
				x.ifaces[in.No] = i
			} else if in.Peer != "" {
				patches[in.Name] = i
			}
		}
		pt.choose()
		br.bonds = br.bonds || len(pt.ifaces) > 1
		br.ports = append(br.ports, pt)
		br.byName[p.Name] = pt
	}
	br.addMirrors()
}

// carries says whether packets of that VLAN belong on the port.
func (p *port) carries(vlan uint16) bool {
	switch p.Mode {
	case Access, Tunnel:
		return vlan == p.tag
	case NativeTagged, NativeUntagged:
		if vlan == p.tag || vlan == 0 {
			return vlan == p.tag // VLAN 0 is for those whose native VLAN it is
		}
	}
	return p.trunks == nil || p.trunks.has(vlan)
}

// admits says whether a Tunnel takes a customer's VLAN, 0 for none.
func (p *port) admits(vlan uint16) bool { return p.customers == nil || p.customers.has(vlan) }

// bare says whether the interface is a tunnel of packets without Ethernet
// headers.
func (i *iface) bare() bool { return i.Tunnel != nil && i.Tunnel.Mode == tunnel.LegacyL3 }

// floods says whether flooded packets go out of the port.
func (p *port) floods() bool {
	return p.active != nil && !p.Blocked && !p.mirrorOut && !slices.ContainsFunc(p.ifaces, func(i *iface) bool { return i.NoFlood || i.bare() })
}
