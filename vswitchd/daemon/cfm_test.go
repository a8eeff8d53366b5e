package daemon_test

import (
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"testing"
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
	e.cable(e.at, "e1", e.mid, "m1")
	e.cable(e.there, "f1", e.mid, "m2")
	if out, err := exec.Command("ip", "-n", e.mid, "link", "add", "lbr", "type", "bridge").CombinedOutput(); err != nil {
		t.Skipf("no bridge of the kernel's: %s", out)
	}
	e.ip("-n", e.mid, "link", "set", "lbr", "up")
	e.ip("-n", e.mid, "link", "set", "m1", "master", "lbr")
	e.ip("-n", e.mid, "link", "set", "m2", "master", "lbr")
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
			e.cut("m2", true)
			e.both("one way lost", `7,true,[rdi],[],[9]`, `9,true,[recv],[],[]`)
			e.cut("m2", false)
			e.both("one way back", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
			e.cut("m1", true)
			e.both("the other way lost", `7,true,[recv],[],[]`, `9,true,[rdi],[],[7]`)
			e.cut("m1", false)
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
