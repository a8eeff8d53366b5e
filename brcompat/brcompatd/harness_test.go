package brcompatd

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/daemon"
)

// role is the environment variable by which this test's own binary becomes the
// daemon, or itself in a network namespace.
const role = "GOVS_BRCOMPAT_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "daemon":
		os.Exit(daemon.Main(Command()))
	case "tests":
		if err := ownSysfs(); err != nil {
			fmt.Fprintln(os.Stderr, "cannot mount sysfs:", err)
			os.Exit(1)
		}
		os.Unsetenv(role)
		isolated = true
		status := m.Run()
		if built != "" {
			os.RemoveAll(built)
		}
		os.Exit(status)
	}
	if os.Getuid() != 0 {
		os.Exit(m.Run())
	}
	// The tests run in a network namespace of their own, with a sysfs that
	// shows it. It goes when the last process in it does.
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), role+"=tests")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	if err := cmd.Run(); err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			os.Exit(ee.ExitCode())
		}
		fmt.Fprintln(os.Stderr, "no network namespace for the tests:", err)
		os.Exit(m.Run())
	}
}

// isolated says that this process is in a network namespace for tests.
var isolated bool

func ownSysfs() error {
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("sysfs", "/sys", "sysfs", 0, "")
}

// A world is a database, a switch, and the daemon under test.
type world struct {
	t      *testing.T
	bin    string // folder with Debian's programs
	ours   string // folder with our servers, or "" for Debian's
	run    string
	env    []string
	vswitd *exec.Cmd
	ovsdb  *exec.Cmd
}

// debs returns the folder with Debian's programs.
func debs(t *testing.T) string {
	t.Helper()
	if !isolated {
		t.Skip("needs root and network namespaces")
	}
	out, err := exec.Command("../../tools/debs/debs").Output()
	if err != nil {
		t.Skipf("Debian's programs are not there: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// newWorld starts Debian's servers, with devices that are not there (dummy).
func newWorld(t *testing.T) *world { t.Helper(); return startWorld(t, "") }

// ourWorld starts our own servers, with real devices.
func ourWorld(t *testing.T) *world {
	t.Helper()
	debs(t)
	if testing.Short() {
		t.Skip("our servers take long to build")
	}
	dir, err := servers()
	if err != nil {
		t.Fatal(err)
	}
	return startWorld(t, dir)
}

func startWorld(t *testing.T, ours string) *world {
	t.Helper()
	w := &world{t: t, bin: filepath.Join(debs(t), "bin"), ours: ours, run: t.TempDir()}
	w.env = append(os.Environ(), "OVS_RUNDIR="+w.run, "OVS_LOGDIR="+w.run, "OVS_DBDIR="+w.run)
	w.must(w.server("ovsdb-tool"), "create", w.run+"/conf.db", "../../schema/vswitch/vswitch.ovsschema")
	w.startDB()
	w.wait("the database", func() bool { _, err := os.Stat(w.run + "/db.sock"); return err == nil })
	w.vsctl("--retry", "--no-wait", "init")
	w.startSwitch()
	w.startDaemon()
	return w
}

// tool is the path of a program of Debian's.
func (w *world) tool(name string) string { return filepath.Join(w.bin, name) }

// server is the path of a server under test.
func (w *world) server(name string) string {
	if w.ours != "" {
		return filepath.Join(w.ours, name)
	}
	return w.tool(name)
}

func (w *world) startDB(more ...string) {
	argv := []string{w.server("ovsdb-server"), w.run + "/conf.db", "--remote=punix:" + w.run + "/db.sock", "--pidfile", "-vconsole:off"}
	w.ovsdb = w.start(append(argv, more...)...)
}

func (w *world) startSwitch() {
	argv := []string{w.server("ovs-vswitchd"), "unix:" + w.run + "/db.sock", "--pidfile", "-vconsole:off"}
	if w.ours == "" {
		argv = append(argv, "--enable-dummy=override")
	}
	w.vswitd = w.start(argv...)
}

func (w *world) startDaemon() { w.t.Helper(); w.startDaemonOn("unix:db.sock") }

// startDaemonOn starts the daemon with a database, and what has to be said to
// reach it.
func (w *world) startDaemonOn(remote ...string) {
	w.t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{"--pidfile", "--detach", "-vANY:console:EMER", "--log-file"}, remote...)...)
	cmd.Env = append(w.env, role+"=daemon")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("ovs-brcompatd: %v\n%s", err, out)
	}
	pid := w.pid()
	w.t.Cleanup(func() {
		if w.t.Failed() {
			log, _ := os.ReadFile(w.run + "/ovs-brcompatd.log")
			w.t.Logf("log:\n%s", log)
		}
		unix.Kill(pid, unix.SIGTERM)
		w.wait("the daemon's end", func() bool { return !alive(pid) })
	})
}

// alive tells whether a process runs. Whoever has to bury a dead one may take
// its time.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func (w *world) pid() int {
	w.t.Helper()
	b, err := os.ReadFile(w.run + "/ovs-brcompatd.pid")
	if err != nil {
		w.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		w.t.Fatal(err)
	}
	return pid
}

// start runs a program until the end of the test.
func (w *world) start(argv ...string) *exec.Cmd {
	w.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = w.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGTERM}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { stop(cmd) })
	return cmd
}

func stop(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		cmd.Process.Signal(unix.SIGTERM)
		cmd.Wait()
	}
}

func (w *world) wait(what string, done func() bool) {
	w.t.Helper()
	for end := time.Now().Add(10 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// A result is what a program left.
type result struct {
	out, err string
	status   int
}

func (r result) String() string {
	s := r.out + r.err
	if r.status != 0 {
		s += fmt.Sprintf("(exit status %d)\n", r.status)
	}
	return s
}

// exec runs a program in the world.
func (w *world) exec(env []string, argv ...string) result {
	w.t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(w.env, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	timer := time.AfterFunc(30*time.Second, func() { cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		w.t.Fatalf("%s: %v", argv, err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

func (w *world) must(argv ...string) string {
	w.t.Helper()
	r := w.exec(nil, argv...)
	if r.status != 0 {
		w.t.Fatalf("%s:\n%s", argv, r)
	}
	return r.out
}

func (w *world) vsctl(args ...string) string {
	w.t.Helper()
	return w.must(append([]string{w.tool("ovs-vsctl"), "--timeout=10"}, args...)...)
}

func (w *world) ip(args ...string) {
	w.t.Helper()
	w.must(append([]string{"ip"}, args...)...)
}

// veth makes a pair of devices, and deletes it at the end.
func (w *world) veth(a, b string) {
	w.t.Helper()
	w.ip("link", "add", a, "type", "veth", "peer", "name", b)
	w.t.Cleanup(func() { exec.Command("ip", "link", "del", a).Run() })
}

// launch runs a program under the launcher.
func (w *world) launch(sysfs string, argv ...string) result {
	w.t.Helper()
	return w.exec(nil, append([]string{w.brcompat(), "exec", "--sysfs=" + sysfs, "--"}, argv...)...)
}

// brctl runs Debian's brctl under the launcher.
func (w *world) brctl(sysfs string, args ...string) result {
	w.t.Helper()
	return w.launch(sysfs, append([]string{w.tool("brctl")}, args...)...)
}

// caller builds the program testdata/caller for a machine, or skips the test.
func (w *world) caller(goarch string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "caller-"+goarch)
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./testdata/caller")
	cmd.Env = append(os.Environ(), "GOARCH="+goarch, "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("cannot build for %s: %v\n%s", goarch, err, out)
	}
	return path
}

func (w *world) ok(r result) string {
	w.t.Helper()
	if r.status != 0 {
		w.t.Fatalf("unexpected: %s", r)
	}
	return r.out
}

func (w *world) same(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

// built is where programs that several tests need were built, or "".
var built string

// build builds programs of ours into a folder of their own, as make does: most
// of it is in Go's cache then. They go when the tests end.
func build(programs ...string) (dir string, err error) {
	if built == "" {
		if built, err = os.MkdirTemp("", "brcompat-test-"); err != nil {
			return "", err
		}
	}
	cmd := exec.Command("go", append([]string{"build", "-buildvcs=false", "-trimpath", "-o", built + "/"}, programs...)...)
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return built, fmt.Errorf("%s does not build: %w\n%s", programs, err, out)
	}
	return built, nil
}

var (
	launcher = sync.OnceValues(func() (string, error) { return build("./brcompat/brcompat") })
	servers  = sync.OnceValues(func() (string, error) {
		return build("./ovsdb/ovsdb-server", "./ctl/ovsdb-tool", "./vswitchd/ovs-vswitchd")
	})
)

// brcompat is the path of the launcher.
func (w *world) brcompat() string {
	w.t.Helper()
	dir, err := launcher()
	if err != nil {
		w.t.Fatal(err)
	}
	return filepath.Join(dir, "brcompat")
}
