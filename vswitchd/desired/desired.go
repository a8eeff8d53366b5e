// Package desired computes what the switch ought to be from what the database
// says. It is pure: the same rows give the same State, in the same order, and
// nothing is opened, logged or written.
//
// What the rows ask for and cannot have is not an error of the whole: each
// object carries its own (Interface.Error, Bridge.Error), and everything else
// that is worth a log line stands in State.Problems. A State is always
// complete, and always usable.
//
// Where the manual ovs-vswitchd.conf.db(5) leaves something open, the C
// daemon's behaviour decides.
//
// # Caveats
//
// What an Interface can be is decided from names and types alone; whether the
// device is there shows when it is opened.
package desired

import (
	"fmt"
	"net"
	"time"

	"govs/datapath/tunnel"
	"govs/vswitchd/bfd"
	"govs/vswitchd/cfm"
	"govs/vswitchd/lldp"
	"govs/vswitchd/qos"
)

// A Dummy says which types of interface are served by dummies, as the option
// --enable-dummy of ovs-vswitchd does.
type Dummy uint8

// The ways of --enable-dummy.
const (
	DummyOff      Dummy = iota
	DummyOn             // the types "dummy" and "dummy-internal" exist
	DummySystem         // and "system" is a dummy, too
	DummyOverride       // and every other type but "patch"
)

// Datapath says whether the datapaths of a type are dummies, too.
func (d Dummy) Datapath(typ string) bool {
	switch d {
	case DummyOverride:
		return typ == "dummy" || typ == "system" || typ == "netdev"
	case DummySystem:
		return typ == "dummy" || typ == "system"
	}
	return d == DummyOn && typ == "dummy"
}

// Options are what does not stand in the database.
type Options struct {
	Dummy         Dummy
	DisableSystem bool // no bridges of datapath_type "system", unless those are dummies
}

// A Kind is how an interface is made.
type Kind uint8

// The kinds of interface.
const (
	System    Kind = iota // a network device that is there
	Internal              // a TAP that belongs to the bridge
	Tap                   // a TAP
	Patch                 // one end of a cable between two bridges
	DummyNIC              // a port without a device
	AFXDP                 // a network device that is there, by AF_XDP sockets
	PCAP                  // a pair of pcap files
	TunnelEnd             // one end of a tunnel, through bridges of the switch
)

func (k Kind) String() string {
	return [...]string{"system", "internal", "tap", "patch", "dummy", "afxdp", "pcap", "tunnel"}[k]
}

// LocalPort is the OpenFlow number of a bridge's local port.
const LocalPort = 65534

// State is what the database asks for.
type State struct {
	Root    string // UUID of the Open_vSwitch row, "" while there is none
	NextCfg int
	// StatsInterval is the time between two updates of the statistics.
	StatsInterval time.Duration
	// SystemStats asks for Open_vSwitch.statistics.
	SystemStats bool
	FlowLimit   int           // megaflows at the most
	VLANLimit   int           // VLAN tags that count; 0 is as many as there can be
	MaxIdle     time.Duration // after which an idle megaflow goes
	Offload     Offload       // other_config:ebpf-offload
	// SystemType and SystemVersion are what somebody else has already set.
	SystemType, SystemVersion string

	Bridges  []*Bridge // by name
	Problems []Problem
}

// Offload says whether there is to be a flow cache in the kernel.
type Offload int

// The values of other_config:ebpf-offload.
const (
	OffloadAuto Offload = iota // where it can be
	OffloadOn                  // the same, and a warning where it cannot
	OffloadOff
)

// String is the value as the database has it.
func (o Offload) String() string { return [...]string{"auto", "true", "false"}[o] }

// A Problem is something in the configuration that is worth a log line. What
// contradicts itself is told in a column "status" as well: that of the row At,
// which is a bridge's or a port's.
type Problem struct {
	Table, UUID string
	Text        string
	At          string // UUID, "" for none
}

// A Bridge is one switch.
type Bridge struct {
	UUID, Name   string
	mappings     []lldp.Mapping   // of auto attachment
	DatapathType string           // "system", "netdev" or "dummy"
	Dummy        bool             // the datapath is a dummy
	Error        string           // why the bridge cannot be, "" where it can
	HWAddr       net.HardwareAddr // as configured; nil: see MAC
	DatapathID   string           // 16 hex digits as configured, or ""
	DefaultMAC   net.HardwareAddr // where neither configuration nor ports give one
	MACAging     time.Duration
	MACTableSize int
	FloodVLANs   []int // sorted
	ForwardBPDU  bool
	FailSecure   bool
	Snooping     *Snooping // nil where multicast is not snooped on
	NetFlow      *NetFlow
	SFlow        *SFlow
	IPFIX        *IPFIX
	Samples      []FlowSamples // by id
	Mirrors      []*Mirror     // by name
	Tree         *Tree         // nil where the bridge speaks no spanning tree protocol
	Ports        []*Port       // by name
}

// A Snooping is how a bridge snoops on multicast.
type Snooping struct {
	Aging     time.Duration
	TableSize int
	Quiet     bool // groups without listeners go to routers only
}

// String is the configuration in a few words.
func (n *Snooping) String() string {
	if n == nil {
		return "none"
	}
	s := fmt.Sprintf("aging %v size %d", n.Aging, n.TableSize)
	if n.Quiet {
		s += " without flooding"
	}
	return s
}

// A NetFlow is an exporter's configuration.
type NetFlow struct {
	UUID          string
	Targets       []string // "IP:PORT", sorted
	Version       uint8    // 5 or 9
	ActiveTimeout time.Duration
	EngineID      uint8
	EngineType    uint8
	EngineSet     bool // EngineID and EngineType are configured
	AddID         bool
}

// A VLANMode is how a port treats VLANs.
type VLANMode uint8

// The modes.
const (
	Trunk VLANMode = iota
	Access
	NativeTagged
	NativeUntagged
	Tunnel // dot1q-tunnel
)

func (m VLANMode) String() string {
	return [...]string{"trunk", "access", "native-tagged", "native-untagged", "dot1q-tunnel"}[m]
}

// A Port is one row of the Port table.
type Port struct {
	UUID, Name   string
	VLAN         VLANMode
	Tag          int    // of all but trunks; 0 otherwise
	Trunks       []int  // sorted; nil is all
	Customers    []int  // of a tunnel, sorted; nil is all
	TunnelTPID   uint16 // of a tunnel, 0 otherwise
	PriorityTags string // "never", "if-nonzero" or "always"
	Protected    bool
	McastFlood   bool             // gets everything for groups
	McastReports bool             // gets hosts' reports
	Bond         *Bond            // nil where there is one interface
	LACP         *LACP            // nil where it does not negotiate
	Tree         *TreePort        // nil where it takes no part in the bridge's
	ActiveBefore net.HardwareAddr // of the interface that the database remembers as active
	Interfaces   []*Interface     // by name; behind them a bond's fake one
}

// An Interface is one way in and out of a bridge.
type Interface struct {
	UUID, Name string
	Kind       Kind
	Type       string           // as the database has it; "system" for ""
	Local      bool             // the bridge's local port
	Error      string           // why the interface cannot be, "" where it can
	MAC        net.HardwareAddr // nil where none is configured
	DefaultMAC net.HardwareAddr // for a device that we make
	MTU        int              // requested, 0 where not
	OFPRequest int              // 0 where none is requested
	OFPBefore  int              // number that the database remembers, or 0
	Peer       string           // of a patch port
	Tunnel     *tunnel.Config   // of a tunnel, else nil
	Options    map[string]string
	Policing   qos.Policing
	QoS        *qos.Egress // of its port; nil where there is none
	LACP       LACPMember
	BFD        *bfd.Config // nil where it is not watched
	CFM        *cfm.Config // nil where it has no maintenance point
	LLDP       *lldp.Config
	Fake       bool // has no row, and stands for a bond (bond_fake_iface)
}

// String is the configuration in a few words.
func (n *NetFlow) String() string {
	if n == nil {
		return "none"
	}
	s := fmt.Sprintf("%v, active timeout %v", n.Targets, n.ActiveTimeout)
	if n.Version != 5 {
		s += fmt.Sprintf(", version %d", n.Version)
	}
	if n.EngineSet {
		s += fmt.Sprintf(", engine %d/%d", n.EngineType, n.EngineID)
	}
	if n.AddID {
		s += ", id added to interface"
	}
	return s
}
