package vsctl

import (
	"errors"
	"fmt"

	"govs/ovsdb/data"
	"govs/schema/atom"
)

// runAddBr makes a bridge, real or fake.
func runAddBr(r *run, c *command) error {
	if len(c.args) == 2 {
		return errors.New("'add-br' command takes exactly 1 or 3 arguments")
	}
	name := c.args[0]
	parent, vlan := "", int64(0)
	if len(c.args) == 3 {
		parent, vlan = c.args[1], leadingInt(c.args[2])
		if vlan < 0 || vlan > 4095 {
			return errors.New("add-br: vlan must be between 0 and 4095")
		}
	}
	if name == "" {
		return errors.New("bridge name must not be empty string")
	}
	t := r.tree()
	if b := t.bridges[name]; b != nil && c.has("--may-exist") {
		return checkBridge(b, parent, vlan)
	}
	if err := t.conflict("a bridge", name); err != nil {
		return err
	}
	if parent != "" {
		return r.addFakeBridge(t, name, parent, vlan)
	}
	p := r.insert("Port", atom.New())
	r.setString(p, "name", name)
	r.set(p, "interfaces", ref(r.newInterface(name, "internal")))
	b := r.insert("Bridge", atom.New())
	r.setString(b, "name", name)
	r.set(b, "ports", ref(p))
	r.add(r.ovs(), "bridges", ref(b))
	return nil
}

// checkBridge is add-br --may-exist on a bridge that does.
func checkBridge(b *bridge, parent string, vlan int64) error {
	words := "--may-exist add-br " + b.name
	if parent != "" {
		words += fmt.Sprintf(" %s %d", parent, vlan)
	}
	switch {
	case parent == "" && b.parent != nil:
		return fmt.Errorf("\"%s\" but %s is a VLAN bridge for VLAN %d", words, b.name, b.vlan)
	case parent == "":
		return nil
	case b.parent == nil:
		return fmt.Errorf("\"%s\" but %s is not a VLAN bridge", words, b.name)
	case b.parent.name != parent:
		return fmt.Errorf("\"%s\" but %s has the wrong parent %s", words, b.name, b.parent.name)
	case b.vlan != vlan:
		return fmt.Errorf("\"%s\" but %s is a VLAN bridge for the wrong VLAN %d", words, b.name, b.vlan)
	}
	return nil
}

func (r *run) addFakeBridge(t *tree, name, parent string, vlan int64) error {
	b := t.bridges[parent]
	switch {
	case b == nil:
		return fmt.Errorf("parent bridge %s does not exist", parent)
	case b.parent != nil:
		return errors.New("cannot create bridge with fake bridge as parent")
	}
	for _, f := range b.fakes {
		if f.vlan == vlan {
			return fmt.Errorf("bridge %s already has a child VLAN bridge %s on VLAN %d", parent, f.name, vlan)
		}
	}
	p := r.insert("Port", atom.New())
	r.setString(p, "name", name)
	r.set(p, "interfaces", ref(r.newInterface(name, "internal")))
	r.set(p, "fake_bridge", data.One(atom.Bool(true)))
	r.set(p, "tag", data.One(atom.Int(vlan)))
	r.add(b.row, "ports", ref(p))
	return nil
}
