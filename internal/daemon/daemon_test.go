package daemon_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/internal/unixctl"
)

// The test binary is the daemon under test when this variable is set; Start
// executes it again in the same way.
const envDaemon = "GOVS_TEST_DAEMON"

func TestMain(m *testing.M) {
	if os.Getenv(envDaemon) != "" {
		os.Exit(daemon.Main(testDaemon()))
	}
	os.Exit(m.Run())
}

func testDaemon() *cobra.Command {
	opts := &daemon.Options{Modules: []string{"tester"}}
	var fail, crash string
	cmd := daemon.Command("testd", "daemon for tests", opts, func(p *daemon.Process, args []string) error {
		if fail != "" {
			return errors.New(fail)
		}
		if crash == "early" {
			daemon.Die(syscall.SIGSEGV)
		}
		if crash == "once" { // relative: shows that a restart keeps the directory
			if f, err := os.OpenFile("crashed", os.O_CREATE|os.O_EXCL, 0o600); err == nil {
				f.Close()
				p.Ready()
				go panic("a bug")
				select {}
			}
		}
		p.Ctl.Register("state", "", 0, 0, func(context.Context, []string) (string, error) {
			dir, err := os.Getwd()
			null, _ := os.Readlink("/proc/self/fd/2")
			return fmt.Sprintf("uid=%d dir=%s stderr=%s args=%q", os.Getuid(), dir, null, args), err
		})
		ls, names, err := daemon.ListenFDs()
		if err != nil {
			return err
		}
		for i, l := range ls {
			p.Logger("tester").Info("got socket " + l.Addr().String() + " named " + names[i])
		}
		p.Logger("tester").Info("working")
		p.Ready()
		<-p.Context().Done()
		return nil
	})
	cmd.Flags().StringVar(&fail, "fail", "", "")
	cmd.Flags().StringVar(&crash, "crash", "", "")
	return cmd
}

// command is a run of the test daemon in directory dir.
func command(dir string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = "testd"
	cmd.Dir, cmd.Env = dir, append(debs.Env(dir), envDaemon+"=1")
	return cmd
}

func run(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(dir, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	done := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		_ = cmd.Process.Kill()
		t.Fatalf("%v: does not end; stderr %s", args, &errs)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func pidOf(t *testing.T, path string) int {
	t.Helper()
	pid, err := daemon.ReadPidFile(path)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	return pid
}

func gone(t *testing.T, dir string) {
	t.Helper()
	debs.Await(t, "pid file and socket to go", func() bool {
		left, _ := filepath.Glob(filepath.Join(dir, "*.ctl"))
		pids, _ := filepath.Glob(filepath.Join(dir, "*.pid"))
		return len(left)+len(pids) == 0
	})
}

func call(t *testing.T, dir string, pid int, verb string) string {
	t.Helper()
	out, err := unixctl.Call(t.Context(), filepath.Join(dir, fmt.Sprintf("testd.%d.ctl", pid)), verb, nil)
	if err != nil {
		t.Fatalf("%s: %v", verb, err)
	}
	return out
}

func TestDetach(t *testing.T) {
	dir := debs.ShortTemp(t)
	out, errs, code := run(t, dir, "--pidfile", "--detach", "--log-file", "-vtester:file:dbg", "arg")
	if code != 0 || out != "" || !strings.Contains(errs, "opened log file "+dir+"/testd.log") {
		t.Fatalf("%d %q %q", code, out, errs)
	}
	pid := pidOf(t, filepath.Join(dir, "testd.pid"))
	if got, want := call(t, dir, pid, "state"), "uid="+strconv.Itoa(os.Getuid())+" dir=/ stderr=/dev/null args=[\"arg\"]\n"; got != want {
		t.Errorf("state %q want %q", got, want)
	}
	if sid, err := syscall.Getpgid(pid); err != nil || sid != pid {
		t.Errorf("process group %d of %d", sid, pid)
	}
	// Debian's client finds it by name, and the version is what scripts expect.
	if r := debs.Run(t, dir, debs.Bin(t, "ovs-appctl"), "-t", "testd", "version"); r.Stdout != "testd (Open vSwitch) "+daemon.Version+"\n" {
		t.Errorf("version: %+v", r)
	}
	if got := call(t, dir, pid, "vlog/list"); !regexp.MustCompile(`(?m)^tester +OFF +INFO +DBG$`).MatchString(got) {
		t.Errorf("vlog/list\n%s", got)
	}
	_, errs, code = run(t, dir, "--pidfile", "--detach")
	if want := fmt.Sprintf("testd: %s/testd.pid: already running as pid %d, aborting\n", dir, pid); errs != want || code != 1 {
		t.Errorf("second start: %d %q", code, errs)
	}
	call(t, dir, pid, "exit")
	gone(t, dir)
	log, err := os.ReadFile(filepath.Join(dir, "testd.log"))
	if err != nil || !regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|00002\|tester\|INFO\|working$`).Match(log) {
		t.Errorf("log %q %v", log, err)
	}
}

func TestPidFiles(t *testing.T) {
	dir := debs.ShortTemp(t)
	// A stale file is taken over, a foreign path is an error with C's text.
	if err := os.WriteFile(filepath.Join(dir, "x.pid"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := daemon.ReadPidFile(filepath.Join(dir, "x.pid")); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("stale pid file: %v", err)
	}
	if _, errs, code := run(t, dir, "--pidfile=x.pid", "--detach"); code != 0 {
		t.Fatalf("%d %q", code, errs)
	}
	pid := pidOf(t, filepath.Join(dir, "x.pid"))
	// Debian's daemon sees our lock, and ours Debian's.
	r := debs.Run(t, dir, debs.Bin(t, "ovsdb-server"), "--pidfile=x.pid", "--unixctl=none", "nope.db")
	if want := fmt.Sprintf("ovsdb-server: %s/x.pid: already running as pid %d, aborting\n", dir, pid); r.Stderr != want {
		t.Errorf("Debian's: %+v", r)
	}
	theirs := debs.OVSDBServer(t)
	_, errs, code := run(t, dir, "--pidfile="+theirs+"/ovsdb-server.pid")
	if !regexp.MustCompile(`^testd: .*/ovsdb-server.pid: already running as pid \d+, aborting\n$`).MatchString(errs) || code != 1 {
		t.Errorf("ours: %d %q", code, errs)
	}
	if _, errs, code = run(t, dir, "--pidfile=x.pid", "--overwrite-pidfile", "--detach"); code != 0 {
		t.Fatalf("%d %q", code, errs)
	}
	second := pidOf(t, filepath.Join(dir, "x.pid"))
	if second == pid {
		t.Error("the pid file was not overwritten")
	}
	call(t, dir, pid, "exit") // leaves the second one's file alone
	debs.Await(t, "the first to end", func() bool { return syscall.Kill(pid, 0) != nil })
	if pidOf(t, filepath.Join(dir, "x.pid")) != second {
		t.Error("the first daemon removed the second's pid file")
	}
	call(t, dir, second, "exit")
	gone(t, dir)
	_, errs, code = run(t, dir, "--pidfile=/nonexistent/x.pid")
	if want := "testd: /nonexistent/x.pid.tmp: create failed (No such file or directory)\n"; errs != want || code != 1 {
		t.Errorf("%d %q", code, errs)
	}
}

func TestFailureBeforeReady(t *testing.T) {
	dir := debs.ShortTemp(t)
	for _, c := range []struct {
		args, errs string
		code       int
	}{
		{"--fail=broken --detach", "testd: broken\n", 1},
		{"--fail=broken --detach --monitor", "testd: broken\n", 1},
		{"--fail=broken", "testd: broken\n", 1},
		{"--detach --crash=early", "testd: fork child died before signaling startup (killed (Segmentation fault))\n", 1},
		{"-vfoo", `testd: processing "foo": no destination, level, or module "foo"` + "\n", 1},
		{"--xx", "testd: unrecognized option '--xx'\n", 1},
		{"--user=nosuchuser", "testd: DIR/testd.pid: user nosuchuser not found, aborting.\n", 1},
		{"--unixctl=/nonexistent/x.ctl", "testd: /nonexistent/x.ctl: could not initialize control socket (No such file or directory)\n", 1},
	} {
		if strings.Contains(c.args, "user") && os.Getuid() != 0 {
			continue
		}
		out, errs, code := run(t, dir, strings.Fields("--pidfile "+c.args)...)
		if errs = strings.ReplaceAll(errs, dir, "DIR"); out != "" || errs != c.errs || code != c.code {
			t.Errorf("%s: %d %q %q, want %d %q", c.args, code, out, errs, c.code, c.errs)
		}
	}
	// The one that died of a signal leaves a socket, and a pid file that the next
	// ones replace and remove.
	for f, n := range map[string]int{"*.ctl": 1, "*.pid": 0} {
		left, _ := filepath.Glob(filepath.Join(dir, f))
		if len(left) != n {
			t.Errorf("left behind: %v", left)
		}
	}
	_, errs, code := run(t, dir, "-vANY:console:EMER", "--log-file=/nonexistent/x.log")
	if !strings.Contains(errs, "|vlog|WARN|failed to open /nonexistent/x.log for logging: No such file or directory\n") || code != 1 {
		t.Errorf("%d %q", code, errs)
	}
}

// TestNoLogDir: without the folder of log files, a daemon that was told no name
// warns and goes on.
func TestNoLogDir(t *testing.T) {
	dir := debs.ShortTemp(t)
	cmd := command(dir, "--log-file", "--fail=got here")
	cmd.Env = append(cmd.Env, "OVS_LOGDIR="+dir+"/none")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "|vlog|WARN|failed to open "+dir+"/none/testd.log for logging: No such file or directory\n") ||
		!strings.Contains(string(out), "got here") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestVersionAndHelp(t *testing.T) {
	dir := debs.ShortTemp(t)
	for _, arg := range []string{"-V", "--version", "--vers"} {
		out, _, code := run(t, dir, "--detach", arg)
		if first, _, _ := strings.Cut(out, "\n"); code != 0 || first != "testd (Open vSwitch) "+daemon.Version || !strings.Contains(out, "govs") {
			t.Errorf("%s: %d %q", arg, code, out)
		}
	}
	if out, _, code := run(t, dir, "-h"); code != 0 || !strings.Contains(out, "--overwrite-pidfile") {
		t.Errorf("help: %d %q", code, out)
	}
}

func TestSignals(t *testing.T) {
	// What we were started to ignore, as by nohup, daemons are not to.
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGHUP)
	defer signal.Stop(heard)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		dir := debs.ShortTemp(t)
		cmd := command(dir, "--pidfile")
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		debs.Await(t, "the daemon", func() bool {
			_, err := unixctl.Call(t.Context(), filepath.Join(dir, fmt.Sprintf("testd.%d.ctl", cmd.Process.Pid)), "version", nil)
			return err == nil
		})
		_ = cmd.Process.Signal(syscall.SIGPIPE) // ignored
		_ = cmd.Process.Signal(sig)
		_ = cmd.Wait()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); !ws.Signaled() || ws.Signal() != sig {
			t.Errorf("%v: ended with %v", sig, cmd.ProcessState)
		}
		if !strings.Contains(errs.String(), fmt.Sprintf("|fatal_signal|WARN|terminating with signal %d (", int(sig))) {
			t.Errorf("%v: stderr %q", sig, &errs)
		}
		gone(t, dir)
	}
}

func TestMonitorRestarts(t *testing.T) {
	dir := debs.ShortTemp(t)
	if _, errs, code := run(t, dir, "--pidfile", "--detach", "--monitor", "--log-file", "--crash=once"); code != 0 {
		t.Fatalf("%d %q", code, errs)
	}
	var pid int
	debs.Await(t, "the second daemon", func() bool {
		var err error
		if pid, err = daemon.ReadPidFile(filepath.Join(dir, "testd.pid")); err != nil {
			return false
		}
		_, err = unixctl.Call(t.Context(), filepath.Join(dir, fmt.Sprintf("testd.%d.ctl", pid)), "state", nil)
		return err == nil
	})
	if _, err := os.Stat(filepath.Join(dir, "crashed")); err != nil {
		t.Error(err)
	}
	_ = syscall.Kill(pid, syscall.SIGTERM)
	var log []byte
	debs.Await(t, "the monitor's end", func() bool {
		log, _ = os.ReadFile(filepath.Join(dir, "testd.log"))
		return bytes.Contains(log, []byte("exiting"))
	})
	for _, want := range []string{
		`daemon_unix\(monitor\)\|ERR\|1 crashes: pid \d+ died, killed \(Aborted\)(, core dumped)?, restarting`,
		fmt.Sprintf(`daemon_unix\(monitor\)\|INFO\|pid %d died, killed \(Terminated\), exiting`, pid),
	} {
		if !regexp.MustCompile(want).Match(log) {
			t.Errorf("%s not in\n%s", want, log)
		}
	}
}

func TestUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	dir := debs.ShortTemp(t)
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "testd")
	if err := os.WriteFile(path, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := command(dir, "--pidfile", "--detach", "--log-file", "--user=nobody:nogroup")
	cmd.Path = path
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	pid := pidOf(t, filepath.Join(dir, "testd.pid"))
	if got := call(t, dir, pid, "state"); !strings.HasPrefix(got, "uid=65534 ") {
		t.Errorf("state %q", got)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil || !regexp.MustCompile(`(?m)^CapEff:\s+0000000000004400$`).Match(status) {
		t.Errorf("capabilities: %s", regexp.MustCompile(`(?m)^Cap.*$`).FindAll(status, -1))
	}
	call(t, dir, pid, "exit")
	gone(t, dir)
}

func TestNotify(t *testing.T) {
	dir := debs.ShortTemp(t)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := command(dir, "--pidfile", "--detach")
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+filepath.Join(dir, "notify"))
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	pid := pidOf(t, filepath.Join(dir, "testd.pid"))
	buf := make([]byte, 100)
	_ = l.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, err := l.Read(buf)
	if want := fmt.Sprintf("READY=1\nMAINPID=%d", pid); err != nil || string(buf[:n]) != want {
		t.Errorf("%q %v", buf[:n], err)
	}
	call(t, dir, pid, "exit")
	gone(t, dir)
}

func TestListenFDsReachTheDaemon(t *testing.T) {
	dir := debs.ShortTemp(t)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, mode := range []string{"--detach", "--detach --monitor", "--detach --monitor --crash=once"} {
		self := command(dir)
		// LISTEN_PID must be the pid of the daemon's first process.
		cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, self.Path, "--pidfile", "--log-file"}, strings.Fields(mode)...)...)
		cmd.Dir, cmd.Env = self.Dir, append(self.Env, "LISTEN_FDS=1", "LISTEN_FDNAMES=db")
		cmd.ExtraFiles = []*os.File{f}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v %s", err, out)
		}
		if strings.Contains(mode, "crash") { // the second worker gets the sockets, too
			debs.Await(t, "the second daemon", func() bool {
				log, _ := os.ReadFile(filepath.Join(dir, "testd.log"))
				return strings.Contains(string(log), "|tester|INFO|working")
			})
		}
		pid := pidOf(t, filepath.Join(dir, "testd.pid"))
		sockets, _ := filepath.Glob(filepath.Join(dir, "*.ctl"))
		for _, s := range sockets { // that of the one that crashed
			if s != filepath.Join(dir, fmt.Sprintf("testd.%d.ctl", pid)) {
				_ = os.Remove(s)
			}
		}
		log, _ := os.ReadFile(filepath.Join(dir, "testd.log"))
		if want := "got socket " + l.Addr().String() + " named db"; !strings.Contains(string(log), want) {
			t.Errorf("%s: %q not in\n%s", mode, want, log)
		}
		call(t, dir, pid, "exit")
		gone(t, dir)
		_ = os.Remove(filepath.Join(dir, "testd.log"))
	}
}

func TestTwoEmbeddedDaemons(t *testing.T) {
	dir := debs.ShortTemp(t)
	t.Setenv("OVS_RUNDIR", dir)
	for _, name := range []string{"one", "two"} {
		p, err := daemon.Start(name, &daemon.Options{Embedded: true, PidFile: daemon.OptionalString{Set: true}, Verbose: []string{"console:off"}})
		if err != nil {
			t.Fatal(err)
		}
		p.Ctl.Register("who", "", 0, 0, func(context.Context, []string) (string, error) { return name, nil })
		p.Ready()
		out, err := unixctl.Call(t.Context(), filepath.Join(dir, fmt.Sprintf("%s.%d.ctl", name, os.Getpid())), "who", nil)
		if err != nil || out != name+"\n" {
			t.Errorf("%q %v", out, err)
		}
		defer p.Close()
		defer func() {
			p.Exit()
			<-p.Context().Done()
		}()
	}
}

// TestUsage: every daemon has the verbs on memory and counters.
func TestUsage(t *testing.T) {
	dir := debs.ShortTemp(t)
	t.Setenv("OVS_RUNDIR", dir)
	p, err := daemon.Start("one", &daemon.Options{Embedded: true, Verbose: []string{"console:off"}, Unixctl: "ctl"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	defer p.Exit()
	p.Count(func() map[string]uint64 { return map[string]uint64{"seen": 3, "unseen": 0} })
	p.Ready()
	for verb, want := range map[string]string{
		"memory/show":                "heap-kB:",
		"coverage/show":              "total: 3\n",
		"coverage/read-counter seen": "3\n",
	} {
		words := strings.Fields(verb)
		out, err := unixctl.Call(t.Context(), filepath.Join(dir, "ctl"), words[0], words[1:])
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %q %v", verb, out, err)
		}
	}
}

func TestDirs(t *testing.T) {
	for _, v := range []string{"OVS_RUNDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR", "OVS_DBDIR", "OVS_PKGDATADIR"} {
		t.Setenv(v, "")
	}
	got := []string{daemon.RunDir(), daemon.LogDir(), daemon.DBDir(), daemon.PkgDataDir(), daemon.In("/a", "b"), daemon.In("/a", "/b")}
	want := []string{"/run/openvswitch", "/var/log/openvswitch", "/etc/openvswitch", "/usr/share/openvswitch", "/a/b", "/b"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}
	t.Setenv("OVS_SYSCONFDIR", "/x")
	if daemon.DBDir() != "/x/openvswitch" {
		t.Errorf("dbdir %s", daemon.DBDir())
	}
}
