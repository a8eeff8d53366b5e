package tunnel

import (
	"fmt"
	"net/netip"
	"slices"
)

// A Mode says which packets a tunnel takes (ovs-vswitchd.conf.db(5),
// options:packet_type).
type Mode uint8

// The modes.
const (
	LegacyL2 Mode = iota // frames
	LegacyL3             // packets without an Ethernet header: they get one when they come, and lose it when they go
	PTAP                 // both; there are no other packets than frames that go
)

// modes are the modes' names.
var modes = [...]string{LegacyL2: "legacy_l2", LegacyL3: "legacy_l3", PTAP: "ptap"}

func (m Mode) String() string { return modes[m] }

// ParseMode is the mode of that name.
func ParseMode(name string) (Mode, bool) {
	m := slices.Index(modes[:], name)
	return Mode(max(m, 0)), m >= 0
}

// Takes says whether a packet is for the tunnel that came with an Ethernet
// header, or without one.
func (m Mode) Takes(bare bool) bool { return m == PTAP || (m == LegacyL3) == bare }

// TTL is the time to live of outer headers where nothing is said of it.
const TTL = 64

// A Config is what a tunnel's interface is configured to be, from its options
// in ovs-vswitchd.conf.db(5), "Tunnel Options". Configs are compared as values.
type Config struct {
	Kind       Kind
	Remote     netip.Addr // not valid for remote_ip=flow
	Local      netip.Addr // not valid where the route decides
	InKey      uint64
	InHasKey   bool // in_key is given, and not "flow"
	InFlow     bool // in_key=flow: any key
	OutKey     uint64
	OutHasKey  bool
	OutFlow    bool   // out_key=flow: that of the packet's metadata
	Port       uint16 // of UDP
	TTL        uint8
	TTLInherit bool
	TOS        uint8
	TOSInherit bool
	Fragment   bool // df_default=false
	Csum, Seq  bool
	GPE, GBP   bool // VXLAN with exts=gpe, exts=gbp
	Mode       Mode
	Mark       uint32 // egress_pkt_mark: which routes count
	// Of ERSPAN, as Header has them:
	Version  uint8
	Index    uint32
	Egress   bool
	Hardware uint8
}

// Device is the name of the datapath's port that tunnels of its kind share.
func (c *Config) Device() string {
	switch c.Kind {
	case VXLAN:
		return fmt.Sprintf("vxlan_sys_%d", c.Port)
	case Geneve:
		return fmt.Sprintf("genev_sys_%d", c.Port)
	case GTPU:
		return fmt.Sprintf("gtpu_sys_%d", c.Port)
	case ERSPAN:
		return "erspan_sys"
	}
	return "gre_sys"
}

// Same says whether packets of one could not be told from packets of the other.
func (c *Config) Same(d *Config) bool {
	return c.Device() == d.Device() && c.Mode == d.Mode && c.Remote == d.Remote && c.Local == d.Local &&
		c.InFlow == d.InFlow && (c.InFlow || c.InKey == d.InKey)
}
