package ipfix

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	decoder "github.com/netsampler/goflow2/v2/decoders/netflow"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/tunnel"
)

var start = time.Unix(1_700_000_000, 0)

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

var pool packet.Pool

func taken(t testing.TB, text string, n int, c action.IPFIX, now time.Time) *action.Taken {
	t.Helper()
	k, _, err := flow.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &action.Taken{Cookie: c, In: k.InPort, Packet: pool.From(flow.Compose(&k, n)), Now: now}
}

const (
	udp4 = "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=2000)"
	tcp6 = "in_port(2),eth(src=50:54:00:00:00:02,dst=50:54:00:00:00:01),eth_type(0x8100),vlan(vid=10,pcp=3)," +
		"encap(eth_type(0x86dd),ipv6(src=fe80::1,dst=fe80::2,label=0x5,proto=6,tclass=0x4,hlimit=64,frag=no),tcp(src=1000,dst=2000),tcp_flags(syn|ack))"
	icmp4 = "in_port(1),eth(src=50:54:00:00:00:01,dst=01:00:5e:00:00:02),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0x44,ttl=64,frag=no),icmp(type=8,code=3)"
	arp = "in_port(2),eth(src=50:54:00:00:00:02,dst=ff:ff:ff:ff:ff:ff),eth_type(0x0806)," +
		"arp(sip=1.2.3.4,tip=5.6.7.8,op=1,sha=50:54:00:00:00:02,tha=00:00:00:00:00:00)"
)

var (
	in  = action.IPFIX{Output: action.NoOutput}
	out = action.IPFIX{Output: 2}
)

func settings() Settings {
	return Settings{Domain: 77, Point: 88, Virtual: "vv", Ports: []Port{
		{No: 1, Name: "p1", Ifindex: 11, Type: 6}, {No: 2, Name: "longer", Ifindex: 22, Type: 6},
	}}
}

// A reader remembers templates; it is not of our making.
type reader struct {
	t         *testing.T
	templates decoder.NetFlowTemplateSystem
}

func newReader(t *testing.T) *reader {
	return &reader{t, decoder.CreateTemplateSystem()}
}

// read is the text of messages: one line a message, and one a record with the
// elements that are asked for.
func (c *reader) read(messages [][]byte, elements ...uint16) string {
	c.t.Helper()
	var b strings.Builder
	for _, m := range messages {
		if len(m) > maxMessage || int(binary.BigEndian.Uint16(m[2:])) != len(m) {
			c.t.Fatalf("a message of %d bytes says it has %d", len(m), binary.BigEndian.Uint16(m[2:]))
		}
		var p decoder.IPFIXPacket
		if err := decoder.DecodeMessageVersion(bytes.NewBuffer(m), c.templates, new(decoder.NFv9Packet), &p); err != nil {
			c.t.Fatalf("%v: % x", err, m)
		}
		fmt.Fprintf(&b, "time=%d seq=%d domain=%d\n", p.ExportTime, p.SequenceNumber, p.ObservationDomainId)
		for _, set := range p.FlowSets {
			switch set := set.(type) {
			case decoder.TemplateFlowSet:
				fmt.Fprintf(&b, " %d templates\n", len(set.Records))
			case decoder.IPFIXOptionsTemplateFlowSet:
				fmt.Fprintf(&b, " %d options templates\n", len(set.Records))
			case decoder.OptionsDataFlowSet:
				for _, r := range set.Records {
					fmt.Fprintf(&b, " options %v %v\n", r.ScopesValues, r.OptionsValues)
				}
			case decoder.DataFlowSet:
				for _, r := range set.Records {
					fmt.Fprintf(&b, " %d:", set.Id)
					for _, v := range r.Values {
						for _, e := range elements {
							if v.Type == e {
								fmt.Fprintf(&b, " %d=%x", e, v.Value)
							}
						}
					}
					b.WriteString("\n")
				}
			default:
				c.t.Fatalf("a set of type %T", set)
			}
		}
	}
	return b.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// begun is a cache whose templates a collector knows.
func begun(t *testing.T, s Settings) (*Cache, *reader) {
	c, to := NewCache(), newReader(t)
	c.Configure(s, start)
	text := to.read(c.Run(start))
	if n := strings.Count(text, "templates\n"); n < 3 || !strings.HasSuffix(text, "domain=0\n 1 options templates\n"+
		" options [{false 144 0 [0 0 0 1]}] [{false 167 0 [0 0 0 0 0 0 0 0]}]\n") {
		t.Fatalf("templates: %s", text)
	}
	return c, to
}

// Without a cache each packet is a record. Templates, elements and values are
// those of Debian's ovs-vswitchd for the same packets, but for the totals.
func TestNoCache(t *testing.T) {
	c, to := begun(t, settings())
	for _, x := range []*action.Taken{
		taken(t, udp4, 200, in, at(100)), taken(t, udp4, 200, out, at(100)), taken(t, tcp6, 0, in, at(1200)),
		taken(t, icmp4, 0, out, at(1300)), taken(t, arp, 0, action.IPFIX{Output: action.NoOutput, Dropped: true}, at(2000)),
	} {
		if !c.Packet(x) {
			t.Error("nothing to send")
		}
	}
	same(t, to.read(c.Run(at(2000)), 138, 61, 10, 14, 82, 58, 244, 4, 5, 8, 27, 31, 7, 176, 898, 158, 133, 135, 2, 86, 354, 355, 356, 357, 174, 352, 353, 1, 85, 222, 218), `
time=1700000001 seq=0 domain=77
 284: 138=00000058 61=00 10=0000000b 82=7031 4=11 5=00 8=0a000001 7=03e8 898=7676 158=000dbba0 133=0000000000000000 135=0000000000000000 2=0000000000000001 86=0000000000000001 354=0000000000000001 355=0000000000000000 356=0000000000000000 357=0000000000000000 174=0000000000000000 352=00000000000000c8 353=00000000000000c8 1=00000000000000ba 85=00000000000000ba
time=1700000001 seq=1 domain=77
 285: 138=00000058 61=01 10=0000000b 82=7031 14=00000016 82=6c6f6e676572 4=11 5=00 8=0a000001 7=03e8 898=7676 158=000dbba0 133=0000000000000000 135=0000000000000000 2=0000000000000001 86=0000000000000001 354=0000000000000001 355=0000000000000000 356=0000000000000000 357=0000000000000001 174=0000000000000000 352=00000000000000c8 353=00000000000000c8 1=00000000000000ba 85=00000000000000ba
time=1700000002 seq=2 domain=77
 360: 138=00000058 61=00 10=00000016 82=6c6f6e676572 58=000a 244=03 4=06 5=04 27=fe800000000000000000000000000001 31=00000005 7=03e8 898=7676 158=000c3500 133=0000000000000000 135=0000000000000000 2=0000000000000001 86=0000000000000001 354=0000000000000002 355=0000000000000000 356=0000000000000000 357=0000000000000001 174=0000000000000000 352=000000000000004e 353=000000000000004e 1=000000000000003c 85=000000000000003c 222=0000000000000001 218=0000000000000001
time=1700000002 seq=3 domain=77
 293: 138=00000058 61=01 10=0000000b 82=7031 14=00000016 82=6c6f6e676572 4=01 5=44 8=0a000001 176=08 898=7676 158=000aae60 133=0000000000000000 135=0000000000000000 2=0000000000000001 86=0000000000000001 354=0000000000000002 355=0000000000000000 356=0000000000000000 357=0000000000000001 174=0000000000000001 352=000000000000002a 353=000000000000002a 1=000000000000001c 85=000000000000001c
time=1700000002 seq=4 domain=77
 256: 138=00000058 61=00 10=00000016 82=6c6f6e676572 898=7676 158=00000000 133=0000000000000001 135=0000000000000001 2=0000000000000001 86=0000000000000001 354=0000000000000002 355=0000000000000000 356=0000000000000001 357=0000000000000001 174=0000000000000000 352=000000000000002a 353=000000000000002a
`)
}

// A cache adds packets of a flow up, and tells of them after the active
// timeout, or when it is full: several records of a kind in one set.
func TestCache(t *testing.T) {
	s := settings()
	s.Active, s.MaxFlows = 10*time.Second, 3
	c, to := begun(t, s)
	flow := func(n int) string { return strings.Replace(udp4, "src=1000", fmt.Sprintf("src=%d", 1000+n), 1) }
	for n := range 4 {
		if c.Packet(taken(t, flow(0), 100+n, in, at(1000*n))) {
			t.Error("something to send")
		}
	}
	c.Packet(taken(t, flow(1), 100, in, at(4000)))
	c.Packet(taken(t, flow(2), 100, in, at(4000)))
	if d := c.Run(at(9999)); d != nil || c.Len() != 3 {
		t.Errorf("too early: %s", to.read(d))
	}
	elements := []uint16{7, 158, 159, 2, 86, 352, 136, 1, 198, 25, 26}
	same(t, to.read(c.Run(at(10000)), elements...), `
time=1700000010 seq=0 domain=77
 284: 7=03e8 158=00989680 159=006acfc0 2=0000000000000004 86=0000000000000004 352=0000000000000196 136=02 1=000000000000015e 198=00000000000077a6 25=0000000000000056 26=0000000000000059
`)
	// Two more, of which the second one has no room.
	c.Packet(taken(t, flow(3), 100, in, at(11000)))
	if !c.Packet(taken(t, flow(4), 100, in, at(11000))) {
		t.Error("nothing to send")
	}
	same(t, to.read(c.Run(at(11000)), 7, 136), `
time=1700000011 seq=1 domain=77
 284: 7=03e9 136=05
`)
	same(t, to.read(c.Flush(at(12000)), 7, 136), `
time=1700000012 seq=2 domain=77
 284: 7=03ea 136=04
 284: 7=03eb 136=04
 284: 7=03ec 136=04
`)
	if c.Len() != 0 || c.Run(at(13000)) != nil {
		t.Error("something is left")
	}
}

// Templates and statistics have times of their own where they are set.
func TestIntervals(t *testing.T) {
	s := settings()
	s.Templates, s.Stats = 20*time.Second, 7*time.Second
	c, to := begun(t, s)
	var got []string
	for n := 1; n <= 42; n++ {
		if text := to.read(c.Run(at(n * 1000))); text != "" {
			got = append(got, fmt.Sprintf("%d: templates %v, statistics %v", n, strings.Contains(strings.ReplaceAll(text, "options templates", ""), " templates"), strings.Contains(text, " options [")))
		}
	}
	want := []string{
		"7: templates false, statistics true", "14: templates false, statistics true", "20: templates true, statistics false",
		"21: templates false, statistics true", "28: templates false, statistics true", "35: templates false, statistics true",
		"40: templates true, statistics false", "42: templates false, statistics true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
}

// Templates come again after ten minutes, and for new collectors, and when
// the records change.
func TestTemplates(t *testing.T) {
	c, to := begun(t, settings())
	again := func(now time.Time) bool { return strings.Contains(to.read(c.Run(now)), "templates") }
	if again(at(599_999)) || !again(at(600_000)) || again(at(600_001)) {
		t.Error("templates at the wrong time")
	}
	c.Restart()
	if !again(at(600_002)) {
		t.Error("no templates for new collectors")
	}
	s := settings()
	s.Virtual = ""
	c.Configure(s, at(600_003))
	if !again(at(600_004)) {
		t.Error("no templates after the records changed")
	}
	c.Packet(taken(t, udp4, 100, in, at(600_005)))
	if got := to.read(c.Run(at(600_005)), 898, 2); !strings.Contains(got, " 284: 2=0000000000000001\n") {
		t.Error(got)
	}
}

// What cannot be sent is counted, and the exporter says so.
func TestLost(t *testing.T) {
	c, to := begun(t, settings())
	for range maxWaiting + 5 {
		c.Packet(taken(t, arp, 60, in, at(0)))
	}
	if d := c.Run(at(0)); len(d) != maxWaiting {
		t.Errorf("%d messages waited", len(d))
	}
	c.Restart()
	if got := to.read(c.Run(at(0))); !strings.Contains(got, "[{false 167 0 [0 0 0 0 0 0 0 5]}]") {
		t.Error(got)
	}
}

func FuzzPacket(f *testing.F) {
	for _, text := range []string{udp4, tcp6, icmp4, arp} {
		k, _, _ := flow.Parse(text, nil)
		f.Add(flow.Compose(&k, 0))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) > packet.MaxFrame {
			return
		}
		c, to := begun(t, settings())
		for n := range min(len(frame), 100) {
			c.Packet(&action.Taken{Cookie: out, In: 1, Packet: pool.From(frame[:len(frame)-n]), Now: start})
		}
		to.read(c.Flush(start))
	})
}

func BenchmarkPacket(b *testing.B) {
	s := settings()
	s.Active, s.MaxFlows = time.Minute, 100
	c := NewCache()
	c.Configure(s, start)
	x := taken(b, udp4, 1500, in, start)
	b.ReportAllocs()
	for b.Loop() {
		c.Packet(x)
	}
}

// Records tell of the tunnel that a packet came out of on its way in, and of
// the one that it goes into on its way out, unless that is not wanted; the
// ports are the tunnels' interfaces.
func TestTunnels(t *testing.T) {
	vxlan := action.Tunnel{Name: "t1", Kind: tunnel.VXLAN, Src: netip.MustParseAddr("1.1.2.92"), Dst: netip.MustParseAddr("1.1.2.88"), Port: 4789, HasKey: true, Key: 123}
	gre := action.Tunnel{Name: "t2", Kind: tunnel.GRE, Src: netip.MustParseAddr("1.1.2.88"), Dst: netip.MustParseAddr("1.1.2.93"), HasKey: true, Key: 0x12345678}
	six := vxlan
	six.Name, six.Src, six.Dst = "t4", netip.MustParseAddr("fd00::92"), netip.MustParseAddr("fd00::88")
	erspan := action.Tunnel{Name: "t3", Kind: tunnel.ERSPAN}
	for _, x := range []struct {
		name    string
		tunnels bool
		text    string
		cookie  action.IPFIX
		want    string
	}{
		{"in", true, udp4, action.IPFIX{Output: action.NoOutput, From: vxlan},
			" 286: 82=7431 893=0101025c 894=01010258 895=11 896=15b3 897=12b5 891=01 892=00007b 2=0000000000000001\n"},
		{"through", true, udp4, action.IPFIX{Output: 2, From: vxlan}, " 285: 82=7431 82=6c6f6e676572 2=0000000000000001\n"},
		{"out", true, udp4, action.IPFIX{Output: 9, To: gre},
			" 287: 82=7031 82=7432 893=01010258 894=0101025d 895=2f 896=0000 897=0000 891=02 892=12345678 2=0000000000000001\n"},
		{"no IP", true, arp, action.IPFIX{Output: 9, From: gre, To: vxlan},
			" 259: 82=7432 82=7431 893=0101025c 894=01010258 895=11 896=0000 897=12b5 891=01 892=00007b 2=0000000000000001\n"},
		{"a kind without a number", true, udp4, action.IPFIX{Output: action.NoOutput, From: erspan}, " 284: 82=7433 2=0000000000000001\n"},
		{"over IPv6", true, udp4, action.IPFIX{Output: 9, From: six, To: six}, " 285: 82=7434 82=7434 2=0000000000000001\n"},
		{"not wanted", false, udp4, action.IPFIX{Output: action.NoOutput, From: vxlan}, " 284: 82=7431 2=0000000000000001\n"},
	} {
		s := settings()
		s.Tunnels, s.Active, s.MaxFlows = x.tunnels, time.Hour, 10
		c, r := begun(t, s)
		p := taken(t, x.text, 0, x.cookie, start)
		p.TunnelPort = 5555
		c.Packet(p)
		other := *p
		other.Cookie = action.IPFIX{Output: x.cookie.Output, Dropped: true, From: action.Tunnel{Name: "another"}}
		c.Packet(&other)
		if c.Len() != 2 {
			t.Errorf("%s: tunnels are not told apart", x.name)
		}
		_, got, _ := strings.Cut(r.read(c.Flush(start), 82, 2, 891, 892, 893, 894, 895, 896, 897), "\n")
		if got = got[:strings.Index(got, "\n")+1]; got != x.want {
			t.Errorf("%s:\ngot  %swant %s", x.name, got, x.want)
		}
	}
}
