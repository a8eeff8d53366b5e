package sflow

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	decoder "github.com/netsampler/goflow2/v2/decoders/sflow"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/tunnel"
)

var boot = time.Unix(1_700_000_000, 0)

func at(ms int) time.Time { return boot.Add(time.Duration(ms) * time.Millisecond) }

var pool packet.Pool

// taken is a packet of that many bytes of which the sFlow sample says this.
func taken(t testing.TB, text string, n int, c action.SFlow) *action.Taken {
	t.Helper()
	k, _, err := flow.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &action.Taken{Cookie: c, In: k.InPort, Packet: pool.From(flow.Compose(&k, n))}
}

const (
	udp = "in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800)," +
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=2000)"
	tagged = "in_port(2),eth(src=50:54:00:00:00:02,dst=50:54:00:00:00:01),eth_type(0x8100),vlan(vid=10,pcp=3)," +
		"encap(eth_type(0x0800),ipv4(src=10.0.0.2,dst=10.0.0.1,proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=2000))"
)

func settings() Settings {
	return Settings{Rate: 1, Header: 128, Ports: []Port{
		{No: 1, Name: "p1", OFPort: 3, DatapathID: 0xaabbcc000001, Ifindex: 11, Read: func() (port.State, port.Stats) {
			return port.State{Admin: true, Link: true, Speed: 1e10, Duplex: "full"},
				port.Stats{RxPackets: 7, RxBytes: 1 << 33, TxPackets: 9, TxBytes: 900, RxDropped: 1, RxErrors: 2, TxDropped: 3, TxErrors: 4, RxFrameErr: 5, RxCRCErr: 6}
		}},
		{No: 2, Name: "longer", OFPort: 4, Ifindex: 0},
	}}
}

// decode reads datagrams with a decoder that is not ours, one line for each
// datagram, sample and record.
func decode(t *testing.T, datagrams [][]byte) string {
	t.Helper()
	var out strings.Builder
	for _, d := range datagrams {
		if len(d) > maxDatagram {
			t.Errorf("a datagram of %d bytes", len(d))
		}
		var p decoder.Packet
		if err := decoder.DecodeMessageVersion(bytes.NewBuffer(d), &p); err != nil {
			t.Fatalf("%v: % x", err, d)
		}
		agent, _ := netip.AddrFromSlice(p.AgentIP)
		fmt.Fprintf(&out, "version=%d agent=%v/%d seq=%d uptime=%d samples=%d\n", p.Version, agent, p.SubAgentId, p.SequenceNumber, p.Uptime, p.SamplesCount)
		for _, s := range p.Samples {
			switch s := s.(type) {
			case decoder.FlowSample:
				fmt.Fprintf(&out, " flow seq=%d source=%d/%d rate=%d pool=%d drops=%d in=%#x out=%#x\n", s.Header.SampleSequenceNumber,
					s.Header.SourceIdType, s.Header.SourceIdValue, s.SamplingRate, s.SamplePool, s.Drops, s.Input, s.Output)
				for _, r := range s.Records {
					format := r.Header.DataFormat
					switch r := r.Data.(type) {
					case decoder.SampledHeader:
						fmt.Fprintf(&out, "  header protocol=%d length=%d stripped=%d bytes=%d %s\n", r.Protocol, r.FrameLength, r.Stripped,
							r.OriginalLength, hex.EncodeToString(r.HeaderData[:14]))
					case decoder.RawRecord:
						fmt.Fprintf(&out, "  record %d: %x\n", format, r.Data)
					default:
						fmt.Fprintf(&out, "  %+v\n", r)
					}
				}
			case decoder.CounterSample:
				fmt.Fprintf(&out, " counters seq=%d source=%d/%d\n", s.Header.SampleSequenceNumber, s.Header.SourceIdType, s.Header.SourceIdValue)
				for _, r := range s.Records {
					if raw, ok := r.Data.(decoder.RawRecord); ok {
						fmt.Fprintf(&out, "  record %d: %x\n", r.Header.DataFormat, raw.Data)
					} else {
						fmt.Fprintf(&out, "  %+v\n", r.Data)
					}
				}
			default:
				t.Fatalf("a sample of type %T", s)
			}
		}
	}
	return out.String()
}

func same(t *testing.T, got, want string) {
	t.Helper()
	if want = strings.TrimPrefix(want, "\n"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Flow samples as Debian's ovs-vswitchd makes them of the same packets.
func TestFlowSamples(t *testing.T) {
	a := NewAgent(boot)
	a.Flow(taken(t, udp, 200, action.SFlow{})) // nobody is told of it
	a.Configure(settings(), netip.MustParseAddr("10.1.2.3"))
	a.Flow(taken(t, udp, 204, action.SFlow{Output: 0x80000002}))
	a.Flow(taken(t, udp, 61, action.SFlow{TCI: 10, Output: 22}))
	a.Flow(taken(t, tagged, 0, action.SFlow{Output: 0x40000100}))
	if d := a.Full(at(500)); d != nil {
		t.Error("too early: ", decode(t, d))
	}
	same(t, decode(t, a.Run(at(1000))), `
version=5 agent=10.1.2.3/0 seq=1 uptime=1000 samples=3
 flow seq=2 source=2/1000 rate=1 pool=1 drops=1 in=0xb out=0x80000002
  {SrcVlan:0 SrcPriority:0 DstVlan:0 DstPriority:0}
  header protocol=1 length=208 stripped=4 bytes=128 5054000000025054000000010800
 flow seq=3 source=2/1000 rate=1 pool=2 drops=1 in=0xb out=0x16
  {SrcVlan:0 SrcPriority:0 DstVlan:10 DstPriority:0}
  header protocol=1 length=65 stripped=4 bytes=61 5054000000025054000000010800
 flow seq=4 source=2/1000 rate=1 pool=3 drops=1 in=0x0 out=0x40000100
  {SrcVlan:10 SrcPriority:3 DstVlan:0 DstPriority:0}
  header protocol=1 length=114 stripped=4 bytes=110 5054000000015054000000028100
`)
	if d := a.Run(at(2000)); d != nil {
		t.Error("something is left: ", decode(t, d))
	}
}

// The bytes of the first sample as they stood in the C switch's datagram.
func TestBytes(t *testing.T) {
	a := NewAgent(boot)
	s := settings()
	s.Header, s.Ports = 64, nil
	a.Configure(s, netip.MustParseAddr("10.1.2.3"))
	a.Flow(taken(t, udp, 200+4, action.SFlow{Output: 0x80000002}))
	got := hex.EncodeToString(a.Run(at(1000))[0])
	if want := "00000005000000010a0102030000000000000001000003e800000001" + // header
		"000000010000009000000001020003e80000000100000001000000000000000080000002" + "00000002" +
		"000003e900000010" + "00000000000000000000000000000000" + "0000000100000050" + "00000001000000d00000000400000040"; !strings.HasPrefix(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// Counters samples come at once and then with each polling interval.
func TestCounters(t *testing.T) {
	a := NewAgent(boot)
	s := settings()
	s.Polling, s.SubID = 30*time.Second, 4
	s.Datapath = func() Datapath {
		return Datapath{Hits: 1, Misses: 2, Lost: 3, Flows: 4, UserMillis: 5, KernelMillis: 6, MemoryUsed: 7}
	}
	a.Configure(s, netip.MustParseAddr("2001:db8::1"))
	want := `version=5 agent=2001:db8::1/4 seq=%[1]d uptime=%[2]d samples=2
 counters seq=%[1]d source=2/1000
  record 2203: 00000005000000060000000000000007000000000000000000000000000000000000000000000000
  record 2207: 000000010000000200000003ffffffff00000004ffffffff
 counters seq=%[1]d source=0/11
  {Dot3StatsAlignmentErrors:5 Dot3StatsFCSErrors:6 Dot3StatsSingleCollisionFrames:4294967295 Dot3StatsMultipleCollisionFrames:4294967295 Dot3StatsSQETestErrors:4294967295 Dot3StatsDeferredTransmissions:4294967295 Dot3StatsLateCollisions:4294967295 Dot3StatsExcessiveCollisions:4294967295 Dot3StatsInternalMacTransmitErrors:4294967295 Dot3StatsCarrierSenseErrors:4294967295 Dot3StatsFrameTooLongs:4294967295 Dot3StatsInternalMacReceiveErrors:4294967295 Dot3StatsSymbolErrors:4294967295}
  record 1004: 0000aabbcc00000100000003
  record 1005: 0000000270310000
  {IfIndex:11 IfType:6 IfSpeed:10000000000 IfDirection:1 IfStatus:3 IfInOctets:8589934592 IfInUcastPkts:7 IfInMulticastPkts:4294967295 IfInBroadcastPkts:4294967295 IfInDiscards:1 IfInErrors:2 IfInUnknownProtos:4294967295 IfOutOctets:900 IfOutUcastPkts:9 IfOutMulticastPkts:4294967295 IfOutBroadcastPkts:4294967295 IfOutDiscards:3 IfOutErrors:4 IfPromiscuousMode:0}
`
	same(t, decode(t, a.Run(at(1000))), fmt.Sprintf(want, 1, 1000))
	if d := a.Run(at(30999)); d != nil {
		t.Error("too early: ", decode(t, d))
	}
	same(t, decode(t, a.Run(at(31000))), fmt.Sprintf(want, 2, 31000))
}

// Datagrams are told when they are full, and what is too much is counted.
func TestMany(t *testing.T) {
	a := NewAgent(boot)
	s := settings()
	s.Header = 1 << 20
	a.Configure(s, netip.MustParseAddr("10.1.2.3"))
	x := taken(t, udp, 3000, action.SFlow{Output: 1})
	n := 0
	for ; !a.Flow(x); n++ {
	}
	if n != 1 || len(a.Full(boot)) != 1 {
		t.Errorf("full after %d samples of %d bytes", n, MaxHeader)
	}
	for range 3 * maxWaiting {
		a.Flow(x)
	}
	d := a.Full(boot)
	if len(d) != maxWaiting {
		t.Errorf("%d datagrams waited", len(d))
	}
	a.Flow(x)
	last := a.Run(boot)
	if got := decode(t, last[len(last)-1:]); !strings.Contains(got, fmt.Sprintf(" drops=%d ", 2*maxWaiting)) {
		t.Errorf("drops: %s", got)
	}
}

func BenchmarkFlow(b *testing.B) {
	a := NewAgent(boot)
	a.Configure(settings(), netip.MustParseAddr("10.1.2.3"))
	x := taken(b, udp, 1500, action.SFlow{Output: 1})
	b.ReportAllocs()
	for b.Loop() {
		if a.Flow(x) {
			a.Full(boot)
		}
	}
}

// Packets that come out of tunnels, and go into them: the key, if there is
// one, and the outer header.
func TestTunnels(t *testing.T) {
	a := NewAgent(boot)
	a.Configure(settings(), netip.MustParseAddr("10.1.2.3"))
	vxlan := action.Tunnel{Kind: tunnel.VXLAN, Src: netip.MustParseAddr("1.1.2.92"), Dst: netip.MustParseAddr("1.1.2.88"), TOS: 4, Port: 4789, HasKey: true, Key: 123}
	gre := action.Tunnel{Kind: tunnel.GRE, Src: netip.MustParseAddr("1.1.2.88"), Dst: netip.MustParseAddr("1.1.2.92")}
	x := taken(t, udp, 200, action.SFlow{Output: 22, From: vxlan})
	x.TunnelPort = 5555
	a.Flow(x)
	a.Flow(taken(t, udp, 200, action.SFlow{Output: 0x80000001, To: gre}))
	a.Flow(taken(t, udp, 200, action.SFlow{Output: 0x80000001, To: vxlan}))
	six := vxlan
	six.Src, six.Dst = netip.MustParseAddr("fd00::92"), netip.MustParseAddr("fd00::88")
	a.Flow(taken(t, udp, 200, action.SFlow{Output: 22, From: six, To: six}))
	text := decode(t, a.Run(at(1000)))
	var got []string
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "  record") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	want := []string{
		"record 1030: 0000007b",
		"record 1024: 0000000000000011" + "0101025c01010258" + "000015b3000012b5" + "0000000000000004",
		"record 1023: 000000000000002f" + "010102580101025c" + "0000000000000000" + "0000000000000000",
		"record 1029: 0000007b",
		"record 1023: 0000000000000011" + "0101025c01010258" + "00000000000012b5" + "0000000000000004",
	}
	const outer6 = "0000000000000011" + "fd000000000000000000000000000092fd000000000000000000000000000088" + "00000000000012b5" + "0000000000000004"
	want = append(want, "record 1030: 0000007b", "record 1026: "+outer6, "record 1029: 0000007b", "record 1025: "+outer6)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	// The longest sample fits a datagram.
	s := settings()
	s.Header = MaxHeader
	a.Configure(s, netip.MustParseAddr("2001:db8::1"))
	x = taken(t, udp, 1400, action.SFlow{From: six, To: six})
	a.Flow(x)
	if text := decode(t, a.Run(at(2000))); strings.Count(text, "  record") != 4 {
		t.Errorf("%s", text)
	}
}
