package desired

import (
	"maps"
	"slices"

	"govs/schema/vswitch"
)

// unheeded are keys of ovs-vswitchd.conf.db(5) that the switch does not act
// on, by what they would do, with the value that asks for nothing: what the
// switch does anyway. "" stands for none.
var (
	rootUnheeded = map[string]string{
		// threads: Go's runtime has as many as there are processors
		"n-handler-threads": "", "n-revalidator-threads": "", "pmd-cpu-mask": "", "pmd-rxq-assign": "cycles", "pmd-rxq-isolate": "true",
		"pmd-auto-lb": "false", "pmd-auto-lb-rebal-interval": "", "pmd-auto-lb-load-threshold": "", "pmd-auto-lb-improvement-threshold": "",
		"pmd-maxsleep": "0", "pmd-perf-metrics": "false", "tx-flush-interval": "0",
		// caches
		"smc-enable": "false", "emc-insert-inv-prob": "", "max-revalidator": "", "min-revalidate-pps": "",
		// hardware: the flow cache of ours is set by ebpf-offload
		"hw-offload": "false", "n-offload-threads": "", "tc-policy": "", "offload-rebalance": "false", "userspace-tso-enable": "true",
		// DPDK
		"dpdk-init": "false", "dpdk-lcore-mask": "", "dpdk-alloc-mem": "", "dpdk-socket-mem": "", "dpdk-socket-limit": "", "dpdk-hugepage-dir": "", "dpdk-extra": "",
		"vhost-sock-dir": "", "vhost-iommu-support": "false", "vhost-postcopy-support": "false", "per-port-memory": "false", "shared-mempool-config": "",
		// OpenFlow
		"bundle-idle-timeout": "",
		// IPsec
		"private_key": "", "certificate": "", "ca_cert": "", "ipsec_skb_mark": "",
	}
	bridgeUnheeded = map[string]string{ // OpenFlow
		"dp-desc": "", "dp-sn": "", "disable-in-band": "true", "in-band-queue": "", "controller-queue-size": "",
	}
	ifaceUnheeded = map[string]string{
		"pmd-rxq-affinity": "", "emc-enable": "true", "tx-steering": "thread",
	}
	optionsUnheeded = map[string]string{ // of interfaces that are not tunnels
		"dpdk-devargs": "", "vhost-server-path": "", "tx-retries-max": "", "n_rxq_desc": "", "n_txq_desc": "", "dpdk-vf-mac": "",
		"rx-flow-ctrl": "false", "tx-flow-ctrl": "false", "flow-ctrl-autoneg": "false", "dpdk-lsc-interrupt": "false",
	}
)

// unheeded reports keys that ask for what the switch does not do.
func (b *builder) unheeded(table, uuid, name, column string, values, known map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if same, ok := known[key]; ok && (same == "" || values[key] != same) {
			b.problem(table, uuid, "%s%s:%s not supported", name, column, key)
		}
	}
}

// unsupported reports what the bridge asks for and this release does not do.
func (b *builder) unsupported(row *vswitch.Bridge) {
	for _, feature := range []struct {
		asked bool
		what  string
	}{
		{len(row.Controller) > 0, "controllers"}, {len(row.Protocols) > 0, "protocols (of OpenFlow)"}, {len(row.FlowTables) > 0, "flow_tables (of OpenFlow)"},
	} {
		if feature.asked {
			b.problem("Bridge", row.UUID, "bridge %s: %s not supported", row.Name, feature.what)
		}
	}
	b.unheeded("Bridge", row.UUID, "bridge "+row.Name+": ", "other_config", row.OtherConfig, bridgeUnheeded)
}
