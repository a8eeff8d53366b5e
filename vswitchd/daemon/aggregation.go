package daemon

import (
	"cmp"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"govs/datapath/engine"
	"govs/vswitchd/bond"
	"govs/vswitchd/desired"
	"govs/vswitchd/lacp"
	"govs/vswitchd/ofproto"
)

// A bonded is a bond, and what is known of its links.
type bonded struct {
	*bond.Bond
	id    uint32          // in the engine, of lb-output-action; 0 while it had none
	look  time.Time       // when to look at the links (miimon); zero is at once, always
	links map[string]bool // as of the last look
}

// linked says whether the interface can carry packets at all.
func linked(i *ofproto.Iface) bool {
	switch {
	case i == nil || !i.Open():
		return false
	case i.Port == nil:
		return true // a patch port
	}
	st := i.Port.State()
	return st.Admin && st.Link
}

func (v *services) configureLACP(b *ofproto.Bridge, p *desired.Port, now time.Time) {
	a := v.lacp[p.Name]
	if a == nil {
		log := v.s.o.Log("lacp")
		a = lacp.New(p.Name, func(text string) { log.Warn(text) })
		v.lacp[p.Name] = a
	}
	c := lacp.Config{
		Active: p.LACP.Active, Fast: p.LACP.Fast, FallbackAB: p.LACP.FallbackAB, SystemPriority: p.LACP.SystemPriority,
	}
	id := p.LACP.SystemID
	if id == nil {
		id = b.MAC
	}
	copy(c.SystemID[:], id)
	for _, i := range p.Interfaces {
		if i.Fake {
			continue
		}
		no, _ := b.Number(i.Name)
		c.Members = append(c.Members, lacp.Member{
			Name: i.Name, PortID: cmp.Or(i.LACP.ID, no), PortPriority: cmp.Or(i.LACP.Priority, 65535), Key: i.LACP.Key,
		})
	}
	a.Configure(c, now)
}

func (v *services) runLACP(b *ofproto.Bridge, p *desired.Port, now time.Time) {
	a := v.lacp[p.Name]
	if a == nil {
		return
	}
	for _, i := range p.Interfaces {
		a.SetCarrier(i.Name, linked(b.Ifaces[i.Name]), now)
	}
	for _, m := range a.Run(now) {
		v.out = append(v.out, saying{iface: m.Member, frame: frame(lacp.Group, address(b, m.Member), lacp.EtherType, m.Bytes)})
	}
}

// address is that of the interface, or the bridge's where it has none.
func address(b *ofproto.Bridge, name string) net.HardwareAddr {
	if i := b.Ifaces[name]; i != nil {
		if i.Port == nil && len(i.MAC) == 6 {
			return i.MAC
		}
		if i.Port != nil && len(i.Port.State().MAC) == 6 {
			return i.Port.State().MAC
		}
	}
	return b.MAC
}

// frame puts an Ethernet header in front of a payload, and fills the frame up
// to the least length.
func frame(dst [6]byte, src net.HardwareAddr, typ uint16, payload []byte) []byte {
	const least = 60
	f := append(append(dst[:], src...), byte(typ>>8), byte(typ))
	f = append(f, payload...)
	return append(f, make([]byte, max(least-len(f), 0))...)
}

func (v *services) configureBond(b *ofproto.Bridge, p *desired.Port, now time.Time) {
	x := v.bonds[p.Name]
	if x == nil {
		log := v.s.o.Log("bond")
		x = &bonded{Bond: bond.New(p.Name, p.ActiveBefore, func(text string) { log.Info(text) }), links: make(map[string]bool)}
		v.bonds[p.Name] = x
	}
	w := p.Bond
	c := bond.Config{
		Mode: w.Mode, UpDelay: w.UpDelay, DownDelay: w.DownDelay, Rebalance: w.Rebalance, Basis: w.Basis,
		Primary: w.Primary, AllActive: w.AllActive, FallbackAB: w.FallbackAB,
	}
	if w.LBOutput {
		if x.id == 0 {
			v.lastBond++
			x.id = v.lastBond
		}
		c.ID = x.id
	}
	for _, i := range p.Interfaces {
		if !i.Fake {
			c.Members = append(c.Members, bond.Member{Name: i.Name, MAC: address(b, i.Name)})
		}
	}
	x.Configure(c, now)
}

// runBond tells a bond of its links, and says whether it works otherwise from
// now on.
func (v *services) runBond(b *ofproto.Bridge, p *desired.Port, now time.Time) bool {
	x := v.bonds[p.Name]
	if x == nil || p.Bond == nil {
		return false
	}
	v.lookAt(x, b, p, now)
	a := v.lacp[p.Name]
	status := bond.NoLACP
	if a != nil {
		status = bond.Configured
		if a.Status() == lacp.Negotiated {
			status = bond.Negotiated
		}
	}
	x.SetLACP(status)
	for name, up := range x.links {
		x.SetLink(name, up && v.forwards(name, now) && (a == nil || a.MayEnable(name)))
	}
	changed, moved := x.Run(now)
	if moved && status == bond.NoLACP {
		v.teach(b, p, now)
	}
	return changed
}

// lookAt finds out about a bond's links: by their carriers at once, or by
// asking the devices at intervals.
func (v *services) lookAt(x *bonded, b *ofproto.Bridge, p *desired.Port, now time.Time) {
	if p.Bond.MIIMon == 0 {
		x.look = time.Time{}
	} else if now.Before(x.look) {
		return
	} else {
		x.look = now.Add(p.Bond.MIIMon)
	}
	clear(x.links)
	for _, i := range p.Interfaces {
		if i.Fake {
			continue
		}
		is := b.Ifaces[i.Name]
		if device, ok := portRefresher(is); ok && p.Bond.MIIMon != 0 {
			device.Refresh()
		}
		x.links[i.Name] = linked(is)
	}
}

// A refresher is a port that can ask its device for its state.
type refresher interface{ Refresh() }

func portRefresher(i *ofproto.Iface) (refresher, bool) {
	if i == nil || i.Port == nil {
		return nil, false
	}
	r, ok := i.Port.(refresher)
	return r, ok
}

// teach tells the network at the other end of a bond by which of its links
// the stations of the other ports are to be reached now: RARP requests (RFC
// 903) in their names, which no station answers.
func (v *services) teach(b *ofproto.Bridge, p *desired.Port, _ time.Time) {
	const rarp = 0x8035
	n := 0
	for _, e := range b.MACs.Entries() {
		if e.Port == p.Name {
			continue
		}
		body := []byte{0, 1, 8, 0, 6, 4, 0, 3}
		body = append(append(body, e.MAC[:]...), 0, 0, 0, 0)
		body = append(append(body, e.MAC[:]...), 0, 0, 0, 0)
		v.out = append(v.out, saying{
			bridge: b.Want.Name, port: p.Name, vlan: e.VLAN,
			frame: frame([6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, e.MAC[:], rarp, body),
		})
		n++
	}
	if n > 0 {
		v.s.o.Log("bond").Debug(fmt.Sprintf("bond %s: sending %d gratuitous learning packets", p.Name, n))
	}
}

// partners says of the interfaces that speak LACP whether they have heard from
// a partner.
func (v *services) partners(b *ofproto.Bridge) map[string]bool {
	heard := make(map[string]bool)
	for _, p := range b.Want.Ports {
		if a := v.lacp[p.Name]; a != nil && p.LACP != nil {
			for _, i := range p.Interfaces {
				heard[i.Name] = a.Current(i.Name)
			}
		}
	}
	return heard
}

// spreadInEngine makes the engine's bonds those of lb-output-action.
func (v *services) spreadInEngine() {
	gone := make(map[uint32]bool)
	for id := range v.s.engine.Bonds() {
		gone[id] = true
	}
	for _, b := range v.s.applier.Switch.Bridges {
		for _, p := range b.Want.Ports {
			x := v.bonds[p.Name]
			if x == nil || p.Bond == nil || !p.Bond.LBOutput {
				continue
			}
			view := x.View()
			e := &engine.Bond{Basis: view.Basis, Load: (*[engine.Buckets]atomic.Uint64)(view.Load)}
			for h, name := range view.Buckets {
				if i := b.Ifaces[name]; i != nil {
					e.Ports[h] = i.No
				}
			}
			v.s.engine.SetBond(x.id, e)
			delete(gone, x.id)
		}
	}
	for id := range gone {
		v.s.engine.SetBond(id, nil)
	}
}
