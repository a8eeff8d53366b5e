package vsctl

import (
	"govs/ovsdb/data"
	"govs/schema/atom"
)

// cleared are the columns that emer-reset gives their default values, in all rows.
func cleared() map[string][]string {
	return map[string][]string{
		"Open_vSwitch": {"manager_options", "ssl"},
		"Bridge":       {"controller", "fail_mode", "mirrors", "netflow", "sflow", "ipfix", "other_config"},
		"Port":         {"other_config"},
		"Interface":    {"ingress_policing_rate", "ingress_policing_burst"},
		"Controller":   nil,
		"Manager":      nil,
		"Mirror":       nil,
		"NetFlow":      nil,
		"sFlow":        nil,
		"IPFIX":        nil,
		"SSL":          nil,
	}
}

func needEmerReset(f *fetch, _ *command) error {
	for table, columns := range cleared() {
		f.need(table, columns...)
	}
	return nil
}

// runEmerReset takes everything away but bridges, ports and interfaces.
func runEmerReset(r *run, _ *command) error {
	for table, columns := range cleared() {
		for _, x := range r.list(table) {
			if columns == nil {
				r.remove(x)
			}
			for _, name := range columns {
				col := x.t.Column(name)
				if col == nil {
					continue
				}
				d := data.Default(&col.Type)
				if table == "Bridge" && name == "other_config" {
					if v, ok := x.get(col).Get(atom.Str("hwaddr")); ok {
						d = pair("hwaddr", v.Str())
					}
				}
				r.set(x, name, d)
			}
		}
	}
	return nil
}
