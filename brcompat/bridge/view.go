package bridge

import (
	"cmp"
	"slices"
	"strings"

	"govs/schema/vswitch"
)

// A view is the database at one moment, in brctl's terms.
type view struct {
	bridges map[string]*bridge
	ports   map[string]*port // all of them, local ports and fake bridges too
	ifaces  map[string]*vswitch.Interface
	layout  layout
	rows    tables // what it was made of
}

// A bridge is a row of the table Bridge, or a fake bridge on one.
type bridge struct {
	name   string
	row    *vswitch.Bridge
	parent *bridge       // of a fake bridge
	vlan   int           // of a fake bridge
	fake   *vswitch.Port // of a fake bridge
	local  *vswitch.Interface
	ports  []*port // without local ports and fake bridges
	fakes  []*bridge
}

// A port is a row of the table Port.
type port struct {
	name   string
	row    *vswitch.Port
	ifaces []*vswitch.Interface
	bridge *bridge
}

// device is the name of the port's network device, if it has one: only a port
// of a single interface can.
func (p *port) device() string {
	if len(p.ifaces) == 1 {
		return p.ifaces[0].Name
	}
	return p.name
}

// newView reads rows.
func newView(rows *tables) *view {
	v := &view{bridges: map[string]*bridge{}, ports: map[string]*port{}, ifaces: map[string]*vswitch.Interface{}, rows: *rows}
	ifaces := make(map[string]*vswitch.Interface, len(rows[0]))
	for uuid, m := range rows[0] {
		i := m.(*vswitch.Interface)
		ifaces[uuid] = i
		v.ifaces[i.Name] = i
	}
	ports := make(map[string]*port, len(rows[1]))
	for uuid, m := range rows[1] {
		row := m.(*vswitch.Port)
		p := &port{name: row.Name, row: row}
		for _, u := range row.Interfaces {
			if i := ifaces[u]; i != nil {
				p.ifaces = append(p.ifaces, i)
			}
		}
		ports[uuid], v.ports[p.name] = p, p
	}
	for _, m := range rows[2] {
		row := m.(*vswitch.Bridge)
		b := &bridge{name: row.Name, row: row}
		v.bridges[b.name] = b
		for _, u := range row.Ports {
			if p := ports[u]; p != nil {
				p.bridge = b
				b.ports = append(b.ports, p)
			}
		}
		v.split(b)
	}
	return v
}

// split takes fake bridges and local ports out of the ports of a bridge.
func (v *view) split(b *bridge) {
	byVLAN := map[int]*bridge{}
	rest := b.ports[:0]
	for _, p := range b.ports {
		tag := 0
		if p.row.Tag != nil {
			tag = *p.row.Tag
		}
		switch {
		case p.name == b.name:
			if len(p.ifaces) > 0 {
				b.local = p.ifaces[0]
			}
		case p.row.FakeBridge && tag >= 1 && tag <= 4095:
			f := &bridge{name: p.name, row: b.row, parent: b, vlan: tag, fake: p.row}
			if len(p.ifaces) > 0 {
				f.local = p.ifaces[0]
			}
			v.bridges[f.name] = f
			b.fakes = append(b.fakes, f)
			byVLAN[tag] = f
		default:
			rest = append(rest, p)
		}
	}
	b.ports = nil
	for _, p := range rest {
		if p.row.Tag != nil {
			if f := byVLAN[*p.row.Tag]; f != nil {
				p.bridge = f
				f.ports = append(f.ports, p)
				continue
			}
		}
		b.ports = append(b.ports, p)
	}
}

// names returns the names of all bridges, sorted.
func (v *view) names() []string {
	names := make([]string, 0, len(v.bridges))
	for n := range v.bridges {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// taken tells whether a bridge, a port or an interface has the name.
func (v *view) taken(name string) bool {
	return v.bridges[name] != nil || v.ports[name] != nil || v.ifaces[name] != nil
}

// ofport is the port's OpenFlow number, or 0.
func (p *port) ofport() int {
	if len(p.ifaces) == 1 && p.ifaces[0].Ofport != nil && *p.ifaces[0].Ofport > 0 {
		return *p.ifaces[0].Ofport
	}
	return 0
}

// byOfport sorts ports as their OpenFlow numbers are, those without last.
func byOfport(ports []*port) []*port {
	ports = slices.Clone(ports)
	slices.SortFunc(ports, func(a, b *port) int {
		x, y := a.ofport(), b.ofport()
		if (x == 0) != (y == 0) {
			return cmp.Compare(y, x)
		}
		if x != y {
			return cmp.Compare(x, y)
		}
		return strings.Compare(a.name, b.name)
	})
	return ports
}
