package brcompatd

import (
	"bufio"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Native bridges work beside ours, and show beside them under hide.
func TestNativeBeside(t *testing.T) {
	w := newWorld(t)
	w.veth("v0", "v1")
	w.ok(w.brctl("hide", "addbr", "ours0"))
	w.ip("link", "add", "native0", "type", "bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "native0").Run() })
	w.ok(w.brctl("hide", "addif", "native0", "v0"))
	w.ok(w.brctl("hide", "setageing", "native0", "42"))
	want := "bridge name\tbridge id\t\tSTP enabled\tinterfaces\n" +
		"native0\t\t8000.MMMMMMMMMMMM\tno\t\tv0\n" +
		"ours0\t\t8000.MMMMMMMMMMMM\tno\t\t\n"
	w.same("show", mask(w.ok(w.brctl("hide", "show"))), want)
	if _, err := os.Stat("/sys/class/net/native0/brif/v0"); err != nil {
		t.Errorf("the kernel's bridge has no port: %v", err)
	}
	if r := w.brctl("hide", "addif", "ours0", "v0"); !strings.Contains(r.err, "already a member") {
		t.Errorf("a port of the kernel's bridge: %s", r)
	}
	w.ok(w.brctl("hide", "delbr", "native0"))
	if _, err := os.Stat("/sys/class/net/native0"); err == nil {
		t.Error("the kernel's bridge is still there")
	}
}

// A port that brctl added goes with its device, and one that is made again and
// added again stays. One that ovs-vsctl added stays.
func TestPrune(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.veth("v0", "v1")
	w.veth("w0", "w1")
	w.ok(w.brctl("none", "addif", "b0", "v0"))
	w.vsctl("add-port", "b0", "w0")
	w.same("ports", w.vsctl("list-ports", "b0"), "v0\nw0\n")
	w.ip("link", "del", "w0")
	w.ip("link", "del", "v0")
	w.wait("v0 to go", func() bool { return w.vsctl("list-ports", "b0") == "w0\n" })

	for range 5 {
		// Each program is as quick on the other's heels as can be.
		w.veth("v0", "v1")
		w.ok(w.brctl("none", "addif", "b0", "v0"))
		w.ip("link", "del", "v0")
		w.veth("v0", "v1")
		w.ok(w.brctl("none", "addif", "b0", "v0"))
		w.same("ports", w.vsctl("list-ports", "b0"), "v0\nw0\n")
		w.ok(w.brctl("none", "delif", "b0", "v0"))
		w.ip("link", "del", "v0")
	}
}

func TestCallers(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	caller := w.caller(runtime.GOARCH)
	call := func(what, bridge string) string {
		t.Helper()
		return w.ok(w.launch("none", caller, what, bridge))
	}

	w.same("without CAP_NET_ADMIN", call("unprivileged", "b0"),
		"list: 1\nadd: operation not permitted\nold add: operation not permitted\n"+
			"delete: operation not permitted\nset: operation not permitted\n")
	w.same("bridges", w.vsctl("list-br"), "b0\n")

	// In another network namespace the kernel's own bridges are at work.
	w.same("elsewhere", call("elsewhere", "far0"), "add: 0\nlist: 1\n")
	w.same("bridges", w.vsctl("list-br"), "b0\n")

	want, err := os.ReadFile("testdata/pointers.txt")
	got := call("pointers", "b0")
	if *rewrite {
		err = os.WriteFile("testdata/pointers.txt", []byte(got), 0o666)
		want = []byte(got)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.same("bad pointers", got, string(want))

	w.same("many threads", call("threads", "b0"), "bad: 0\n")

	// A session ends a moment after its program.
	var show string
	w.wait("the end of the sessions", func() bool {
		show = w.must(w.tool("ovs-appctl"), "-t", "ovs-brcompatd", "brcompat/show")
		return strings.Contains(show, "sessions: 0 now")
	})
	for _, part := range []string{"(connected)", "refused 4,", w.run + "/brcompat.sock", ", 5 in all"} {
		if !strings.Contains(show, part) {
			t.Errorf("brcompat/show does not say %q:\n%s", part, show)
		}
	}
}

// A 64-bit and a 32-bit program get the same answers.
func TestEverything(t *testing.T) {
	w := newWorld(t)
	w.veth("v0", "v1")
	goarches := []string{runtime.GOARCH}
	if runtime.GOARCH == "amd64" {
		goarches = append(goarches, "386")
	}
	for _, goarch := range goarches {
		caller := w.caller(goarch)
		if r := w.exec(nil, caller, "none", "b0"); r.status != 0 {
			t.Skipf("this kernel runs no programs for %s: %s", goarch, r)
		}
		got := w.ok(w.launch("none", caller, "everything", "b0", "v0"))
		want, err := os.ReadFile("testdata/everything.txt")
		if *rewrite && goarch == runtime.GOARCH {
			err = os.WriteFile("testdata/everything.txt", []byte(got), 0o666)
			want = []byte(got)
		}
		if err != nil {
			t.Fatal(err)
		}
		w.same(goarch, got, string(want))
		w.same("bridges", w.vsctl("list-br"), "")
		if _, err := os.Stat("/sys/class/net/b0"); err == nil {
			t.Errorf("%s made a bridge of the kernel's", goarch)
		}
	}
}

// Callers get ENOSYS when the daemon dies, at once.
func TestDaemonDies(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	next := w.follow(w.caller(runtime.GOARCH), "again", "b0")
	w.same("first line", next(), "begin")
	pid := w.pid()
	unix.Kill(pid, unix.SIGKILL)
	w.same("after the daemon's death", next(), "function not implemented")
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	w.wait("the end of its socket", func() bool { // the kernel takes it down a moment later
		c, err := net.Dial("unix", w.run+"/brcompat.sock")
		if err == nil {
			c.Close()
		}
		return errors.Is(err, unix.ECONNREFUSED)
	})

	r := w.brctl("none", "show")
	w.same("no daemon", r.err, "brcompat: ovs-brcompatd is not running (nothing listens on "+w.run+"/brcompat.sock)\n")
	if r.status != 125 {
		t.Errorf("exit status %d", r.status)
	}
	// The next daemon takes over the socket and the pid file.
	w.startDaemon()
	w.same("show", mask(w.ok(w.brctl("none", "show", "b0"))),
		"bridge name\tbridge id\t\tSTP enabled\tinterfaces\nb0\t\t8000.MMMMMMMMMMMM\tno\t\t\n")
}

// A caller that waits is not disturbed by signals: its change is made once.
func TestSignals(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.vswitd.Process.Signal(unix.SIGSTOP)
	next := w.follow(w.caller(runtime.GOARCH), "signals", "b1")
	w.same("first line", next(), "begin")
	w.wait("the bridge in the database", func() bool { return w.vsctl("--no-wait", "list-br") == "b0\nb1\n" })
	w.same("while it waits", next(), "a dozen signals")
	w.vswitd.Process.Signal(unix.SIGCONT)
	w.same("in spite of signals", next(), "add: 0")
	show := w.must(w.tool("ovs-appctl"), "-t", "ovs-brcompatd", "brcompat/show")
	if !strings.Contains(show, "calls: answered 2, passed to the kernel 0, refused 0, errors 0") {
		t.Error(show)
	}
}

// A daemon that is told to end while a bridge is made takes it back.
func TestStop(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.vswitd.Process.Signal(unix.SIGSTOP)
	defer w.vswitd.Process.Signal(unix.SIGCONT)
	next := w.follow(w.tool("brctl"), "addbr", "b1")
	bridges := func() string { return w.vsctl("--no-wait", "list-br") }
	w.wait("the bridge in the database", func() bool { return bridges() == "b0\nb1\n" })
	pid := w.pid()
	unix.Kill(pid, unix.SIGTERM)
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	w.same("brctl's output", next(), "")
	w.same("bridges", bridges(), "b0\n")
}

// follow starts a program under the launcher, and returns a function that
// waits for its next line.
func (w *world) follow(argv ...string) func() string {
	w.t.Helper()
	cmd := exec.Command(w.brcompat(), append([]string{"exec", "--sysfs=none", "--"}, argv...)...)
	cmd.Env = w.env
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
	w.t.Cleanup(func() {
		timer.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(out)
	return func() string {
		lines.Scan()
		return lines.Text()
	}
}

func TestLauncher(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))

	r := w.brctl("bogus", "show")
	w.same("bogus", r.err, "brcompat: --sysfs=bogus: expected auto, none, hide or fuse\n")
	if r = w.launch("none", "/no/such/program"); r.status != 127 {
		t.Errorf("no such program: %s", r)
	}
	if r = w.launch("none", "sh", "-c", "exit 7"); r.status != 7 {
		t.Errorf("the program's exit status: %s", r)
	}

	// A whole script, with a launcher within.
	nested := `set -e
` + w.tool("brctl") + ` addbr b1
exec ` + w.brcompat() + ` exec -- ` + w.tool("brctl") + ` show`
	w.same("nested", mask(w.ok(w.launch("none", "sh", "-c", nested))),
		"bridge name\tbridge id\t\tSTP enabled\tinterfaces\nb0\t\t8000.MMMMMMMMMMMM\tno\t\t\nb1\t\t8000.MMMMMMMMMMMM\tno\t\t\n")

	// hide hides for the program only; auto is hide for brctl.
	w.same("hide", w.ok(w.launch("hide", "ls", "/sys/class/net")), "")
	if w.ok(w.launch("auto", "ls", "/sys/class/net")) == "" {
		t.Error("auto hides devices from ls")
	}
	if w.must("ls", "/sys/class/net") == "" {
		t.Error("the devices are hidden from us")
	}
	w.ip("link", "add", "native0", "type", "bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "native0").Run() })
	if out := w.ok(w.brctl("auto", "show")); !strings.Contains(out, "b0") || !strings.Contains(out, "native0") {
		t.Errorf("auto does not show both bridges:\n%s", out)
	}
}

// Under the name brctl the launcher is brctl.
func TestWrapper(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	if err := os.Symlink(w.brcompat(), dir+"/brctl"); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + dir + ":" + w.bin + ":" + os.Getenv("PATH")}
	w.ok(w.exec(env, dir+"/brctl", "addbr", "b0"))
	w.same("bridges", w.vsctl("list-br"), "b0\n")
	if out := w.ok(w.exec(env, dir+"/brctl", "show")); !strings.Contains(out, "b0") {
		t.Errorf("show: %s", out)
	}
	if r := w.exec(env, dir+"/brctl", "delbr", "nix"); r.err != "bridge nix doesn't exist; can't delete it\n" || r.status != 1 {
		t.Errorf("delbr nix: %s", r)
	}
	// Another name for the same file is not taken for the real one.
	lone := []string{"PATH=" + dir}
	if _, err := os.Stat("/usr/sbin/brctl"); err != nil {
		if r := w.exec(lone, dir+"/brctl", "show"); r.status != 127 {
			t.Errorf("no real brctl: %s", r)
		}
	}
	// Without the daemon it works on the kernel's bridges.
	pid := w.pid()
	unix.Kill(pid, unix.SIGTERM)
	w.wait("the daemon's end", func() bool { _, err := os.Stat(w.run + "/brcompat.sock"); return err != nil })
	w.ok(w.exec(env, dir+"/brctl", "addbr", "native0"))
	if _, err := os.Stat("/sys/class/net/native0/bridge"); err != nil {
		t.Errorf("no kernel bridge: %v", err)
	}
	w.ok(w.exec(env, dir+"/brctl", "delbr", "native0"))
}

// The daemon survives the database and the switch.
func TestRestarts(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.ovsdb.Process.Kill()
	w.ovsdb.Wait()
	os.Remove(filepath.Join(w.run, "db.sock"))
	w.startDB()
	// Whatever is asked waits for the connection to come back.
	w.same("show", mask(w.ok(w.brctl("none", "show", "b0"))),
		"bridge name\tbridge id\t\tSTP enabled\tinterfaces\nb0\t\t8000.MMMMMMMMMMMM\tno\t\t\n")
	w.ok(w.brctl("none", "addbr", "b1"))
	w.vswitd.Process.Kill()
	w.vswitd.Wait()
	w.startSwitch()
	w.ok(w.brctl("none", "addbr", "b2"))
	w.same("bridges", w.vsctl("list-br"), "b0\nb1\nb2\n")
}
