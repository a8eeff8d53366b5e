package brcompatd

import (
	"net"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A caller whose memory changes while it is read gets an answer about the one
// name or the other, and nothing else becomes of it.
func TestChangingMemory(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.same("flips", w.ok(w.launch("none", w.caller(runtime.GOARCH), "flips", "b0")), "bad: 0\n")
	w.same("bridges", w.vsctl("list-br"), "b0\n")
}

// A flood of calls from one session, whose program is killed in the middle, does
// not keep others waiting, and nothing of it is left.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	caller := w.caller(runtime.GOARCH)
	cmd := exec.Command(w.brcompat(), "exec", "--sysfs=none", "--", caller, "flood", "b0")
	cmd.Env = w.env
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil { // it has begun
		t.Fatal(err)
	}
	for range 5 {
		w.ok(w.brctl("none", "show", "b0"))
	}
	cmd.Process.Kill()
	cmd.Wait()
	var show string
	w.wait("the end of the sessions", func() bool {
		show = w.must(w.tool("ovs-appctl"), "-t", "ovs-brcompatd", "brcompat/show")
		return strings.Contains(show, "sessions: 0 now")
	})
}

// A daemon without free descriptors says so, or lets launchers wait, and goes on
// when some are free again.
func TestDescriptors(t *testing.T) {
	w := newWorld(t)
	w.ok(w.brctl("none", "addbr", "b0"))
	pid := w.pid()
	var old unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 40, Max: 4096}, &old); err != nil {
		t.Skipf("cannot limit the daemon: %v", err)
	}
	var conns []net.Conn
	for range 60 {
		c, err := net.Dial("unixpacket", w.run+"/brcompat.sock")
		if err != nil {
			break
		}
		conns = append(conns, c)
	}
	done := make(chan result)
	go func() { done <- w.exec(nil, w.brcompat(), "exec", "--sysfs=none", "--", w.tool("brctl"), "show", "b0") }()
	for _, c := range conns {
		c.Close()
	}
	if r := <-done; r.status != 0 && !strings.Contains(r.err, "ovs-brcompatd") {
		t.Errorf("a launcher meanwhile: %s", r)
	}
	if !strings.Contains(w.ok(w.brctl("none", "show", "b0")), "b0") {
		t.Error("the daemon does not answer any more")
	}
}
