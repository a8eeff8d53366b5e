package daemon_test

import (
	"strings"
	"testing"

	"govs/vswitchd/daemon"
)

// Ports of type afxdp, with each other and with one of a packet socket: TCP at
// default offloads, VLANs, what the database says of them, and what is wrong
// with their options.
func TestAFXDP(t *testing.T) {
	n := newNetwork(t, 3)
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	l.start(daemon.Options{})
	out := l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "set", "Interface", "v1", "type=afxdp",
		"--", "add-port", "br0", "v2", "--", "set", "Interface", "v2", "type=afxdp", "options:xdp-mode=native", "options:use-need-wakeup=false",
		"--", "add-port", "br0", "v3")
	if strings.Contains(out, "ot supported") {
		t.Skipf("needs AF_XDP: %s", out)
	}
	if out != "" {
		t.Fatal(out)
	}
	for _, way := range []struct{ from, to int }{{1, 2}, {1, 3}, {3, 2}} {
		addr := "10.9.0." + string(rune('0'+way.to))
		if !n.reaches(way.from, addr) {
			t.Fatalf("host %d does not reach host %d; %s %s", way.from, way.to, l.appctl("dpctl/dump-flows"), l.appctl("drops/show"))
		}
		if err := n.transfer(way.from, way.to, 8<<20); err != nil {
			t.Errorf("TCP from host %d to host %d: %v", way.from, way.to, err)
		}
	}
	if got := l.vsctl("get", "Interface", "v1", "status:xdp-mode", "status:use-need-wakeup", "status:driver_name", "mtu", "link_state"); got != "native\n\"true\"\nveth\n1500\nup\n" {
		t.Errorf("v1: %s", got)
	}
	if got := l.vsctl("get", "Interface", "v2", "status:use-need-wakeup"); got != "\"false\"\n" {
		t.Errorf("v2: %s", got)
	}
	if got := l.vsctl("get", "Interface", "v1", "statistics"); !strings.Contains(got, "xsk_queue_0_rx_dropped=") {
		t.Errorf("statistics of v1: %s", got)
	}

	l.vsctl("set", "Port", "v1", "tag=10")
	l.appctl("revalidator/wait")
	if n.reaches(1, "10.9.0.2") {
		t.Error("hosts in different VLANs hear each other")
	}
	l.vsctl("set", "Port", "v2", "tag=10", "--", "set", "Interface", "v2", "options:xdp-mode=generic")
	l.appctl("revalidator/wait")
	if got := l.vsctl("get", "Interface", "v2", "status:xdp-mode"); got != "generic\n" {
		t.Errorf("v2: %s", got)
	}
	if !n.reaches(1, "10.9.0.2") {
		t.Error("hosts in the same VLAN do not hear each other in the mode generic")
	}
	for _, options := range []string{"options:xdp-mode=quick", "options:n_rxq=1000"} {
		l.vsctl("clear", "Interface", "v2", "options", "--", "set", "Interface", "v2", options)
		if got := l.vsctl("get", "Interface", "v2", "error"); got != "\"v2: could not set configuration (Invalid argument)\"\n" {
			t.Errorf("%s: %s", options, got)
		}
	}
	l.vsctl("clear", "Interface", "v2", "options")
	if !n.reaches(1, "10.9.0.2") {
		t.Error("hosts do not hear each other after the error")
	}

	show := func() string { return l.vsctl("get", "Interface", "v1", "error", "link_state") }
	n.ip("-n", n.at, "link", "del", "v1")
	l.eventually("v1 without its device", "\"could not open network device v1 (No such device)\"\n[]", show)
	n.plug(1)
	l.eventually("v1 with its device back", "[]\nup", show)
	if !n.reaches(1, "10.9.0.2") {
		t.Error("host 1 does not reach host 2 over the new cable")
	}
}
