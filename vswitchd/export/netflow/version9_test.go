package netflow

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	nfv9 "github.com/netsampler/goflow2/v2/decoders/netflow"

	"govs/datapath/flow"
)

// A reader9 is a collector of version 9 that knows the templates it was sent.
type reader9 struct {
	t         *testing.T
	templates nfv9.NetFlowTemplateSystem
}

func newReader9(t *testing.T) *reader9 { return &reader9{t, nfv9.CreateTemplateSystem()} }

// read is the text of datagrams, one line a header, a set of templates and a
// record.
func (r *reader9) read(datagrams [][]byte) string {
	r.t.Helper()
	var out strings.Builder
	for _, d := range datagrams {
		if len(d) > maxDatagram9 || len(d)%4 != 0 {
			r.t.Errorf("a datagram of %d bytes", len(d))
		}
		var p nfv9.NFv9Packet
		if err := nfv9.DecodeMessageVersion(bytes.NewBuffer(d), r.templates, &p, new(nfv9.IPFIXPacket)); err != nil {
			r.t.Fatalf("%v\n% x", err, d)
		}
		fmt.Fprintf(&out, "uptime=%d time=%d seq=%d source=%#x\n", p.SystemUptime, p.UnixSeconds, p.SequenceNumber, p.SourceId)
		records := 0
		for _, s := range p.FlowSets {
			switch s := s.(type) {
			case nfv9.TemplateFlowSet:
				records += len(s.Records)
				fmt.Fprintf(&out, " %d templates\n", len(s.Records))
			case nfv9.NFv9OptionsTemplateFlowSet:
				records += len(s.Records)
				fmt.Fprintf(&out, " %d options templates\n", len(s.Records))
			case nfv9.OptionsDataFlowSet:
				for _, x := range s.Records {
					records++
					fmt.Fprintf(&out, " scope%s%s\n", values(x.ScopesValues), values(x.OptionsValues))
				}
			case nfv9.DataFlowSet:
				for _, x := range s.Records {
					records++
					fmt.Fprintf(&out, " %d:%s\n", s.Id, values(x.Values))
				}
			default:
				r.t.Errorf("%T", s)
			}
		}
		if int(p.Count) != records {
			r.t.Errorf("count is %d, there are %d records", p.Count, records)
		}
	}
	return out.String()
}

func values(list []nfv9.DataField) string {
	var out strings.Builder
	for _, v := range list {
		raw := v.Value.([]byte)
		switch a, ok := netip.AddrFromSlice(raw); {
		case ok && (v.Type == sourceIPv4 || v.Type == destinationIPv4 || v.Type == sourceIPv6 || v.Type == destinationIPv6):
			fmt.Fprintf(&out, " %v", a)
		default:
			n := uint64(0)
			for _, b := range raw {
				n = n<<8 | uint64(b)
			}
			fmt.Fprintf(&out, " %d=%d", v.Type, n)
		}
	}
	return out.String()
}

func key6(proto uint8, sport, dport uint16) *flow.Key {
	k := key(proto, sport, dport)
	k.EthType = etherIPv6
	k.IPSrc, k.IPDst = netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8::2").As16()
	return k
}

// Each kind of flow once, behind the templates; the next datagram has none.
func TestVersion9(t *testing.T) {
	c := NewCache(Settings{Version: Version9, EngineType: 3, EngineID: 133, AddIDToInterface: true}, boot)
	r := newReader9(t)
	c.Creditor(key6(17, 7, 9), 65534, 0xffff).Credit(nil, traffic(2, 200, 10, 20, 0))
	c.Creditor(key(6, 1000, 80), 1, 2).Credit(nil, traffic(3, 226, 5, 100, 0x12))
	c.Creditor(key6(58, 128, 1), 1, 2).Credit(nil, traffic(1, 70, 0, 0, 0))
	c.Creditor(key(1, 8, 3), 1, 2).Credit(nil, traffic(1, 98, 0, 0, 0))
	same(t, r.read(c.Flush(at(2000))), `
uptime=2000 time=1700000002 seq=0 source=0x385
 4 templates
 1 options templates
 scope 1=901 42=0 41=0 40=0
 256: 10.0.0.1 10.0.0.2 10=2561 14=2562 2=3 1=226 22=5 21=100 7=1000 11=80 4=6 5=40 6=18 60=4 61=0
 257: 10.0.0.1 10.0.0.2 10=2561 14=2562 2=1 1=98 22=0 21=0 7=0 11=2051 4=1 5=40 6=0 60=4 61=0 32=2051
 258: 2001:db8::1 2001:db8::2 10=3070 14=3071 2=2 1=200 22=10 21=20 7=7 11=9 4=17 5=40 6=0 60=6 61=0
 259: 2001:db8::1 2001:db8::2 10=2561 14=2562 2=1 1=70 22=0 21=0 7=0 11=32769 4=58 5=40 6=0 60=6 61=0 32=32769
`)
	c.Creditor(key(47, 0, 0), 1, 2).Credit(nil, traffic(5_000_000_000, math.MaxUint64>>1, 2500, 3000, 0))
	same(t, r.read(c.Flush(at(3000))), `
uptime=3000 time=1700000003 seq=1 source=0x385
 256: 10.0.0.1 10.0.0.2 10=2561 14=2562 2=5000000000 1=9223372036854775807 22=2500 21=3000 7=0 11=0 4=47 5=40 6=0 60=4 61=0
`)
	if d := c.Flush(at(4000)); d != nil {
		t.Errorf("nothing happened, and there is %s", r.read(d))
	}
}

// Templates come again when it is time, also where nothing happens, with what
// was told of until then; and to collectors that are new.
func TestTemplates(t *testing.T) {
	c := NewCache(Settings{Version: Version9}, boot)
	r := newReader9(t)
	c.Creditor(key(17, 7, 9), 1, 2).Credit(nil, traffic(3, 300, 0, 0, 0))
	r.read(c.Flush(at(0)))
	minute := int(TemplateTime / time.Millisecond)
	if d := c.Run(at(minute - 1)); d != nil {
		t.Errorf("too early: %s", r.read(d))
	}
	const again = " 4 templates\n 1 options templates\n scope 1=0 42=1 41=3 40=300\n"
	same(t, r.read(c.Run(at(minute))), fmt.Sprintf("uptime=%d time=%d seq=1 source=0x0\n", minute, at(minute).Unix())+again)
	if d := c.Run(at(minute + 1)); d != nil {
		t.Errorf("once more: %s", r.read(d))
	}
	c.Restart()
	if got := r.read(c.Run(at(minute + 2))); !strings.HasSuffix(got, again) {
		t.Errorf("after Restart: %s", got)
	}
	c.Configure(Settings{Version: Version9, EngineID: 7}, at(minute+3))
	if got := r.read(c.Run(at(minute + 3))); !strings.Contains(got, "seq=0 source=0x7\n 4 templates\n") {
		t.Errorf("another source: %s", got)
	}
}

// Every so many datagrams begin with the templates; all datagrams are short,
// numbered, and add up.
func TestManyDatagrams(t *testing.T) {
	c := NewCache(Settings{Version: Version9}, boot)
	const flows = 2000
	for n := range flows {
		k := key(17, uint16(n), 9)
		if n%3 == 0 {
			k = key6(6, uint16(n), 9)
		}
		c.Creditor(k, 1, 2).Credit(nil, traffic(1, 60, n, n, 0))
	}
	d := c.Flush(at(flows))
	text := newReader9(t).read(d)
	if n := strings.Count(text, " 2=1 1=60 "); n != flows {
		t.Errorf("%d records", n)
	}
	if n, want := strings.Count(text, " 4 templates\n"), (len(d)+TemplateDatagrams-1)/TemplateDatagrams; n != want {
		t.Errorf("templates came %d times with %d datagrams, want %d", n, len(d), want)
	}
	for i, b := range d {
		if seq := binary.BigEndian.Uint32(b[12:]); seq != uint32(i) {
			t.Errorf("datagram %d has number %d", i, seq)
		}
	}
}

// With another version what was counted goes out in the old one, and flows of
// IPv6 are not counted any more in version 5.
func TestVersionChanges(t *testing.T) {
	c := NewCache(Settings{Version: Version9}, boot)
	six := c.Creditor(key6(17, 7, 9), 1, 2)
	six.Credit(nil, traffic(1, 100, 0, 0, 0))
	c.Configure(Settings{}, at(10))
	six.Credit(nil, traffic(1, 100, 20, 20, 0))
	c.Creditor(key(17, 7, 9), 1, 2).Credit(nil, traffic(1, 100, 20, 20, 0))
	d := c.Flush(at(30))
	if len(d) != 2 {
		t.Fatalf("%d datagrams", len(d))
	}
	if got := newReader9(t).read(d[:1]); !strings.Contains(got, " 258: 2001:db8::1 ") {
		t.Error(got)
	}
	same(t, decode(t, d[1:]), `
uptime=30 time=1700000000.030000000 seq=0 engine=0/0
 10.0.0.1:7>10.0.0.2:9 proto=17 tos=0x28 flags=0x0 in=1 out=2 packets=1 bytes=100 20-20
`)
	c.Configure(Settings{Version: Version9}, at(40))
	six.Credit(nil, traffic(1, 100, 50, 50, 0))
	if got := newReader9(t).read(c.Flush(at(60))); !strings.Contains(got, "seq=0 ") || !strings.Contains(got, " 258: 2001:db8::1 ") {
		t.Error(got)
	}
}
