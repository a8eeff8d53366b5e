package tunnel

import (
	"bytes"
	"encoding/hex"
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
	case GTPU:
		h.Port, h.Key = GTPUPort, 8
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
	{outer(GRE, func(h *Header) { h.Key, h.Carries = 2, 0x800 }), "header(size=42,type=3,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=47,tos=0,ttl=64,frag=0x4000),gre((flags=0x2000,proto=0x800),key=0x2))"},
	{outer(VXLAN, func(h *Header) { h.GPE, h.Key, h.Carries = true, 6, 0x86dd }), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0xc000002,vni=0x6))"},
	{outer(VXLAN, func(h *Header) { h.GPE, h.Key, h.Carries = true, 6, 0x894f }), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0xc000004,vni=0x6))"},
	{outer(VXLAN, func(h *Header) { h.Policy = Policy{100, 8} }), "header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0x0),vxlan(flags=0x88080064,vni=0x7b))"},
	{outer(GTPU, nil), "header(size=50,type=110,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=2152,csum=0x0),gtpu(flags=0x30,msgtype=255,teid=0x8))"},
	{over6(GTPU, func(h *Header) { h.Key = 0x12345678 }), "header(size=70,type=110,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x86dd),ipv6(src=fd00::1,dst=fd00::2,label=0,proto=17,tclass=0x0,hlimit=64),udp(src=0,dst=2152,csum=0xffff),gtpu(flags=0x30,msgtype=255,teid=0x12345678))"},
	{outer(Geneve, func(h *Header) { h.OAM = true }), "header(size=50,type=5,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800),ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0x0),geneve(oam,vni=0x5))"},
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

// within is what stands behind a header, a frame or a packet without an Ethernet
// header, and that one's type.
func within(h *Header) ([]byte, uint16) {
	typ := h.Carries
	if h.Kind == GTPU {
		typ = header.TypeIPv6
	}
	switch typ {
	case 0:
		return frame, 0
	case header.TypeIPv6:
		return append([]byte{0x60}, frame...), typ
	}
	return append([]byte{0x45}, frame...), typ
}

// packed is a packet with a header put on.
func packed(t testing.TB, h *Header) []byte {
	inner, _ := within(h)
	b := append(make([]byte, h.Len()), inner...)
	if !h.Put(b, 40000, 9, 77) {
		t.Fatal("not put on")
	}
	return b
}

func TestThereAndBack(t *testing.T) {
	for _, c := range headers {
		b := packed(t, &c.h)
		m, err := Parse(b, c.h.Kind, false)
		summed := c.h.Csum || c.h.Kind == GTPU || c.h.v6() && c.h.Kind.Proto() == header.ProtoUDP
		inner, carries := within(&c.h)
		key := c.h.HasKey || c.h.Kind != GRE
		if err != nil || m.Src != c.h.Src || m.Dst != c.h.Dst || m.TOS != c.h.TOS || m.TTL != 64 || m.DF != c.h.DF || m.Csum != summed ||
			m.HasKey != key || m.Key != c.h.Key || m.Carries != carries || m.Policy != c.h.Policy || m.Len != c.h.Len() || m.End != len(b) || !bytes.Equal(b[m.Len:m.End], inner) {
			t.Errorf("%s: read as %+v, %v", c.text, m, err)
		}
		// With a tag in front and padding behind it is the same frame.
		tagged := append(append(append([]byte{}, b[:12]...), 0x81, 0, 0, 5), b[12:]...)
		m, err = Parse(append(tagged, 0, 0, 0), c.h.Kind, false)
		if err != nil || !bytes.Equal(tagged[m.Len:m.End], inner) {
			t.Errorf("%s: tagged, %+v, %v", c.text, m, err)
		}
		for n := range len(b) {
			if _, err := Parse(b[:n], c.h.Kind, false); !errors.Is(err, ErrHeader) {
				t.Errorf("%s: the first %d bytes: %v", c.text, n, err)
			}
		}
		for _, other := range []Kind{VXLAN, GRE, Geneve, ERSPAN, GTPU} {
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
		"GRE with IP in it":             {GRE, 36, 8, true},
		"GRE with a length for a type":  {GRE, 36, 5, false},
		"GPE with MPLS in it":           {VXLAN, 45, 5, true}, // which counts with its flag only
		"Geneve of another version":     {Geneve, 42, 0x40, false},
		"Geneve with a critical option": {Geneve, 43, 0x40, false},
		"Geneve for those that run it":  {Geneve, 43, 0x80, true},
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
	for next, want := range []bool{1: true, 2: true, 3: true, 4: true, 5: false, 6: false} {
		h := outer(VXLAN, func(h *Header) { h.GPE = true })
		b := packed(t, &h)
		b[45] = byte(next)
		if m, err := Parse(b, VXLAN, false); (err == nil) != want {
			t.Errorf("GPE with %d in it: %+v, %v", next, m, err)
		}
	}
	h := outer(VXLAN, nil)
	if h.Put(make([]byte, 65600), 1, 0, 0) || h.Put(make([]byte, 20), 1, 0, 0) {
		t.Error("what does not fit was put on")
	}
}

// What GTP-U has in front of a packet: 3GPP TS 29.281, section 5.
func TestGTPU(t *testing.T) {
	ip := []byte{0x45, 0, 0, 21, 0, 0, 0, 0, 64, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 7}
	ip6 := append([]byte{0x60}, make([]byte, 39)...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		first, typ byte
		options    []byte
		inner      []byte
		longer     int // than it is, says the header
		want       uint16
	}{
		"IPv4":                         {0x30, 255, nil, ip, 0, 0x800},
		"IPv6":                         {0x30, 255, nil, ip6, 0, 0x86dd},
		"neither":                      {0x30, 255, nil, []byte{0x20, 1, 2}, 0, 0},
		"nothing":                      {0x30, 255, nil, nil, 0, 0},
		"a number":                     {0x32, 255, []byte{0, 1, 0, 9}, ip, 0, 0x800},
		"an N-PDU's number":            {0x31, 255, []byte{0, 0, 5, 9}, ip, 0, 0x800},
		"no extension after all":       {0x34, 255, []byte{0, 0, 0, 0}, ip, 0, 0x800},
		"an extension":                 {0x34, 255, []byte{0, 0, 0, 0x85, 1, 0, 9, 0}, ip, 0, 0x800},
		"two extensions":               {0x36, 255, []byte{0, 1, 0, 0x85, 1, 0, 9, 0x40, 2, 1, 2, 3, 4, 5, 6, 0}, ip6, 0, 0x86dd},
		"an extension of length 0":     {0x34, 255, []byte{0, 0, 0, 0x85, 0, 0, 9, 0}, ip, 0, 0},
		"an extension that is cut off": {0x34, 255, []byte{0, 0, 0, 0x85, 200, 0, 9, 0}, ip, 0, 0},
		"an extension too many":        {0x34, 255, []byte{0, 0, 0, 0x85, 1, 0, 9, 0x85}, nil, 0, 0},
		"options that are cut off":     {0x37, 255, []byte{0, 0}, nil, 0, 0},
		"an echo request":              {0x32, 1, []byte{0, 1, 0, 0}, nil, 0, 0},
		"another version":              {0x50, 255, nil, ip, 0, 0},
		"GTP'":                         {0x20, 255, nil, ip, 0, 0},
		"a length that is too long":    {0x30, 255, nil, ip, 1, 0},
		"a shorter length":             {0x30, 255, nil, join(ip, []byte{1, 2, 3}), -3, 0x800},
	} {
		h := outer(GTPU, nil)
		b := append(make([]byte, h.Len()), join(c.options, c.inner)...)
		h.Put(b, 1, 2, 3)
		b[42], b[43] = c.first, c.typ
		be.PutUint16(b[44:], uint16(int(be.Uint16(b[44:]))+c.longer))
		m, err := Parse(b, GTPU, true)
		if (err == nil) != (c.want != 0) || m.Carries != c.want {
			t.Errorf("%s: %+v, %v", name, m, err)
			continue
		}
		if inner := c.inner[:len(c.inner)+min(c.longer, 0)]; err == nil && (!bytes.Equal(b[m.Len:m.End], inner) || m.Key != 8) {
			t.Errorf("%s: %+v, % x, want % x", name, m, b[m.Len:m.End], inner)
		}
		for n := range len(b) {
			if m, err := Parse(b[:n], GTPU, true); err == nil {
				t.Errorf("%s: the first %d bytes: %+v", name, n, m)
			}
		}
	}
}

// TestForeignSum: a packet as Open vSwitch 3.1.0 sent it, with a checksum of UDP
// that leaves the length of GTP-U out, is taken; with other mistakes it is not.
func TestForeignSum(t *testing.T) {
	b, err := hex.DecodeString("0200000000f1020000000001080045000054000040004011e275ac100001ac100002990808680040c09f30ff003000000008" +
		"4500003000000000401166a90a0900010a09000200010002001c00006868686868686868686868686868686868686868")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := Parse(b, GTPU, false); err != nil || m.Key != 8 || m.Carries != header.TypeIPv4 || m.End-m.Len != 48 {
		t.Errorf("%+v, %v", m, err)
	}
	b[len(b)-1]++
	if m, err := Parse(b, GTPU, false); !errors.Is(err, ErrChecksum) {
		t.Errorf("%+v, %v", m, err)
	}
}

// TestCarry: which packets can go without their Ethernet header.
func TestCarry(t *testing.T) {
	types := []uint16{0, header.TypeIPv4, header.TypeIPv6, header.TypeARP, header.TypeMPLS, typeNSH, 0x5ff}
	for name, c := range map[string]struct {
		h    Header
		want [7]bool
	}{
		"gre":    {outer(GRE, nil), [7]bool{true, true, true, true, true, true, false}},
		"vxlan":  {outer(VXLAN, nil), [7]bool{true}},
		"gpe":    {outer(VXLAN, func(h *Header) { h.GPE = true }), [7]bool{true, true, true, false, false, true, false}},
		"geneve": {outer(Geneve, nil), [7]bool{true}},
		"erspan": {outer(ERSPAN, nil), [7]bool{true}},
		"gtpu":   {outer(GTPU, nil), [7]bool{false, true, true, false, false, false, false}},
	} {
		for n, typ := range types {
			h := c.h
			if got := h.Carry(typ); got != c.want[n] || h.Carries != typ && got && h.Kind != GTPU || !got && h != c.h {
				t.Errorf("%s: %#x: %v, %+v", name, typ, got, h)
			}
		}
	}
	for m, want := range map[Mode][2]bool{LegacyL2: {true, false}, LegacyL3: {false, true}, PTAP: {true, true}} {
		if got := [2]bool{m.Takes(false), m.Takes(true)}; got != want {
			t.Errorf("mode %d takes %v", m, got)
		}
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
		"another mode":      {func(c *Config) { c.Mode = PTAP }, false},
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
		m, err := Parse(b, Kind(kind%5+1), trusted)
		if !bytes.Equal(b, before) {
			t.Fatal("the packet was changed")
		}
		if err == nil && (m.Len < 38 || m.End > len(b) || m.End-m.Len < 14 && (m.Carries == 0 || m.End == m.Len)) {
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
