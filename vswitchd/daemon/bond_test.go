package daemon_test

import (
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestBondLACP is two cables between two switches, which agree by LACP that
// they are one: flows are spread over both, and one that is pulled takes
// nothing along. The other switch is Debian's, and one of ours.
func TestBondLACP(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(n *network, at string) far{
		"C":    func(n *network, at string) far { return newForeign(n, at) },
		"ours": func(n *network, at string) far { return newOurs(n, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bondLACP(t, name == "ours", start)
		})
	}
}

func bondLACP(t *testing.T, lb bool, start func(n *network, at string) far) {
	n := newNetwork(t, 0)
	there := n.add("far")
	n.cable(n.at, "e1", there, "f1")
	n.cable(n.at, "e2", there, "f2")
	h1, h2 := n.host(n.at, "v1", 1), n.host(there, "w1", 2)
	near, other := newOurs(n, n.at), start(n, there)
	if out := near.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-bond", "br0", "bond0", "e1", "e2", "lacp=active",
		"bond_mode=balance-tcp", fmt.Sprint("other_config:lb-output-action=", lb)); out != "" {
		t.Fatal(out)
	}
	if out := other.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "w1", "--",
		"add-bond", "br0", "bond0", "f1", "f2", "lacp=passive", "bond_mode=balance-tcp"); out != "" {
		t.Fatal(out)
	}
	near.say = func() string {
		return near.appctl("lacp/show") + near.appctl("bond/show") + other.appctl("lacp/show") + other.appctl("bond/show") +
			near.appctl("dpctl/dump-flows", "--names") + near.appctl("drop/show")
	}
	whole := func() bool {
		return count(near.appctl("lacp/show"), "current attached") == 2 && count(other.appctl("lacp/show"), "current attached") == 2 &&
			enabled(near) == 2 && enabled(other) == 2
	}
	await(t, "LACP on both ends", whole, near.say)
	await(t, "ping over the bond", func() bool { _, err := ping(h1, 2, 1); return err == nil }, near.say)
	if out, err := ping(h1, 2, 5); err != nil || strings.Contains(out, "DUP!") {
		t.Errorf("ping: %v\n%s", err, out)
	}
	near.eventually("lacp_current", "true", func() string { return near.vsctl("get", "Interface", "e1", "lacp_current") })

	// Many flows use both cables.
	before := [2]int{sentBy(t, n.at, "e1"), sentBy(t, n.at, "e2")}
	n.within(h1, func() {
		for i := range 200 {
			c, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 2000 + i})
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = c.Write(make([]byte, 100))
			c.Close()
		}
	})
	await(t, "flows on both cables", func() bool {
		return sentBy(t, n.at, "e1") > before[0]+40 && sentBy(t, n.at, "e2") > before[1]+40
	}, near.say)

	s := n.streamed(h1, h2, 2, func() {
		n.ip("-n", there, "link", "set", "f1", "down")
		await(t, "the end of e1", func() bool { return enabled(near) == 1 })
		if _, err := ping(h1, 2, 10); err != nil {
			t.Error("ping over the other cable: ", err, near.say())
		}
	})
	t.Log("cable pulled: ", s)
	if s.twice > 0 {
		t.Errorf("%d packets came twice", s.twice)
	}
	n.ip("-n", there, "link", "set", "f1", "up")
	await(t, "both cables again", whole, near.say)
	if stats := near.appctl("lacp/show-stats"); !regexp.MustCompile(`RX PDUs: [1-9]`).MatchString(stats) {
		t.Error(stats)
	}
}

// enabled is how many members of its bond a switch uses.
func enabled(s far) int {
	return len(regexp.MustCompile(`(?m)^member \S+: enabled$`).FindAllString(s.appctl("bond/show"), -1))
}

// sentBy is how many packets a device has sent.
func sentBy(t *testing.T, at, dev string) int {
	t.Helper()
	out, err := exec.Command("ip", "netns", "exec", at, "cat", fmt.Sprintf("/sys/class/net/%s/statistics/tx_packets", dev)).Output()
	k, err2 := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return k
}

// TestBondPlain is a bond to a switch that knows nothing of it, a Linux
// bridge: nothing comes twice or goes around, and when a cable is pulled the
// bridge learns where the stations are now.
func TestBondPlain(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"active-backup", "balance-slb"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			bondPlain(t, mode)
		})
	}
}

func bondPlain(t *testing.T, mode string) {
	n := newNetwork(t, 0)
	there := n.add("far")
	if out, err := exec.Command("ip", "-n", there, "link", "add", "lbr", "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("cannot make a Linux bridge: %s", out)
	}
	n.ip("-n", there, "link", "set", "lbr", "up")
	for _, i := range []string{"1", "2"} {
		n.cable(n.at, "e"+i, there, "f"+i)
		n.ip("-n", there, "link", "set", "f"+i, "master", "lbr")
	}
	h1, h2 := n.host(n.at, "v1", 1), n.host(there, "w1", 2)
	n.host(n.at, "v3", 3)
	n.ip("-n", there, "link", "set", "w1", "master", "lbr")
	l := newOurs(n, n.at)
	if out := l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v3", "--",
		"add-bond", "br0", "bond0", "e1", "e2", "bond_mode="+mode); out != "" {
		t.Fatal(out)
	}
	await(t, "ping over the bond", func() bool { _, err := ping(h1, 2, 1); return err == nil }, func() string { return l.appctl("bond/show") })
	for _, to := range []int{2, 3} {
		if out, err := ping(h1, to, 10); err != nil || strings.Contains(out, "DUP!") {
			t.Errorf("ping: %v\n%s", err, out)
		}
	}
	active := "e1"
	if !strings.Contains(l.appctl("bond/show"), "member e1: enabled\n  active member") {
		active = "e2"
	}
	left := map[string]string{"e1": "f2", "e2": "f1"}[active]
	addr, err := exec.Command("ip", "netns", "exec", h1, "cat", "/sys/class/net/eth0/address").Output()
	if err != nil {
		t.Fatal(err)
	}
	s := n.streamed(h2, h1, 1, func() {
		n.ip("-n", there, "link", "set", strings.Replace(active, "e", "f", 1), "down")
		await(t, "the bridge to learn of the other cable", func() bool {
			out, _ := exec.Command("bridge", "-n", there, "fdb", "show", "dev", left).Output()
			return strings.Contains(string(out), strings.TrimSpace(string(addr)))
		}, func() string { return l.appctl("bond/show") + l.appctl("fdb/show", "br0") })
	})
	t.Logf("%s: cable pulled: %s", mode, s)
	if out, err := ping(h1, 2, 10); err != nil || strings.Contains(out, "DUP!") {
		t.Errorf("ping: %v\n%s", err, out)
	}
}

// TestBondWatched is a bond whose cables are watched by BFD or CFM: it moves to
// the other cable when one carries nothing any more while both ends' carriers
// stay up, as where a media converter fails.
func TestBondWatched(t *testing.T) {
	t.Parallel()
	for _, by := range []string{"BFD", "CFM"} {
		for name, start := range others {
			t.Run(by+"/"+name, func(t *testing.T) {
				t.Parallel()
				bondWatched(t, by, start)
			})
		}
	}
}

func bondWatched(t *testing.T, by string, start func(n *network, at string) far) {
	n := newNetwork(t, 0)
	there, mid := n.add("far"), n.add("mid")
	for _, i := range []string{"1", "2"} {
		n.spliced(mid, n.at, "e"+i, there, "f"+i)
	}
	h1, h2 := n.host(n.at, "v1", 1), n.host(there, "w1", 2)
	near, other := newOurs(n, n.at), start(n, there)
	for _, end := range []struct {
		far
		host, dev string
		mpid      int
	}{{near, "v1", "e", 10}, {other, "w1", "f", 20}} {
		args := []string{"add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", end.host, "--",
			"add-bond", "br0", "bond0", end.dev + "1", end.dev + "2", "bond_mode=active-backup"}
		for i := 1; i <= 2; i++ {
			args = append(args, "--", "set", "Interface", fmt.Sprint(end.dev, i))
			if by == "BFD" {
				args = append(args, "bfd:enable=true", "bfd:min_rx=200", "bfd:min_tx=200")
			} else {
				args = append(args, fmt.Sprint("cfm_mpid=", end.mpid+i), "other_config:cfm_interval=200", "other_config:cfm_extended=true")
			}
		}
		if out := end.vsctl(args...); out != "" {
			t.Fatal(out)
		}
	}
	say := func() string {
		return near.appctl("bond/show") + other.appctl("bond/show") + near.appctl("bfd/show") + near.appctl("cfm/show")
	}
	both := func() bool { return enabled(near) == 2 && enabled(other) == 2 }
	reaches := func() bool { _, err := ping(h1, 2, 1); return err == nil }
	active := func(s far) string {
		if m := regexp.MustCompile(`member \w(\d): enabled\n  active member`).FindStringSubmatch(s.appctl("bond/show")); m != nil {
			return m[1]
		}
		return ""
	}
	await(t, "both cables to carry", both, say)
	// Each end chooses for itself: they are to choose the same one.
	other.appctl("bond/set-active-member", "bond0", "f"+active(near))
	await(t, "ping over the bond", reaches, say)

	for range 2 { // there and back
		was := active(near)
		dev, bridge := "e"+was, "lbr"+was
		s := n.streamed(h2, h1, 1, func() {
			n.ip("-n", mid, "link", "set", bridge, "down")
			await(t, "both ends to leave the cable", func() bool {
				return enabled(near) == 1 && enabled(other) == 1 && active(near) == active(other) && active(near) != was && active(near) != ""
			}, say)
			await(t, "ping over the other cable", reaches, say)
		})
		t.Logf("cable fails: %s", s)
		if got := column(near, dev, "link_state"); got != "up" {
			t.Errorf("the carrier of %s is %s", dev, got)
		}
		n.ip("-n", mid, "link", "set", bridge, "up")
		await(t, "both cables to carry again", both, say)
	}
	if by == "BFD" {
		return
	}
	// A far end that says that it is not operational is left alone, without a fault.
	was := active(near)
	other.vsctl("set", "Interface", "f"+was, "other_config:cfm_opstate=down")
	await(t, "the near end to leave the cable", func() bool { return enabled(near) == 1 && active(near) != was && active(near) != "" }, say)
	if got := column(near, "e"+was, "cfm_fault"); got != "false" {
		t.Errorf("fault %s", got)
	}
}

// spliced lays a cable between two namespaces with a bridge of the kernel's,
// "lbr" with the last character of the device's name, in its middle.
func (n *network) spliced(mid, at, dev, there, far string) {
	n.t.Helper()
	i := dev[len(dev)-1:]
	if out, err := exec.Command("ip", "-n", mid, "link", "add", "lbr"+i, "type", "bridge").CombinedOutput(); err != nil {
		n.t.Skipf("cannot make a Linux bridge: %s", out)
	}
	n.cable(at, dev, mid, "near"+i)
	n.cable(there, far, mid, "far"+i)
	n.ip("-n", mid, "link", "set", "lbr"+i, "up")
	n.ip("-n", mid, "link", "set", "near"+i, "master", "lbr"+i)
	n.ip("-n", mid, "link", "set", "far"+i, "master", "lbr"+i)
}
