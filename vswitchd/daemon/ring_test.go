package daemon_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestRing is a ring of three bridges with a host at two of them. Two are
// ours, the third is ours, Debian's, or the Linux bridge, which speaks the
// older protocol. One cable is left out; when one that was used is pulled, it
// takes its place.
func TestRing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ protocol, third string }{
		{"stp", "C"}, {"rstp", "Linux"}, {"rstp", "C"}, {"rstp", "ours"},
	} {
		t.Run(test.protocol+"/"+test.third, func(t *testing.T) {
			t.Parallel()
			ring(t, test.protocol, test.third)
		})
	}
}

func ring(t *testing.T, protocol, third string) {
	n := newNetwork(t, 0)
	b, c := n.add("b"), n.add("c")
	n.cable(n.at, "ab", b, "ba")
	n.cable(b, "bc", c, "cb")
	n.cable(c, "ca", n.at, "ac")
	h1, h2 := n.host(n.at, "v1", 1), n.host(b, "w1", 2)

	var say []func() string
	states := func() (all []string) {
		for _, f := range say {
			for _, line := range strings.Split(f(), "\n") {
				if w := strings.Fields(line); len(w) == 5 && len(w[0]) == 2 && w[0] != "v1" && w[0] != "w1" {
					all = append(all, strings.ToLower(w[2]))
				}
			}
		}
		return all
	}
	// What the root says of the times holds for all.
	configure := func(s far, priority int, ports ...string) {
		t.Helper()
		args := []string{"add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", protocol + "_enable=true",
			fmt.Sprintf("other_config:%s-priority=%d", protocol, priority),
			fmt.Sprintf("other_config:%s-forward-delay=4", protocol), fmt.Sprintf("other_config:%s-max-age=6", protocol)}
		for _, p := range ports {
			args = append(args, "--", "add-port", "br0", p)
		}
		if out := s.vsctl(args...); out != "" {
			t.Fatal(out)
		}
		say = append(say, func() string { return s.appctl(protocol + "/show") })
	}
	configure(newOurs(n, n.at), 4096, "v1", "ab", "ac")
	configure(newOurs(n, b), 8192, "w1", "ba", "bc")
	switch third {
	case "ours":
		configure(newOurs(n, c), 12288, "cb", "ca")
	case "C":
		configure(newForeign(n, c), 12288, "cb", "ca")
	case "Linux":
		if out, err := exec.Command("ip", "-n", c, "link", "add", "br0", "type", "bridge", "stp_state", "1", "priority", "12288", "forward_delay", "400").CombinedOutput(); err != nil {
			t.Skipf("cannot make a Linux bridge: %s", out)
		}
		for _, p := range []string{"cb", "ca"} {
			n.ip("-n", c, "link", "set", p, "master", "br0")
		}
		n.ip("-n", c, "link", "set", "br0", "up")
		say = append(say, func() (text string) {
			for _, p := range []string{"cb", "ca"} {
				out, _ := exec.Command("ip", "netns", "exec", c, "cat", "/sys/class/net/"+p+"/brport/state").Output()
				state := map[string]string{"3": "forwarding", "2": "learning", "1": "listening", "4": "blocking"}[strings.TrimSpace(string(out))]
				text += fmt.Sprintf("%s x %s x x\n", p, state)
			}
			return text
		})
	}
	all := func() (text string) {
		for _, f := range say {
			text += f()
		}
		return text
	}
	forwarding := func() (k int) {
		for _, s := range states() {
			if s == "forwarding" {
				k++
			}
		}
		return k
	}
	settled := func(want int) func() bool {
		return func() bool {
			if forwarding() != want {
				return false
			}
			_, err := ping(h1, 2, 1)
			return err == nil
		}
	}
	begin := time.Now()
	await(t, "the ring to be a tree", settled(5), all)
	t.Logf("a tree after %v", time.Since(begin).Round(time.Millisecond))
	if out, err := ping(h1, 2, 10); err != nil || strings.Contains(out, "DUP!") {
		t.Errorf("ping: %v\n%s\n%s", err, out, all())
	}
	s := n.streamed(h1, h2, 2, func() {
		begin = time.Now()
		n.ip("-n", n.at, "link", "set", "ab", "down")
		await(t, "the other way", func() bool { _, err := ping(h1, 2, 1); return err == nil }, all)
		t.Logf("the other way after %v", time.Since(begin).Round(time.Millisecond))
	})
	t.Log("cable pulled: ", s)
	if s.twice > 0 {
		t.Errorf("%d packets came twice", s.twice)
	}
	if protocol == "stp" {
		return // which would take another ten seconds
	}
	await(t, "the rest of the ring", settled(4), all)
	n.ip("-n", n.at, "link", "set", "ab", "up")
	await(t, "the ring to be a tree again", settled(5), all)
}
