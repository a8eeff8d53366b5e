package daemon_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/internal/debs"
	"govs/vswitchd/daemon"
)

// TestMain lets tests run beside each other that wait for the timers of
// protocols most of their time.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		_ = f.Value.Set("4")
	}
	os.Exit(m.Run())
}

// A far is a switch at the other end of the cables.
type far interface {
	vsctl(args ...string) string
	appctl(args ...string) string
}

// A foreign is Debian's ovs-vswitchd with its userspace datapath, in a network
// namespace.
type foreign struct{ *lab }

func newForeign(n *network, at string) *foreign {
	n.t.Helper()
	f := &foreign{lab: newLab(n.t, nil)}
	cmd := exec.Command("ip", "netns", "exec", at, filepath.Join(f.bin, "ovs-vswitchd"), "unix:"+f.path("db.sock"),
		"--disable-system", "--pidfile="+f.path("vs.pid"), "--unixctl="+f.path("ctl"), "-vconsole:off", "--log-file="+f.path("vs.log"))
	cmd.Env = debs.Env(f.dir)
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() {
		f.appctl("exit", "--cleanup")
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	debs.Await(n.t, "the C switch's socket", func() bool {
		c, err := net.Dial("unix", f.path("ctl"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return f
}

// newOurs is a switch of ours in a network namespace.
func newOurs(n *network, at string) *lab {
	n.t.Helper()
	l := newLab(n.t, func(f func()) { n.within(at, f) })
	l.start(daemon.Options{})
	return l
}

// cable lays a cable between two namespaces.
func (n *network) cable(at, name, there, far string) {
	n.t.Helper()
	n.ip("-n", at, "link", "add", name, "type", "veth", "peer", "name", far, "netns", there)
	n.ip("-n", at, "link", "set", name, "up")
	n.ip("-n", there, "link", "set", far, "up")
}

// host adds a host behind a port of a switch's namespace, with the address
// 10.9.0.N, and returns its namespace.
func (n *network) host(at, port string, no int) string {
	n.t.Helper()
	h := n.add(fmt.Sprint("h", no))
	n.cable(at, port, h, "eth0")
	n.ip("-n", h, "addr", "add", fmt.Sprintf("10.9.0.%d/24", no), "dev", "eth0")
	return h
}

// ping pings from a host, and returns what ping says.
func ping(host string, no, count int) (string, error) {
	patience := "5"
	if count == 1 {
		patience = "1" // who asks for one asks again
	}
	out, err := exec.Command("ip", "netns", "exec", host, "ping", "-i", "0.05", "-c", fmt.Sprint(count), "-W", patience, fmt.Sprintf("10.9.0.%d", no)).CombinedOutput()
	return string(out), err
}

// A stream is a packet a millisecond from one host to another, for as long as
// something is done.
type stream struct {
	sent, lost, twice int
	gap               time.Duration // the longest time without a packet
}

// streamed runs a stream, does something in its middle, and returns what was
// lost. The hosts' ARP is settled before.
func (n *network) streamed(from, to string, no int, do func()) (s stream) {
	n.t.Helper()
	var in *net.UDPConn
	var err error
	n.within(to, func() { in, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, byte(no))}) })
	if err != nil {
		n.t.Fatal(err)
	}
	var out *net.UDPConn
	n.within(from, func() { out, err = net.DialUDP("udp4", nil, in.LocalAddr().(*net.UDPAddr)) })
	if err != nil {
		n.t.Fatal(err)
	}
	defer out.Close()
	// The C switch does not complete the checksums that veths leave undone.
	if raw, err := out.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_NO_CHECK, 1) })
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			if _, err := out.Write([]byte{byte(s.sent >> 16), byte(s.sent >> 8), byte(s.sent)}); err == nil {
				s.sent++
			}
		}
	}()
	seen := make(map[int]int)
	heard := make(chan time.Duration)
	go func() {
		var gap time.Duration
		last := time.Now()
		b := make([]byte, 100)
		for {
			k, err := in.Read(b)
			if err != nil {
				heard <- gap
				return
			}
			if k == 3 {
				gap = max(gap, time.Since(last))
				last = time.Now()
				seen[int(b[0])<<16|int(b[1])<<8|int(b[2])]++
			}
		}
	}()
	time.Sleep(200 * time.Millisecond) // traffic before, which is what is measured
	do()
	close(stop)
	<-done
	_ = in.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	s.gap = <-heard
	_ = in.Close()
	s.lost = s.sent - len(seen)
	for _, k := range seen {
		if k > 1 {
			s.twice++
		}
	}
	return s
}

func (s stream) String() string {
	return fmt.Sprintf("%d packets of %d lost, %d came twice, longest silence %v", s.lost, s.sent, s.twice, s.gap.Round(time.Millisecond))
}

// count is how often a text stands in what a command prints.
func count(text, what string) int { return strings.Count(text, what) }

// await waits until the function says true.
func await(t *testing.T, what string, ok func() bool, also ...func() string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	for _, f := range also {
		t.Log(f())
	}
	t.Fatalf("%s: not within 90 s", what)
}
