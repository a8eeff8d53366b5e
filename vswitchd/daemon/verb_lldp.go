package daemon

import (
	"maps"
	"slices"

	"govs/vswitchd/lldp"
)

// verbsLLDP adds autoattach/*. As with the C daemon a bridge that is named makes
// no difference.
func (s *Switch) verbsLLDP(r Registrar) {
	for name, show := range map[string]func(*lldp.Agent) string{
		"autoattach/status": (*lldp.Agent).Status, "autoattach/show-isid": (*lldp.Agent).ShowISID, "autoattach/statistics": (*lldp.Agent).Statistics,
	} {
		r.Register(name, "[bridge]", 0, 1, s.serving(func([]string) (string, error) {
			text := ""
			for _, iface := range slices.Sorted(maps.Keys(s.services.lldp)) {
				text += show(s.services.lldp[iface])
			}
			return text, nil
		}))
	}
}
