package daemon_test

import (
	"net"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestLLDP has a switch of ours and another one tell each other of themselves,
// and of the I-SIDs that VLANs are to carry. It is the C switch's way that a
// port is made to carry them before anybody has agreed.
func TestLLDP(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*network, string) far{
		"C":    func(n *network, at string) far { return newForeign(n, at) },
		"ours": func(n *network, at string) far { return newOurs(n, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 0)
			there := n.add("far")
			n.cable(n.at, "e1", there, "f1")
			near, other := newOurs(n, n.at), start(n, there)
			near.vsctl("add-br", "br0", "--", "add-port", "br0", "e1", "--", "set", "Interface", "e1", "lldp:enable=true")
			other.vsctl("add-br", "br0", "--", "set", "Bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "f1", "--", "set", "Interface", "f1", "lldp:enable=true")
			say := func() string {
				return near.appctl("autoattach/status") + near.appctl("autoattach/statistics") + other.appctl("autoattach/status") + other.appctl("autoattach/statistics")
			}
			await(t, "both speak", func() bool {
				return !strings.Contains(near.appctl("autoattach/statistics"), "rx cnt: 0\n") && !strings.Contains(other.appctl("autoattach/statistics"), "rx cnt: 0\n")
			}, say)
			for _, s := range []far{near, other} {
				if out := s.appctl("autoattach/statistics"); !strings.Contains(out, "rx discarded cnt: 0\n") || !strings.Contains(out, "rx unrecognized cnt: 0\n") {
					t.Errorf("what the other end says is not understood: %s", out)
				}
			}
			// What is told from now on names the element, too.
			for s, dev := range map[far]string{near: "e1", other: "f1"} {
				if out := s.vsctl("add-aa-mapping", "br0", "100", "10", "--", "add-aa-mapping", "br0", "200", "20"); out != "" {
					t.Fatal(out)
				}
				await(t, "trunks", func() bool { return s.vsctl("get", "Port", dev, "trunks", "vlan_mode") == "[10, 20]\ntrunk\n" }, say)
			}
			mac := func(at, dev string) string {
				return strings.TrimSpace(map[string]far{"e1": near, "f1": other}[dev].vsctl("get", "Interface", dev, "mac_in_use"))
			}
			for s, from := range map[far][3]string{near: {"e1", there, "f1"}, other: {"f1", n.at, "e1"}} {
				id := strings.Trim(mac(from[1], from[2]), `"`)
				await(t, "the neighbour is known", func() bool {
					out := s.appctl("autoattach/status")
					return strings.HasPrefix(out, "LLDP: "+from[0]+"\n  Auto Attach Primary Server Id: "+id+"\n  Auto Attach Primary Server Descr: openvswitch ") &&
						strings.HasSuffix(out, "\n  Auto Attach Primary Server System Id: "+id+":00:00:00:00:00:00\n")
				}, say)
			}
			// Both list what the other end made of it: 0, which is not defined.
			const table = "I-SID    VLAN Source      Status  \n-------- ---- ----------- --------\n"
			near.eventually("I-SIDs", "LLDP: e1\n"+table+"100      10   Switch      Undefined  \n200      20   Switch      Undefined", func() string { return near.appctl("autoattach/show-isid") })

			near.vsctl("del-aa-mapping", "br0", "100", "10")
			near.eventually("trunks", "[20]", func() string { return near.vsctl("get", "Port", "e1", "trunks") })
			near.eventually("I-SIDs", "LLDP: e1\n"+table+"200      20   Switch      Undefined", func() string { return near.appctl("autoattach/show-isid") })
			// What the user makes of the trunks stays.
			near.vsctl("set", "Port", "e1", "trunks=5,20")
			near.vsctl("add-aa-mapping", "br0", "300", "30")
			near.eventually("trunks", "[5, 20, 30]", func() string { return near.vsctl("get", "Port", "e1", "trunks") })

			// A malformed frame is counted, and changes nothing.
			before := near.appctl("autoattach/status")
			n.inject(there, "f1", []byte{0x01, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 9, 0x88, 0xcc, 2, 7, 4})
			near.eventually("a frame that is cut off", "true", func() string {
				if strings.Contains(near.appctl("autoattach/statistics"), "rx discarded cnt: 1\n") && strings.Contains(near.appctl("drops/show"), "drop_action_bad_control_frame: 1") {
					return "true"
				}
				return near.appctl("autoattach/statistics") + near.appctl("drops/show")
			})
			if after := near.appctl("autoattach/status"); after != before {
				t.Errorf("status was\n%sand is\n%s", before, after)
			}
			// Without LLDP the bridge leaves such frames alone as before: it does not forward them.
			near.vsctl("set", "Interface", "e1", "lldp:enable=false")
			near.eventually("no agent", "", func() string { return near.appctl("autoattach/status") })
		})
	}
}

// inject sends a frame from a device in a namespace.
func (n *network) inject(at, dev string, frame []byte) {
	n.t.Helper()
	n.within(at, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			n.t.Fatal(err)
		}
		defer unix.Close(fd)
		index, err := net.InterfaceByName(dev)
		if err == nil {
			err = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index.Index, Halen: 6})
		}
		if err != nil {
			n.t.Fatal(err)
		}
	})
}
