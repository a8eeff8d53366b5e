package vsctl

import (
	"os"
	"testing"

	"govs/internal/daemon"
	"govs/internal/debs"
)

// TestPlan asks our switch for plans, which change nothing, and compares them
// with what it then does.
func TestPlan(t *testing.T) {
	dir := ourServer(t)
	if r := runOurs(t, dir, []string{"--no-wait", "init"}); r.Code != 0 {
		t.Fatal(r)
	}
	ask := func(want debs.Result, args ...string) {
		t.Helper()
		if got := runOurs(t, dir, append([]string{"--dry-run", "--plan"}, args...)); got != want {
			t.Errorf("%q: %+v, want %+v", args, got, want)
		}
	}
	ask(debs.Result{Code: 1, Stderr: "ovs-vsctl: --plan needs a running ovs-vswitchd: cannot read pidfile \"" + dir +
		"/ovs-vswitchd.pid\" (No such file or directory)\n"}, "add-br", "br0")

	cmd := self(t, dir, "ovs-vswitchd", "unix:"+dir+"/db.sock", "--enable-dummy=override", "--pidfile")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	debs.Await(t, "our switch", func() bool { _, err := daemon.ControlSocket("ovs-vswitchd"); return err == nil })
	ask(debs.Result{Stdout: `add bridge br0 (system)
add interface br0 to bridge br0 (dummy, trunk)
add interface p1 to bridge br0 (dummy, ofport 7, access 10)
`}, "add-br", "br0", "--", "add-port", "br0", "p1", "tag=10", "--", "set", "interface", "p1", "ofport_request=7")
	ask(debs.Result{}, "list-br") // the bridge was not made, and a query has no plan
	if r := runOurs(t, dir, []string{"add-br", "br0", "--", "add-port", "br0", "p1"}); r.Code != 0 {
		t.Fatal(r)
	}
	ask(debs.Result{Stdout: "br0\nchange bridge br0: port p1 trunk to access 20\n"}, "list-br", "--", "set", "port", "p1", "tag=20")
	ask(debs.Result{Stdout: "remove interface p1 from bridge br0 (not wanted)\nchange bridge br0: no port p1\n"}, "del-port", "p1")
	ask(debs.Result{Code: 1, Stderr: "ovs-vsctl: no bridge named nope\n"}, "add-port", "nope", "p2")
	if r := runOurs(t, dir, []string{"--plan", "del-br", "br0"}); r.Stderr != "ovs-vsctl: --plan goes with --dry-run\n" || r.Code != 1 {
		t.Errorf("%+v", r)
	}
	if r := runOurs(t, dir, []string{"list-ports", "br0"}); r.Stdout != "p1\n" {
		t.Errorf("the ports are %+v", r)
	}
}
