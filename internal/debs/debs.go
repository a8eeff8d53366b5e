// Package debs finds Debian's own programs for tests that compare ours with
// them. Only tests import it.
package debs

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Dir returns the folder with bin/ and root/, unpacked by tools/debs/debs; the
// test is skipped where that cannot be had.
func Dir(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == "/" {
			t.Skip("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	cmd := exec.Command(filepath.Join(dir, "tools/debs/debs"))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("Debian's programs are not at hand: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// Bin returns the path of one of Debian's programs.
func Bin(t testing.TB, name string) string {
	t.Helper()
	p := filepath.Join(Dir(t), "bin", name)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("%s is not at hand", name)
	}
	return p
}

// Root returns the folder in which the packages are unpacked.
func Root(t testing.TB) string { return filepath.Join(Dir(t), "root") }

// Env is the environment of a program that works in a run directory of its own.
func Env(dir string) []string {
	env := []string{"OVS_RUNDIR=" + dir, "OVS_LOGDIR=" + dir, "OVS_DBDIR=" + dir, "OVS_SYSCONFDIR=" + dir, "TZ=UTC", "OVS_SYSLOG_METHOD=null"}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "OVS_") && !strings.HasPrefix(e, "TZ=") {
			env = append(env, e)
		}
	}
	return env
}

// Result is what a program did.
type Result struct {
	Stdout, Stderr string
	Code           int // 128+n for a death by signal n, as in a shell
}

// Run runs a program in directory dir with Env(dir), for at most half a minute.
func Run(t testing.TB, dir, argv0 string, args ...string) Result {
	t.Helper()
	cmd := exec.Command(argv0, args...)
	cmd.Dir, cmd.Env = dir, Env(dir)
	cmd.WaitDelay = 5 * time.Second
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	_ = cmd.Wait()
	guard.Stop()
	r := Result{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
	if r.Code < 0 {
		r.Code = 128 + int(cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	}
	return r
}

// OVSDBServer starts Debian's ovsdb-server on an empty Open_vSwitch database in
// a new directory; it ends with the test. The database socket is dir/db.sock,
// the control socket dir/ctl, the pid file dir/ovsdb-server.pid.
func OVSDBServer(t testing.TB, args ...string) (dir string) {
	t.Helper()
	dir = ShortTemp(t)
	db := filepath.Join(dir, "conf.db")
	schema := filepath.Join(Root(t), "usr/share/openvswitch/vswitch.ovsschema")
	if r := Run(t, dir, Bin(t, "ovsdb-tool"), "create", db, schema); r.Code != 0 {
		t.Fatalf("ovsdb-tool: %s", r.Stderr)
	}
	argv := append([]string{db, "--remote=punix:db.sock", "--pidfile", "--log-file", "--unixctl=" + filepath.Join(dir, "ctl")}, args...)
	cmd := exec.Command(Bin(t, "ovsdb-server"), argv...)
	cmd.Dir, cmd.Env = dir, Env(dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	Await(t, "ovsdb-server's sockets", func() bool {
		for _, name := range []string{"ctl", "db.sock"} { // there is a moment between bind and listen
			c, err := net.Dial("unix", filepath.Join(dir, name))
			if err != nil {
				return false
			}
			_ = c.Close()
		}
		_, err := os.Stat(filepath.Join(dir, "ovsdb-server.pid"))
		return err == nil
	})
	return dir
}

// ShortTemp is t.TempDir with a short path, as socket addresses need.
func ShortTemp(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Await polls for something another process does, for at most a minute.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Listening says whether a program has the UDP port of 127.0.0.1 open. To try
// the port instead may take it away from the program.
func Listening(t testing.TB, port int) bool {
	t.Helper()
	_, open := queue(t, port)
	return open
}

// Queued is how many bytes stand in the receive queue of a UDP port of
// 127.0.0.1.
func Queued(t testing.TB, port int) uint64 {
	t.Helper()
	n, _ := queue(t, port)
	return n
}

// queue looks for the port in the table of the calling thread's network
// namespace (proc(5)): /proc/net is that of the process's first thread, which a
// test may have taken elsewhere.
func queue(t testing.TB, port int) (bytes uint64, open bool) {
	t.Helper()
	raw, err := os.ReadFile("/proc/thread-self/net/udp")
	if err != nil {
		t.Skip(err)
	}
	for _, l := range strings.Split(string(raw), "\n") {
		f := strings.Fields(l)
		if len(f) > 4 && f[1] == fmt.Sprintf("0100007F:%04X", port) {
			_, rx, _ := strings.Cut(f[4], ":")
			n, _ := strconv.ParseUint(rx, 16, 64)
			return n, true
		}
	}
	return 0, false
}
