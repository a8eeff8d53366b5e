package status

import (
	"maps"
	"math"
	"net"
	"strings"

	"govs/schema/vswitch"
)

// A Bridge is what has become of a bridge's spanning tree; nil where it has
// none.
type Bridge struct {
	STP, RSTP map[string]string
	Errors    []string // what is wrong with its configuration
}

// A Port is what has become of a port.
type Port struct {
	ActiveMAC           net.HardwareAddr // of a bond's active member; nil for other ports
	STP, RSTP           map[string]string
	STPStats, RSTPStats map[string]int
	Errors              []string // what is wrong with its configuration
}

// Empty says that there is nothing to tell.
func (p *Port) Empty() bool {
	return p.ActiveMAC == nil && p.STP == nil && p.RSTP == nil && p.STPStats == nil && p.RSTPStats == nil && p.Errors == nil
}

// Services sets what a bridge's protocols have come to.
func (r Rows) Services(uuid string, b Bridge) {
	r.Set(vswitch.BridgeTable, uuid, Row{"status": told(b.STP, b.Errors), "rstp_status": full(b.RSTP)})
}

// PortRow sets what a port is like at the moment.
func (r Rows) PortRow(uuid string, p Port) {
	row := Row{
		"bond_active_slave": Empty{},
		"status":            told(p.STP, p.Errors), "statistics": full(p.STPStats),
		"rstp_status": full(p.RSTP), "rstp_statistics": full(p.RSTPStats),
	}
	row.optional("bond_active_slave", p.ActiveMAC.String(), p.ActiveMAC != nil)
	r.Set(vswitch.PortTable, uuid, row)
}

// Trunks makes a port carry these VLANs.
func (r Rows) Trunks(uuid string, vlans []int) {
	r.Set(vswitch.PortTable, uuid, Row{"trunks": vlans, "vlan_mode": "trunk"})
}

// Mirror sets a mirror's counters.
func (r Rows) Mirror(uuid string, packets, bytes uint64) {
	r.Set(vswitch.MirrorTable, uuid, Row{"statistics": map[string]int{
		"tx_packets": int(min(packets, math.MaxInt64)), "tx_bytes": int(min(bytes, math.MaxInt64)),
	}})
}

// told is a column "status", with the errors under a key of their own.
func told(tree map[string]string, errors []string) map[string]string {
	all := maps.Clone(full(tree))
	if errors != nil {
		all["error"] = strings.Join(errors, "; ")
	}
	return all
}

// full is a map that is there, if empty.
func full[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}
