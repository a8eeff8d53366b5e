package daemon_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/vswitchd/daemon"
	"govs/vswitchd/desired"
)

// tunnelEnd makes a switch the end of a tunnel: the bridge br-ex with the cable
// and the address 172.16.9.NO, and br-in with the host and the tunnel to the
// other end.
func tunnelEnd(n *network, sw far, at, cable, host string, no int, options ...string) {
	n.t.Helper()
	tunnelEndIn(n, "172.16.9.%d", sw, at, cable, host, no, options...)
}

// over6 is the network between the ends, with addresses of IPv6.
const over6 = "fd00:9::%d"

// tunnelEndIn is tunnelEnd with addresses of another network.
func tunnelEndIn(n *network, between string, sw far, at, cable, host string, no int, options ...string) {
	n.t.Helper()
	if out := sw.vsctl(append([]string{"add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=netdev", "--", "add-port", "br-ex", cable,
		"--", "add-br", "br-in", "--", "set", "Bridge", "br-in", "datapath_type=netdev", "--", "add-port", "br-in", host,
		"--", "add-port", "br-in", "t0", "--", "set", "Interface", "t0", fmt.Sprintf("options:remote_ip="+between, 3-no)}, options...)...); out != "" {
		n.t.Fatal(out)
	}
	address := []string{"-n", at, "addr", "add", fmt.Sprintf(between, no) + "/24", "dev", "br-ex"}
	if strings.Contains(between, ":") {
		address = []string{"-n", at, "addr", "add", fmt.Sprintf(between, no) + "/64", "dev", "br-ex", "nodad"}
	}
	n.ip(address...)
	n.ip("-n", at, "link", "set", "br-ex", "up")
}

// whole has a host complete what it sends: the C switch does not.
func (n *network) whole(host string) {
	n.t.Helper()
	if out, err := exec.Command("ip", "netns", "exec", host, "ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off").CombinedOutput(); err != nil {
		n.t.Skipf("ethtool: %v: %s", err, out)
	}
}

// carry sends bytes by TCP from one host to another, the one with the address
// 10.9.0.NO.
func (n *network) carry(from, to string, no, bytes int) error {
	var l net.Listener
	var err error
	n.within(to, func() { l, err = net.Listen("tcp", fmt.Sprintf("10.9.0.%d:0", no)) })
	if err != nil {
		return err
	}
	defer l.Close()
	got := make(chan int64, 1)
	go func() {
		var count int64
		if c, err := l.Accept(); err == nil {
			_ = c.SetDeadline(time.Now().Add(60 * time.Second))
			count, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
		got <- count
	}()
	n.within(from, func() {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", l.Addr().String(), 30*time.Second); err != nil {
			l.Close()
			return
		}
		_ = c.SetDeadline(time.Now().Add(60 * time.Second))
		_, err = c.Write(make([]byte, bytes))
		_ = c.Close()
	})
	if count := <-got; err == nil && count != int64(bytes) {
		return fmt.Errorf("%d of %d bytes arrived", count, bytes)
	}
	return err
}

// TestTunnels is two hosts at the two ends of a tunnel, of which one is a
// switch of ours: the other is one, too, or Debian's, or Linux's own device.
func TestTunnels(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, peer string
		options    []string
		between    string // "" for IPv4
	}{
		{"vxlan", "ours", []string{"options:key=123"}, ""},
		{"gre", "ours", []string{"options:key=456", "options:csum=true", "options:seq=true"}, ""},
		{"geneve", "ours", []string{"options:key=7", "options:csum=true"}, ""},
		{"vxlan", "C", []string{"options:key=123", "options:csum=true"}, ""},
		{"gre", "C", []string{"options:key=456", "options:csum=true"}, ""},
		{"geneve", "C", []string{"options:key=7"}, ""},
		{"erspan", "ours", []string{"options:key=7", "options:erspan_ver=2", "options:erspan_dir=1", "options:erspan_hwid=0x4"}, ""},
		{"erspan", "C", []string{"options:key=123", "options:erspan_ver=1", "options:erspan_idx=7"}, ""},
		{"vxlan", "Linux", []string{"options:key=5"}, ""},
		{"vxlan", "ours", []string{"options:key=123", "options:exts=gpe"}, ""},
		{"vxlan", "ours", []string{"options:key=123", "options:tos=inherit", "options:ttl=inherit"}, over6},
		{"ip6gre", "ours", []string{"options:key=4", "options:csum=true", "options:seq=true"}, over6},
		{"vxlan", "C", []string{"options:key=123"}, over6},
		{"gre", "C", []string{"options:key=456"}, over6},
		{"geneve", "C", []string{"options:key=7"}, over6},
		{"ip6gre", "C", []string{"options:key=4", "options:csum=true"}, over6},
		{"gre", "C", []string{"options:key=456", "options:seq=true"}, ""},
		{"ip6erspan", "C", []string{"options:key=123", "options:erspan_ver=2", "options:erspan_dir=0", "options:erspan_hwid=0x4"}, over6},
		{"ip6erspan", "ours", []string{"options:key=123", "options:erspan_ver=1", "options:erspan_idx=7"}, over6},
		{"vxlan", "C", []string{"options:key=5", "options:exts=gpe"}, ""},
		{"vxlan", "Linux", []string{"options:key=5"}, over6},
	} {
		name := test.kind + " " + test.peer
		if test.between != "" {
			name += " over IPv6"
		}
		between := cmp.Or(test.between, "172.16.9.%d")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 0)
			there := n.add("far")
			n.cable(n.at, "e1", there, "f1")
			h1, h2 := n.host(n.at, "v1", 1), n.add("h2")
			near := newOurs(n, n.at)
			options := append([]string{"type=" + test.kind}, test.options...)
			tunnelEndIn(n, between, near, n.at, "e1", "v1", 1, options...)
			say := func() string {
				return near.appctl("dpctl/dump-flows", "-m") + near.appctl("drop/show") + near.appctl("tnl/neigh/show") + near.appctl("ovs/route/show") + near.vsctl("list", "Interface", "t0")
			}
			if test.peer == "Linux" {
				if test.between == "" {
					n.ip("-n", there, "addr", "add", "172.16.9.2/24", "dev", "f1")
				} else {
					n.ip("-n", there, "addr", "add", fmt.Sprintf(between, 2)+"/64", "dev", "f1", "nodad")
				}
				h2 = there
				n.ip("-n", there, "link", "add", "eth0", "type", "vxlan", "id", "5", "remote", fmt.Sprintf(between, 1), "dstport", "4789", "dev", "f1")
				n.ip("-n", there, "addr", "add", "10.9.0.2/24", "dev", "eth0")
				n.ip("-n", there, "link", "set", "eth0", "up")
			} else {
				n.cable(there, "w1", h2, "eth0")
				n.ip("-n", h2, "addr", "add", "10.9.0.2/24", "dev", "eth0")
				var other far
				if test.peer == "C" {
					other = newForeign(n, there)
					n.whole(h1)
					n.whole(h2)
				} else {
					other = newOurs(n, there)
				}
				tunnelEndIn(n, between, other, there, "f1", "w1", 2, options...)
				ours := say
				say = func() string { return ours() + other.appctl("dpctl/dump-flows", "-m") + other.appctl("tnl/neigh/show") }
			}
			if test.peer != "ours" { // whose packets would be too long otherwise
				for _, h := range []string{h1, h2} {
					n.ip("-n", h, "link", "set", "eth0", "mtu", "1400")
				}
			}
			await(t, "ping through the tunnel", func() bool { _, err := ping(h1, 2, 1); return err == nil }, say)
			if out, err := ping(h1, 2, 5); err != nil || strings.Contains(out, "DUP!") {
				t.Errorf("ping: %v\n%s\n%s", err, out, say())
			}
			for _, way := range []struct {
				from, to string
				no       int
			}{{h1, h2, 2}, {h2, h1, 1}} {
				if err := n.carry(way.from, way.to, way.no, 4<<20); err != nil {
					t.Errorf("TCP to 10.9.0.%d: %v\n%s", way.no, err, say())
				}
			}
			flows := near.appctl("dpctl/dump-flows")
			for _, want := range []string{"tnl_push(tnl_port(", "tnl_pop(", "tunnel(tun_id=0x", "src=" + fmt.Sprintf(between, 2), "dst=" + fmt.Sprintf(between, 1)} {
				if !strings.Contains(flows, want) {
					t.Errorf("no %s among the flows:\n%s", want, flows)
				}
			}
			near.eventually("status", "{tunnel_egress_iface=br-ex, tunnel_egress_iface_carrier=up}", func() string { return near.vsctl("get", "Interface", "t0", "status") })
		})
	}
}

// TestTunnelPolicy has Linux put a group's policy on what it sends by VXLAN: it is
// still there when the packet went through a switch from one tunnel into another.
func TestTunnelPolicy(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 0)
	from, to := n.add("from"), n.add("to")
	l := newOurs(n, n.at)
	if out := l.vsctl("add-br", "br-ex", "--", "add-br", "br-in"); out != "" {
		t.Fatal(out)
	}
	n.ip("-n", n.at, "addr", "add", "172.16.9.1/24", "dev", "br-ex")
	n.ip("-n", n.at, "link", "set", "br-ex", "up")
	for i, at := range []string{from, to} {
		no, dev := i+2, fmt.Sprint("e", i)
		n.cable(n.at, dev, at, "f")
		n.ip("-n", at, "addr", "add", fmt.Sprintf("172.16.9.%d/24", no), "dev", "f")
		n.ip("-n", at, "link", "add", "eth0", "type", "vxlan", "id", fmt.Sprint(no), "remote", "172.16.9.1", "dstport", "4789", "gbp", "dev", "f")
		n.ip("-n", at, "addr", "add", fmt.Sprintf("10.9.0.%d/24", no), "dev", "eth0")
		n.ip("-n", at, "link", "set", "eth0", "up")
		if out := l.vsctl("add-port", "br-ex", dev, "--", "add-port", "br-in", fmt.Sprint("t", i), "--", "set", "Interface", fmt.Sprint("t", i),
			"type=vxlan", fmt.Sprintf("options:remote_ip=172.16.9.%d", no), fmt.Sprintf("options:key=%d", no), "options:exts=gbp"); out != "" {
			t.Fatal(out)
		}
	}
	say := func() string { return l.appctl("dpctl/dump-flows") + l.appctl("drop/show") }
	await(t, "ping through both tunnels", func() bool { _, err := ping(from, 3, 1); return err == nil }, say)
	spy := newSniffer(n, to, "f")
	const group, applied = 0x123, 0x08 << 16 // as Linux has them in a packet's mark
	n.within(from, func() {
		c, err := (&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, applied|group) })
		}}).Dial("udp", "10.9.0.3:9")
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for range 3 {
			_, _ = c.Write([]byte("of a group"))
		}
	})
	seen := 0
	for _, f := range spy.frames() {
		if len(f) > 50 && strings.HasSuffix(strings.TrimRight(string(f), "\x00"), "of a group") && f[23] == unix.IPPROTO_UDP {
			if seen++; f[42] != 0x88 || f[43] != 0x08 || int(f[44])<<8|int(f[45]) != group {
				t.Errorf("VXLAN's header is % x", f[42:50])
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d of 3 packets arrived\n%s", seen, say())
	}
	if flows := l.appctl("dpctl/dump-flows"); !strings.Contains(flows, "vxlan(gbp(id=291,flags=0x8))") {
		t.Errorf("no megaflow has the policy:\n%s", flows)
	}
}

// TestTunnelVerbs says that commands answer what they do with Open vSwitch
// 3.1.0, which was asked the same with dummies for ports.
func TestTunnelVerbs(t *testing.T) {
	n := newNetwork(t, 0) // whose routes are not this machine's
	l := newLab(t, func(f func()) { n.within(n.at, f) })
	l.start(daemon.Options{Dummy: desired.DummyOn, DisableSystem: true})
	if out := l.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy", "other-config:hwaddr=aa:55:aa:55:00:00", "--",
		"add-port", "br0", "p0", "--", "set", "interface", "p0", "type=dummy", "ofport_request=1",
		"--", "add-br", "int-br", "--", "set", "bridge", "int-br", "datapath_type=dummy", "--", "add-port", "int-br", "v3", "--", "set", "interface", "v3", "type=dummy", "ofport_request=1", "--",
		"add-port", "int-br", "t1", "--", "set", "interface", "t1", "type=vxlan", "options:remote_ip=1.1.2.92", "options:key=123", "ofport_request=2"); out != "" {
		t.Fatal(out)
	}
	for _, c := range []struct{ add, name, options, want string }{
		{"same", "t3", "type=vxlan options:remote_ip=1.1.2.92 options:key=123", "could not add network device t3 to ofproto (File exists)"},
		{"no other end", "t4", "type=vxlan", "t4: vxlan type requires valid 'remote_ip' argument"},
		{"families", "t5", "type=gre options:remote_ip=fc00::1 options:local_ip=1.1.2.88", "t5: 'remote_ip' and 'local_ip' has to be of the same address family"},
		{"bad address", "t5", "type=gre options:remote_ip=fc00::zz", "t5: bad gre 'remote_ip'\nt5: gre type requires valid 'remote_ip' argument"},
		{"multicast", "t5", "type=gre options:remote_ip=ff02::1", "t5: multicast remote_ip=ff02::1 not allowed"},
		{"local_ip=flow", "t5", "type=gre options:remote_ip=1.1.2.92 options:local_ip=flow", "t5: gre type requires 'remote_ip=flow' with 'local_ip=flow'"},
	} {
		l.vsctl(append([]string{"--", "add-port", "int-br", c.name, "--", "set", "interface", c.name}, strings.Fields(c.options)...)...)
		if got := l.vsctl("get", "Interface", c.name, "error"); got != fmt.Sprintf("%q\n", c.want) {
			t.Errorf("%s: %s", c.add, got)
		}
		l.vsctl("del-port", c.name)
	}
	l.vsctl("add-port", "int-br", "t6", "--", "set", "interface", "t6", "type=vxlan", "options:remote_ip=flow", "options:key=flow", "options:dst_port=4790", "options:local_ip=1.1.2.88")
	const head = "IP                                            MAC                 Bridge\n" +
		"==========================================================================\n"
	const known = head + "1.1.2.92                                      f8:bc:12:44:34:b6   br0\n"
	for _, c := range []struct{ line, want string }{
		{"netdev-dummy/ip4addr br0 1.1.2.88/24", "OK\n"},
		{"ovs/route/add 1.1.2.92/24 br0", "OK\n"},
		{"ovs/route/lookup 1.1.2.92", "src 1.1.2.88\ngateway ::\ndev br0\n"},
		{"ovs/route/lookup fc00::1", "Not found\n"},
		{"ovs/route/add 203.0.112.0/23 br0 1.1.2.92", "OK\n"},
		{"ovs/route/add 9.0.0.0/8 brx 1.1.2.92", "Error while inserting route.\n"},
		{"ovs/route/add foo br0", "Invalid parameters\n"},
		{"ovs/route/lookup 203.0.113.1", "src 1.1.2.88\ngateway 1.1.2.92\ndev br0\n"},
		{"ovs/route/del 1.1.3.92/24", "Not found\n"},
		{"ovs/route/del 203.0.113.0/23", "OK\n"},
		{"tnl/neigh/show", head},
		{"tnl/ports/show", "Listening ports:\nvxlan_sys_4789 (4789) ref_cnt=1\nvxlan_sys_4790 (4790) ref_cnt=1\n"},
		{"tnl/neigh/set br0 1.1.2.92 f8:bc:12:44:34:b6", "OK\n"},
		{"tnl/neigh/show", known},
		{"tnl/arp/show", known},
		{"tnl/neigh/aging", "900\n"},
		{"tnl/neigh/aging 100", "OK\n"},
		{"tnl/arp/aging", "100\n"},
		{"tnl/neigh/aging br0", "bad aging value\n"},
		{"tnl/neigh/set br0 1.1.2 f8:bc:12:44:34:b6", "bad IP address\n"},
		{"tnl/neigh/set br0 1.1.2.9 f8:bc:12:44:34", "bad MAC address\n"},
		{"dpctl/show", "dummy@ovs-dummy:\n  lookups: hit:0 missed:0 lost:0\n  flows: 0\n  port 0: ovs-dummy (dummy-internal)\n  port 1: p0 (dummy)\n" +
			"  port 2: int-br (dummy-internal)\n  port 3: v3 (dummy)\n  port 100: br0 (dummy-internal)\n" +
			"  port 4789: vxlan_sys_4789 (vxlan: packet_type=ptap)\n  port 4790: vxlan_sys_4790 (vxlan: dst_port=4790, packet_type=ptap)\n"},
		{"netdev-dummy/ip6addr br0 2001:cafe::88/24", "OK\n"},
		{"ovs/route/lookup 2001:cafe::92", "Not found\n"},
		{"ovs/route/add 2001:cafe::/24 br0 pkt_mark=5", "OK\n"},
		{"ovs/route/add 2001:cafe::/24 br0 1.1.2.3", "Invalid pkt_mark or IPv6 gateway\n"},
		{"ovs/route/add 2001:cafe::/24 br0 2001:cafe::1 pkt_mark=x", "Invalid pkt_mark\n"},
		{"ovs/route/lookup 2001:cafe::92", "Not found\n"},
		{"ovs/route/lookup 2001:cafe::92 pkt_mark=5", "src 2001:cafe::88\ngateway ::\ndev br0\n"},
		{"ovs/route/del 2001:cafe::/24", "Not found\n"},
		{"ovs/route/del 2001:cafe::/24 pkt_mark=5", "OK\n"},
		{"tnl/egress_port_range", "Tunnel UDP source port range: 32768-61000\n"},
		{"tnl/egress_port_range 50000 40000", "OK\n"},
		{"tnl/egress_port_range", "Tunnel UDP source port range: 40000-50000\n"},
		{"tnl/egress_port_range 0 5", "Invalid min.\n"},
		{"tnl/egress_port_range 5 70000", "Invalid max.\n"},
		{"netdev-dummy/receive v3 in_port(3),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2)", ""},
		{"tnl/neigh/flush", "OK\n"},
		{"tnl/neigh/show", head},
	} {
		got := l.appctl(strings.Fields(c.line)...)
		got, _, _ = strings.Cut(got, "ovs-appctl:")
		if got != c.want {
			t.Errorf("%s:\n%swant\n%s", c.line, got, c.want)
		}
		if strings.HasPrefix(c.line, "netdev-dummy/receive") {
			const flow = "recirc_id(0),in_port(v3),packet_type(ns=0,id=0),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(tos=0/0x3,frag=no), " +
				"packets:0, bytes:0, used:never, actions:int-br,tnl_push(tnl_port(vxlan_sys_4789),header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
				"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x7b)),out_port(br0)),p0\n"
			await(t, "the megaflow", func() bool { return strings.Contains(l.appctl("dpctl/dump-flows", "--names"), flow) },
				func() string { return l.appctl("dpctl/dump-flows", "--names") })
		}
	}
	if got, want := l.appctl("tnl/ports/show", "-v"), "vxlan_sys_4790 (4790) : eth(dst=aa:55:aa:55:00:00),eth_type(0x0800),ipv4(dst=1.1.2.88,proto=17,frag=no),udp(dst=4790)\n"+
		"vxlan_sys_4790 (4790) : eth(dst=aa:55:aa:55:00:00),eth_type(0x86dd),ipv6(dst=2001:cafe::88,proto=17,frag=no),udp(dst=4790)\n"; !strings.HasSuffix(got, want) {
		t.Errorf("tnl/ports/show -v:\n%s", got)
	}
	if out := l.appctl("ofproto/trace", "tunnel(tun_id=123,src=1.1.2.92,dst=1.1.2.88,tos=0,ttl=64,flags(key)),in_port(4789),"+
		"eth(src=50:54:00:00:00:03,dst=50:54:00:00:00:01),eth_type(0x0800),ipv4(frag=no)"); !strings.Contains(out, "bridge(\"int-br\")") || !strings.Contains(out, ",in_port=2,") {
		t.Errorf("ofproto/trace:\n%s", out)
	}
	// A tunnel that goes takes its port along, one that changes keeps its number.
	l.vsctl("del-port", "t6")
	l.vsctl("set", "interface", "t1", "options:dst_port=4800")
	if got, want := l.appctl("tnl/ports/show"), "Listening ports:\nvxlan_sys_4800 (4800) ref_cnt=1\n"; got != want {
		t.Errorf("tnl/ports/show:\n%s", got)
	}
	if got := l.vsctl("get", "interface", "t1", "ofport"); got != "2\n" {
		t.Errorf("ofport is %s", got)
	}
}

// TestTunnelList has tunnels of many kinds described as Open vSwitch 3.1.0 does,
// which was given the same; of two that take the same packets, one is refused on
// whichever bridge it is.
func TestTunnelList(t *testing.T) {
	n := newNetwork(t, 0)
	l := newOurs(n, n.at)
	if out := l.vsctl("add-br", "br-a", "--", "add-br", "br-b"); out != "" {
		t.Fatal(out)
	}
	want := ""
	for no, c := range []struct{ bridge, options, want string }{
		{"br-a", "type=gre options:remote_ip=172.16.0.2", "(gre: ::->172.16.0.2, key=0, legacy_l2, dp port=%d, ttl=64)"},
		{"br-b", "type=gre options:remote_ip=172.16.0.2", ""},
		{"br-b", "type=gre options:remote_ip=172.16.0.2 options:packet_type=legacy_l3", "(gre: ::->172.16.0.2, key=0, legacy_l3, dp port=%d, ttl=64)"},
		{"br-b", "type=gre options:remote_ip=172.16.0.2 options:key=5", "(gre: ::->172.16.0.2, key=0x5, legacy_l2, dp port=%d, ttl=64)"},
		{"br-a", "type=gre options:remote_ip=1.1.1.1 options:key=0 options:seq=true options:csum=true", "(gre: ::->1.1.1.1, key=0, legacy_l2, dp port=%d, ttl=64, csum=true)"},
		{"br-a", "type=vxlan options:remote_ip=flow options:key=flow options:local_ip=flow options:tos=inherit options:ttl=inherit options:csum=true options:df_default=false",
			"(vxlan: flow->flow, key=flow, legacy_l2, dp port=%d, ttl=inherit, tos=inherit, df=false, csum=true)"},
		{"br-a", "type=vxlan options:remote_ip=fd00::1 options:local_ip=fd00::2 options:in_key=3 options:out_key=flow", "(vxlan: fd00::2->fd00::1, key=0x3, legacy_l2, dp port=%d, out_key=flow, ttl=64)"},
		{"br-a", "type=vxlan options:remote_ip=flow options:in_key=flow options:out_key=7 options:tos=0x20 options:ttl=9 options:dst_port=4000", "(vxlan: ::->flow, key=flow, legacy_l2, dp port=%d, out_key=0x7, ttl=9, tos=0x20)"},
		{"br-a", "type=gtpu options:remote_ip=1.1.1.1 options:key=8", "(gtpu: ::->1.1.1.1, key=0x8, legacy_l3, dp port=%d, ttl=64)"},
	} {
		name := fmt.Sprint("t", no)
		l.vsctl(append([]string{"--", "add-port", c.bridge, name, "--", "set", "interface", name}, strings.Fields(c.options)...)...)
		port := ""
		for _, line := range strings.Split(l.appctl("dpif/show"), "\n") {
			if words := strings.Fields(line); len(words) > 1 && words[0] == name {
				_, port, _ = strings.Cut(words[1], "/")
			}
		}
		port = strings.TrimSuffix(port, ":")
		if c.want == "" {
			if got, want := l.vsctl("get", "Interface", name, "error"), fmt.Sprintf("\"could not add network device %s to ofproto (File exists)\"\n", name); got != want {
				t.Errorf("%s: error is %s", name, got)
			}
			continue
		}
		want += fmt.Sprintf("port %s: %s %s\n", port, name, strings.Replace(c.want, "%d", port, 1))
	}
	if got := l.appctl("ofproto/list-tunnels"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTunnelWatched watches a tunnel by CFM and BFD from both ends. What has a key
// is not for CFM where the tunnel takes any, nor for BFD where it is told so.
func TestTunnelWatched(t *testing.T) {
	t.Parallel()
	for name, start := range others {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &ends{network: newNetwork(t, 0)}
			e.there = e.add("far")
			e.cable(e.at, "e1", e.there, "f1")
			e.host(e.at, "v1", 1)
			e.host(e.there, "w1", 2)
			e.near, e.other = newOurs(e.network, e.at), start(e.network, e.there)
			tunnelEnd(e.network, e.near, e.at, "e1", "v1", 1, "type=vxlan", "options:key=123")
			tunnelEnd(e.network, e.other, e.there, "f1", "w1", 2, "type=vxlan", "options:key=123")
			set := func(words string) {
				t.Helper()
				for _, s := range []far{e.near, e.other} {
					if out := s.vsctl(strings.Fields(words)...); out != "" {
						t.Fatal(out)
					}
				}
			}
			bfd := func(s far) string {
				return strings.TrimSpace(s.vsctl("get", "Interface", "t0", "bfd_status:state"))
			}
			say := func() string {
				return e.near.appctl("cfm/show") + e.other.appctl("cfm/show") + e.near.appctl("bfd/show") + e.other.appctl("bfd/show") +
					e.near.appctl("dpctl/dump-flows", "-m") + e.near.appctl("tnl/neigh/show")
			}
			cfm := func(what, near, other string) {
				t.Helper()
				await(t, what, func() bool { return ofCFM(e.near, "t0") == near && ofCFM(e.other, "t0") == other }, say)
			}
			set("set Interface t0 bfd:enable=true bfd:min_rx=200 bfd:min_tx=200 other_config:cfm_interval=100")
			e.near.vsctl("set", "Interface", "t0", "cfm_mpid=7")
			e.other.vsctl("set", "Interface", "t0", "cfm_mpid=9")
			cfm("CFM with a key", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
			await(t, "BFD with a key", func() bool { return bfd(e.near) == "up" && bfd(e.other) == "up" }, say)
			set("set Interface t0 bfd:check_tnl_key=true")
			await(t, "BFD to refuse packets with a key", func() bool { return bfd(e.near) == "down" && bfd(e.other) == "down" }, say)

			set("remove Interface t0 options key -- set Interface t0 options:in_key=flow options:out_key=123")
			cfm("CFM to refuse messages with a key", `7,true,[recv],[],[]`, `9,true,[recv],[],[]`)
			set("remove Interface t0 options out_key")
			cfm("CFM without a key", `7,false,[],[],[9]`, `9,false,[],[],[7]`)
			await(t, "BFD without a key", func() bool { return bfd(e.near) == "up" && bfd(e.other) == "up" }, say)
		})
	}
}
