// Package ofproto holds the running objects of the switch: bridges, their
// interfaces with the ports that are open, and the rules of OpenFlow port
// numbers and bridge addresses.
//
// The objects are plain data that one goroutine, or one lock, owns: package
// apply changes them, package status and the control verbs read them.
package ofproto

import (
	"maps"
	"net"
	"slices"

	"govs/datapath/flow"
	"govs/datapath/port"
	"govs/vswitchd/desired"
	"govs/vswitchd/mac"
	"govs/vswitchd/mcast"
	"govs/vswitchd/xlate"
)

// Switch is everything that runs, by bridge name.
type Switch struct {
	Bridges map[string]*Bridge
}

// NewSwitch returns a switch without bridges.
func NewSwitch() *Switch { return &Switch{Bridges: make(map[string]*Bridge)} }

// Sorted returns the bridges by name.
func (s *Switch) Sorted() []*Bridge { return sorted(s.Bridges) }

// Find returns the interface with that name, and its bridge; nil where there
// is none. Names are unique in a switch.
func (s *Switch) Find(name string) (*Bridge, *Iface) {
	for _, b := range s.Bridges {
		if i, ok := b.Ifaces[name]; ok {
			return b, i
		}
	}
	return nil, nil
}

// A Bridge is a running bridge.
type Bridge struct {
	Want       *desired.Bridge  // what it was made from; Ports are those of the last change
	MAC        net.HardwareAddr // of the local port
	DatapathID string           // 16 hex digits
	MACs       *mac.Table
	Groups     *mcast.Table // nil where multicast is not snooped on
	Numbers    Numbers
	// InternalMTU is what internal interfaces without a requested MTU were
	// given last.
	InternalMTU int
	Ifaces      map[string]*Iface
}

// Sorted returns the interfaces by name.
func (b *Bridge) Sorted() []*Iface { return sorted(b.Ifaces) }

// Number returns the OpenFlow number of the interface, and false where there
// is none with that name.
func (b *Bridge) Number(name string) (uint16, bool) {
	i, ok := b.Ifaces[name]
	if !ok || i.OFPort == 0 {
		return 0, false
	}
	return uint16(i.OFPort), true
}

// An Iface is a running interface: one that is open, or was, or failed.
type Iface struct {
	Want    *desired.Interface
	OFPort  int         // OpenFlow number, 0 where none was given yet
	Before  int         // number from before a restart, 0 for none
	No      flow.PortNo // number in the engine, 0 where it is not there
	Port    port.Port   // nil for a patch port, and while it is not open
	Err     string      // why it is not open, for Interface.error
	Way     string      // that packets take, for Interface.status; "" where there is but one
	WhyNot  string      // why they do not take the other one
	Shaped  string      // what its QoS is done by, "" where there is none
	Egress  string      // of a tunnel: the device that its packets leave by, "" where there is none
	Carrier bool        // of that device
	// Of a patch port or a tunnel, which have no Port:
	MAC      net.HardwareAddr
	Counters *xlate.Counters
}

// Open says whether packets may go through the interface.
func (i *Iface) Open() bool {
	return i.Err == "" && (i.Port != nil || i.Want.Kind == desired.Patch || i.Want.Kind == desired.TunnelEnd && i.No != 0)
}

func sorted[T any](m map[string]T) []T {
	list := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, m[name])
	}
	return list
}
