package vsctl

import (
	"fmt"
	"strings"

	"govs/schema"
)

// names are the tables and columns that a command line may mention: those of the
// server's schema, or, where no server answers, those of the list below, so that
// a misspelt word is reported all the same.
type names struct {
	tables  []string
	columns map[string][]string
	roots   map[string]bool // tables whose rows last without references
}

func namesOf(s *schema.Schema) *names {
	n := &names{columns: make(map[string][]string), roots: make(map[string]bool)}
	for _, t := range s.Tables {
		n.tables = append(n.tables, t.Name)
		n.roots[t.Name] = t.IsRoot
		for _, c := range t.Columns[schema.FirstColumn:] {
			n.columns[t.Name] = append(n.columns[t.Name], c.Name)
		}
	}
	return n
}

func knownNames() *names {
	n := &names{columns: make(map[string][]string), roots: make(map[string]bool)}
	for line := range strings.SplitSeq(strings.TrimSpace(known), "\n") {
		w := strings.Fields(line)
		name, root := strings.CutSuffix(w[0], "*")
		n.tables = append(n.tables, name)
		n.roots[name] = root
		n.columns[name] = w[1:]
	}
	return n
}

// fold makes words equal that differ in case, or in '-' against '_'.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "-", "_") }

// match finds the one word that s is, or abbreviates; otherwise all that it
// abbreviates.
func match(words []string, s string) (word string, candidates []string) {
	s = fold(s)
	for _, w := range words {
		f := fold(w)
		if f == s {
			return w, nil
		}
		if strings.HasPrefix(f, s) {
			candidates = append(candidates, w)
		}
	}
	if len(candidates) == 1 {
		return candidates[0], nil
	}
	return "", candidates
}

func (n *names) table(s string) (string, error) {
	name, more := match(n.tables, s)
	switch {
	case name != "":
		return name, nil
	case more == nil:
		return "", fmt.Errorf("unknown table \"%s\"", s)
	}
	return "", fmt.Errorf("\"%s\" matches multiple table names: %s", s, strings.Join(more, ", "))
}

func (n *names) column(table, s string) (string, error) {
	name, more := match(n.columns[table], s)
	switch {
	case name != "":
		return name, nil
	case more == nil:
		return "", fmt.Errorf("%s does not contain a column whose name matches \"%s\"", table, s)
	}
	return "", fmt.Errorf("%s contains more than one column whose name matches \"%s\": %s", table, s, strings.Join(more, ", "))
}

// known is a line a table: its name, with * where its rows last without
// references, and its columns.
const known = `
AutoAttach mappings system_description system_name
Bridge auto_attach controller datapath_id datapath_type datapath_version external_ids fail_mode flood_vlans flow_tables ipfix mcast_snooping_enable mirrors name netflow other_config ports protocols rstp_enable rstp_status sflow status stp_enable
CT_Timeout_Policy external_ids timeouts
CT_Zone external_ids timeout_policy
Controller connection_mode controller_burst_limit controller_queue_size controller_rate_limit enable_async_messages external_ids inactivity_probe is_connected local_gateway local_ip local_netmask max_backoff other_config role status target type
Datapath capabilities ct_zones datapath_version external_ids
Flow_Sample_Collector_Set* bridge external_ids id ipfix
Flow_Table external_ids flow_limit groups name overflow_policy prefixes
IPFIX cache_active_timeout cache_max_flows external_ids obs_domain_id obs_point_id other_config sampling targets
Interface admin_state bfd bfd_status cfm_fault cfm_fault_status cfm_flap_count cfm_health cfm_mpid cfm_remote_mpids cfm_remote_opstate duplex error external_ids ifindex ingress_policing_burst ingress_policing_kpkts_burst ingress_policing_kpkts_rate ingress_policing_rate lacp_current link_resets link_speed link_state lldp mac mac_in_use mtu mtu_request name ofport ofport_request options other_config statistics status type
Manager connection_mode external_ids inactivity_probe is_connected max_backoff other_config status target
Mirror external_ids name output_port output_vlan select_all select_dst_port select_src_port select_vlan snaplen statistics
NetFlow active_timeout add_id_to_interface engine_id engine_type external_ids targets
Open_vSwitch* bridges cur_cfg datapath_types datapaths db_version dpdk_initialized dpdk_version external_ids iface_types manager_options next_cfg other_config ovs_version ssl statistics system_type system_version
Port bond_active_slave bond_downdelay bond_fake_iface bond_mode bond_updelay cvlans external_ids fake_bridge interfaces lacp mac name other_config protected qos rstp_statistics rstp_status statistics status tag trunks vlan_mode
QoS* external_ids other_config queues type
Queue* dscp external_ids other_config
SSL bootstrap_ca_cert ca_cert certificate external_ids private_key
sFlow agent external_ids header polling sampling targets
`
