// Package apply carries out plans: it opens and closes ports, gives them to
// the packet engine, numbers them, and builds the configuration from which
// packets are translated.
//
// An Applier owns an ofproto.Switch. Every step of a plan is done whether or
// not those before it could be; what failed stays in the switch as an
// interface that is not open, with its error, and the next plan tries again.
//
// # Caveats
//
// An Applier is not safe for concurrent use: its owner holds one lock around
// it and everybody who reads its Switch.
package apply

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"govs/datapath/flow"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/vswitchd/desired"
	"govs/vswitchd/mac"
	"govs/vswitchd/mcast"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/plan"
	"govs/vswitchd/qos"
	"govs/vswitchd/xlate"
)

// A Datapath is the part of the packet engine that the applier needs.
type Datapath interface {
	// Add starts to take packets from the port, which belongs to the datapath
	// from then on. It gets the number want, or the lowest free one where that
	// is taken; any that is free where want is 0.
	Add(p port.Port, want flow.PortNo) (flow.PortNo, error)
	// Remove closes the port and forgets it.
	Remove(flow.PortNo)
	// PortStats are the port's counters, with what the datapath dropped.
	PortStats(flow.PortNo) (port.Stats, error)
	// Police changes what the port may receive.
	Police(flow.PortNo, qos.Policing) error
	// Shape changes how packets leave the port; nil is at once. It says what
	// does that.
	Shape(flow.PortNo, *qos.Egress) (by string, err error)
}

// An Opener opens the ports that an interface asks for.
type Opener interface {
	Open(i *desired.Interface, settings Settings) (port.Port, error)
}

// Settings are what a device that we make is given.
type Settings struct {
	MAC net.HardwareAddr
	MTU int // 0 leaves it
}

// Options are what an Applier works with.
type Options struct {
	Datapath Datapath
	Opener   Opener
	// Learned is called when a bridge's learning table gives other answers
	// than before. It is called by any goroutine, and returns quickly.
	Learned func()
	Log     *slog.Logger
}

// An Applier carries out plans.
type Applier struct {
	o      Options
	Switch *ofproto.Switch
	// Refused are the interfaces that cannot be, by UUID.
	Refused map[string]*desired.Interface

	// Tunnels are the ports that tunnels share, by name.
	Tunnels map[string]*Shared
	doubles map[string]string // what was logged of tunnels like others, by UUID

	changed       bool // Config may be different from what Apply last told of
	refusedBefore map[string]*desired.Interface
	bad           map[string]string // bridges that cannot be, by UUID
}

// New returns an applier of an empty switch.
func New(o Options) *Applier {
	return &Applier{o: o, Switch: ofproto.NewSwitch(), Tunnels: make(map[string]*Shared), doubles: make(map[string]string)}
}

// Apply carries the steps out, one after the other, and then gives every
// bridge the addresses that follow from its ports. want is the state that the
// steps lead to. It says whether Config may be different from before: that an
// interface still cannot be opened changes nothing.
func (a *Applier) Apply(steps []plan.Step, want *desired.State) (changed bool) {
	a.refusedBefore, a.Refused = a.Refused, make(map[string]*desired.Interface)
	bad := make(map[string]string)
	for _, step := range steps {
		a.o.Log.Debug(step.String())
		if a.step(step, bad) {
			a.changed = true
		}
	}
	a.bad = bad
	for _, w := range want.Bridges {
		if b := a.Switch.Bridges[w.Name]; b != nil {
			a.adopt(b, w)
			if a.address(b) {
				a.changed = true
			}
		}
	}
	changed, a.changed = a.changed, false
	return changed
}

// step carries a step out and says whether it changed what runs.
func (a *Applier) step(step plan.Step, bad map[string]string) bool {
	switch s := step.(type) {
	case plan.RemoveInterface:
		a.removeInterface(s)
	case plan.RemoveBridge:
		delete(a.Switch.Bridges, s.Name)
	case plan.AddBridge:
		a.addBridge(s.Want)
	case plan.SetBridge:
		a.setBridge(s.Want)
	case plan.AddInterface:
		return a.addInterface(s)
	case plan.SetInterface:
		a.setInterface(s)
	case plan.Renumber:
		a.renumber(s)
	case plan.Refuse:
		a.Refused[s.Want.UUID] = s.Want
		if old := a.refusedBefore[s.Want.UUID]; old == nil || old.Error != s.Want.Error {
			a.o.Log.Warn(s.Want.Error)
		}
		return false
	case plan.RefuseBridge:
		if a.bad[s.Want.UUID] != s.Want.Error {
			a.o.Log.Error(s.Want.Error)
		}
		bad[s.Want.UUID] = s.Want.Error
		return false
	}
	return true
}

// adopt makes the rows of the present moment those of the running bridge, so
// that the next plan compares with them.
func (a *Applier) adopt(b *ofproto.Bridge, want *desired.Bridge) {
	b.Want = want
	for _, p := range want.Ports {
		for _, w := range p.Interfaces {
			if i := b.Ifaces[w.Name]; i != nil {
				i.Want = w
			}
		}
	}
}

func (a *Applier) addBridge(want *desired.Bridge) {
	a.Switch.Bridges[want.Name] = &ofproto.Bridge{
		Want:   want,
		MACs:   mac.New(mac.Options{Aging: want.MACAging, Size: want.MACTableSize}, a.o.Learned),
		Ifaces: make(map[string]*ofproto.Iface),
	}
	a.snoop(a.Switch.Bridges[want.Name], want.Snooping)
}

// snoop has the bridge snoop on multicast, or not.
func (a *Applier) snoop(b *ofproto.Bridge, want *desired.Snooping) {
	if want == nil {
		b.Groups = nil
		return
	}
	o := mcast.Options{Aging: want.Aging, Size: want.TableSize, Quiet: want.Quiet}
	if b.Groups == nil {
		b.Groups = mcast.New(o, a.o.Learned)
		return
	}
	b.Groups.Configure(o)
}

// forget forgets what was learned of a port; static says that the port is gone.
func forget(b *ofproto.Bridge, port string, static bool) {
	b.MACs.FlushPort(port, static)
	if b.Groups != nil {
		b.Groups.FlushPort(port)
	}
}

func (a *Applier) setBridge(want *desired.Bridge) {
	b := a.Switch.Bridges[want.Name]
	b.MACs.Configure(mac.Options{Aging: want.MACAging, Size: want.MACTableSize})
	a.snoop(b, want.Snooping)
	// Stations behind a port that changed are to be learned anew, and all where
	// other VLANs are flooded, as with the C daemon.
	flooding := !slices.Equal(b.Want.FloodVLANs, want.FloodVLANs)
	before := make(map[string]*desired.Port, len(b.Want.Ports))
	for _, p := range b.Want.Ports {
		before[p.Name] = p
	}
	for _, p := range want.Ports {
		if old := before[p.Name]; old != nil && (flooding || !plan.SamePort(old, p)) {
			forget(b, p.Name, false)
		}
		delete(before, p.Name)
	}
	for name := range before {
		forget(b, name, true)
	}
}

func (a *Applier) removeInterface(s plan.RemoveInterface) {
	b := a.Switch.Bridges[s.Bridge]
	i := b.Ifaces[s.Name]
	if i.OFPort != 0 {
		a.o.Log.Info(fmt.Sprintf("bridge %s: deleted interface %s on port %d", s.Bridge, s.Name, i.OFPort))
	}
	if i.Want.QoS != nil && i.No != 0 {
		_, _ = a.o.Datapath.Shape(i.No, nil) // its device may stay
	}
	a.close(i)
	b.Numbers.Give(i.OFPort)
	delete(b.Ifaces, s.Name)
	forget(b, portOf(b.Want, s.Name), true)
}

// portOf is the name of the port that has the interface.
func portOf(b *desired.Bridge, iface string) string {
	for _, p := range b.Ports {
		for _, i := range p.Interfaces {
			if i.Name == iface {
				return p.Name
			}
		}
	}
	return iface
}

func (a *Applier) close(i *ofproto.Iface) {
	switch {
	case i.No != 0 && i.Want.Tunnel != nil:
		a.closeTunnel(i)
	case i.No != 0:
		a.o.Datapath.Remove(i.No)
	case i.Port != nil:
		_ = i.Port.Close()
	}
	i.No, i.Port = 0, nil
}

// addInterface opens an interface and says whether it could.
func (a *Applier) addInterface(s plan.AddInterface) bool {
	b := a.Switch.Bridges[s.Bridge]
	i := b.Ifaces[s.Want.Name]
	if i == nil {
		i = &ofproto.Iface{}
		b.Ifaces[s.Want.Name] = i
	}
	failed := i.Err
	i.Want, i.Err = s.Want, ""
	if i.Before == 0 {
		i.Before = i.Want.OFPBefore // the database forgets it when this fails
	}
	if err := a.open(b, i); err != nil {
		a.close(i)
		i.Err = err.Error()
		if i.Err != failed {
			a.o.Log.Warn(i.Err)
		}
		return false
	}
	displaced := a.displace(b, i.Want)
	if i.OFPort = b.Numbers.Take(i.Want.Name, i.Want.Local, i.Want.OFPRequest, cmp.Or(i.OFPort, i.Before)); i.OFPort == 0 {
		a.close(i)
		i.Err = fmt.Sprintf("could not add network device %s to ofproto (%s)", i.Want.Name, "No buffer space available")
		a.o.Log.Warn(i.Err)
		return false
	}
	a.o.Log.Info(fmt.Sprintf("bridge %s: added interface %s on port %d", s.Bridge, i.Want.Name, i.OFPort))
	if displaced != nil {
		a.renumber(plan.Renumber{Bridge: s.Bridge, Moves: []plan.Move{{Name: displaced.Want.Name, From: displaced.OFPort}}})
	}
	return true
}

// displace takes the number that an interface asks for from one that has it
// without having asked. That one is returned, and needs another number.
func (a *Applier) displace(b *ofproto.Bridge, want *desired.Interface) *ofproto.Iface {
	owner := b.Ifaces[b.Numbers.Owner(want.OFPRequest)]
	if want.OFPRequest == 0 || want.Local || owner == nil ||
		owner.Want.Name == want.Name || owner.Want.OFPRequest == want.OFPRequest {
		return nil
	}
	b.Numbers.Give(want.OFPRequest)
	return owner
}

// open opens the interface's device and gives it to the engine.
func (a *Applier) open(b *ofproto.Bridge, i *ofproto.Iface) error {
	if i.Want.Kind == desired.Patch {
		i.MAC, i.Counters = i.Want.DefaultMAC, new(xlate.Counters)
		return nil
	}
	if i.Want.Kind == desired.TunnelEnd {
		i.MAC, i.Counters = i.Want.DefaultMAC, new(xlate.Counters)
		return a.openTunnel(b, i)
	}
	settings := Settings{MAC: i.Want.MAC, MTU: i.Want.MTU}
	if settings.MAC == nil {
		settings.MAC = i.Want.DefaultMAC
	}
	if settings.MTU == 0 && i.Want.Kind == desired.Internal {
		settings.MTU = b.MTU()
	}
	if i.Want.Local {
		settings.MAC = a.bridgeAddress(b)
	}
	p, err := a.o.Opener.Open(i.Want, settings)
	if err != nil {
		return fmt.Errorf("could not open network device %s (%s)", i.Want.Name, reason(err))
	}
	i.Port = p
	if i.No, err = a.o.Datapath.Add(p, dummyNumber(b.Want, i.Want)); err != nil {
		return fmt.Errorf("could not add network device %s to ofproto (%s)", i.Want.Name, reason(err))
	}
	if !i.Want.Policing.Off() {
		if err := a.o.Datapath.Police(i.No, i.Want.Policing); err != nil {
			a.o.Log.Warn(fmt.Sprintf("%s: failed to set policing: %v", i.Want.Name, err))
		}
	}
	if i.Want.QoS != nil {
		a.shape(i)
	}
	return nil
}

// shape has the datapath do what the interface's QoS says.
func (a *Applier) shape(i *ofproto.Iface) {
	by, err := a.o.Datapath.Shape(i.No, i.Want.QoS)
	if err != nil {
		a.o.Log.Warn(fmt.Sprintf("%s: failed to set QoS: %v", i.Want.Name, err))
	} else if i.Want.QoS != nil {
		a.o.Log.Info(fmt.Sprintf("%s: QoS %s by %s", i.Want.Name, i.Want.QoS.Type, by))
	}
}

// dummyNumber is the number in the datapath that the C daemon gives a port of
// a dummy datapath: that in its name, from 100 on for names that begin with
// "br", else the lowest free one, which 1 stands for. It is 0 for other ports.
func dummyNumber(b *desired.Bridge, i *desired.Interface) flow.PortNo {
	return deviceNumber(b, i.Name)
}

// deviceNumber is dummyNumber for a port of that name.
func deviceNumber(b *desired.Bridge, name string) flow.PortNo {
	if !b.Dummy {
		return 0
	}
	at := strings.IndexAny(name, "0123456789")
	if at < 0 {
		return 1
	}
	digits := name[at:]
	if end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' }); end >= 0 {
		digits = digits[:end]
	}
	no, err := strconv.ParseUint(digits, 10, 16)
	if strings.HasPrefix(name, "br") {
		no += 100
	}
	if err != nil || no == 0 || no > 65535 {
		return 1
	}
	return flow.PortNo(no)
}

func (a *Applier) setInterface(s plan.SetInterface) {
	i := a.Switch.Bridges[s.Bridge].Ifaces[s.Want.Name]
	have := i.Want
	i.Want = s.Want
	if have.Policing != s.Want.Policing && i.Port != nil {
		if err := a.o.Datapath.Police(i.No, s.Want.Policing); err != nil {
			a.o.Log.Warn(fmt.Sprintf("%s: failed to set policing: %v", s.Want.Name, err))
		}
	}
	if !reflect.DeepEqual(have.QoS, s.Want.QoS) && i.Port != nil {
		a.shape(i)
	}
	if !s.Want.Local && s.Want.Kind == desired.Internal && !bytes.Equal(have.MAC, s.Want.MAC) && s.Want.MAC != nil {
		a.set(i, "MAC", func(p port.Admin) error { return p.SetMAC(s.Want.MAC) })
	}
	if p, ok := i.Port.(*dummy.Port); ok {
		if err := p.Configure(dummy.Parse(s.Want.Options)); err != nil {
			a.o.Log.Warn(fmt.Sprintf("%s: %v", s.Want.Name, err))
		}
	}
	if have.MTU != s.Want.MTU && s.Want.MTU != 0 {
		a.set(i, "MTU", func(p port.Admin) error { return p.SetMTU(s.Want.MTU) })
	}
}

// set changes something about an interface's device, where it has one that
// can be changed.
func (a *Applier) set(i *ofproto.Iface, what string, change func(port.Admin) error) {
	admin, ok := i.Port.(port.Admin)
	if !ok {
		return
	}
	if err := change(admin); err != nil && !errors.Is(err, port.ErrUnsupported) {
		a.o.Log.Warn(fmt.Sprintf("interface %s: setting %s failed (%s)", i.Want.Name, what, reason(err)))
	}
	// The database is told at once of what the device is like now.
	if device, ok := i.Port.(interface{ Refresh() }); ok {
		device.Refresh()
	}
}

func (a *Applier) renumber(s plan.Renumber) {
	b := a.Switch.Bridges[s.Bridge]
	for _, m := range s.Moves {
		a.o.Log.Info(fmt.Sprintf("bridge %s: deleted interface %s on port %d", s.Bridge, m.Name, m.From))
		if b.Numbers.Owner(m.From) == m.Name {
			b.Numbers.Give(m.From)
		}
	}
	// Numbers that are asked for go first, and are kept free of the others:
	// also those of interfaces that come later in the plan.
	for _, asked := range []bool{true, false} {
		for _, m := range s.Moves {
			if (m.To != 0) != asked {
				continue
			}
			i := b.Ifaces[m.Name]
			i.OFPort = b.Numbers.TakeOther(m.Name, m.To, m.From)
			a.o.Log.Info(fmt.Sprintf("bridge %s: added interface %s on port %d", s.Bridge, m.Name, i.OFPort))
		}
	}
}

// Lost notes that the interface's device vanished: its port is closed, its
// number stays its own.
func (a *Applier) Lost(b *ofproto.Bridge, i *ofproto.Iface) {
	a.close(i)
	a.changed = true
	i.Err = fmt.Sprintf("could not open network device %s (No such device)", i.Want.Name)
	a.o.Log.Warn(fmt.Sprintf("bridge %s: device of interface %s vanished", b.Want.Name, i.Want.Name))
}

// Unshape has packets leave all ports at once.
func (a *Applier) Unshape() {
	for _, b := range a.Switch.Bridges {
		for _, i := range b.Ifaces {
			if i.Want.QoS != nil && i.No != 0 {
				_, _ = a.o.Datapath.Shape(i.No, nil)
			}
		}
	}
}

// Close takes everything down. What devices do for QoS stays: see Unshape.
func (a *Applier) Close() {
	for _, b := range a.Switch.Bridges {
		for _, i := range b.Ifaces {
			a.close(i)
		}
	}
	a.Switch = ofproto.NewSwitch()
}

// Stats are the counters of an interface that is open.
func (a *Applier) Stats(i *ofproto.Iface) port.Stats {
	if i.Port == nil {
		return port.Stats{
			RxPackets: i.Counters.RxPackets.Load(), RxBytes: i.Counters.RxBytes.Load(),
			TxPackets: i.Counters.TxPackets.Load(), TxBytes: i.Counters.TxBytes.Load(),
		}
	}
	stats, err := a.o.Datapath.PortStats(i.No)
	if err != nil {
		return i.Port.Stats()
	}
	return stats
}
