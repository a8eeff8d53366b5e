package daemon_test

import (
	"os"
	"strings"
	"testing"

	"govs/vswitchd/daemon"
	"govs/vswitchd/desired"
)

// TestDropsShow says that drops/show tells when, where and why, with the
// packet, the megaflow and the configuration that did it, of each port.
func TestDropsShow(t *testing.T) {
	l := newLab(t, here)
	l.start(daemon.Options{Dummy: desired.DummyOverride})
	if out := l.vsctl("add-br", "br0", "--", "add-port", "br0", "p1", "tag=10", "--", "add-port", "br0", "p2"); out != "" {
		t.Fatal(out)
	}
	frame := "eth(src=50:54:00:00:00:05,dst=50:54:00:00:00:07),eth_type(0x8100),vlan(vid=20,pcp=0),encap(eth_type(0x1234))"
	for range 2 {
		if out := l.appctl("netdev-dummy/receive", "p1", frame, "--len", "64"); strings.TrimSpace(out) != "" {
			t.Fatal(out)
		}
	}
	file := l.path("drops.pcap")
	for _, args := range [][]string{{"drops/show"}, {"drops/show", "p1"}, {"drop/show", "--pcap", file, "p1"}} {
		out := l.appctl(args...)
		for _, want := range []string{
			"drop_action_vlan: 2\n", " in:p1 len:64 ", "vlan(vid=20,pcp=0)", "flow: recirc_id(0),in_port(p1)",
			"bridge br0: dropping VLAN 20 tagged packet received on port p1 configured as VLAN 10 access port\n",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: no %q in\n%s", strings.Join(args, " "), want, out)
			}
		}
	}
	if out := l.appctl("drops/show", "p2"); strings.TrimSpace(out) != "" {
		t.Errorf("drops of a port that dropped nothing: %s", out)
	}
	if st, err := os.Stat(file); err != nil || st.Size() != 24+2*(16+64) {
		t.Errorf("file of samples: %v, %v", st, err)
	}
	if out := l.appctl("coverage/read-counter", "drop_action_vlan"); strings.TrimSpace(out) != "2" {
		t.Errorf("coverage counts %s", out)
	}
}
