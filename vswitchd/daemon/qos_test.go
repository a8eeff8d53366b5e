package daemon_test

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"govs/vswitchd/daemon"
)

// sentBy is how many bytes left by a queue, "Default" or "Queue N".
func (l *lab) sentBy(iface, queue string) int {
	l.t.Helper()
	_, after, _ := strings.Cut(l.appctl("qos/show", iface), queue+":\n")
	m := regexp.MustCompile(`tx_bytes: (\d+)`).FindStringSubmatch(after)
	if m == nil {
		l.t.Fatalf("no %s of %s: %s", queue, iface, l.appctl("qos/show", iface))
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestQoS has ports with QoS: TCP is no faster than they are, whatever went on
// before in the kernel's flow cache, and fast again without it.
func TestQoS(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 3)
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	l.start(daemon.Options{})
	l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v2", "--", "add-port", "br0", "v3")
	if err := n.transfer(1, 3, 4<<20); err != nil { // fills the cache
		t.Fatal(err)
	}
	for _, x := range [][2]string{
		{"qos/show v3", "QoS not configured on v3\n"},
		{"qos/show nobody", "no such interface\novs-appctl: DIR/ctl: server returned an error\n"},
		{"qos/show-types v3", "QoS type: linux-netem\nQoS type: linux-fq_codel\nQoS type: linux-codel\nQoS type: linux-hfsc\n" +
			"QoS type: linux-noop\nQoS type: linux-sfq\nQoS type: linux-htb\nQoS type: egress-policer\n"},
	} {
		if got := l.appctl(strings.Fields(x[0])...); got != x[1] {
			t.Errorf("%s: %q, want %q", x[0], got, x[1])
		}
	}
	if out := l.vsctl("set", "Port", "v3", "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-htb", "other_config:max-rate=50000000",
		"queues:1=@a", "queues:2=@b", "--", "--id=@a", "create", "Queue", "other_config:max-rate=10000000",
		"--", "--id=@b", "create", "Queue", "other_config:max-rate=40000000"); strings.Contains(out, "ovs-vsctl") {
		t.Fatal(out)
	}
	if got := l.vsctl("get", "Interface", "v3", "status:qos"); got != "\"linux-htb by the switch (large segments are cut at such rates)\"\n" {
		t.Errorf("status of v3: %s", got)
	}
	timed := func(from, to, bytes int, least time.Duration) {
		t.Helper()
		start := time.Now()
		if err := n.transfer(from, to, bytes); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < least {
			t.Errorf("%d bytes from host %d to host %d took %v, want %v at least", bytes, from, to, took, least)
		}
	}
	// A tenth of a second's worth may wait in the queue when the sender is done.
	timed(1, 3, 4<<20, 500*time.Millisecond) // 670 ms at 50 Mbit/s
	if got := l.sentBy("v3", "Default"); got < 4<<20 {
		t.Errorf("%d bytes by the default queue", got)
	}
	// Two guests have rates of their own.
	for port, rate := range map[string]string{"v1": "10000000", "v2": "40000000"} {
		if out := l.vsctl("set", "Port", port, "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-htb", "other_config:max-rate="+rate); strings.Contains(out, "ovs-vsctl") {
			t.Fatal(out)
		}
	}
	timed(3, 1, 1<<20, 600*time.Millisecond) // 840 ms
	timed(3, 2, 4<<20, 600*time.Millisecond) // 840 ms
	if got := l.sentBy("v1", "Default"); got < 1<<20 {
		t.Errorf("%d bytes to host 1", got)
	}

	// A type that is not there leaves the port without QoS, and working.
	if out := l.vsctl("set", "Port", "v3", "qos=@q", "--", "--id=@q", "create", "QoS", "type=magic"); strings.Contains(out, "ovs-vsctl") {
		t.Fatal(out)
	}
	if got := l.appctl("qos/show", "v3"); got != "QoS not configured on v3\n" {
		t.Errorf("%q", got)
	}
	if err := n.transfer(1, 3, 16<<20); err != nil {
		t.Error(err)
	}
	if got := l.vsctl("--if-exists", "get", "Interface", "v3", "status:qos"); got != "\n" {
		t.Errorf("status of v3 without QoS: %q", got)
	}
}

// TestQoSByKernel has a rate at which the kernel does it: packets go on in the
// flow cache. An administrator's discipline stays, and is obeyed where the row
// says so.
func TestQoSByKernel(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2)
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	l.start(daemon.Options{})
	l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v2")
	set := func(row ...string) {
		t.Helper()
		if out := l.vsctl(append([]string{"set", "Port", "v2", "qos=@q", "--", "--id=@q", "create", "QoS"}, row...)...); strings.Contains(out, "ovs-vsctl") {
			t.Fatal(out)
		}
	}
	status := func() string { return strings.Trim(l.vsctl("get", "Interface", "v2", "status:qos"), "\"\n") }
	qdisc := func() string {
		out, _ := exec.Command("ip", "netns", "exec", n.at, "tc", "qdisc", "show", "dev", "v2", "root").Output()
		return strings.Join(append(strings.Fields(string(out)), "?", "?")[1:2], "")
	}
	if qdisc() == "?" {
		t.Skip("needs tc(8)")
	}
	if err := n.transfer(1, 2, 1<<20); err != nil {
		t.Fatal(err)
	}
	set("type=linux-htb", "other_config:max-rate=400000000")
	if got := status(); strings.Contains(got, "the kernel gives no qdisc htb") {
		t.Skip(got)
	} else if got != "linux-htb by the kernel" {
		t.Errorf("status of v2: %s", got)
	}
	start := time.Now()
	if err := n.transfer(1, 2, 32<<20); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < 500*time.Millisecond { // 670 ms at 400 Mbit/s
		t.Errorf("32 MB took %v\n%s", took, l.appctl("dpctl/dump-flows", "-m"))
	}
	if got := l.sentBy("v2", "Default"); got < 32<<20 {
		t.Errorf("%d bytes by the default queue", got)
	}
	l.vsctl("clear", "Port", "v2", "qos")
	if got := qdisc(); got != "noqueue" {
		t.Errorf("%s is left", got)
	}

	// The end of the switch gives the device back.
	set("type=linux-htb", "other_config:max-rate=400000000")
	l.sw.Cleanup()
	l.quit()
	if got := qdisc(); got != "noqueue" {
		t.Errorf("%s is left by a switch that cleaned up", got)
	}
	l.start(daemon.Options{})
	if got := status(); got != "linux-htb by the kernel" {
		t.Errorf("status of v2 after a restart: %s", got)
	}
	l.vsctl("del-port", "v2")
	if got := qdisc(); got != "noqueue" {
		t.Errorf("%s is left by a port that is gone", got)
	}
	l.vsctl("add-port", "br0", "v2")

	// An administrator has a discipline of his own.
	if out, err := exec.Command("ip", "netns", "exec", n.at, "tc", "qdisc", "add", "dev", "v2", "root", "tbf", "rate", "50mbit", "burst", "70kb", "latency", "100ms").CombinedOutput(); err != nil {
		t.Skipf("no qdisc tbf: %s", out)
	}
	set("type=linux-htb", "other_config:max-rate=400000000")
	if got := status(); got != "linux-htb by the switch (the device has a queueing discipline of somebody else, tbf)" {
		t.Errorf("status of v2: %s", got)
	}
	set("type=linux-noop")
	if got := status(); got != "linux-noop by the device's own queueing discipline" {
		t.Errorf("status of v2: %s", got)
	}
	start = time.Now()
	if err := n.transfer(1, 2, 4<<20); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took < 500*time.Millisecond { // 670 ms at 50 Mbit/s
		t.Errorf("4 MB took %v through a discipline of 50 Mbit/s", took)
	}
	l.quit()
	if got := qdisc(); got != "tbf" {
		t.Errorf("%s is left of the administrator's tbf", got)
	}
}

var sentCounts = regexp.MustCompile(`(tx_\w+): \d+`)

// TestQoSAsC gives the C switch and ours the same rows, at random: qos/show
// prints the same, but for the counters.
func TestQoSAsC(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 0)
	there := n.add("far")
	n.cable(n.at, "p0", n.add("end"), "e0")
	n.cable(there, "p0", n.add("fend"), "e0")
	ours, theirs := newOurs(n, n.at), newForeign(n, there)
	both := func(args ...string) {
		t.Helper()
		for _, sw := range []far{ours, theirs} {
			if out := sw.vsctl(args...); strings.Contains(out, "ovs-vsctl") {
				t.Fatal(out)
			}
		}
	}
	both("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "p0")
	both("set", "Port", "p0", "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-htb")
	if got := theirs.appctl("qos/show", "p0"); !strings.HasPrefix(got, "QoS: p0 linux-htb\n") {
		t.Skip("the C switch has no linux-htb here: ", got)
	}
	r := rand.New(rand.NewPCG(7, 9))
	rate := func() string {
		return []string{"0", "1", "8000", "100000", "12345678", "999999999", "10000000000", "-5", "fast", "12x", " 7"}[r.IntN(11)]
	}
	for range 40 {
		row := []string{"set", "Port", "p0", "qos=@q", "--", "--id=@q", "create", "QoS", "type=linux-htb"}
		// C has no rates beyond 34 Gbit/s, which is what a negative one comes to.
		if x := rate(); r.IntN(3) > 0 && x[0] != '-' {
			row = append(row, fmt.Sprintf("other_config:max-rate=%q", x))
		}
		var queues []string
		for _, id := range []int{0, 1, 2, 9, 61439}[:r.IntN(6)] {
			if r.IntN(4) == 0 {
				continue
			}
			row = append(row, fmt.Sprintf("queues:%d=@q%d", id, id))
			queues = append(queues, "--", fmt.Sprintf("--id=@q%d", id), "create", "Queue", "external_ids:a=b")
			for _, key := range []string{"min-rate", "max-rate", "burst"} {
				if r.IntN(2) == 0 {
					queues = append(queues, fmt.Sprintf("other_config:%s=%q", key, rate()))
				}
			}
			if r.IntN(3) == 0 {
				queues = append(queues, fmt.Sprintf("other_config:priority=%d", r.IntN(5)))
			}
		}
		row = append(row, queues...)
		both(row...)
		show := func(sw far) string { // C has the queues in the order of a hash table
			parts := strings.Split(strings.TrimSpace(sentCounts.ReplaceAllString(sw.appctl("qos/show", "p0"), "$1: N")), "\n\n")
			slices.Sort(parts[1:])
			return strings.Join(parts, "\n\n")
		}
		if got, want := show(ours), show(theirs); got != want {
			t.Errorf("%s\n--- C\n%s--- ours\n%s", strings.Join(row[5:], " "), want, got)
		}
	}
}
