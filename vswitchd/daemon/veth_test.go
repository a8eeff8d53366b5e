package daemon_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"govs/vswitchd/daemon"
)

// A network is a namespace for the switch and one for each of the hosts, with
// a veth pair between the switch's and each host's: "v1" and so on in the
// switch's, "eth0" with the address 10.9.0.1/24 and so on in the host's.
type network struct {
	t     *testing.T
	at    string   // the switch's namespace
	hosts []string // the hosts' namespaces
}

func newNetwork(t *testing.T, hosts int) *network {
	if os.Getuid() != 0 {
		t.Skip("needs root: network namespaces, TAPs and packet sockets")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8)")
	}
	n := &network{t: t}
	n.at = n.add("sw")
	for h := 1; h <= hosts; h++ {
		host := n.add(fmt.Sprint("h", h))
		n.hosts = append(n.hosts, host)
		n.plug(h)
	}
	return n
}

// add makes a namespace for the time of the test.
func (n *network) add(what string) string {
	name := fmt.Sprintf("govs-%d-%x-%s", os.Getpid(), time.Now().UnixNano()&0xffffff, what)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		n.t.Skipf("cannot make a network namespace: %s", out)
	}
	n.t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	n.ip("-n", name, "link", "set", "lo", "up")
	return name
}

// plug lays the cable between the switch and host h, counted from 1.
func (n *network) plug(h int) {
	host := n.hosts[h-1]
	n.ip("-n", n.at, "link", "add", fmt.Sprint("v", h), "type", "veth", "peer", "name", "eth0", "netns", host)
	n.ip("-n", n.at, "link", "set", fmt.Sprint("v", h), "up")
	n.ip("-n", host, "addr", "add", fmt.Sprintf("10.9.0.%d/24", h), "dev", "eth0")
	n.ip("-n", host, "link", "set", "eth0", "up")
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		n.t.Fatalf("ip %v: %v: %s", args, err, out)
	}
}

// within runs the function on a thread of that namespace. The thread ends
// with it.
func (n *network) within(name string, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread is spoilt for others
		ns, err := netns.GetFromName(name)
		if err == nil {
			err = netns.Set(ns)
			ns.Close()
		}
		if err != nil {
			n.t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// reaches says whether host a gets an answer from an address.
func (n *network) reaches(a int, addr string) bool {
	return exec.Command("ip", "netns", "exec", n.hosts[a-1], "ping", "-c", "1", "-W", "1", addr).Run() == nil
}

// transfer sends bytes from host a to host b by TCP.
func (n *network) transfer(a, b, bytes int) error {
	var l net.Listener
	var err error
	n.within(n.hosts[b-1], func() { l, err = net.Listen("tcp", fmt.Sprintf("10.9.0.%d:0", b)) })
	if err != nil {
		return err
	}
	defer l.Close()
	got := make(chan int64, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			got <- -1
			return
		}
		defer c.Close()
		count, _ := io.Copy(io.Discard, c)
		got <- count
	}()
	n.within(n.hosts[a-1], func() {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", l.Addr().String(), 5*time.Second); err != nil {
			l.Close()
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		_, err = c.Write(make([]byte, bytes))
	})
	if err != nil {
		return err
	}
	if count := <-got; count != int64(bytes) {
		return fmt.Errorf("%d of %d bytes arrived", count, bytes)
	}
	return nil
}

// TestHosts is the switch at work: two hosts behind veths, an internal port
// for the machine itself, VLANs, a cable that is pulled.
func TestHosts(t *testing.T) {
	n := newNetwork(t, 2)
	wrap := func(f func()) { n.within(n.at, f) }
	l := newLab(t, wrap)
	l.start(daemon.Options{})
	if out := l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v2"); out != "" {
		t.Fatal(out)
	}
	if !n.reaches(1, "10.9.0.2") {
		t.Fatal("host 1 does not reach host 2; ", l.appctl("dpctl/dump-flows"), l.appctl("drops/show"))
	}
	if err := n.transfer(1, 2, 16<<20); err != nil {
		t.Error("TCP at default offloads: ", err)
	}
	if out := l.appctl("fdb/show", "br0"); strings.Count(out, "\n") < 3 {
		t.Errorf("nothing learned:\n%s", out)
	}

	n.ip("-n", n.at, "addr", "add", "10.9.0.9/24", "dev", "br0")
	n.ip("-n", n.at, "link", "set", "br0", "up")
	if !n.reaches(1, "10.9.0.9") {
		t.Error("host 1 does not reach the local port")
	}

	l.vsctl("set", "Port", "v1", "tag=10")
	l.appctl("revalidator/wait")
	if n.reaches(1, "10.9.0.2") {
		t.Error("hosts in different VLANs hear each other")
	}
	l.vsctl("set", "Port", "v2", "tag=10")
	l.appctl("revalidator/wait")
	if !n.reaches(1, "10.9.0.2") {
		t.Error("hosts in the same VLAN do not hear each other")
	}

	show := func() string { return l.vsctl("get", "Interface", "v1", "ofport", "error", "link_state") }
	n.ip("-n", n.at, "link", "del", "v1")
	l.eventually("v1 without its device", "2\n\"could not open network device v1 (No such device)\"\n[]", show)
	stats := func() string { return l.vsctl("get", "Interface", "v1", "statistics") }
	if got := stats(); got != "{}\n" {
		t.Errorf("statistics of v1 without its device: %s", got)
	}
	n.plug(1)
	l.eventually("v1 with its device back", "2\n[]\nup", show)
	if got := stats(); !strings.Contains(got, "rx_packets=") {
		t.Errorf("statistics of v1 with its device back: %s", got)
	}
	if !n.reaches(1, "10.9.0.2") {
		t.Error("host 1 does not reach host 2 over the new cable")
	}

	// An internal port that is given to another namespace serves it.
	l.vsctl("add-port", "br0", "i1", "tag=10", "--", "set", "Interface", "i1", "type=internal")
	guest := n.add("guest")
	show = func() string { return l.vsctl("get", "Interface", "i1", "error", "link_state", "ifindex") }
	index := strings.TrimSpace(l.vsctl("get", "Interface", "i1", "ifindex"))
	n.ip("-n", n.at, "link", "set", "i1", "netns", guest)
	l.eventually("i1 in another namespace", "[]\nup\n0", show)
	n.ip("-n", guest, "addr", "add", "10.9.0.8/24", "dev", "i1")
	n.ip("-n", guest, "link", "set", "i1", "up")
	if !n.reaches(1, "10.9.0.8") {
		t.Error("host 1 does not reach the internal port in its namespace")
	}
	l.vsctl("set", "Bridge", "br0", "external_ids:a=b")
	n.ip("-n", guest, "link", "set", "i1", "netns", n.at)
	n.ip("-n", n.at, "link", "set", "i1", "up")
	l.eventually("i1 come back", "[]\nup\n"+index, show)
	n.ip("-n", n.at, "link", "set", "i1", "netns", guest)
	n.ip("-n", guest, "link", "del", "i1")
	l.eventually("i1 made again in the switch's namespace", "<nil>", func() string {
		return fmt.Sprint(exec.Command("ip", "-n", n.at, "link", "show", "i1").Run())
	})

	l.quit()
	if err := exec.Command("ip", "-n", n.at, "link", "show", "br0").Run(); err == nil {
		t.Error("the TAP of br0 is still there")
	}
	l.start(daemon.Options{})
	if !n.reaches(1, "10.9.0.2") {
		t.Error("host 1 does not reach host 2 after the switch was started again")
	}
}

// TestDevices says what the database gets to know of real devices.
func TestDevices(t *testing.T) {
	n := newNetwork(t, 1)
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	l.start(daemon.Options{})
	for _, step := range []struct{ command, want string }{
		{"ovs-vsctl add-br br0", ""},
		{"ovs-vsctl get Interface br0 admin_state link_state mtu ofport status:driver_name", "down\ndown\n1500\n65534\ntun\n"},
		{"ovs-vsctl add-port br0 v1", ""},
		{"ovs-vsctl get Interface v1 admin_state link_state mtu duplex link_speed ofport", "up\nup\n1500\nfull\n10000000000\n1\n"},
		{"ovs-vsctl add-port br0 nodev", "ovs-vsctl: Error detected while setting up 'nodev': could not open network device nodev (No such device).  See ovs-vswitchd log for details.\novs-vsctl: The default log directory is \"DIR\".\n"},
		{"ovs-vsctl add-port br0 i1 -- set Interface i1 type=internal 'mac=\"02:00:00:00:00:77\"' mtu_request=1400", ""},
		{"ovs-vsctl get Interface i1 mac_in_use mtu", "\"02:00:00:00:00:77\"\n1400\n"},
		{"ovs-vsctl set Interface i1 mtu_request=1350", ""},
		{"ovs-vsctl get Interface i1 mtu", "1350\n"},
		{"ovs-vsctl set Bridge br0 'other_config:hwaddr=\"02:00:00:00:00:88\"'", ""},
		{"ovs-vsctl get Bridge br0 datapath_id", "\"0000020000000088\"\n"},
		{"ovs-vsctl get Interface br0 mac_in_use", "\"02:00:00:00:00:88\"\n"},
	} {
		if got := l.command(step.command); got != step.want {
			t.Errorf("%s: got %q, want %q", step.command, got, step.want)
		}
	}
	n.ip("-n", n.at, "link", "set", "v1", "mtu", "1300", "down")
	l.eventually("v1 down", "1300\ndown\ndown", func() string {
		return l.vsctl("get", "Interface", "v1", "mtu", "admin_state", "link_state")
	})
	// Under another name it is another device.
	show := func() string { return l.vsctl("get", "Interface", "v1", "ofport", "error") }
	n.ip("-n", n.at, "link", "set", "v1", "name", "w1")
	l.eventually("v1 with another name", "1\n\"could not open network device v1 (No such device)\"", show)
	n.ip("-n", n.at, "link", "set", "w1", "name", "v1")
	l.eventually("v1 with its name back", "1\n[]", show)

	// Its address, its carrier, and the namespace that it is in.
	n.ip("-n", n.at, "link", "set", "v1", "up", "address", "02:00:00:00:00:99")
	l.eventually("v1 up again, with another address", "\"02:00:00:00:00:99\"\nup", func() string {
		return l.vsctl("get", "Interface", "v1", "mac_in_use", "link_state")
	})
	resets := func() int {
		n, _ := strconv.Atoi(strings.TrimSpace(l.vsctl("get", "Interface", "v1", "link_resets")))
		return n
	}
	before := resets()
	for _, state := range []string{"down", "up"} {
		n.ip("-n", n.hosts[0], "link", "set", "eth0", state)
		l.eventually("the carrier of v1", state, func() string { return l.vsctl("get", "Interface", "v1", "link_state") })
	}
	if after := resets(); after != before+2 {
		t.Errorf("link_resets: %d after two changes, it was %d", after, before)
	}
	n.ip("-n", n.at, "link", "set", "v1", "netns", n.hosts[0])
	l.eventually("v1 in another namespace", "1\n\"could not open network device v1 (No such device)\"", show)
	n.ip("-n", n.hosts[0], "link", "set", "v1", "netns", n.at)
	n.ip("-n", n.at, "link", "set", "v1", "up")
	l.eventually("v1 back", "1\n[]", show)
	l.eventually("v1 back and up", "up", func() string { return l.vsctl("get", "Interface", "v1", "link_state") })

	n.ip("-n", n.at, "link", "del", "i1")
	l.eventually("i1 made again", "[]\n\"02:00:00:00:00:77\"", func() string {
		return l.vsctl("get", "Interface", "i1", "error", "mac_in_use")
	})
}
