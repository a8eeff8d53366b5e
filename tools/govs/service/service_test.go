package service_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/schema/vswitch"
	"govs/tools/govs/multicall"
)

// TestMain lets the test's binary be the programs that govs ctl runs.
func TestMain(m *testing.M) {
	if os.Getenv("GOVS_TEST_PROGRAM") != "" {
		os.Exit(multicall.Main(os.Args, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// host is a directory with all that a host keeps.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T) *host {
	h := &host{t, debs.ShortTemp(t)}
	t.Cleanup(func() {
		for _, name := range []string{"ovs-vswitchd", "ovsdb-server"} {
			if pid, err := daemon.ReadPidFile(filepath.Join(h.dir, name+".pid")); err == nil {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	return h
}

func (h *host) run(argv ...string) string {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.Command(self, argv[1:]...)
	cmd.Args[0] = argv[0]
	cmd.Dir, cmd.Env = h.dir, append(debs.Env(h.dir), "GOVS_TEST_PROGRAM=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		fmt.Fprintf(&out, "%v\n", err)
	}
	return out.String()
}

var processIDs = regexp.MustCompile(`(pid |\()[0-9]+`)

// ctl runs govs ctl. The daemons run without what needs root.
func (h *host) ctl(args ...string) string {
	h.t.Helper()
	out := h.run(append([]string{"govs", "ctl", "--no-mlockall", "--ovsdb-server-priority=0", "--ovs-vswitchd-priority=0",
		"--ovs-vswitchd-options=--enable-dummy=override"}, args...)...)
	return strings.ReplaceAll(processIDs.ReplaceAllString(out, "${1}PID"), h.dir, "DIR")
}

func (h *host) expect(want string, args ...string) {
	h.t.Helper()
	if got := h.ctl(args...); got != want {
		h.t.Errorf("govs ctl %s:\n%swant\n%s", strings.Join(args, " "), got, want)
	}
}

func (h *host) vsctl(args ...string) string {
	h.t.Helper()
	return h.run(append([]string{"ovs-vsctl"}, args...)...)
}

// TestLife goes through the commands as service files do; the texts are those
// that ovs-ctl prints.
func TestLife(t *testing.T) {
	h := newHost(t)
	h.expect("ovsdb-server is not running\novs-vswitchd is not running\nexit status 1\n", "status")
	h.expect("ovs-vswitchd is not running.\novsdb-server is not running.\n", "stop")
	h.expect("", "load-kmod")
	h.expect(`DIR/conf.db does not exist ... (warning).
Creating empty database DIR/conf.db.
Starting ovsdb-server.
Configuring Open vSwitch system IDs.
Enabling remote OVSDB managers.
`, "--no-ovs-vswitchd", "start", "--system-id=random", "--external-id=site=a b", "--system-type=box", "--system-version=1")
	h.expect("Starting ovs-vswitchd.\nEnabling remote OVSDB managers.\n", "--no-ovsdb-server", "start")
	h.expect("ovsdb-server is already running.\novs-vswitchd is already running.\nEnabling remote OVSDB managers.\n", "start")
	h.expect("ovsdb-server is running with pid PID\novs-vswitchd is running with pid PID\n", "status")

	id, err := os.ReadFile(filepath.Join(h.dir, "openvswitch/system-id.conf"))
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("{hostname=%s, rundir=\"%s\", site=\"a b\", system-id=\"%s\"}\nbox\n\"1\"\n",
		name, h.dir, strings.TrimSpace(string(id)))
	if got := h.vsctl("get", "Open_vSwitch", ".", "external_ids", "system_type", "system_version"); strings.ReplaceAll(got, `hostname="`+name+`"`, "hostname="+name) != want {
		t.Errorf("the database knows %s, want %s", got, want)
	}
	if out := h.vsctl("add-br", "br0", "--", "add-port", "br0", "stays", "--", "add-port", "br0", "goes", "--",
		"set", "port", "goes", "other_config:transient=true"); out != "" {
		t.Fatal(out)
	}
	h.expect("", "delete-transient-ports")
	const restarted = `Exiting ovsdb-server (PID).
Starting ovsdb-server.
Configuring Open vSwitch system IDs.
Exiting ovs-vswitchd (PID).
Starting ovs-vswitchd.
Enabling remote OVSDB managers.
`
	h.expect(restarted, "restart", "--system-id=random")
	if got := h.vsctl("list-ports", "br0"); got != "stays\n" {
		t.Errorf("after the restart the ports are %s", got)
	}
	h.expect(restarted, "restart", "--system-id=random", "--delete-bridges")
	if got := h.vsctl("list-br"); got != "" {
		t.Errorf("after --delete-bridges there are %s", got)
	}
	h.expect("Exiting ovs-vswitchd (PID).\nExiting ovsdb-server (PID).\n", "stop")
	left, err := filepath.Glob(filepath.Join(h.dir, "*.[pcs][ito][dlc]*"))
	if err != nil || len(left) != 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

// TestConversion starts on a database with an older schema.
func TestConversion(t *testing.T) {
	h := newHost(t)
	old := bytes.Replace(vswitch.JSON(), []byte(`"`+vswitch.Schema().Version+`"`), []byte(`"8.0.0"`), 1)
	if err := os.WriteFile(filepath.Join(h.dir, "old.ovsschema"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	if out := h.run("ovsdb-tool", "create", "conf.db", "old.ovsschema"); out != "" {
		t.Fatal(out)
	}
	out := h.ctl("start", "--system-id=abc", "--no-ovs-vswitchd")
	if !regexp.MustCompile(`^Backing up database to DIR/conf.db.backup8.0.0-[0-9]+-[0-9]+.
Converting database schema.
Starting ovsdb-server.
`).MatchString(out) {
		t.Error(out)
	}
	if got := h.run("ovsdb-client", "get-schema-version"); got != vswitch.Schema().Version+"\n" {
		t.Errorf("the schema's version is %s", got)
	}
	if got := h.vsctl("get", "Open_vSwitch", ".", "external_ids:system-id"); got != "abc\n" {
		t.Errorf("the system's id is %s", got)
	}
	backups, err := filepath.Glob(filepath.Join(h.dir, "conf.db.backup*"))
	if err != nil || len(backups) != 1 {
		t.Fatalf("backups: %v, %v", backups, err)
	}
	if got := h.run("ovsdb-tool", "db-version", backups[0]); got != "8.0.0\n" {
		t.Errorf("the backup's version is %s", got)
	}
}

// TestMistakes tells what is wrong with a command line or a start.
func TestMistakes(t *testing.T) {
	h := newHost(t)
	h.expect("govs ctl: unknown command \"bogus\" (use --help for help)\nexit status 1\n", "bogus")
	h.expect("govs ctl: missing command name (use --help for help)\nexit status 1\n")
	h.expect("govs ctl: exactly one non-option argument required (use --help for help)\nexit status 1\n", "start", "stop")
	h.expect("govs ctl: unknown option \"--bogus=1\" (use --help for help)\novsdb-server is not running\nexit status 1\n", "--bogus=1", "--no-ovs-vswitchd", "status")
	if err := os.WriteFile(filepath.Join(h.dir, "conf.db"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := h.ctl("start"); !strings.HasSuffix(out, "govs ctl: ovsdb-tool failed (exit status 1)\nexit status 1\n") || strings.Contains(out, "Starting") {
		t.Error(out)
	}
}
