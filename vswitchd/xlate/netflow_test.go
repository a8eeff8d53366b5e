package xlate

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/port/dummy"
	"govs/internal/clock"
	"govs/vswitchd/export/netflow"
	"govs/vswitchd/mac"
)

// flows adds up the records of NetFlow datagrams by flow.
type flows map[string][3]uint64 // packets, bytes, flags

func (f flows) add(d []byte) {
	be := binary.BigEndian
	for d = d[24:]; len(d) >= 48; d = d[48:] {
		ip := func(o int) netip.Addr { return netip.AddrFrom4([4]byte(d[o:])) }
		key := fmt.Sprintf("%v:%d>%v:%d proto=%d tos=%#x in=%d out=%d", ip(0), be.Uint16(d[32:]), ip(4), be.Uint16(d[34:]),
			d[38], d[39], be.Uint16(d[12:]), be.Uint16(d[14:]))
		sum := f[key]
		sum[0] += uint64(be.Uint32(d[16:]))
		sum[1] += uint64(be.Uint32(d[20:]))
		sum[2] |= uint64(d[37])
		f[key] = sum
	}
}

func (f flows) packets() (n uint64) {
	for _, sum := range f {
		n += sum[0]
	}
	return n
}

func (f flows) String() string {
	var out []string
	for k, sum := range f {
		out = append(out, fmt.Sprintf("%s packets=%d bytes=%d flags=%#x\n", k, sum[0], sum[1], sum[2]))
	}
	slices.Sort(out)
	return strings.Join(out, "")
}

// collect reads datagrams until they tell of so many packets, or do not any
// more after so many pushes.
func collect(t *testing.T, c *net.UDPConn, packets uint64, push func()) flows {
	t.Helper()
	got := flows{}
	b := make([]byte, 65536)
	for n := 0; got.packets() < packets && n < 400; n++ {
		push()
		c.SetReadDeadline(time.Now().Add(30 * time.Millisecond))
		for n, err := c.Read(b); err == nil; n, err = c.Read(b) {
			got.add(b[:n])
		}
	}
	return got
}

// TestNetFlowAgainstC has the same packets counted by a whole engine of ours
// and by Debian's ovs-vswitchd.
func TestNetFlowAgainstC(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs")
	}
	t.Parallel()
	for range 3 {
		if !netFlowAgainstC(t) {
			return
		}
	}
	t.Error("C lost packets three times")
}

// netFlowAgainstC says that C lost a packet, as it does now and then on a busy
// machine: then there is nothing to compare.
func netFlowAgainstC(t *testing.T) (lost bool) {
	t.Helper()
	o := newOracle(t)
	collector := func() (*net.UDPConn, string) {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c, c.LocalAddr().String()
	}
	forOurs, ourTarget := collector()
	forTheirs, theirTarget := collector()
	s := parseSpec(t, "bridge br0\nport p1 access tag=10\nport p2 access tag=10\nport p3\nport p4 trunks=20")
	o.configure(s)
	o.run("ovs-vsctl", "--db=unix:"+o.dir+"/db.sock", "-t10", "--", "--id=@nf", "create", "netflow",
		fmt.Sprintf("targets=%q", theirTarget), "active_timeout=-1", "--", "set", "bridge", "br0", "netflow=@nf")
	o.ctl("time/stop")

	c := clock.NewStopped(time.Unix(1e9, 0))
	nf, err := netflow.New(netflow.Options{Targets: []string{ourTarget}, Settings: netflow.Settings{Active: -1}}, c, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer nf.Close()
	s.cfg.Bridges[0].NetFlow = nf
	tr := New()
	e := engine.New(engine.Options{Translator: tr, Clock: c, VLANLimit: s.limit})
	defer e.Close()
	s.cfg.Bridges[0].MACs = mac.New(mac.Options{}, e.Changed)
	tr.Set(&s.cfg)
	ports := map[flow.PortNo]*dummy.Port{}
	for no, name := range s.names {
		p, err := dummy.New(name, dummy.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.AddPort(no, p); err != nil {
			t.Fatal(err)
		}
		ports[no] = p
	}

	// Where the stations are is known beforehand, so that neither switch
	// changes its mind about a flow.
	for _, l := range []struct {
		port string
		vlan uint16
		mac  string
	}{{"p2", 10, "11"}, {"p3", 10, "12"}, {"br0", 0, "13"}, {"p4", 20, "13"}} {
		o.ctl("fdb/add", "br0", l.port, fmt.Sprint(l.vlan), "00:00:00:00:00:"+l.mac)
		if _, _, err := s.cfg.Bridges[0].MACs.AddStatic(l.vlan, addr(t, l.mac), l.port, c.Now()); err != nil {
			t.Fatal(err)
		}
	}
	r := rand.New(rand.NewPCG(2, 5))
	var keys []*flow.Key
	for len(keys) < 25 {
		k := randomKey(r, s)
		k.EthType, k.TTL, k.VLAN[1] = 0x0800, 64, flow.VLAN{}
		if k.EthDst[0] == 0 {
			k.EthDst[5] = byte(0x11 + r.IntN(4))
		}
		k.Proto = []uint8{1, 6, 17, 47}[r.IntN(4)]
		k.TPSrc, k.TPDst, k.TOS = uint16(r.IntN(256)), uint16(r.IntN(256)), uint8(r.IntN(256))
		k.IPSrc, k.IPDst = [16]byte{10, 0, 0, byte(r.IntN(3))}, [16]byte{10, 0, 1, byte(r.IntN(3))}
		k.TCPFlags = uint16(1 << r.IntN(6))
		keys = append(keys, k)
	}
	const sent = 120
	for range sent {
		k := keys[r.IntN(len(keys))]
		b := frame(k)
		o.ctl("netdev-dummy/receive", s.names[k.InPort], hex.EncodeToString(b))
		if err := ports[k.InPort].Receive(b); err != nil {
			t.Fatal(err)
		}
		if err := ports[k.InPort].Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ours := collect(t, forOurs, sent, func() { c.Warp(time.Second, time.Second); e.Revalidate() })
	theirs := collect(t, forTheirs, sent, func() { o.ctl("time/warp", "1000") })
	if ours.packets() == sent && theirs.packets() < sent {
		return true
	}
	if ours.packets() != sent || ours.String() != theirs.String() {
		t.Errorf("%d packets\nours\n%vtheirs\n%v", sent, ours, theirs)
	}
	return false
}
