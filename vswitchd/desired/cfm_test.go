package desired_test

import (
	"testing"
)

// TestCFM says what becomes of Interface.cfm_mpid and other_config:cfm_*, where
// the C switch does the same.
func TestCFM(t *testing.T) {
	const refused = "interface p: cfm_mpid 8192 is not in the range 1 to 8191, and other_config:cfm_extended is not true"
	for _, test := range []struct{ row, want, problem string }{
		{"", "none", ""},
		{"cfm_mpid=0", "none", ""},
		{"cfm_mpid=7", "mpid 7 interval 1s", ""},
		{"cfm_mpid=8191 other_config:cfm_interval=100", "mpid 8191 interval 100ms", ""},
		{"cfm_mpid=8192", "none", refused},
		{"cfm_mpid=8192 other_config:cfm_extended=true", "mpid 8192 interval 1s extended", ""},
		{"cfm_mpid=-5 other_config:cfm_extended=true", "mpid 18446744073709551611 interval 1s extended", ""},
		{"cfm_mpid=7 other_config:cfm_interval=0", "mpid 7 interval 1s", ""},
		{"cfm_mpid=7 other_config:cfm_interval=-1", "mpid 7 interval 1s", ""},
		{"cfm_mpid=7 other_config:cfm_interval=4294967296", "mpid 7 interval 1s", ""},
		{"cfm_mpid=7 other_config:cfm_interval=soon", "mpid 7 interval 1s", ""},
		{"cfm_mpid=7 other_config:cfm_demand=true other_config:cfm_opstate=down", "mpid 7 interval 1s demand down", ""},
		{"cfm_mpid=7 other_config:cfm_ccm_vlan=100 other_config:cfm_ccm_pcp=3", "mpid 7 interval 1s vlan 100 pcp 3", ""},
		{"cfm_mpid=7 other_config:cfm_ccm_vlan=4096 other_config:cfm_ccm_pcp=8", "mpid 7 interval 1s", ""},
		{"cfm_mpid=7 other_config:cfm_ccm_vlan=random", "mpid 7 interval 1s vlan random", ""},
	} {
		s := wanted(t, []string{"bridge br0", "port br0 p", "iface p " + test.row})
		var problem string
		for _, p := range s.Problems {
			problem += p.Text
		}
		for _, p := range s.Bridges[0].Ports {
			if p.Name != "p" {
				continue
			}
			if got := p.Interfaces[0].CFM.String(); got != test.want || problem != test.problem {
				t.Errorf("%q: %s, %q; want %s, %q", test.row, got, problem, test.want, test.problem)
			}
		}
	}
}
