package multicall_test

import (
	"bytes"
	"strings"
	"testing"

	"govs/tools/govs/multicall"
)

func TestPrograms(t *testing.T) {
	for _, test := range []struct {
		argv []string
		code int
		says string
	}{
		{[]string{"govs"}, multicall.ExitUsage, "usage: govs up"},
		{[]string{"govs", "--help"}, multicall.ExitOK, "ovsdb-server"},
		{[]string{"govs", "--version"}, multicall.ExitOK, "govs"},
		{[]string{"govs", "nonsense"}, multicall.ExitUsage, `unknown program "nonsense"`},
		{[]string{"govs", "ovs-vswitchd", "--version"}, 0, "ovs-vswitchd"},
		{[]string{"/usr/sbin/ovs-vswitchd", "--version"}, 0, "ovs-vswitchd"},
		{[]string{"ovsdb-tool", "--version"}, 0, "ovsdb-tool"},
		{[]string{"govs", "up", "--help"}, 0, "--enable-dummy"},
		{[]string{"govs", "ctl", "--help"}, 0, "--system-id"},
		{[]string{"/usr/share/openvswitch/scripts/ovs-ctl", "version"}, 0, "ovs-vswitchd (Open vSwitch)"},
	} {
		var out bytes.Buffer
		if code := multicall.Main(test.argv, &out, &out); code != test.code || !strings.Contains(out.String(), test.says) {
			t.Errorf("%q: exit status %d, output %s", test.argv, code, out.String())
		}
	}
}
