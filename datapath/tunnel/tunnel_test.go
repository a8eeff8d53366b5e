package tunnel

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"govs/datapath/header"
)

var frame = append([]byte{0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 1, 0x08, 0x06}, bytes.Repeat([]byte{7}, 46)...)

func outer(k Kind, edit func(*Header)) Header {
	h := Header{Kind: k, EthDst: [6]byte{0xf8, 0xbc, 0x12, 0x44, 0x34, 0xb6}, EthSrc: [6]byte{0xaa, 0x55, 0xaa, 0x55},
		Src: netip.MustParseAddr("1.1.2.88"), Dst: netip.MustParseAddr("1.1.2.92"), TTL: 64, DF: true}
	switch k {
	case VXLAN:
		h.Port, h.Key = VXLANPort, 123
	case Geneve:
		h.Port, h.Key = GenevePort, 5
	case GRE:
		h.Key, h.HasKey = 456, true
	case ERSPAN:
		h.Version, h.Key, h.Index = 1, 123, 7
	}
	if edit != nil {
		edit(&h)
	}
	return h
}

// headers are some, with the text that Open vSwitch 3.1.0 has for them.
var headers = []struct {
	h    Header
	text string
}{
	{outer(VXLAN, nil), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x8000000,vni=0x7b))"},
	{outer(GRE, func(h *Header) { h.Csum = true }), "header(size=46,type=3,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0xa000,proto=0x6558),csum=0x0,key=0x1c8))"},
	{outer(Geneve, func(h *Header) { h.TOS = 2 }), "header(size=50,type=5,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0x2,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0x0),geneve(vni=0x5))"},
	{outer(VXLAN, func(h *Header) { h.Csum, h.DF = true, false }), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0),udp(src=0,dst=4789,csum=0xffff),vxlan(flags=0x8000000,vni=0x7b))"},
	{outer(GRE, func(h *Header) { h.HasKey, h.Key, h.Seq = false, 0, true }), "header(size=42,type=3,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0x1000,proto=0x6558),seq=0x0))"},
	{outer(GRE, func(h *Header) { h.HasKey, h.Key = false, 0 }), "header(size=38,type=3,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0,proto=0x6558)))"},
	{outer(ERSPAN, nil), "header(size=50,type=107,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),erspan(ver=1,sid=0x7b,idx=0x7))"},
	{outer(ERSPAN, func(h *Header) { h.Version, h.Key, h.Index, h.Egress, h.Hardware = 2, 456, 0, true, 4 }), "header(size=54,type=107,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),erspan(ver=2,sid=0x1c8,dir=1,hwid=0x4))"},
	{over6(VXLAN, nil), "header(size=70,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=17,tclass=0x0,hlimit=64),udp(src=0,dst=4789,csum=0xffff),vxlan(flags=0x8000000,vni=0x7b))"},
	{over6(GRE, func(h *Header) { h.Csum, h.Seq = true, true }), "header(size=70,type=109,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=47,tclass=0x0,hlimit=64),gre((flags=0xb000,proto=0x6558),csum=0x0,key=0x1c8,seq=0x0))"},
	{over6(Geneve, func(h *Header) { h.TOS = 0xb9 }), "header(size=70,type=5,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=17,tclass=0xb9,hlimit=64),udp(src=0,dst=6081,csum=0xffff),geneve(vni=0x5))"},
	{over6(ERSPAN, nil), "header(size=70,type=108,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=47,tclass=0x0,hlimit=64),erspan(ver=1,sid=0x7b,idx=0x7))"},
	{outer(VXLAN, func(h *Header) { h.GPE, h.Port, h.Key = true, 4791, 14 }), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4791,csum=0x0),vxlan(flags=0xc000003,vni=0xe))"},
}

// over6 is outer between addresses of IPv6.
func over6(k Kind, edit func(*Header)) Header {
	return outer(k, func(h *Header) {
		h.Src, h.Dst, h.DF = netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), false
		if edit != nil {
			edit(h)
		}
	})
}

func TestText(t *testing.T) {
	for _, c := range headers {
		if got := c.h.String(); got != c.text {
			t.Errorf("printed as\n%s, want\n%s", got, c.text)
		}
		if back, err := ParseHeader(c.text); err != nil || back != c.h {
			t.Errorf("%s: read as %+v, %v", c.text, back, err)
		}
	}
	for _, text := range []string{"", "header(size=50)", headers[0].text + ")", headers[0].text[:100]} {
		if h, err := ParseHeader(text); err == nil {
			t.Errorf("%s: read as %+v", text, h)
		}
	}
}

// packed is the frame behind a header.
func packed(t testing.TB, h *Header) []byte {
	b := append(make([]byte, h.Len()), frame...)
	if !h.Put(b, 40000, 9, 77) {
		t.Fatal("not put on")
	}
	return b
}

// TestAllocates: headers are put on and read without an allocation.
func TestAllocates(t *testing.T) {
	for _, c := range headers {
		h, b := c.h, packed(t, &c.h)
		if n := testing.AllocsPerRun(100, func() { h.Put(b, 40000, 9, 77) }); n != 0 {
			t.Errorf("%s: put on with %v allocations", c.text, n)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = Parse(b, h.Kind, false) }); n != 0 {
			t.Errorf("%s: read with %v allocations", c.text, n)
		}
	}
}

func TestThereAndBack(t *testing.T) {
	for _, c := range headers {
		b := packed(t, &c.h)
		m, err := Parse(b, c.h.Kind, false)
		summed := c.h.Csum || c.h.v6() && c.h.Kind.Proto() == header.ProtoUDP
		key := c.h.HasKey || c.h.Kind != GRE
		if err != nil || m.Src != c.h.Src || m.Dst != c.h.Dst || m.TOS != c.h.TOS || m.TTL != 64 || m.DF != c.h.DF || m.Csum != summed ||
			m.HasKey != key || m.Key != c.h.Key || m.Len != c.h.Len() || m.End != len(b) || !bytes.Equal(b[m.Len:m.End], frame) {
			t.Errorf("%s: read as %+v, %v", c.text, m, err)
		}
		// With a tag in front and padding behind it is the same frame.
		tagged := append(append(append([]byte{}, b[:12]...), 0x81, 0, 0, 5), b[12:]...)
		m, err = Parse(append(tagged, 0, 0, 0), c.h.Kind, false)
		if err != nil || !bytes.Equal(tagged[m.Len:m.End], frame) {
			t.Errorf("%s: tagged, %+v, %v", c.text, m, err)
		}
		for n := range len(b) {
			if _, err := Parse(b[:n], c.h.Kind, false); !errors.Is(err, ErrHeader) {
				t.Errorf("%s: the first %d bytes: %v", c.text, n, err)
			}
		}
		for _, other := range []Kind{VXLAN, GRE, Geneve, ERSPAN} {
			if _, err := Parse(b, other, true); err == nil && other.Proto() != c.h.Kind.Proto() {
				t.Errorf("%s: read as %s", c.text, other)
			}
		}
		bad := bytes.Clone(b)
		bad[len(bad)-1]++
		if _, err := Parse(bad, c.h.Kind, false); errors.Is(err, ErrChecksum) != summed {
			t.Errorf("%s: a bit that fell over: %v", c.text, err)
		}
		if _, err := Parse(bad, c.h.Kind, true); err != nil {
			t.Errorf("%s: trusted: %v", c.text, err)
		}
		if c.h.v6() { // which has no checksum of its own
			bad[18]++ // the length
			if _, err := Parse(bad, c.h.Kind, true); !errors.Is(err, ErrHeader) {
				t.Errorf("%s: the IP header changed: %v", c.text, err)
			}
			continue
		}
		bad[22]++ // the time to live
		if _, err := Parse(bad, c.h.Kind, true); !errors.Is(err, ErrChecksum) {
			t.Errorf("%s: the IP header changed: %v", c.text, err)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		kind Kind
		at   int
		to   byte
		want bool
	}{
		"VXLAN without its flag":        {VXLAN, 42, 0, false},
		"VXLAN with reserved bits":      {VXLAN, 42, 0xff, true},
		"GRE of another version":        {GRE, 35, 1, false},
		"GRE with routing":              {GRE, 34, 0x60, false},
		"GRE with IP in it":             {GRE, 36, 8, false},
		"Geneve of another version":     {Geneve, 42, 0x40, false},
		"Geneve with a critical option": {Geneve, 43, 0x40, false},
		"Geneve with IP in it":          {Geneve, 44, 8, false},
		"Geneve with options":           {Geneve, 42, 1, true},
		"Geneve with too many options":  {Geneve, 42, 0x3f, false},
	} {
		h := outer(c.kind, nil)
		b := packed(t, &h)
		b[c.at] = c.to
		if m, err := Parse(b, c.kind, false); (err == nil) != c.want {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	h := outer(VXLAN, nil)
	if h.Put(make([]byte, 65600), 1, 0, 0) || h.Put(make([]byte, 20), 1, 0, 0) {
		t.Error("what does not fit was put on")
	}
}

// The bytes that Open vSwitch 3.1.0 sends, behind the IP header.
func TestERSPANBytes(t *testing.T) {
	for version, want := range map[uint8][]byte{
		1: {0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x10, 0, 0, 0x7b, 0, 0, 0, 7},
		2: {0x10, 0, 0x22, 0xeb, 0, 0, 0, 9, 0x20, 0, 0x01, 0xc8, 0, 0, 0, 77, 0, 0, 0, 0x48},
	} {
		h := outer(ERSPAN, func(h *Header) {
			if h.Version = version; version == 2 {
				h.Key, h.Index, h.Egress, h.Hardware = 456, 0, true, 4
			}
		})
		if got := packed(t, &h)[34:h.Len()]; !bytes.Equal(got, want) || !IsERSPAN(got) {
			t.Errorf("version %d: % x, want % x", version, got, want)
		}
	}
	h := outer(GRE, nil)
	if IsERSPAN(packed(t, &h)[34:]) {
		t.Error("GRE taken for ERSPAN")
	}
}

// RFC 6040, figure 4.
func TestECN(t *testing.T) {
	const lost = 0xff
	for inner, row := range map[uint8][4]uint8{ // by outer: Not-ECT, ECT(1), ECT(0), CE
		notECT: {notECT, notECT, notECT, lost},
		ect0:   {ect0, ect1, ect0, ce},
		ect1:   {ect1, ect1, ect1, ce},
		ce:     {ce, ce, ce, ce},
	} {
		for outer, want := range row {
			got, ok := Decapsulate(uint8(outer)|0xb8, inner|0x10)
			if ok != (want != lost) || ok && got != want {
				t.Errorf("outer %d, inner %d: %d, %v", outer, inner, got, ok)
			}
		}
		if Encapsulate(inner|0xb8) != inner {
			t.Errorf("%d goes out as %d", inner, Encapsulate(inner))
		}
	}
}

func TestSame(t *testing.T) {
	ip := netip.MustParseAddr("1.1.1.1")
	a := Config{Kind: VXLAN, Port: 4789, Remote: ip, InKey: 5, InHasKey: true}
	for name, c := range map[string]struct {
		edit func(*Config)
		want bool
	}{
		"alike":             {func(*Config) {}, true},
		"another TTL":       {func(c *Config) { c.TTL = 3; c.OutKey = 7 }, true},
		"another key":       {func(c *Config) { c.InKey = 6 }, false},
		"any key":           {func(c *Config) { c.InFlow = true }, false},
		"another port":      {func(c *Config) { c.Port = 1 }, false},
		"another kind":      {func(c *Config) { c.Kind = Geneve }, false},
		"its own address":   {func(c *Config) { c.Local = ip }, false},
		"another other end": {func(c *Config) { c.Remote = netip.Addr{} }, false},
	} {
		b := a
		c.edit(&b)
		if a.Same(&b) != c.want || b.Same(&a) != c.want {
			t.Errorf("%s: want %v", name, c.want)
		}
	}
}

func TestNothingIsAllocated(t *testing.T) {
	for _, c := range headers {
		h := c.h
		b := packed(t, &h)
		if n := testing.AllocsPerRun(100, func() {
			h.Put(b, 1, 2, 3)
			if _, err := Parse(b, h.Kind, false); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", h.Kind, n)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range headers {
		f.Add(packed(f, &c.h), uint8(c.h.Kind), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, kind uint8, trusted bool) {
		before := bytes.Clone(b)
		m, err := Parse(b, Kind(kind%4+1), trusted)
		if !bytes.Equal(b, before) {
			t.Fatal("the packet was changed")
		}
		if err == nil && (m.Len < 38 || m.End > len(b) || m.End-m.Len < 14) {
			t.Errorf("%+v of %d bytes", m, len(b))
		}
	})
}

func FuzzParseHeader(f *testing.F) {
	for _, c := range headers {
		f.Add(c.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if h, err := ParseHeader(text); err == nil && h.String() != text {
			t.Errorf("%s: read as %s", text, h)
		}
	})
}
