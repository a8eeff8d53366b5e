package tunnel

import (
	"fmt"
	"net/netip"
)

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
	GPE        bool   // VXLAN with exts=gpe
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
	}
	if c.Kind == ERSPAN {
		return "erspan_sys"
	}
	return "gre_sys"
}

// Same says whether packets of one could not be told from packets of the other.
func (c *Config) Same(d *Config) bool {
	return c.Device() == d.Device() && c.Remote == d.Remote && c.Local == d.Local &&
		c.InFlow == d.InFlow && (c.InFlow || c.InKey == d.InKey)
}
