package status

import (
	"maps"
	"math"
	"strconv"

	"govs/datapath/port"
	"govs/schema/vswitch"
	"govs/vswitchd/ofproto"
)

// A System is what the Open_vSwitch row says about the program and its host.
type System struct {
	OVSVersion, DBVersion string
	Type, Version         string // of the host; "" leaves what is there
	DatapathTypes         []string
	IfaceTypes            []string
}

// Root sets what does not change while the program runs.
func (r Rows) Root(uuid string, s System) {
	row := Row{
		"ovs_version":      s.OVSVersion,
		"db_version":       s.DBVersion,
		"datapath_types":   s.DatapathTypes,
		"iface_types":      s.IfaceTypes,
		"dpdk_initialized": false,
		"dpdk_version":     "none",
	}
	if s.Type != "" {
		row["system_type"] = s.Type
	}
	if s.Version != "" {
		row["system_version"] = s.Version
	}
	r.Set(vswitch.OpenvSwitchTable, uuid, row)
}

// Applied sets that a configuration was applied.
func (r Rows) Applied(uuid string, cfg int) {
	r.Set(vswitch.OpenvSwitchTable, uuid, Row{"cur_cfg": cfg})
}

// BridgeRow sets a bridge's identity; b is nil for a bridge that cannot be.
func (r Rows) BridgeRow(uuid string, b *ofproto.Bridge) {
	row := Row{"datapath_id": Empty{}, "datapath_version": ""}
	if b != nil {
		row["datapath_id"] = b.DatapathID
		row["datapath_version"] = "<built-in>"
	}
	r.Set(vswitch.BridgeTable, uuid, row)
}

func portStatus(i *ofproto.Iface, state port.State) map[string]string {
	status := make(map[string]string)
	if state.Driver != "" {
		status["driver_name"] = state.Driver
		status["driver_version"] = state.Version
		status["firmware_version"] = state.Firmware
	}
	if d, ok := i.Port.(port.Described); ok {
		maps.Copy(status, d.Describe())
	}
	// Keys of our own: the way that packets take, what the port's QoS is done
	// by, and that the host's stack gets packets, too.
	if i.Way != "" {
		status["datapath"] = i.Way
	}
	if i.WhyNot != "" {
		status["datapath_reason"] = i.WhyNot
	}
	if i.Shaped != "" {
		status["qos"] = i.Shaped
	}
	if h, ok := i.Port.(interface{ HostSees() error }); ok {
		if err := h.HostSees(); err != nil {
			status["host_stack"] = "sees packets: " + err.Error()
		}
	}
	return status
}

// IfaceStats sets the counters of an interface that is open. A patch port has
// but four, and a dummy some of its own.
func (r Rows) IfaceStats(i *ofproto.Iface, s port.Stats) {
	stats := make(map[string]int)
	for n, c := range []struct {
		name  string
		value uint64
	}{
		{"rx_packets", s.RxPackets}, {"rx_bytes", s.RxBytes},
		{"tx_packets", s.TxPackets}, {"tx_bytes", s.TxBytes},
		{"rx_dropped", s.RxDropped}, {"rx_errors", s.RxErrors},
		{"tx_dropped", s.TxDropped}, {"tx_errors", s.TxErrors},
		{"rx_frame_err", s.RxFrameErr}, {"rx_over_err", s.RxOverErr},
		{"rx_crc_err", s.RxCRCErr}, {"rx_missed_errors", s.RxMissedErr},
		{"collisions", s.Collisions}, {"rx_multicast_packets", s.RxMulticast},
	} {
		if n < 4 || i.Port != nil && (c.value != 0 || !s.Basic) {
			stats[c.name] = int(min(c.value, math.MaxInt64))
		}
	}
	if more, ok := i.Port.(port.Customs); ok {
		for name, n := range more.Custom() {
			stats[name] = int(min(n, math.MaxInt64))
		}
	}
	r.Set(vswitch.InterfaceTable, i.Want.UUID, Row{"statistics": stats})
}

// SystemStats sets Open_vSwitch.statistics.
func (r Rows) SystemStats(uuid string, stats map[string]string) {
	if stats == nil {
		stats = map[string]string{}
	}
	r.Set(vswitch.OpenvSwitchTable, uuid, Row{"statistics": stats})
}

func (row Row) optional(column string, value any, known bool) {
	if known {
		row[column] = value
	}
}

func upDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

// number is a counter as text.
func number[T int | int64 | uint64](n T) string { return strconv.FormatInt(int64(n), 10) }
