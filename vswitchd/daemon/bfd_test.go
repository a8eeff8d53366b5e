package daemon_test

import (
	"strings"
	"testing"
)

// TestBFD watches a cable from both ends, with Debian's switch at the other one
// and with one of ours: it is up, it is down when what one end sends is lost, and
// up again.
func TestBFD(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(n *network, at string) far{
		"C":    func(n *network, at string) far { return newForeign(n, at) },
		"ours": func(n *network, at string) far { return newOurs(n, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 0)
			there := n.add("far")
			n.cable(n.at, "e1", there, "f1")
			near, other := newOurs(n, n.at), start(n, there)
			near.vsctl("add-br", "br0", "--", "add-port", "br0", "e1", "--", "set", "Interface", "e1", "bfd:enable=true", "bfd:min_rx=200")
			other.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "f1", "--",
				"set", "Interface", "f1", "bfd:enable=true", "bfd:min_rx=300", "bfd:min_tx=200")
			near.say = func() string { return near.appctl("bfd/show") + other.appctl("bfd/show") + near.appctl("drop/show") }
			is := func(s far, dev, key string) string {
				return strings.Trim(strings.TrimSpace(s.vsctl("get", "Interface", dev, "bfd_status:"+key)), `"`)
			}
			both := func(state, forwarding string) func() bool {
				return func() bool {
					return is(near, "e1", "state") == state && is(other, "f1", "state") == state &&
						is(near, "e1", "forwarding") == forwarding && is(other, "f1", "forwarding") == forwarding
				}
			}
			await(t, "both ends up", both("up", "true"), near.say)
			await(t, "the intervals that both agreed upon", func() bool {
				got := near.appctl("bfd/show", "e1")
				return strings.Contains(got, "Remote Session State: up") && strings.Contains(got, "TX Interval: Approx 300ms")
			}, near.say)
			other.vsctl("set", "Interface", "f1", "bfd:cpath_down=true")
			await(t, "the path behind the far end down", func() bool { return is(near, "e1", "forwarding") == "false" }, near.say)
			if got := is(near, "e1", "remote_diagnostic"); got != "Concatenated Path Down" {
				t.Error(got)
			}
			other.vsctl("remove", "Interface", "f1", "bfd", "cpath_down")
			await(t, "the path up", both("up", "true"), near.say)

			n.ip("-n", there, "link", "set", "f1", "down")
			await(t, "both ends down", both("down", "false"), near.say)
			if got := is(near, "e1", "diagnostic"); got != "Control Detection Time Expired" {
				t.Error(got)
			}
			n.ip("-n", there, "link", "set", "f1", "up")
			await(t, "both ends up again", both("up", "true"), near.say)
			if got := near.appctl("bfd/set-forwarding", "e1", "false"); strings.TrimSpace(got) != "OK" {
				t.Error(got)
			}
			near.eventually("forwarding", "false", func() string { return is(near, "e1", "forwarding") })
			near.vsctl("clear", "Interface", "e1", "bfd")
			near.eventually("bfd_status", "{}", func() string { return near.vsctl("get", "Interface", "e1", "bfd_status") })
		})
	}
}
