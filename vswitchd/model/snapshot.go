package model

import (
	"maps"
	"reflect"

	libmodel "github.com/ovn-kubernetes/libovsdb/model"

	"govs/schema/vswitch"
)

// A Snapshot is the configuration as the database had it at one moment. It is
// immutable, and so are the rows. Maps are keyed by row UUID.
type Snapshot struct {
	Root       *vswitch.OpenvSwitch // nil while the database has not been initialized
	Bridges    map[string]*vswitch.Bridge
	Ports      map[string]*vswitch.Port
	Interfaces map[string]*vswitch.Interface
	NetFlows   map[string]*vswitch.NetFlow
	Mirrors    map[string]*vswitch.Mirror
	SFlows     map[string]*vswitch.SFlow
	IPFIXs     map[string]*vswitch.IPFIX
	Collectors map[string]*vswitch.FlowSampleCollectorSet
	QoS        map[string]*vswitch.QoS
	Queues     map[string]*vswitch.Queue
	Attaches   map[string]*vswitch.AutoAttach
}

// columns are those that a session monitors, by table, from the root of the
// references to their leaves: Snapshot relies on that order.
var columns = []struct {
	table   string
	columns []string
}{
	{vswitch.OpenvSwitchTable, []string{
		"bridges", "next_cfg", "other_config", "external_ids",
		"system_type", "system_version",
	}},
	{vswitch.BridgeTable, []string{
		"name", "datapath_type", "fail_mode", "flood_vlans", "netflow", "sflow", "ipfix",
		"mirrors", "controller", "protocols", "flow_tables", "auto_attach", "ports", "other_config", "external_ids",
		"stp_enable", "rstp_enable", "mcast_snooping_enable",
	}},
	{vswitch.PortTable, []string{
		"name", "interfaces", "tag", "trunks", "cvlans", "vlan_mode", "protected", "mac",
		"qos", "bond_mode", "bond_updelay", "bond_downdelay", "bond_fake_iface", "bond_active_slave",
		"lacp", "fake_bridge", "other_config", "external_ids",
	}},
	{vswitch.InterfaceTable, []string{
		"name", "type", "options", "mac", "mtu_request", "ofport", "ofport_request",
		"ingress_policing_rate", "ingress_policing_burst",
		"ingress_policing_kpkts_rate", "ingress_policing_kpkts_burst",
		"lldp", "cfm_mpid", "bfd", "other_config", "external_ids",
	}},
	{vswitch.NetFlowTable, []string{
		"targets", "active_timeout", "engine_id", "engine_type", "add_id_to_interface",
		"external_ids",
	}},
	{vswitch.MirrorTable, []string{
		"name", "select_all", "select_src_port", "select_dst_port", "select_vlan",
		"output_port", "output_vlan", "snaplen", "external_ids",
	}},
	{vswitch.SFlowTable, []string{"targets", "agent", "header", "polling", "sampling"}},
	{vswitch.IPFIXTable, []string{
		"targets", "sampling", "obs_domain_id", "obs_point_id", "cache_active_timeout", "cache_max_flows", "other_config",
	}},
	{vswitch.FlowSampleCollectorSetTable, []string{"id", "bridge", "ipfix"}},
	{vswitch.QoSTable, []string{"type", "queues", "other_config"}},
	{vswitch.QueueTable, []string{"dscp", "other_config"}},
	{vswitch.AutoAttachTable, []string{"mappings"}},
}

// A shallow copy of each table, in the order of columns.
type raw []map[string]libmodel.Model

// Equal says whether both hold the very same rows; the cache replaces rows
// and never changes them.
func (r raw) equal(other raw) bool {
	for i := range r {
		if !maps.Equal(r[i], other[i]) {
			return false
		}
	}
	return true
}

// same says whether the rows differ in nothing but what the switch itself
// writes, and reads only when a port is new.
func (r raw) same(other raw) bool {
	for i := range r {
		if len(r[i]) != len(other[i]) {
			return false
		}
		for uuid, row := range r[i] {
			if was, ok := other[i][uuid]; !ok || row != was && !sameRow(row, was) {
				return false
			}
		}
	}
	return true
}

func sameRow(row, was libmodel.Model) bool {
	switch row := row.(type) {
	case *vswitch.Interface:
		a, b := *row, *was.(*vswitch.Interface)
		a.Ofport, b.Ofport = nil, nil
		return reflect.DeepEqual(a, b)
	case *vswitch.Port:
		a, b := *row, *was.(*vswitch.Port)
		a.BondActiveSlave, b.BondActiveSlave = nil, nil
		return reflect.DeepEqual(a, b)
	}
	return false
}

func (r raw) snapshot() *Snapshot {
	s := &Snapshot{
		Bridges:    rows[*vswitch.Bridge](r[1]),
		Ports:      rows[*vswitch.Port](r[2]),
		Interfaces: rows[*vswitch.Interface](r[3]),
		NetFlows:   rows[*vswitch.NetFlow](r[4]),
		Mirrors:    rows[*vswitch.Mirror](r[5]),
		SFlows:     rows[*vswitch.SFlow](r[6]),
		IPFIXs:     rows[*vswitch.IPFIX](r[7]),
		Collectors: rows[*vswitch.FlowSampleCollectorSet](r[8]),
		QoS:        rows[*vswitch.QoS](r[9]),
		Queues:     rows[*vswitch.Queue](r[10]),
		Attaches:   rows[*vswitch.AutoAttach](r[11]),
	}
	for _, row := range r[0] {
		s.Root = row.(*vswitch.OpenvSwitch)
	}
	return s
}

func rows[T any](from map[string]libmodel.Model) map[string]T {
	to := make(map[string]T, len(from))
	for uuid, row := range from {
		to[uuid] = row.(T)
	}
	return to
}
