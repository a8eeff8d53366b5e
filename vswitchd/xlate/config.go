package xlate

import (
	"net"
	"sync/atomic"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/tunnel"
	"govs/vswitchd/bond"
	"govs/vswitchd/mac"
	"govs/vswitchd/mcast"
)

// A Config is everything the translator works from. It is immutable: a change
// makes a new one, handed to Translator.Set. MAC tables and exporters are
// shared between versions, which is how they live on.
type Config struct {
	Bridges []*Bridge
	// Control is given the frames of protocols that the switch itself speaks,
	// with the name of the interface they came by. It is called on the packet
	// path: it returns quickly, and copies what it keeps.
	Control func(in string, frame []byte)
	// Underlay is what tunnels go through; nil where there are none.
	Underlay *Underlay
}

// A Bridge is one switch.
type Bridge struct {
	Name        string
	MAC         net.HardwareAddr // of the local port
	Ports       []*Port          // a flooded packet leaves through them in this order
	Groups      *mcast.Table     // nil where multicast is not snooped on
	MACs        *mac.Table       // nil learns nothing and floods everything
	FloodVLANs  []int            // VLANs that flood and do not learn (Bridge.flood_vlans)
	ForwardBPDU bool             // other_config:forward-bpdu
	FailSecure  bool             // no NORMAL flow: everything is dropped
	Spanning    bool             // BPDUs go to Config.Control
	Mirrors     []*Mirror        // MaxMirrors at the most
	NetFlow     Sample           // nil where the bridge exports none
	SFlow       *SFlow           // nil where none is sampled for it
	IPFIX       *IPFIX           // likewise
}

// A Mode is how a port treats VLANs (Port.vlan_mode).
type Mode uint8

// The modes.
const (
	Access Mode = iota
	Trunk
	NativeTagged
	NativeUntagged
	Tunnel // dot1q-tunnel
)

// PriorityTags says what becomes of a frame that leaves with a priority but
// no VLAN (other_config:priority-tags).
type PriorityTags uint8

// The values of other_config:priority-tags.
const (
	NeverTag  PriorityTags = iota // leaves without a tag ("never", the default)
	IfNonzero                     // with a tag where the priority is not zero
	AlwaysTag                     // with a tag wherever it came with one
)

// A Port is one row of the Port table: one interface, or several that are
// bonded.
type Port struct {
	Name         string // unique in the bridge; names the port in the MAC table
	Mode         Mode
	Tag          int    // 0 to 4095: the VLAN of Access, Tunnel and the native modes
	Trunks       []int  // VLANs that Trunk and the native modes carry; empty is all
	Customers    []int  // customers' VLANs that Tunnel takes (Port.cvlans); empty is all
	TunnelTPID   uint16 // of the tag that Tunnel puts on (other_config:qinq-ethtype)
	PriorityTags PriorityTags
	Protected    bool // does not talk to other protected ports
	McastFlood   bool // gets everything for groups, snooped on or not (mcast-snooping-flood)
	McastReports bool // gets hosts' reports, too (mcast-snooping-flood-reports)
	Interfaces   []Interface
	// Bond says which of several interfaces packets leave and enter by. Where
	// it is nil the first interface that is not down is taken.
	Bond *bond.View
	// What a spanning tree keeps the port from: learning, and passing packets
	// in and out.
	NoLearn, Blocked bool
}

// An Interface is one way in and out of the switch.
type Interface struct {
	Name                          string
	No                            flow.PortNo // number in the engine; 0 for a patch port
	OFPort                        uint16      // OpenFlow port number in its bridge
	Ifindex                       int         // of its device, 0 for none
	Peer                          string      // the other end's name, for a patch port
	Down                          bool        // gets and gives nothing
	NoReceive, NoFlood, NoForward bool
	LACP                          bool           // LACPDUs go to Config.Control
	LLDP                          bool           // frames of LLDP go to Config.Control
	BFD                           *BFD           // what goes to Config.Control of BFD, nil for nothing
	CFM                           *CFM           // the same of CFM
	Counters                      *Counters      // of a patch port or a tunnel, which the engine knows nothing of; may be nil
	Tunnel                        *tunnel.Config // of a tunnel, which shares No with others; else nil
}

// BFD says which of its frames are for an interface.
type BFD struct {
	Dst     [6]byte // that they go to; zero for any
	ZeroKey bool    // they came out of a tunnel without a key, or with 0
	OAM     bool    // those that leave through a tunnel say that they are of those that run the network
}

// CFM says which of its frames are for an interface.
type CFM struct {
	Dst     [6]byte // that they go to
	ZeroKey bool    // as BFD's
}

// Counters are a patch port's traffic. They are shared between versions of
// the configuration.
type Counters struct {
	RxPackets, RxBytes, TxPackets, TxBytes atomic.Uint64
}

// Sample is what the translator needs of a flow exporter (NetFlow).
type Sample interface {
	// Mask sets the bits by which the exporter tells flows like this one apart.
	Mask(*flow.Key, *flow.Mask)
	// Creditor returns what is credited with a flow's traffic, or nil where
	// the exporter does not report such flows. in and out are OpenFlow port
	// numbers; out is Flood where the packet was flooded, Many where there
	// are several for another reason, and Nowhere where it was dropped.
	Creditor(key *flow.Key, in, out uint16) engine.Creditor
}
