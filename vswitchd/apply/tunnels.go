package apply

import (
	"fmt"
	"net/netip"
	"sync"

	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/tunnel"
	"govs/vswitchd/ofproto"
)

// A mouth is the datapath's port that tunnels of one kind share. No packets
// come or go by it: those that come out of the tunnels only seem to.
type mouth struct {
	name   string
	once   sync.Once
	closed chan struct{}
}

func newMouth(name string) *mouth { return &mouth{name: name, closed: make(chan struct{})} }

// Name implements port.Port.
func (m *mouth) Name() string { return m.name }

// Recv implements port.Port.
func (m *mouth) Recv(*packet.Batch) error {
	<-m.closed
	return port.ErrClosed
}

// Send implements port.Port.
func (m *mouth) Send(*packet.Batch) error { return nil }

// State implements port.Port.
func (m *mouth) State() port.State { return port.State{Admin: true, Link: true} }

// Stats implements port.Port.
func (m *mouth) Stats() port.Stats { return port.Stats{Basic: true} }

// Close implements port.Port.
func (m *mouth) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// A Shared is a port of the datapath that tunnels share.
type Shared struct {
	Name   string // such as vxlan_sys_4789
	No     flow.PortNo
	Kind   tunnel.Kind
	Port   uint16 // of UDP
	Users  int    // tunnels
	Bridge string // of a bridge in the same datapath
}

// openTunnel gives a tunnel its port in the datapath.
func (a *Applier) openTunnel(b *ofproto.Bridge, i *ofproto.Iface) error {
	t := i.Want.Tunnel
	for _, other := range a.Switch.Bridges { // of which one has it, at the most
		for _, j := range other.Ifaces {
			if j != i && j.No != 0 && j.Want.Tunnel != nil && j.Want.Tunnel.Same(t) {
				text := fmt.Sprintf("%s: attempting to add tunnel port with same config as port '%s' (%s)", i.Want.Name, j.Want.Name, sameText(t, j.No))
				if a.doubles[i.Want.UUID] != text {
					a.doubles[i.Want.UUID] = text
					a.o.Log.Warn(text)
				}
				return fmt.Errorf("could not add network device %s to ofproto (File exists)", i.Want.Name)
			}
		}
	}
	delete(a.doubles, i.Want.UUID)
	name := t.Device()
	s := a.Tunnels[name]
	if s == nil {
		no, err := a.o.Datapath.Add(newMouth(name), deviceNumber(b.Want, name))
		if err != nil {
			return fmt.Errorf("could not add network device %s to ofproto (%s)", i.Want.Name, reason(err))
		}
		s = &Shared{Name: name, No: no, Kind: t.Kind, Port: t.Port, Bridge: b.Want.Name}
		a.Tunnels[name] = s
	}
	s.Users++
	i.No = s.No
	return nil
}

func (a *Applier) closeTunnel(i *ofproto.Iface) {
	for name, s := range a.Tunnels {
		if s.No != i.No {
			continue
		}
		if s.Users--; s.Users == 0 {
			a.o.Datapath.Remove(s.No)
			delete(a.Tunnels, name)
		}
	}
}

// sameText tells of a tunnel as the C daemon does where there is another like it.
func sameText(t *tunnel.Config, no flow.PortNo) string {
	end := func(ip netip.Addr) string {
		if !ip.IsValid() {
			return "::"
		}
		return ip.String()
	}
	remote, key := end(t.Remote), fmt.Sprintf("%#x", t.InKey)
	if !t.Remote.IsValid() {
		remote = "flow"
	}
	if t.InFlow {
		key = "flow"
	}
	return fmt.Sprintf("%s->%s, key=%s, legacy_l2, dp port=%d", end(t.Local), remote, key, no)
}
