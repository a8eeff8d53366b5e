package daemon_test

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"govs/internal/debs"
)

// addressOf is the Ethernet address of the host 10.9.0.NO in TestTunnelsBare.
func addressOf(no int) string { return fmt.Sprintf("02:09:00:00:00:%02x", no) }

// bareEnd has an end of a tunnel, which carries packets without Ethernet headers,
// take what is for the other host. What comes out of it for its own host, NO,
// goes to an address of zeros: Debian's switch is told another one, and a host
// behind ours to take it all the same.
func bareEnd(n *network, sw far, host, port string, no int) {
	n.t.Helper()
	other := addressOf(3 - no)
	if out := strings.TrimSpace(sw.appctl("fdb/add", "br-in", "t0", "0", other)); out != "" && !strings.HasPrefix(out, "Overriding") {
		n.t.Fatal(out)
	}
	f, is := sw.(*foreign)
	if !is {
		var l link.Link
		var err error
		if n.within(host, func() { l, err = takeAll("eth0") }); err != nil {
			n.t.Skipf("a program that has a host take all packets: %v", err)
		}
		n.t.Cleanup(func() { _ = l.Close() })
		return
	}
	r := debs.Run(n.t, f.dir, debs.Bin(n.t, "ovs-ofctl"), "add-flow", "unix:"+filepath.Join(f.dir, "br-in.mgmt"),
		fmt.Sprintf("priority=10,in_port=t0,ip,actions=mod_dl_src:%s,mod_dl_dst:%s,output:%s", other, addressOf(no), port))
	if r.Code != 0 {
		n.t.Fatal(r)
	}
}

// takeAll has a host take what comes to a device, whatever the address.
func takeAll(dev string) (link.Link, error) {
	at, err := net.InterfaceByName(dev)
	if err != nil {
		return nil, err
	}
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "take_all", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R2, 0), // PACKET_HOST
		asm.FnSkbChangeType.Call(),
		asm.Mov.Imm(asm.R0, 0), // TC_ACT_OK
		asm.Return(),
	}})
	if err != nil {
		return nil, err
	}
	defer prog.Close()
	return link.AttachTCX(link.TCXOptions{Interface: at.Index, Program: prog, Attach: ebpf.AttachTCXIngress})
}

// TestTunnelsBare is two hosts at the ends of a tunnel that carries their packets
// without Ethernet headers. What is to go in is said by addresses that do not age.
func TestTunnelsBare(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind    string
		options []string
	}{
		{"gre", []string{"options:key=5", "options:packet_type=legacy_l3"}},
		{"vxlan", []string{"options:key=5", "options:exts=gpe", "options:packet_type=legacy_l3"}},
		{"gtpu", []string{"options:key=5"}},
	} {
		for peer, start := range others {
			t.Run(test.kind+" "+peer, func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t, 0)
				there := n.add("far")
				n.cable(n.at, "e1", there, "f1")
				hosts := []string{n.host(n.at, "v1", 1), n.host(there, "w1", 2)}
				near := newOurs(n, n.at)
				other := start(n, there)
				options := append([]string{"type=" + test.kind}, test.options...)
				tunnelEnd(n, near, n.at, "e1", "v1", 1, options...)
				tunnelEnd(n, other, there, "f1", "w1", 2, options...)
				for i, h := range hosts {
					n.ip("-n", h, "link", "set", "eth0", "address", addressOf(i+1), "mtu", "1400")
					n.ip("-n", h, "neigh", "add", fmt.Sprintf("10.9.0.%d", 2-i), "lladdr", addressOf(2-i), "dev", "eth0")
					if peer == "C" {
						n.whole(h)
					}
				}
				bareEnd(n, near, hosts[0], "v1", 1)
				bareEnd(n, other, hosts[1], "w1", 2)
				say := func() string {
					return near.appctl("dpctl/dump-flows") + near.appctl("drop/show") + near.appctl("tnl/neigh/show") + other.appctl("dpctl/dump-flows") + other.appctl("tnl/neigh/show")
				}
				await(t, "ping through the tunnel", func() bool { _, err := ping(hosts[0], 2, 1); return err == nil }, say)
				if out, err := ping(hosts[0], 2, 5); err != nil || strings.Contains(out, "DUP!") {
					t.Errorf("ping: %v\n%s\n%s", err, out, say())
				}
				for i := range hosts {
					if err := n.carry(hosts[i], hosts[1-i], 2-i, 4<<20); err != nil {
						t.Errorf("TCP to 10.9.0.%d: %v\n%s", 2-i, err, say())
					}
				}
				flows := near.appctl("dpctl/dump-flows")
				for _, want := range []string{"pop_eth,tnl_push(tnl_port(", "packet_type(ns=1,id=0x800),eth_type(0x0800)", "push_eth("} {
					if !strings.Contains(flows, want) {
						t.Errorf("no %s among the flows:\n%s", want, flows)
					}
				}
			})
		}
	}
}
