package vsctl

import (
	"fmt"
	"slices"
	"strings"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runAddPort adds a port with an interface of the same name.
func runAddPort(r *run, c *command) error {
	return r.addPort(c, []string{c.args[1]}, c.args[2:])
}

func (r *run) addPort(c *command, ifaces, sets []string) error {
	t := r.tree()
	name := c.args[1]
	if c.has("--may-exist") {
		if p := t.portNamed(name); p != nil {
			return checkPort(c, p, ifaces)
		}
	}
	if err := t.conflict("a port", name); err != nil {
		return err
	}
	for _, i := range ifaces {
		if err := t.conflict("an interface", i); err != nil {
			return err
		}
	}
	b, err := t.bridge(c.args[0])
	if err != nil {
		return err
	}
	rows := make([]atom.Atom, len(ifaces))
	for i, n := range ifaces {
		x := r.newInterface(n, "")
		r.expected = append(r.expected, x)
		rows[i] = atom.ID(x.id)
	}
	p := r.insert("Port", atom.New())
	r.setString(p, "name", name)
	r.set(p, "interfaces", data.Set(rows...))
	if c.has("--fake-iface") {
		r.set(p, "bond_fake_iface", data.One(atom.Bool(true)))
	}
	if b.parent != nil {
		r.set(p, "tag", data.One(atom.Int(b.vlan)))
	}
	r.expect(b.row, "name")
	r.add(b.row, "ports", ref(p))
	return r.setAll(p, sets)
}

// checkPort is add-port or add-bond --may-exist on a port that does.
func checkPort(c *command, p *port, ifaces []string) error {
	if p.br.name != c.args[0] {
		return fmt.Errorf("\"%s\" but %s is actually attached to bridge %s", c.text(), p.name, p.br.name)
	}
	want := slices.Clone(ifaces)
	slices.Sort(want)
	if have := p.ifaceNames(); !slices.Equal(have, want) {
		return fmt.Errorf("\"%s\" but %s actually has interface(s) %s", c.text(), p.name, strings.Join(have, ", "))
	}
	return nil
}
