package netflow

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
)

var boot = time.Unix(1_700_000_000, 0)

func at(ms int) time.Time { return boot.Add(time.Duration(ms) * time.Millisecond) }

func traffic(packets, bytes uint64, first, last int, flags uint16) engine.Traffic {
	return engine.Traffic{Packets: packets, Bytes: bytes, First: at(first), Last: at(last), TCPFlags: flags}
}

// decode is the text of datagrams, one line a header and one a record.
func decode(t *testing.T, datagrams [][]byte) string {
	t.Helper()
	var out strings.Builder
	be := binary.BigEndian
	for _, d := range datagrams {
		n := int(be.Uint16(d[2:]))
		if be.Uint16(d) != 5 || len(d) != headerLen+n*recordLen || n == 0 || n > maxRecords {
			t.Fatalf("bad datagram % x", d)
		}
		fmt.Fprintf(&out, "uptime=%d time=%d.%09d seq=%d engine=%d/%d\n", be.Uint32(d[4:]), be.Uint32(d[8:]), be.Uint32(d[12:]),
			be.Uint32(d[16:]), d[20], d[21])
		for d = d[headerLen:]; len(d) > 0; d = d[recordLen:] {
			ip := func(o int) netip.Addr { return netip.AddrFrom4([4]byte(d[o:])) }
			fmt.Fprintf(&out, " %v:%d>%v:%d proto=%d tos=%#x flags=%#x in=%d out=%d packets=%d bytes=%d %d-%d\n",
				ip(0), be.Uint16(d[32:]), ip(4), be.Uint16(d[34:]), d[38], d[39], d[37],
				be.Uint16(d[12:]), be.Uint16(d[14:]), be.Uint32(d[16:]), be.Uint32(d[20:]), be.Uint32(d[24:]), be.Uint32(d[28:]))
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

func key(proto uint8, sport, dport uint16) *flow.Key {
	return &flow.Key{
		EthType: etherIPv4, Proto: proto, TOS: 0x29, TPSrc: sport, TPDst: dport,
		IPSrc: [16]byte{10, 0, 0, 1}, IPDst: [16]byte{10, 0, 0, 2},
	}
}

// A flow's life, as Debian's ovs-vswitchd tells of it: a record when it fell
// silent, with flags or-ed and ECN bits left out; ICMP's type and code in the
// destination port.
func TestPassive(t *testing.T) {
	c := NewCache(Settings{EngineType: 3, EngineID: 133}, boot)
	tcp := c.Creditor(key(6, 1000, 80), 3, 0xffff)
	icmp := c.Creditor(key(1, 8, 3), 65534, 9)
	tcp.Credit(nil, traffic(2, 172, 1000, 1200, 0x02))
	icmp.Credit(nil, traffic(1, 42, 1500, 1500, 0))
	tcp.Credit(nil, traffic(1, 54, 2000, 2000, 0x10))
	tcp.Credit(nil, engine.Traffic{})
	if d := c.Run(at(11499)); d != nil {
		t.Errorf("too early: %s", decode(t, d))
	}
	same(t, decode(t, c.Run(at(11500))), `
uptime=11500 time=1700000011.500000000 seq=0 engine=3/133
 10.0.0.1:0>10.0.0.2:2051 proto=1 tos=0x28 flags=0x0 in=65534 out=9 packets=1 bytes=42 1500-1500
`)
	same(t, decode(t, c.Run(at(12000))), `
uptime=12000 time=1700000012.000000000 seq=1 engine=3/133
 10.0.0.1:1000>10.0.0.2:80 proto=6 tos=0x28 flags=0x12 in=3 out=65535 packets=3 bytes=226 1000-2000
`)
	if c.Len() != 0 || c.Run(at(99999)) != nil {
		t.Error("something is left")
	}
}

// A flow that goes on is told of at each active timeout, what is not told
// twice, and not at all where nothing happened.
func TestActive(t *testing.T) {
	c := NewCache(Settings{Active: 30 * time.Second}, boot)
	f := c.Creditor(key(17, 7, 9), 1, 2)
	var got strings.Builder
	for s := range 65 {
		f.Credit(nil, traffic(1, 100, s*1000, s*1000, 0))
		got.WriteString(decode(t, c.Run(at(s*1000+1))))
	}
	got.WriteString(decode(t, c.Flush(at(66000))))
	same(t, got.String(), `
uptime=30001 time=1700000030.001000000 seq=0 engine=0/0
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=31 bytes=3100 0-30000
uptime=60001 time=1700000060.001000000 seq=1 engine=0/0
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=30 bytes=3000 31000-60000
uptime=66000 time=1700000066.000000000 seq=2 engine=0/0
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=4 bytes=400 61000-64000
`)

	c = NewCache(Settings{Active: -1}, boot)
	f = c.Creditor(key(17, 7, 9), 1, 2)
	for s := range 2000 {
		f.Credit(nil, traffic(1, 100, s*1000, s*1000, 0))
		if d := c.Run(at(s * 1000)); d != nil {
			t.Fatalf("active timeouts are off: %s", decode(t, d))
		}
	}
	c.Configure(Settings{}, at(1999_000)) // 0 is 600 seconds
	if d := c.Run(at(2000_000)); len(d) != 1 {
		t.Errorf("%d datagrams", len(d))
	}
}

// Another way out begins another record.
func TestOutput(t *testing.T) {
	c := NewCache(Settings{EngineID: 133, AddIDToInterface: true}, boot)
	c.Creditor(key(17, 7, 9), 65534, 9).Credit(nil, traffic(3, 318, 0, 900, 0))
	c.Creditor(key(17, 7, 9), 65534, 8).Credit(nil, traffic(1, 106, 1000, 1000, 0))
	same(t, decode(t, c.Flush(at(2000))), `
uptime=2000 time=1700000002.000000000 seq=0 engine=0/133
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=3070 out=2569 packets=3 bytes=318 0-900
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=3070 out=2568 packets=1 bytes=106 1000-1000
`)
}

// Counters beyond 32 bits become several records that add up.
func TestLarge(t *testing.T) {
	for _, c := range []struct{ packets, bytes uint64 }{
		{10, math.MaxUint32}, {1_000_000, math.MaxUint32 + 1}, {7_000_000_001, 10_000_000_000_003}, {1, math.MaxUint32},
	} {
		cache := NewCache(Settings{}, boot)
		cache.Credit(Flow{}, 1, traffic(c.packets, c.bytes, 0, 1, 0))
		var packets, bytes uint64
		for _, d := range cache.Flush(at(1)) {
			for d = d[headerLen:]; len(d) > 0; d = d[recordLen:] {
				packets += uint64(binary.BigEndian.Uint32(d[16:]))
				bytes += uint64(binary.BigEndian.Uint32(d[20:]))
			}
		}
		if packets != c.packets || bytes != c.bytes {
			t.Errorf("%+v: told of %d packets and %d bytes", c, packets, bytes)
		}
	}
}

func TestManyFlows(t *testing.T) {
	c := NewCache(Settings{}, boot)
	for n := range 100 {
		c.Credit(Flow{SrcPort: uint16(n)}, 1, traffic(1, 60, n, n, 0))
	}
	d := c.Flush(at(200))
	if len(d) != 4 || len(d[0]) != headerLen+30*recordLen || len(d[3]) != headerLen+10*recordLen {
		t.Fatalf("%d datagrams", len(d))
	}
	for i := range d {
		if seq := binary.BigEndian.Uint32(d[i][16:]); seq != uint32(30*i) {
			t.Errorf("sequence number %d of datagram %d", seq, i)
		}
	}
}

// The mask holds what tells flows apart and nothing else.
func TestMask(t *testing.T) {
	const (
		four = flow.Proto | flow.IPv4Src | flow.IPv4Dst
		six  = flow.Proto | flow.IPv6Src | flow.IPv6Dst
		port = flow.TPSrc | flow.TPDst
	)
	for _, x := range []struct {
		version uint8
		k       *flow.Key
		want    flow.Fields
		tos     uint8
	}{
		{5, key(6, 1, 2), four | port, 0xfc},
		{5, key(47, 0, 0), four, 0xfc},
		{5, key6(6, 1, 2), 0, 0},
		{5, &flow.Key{EthType: 0x0806}, 0, 0},
		{9, key(1, 8, 0), four | port, 0xfc},
		{9, key(58, 0, 0), four, 0xfc},
		{9, key6(17, 1, 2), six | port, 0xfc},
		{9, key6(58, 128, 0), six | port, 0xfc},
		{9, key6(1, 0, 0), six, 0xfc},
		{9, &flow.Key{EthType: 0x0806}, 0, 0},
	} {
		c := NewCache(Settings{Version: x.version}, boot)
		var got, want flow.Mask
		c.Mask(x.k, &got)
		want.Add(x.want)
		want.TOS = x.tos
		if got != want {
			t.Errorf("version %d %+v: got %+v", x.version, x.k, got)
		}
		if (c.Creditor(x.k, 1, 2) != nil) != (x.want != 0) {
			t.Errorf("version %d %+v: creditor", x.version, x.k)
		}
	}
}

func BenchmarkCredit(b *testing.B) {
	c := NewCache(Settings{}, boot)
	f := c.Creditor(key(6, 1, 2), 1, 2)
	tr := traffic(10, 1000, 0, 1, 0)
	b.ReportAllocs()
	for b.Loop() {
		f.Credit(nil, tr)
	}
}

func BenchmarkRun100k(b *testing.B) {
	c := NewCache(Settings{}, boot)
	for n := range 100_000 {
		c.Credit(Flow{SrcPort: uint16(n), In: uint16(n >> 16)}, 1, traffic(1, 60, 0, 0, 0))
	}
	for b.Loop() {
		c.Run(at(1))
	}
}
