package desired_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"govs/internal/debs"
	"govs/vswitchd/desired"
	"govs/vswitchd/model/modeltest"
)

// others are keys that ovs-vswitchd does not read, with who does.
var others = map[string]string{
	"Bridge.external_ids:bridge-id":               "integration of Citrix XenServer",
	"Interface.external_ids:attached-mac":         "integrators",
	"Interface.external_ids:iface-id":             "integrators",
	"Interface.external_ids:iface-status":         "integrators",
	"Interface.external_ids:vm-id":                "integrators",
	"Port.external_ids:fake-bridge-*":             "ovs-vsctl",
	"Open_vSwitch.external_ids:hostname":          "ovs-ctl sets it, integrators read it",
	"Open_vSwitch.external_ids:rundir":            "ovs-ctl sets it, integrators read it",
	"Open_vSwitch.external_ids:system-id":         "ovs-ctl sets it, integrators read it",
	"Port.other_config:transient":                 "ovs-ctl --delete-transient-ports",
	"Open_vSwitch.other_config:flow-restore-wait": "ovs-ctl sets it while it restores flows of OpenFlow: there are none",
	"Interface.options:n_rxq":                     "datapath/port/afxdp",
	"Interface.options:xdp-mode":                  "datapath/port/afxdp",
	"Interface.options:use-need-wakeup":           "datapath/port/afxdp",
	"Interface.options:payload_type":              "bareudp, a type that is refused as a whole",
	"Interface.options:psk":                       "tunnels warn of it: desired/testdata/tunnels.txt",
	"Interface.options:remote_cert":               "as psk",
	"QoS.other_config:eir":                        "trtcm-policer is refused as a whole",
	"QoS.other_config:ebs":                        "trtcm-policer is refused as a whole",
	"Interface.options:remote_name":               "as psk",
}

// samples are values that keys can have, where "7" is none or what holds
// without them.
var samples = map[string]string{
	"stats-update-interval": "7000", "max-idle": "700", "enable-statistics": "true", "flow-limit": "70",
	"hwaddr": "02:00:00:00:00:07", "datapath-id": "0000000000000007", "forward-bpdu": "true", "mac-aging-time": "70", "mac-table-size": "70",
	"stp-system-id": "02:00:00:00:00:07", "rstp-address": "02:00:00:00:00:07", "rstp-priority": "4096", "rstp-force-protocol-version": "0",
	"rstp-ageing-time": "70", "mcast-snooping-aging-time": "70", "mcast-snooping-table-size": "70", "mcast-snooping-disable-flood-unregistered": "true",
	"mcast-snooping-flood": "true", "mcast-snooping-flood-reports": "true", "qinq-ethtype": "802.1q", "priority-tags": "always",
	"lb-output-action": "true", "bond-primary": "e2", "all-members-active": "true", "bond-detect-mode": "miimon", "bond-miimon-interval": "70",
	"lacp-system-id": "02:00:00:00:00:07", "lacp-time": "fast", "lacp-fallback-ab": "true", "bond-rebalance-interval": "7000",
	"stp-enable": "false", "rstp-enable": "false", "rstp-port-priority": "16", "stp-port-priority": "16", "rstp-port-admin-edge": "true", "rstp-port-auto-edge": "false", "rstp-port-mcheck": "true",
	"remote_ip": "192.0.2.7", "local_ip": "192.0.2.7", "df_default": "false", "packet_type": "legacy_l3", "exts": "gbp", "seq": "true", "csum": "true", "erspan_ver": "2", "erspan_dir": "1", "peer": "other",
	"enable": "true", "forwarding_if_rx": "true", "cpath_down": "true", "check_tnl_key": "true", "oam": "true", "min_rx": "700", "min_tx": "700",
	"bfd_local_src_mac": "02:00:00:00:00:07", "bfd_local_dst_mac": "02:00:00:00:00:07", "bfd_remote_dst_mac": "02:00:00:00:00:07", "bfd_src_ip": "192.0.2.7", "bfd_dst_ip": "192.0.2.7",
	"cfm_extended": "true", "cfm_demand": "true", "cfm_opstate": "down", "cfm_interval": "100",
	"use-need-wakeup": "false", "enable-input-sampling": "false", "enable-output-sampling": "false", "enable-tunnel-sampling": "false", "tx-flow-ctrl": "true", "rx-flow-ctrl": "true", "flow-ctrl-autoneg": "true", "dpdk-lsc-interrupt": "true",
	"smc-enable": "true", "pmd-auto-lb": "true", "userspace-tso-enable": "false", "disable-in-band": "false",
}

// scene is what there is before the key is set, and where it is set.
func scene(table, column, key string) (lines []string, row string) {
	bridge := "bridge br0"
	switch {
	case strings.HasPrefix(key, "stp-"):
		bridge += " stp_enable=true"
	case strings.HasPrefix(key, "rstp-"):
		bridge += " rstp_enable=true"
	case strings.HasPrefix(key, "mcast-"):
		bridge += " mcast_snooping_enable=true"
	}
	kind := "vxlan options:remote_ip=192.0.2.1"
	switch {
	case strings.HasPrefix(key, "erspan_"):
		kind = "erspan options:remote_ip=192.0.2.1 options:erspan_ver=1"
	case key == "seq":
		kind = "gre options:remote_ip=192.0.2.1"
	case key == "peer":
		kind = "patch options:peer=one"
	case column == "options" && !desired.TunnelOption(key):
		kind = "system"
	case key == "erspan_dir", key == "erspan_hwid":
		kind = "erspan options:remote_ip=192.0.2.1 options:erspan_ver=2"
	}
	qos := map[string]string{
		"cir": "egress-policer", "cbs": "egress-policer", "eir": "trtcm-policer", "ebs": "trtcm-policer", "perturb": "linux-sfq",
		"quantum": "linux-sfq", "latency": "linux-netem", "limit": "linux-netem", "loss": "linux-netem",
	}[key]
	if qos == "" {
		qos = "linux-htb"
	}
	lines = []string{bridge}
	switch table {
	case "Open_vSwitch":
		return lines, "open"
	case "Bridge":
		return lines, "bridge br0"
	case "Port":
		if key == "qinq-ethtype" {
			return append(lines, "port br0 p vlan_mode=dot1q-tunnel tag=5"), "port br0 p"
		}
		if strings.Contains(key, "stp-") {
			return append(lines, "port br0 p"), "port br0 p"
		}
		bond := "bond br0 p e1 e2 bond_mode=balance-tcp lacp=active"
		if key == "bond-primary" {
			bond = "bond br0 p e1 e2 bond_mode=active-backup lacp=active"
		}
		if strings.HasPrefix(key, "bond-miimon") {
			bond += " other_config:bond-detect-mode=miimon"
		}
		return append(lines, bond), "bond br0 p e1 e2"
	case "Interface":
		switch {
		case strings.HasPrefix(key, "lacp-"):
			lines = append(lines, "bond br0 p e1 e2 lacp=active")
			return lines, "iface e1"
		case column == "options":
			return append(lines, "port br0 p", "iface p type="+kind), "iface p"
		case column == "bfd" && key != "enable":
			return append(lines, "port br0 p", "iface p bfd:enable=true"), "iface p"
		case strings.HasPrefix(key, "cfm_"):
			return append(lines, "port br0 p", "iface p cfm_mpid=3"), "iface p"
		}
		return append(lines, "port br0 p"), "iface p"
	case "QoS":
		return append(lines, "port br0 p", "qos p type="+qos), "qos p"
	case "Queue":
		return append(lines, "port br0 p", "qos p type=linux-htb"), "queue p 3"
	case "IPFIX":
		return append(lines, "ipfix br0 targets=192.0.2.1:4739"), "ipfix br0 targets=192.0.2.1:4739"
	}
	return nil, ""
}

// TestManual has each key of configuration that ovs-vswitchd.conf.db(5) names
// change what is desired, or be reported as not supported.
func TestManual(t *testing.T) {
	f, err := os.Open(filepath.Join(debs.Root(t), "usr/share/man/man5/ovs-vswitchd.conf.db.5.gz"))
	if err != nil {
		t.Skip("the manual is not at hand: ", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`(?m)^\.SH "(\w+) TABLE"|^\.IP "\\fB(other_config|options|bfd|lldp|external_ids) : (.*?)\\fR`)
	table, keys := "", 0
	for _, m := range pattern.FindAllStringSubmatch(string(text), -1) {
		if m[1] != "" {
			table = m[1]
			continue
		}
		column, key := m[2], strings.ReplaceAll(strings.ReplaceAll(m[3], `\-`, "-"), `\fR`, "")
		name := table + "." + column + ":" + key
		if _, ok := others[name]; ok || table == "Controller" || table == "Manager" { // those are OpenFlow's and ovsdb-server's
			continue
		}
		keys++
		t.Run(name, func(t *testing.T) {
			lines, row := scene(table, column, key)
			if row == "" {
				t.Fatal("table is not in this test")
			}
			value := samples[key]
			if value == "" {
				value = "7"
			}
			with, without := wanted(t, append(lines, row+" "+column+":"+key+"="+value)), wanted(t, append(lines, row+" "+column+":govs=7"))
			if reflect.DeepEqual(with, without) {
				t.Errorf("%s=%s changes nothing and is not reported; problems: %v", key, value, with.Problems)
			}
		})
	}
	if keys < 150 {
		t.Errorf("only %d keys were found in the manual", keys)
	}
}

// wanted is the state that follows from the lines, without the options that
// interfaces' ports read for themselves.
func wanted(t *testing.T, lines []string) *desired.State {
	db := modeltest.New()
	for _, line := range lines {
		if err := db.Do(line); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
	s := desired.From(db.Snapshot(), desired.Options{})
	for _, br := range s.Bridges {
		for _, p := range br.Ports {
			for _, i := range p.Interfaces {
				i.Options = nil
			}
		}
	}
	return s
}
