package daemon_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"golang.org/x/sys/unix"
)

// A sniffer hears what arrives at a device.
type sniffer struct{ fd int }

func newSniffer(n *network, at, dev string) *sniffer {
	n.t.Helper()
	var s sniffer
	var err error
	n.within(at, func() {
		var index int
		if index, err = ifindex(dev); err != nil {
			return
		}
		all := int(binary.BigEndian.Uint16([]byte{0, unix.ETH_P_ALL}))
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0); err != nil {
			return
		}
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
		err = unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: uint16(all<<8 | all>>8), Ifindex: index})
	})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = unix.Close(s.fd) })
	return &s
}

// frames are what has arrived, until nothing came for a while.
func (s *sniffer) frames() (list [][]byte) {
	_ = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 300000})
	b := make([]byte, 70000)
	for {
		k, from, err := unix.Recvfrom(s.fd, b, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return list
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype != unix.PACKET_OUTGOING {
			list = append(list, append([]byte(nil), b[:k]...))
		}
	}
}

func ifindex(dev string) (int, error) {
	ifr, err := unix.NewIfreq(dev)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}

// TestMirror is a monitor that hears what two hosts say to each other, each
// packet once and nothing else, and a mirror to a VLAN whose packets another
// port takes away.
func TestMirror(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 0)
	h1, h2 := n.host(n.at, "v1", 1), n.host(n.at, "v2", 2)
	mon, far := n.add("mon"), n.add("far")
	n.cable(n.at, "m1", mon, "eth0")
	n.cable(n.at, "r1", far, "eth0")
	l := newOurs(n, n.at)
	if out := l.vsctl("add-br", "br0", "--", "add-port", "br0", "v1", "--", "add-port", "br0", "v2", "--", "add-port", "br0", "m1",
		"--", "add-port", "br0", "r1", "trunks=99",
		"--", "--id=@m1", "get", "Port", "m1", "--", "--id=@v1", "get", "Port", "v1",
		"--", "--id=@s", "create", "Mirror", "name=span", "select_all=true", "output_port=@m1",
		"--", "--id=@r", "create", "Mirror", "name=rspan", "select_src_port=@v1", "output_vlan=99", "snaplen=60",
		"--", "set", "Bridge", "br0", "mirrors=@s,@r"); strings.Contains(out, "ovs-vsctl") {
		t.Fatal(out)
	}
	await(t, "ping", func() bool { _, err := ping(h1, 2, 1); return err == nil }, func() string { return l.appctl("dpctl/dump-flows") })
	spy, spy2 := newSniffer(n, mon, "eth0"), newSniffer(n, far, "eth0")
	const pings = 20
	if out, err := ping(h1, 2, pings); err != nil {
		t.Fatal(out)
	}
	heard := make(map[string]int)
	for _, f := range spy.frames() {
		if len(f) > 42 && binary.BigEndian.Uint16(f[12:]) == 0x0800 && f[23] == 1 { // ICMP without a tag
			heard[fmt.Sprintf("%d/%d", f[34], binary.BigEndian.Uint16(f[40:]))]++
		}
	}
	if len(heard) != 2*pings {
		t.Errorf("the monitor heard %d different packets, want %d: %v", len(heard), 2*pings, heard)
	}
	for what, k := range heard {
		if k != 1 {
			t.Errorf("the monitor heard %s %d times", what, k)
		}
	}
	remote := 0
	for _, f := range spy2.frames() {
		// The kernel may have taken the tag off.
		if i := strings.Index(string(f), "\x08\x00\x45"); i == 12 || i == 16 {
			if f[i+11] == 1 && f[i+22] == 8 {
				remote++
				if len(f) > 60 {
					t.Errorf("%d bytes of a packet, want 60", len(f))
				}
			}
		}
	}
	if remote != pings {
		t.Errorf("VLAN 99 had %d requests, want %d", remote, pings)
	}

	// Large segments are mirrored whole.
	const bytes = 4 << 20
	hosts := &network{t: t, at: n.at, hosts: []string{h1, h2}}
	if err := hosts.transfer(1, 2, bytes); err != nil {
		t.Error(err)
	}
	sum := 0
	for _, f := range spy.frames() {
		if len(f) > 54 && binary.BigEndian.Uint16(f[12:]) == 0x0800 && f[23] == 6 {
			sum += len(f) - 34 - int(f[46]>>4)*4
		}
	}
	if sum < bytes {
		t.Logf("the monitor heard %d bytes of %d: the socket may have lost some", sum, bytes)
	}
	end := time.Now().Add(20 * time.Second)
	for ; time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		var k int
		if _, err := fmt.Sscanf(strings.Trim(l.vsctl("--if-exists", "get", "Mirror", "span", "statistics:tx_packets"), "\""), "%d", &k); err == nil && k >= 2*pings {
			return
		}
	}
	t.Errorf("statistics: %s", l.vsctl("list", "Mirror"))
}

// TestMirrorERSPAN is a mirror whose port is a tunnel: at the other end each
// packet arrives once, behind headers that others understand.
func TestMirrorERSPAN(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1", "2"} {
		t.Run("version "+version, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t, 0)
			there := n.add("far")
			n.cable(n.at, "e1", there, "f1")
			h1, _ := n.host(n.at, "v1", 1), n.host(n.at, "v2", 2)
			l := newOurs(n, n.at)
			tunnelEnd(n, l, n.at, "e1", "v1", 1, "type=erspan", "options:key=77", "options:erspan_ver="+version, "options:erspan_idx=9", "options:erspan_dir=1", "options:erspan_hwid=4")
			n.ip("-n", there, "addr", "add", "172.16.9.2/24", "dev", "f1")
			if out := l.vsctl("add-port", "br-in", "v2", "--", "--id=@t0", "get", "Port", "t0", "--", "--id=@v1", "get", "Port", "v1",
				"--", "--id=@m", "create", "Mirror", "name=away", "select_src_port=@v1", "output_port=@t0", "--", "set", "Bridge", "br-in", "mirrors=@m"); strings.Contains(out, "ovs-vsctl") {
				t.Fatal(out)
			}
			spy := newSniffer(n, there, "f1")
			await(t, "something mirrored", func() bool {
				_, _ = ping(h1, 2, 1)
				return len(mirrored(spy.frames())) > 0
			}, func() string { return l.appctl("dpctl/dump-flows") + l.appctl("drop/show") })
			const pings = 20
			if out, err := ping(h1, 2, pings); err != nil {
				t.Fatal(out)
			}
			heard := make(map[uint16]int)
			for _, m := range mirrored(spy.frames()) {
				if m.echo.Src().String() != "10.9.0.1" || m.session != 77 || version == "1" && m.index != 9 || version == "2" && m.last != 1<<3|4<<4 {
					t.Errorf("mirrored: %+v", m)
				}
				heard[m.seq]++
			}
			if len(heard) != pings {
				t.Errorf("%d different requests, want %d", len(heard), pings)
			}
			for seq, k := range heard {
				if k != 1 {
					t.Errorf("request %d was heard %d times", seq, k)
				}
			}
		})
	}
}

// A copied is an echo request that came through ERSPAN.
type copied struct {
	session uint16
	index   uint32 // of type II
	last    uint16 // bits of type III
	echo    gopacket.Flow
	seq     uint16
}

// mirrored are the echo requests among frames that ERSPAN carries.
func mirrored(frames [][]byte) (list []copied) {
	for _, f := range frames {
		p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.NoCopy)
		gre, ok := p.Layer(layers.LayerTypeGRE).(*layers.GRE)
		if !ok || !gre.SeqPresent {
			continue
		}
		var c copied
		inner := gre.Payload
		switch gre.Protocol {
		case layers.EthernetTypeERSPAN:
			e, ok := p.Layer(layers.LayerTypeERSPANII).(*layers.ERSPANII)
			if !ok {
				continue
			}
			c.session, c.index, inner = e.SessionID, e.Index, e.Payload
		case 0x22eb: // of which gopacket knows nothing
			if len(inner) < 12 || inner[0]>>4 != 2 {
				continue
			}
			c.session, c.last, inner = (uint16(inner[2])<<8|uint16(inner[3]))&0x3ff, uint16(inner[10])<<8|uint16(inner[11]), inner[12:]
		default:
			continue
		}
		within := gopacket.NewPacket(inner, layers.LayerTypeEthernet, gopacket.NoCopy)
		if icmp, ok := within.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok && icmp.TypeCode.Type() == layers.ICMPv4TypeEchoRequest {
			c.echo, c.seq = within.NetworkLayer().NetworkFlow(), icmp.Seq
			list = append(list, c)
		}
	}
	return list
}
