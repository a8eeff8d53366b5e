package status

import (
	"math"
	"net"

	"govs/schema/vswitch"
)

// A Bridge is what has become of a bridge's spanning tree; nil where it has
// none.
type Bridge struct{ STP, RSTP map[string]string }

// A Port is what has become of a port.
type Port struct {
	ActiveMAC           net.HardwareAddr // of a bond's active member; nil for other ports
	STP, RSTP           map[string]string
	STPStats, RSTPStats map[string]int
}

// Empty says that there is nothing to tell.
func (p *Port) Empty() bool {
	return p.ActiveMAC == nil && p.STP == nil && p.RSTP == nil && p.STPStats == nil && p.RSTPStats == nil
}

// Services sets what a bridge's protocols have come to.
func (r Rows) Services(uuid string, b Bridge) {
	r.Set(vswitch.BridgeTable, uuid, Row{"status": full(b.STP), "rstp_status": full(b.RSTP)})
}

// PortRow sets what a port is like at the moment.
func (r Rows) PortRow(uuid string, p Port) {
	row := Row{
		"bond_active_slave": Empty{},
		"status":            full(p.STP), "statistics": full(p.STPStats),
		"rstp_status": full(p.RSTP), "rstp_statistics": full(p.RSTPStats),
	}
	row.optional("bond_active_slave", p.ActiveMAC.String(), p.ActiveMAC != nil)
	r.Set(vswitch.PortTable, uuid, row)
}

// Mirror sets a mirror's counters.
func (r Rows) Mirror(uuid string, packets, bytes uint64) {
	r.Set(vswitch.MirrorTable, uuid, Row{"statistics": map[string]int{
		"tx_packets": int(min(packets, math.MaxInt64)), "tx_bytes": int(min(bytes, math.MaxInt64)),
	}})
}

// full is a map that is there, if empty.
func full[T any](m map[string]T) map[string]T {
	if m == nil {
		return map[string]T{}
	}
	return m
}
