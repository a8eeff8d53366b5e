package daemon_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/internal/clock"
	"govs/internal/unixctl"
	"govs/internal/vlog"
	"govs/vswitchd/daemon"
)

// A lab is a switch in this process with Debian's ovsdb-server as its
// database and Debian's commands to talk to both.
type lab struct {
	t    *testing.T
	bin  string // Debian's programs
	dir  string // run directory
	wrap func(func())
	say  func() string // what helps to understand a failure

	ctl  *unixctl.Server
	sw   *daemon.Switch
	quit func()
	time *clock.Dummy
}

// newLab starts the database. wrap runs a function on a thread of the network
// namespace that the switch is to be in.
func newLab(t *testing.T, wrap func(func())) *lab {
	out, err := exec.Command("../../tools/debs/debs").Output()
	if err != nil {
		t.Skip("Debian's Open vSwitch is not to be had: ", err)
	}
	l := &lab{t: t, bin: filepath.Join(strings.TrimSpace(string(out)), "bin"), wrap: wrap}
	// Socket paths are limited to 108 bytes: t.TempDir's may be too long.
	if l.dir, err = os.MkdirTemp("", "vswitchd"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(l.dir) })
	l.run("ovsdb-tool", "create", l.path("conf.db"), "../../schema/vswitch/vswitch.ovsschema")
	l.startDB()
	t.Cleanup(func() { l.stopDB(syscall.SIGTERM) })
	l.run("ovs-vsctl", "--no-wait", "init")
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// run runs one of Debian's programs and returns its output, failed or not.
func (l *lab) run(name string, args ...string) string {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(l.bin, name), args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+l.dir, "OVS_LOGDIR="+l.dir, "OVS_DBDIR="+l.dir)
	out, _ := cmd.CombinedOutput()
	return strings.ReplaceAll(string(out), l.dir, "DIR")
}

// holdLock takes or steals the switch's lock as another process would, until
// the function that it returns is called.
func (l *lab) holdLock(how string) func() {
	l.t.Helper()
	cmd := exec.Command(filepath.Join(l.bin, "ovsdb-client"), how, "unix:"+l.path("db.sock"), "ovs_vswitchd")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		l.t.Fatal(err)
	}
	line := make([]byte, 64)
	if _, err := out.Read(line); err != nil { // says that it has the lock
		l.t.Fatal(err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func (l *lab) startDB() {
	l.t.Helper()
	if out := l.run("ovsdb-server", l.path("conf.db"), "--remote=punix:"+l.path("db.sock"),
		"--pidfile="+l.path("db.pid"), "--overwrite-pidfile", "--detach", "--no-chdir", "-vconsole:off"); out != "" {
		l.t.Fatal("ovsdb-server: ", out)
	}
}

func (l *lab) stopDB(sig syscall.Signal) {
	text, err := os.ReadFile(l.path("db.pid"))
	if err != nil {
		return
	}
	if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
		_ = syscall.Kill(pid, sig)
		for running(pid) {
			time.Sleep(time.Millisecond) // not our child: there is nothing to wait for
		}
	}
}

// pauseDB keeps the database from answering, until the function that it returns
// is called.
func (l *lab) pauseDB() (resume func()) {
	l.t.Helper()
	text, err := os.ReadFile(l.path("db.pid"))
	if err != nil {
		l.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		l.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		l.t.Fatal(err)
	}
	return func() { _ = syscall.Kill(pid, syscall.SIGCONT) }
}

// running says whether there is such a process, other than a zombie.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// start runs a switch until stop, and waits until its first configuration was
// applied.
func (l *lab) start(o daemon.Options) {
	l.t.Helper()
	ready, done := make(chan struct{}), make(chan struct{})
	l.time = clock.NewDummy()
	o.RunDir, o.Clock, o.Version = l.dir, l.time, "test"
	o.Ready = func() { close(ready) }
	if testing.Verbose() && o.Log == nil {
		sys := vlog.New("ovs-vswitchd")
		o.Log = func(module string) *slog.Logger { return sys.Logger(module) }
	}
	var err error
	if l.ctl, err = unixctl.Listen(l.path("ctl"), vlog.Discard()); err != nil {
		l.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	started := make(chan error)
	go l.wrap(func() {
		defer close(done)
		var err error
		l.sw, err = daemon.New(o)
		started <- err
		if err == nil {
			_ = l.sw.Run(ctx)
		}
	})
	if err := <-started; err != nil {
		l.t.Fatal(err)
	}
	l.sw.Register(l.ctl)
	l.time.Register(l.ctl, l.sw.Settle)
	go l.ctl.Serve()
	l.quit = func() {
		cancel()
		<-done
		l.ctl.Close()
		l.quit = func() {}
	}
	l.t.Cleanup(func() { l.quit() })
	select {
	case <-ready:
	case <-time.After(60 * time.Second):
		l.t.Fatal("the switch is not ready after 60 s")
	}
}

func (l *lab) vsctl(args ...string) string {
	return l.run("ovs-vsctl", append([]string{"--timeout=60"}, args...)...)
}

func (l *lab) appctl(args ...string) string {
	return l.run("ovs-appctl", append([]string{"--timeout=60", "-t", l.path("ctl")}, args...)...)
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// command carries out a line of a transcript. Words may be quoted by ”.
func (l *lab) command(line string) string {
	words := fields(line)
	switch words[0] {
	case "ovs-vsctl":
		return uuids.ReplaceAllString(l.vsctl(words[1:]...), "UUID")
	case "ovs-appctl":
		return l.appctl(words[1:]...)
	}
	return "what?\n"
}

func fields(line string) (words []string) {
	for n, part := range strings.Split(line, "'") {
		if n%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// eventually waits until the function gives what is wanted.
func (l *lab) eventually(what, want string, get func() string) {
	l.t.Helper()
	var got string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if got = strings.TrimSpace(get()); got == want {
			return
		}
	}
	l.t.Errorf("%s: got %q, want %q", what, got, want)
}
