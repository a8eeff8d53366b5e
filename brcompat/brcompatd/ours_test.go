package brcompatd

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/stream/streamtest"
)

// With our own servers, what brctl does is done when it returns: the bridge's
// device is there, and frames pass.
func TestTraffic(t *testing.T) {
	w := ourWorld(t)
	w.veth("v0", "v1")
	w.veth("w0", "w1")
	for _, dev := range []string{"v0", "v1", "w0", "w1"} {
		w.ip("link", "set", dev, "up")
	}
	w.ok(w.brctl("hide", "addbr", "extern0"))
	w.ip("link", "set", "extern0", "up")
	w.ok(w.brctl("hide", "addif", "extern0", "v0"))
	w.ok(w.brctl("hide", "addif", "extern0", "w0"))

	from, to := frames(t, "v1"), frames(t, "w1")
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0xaa, 0x88, 0xb5}, make([]byte, 50)...)
	copy(frame[14:], "brctl did it")
	if _, err := unix.Write(from, frame); err != nil {
		t.Fatal(err)
	}
	if !receive(to, "brctl did it") {
		t.Fatal("the frame did not arrive")
	}
	macs := w.ok(w.brctl("hide", "showmacs", "extern0"))
	if !strings.Contains(macs, "  1\t02:00:00:00:00:aa\tno\t\t") {
		t.Errorf("the address was not learned on port 1:\n%s", macs)
	}
	w.same("show", mask(w.ok(w.brctl("hide", "show"))),
		"bridge name\tbridge id\t\tSTP enabled\tinterfaces\nextern0\t\t8000.MMMMMMMMMMMM\tno\t\tv0\n\t\t\t\t\t\t\tw0\n")
	if r := w.brctl("hide", "delbr", "extern0"); r.err != "bridge extern0 is still up; can't delete it\n" {
		t.Errorf("delbr: %s", r)
	}
	w.ip("link", "set", "extern0", "down")
	w.ok(w.brctl("hide", "delbr", "extern0"))
	if exec.Command("ip", "link", "show", "extern0").Run() == nil {
		t.Error("the bridge's device is still there")
	}
}

// An address that somebody gives a bridge stays, as it does on a bridge of the
// kernel's, whatever ports come.
func TestAddress(t *testing.T) {
	w := ourWorld(t)
	w.ip("link", "add", "v0", "address", "00:16:3e:00:00:01", "type", "veth", "peer", "name", "v1")
	t.Cleanup(func() { exec.Command("ip", "link", "del", "v0").Run() })
	id := func() string {
		t.Helper()
		f := strings.Fields(w.ok(w.brctl("hide", "show", "b0")))
		return f[8]
	}
	w.ok(w.brctl("hide", "addbr", "b0"))
	w.ok(w.brctl("hide", "addif", "b0", "v0"))
	w.same("the port's", id(), "8000.00163e000001")
	w.same("hwaddr", w.vsctl("get", "Bridge", "b0", "other_config"), "{}\n")
	w.ok(w.brctl("hide", "delif", "b0", "v0"))
	w.ip("link", "set", "b0", "address", "00:16:3e:00:00:99")
	w.wait("the address", func() bool {
		return w.vsctl("get", "Bridge", "b0", "other_config") == "{hwaddr=\"00:16:3e:00:00:99\"}\n"
	})
	w.ok(w.brctl("hide", "addif", "b0", "v0"))
	w.same("the one that was given", id(), "8000.00163e000099")
	w.ok(w.brctl("hide", "delbr", "b0"))
	w.ok(w.brctl("hide", "addbr", "b0"))
	w.same("of a new bridge", w.vsctl("get", "Bridge", "b0", "other_config"), "{}\n")
	w.ok(w.brctl("hide", "delbr", "b0"))
}

// frames opens a packet socket on a device, which waits a second at the most.
func frames(t *testing.T, device string) int {
	t.Helper()
	dev, err := net.InterfaceByName(device)
	if err != nil {
		t.Fatal(err)
	}
	const all = unix.ETH_P_ALL>>8 | unix.ETH_P_ALL<<8&0xff00
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: dev.Index}); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// receive tells whether a frame with the text arrives.
func receive(fd int, text string) bool {
	buf := make([]byte, 2048)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		if n, err := unix.Read(fd, buf); err == nil && strings.Contains(string(buf[:n]), text) {
			return true
		}
	}
	return false
}

// The timers of a spanning tree are those of the switch.
func TestTimers(t *testing.T) {
	w := ourWorld(t)
	w.veth("v0", "v1")
	for _, dev := range []string{"v0", "v1"} {
		w.ip("link", "set", dev, "up")
	}
	w.ok(w.brctl("hide", "addbr", "b0"))
	w.ok(w.brctl("hide", "addif", "b0", "v0"))
	zero := w.ok(w.brctl("hide", "showstp", "b0"))
	w.ok(w.brctl("hide", "stp", "b0", "on"))
	for _, timer := range []string{"hello timer", "forward delay timer"} {
		left := regexp.MustCompile(timer + `\t+ *([0-9]+\.[0-9]{2})`)
		if m := left.FindStringSubmatch(zero); m == nil || m[1] != "0.00" {
			t.Errorf("%s without STP: %q", timer, m)
		}
		w.wait(timer, func() bool {
			m := left.FindStringSubmatch(w.ok(w.brctl("hide", "showstp", "b0")))
			if m == nil {
				t.Fatalf("no %s", timer)
			}
			return m[1] != "0.00"
		})
	}
}

// A database behind TLS is as good as one on a socket, and comes back as well.
func TestTLS(t *testing.T) {
	w := ourWorld(t)
	w.ip("link", "set", "lo", "up")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(free.Addr().(*net.TCPAddr).Port)
	free.Close()
	keys := streamtest.Keys(t)
	tls := []string{"--private-key=" + keys.PrivateKey, "--certificate=" + keys.Certificate, "--ca-cert=" + keys.CACert}
	restart := func() {
		t.Helper()
		w.ovsdb.Process.Kill()
		w.ovsdb.Wait()
		os.Remove(filepath.Join(w.run, "db.sock"))
		w.startDB(append(tls, "--remote=pssl:"+port+":127.0.0.1")...)
	}
	restart()
	pid := w.pid()
	unix.Kill(pid, unix.SIGTERM)
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	w.startDaemonOn(append(tls, "ssl:127.0.0.1:"+port)...)
	w.ok(w.brctl("none", "addbr", "b0"))
	w.same("bridges", w.vsctl("list-br"), "b0\n")
	restart()
	w.ok(w.brctl("none", "addbr", "b1"))
	w.same("bridges", w.vsctl("list-br"), "b0\nb1\n")

	// Without keys it says so, and tries on.
	pid = w.pid()
	unix.Kill(pid, unix.SIGTERM)
	w.wait("the daemon's end", func() bool { return !alive(pid) })
	w.startDaemonOn("ssl:127.0.0.1:" + port)
	log, err := os.ReadFile(w.run + "/ovs-brcompatd.log")
	if err != nil || !strings.Contains(string(log), "ssl:127.0.0.1:"+port+": connection attempt failed") {
		t.Errorf("the log says nothing of missing keys: %v\n%s", err, log)
	}
}
