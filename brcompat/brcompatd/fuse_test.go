package brcompatd

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// needFUSE skips a test where there is no FUSE.
func needFUSE(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("needs /dev/fuse")
	}
}

// A shell is one that runs under the launcher, and is told what to do line by
// line.
type shell struct {
	w   *world
	in  io.WriteCloser
	out *bufio.Scanner
}

func (w *world) shell(sysfs string) *shell {
	w.t.Helper()
	cmd := exec.Command(w.brcompat(), "exec", "--sysfs="+sysfs, "--", "sh")
	cmd.Env = append(w.env, "PATH="+w.bin+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &shell{w, in, bufio.NewScanner(out)}
}

// run runs a command line and returns what it prints.
func (s *shell) run(line string) string {
	s.w.t.Helper()
	const end = "--end--"
	if _, err := io.WriteString(s.in, "{ "+line+"\n} 2>&1; echo "+end+"\n"); err != nil {
		s.w.t.Fatal(err)
	}
	var b strings.Builder
	for s.out.Scan() {
		l := s.out.Text()
		if rest, ok := strings.CutSuffix(l, end); ok {
			return b.String() + rest
		}
		b.WriteString(l + "\n")
	}
	s.w.t.Fatalf("the shell is gone after %q", line)
	return ""
}

// A script under one launcher sees the bridges below /sys/class/net, as they are
// now, whoever changed them.
func TestView(t *testing.T) {
	needFUSE(t)
	w := newWorld(t)
	w.veth("v0", "v1")
	w.ip("link", "set", "v0", "up")
	w.ip("link", "set", "v1", "up")
	s := w.shell("fuse")
	is := func(line, want string) {
		t.Helper()
		w.same(line, s.run(line), want)
	}
	is("ls /sys/class/net", "lo\nv0\nv1\n")
	is("brctl addbr b0; brctl addif b0 v0", "")
	is("[ -d /sys/class/net/b0 ] && [ -d /sys/class/net/b0/bridge ] && [ -d /sys/class/net/b0/brif/v0 ] && echo yes", "yes\n")
	is("[ -e /sys/class/net/v0/bridge ] || [ -d /sys/class/net/v1/brport ] || [ -d /sys/class/net/nix ] || echo no", "no\n")
	is("ls /sys/class/net", "b0\nlo\nv0\nv1\n")
	is("ls /sys/class/net/b0/brif; readlink /sys/class/net/b0/brif/v0; readlink -f /sys/class/net/b0/brif/v0", "v0\n../../v0/brport\n/sys/class/net/v0/brport\n")
	is("cd /sys/class/net/v0; readlink master brport/bridge; cat brport/port_no brport/state ../v0/mtu; cd /", "../b0\n../../b0\n0x1\n3\n1500\n")
	is("cat /sys/class/net/v0/brport/bridge/bridge/forward_delay", "1500\n")
	is("cat /sys/class/net/b0/bridge/flush; cp /dev/null /sys/class/net/b0/bridge/bridge_id", "cat: /sys/class/net/b0/bridge/flush: Permission denied\n"+
		"cp: cannot create regular file '/sys/class/net/b0/bridge/bridge_id': Permission denied\n")

	// What is written goes into the database.
	is("cd /sys/class/net/b0/bridge; echo 1 >stp_state; echo 1000 >forward_delay; echo 0x1000 >priority; cat stp_state forward_delay priority; echo 1 >flush; cd /", "1\n1000\n4096\n")
	is("echo 77 >/sys/class/net/v0/brport/path_cost; echo 5 >/sys/class/net/v0/brport/priority; cat /sys/class/net/v0/brport/port_id", "0x1401\n")
	w.same("bridge", w.vsctl("get", "Bridge", "b0", "stp_enable", "other_config"), "true\n{stp-forward-delay=\"10\", stp-priority=\"4096\"}\n")
	w.same("port", w.vsctl("get", "Port", "v0", "other_config"), "{stp-path-cost=\"77\", stp-port-priority=\"20\"}\n")
	for line, want := range map[string]string{
		"/bin/echo x >/sys/class/net/b0/bridge/max_age":                                                       "Invalid argument",
		"/bin/echo 99999 >/sys/class/net/b0/bridge/max_age":                                                   "Numerical result out of range",
		"/bin/echo 1 >/sys/class/net/v0/brport/hairpin_mode":                                                  "Operation not supported",
		"setpriv --bounding-set -all --inh-caps -all sh -c '/bin/echo 1 >/sys/class/net/b0/bridge/stp_state'": "Operation not permitted",
		"setpriv --reuid 65534 --clear-groups sh -c '/bin/echo 1 >/sys/class/net/b0/bridge/stp_state'":        "Permission denied",
		"unshare -n sh -c '/bin/echo 0 >/sys/class/net/b0/bridge/stp_state'":                                  "Operation not permitted",
		"touch /sys/class/net/new":              "touch: ",
		"rm /sys/class/net/b0/bridge/stp_state": "rm: ",
		"chmod 777 /sys/class/net/b0":           "Operation not permitted",
		"brctl hairpin b0 v0 on":                "Operation not supported",
		"setpriv --reuid 65534 --clear-groups cat /sys/class/net/b0/bridge/stp_state; /bin/echo 0 >/sys/class/net/v0/brport/hairpin_mode": "1\n",
	} {
		if got := s.run(line); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}

	// What others do shows at once.
	for range 10 {
		w.vsctl("add-port", "b0", "v1", "--", "add-br", "b1", "--", "add-bond", "b1", "bond0", "s0", "s1")
		is("for f in b0/brif/v1 v1/brport b1/bridge; do [ -d /sys/class/net/$f ] || echo no $f; done", "")
		is("ls /sys/class/net/b1/brif; cat /sys/class/net/bond0/brport/port_no", "bond0\n0x1\n")
		w.vsctl("del-port", "v1", "--", "del-br", "b1")
		is("[ -e /sys/class/net/b0/brif/v1 ] || [ -e /sys/class/net/b1 ] || echo no", "no\n")
	}
	is("ls /sys/class/net", "b0\nlo\nv0\nv1\n")
	is("brctl delif b0 v0; brctl delbr b0; [ -e /sys/class/net/b0 ] || [ -e /sys/class/net/v0/brport ] || echo no", "no\n")

	// Native bridges are as they always are.
	w.ip("link", "add", "native0", "type", "bridge")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "native0").Run() })
	is("brctl addif native0 v0; brctl setageing native0 42; cat /sys/class/net/native0/bridge/ageing_time; ls /sys/class/net/native0/brif", "4200\nv0\n")
	is("brctl delif native0 v0", "")

	show := w.must(w.tool("ovs-appctl"), "-t", "ovs-brcompatd", "brcompat/show")
	if !strings.Contains(show, "sysfs=fuse") {
		t.Errorf("brcompat/show: %s", show)
	}

	// When the daemon dies, there are errors and nobody waits.
	pid := w.pid()
	unix.Kill(pid, unix.SIGKILL)
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	if got := s.run("ls /sys/class/net"); !strings.Contains(got, "ls: cannot open directory") && !strings.Contains(got, "ls: cannot access") {
		t.Errorf("after the daemon's death: %q", got)
	}
	w.startDaemon()
}

// Launchers share one file system, and each sees at once what was changed by
// another one, and by the database as soon as the daemon has heard of it. One of
// another user namespace has its own.
func TestSharedView(t *testing.T) {
	needFUSE(t)
	w := newWorld(t)
	w.veth("v0", "v1")
	a, b := w.shell("fuse"), w.shell("fuse")
	const device = "stat -c %d /sys/class/net"
	shared := a.run(device)
	if !sharesViews() {
		t.Skip("this kernel does not clone mounts that are attached nowhere (Linux 6.15)")
	}
	w.same("the device of both", b.run(device), shared)
	w.same("of a new one", w.ok(w.launch("fuse", "sh", "-c", device)), shared)
	const look = "for f in b0/brif/v0 v0/brport v0/bridge b1/bridge; do [ -e /sys/class/net/$f ] && echo $f; done; ls /sys/class/net"
	see := func(what, want string) {
		t.Helper()
		w.same("the first, "+what, a.run(look), want)
		w.same("the second, "+what, b.run(look), want)
		w.same("a new one, "+what, w.ok(w.launch("fuse", "sh", "-c", look)), want)
	}
	see("to begin with", "lo\nv0\nv1\n")
	for range 10 {
		w.same("addbr", a.run("brctl addbr b0; brctl addif b0 v0"), "")
		see("a port", "b0/brif/v0\nv0/brport\nb0\nlo\nv0\nv1\n")
		w.vsctl("del-port", "v0", "--", "add-br", "b1")
		// A name that was read in a folder a moment ago counts until the daemon has
		// heard that it is another one now.
		w.wait("the daemon to hear of it", func() bool { return a.run("[ -e /sys/class/net/v0/brport ] || echo gone") == "gone\n" })
		see("another bridge", "b1/bridge\nb0\nb1\nlo\nv0\nv1\n")
		w.same("delbr", b.run("brctl delbr b1; brctl delbr b0"), "")
		see("none", "lo\nv0\nv1\n")
	}
	r := w.exec(nil, "unshare", "-U", "-r", w.brcompat(), "exec", "--sysfs=fuse", "--", "sh", "-c", device)
	t.Log(r)
	if r.out == shared {
		t.Error("a launcher of another user namespace shares the view")
	}

	// The daemon's death ends it for all; the next daemon has another one.
	pid := w.pid()
	unix.Kill(pid, unix.SIGKILL)
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	for _, s := range []*shell{a, b} {
		if got := s.run("ls /sys/class/net"); !strings.Contains(got, "ls: cannot") {
			t.Errorf("after the daemon's death: %q", got)
		}
	}
	w.startDaemon()
	w.same("a new one", w.ok(w.launch("fuse", "ls", "/sys/class/net")), "lo\nv0\nv1\n")
}

// sharesViews tells whether this kernel clones mounts that are attached nowhere.
func sharesViews() bool {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return false
	}
	defer unix.Close(fs)
	if unix.FsconfigCreate(fs) != nil {
		return false
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(mount)
	clone, err := unix.OpenTree(mount, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return false
	}
	unix.Close(clone)
	return true
}

// A 32-bit and a 64-bit program see the same numbers in the view as by ioctl.
func TestViewBesideIoctls(t *testing.T) {
	needFUSE(t)
	w := newWorld(t)
	w.veth("v0", "v1")
	got := w.ok(w.launch("fuse", w.caller(runtime.GOARCH), "everything", "b0", "v0"))
	want, err := os.ReadFile("testdata/everything.txt")
	if err != nil {
		t.Fatal(err)
	}
	w.same("by ioctl in the mode fuse", got, string(want))
}

// auto shows the view to a script.
func TestAuto(t *testing.T) {
	needFUSE(t)
	w := newWorld(t)
	w.ok(w.brctl("auto", "addbr", "b0"))
	r := w.exec(nil, "unshare", "-n", w.brcompat(), "exec", "--sysfs=fuse", "--", "true")
	w.same("elsewhere", r.err, "brcompat: --sysfs=fuse: ovs-brcompatd is in another network namespace\n")
	w.ok(w.exec(nil, "unshare", "-n", w.brcompat(), "exec", "--", "true"))
	w.same("auto", w.ok(w.launch("auto", "sh", "-c", "ls -d /sys/class/net/b0/bridge")), "/sys/class/net/b0/bridge\n")
}
