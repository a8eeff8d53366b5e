package vsctl

import (
	"fmt"
	"slices"

	"govs/schema/atom"
)

// bridge is a real bridge, or a fake one: a port of its parent that stands for
// the parent's ports with its VLAN.
type bridge struct {
	name   string
	row    *row // the real bridge's row, the parent's in a fake one
	port   *row // a fake bridge's port
	parent *bridge
	vlan   int64
	fakes  []*bridge
	ports  []*port // without those of the fake bridges
}

type port struct {
	name   string
	row    *row
	br     *bridge
	ifaces []*iface
}

type iface struct {
	name string
	row  *row
	port *port
}

// tree is the bridges, ports and interfaces by their names.
type tree struct {
	bridges map[string]*bridge
	ports   map[string]*port
	ifaces  map[string]*iface
}

// needBridges asks for what the commands on bridges and the names of ports go by.
func needBridges(f *fetch, _ *command) error {
	f.need("Open_vSwitch", "bridges")
	f.need("Bridge", "name", "ports")
	f.need("Port", "name", "fake_bridge", "tag")
	return nil
}

// needFakes asks for what the names of bridges go by.
func needFakes(f *fetch, _ *command) error {
	f.need("Open_vSwitch", "bridges")
	f.need("Bridge", "name", "ports")
	f.column("Port", "name", "fake_bridge", "tag")
	f.named("Port")
	return nil
}

// needNames asks for the ports and interfaces that the command names.
func needNames(f *fetch, c *command) error {
	f.column("Port", "interfaces")
	f.column("Interface", "name")
	f.named("Port", c.args...)
	f.named("Interface", c.args...)
	return needFakes(f, c)
}

// needTree asks for the interfaces as well.
func needTree(f *fetch, c *command) error {
	f.need("Port", "interfaces")
	f.need("Interface", "name")
	return needBridges(f, c)
}

// fakeTag returns the VLAN of a fake bridge's port.
func tagOf(x *row) (int64, bool) {
	if d := x.val("tag"); d.Len() == 1 {
		return d.Key(0).Int(), true
	}
	return 0, false
}

// tree returns the view of the bridges as this run has left them.
func (r *run) tree() *tree {
	if r.view != nil && r.viewAt == r.edits {
		return r.view
	}
	t := &tree{make(map[string]*bridge), make(map[string]*port), make(map[string]*iface)}
	for _, b := range r.refs(r.ovs(), "bridges") {
		br := &bridge{name: b.str("name"), row: b}
		if t.bridges[br.name] != nil {
			continue
		}
		t.bridges[br.name] = br
		ports := r.refs(b, "ports")
		byVLAN := make(map[int64]*bridge)
		for _, p := range ports {
			vlan, ok := tagOf(p)
			name := p.str("name")
			if !ok || !p.flag("fake_bridge") || t.bridges[name] != nil {
				continue
			}
			fake := &bridge{name: name, row: b, port: p, parent: br, vlan: vlan}
			t.bridges[name] = fake
			br.fakes = append(br.fakes, fake)
			byVLAN[vlan] = fake
		}
		for _, p := range ports {
			po := &port{name: p.str("name"), row: p, br: br}
			if fake := t.bridges[po.name]; fake != nil && fake.port == p {
				po.br = fake
			} else if vlan, ok := tagOf(p); ok && byVLAN[vlan] != nil {
				po.br = byVLAN[vlan]
			}
			if t.ports[po.name] == nil {
				t.ports[po.name] = po
			}
			po.br.ports = append(po.br.ports, po)
			for _, i := range r.refs(p, "interfaces") {
				f := &iface{name: i.str("name"), row: i, port: po}
				po.ifaces = append(po.ifaces, f)
				if t.ifaces[f.name] == nil {
					t.ifaces[f.name] = f
				}
			}
		}
	}
	r.view, r.viewAt = t, r.edits
	return t
}

func (t *tree) bridge(name string) (*bridge, error) {
	if b := t.bridges[name]; b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("no bridge named %s", name)
}

func (t *tree) realBridge(name string) (*bridge, error) {
	b, err := t.bridge(name)
	if err == nil && b.parent != nil {
		err = fmt.Errorf("%s is a fake bridge", name)
	}
	return b, err
}

// portNamed finds a port that is not a bridge's own, or returns nil.
func (t *tree) portNamed(name string) *port {
	if p := t.ports[name]; p != nil && p.name != p.br.name {
		return p
	}
	return nil
}

func (t *tree) port(name string) (*port, error) {
	if p := t.portNamed(name); p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("no port named %s", name)
}

func (t *tree) ifaceNamed(name string) *iface {
	if f := t.ifaces[name]; f != nil && f.name != f.port.br.name {
		return f
	}
	return nil
}

func (t *tree) iface(name string) (*iface, error) {
	if f := t.ifaceNamed(name); f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("no interface named %s", name)
}

// conflict says why a name cannot be given to a new bridge, port or interface.
func (t *tree) conflict(what, name string) error {
	doing := fmt.Sprintf("cannot create %s named %s because", what, name)
	if t.bridges[name] != nil {
		return fmt.Errorf("%s a bridge named %s already exists", doing, name)
	}
	if p := t.ports[name]; p != nil {
		return fmt.Errorf("%s a port named %s already exists on bridge %s", doing, name, p.br.name)
	}
	if f := t.ifaces[name]; f != nil {
		return fmt.Errorf("%s an interface named %s already exists on bridge %s", doing, name, f.port.br.name)
	}
	return nil
}

// printNames prints names in order, one a line.
func (c *command) printNames(names []string) {
	slices.Sort(names)
	for _, n := range slices.Compact(names) {
		c.printf("%s\n", n)
	}
}

func (p *port) ifaceNames() []string {
	var names []string
	for _, f := range p.ifaces {
		names = append(names, f.name)
	}
	slices.Sort(names)
	return names
}

// removePort deletes a port's row and those of its interfaces.
func (r *run) removePort(p *port) {
	for _, f := range p.ifaces {
		r.remove(f.row)
	}
	r.drop(p.br.row, "ports", ref(p.row), false)
	r.remove(p.row)
}

// text is the command as it was given, quoted where a shell would want it.
func (c *command) text() string { return escapeWords(c.words) }

// newInterface makes the row of an interface.
func (r *run) newInterface(name, typ string) *row {
	x := r.insert("Interface", atom.New())
	r.setString(x, "name", name)
	if typ != "" {
		r.setString(x, "type", typ)
	}
	return x
}
