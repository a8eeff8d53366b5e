package daemon_test

import (
	"encoding/binary"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"govs/vswitchd/cfm"
)

// ends are two switches at the ends of a cable with CFM: ours, and another one.
type ends struct {
	*network
	there, mid  string
	near, other far
}

// ofCFM are a switch's columns of CFM, without the flaps and the health, which
// depend on when they are asked for.
func ofCFM(s far, dev string) string {
	out := s.vsctl("--format=csv", "--no-heading", "--columns=cfm_mpid,cfm_fault,cfm_fault_status,cfm_remote_opstate,cfm_remote_mpids", "list", "Interface", dev)
	return strings.TrimSpace(out)
}

// column is one column of an interface.
func column(s far, dev, name string) string {
	return strings.TrimSpace(s.vsctl("get", "Interface", dev, name))
}

// watched lays the cable, with a bridge of the kernel's in its middle, and starts
// the switches: ours has "e1", the other one "f1".
func watched(t *testing.T, start func(*network, string) far) *ends {
	e := &ends{network: newNetwork(t, 0)}
	e.there = e.add("far")
	e.mid = e.add("mid")
	e.spliced(e.mid, e.at, "e1", e.there, "f1")
	e.near, e.other = newOurs(e.network, e.at), start(e.network, e.there)
	e.near.vsctl("add-br", "br0", "--", "add-port", "br0", "e1")
	e.other.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "f1")
	return e
}

func (e *ends) say() string {
	return e.near.appctl("cfm/show") + ofCFM(e.near, "e1") + "\n" + e.other.appctl("cfm/show") + ofCFM(e.other, "f1")
}

// both waits until the columns of both ends are so.
func (e *ends) both(what, near, other string) {
	e.t.Helper()
	await(e.t, what, func() bool { return ofCFM(e.near, "e1") == near && ofCFM(e.other, "f1") == other }, e.say)
}

// cut has what is sent to one end by way of the bridge's port be lost, or not.
func (e *ends) cut(port string, cut bool) {
	e.t.Helper()
	e.ip("-n", e.mid, "link", "set", "dev", port, "type", "bridge_slave", "mcast_flood", map[bool]string{true: "off", false: "on"}[cut])
}

// set sets the interfaces at both ends.
func (e *ends) set(near, other string) {
	e.t.Helper()
	if near != "" {
		e.near.vsctl(strings.Fields("set Interface e1 " + near)...)
	}
	if other != "" {
		e.other.vsctl(strings.Fields("set Interface f1 " + other)...)
	}
}

// others are who is at the other end.
var others = map[string]func(*network, string) far{
	"C":    func(n *network, at string) far { return newForeign(n, at) },
	"ours": func(n *network, at string) far { return newOurs(n, at) },
}

// TestCFM watches a cable from both ends: it is up, one end does not hear the
// other, neither does, and it is up again.
func TestCFM(t *testing.T) {
	t.Parallel()
	for name, start := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := watched(t, start)
			e.set("cfm_mpid=7 other_config:cfm_interval=100", "")
			await(t, "a fault where nobody answers", func() bool { return ofCFM(e.near, "e1") == `7,true,[recv],[],[]` }, e.say)
			e.set("", "cfm_mpid=9 other_config:cfm_interval=100")
			e.both("both ends up", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
			for _, s := range []struct {
				far
				dev string
			}{{e.near, "e1"}, {e.other, "f1"}} {
				await(t, "health", func() bool {
					h := column(s, s.dev, "cfm_health")
					return h == "100" || h == "95" // a message may come early or late
				}, e.say)
			}
			if got := column(e.near, "e1", "cfm_flap_count"); got == "0" || got == "[]" {
				t.Errorf("flap count %s", got)
			}

			// Both show the same but for ids and times.
			shown := func(s far, dev string) string {
				text := regexp.MustCompile(`-?[0-9]+ms`).ReplaceAllString(s.appctl("cfm/show", dev), "Nms")
				text = regexp.MustCompile(`MPID [79]|check: (true|false)|health: \d+`).ReplaceAllString(text, "X")
				return strings.ReplaceAll(text, dev, "dev")
			}
			if a, b := shown(e.near, "e1"), shown(e.other, "f1"); a != b {
				t.Errorf("we show:\n%sthe other shows:\n%s", a, b)
			}

			// What goes one way is lost: who gets nothing says so, and the other hears it.
			e.cut("far1", true)
			e.both("one way lost", `7,true,[rdi],[],[9]`, `9,true,[recv],[],[]`)
			e.cut("far1", false)
			e.both("one way back", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
			e.cut("near1", true)
			e.both("the other way lost", `7,true,[recv],[],[]`, `9,true,[rdi],[],[7]`)
			e.cut("near1", false)
			e.both("the other way back", `7,false,[],[],[9]`, `9,false,[],[],[7]`)

			e.ip("-n", e.there, "link", "set", "f1", "down")
			e.both("the cable pulled", `7,true,[recv],[],[]`, `9,true,[recv],[],[]`)
			e.ip("-n", e.there, "link", "set", "f1", "up")
			e.both("the cable back", `7,false,[],[],[9]`, `9,false,[],[],[7]`)

			if got := strings.TrimSpace(e.near.appctl("cfm/set-fault", "e1", "true")); got != "OK" {
				t.Error(got)
			}
			await(t, "the administrator's fault", func() bool { return ofCFM(e.near, "e1") == `7,true,[override],[],[9]` }, e.say)
			if got := e.near.appctl("cfm/show"); !strings.Contains(got, "MPID 7: fault_override\n  fault: override\n") {
				t.Error(got)
			}
			e.near.appctl("cfm/set-fault", "normal")
			await(t, "no fault of the administrator's", func() bool { return ofCFM(e.near, "e1") == `7,false,[],[],[9]` }, e.say)

			// Without an id there is no CFM, and nothing is told of it.
			e.near.vsctl("clear", "Interface", "e1", "cfm_mpid")
			await(t, "empty columns", func() bool {
				return ofCFM(e.near, "e1") == `[],[],[],[],[]` && column(e.near, "e1", "cfm_flap_count")+column(e.near, "e1", "cfm_health") == "[][]"
			}, e.say)
		})
	}
}

// TestCFMErrors compares what the verbs say where they can do nothing.
func TestCFMErrors(t *testing.T) {
	t.Parallel()
	e := watched(t, others["C"])
	e.set("cfm_mpid=7", "cfm_mpid=9")
	for _, args := range []string{"show no", "set-fault no true", "set-fault no nonsense", "set-fault nonsense", "set-fault", "set-fault a b c", "show a b"} {
		verb := strings.Fields("cfm/" + args)
		if ours, theirs := e.near.appctl(verb...), e.other.appctl(verb...); ours != theirs || ours == "" {
			t.Errorf("%s: ours says %q, theirs %q", args, ours, theirs)
		}
	}
	for _, id := range []int{0, 8192, 65543} { // not without extended mode
		e.set(fmt.Sprint("cfm_mpid=", id), fmt.Sprint("cfm_mpid=", id))
		e.both(fmt.Sprint("no CFM with id ", id), fmt.Sprintf(`%d,[],[],[],[]`, id), fmt.Sprintf(`%d,[],[],[],[]`, id))
		e.set("cfm_mpid=7", "cfm_mpid=9")
		e.both("CFM", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
	}
}

// TestCFMDevice says that an interface without a device has no CFM, until there
// is one.
func TestCFMDevice(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 0)
	l := newOurs(n, n.at)
	l.vsctl("add-br", "br0", "--", "add-port", "br0", "e1", "--", "set", "Interface", "e1", "cfm_mpid=7", "other_config:cfm_interval=100", "bfd:enable=true")
	if got := ofCFM(l, "e1") + l.appctl("cfm/show") + l.appctl("bfd/show") + column(l, "e1", "bfd_status"); got != "7,[],[],[],[]{}" {
		t.Errorf("without a device: %s", got)
	}
	n.ip("-n", n.at, "link", "add", "e1", "type", "veth", "peer", "name", "f1")
	await(t, "CFM of a device that came", func() bool {
		return ofCFM(l, "e1") == "7,true,[recv],[],[]" && strings.Contains(column(l, "e1", "bfd_status"), "state=down")
	}, func() string { return l.vsctl("list", "Interface", "e1") })
	n.ip("-n", n.at, "link", "del", "e1")
	l.vsctl("clear", "Interface", "e1", "cfm_mpid")
	await(t, "empty columns", func() bool { return ofCFM(l, "e1") == "[],[],[],[],[]" })
}

// TestCFMDatabase has a database that does not answer: the far end is to notice
// nothing of it.
func TestCFMDatabase(t *testing.T) {
	t.Parallel()
	e := watched(t, others["ours"])
	e.set("cfm_mpid=7 other_config:cfm_interval=1000", "cfm_mpid=9 other_config:cfm_interval=1000")
	e.both("both ends up", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
	flaps := column(e.other, "f1", "cfm_flap_count")
	resume := e.near.(*lab).pauseDB()
	defer resume()
	e.near.appctl("cfm/set-fault", "true") // which the database is to be told
	// A fault would be found at the far end's second check, the latest.
	e.checks(func() string { return e.other.appctl("cfm/show", "f1") }, 3)
	if got := ofCFM(e.other, "f1") + " " + column(e.other, "f1", "cfm_flap_count"); got != `9,false,[],[],[7] `+flaps {
		t.Errorf("the far end: %s; there were %s flaps before", got, flaps)
	}
	resume()
	await(t, "the database to be told", func() bool { return ofCFM(e.near, "e1") == `7,true,[override],[],[9]` }, e.say)
}

// checks waits until so many checks for faults have passed, by what cfm/show says.
func (e *ends) checks(show func() string, n int) {
	e.t.Helper()
	next := regexp.MustCompile(`next fault check: (-?\d+)ms`)
	passed, last := -1, 0 // the first one is where it begins
	await(e.t, "checks for faults", func() bool {
		m := next.FindStringSubmatch(show())
		if m == nil {
			return false
		}
		left, _ := strconv.Atoi(m[1])
		if left > last {
			passed++
		}
		last = left
		return passed >= n
	}, e.say)
}

// TestCFMExtended is extended mode: short intervals, long ids, and an end that is
// not operational; and what goes wrong between ends that do not fit.
func TestCFMExtended(t *testing.T) {
	t.Parallel()
	for name, start := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := watched(t, start)
			const extended = " other_config:cfm_extended=true other_config:cfm_interval=123"
			e.set("cfm_mpid=5000000000"+extended, "cfm_mpid=9"+extended)
			e.both("both ends up", `5000000000,false,[],up,[9]`, `9,false,[],up,[5000000000]`)
			e.set("", "other_config:cfm_opstate=down")
			e.both("the far end not operational", `5000000000,false,[],down,[9]`, `9,false,[],up,[5000000000]`)
			e.set("other_config:cfm_opstate=down", "other_config:cfm_opstate=up")
			e.both("the near end not operational", `5000000000,false,[],up,[9]`, `9,false,[],down,[5000000000]`)
			e.set("other_config:cfm_opstate=up", "other_config:cfm_interval=200") // which is no fault
			e.both("different intervals", `5000000000,false,[],up,[9]`, `9,false,[],up,[5000000000]`)
			e.set("", "cfm_mpid=5000000000")
			e.both("the same id", `5000000000,true,[loopback],up,[5000000000]`, `5000000000,true,[loopback],up,[5000000000]`)
			e.set("cfm_mpid=7", "cfm_mpid=9")
			e.both("different ids", `7,false,[],up,[9]`, `9,false,[],up,[7]`)
			e.other.vsctl("remove", "Interface", "f1", "other_config", "cfm_extended")
			e.both("different modes", `7,true,[recv],up,[]`, `9,true,[recv],[],[]`)
		})
	}
}

// TestCFMDemand has data stand for messages.
func TestCFMDemand(t *testing.T) {
	t.Parallel()
	e := watched(t, others["C"])
	const demand = " other_config:cfm_extended=true other_config:cfm_demand=true other_config:cfm_interval=1500" // checks every 5.25 s
	e.set("cfm_mpid=7"+demand, "cfm_mpid=9"+demand)
	e.both("both ends up", `7,false,[],up,[9]`, `9,false,[],up,[7]`)
	e.ip("-n", e.there, "addr", "add", "10.9.0.2/24", "dev", "br0")
	e.ip("-n", e.there, "link", "set", "br0", "up")
	stop := e.repeat(e.there)
	e.other.vsctl("clear", "Interface", "f1", "cfm_mpid")
	// At its second check from now it has not heard a message for a whole period.
	e.checks(func() string { return e.near.appctl("cfm/show", "e1") }, 2)
	if got := ofCFM(e.near, "e1"); got != `7,false,[],up,[9]` {
		t.Errorf("with data, but without messages: %s\n%s", got, e.say())
	}
	stop()
	e.ip("-n", e.there, "link", "set", "br0", "down")
	await(t, "a fault without data", func() bool { return ofCFM(e.near, "e1") == `7,true,[recv],up,[]` }, e.say)
}

// repeat has a namespace ask for a neighbour again and again, until the function
// that it returns is called.
func (n *network) repeat(at string) (stop func()) {
	n.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", at, "ping", "-i", "0.2", "10.9.0.99")
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	n.t.Cleanup(stop)
	return stop
}

// TestCFMTag has messages with tags, and captures ours.
func TestCFMTag(t *testing.T) {
	t.Parallel()
	e := watched(t, others["C"])
	const fast = " other_config:cfm_interval=100"
	e.set("cfm_mpid=7 other_config:cfm_ccm_vlan=100 other_config:cfm_ccm_pcp=3"+fast, "cfm_mpid=9 other_config:cfm_ccm_vlan=random other_config:cfm_ccm_pcp=5"+fast)
	e.both("both ends up", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
	tags := e.tags(e.mid, "near1")
	await(t, "VLAN 100, priority 3", func() bool { return tags() == 3<<13|100 })
	e.near.vsctl("remove", "Interface", "e1", "other_config", "cfm_ccm_vlan")
	await(t, "VLAN 0, priority 3", func() bool { return tags() == 3<<13 })
	e.near.vsctl("remove", "Interface", "e1", "other_config", "cfm_ccm_pcp")
	await(t, "no tag", func() bool { return tags() == -1 })
	e.set("other_config:cfm_ccm_vlan=random", "")
	seen := make(map[int]bool)
	await(t, "many VLANs", func() bool {
		seen[tags()] = true
		return len(seen) > 5
	})
	e.both("both ends up", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
}

// tags returns a function that waits for a message of CFM that arrives at a
// device, and says what tag it has: priority and VLAN, -1 for none.
func (n *network) tags(at, dev string) func() int {
	n.t.Helper()
	s := newSniffer(n, at, dev)
	if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1); err != nil {
		n.t.Fatal(err)
	}
	_ = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30})
	b, aux := make([]byte, 2000), make([]byte, 200)
	return func() int {
		for {
			k, m, _, from, err := unix.Recvmsg(s.fd, b, aux, 0)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				n.t.Fatal("no message: ", err)
			}
			ll, ok := from.(*unix.SockaddrLinklayer)
			if !ok || ll.Pkttype == unix.PACKET_OUTGOING || k < 14 || [6]byte(b) != cfm.Group {
				continue
			}
			tag := -1
			list, _ := unix.ParseSocketControlMessage(aux[:m])
			for _, c := range list { // struct tpacket_auxdata of packet(7)
				const status, tci = 0, 16
				if len(c.Data) >= tci+2 && binary.NativeEndian.Uint32(c.Data[status:])&unix.TP_STATUS_VLAN_VALID != 0 {
					tag = int(binary.NativeEndian.Uint16(c.Data[tci:]))
				}
			}
			return tag
		}
	}
}

// TestCFMTree says that RSTP takes a port out of the tree where CFM or BFD find a
// fault, as the C switch does, and STP does not.
func TestCFMTree(t *testing.T) {
	t.Parallel()
	e := watched(t, others["C"])
	for _, s := range []far{e.near, e.other} {
		s.vsctl("set", "Bridge", "br0", "rstp_enable=true")
	}
	roles := func() string {
		return strings.Trim(e.near.vsctl("get", "Port", "e1", "rstp_status:rstp_port_role"), "\"\n") + " " +
			strings.Trim(e.other.vsctl("get", "Port", "f1", "rstp_status:rstp_port_role"), "\"\n")
	}
	say := func() string { return roles() + e.near.appctl("rstp/show") + e.other.appctl("rstp/show") + e.say() }
	works := func() bool { r := roles(); return r == "Root Designated" || r == "Designated Root" }
	await(t, "a tree", works, say)
	e.set("cfm_mpid=7 other_config:cfm_interval=100", "cfm_mpid=9 other_config:cfm_interval=100")
	e.both("CFM", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
	await(t, "a tree with CFM", works, say)
	e.near.appctl("cfm/set-fault", "true")
	e.other.appctl("cfm/set-fault", "true")
	await(t, "no ports of the tree where CFM finds a fault", func() bool { return roles() == "Disabled Disabled" }, say)
	e.near.appctl("cfm/set-fault", "normal")
	e.other.appctl("cfm/set-fault", "normal")
	await(t, "the tree again", works, say)
	e.near.vsctl("clear", "Interface", "e1", "cfm_mpid")
	e.other.vsctl("clear", "Interface", "f1", "cfm_mpid")
	e.set("bfd:enable=true", "") // and nobody answers
	await(t, "no port of the tree where BFD is down", func() bool { return strings.HasPrefix(roles(), "Disabled ") }, say)
	e.set("", "bfd:enable=true")
	await(t, "the tree with BFD", works, say)
	e.near.appctl("bfd/set-forwarding", "false")
	await(t, "no port of the tree", func() bool { return strings.HasPrefix(roles(), "Disabled ") }, say)

	for _, s := range []far{e.near, e.other} {
		s.vsctl("set", "Bridge", "br0", "rstp_enable=false", "stp_enable=true")
	}
	state := func(s far, dev string) string {
		return strings.Trim(s.vsctl("get", "Port", dev, "status:stp_state"), "\"\n")
	}
	await(t, "STP, whatever BFD finds", func() bool { return state(e.near, "e1") == "forwarding" && state(e.other, "f1") == "forwarding" }, say)
	if got := strings.TrimSpace(e.near.vsctl("get", "Interface", "e1", "bfd_status:forwarding")); got != `"false"` {
		t.Errorf("BFD forwards: %s", got)
	}
}
