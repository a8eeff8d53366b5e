package clients_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"govs/internal/debs"
)

// TestOVN has Debian's OVN work on our server, with both databases in one
// server and in two: its southbound contents are those that the same commands
// give on the C server.
func TestOVN(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, func(t *testing.T, c bool) string { return ovn(t, c, false) })
	sameLines(t, "the southbound database", ours, theirs)
	if n := strings.Count(ours, "Port_Binding:"); n < 102 {
		t.Errorf("%d port bindings", n)
	}
	if n := strings.Count(ours, "Logical_Flow:"); n < 500 {
		t.Errorf("%d logical flows", n)
	}
	t.Run("two servers", func(t *testing.T) {
		sameLines(t, "the southbound database", ovn(t, false, true), theirs)
	})
}

// ovn runs OVN on servers, C's or ours, and returns the southbound contents.
func ovn(t *testing.T, c, apart bool) string {
	schema := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(debs.Root(t), "usr/share/ovn", name))
		if err != nil {
			t.Skipf("OVN's schemas are not at hand: %v", err)
		}
		return b
	}
	var nb, sb *running
	if apart {
		nb, sb = serve(t, c, schema("ovn-nb.ovsschema")), serve(t, c, schema("ovn-sb.ovsschema"))
	} else {
		nb = serve(t, c, schema("ovn-nb.ovsschema"), schema("ovn-sb.ovsschema"))
		sb = nb
	}
	nbctl := func(args ...string) string {
		t.Helper()
		return nb.run(t, "ovn-nbctl", append([]string{"--db=" + nb.target(), "--timeout=60"}, args...)...)
	}
	sbctl := func(args ...string) string {
		t.Helper()
		return sb.run(t, "ovn-sbctl", append([]string{"--db=" + sb.target(), "--timeout=60"}, args...)...)
	}
	// What northd would choose at random is chosen here.
	nbctl("init", "--", "set", "nb_global", ".", `options:mac_prefix="0a:00:01"`, `options:svc_monitor_mac="0a:00:01:00:00:01"`)
	sbctl("init")

	northd := exec.Command(debs.Bin(t, "ovn-northd"), "--ovnnb-db="+nb.target(), "--ovnsb-db="+sb.target(),
		"--unixctl="+nb.dir+"/northd", "-vsyslog:off", "-vconsole:warn")
	northd.Env, northd.Dir = append(debs.Env(nb.dir), "OVN_RUNDIR="+nb.dir), nb.dir
	var log strings.Builder
	northd.Stderr = &log
	if err := northd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = northd.Process.Kill()
		_ = northd.Wait()
		if t.Failed() {
			t.Logf("northd: %s", log.String())
		}
	})

	// A switch of 100 ports, and one that goes again. The keys are given, as northd's own order is that of
	// its hashes.
	args := []string{"ls-add", "sw0", "--", "set", "logical_switch", "sw0", "other_config:requested-tnl-key=1", "other_config:subnet=10.0.0.0/24"}
	for i := range 101 {
		p := fmt.Sprintf("sw0-p%d", i)
		args = append(args, "--", "lsp-add", "sw0", p,
			"--", "lsp-set-addresses", p, fmt.Sprintf("0a:00:00:00:01:%02x 10.0.0.%d", i, i+10),
			"--", "lsp-set-port-security", p, fmt.Sprintf("0a:00:00:00:01:%02x 10.0.0.%d", i, i+10),
			"--", "lsp-set-options", p, fmt.Sprintf("requested-tnl-key=%d", i+1))
	}
	nbctl(append([]string{"--wait=sb"}, args...)...)
	nbctl("--wait=sb", "acl-add", "sw0", "to-lport", "1002", `outport == "sw0-p1" && ip4 && tcp.dst == 80`, "allow-related",
		"--", "acl-add", "sw0", "to-lport", "1001", `outport == "sw0-p1" && ip`, "drop",
		"--", "--log", "--severity=warning", "--name=watched", "acl-add", "sw0", "from-lport", "900", "ip6", "reject",
		"--", "pg-add", "pg0", "sw0-p3", "sw0-p4", "--", "acl-add", "pg0", "to-lport", "1000", "outport == @pg0 && ip4.src == $as0", "allow",
		"--", "create", "address_set", "name=as0", `addresses="10.0.0.1","10.0.0.2"`)
	nbctl("--wait=sb", "lr-add", "lr0", "--", "set", "logical_router", "lr0", "options:requested-tnl-key=2",
		"--", "lrp-add", "lr0", "lr0-sw0", "0a:00:00:00:02:01", "10.0.0.1/24",
		"--", "set", "logical_router_port", "lr0-sw0", "options:requested-tnl-key=1",
		"--", "lsp-add", "sw0", "sw0-lr0", "--", "lsp-set-type", "sw0-lr0", "router", "--", "lsp-set-addresses", "sw0-lr0", "router",
		"--", "lsp-set-options", "sw0-lr0", "router-port=lr0-sw0", "requested-tnl-key=200",
		"--", "lr-route-add", "lr0", "192.168.0.0/16", "10.0.0.254", "--", "lr-nat-add", "lr0", "snat", "172.16.0.1", "10.0.0.0/24",
		"--", "lb-add", "lb0", "10.0.0.200:80", "10.0.0.10:80,10.0.0.11:80", "--", "ls-lb-add", "sw0", "lb0")
	sbctl("chassis-add", "ch0", "geneve", "127.0.0.1", "--", "lsp-bind", "sw0-p0", "ch0", "--", "lsp-bind", "sw0-p1", "ch0")
	nbctl("--wait=sb", "lsp-del", "sw0-p100", "--", "acl-del", "sw0", "to-lport", "1001", `outport == "sw0-p1" && ip`, "--", "lsp-set-addresses", "sw0-p2", "dynamic")
	nbctl("--wait=sb", "sync")

	if got := nbctl("lsp-get-up", "sw0-p0"); got != "up\n" {
		t.Errorf("a bound port is %q", got)
	}
	if got := sbctl("--bare", "--columns=logical_port", "find", "port_binding", "tunnel_key=200"); got != "sw0-lr0\n" {
		t.Errorf("port 200 is %q", got)
	}
	g := newGraph()
	g.add(t, nb.target(), "OVN_Northbound")
	g.add(t, sb.target(), "OVN_Southbound")
	for _, row := range g.rows {
		delete(row, "nb_cfg_timestamp")
		delete(row, "sb_cfg_timestamp")
		delete(row, "connections")
	}
	return g.text("OVN_Southbound")
}
