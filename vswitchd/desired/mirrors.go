package desired

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"govs/schema/vswitch"
)

// A Mirror copies packets of its bridge.
type Mirror struct {
	UUID, Name string
	Src, Dst   []string // ports by name, sorted
	VLANs      []int    // sorted; nil is all
	Out        string   // a port of the bridge, or
	OutVLAN    int      // a VLAN
	Snaplen    int      // 0 is all of a packet
}

// maxMirrors is how many mirrors a bridge may have, as in the C daemon.
const maxMirrors = 32

// mirrors reads the bridge's mirrors; its ports are known by then.
func (b *builder) mirrors(br *Bridge, row *vswitch.Bridge) {
	names := make(map[string]string, len(br.Ports)) // by UUID
	for _, p := range br.Ports {
		names[p.UUID] = p.Name
	}
	var rows []*vswitch.Mirror
	for _, uuid := range row.Mirrors {
		if m := b.rows.Mirrors[uuid]; m != nil {
			rows = append(rows, m)
		}
	}
	slices.SortFunc(rows, func(x, y *vswitch.Mirror) int {
		return strings.Compare(x.Name+"\x00"+x.UUID, y.Name+"\x00"+y.UUID)
	})
	for _, r := range rows {
		m := b.mirror(br, r, names)
		switch {
		case m == nil:
		case len(br.Mirrors) == maxMirrors:
			b.wrong(br.UUID, "Mirror", r.UUID, "bridge %s: maximum of %d port mirrors reached, cannot create %s", br.Name, maxMirrors, r.Name)
		default:
			br.Mirrors = append(br.Mirrors, m)
		}
	}
	for _, m := range br.Mirrors {
		for _, p := range br.Ports {
			if p.Name == m.Out {
				p.Tree = nil // it speaks to nobody
			}
		}
	}
}

// mirror reads one mirror; nil where it cannot be.
func (b *builder) mirror(br *Bridge, r *vswitch.Mirror, names map[string]string) *Mirror {
	problem := func(format string, args ...any) {
		b.wrong(br.UUID, "Mirror", r.UUID, "bridge %s: mirror %s "+format, append([]any{br.Name, r.Name}, args...)...)
	}
	m := &Mirror{UUID: r.UUID, Name: r.Name, VLANs: sorted(r.SelectVLAN), Snaplen: deref(r.Snaplen)}
	switch {
	case r.OutputPort != nil:
		name, ok := names[*r.OutputPort]
		if !ok {
			problem("outputs to port not on bridge")
			return nil
		}
		m.Out = name
		if r.OutputVLAN != nil {
			problem("specifies both output port and output vlan; ignoring output vlan")
		}
	case r.OutputVLAN != nil:
		m.OutVLAN = *r.OutputVLAN
	default:
		problem("does not specify output; ignoring")
		return nil
	}
	if r.SelectAll {
		m.Src = slices.Sorted(maps.Values(names))
		m.Dst = m.Src
		return m
	}
	ports := func(refs []string) (list []string) {
		for _, uuid := range refs {
			if name, ok := names[uuid]; ok {
				list = append(list, name)
			} else if p := b.rows.Ports[uuid]; p != nil {
				problem("cannot match on nonexistent port %s", p.Name)
			}
		}
		slices.Sort(list)
		return list
	}
	m.Src, m.Dst = ports(r.SelectSrcPort), ports(r.SelectDstPort)
	return m
}

// String is the configuration in a few words.
func (m *Mirror) String() string {
	s := fmt.Sprintf("mirror %s from %v to %v", m.Name, m.Src, m.Dst)
	if m.VLANs != nil {
		s += fmt.Sprintf(" vlans %v", m.VLANs)
	}
	if m.Out != "" {
		s += " output " + m.Out
	} else {
		s += fmt.Sprintf(" output vlan %d", m.OutVLAN)
	}
	if m.Snaplen > 0 {
		s += fmt.Sprintf(" snaplen %d", m.Snaplen)
	}
	return s
}
