package ebpf

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"

	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
)

// A fake is a port on a device that nothing is attached to.
type fake struct {
	port.Port
	index int
	mtu   int
	down  bool
}

func (f *fake) Name() string      { return "fake" }
func (f *fake) Index() int        { return f.index }
func (f *fake) Across() bool      { return false }
func (f *fake) State() port.State { return port.State{Admin: !f.down, MTU: f.mtu, Ifindex: f.index} }

// bench is a cache whose programs are run by BPF_PROG_TEST_RUN: packets enter
// at port 1, the kernel's loopback device, and may leave at port 2.
func bench(t testing.TB, mtu int) *Cache {
	t.Helper()
	c := newCache(t, Options{})
	for i, index := range []int{1, 1 << 20} {
		c.hooks[index] = &hook{index: index}
		if _, err := c.Attach(flow.PortNo(i+1), &fake{index: index, mtu: mtu}); err != nil {
			t.Fatal(err)
		}
	}
	c.Commit()
	t.Cleanup(func() { clear(c.hooks) })
	return c
}

const tcxRedirect = 7

// run gives a frame to the ingress program.
func run(t testing.TB, c *Cache, frame []byte) (ret uint32, after []byte) {
	t.Helper()
	o := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+64)}
	ret, err := c.progs.ingress.Run(&o)
	if err != nil {
		t.Fatal(err)
	}
	return ret, o.DataOut
}

var be = binary.BigEndian

// randomFrame is an Ethernet frame, often of a protocol that is parsed, and
// sometimes cut off or with a wrong length.
func randomFrame(r *rand.Rand) []byte {
	b := make([]byte, 14, 200)
	for i := range 12 {
		b[i] = byte(r.IntN(256))
	}
	l4 := func(proto byte) []byte {
		n := map[byte]int{1: 8, 2: 8, 6: 20, 17: 8, 58: 24, 132: 12}[proto] + r.IntN(30)
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(r.IntN(256))
		}
		if proto == 6 && r.IntN(4) > 0 {
			p[12] = 5 << 4
		}
		return p
	}
	protos := []byte{1, 2, 6, 6, 6, 17, 17, 58, 132, 47, 50, 0, 43, 44, 51, 60}
	proto := protos[r.IntN(len(protos))]
	switch r.IntN(8) {
	case 0, 1, 2:
		be.PutUint16(b[12:], 0x0800)
		payload := l4(proto)
		options := 0
		if r.IntN(4) == 0 {
			options = 4 * r.IntN(11)
		}
		ip := make([]byte, 20+options)
		ip[0] = 0x40 | byte(len(ip)/4)
		ip[1], ip[8], ip[9] = byte(r.IntN(256)), byte(r.IntN(256)), proto
		be.PutUint16(ip[2:], uint16(len(ip)+len(payload)))
		switch r.IntN(6) {
		case 0:
			be.PutUint16(ip[6:], uint16(r.IntN(1<<16)))
		case 1:
			be.PutUint16(ip[6:], 0x4000)
		}
		for i := 12; i < 20; i++ {
			ip[i] = byte(r.IntN(256))
		}
		b = append(append(b, ip...), payload...)
	case 3, 4, 5:
		be.PutUint16(b[12:], 0x86dd)
		payload := l4(proto)
		ip := make([]byte, 40)
		be.PutUint32(ip, 6<<28|uint32(r.IntN(1<<28)))
		be.PutUint16(ip[4:], uint16(len(payload)))
		ip[6], ip[7] = proto, byte(r.IntN(256))
		for i := 8; i < 40; i++ {
			ip[i] = byte(r.IntN(256))
		}
		b = append(append(b, ip...), payload...)
	case 6:
		types := []uint16{0x0806, 0x8847, 0x88cc, 0x0600, 0x05ff, 0x0026, 0x8100, 0x88a8, 0xffff}
		be.PutUint16(b[12:], types[r.IntN(len(types))])
		b = append(b, make([]byte, 46)...)
	case 7:
		be.PutUint16(b[12:], 0x0806)
		b = append(b, 0, 1, 8, 0, 6, 4, 0, 1)
		b = append(b, make([]byte, 38)...)
	}
	for range r.IntN(3) * r.IntN(2) { // padding, or something broken
		switch r.IntN(4) {
		case 0:
			b = append(b, make([]byte, r.IntN(20))...)
		case 1:
			b = b[:15+r.IntN(len(b)-14)]
		default:
			b[12+r.IntN(len(b)-12)] ^= 1 << r.IntN(8)
		}
	}
	return b
}

// runs says whether the kernel runs a program on the frame for a test.
func runs(b []byte) bool {
	switch be.Uint16(b[12:]) {
	case typeIPv4:
		return len(b) >= 34
	case typeIPv6:
		return len(b) >= 54
	}
	return len(b) > 14
}

// odd says whether a frame is one of those that the programs leave to the
// engine, whatever is in the maps.
func odd(b []byte) bool {
	t := be.Uint16(b[12:])
	b = b[14:]
	need := map[byte]int{6: 20, 17: 8, 132: 12}
	switch {
	case t < 0x600 || t == 0x8100 || t == 0x88a8:
		return true
	case t == 0x0800:
		if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
			return true
		}
		hlen, total := int(b[0]&15)*4, int(be.Uint16(b[2:]))
		if total < hlen || total > len(b) {
			return true
		}
		need[1], need[2] = 8, 8
		return be.Uint16(b[6:])&0x1fff == 0 && total-hlen < need[b[9]]
	case t == 0x86dd:
		if len(b) < 40 || b[0]>>4 != 6 {
			return true
		}
		n := int(be.Uint16(b[4:]))
		if n == 0 || 40+n > len(b) {
			return true
		}
		switch b[6] {
		case 0, 43, 44, 51, 60:
			return true
		}
		need[58] = 4
		return n < need[b[6]]
	}
	return false
}

// fields are those that a megaflow may look at, beside those that always
// count.
var fields = []flow.Fields{
	flow.EthSrc, flow.EthDst, flow.Frag, flow.Proto, flow.IPv4Src, flow.IPv4Dst, flow.IPv6Src, flow.IPv6Dst,
	flow.TOS, flow.TTL, flow.TCPFlags, flow.IPLabel, flow.TPSrc, flow.TPDst,
	flow.OuterTag, flow.InnerTag,
}

// randomMask is one of some masks that a megaflow of the key may have.
func randomMask(r *rand.Rand, k *flow.Key) (m flow.Mask) {
	m.Add(flow.InPort | flow.RecircID | flow.EthType | flow.VLANTPID | flow.VLANHas | flow.CVLANTPID | flow.CVLANHas)
	if k.EthType == typeIPv4 || k.EthType == typeIPv6 {
		m.Add(flow.Frag)
	}
	for _, f := range fields {
		if r.IntN(3) == 0 {
			m.Add(f)
		}
	}
	// Some bits of a field, as of an address's prefix.
	if r.IntN(2) == 0 {
		m.IPSrc[r.IntN(16)] |= byte(r.IntN(256))
		m.TOS |= 0xfc
	}
	return m
}

// TestParse puts megaflows of random packets into the cache. A packet hits one
// exactly when the engine would say so, unless the packet is odd: then it
// never does.
func TestParse(t *testing.T) {
	c := bench(t, 0)
	r := rand.New(rand.NewPCG(1, 2))
	var pool packet.Pool
	hits, taken := 0, 0
	for n := range 4000 {
		f := randomFrame(r)
		var k flow.Key
		p := pool.From(f)
		flow.Extract(p, 1, &k)
		p.Free()
		m := randomMask(r, &k)
		e := c.Install(&k, &m, out(2))
		knows := known(&k)
		if want := parses(k.EthType) && knows.Covers(&m); want != (e != nil) {
			t.Fatalf("frame %d: taken %v, want %v, % x", n, e != nil, want, f)
		}
		if e == nil {
			continue
		}
		taken++
		for range 6 {
			g := append([]byte(nil), f...)
			switch r.IntN(4) {
			case 0:
				g = randomFrame(r)
			case 1, 2:
				g[r.IntN(min(len(g), 74))] ^= 1 << r.IntN(8)
			}
			if !runs(g) {
				continue
			}
			var kg flow.Key
			p := pool.From(g)
			flow.Extract(p, 1, &kg)
			p.Free()
			want := m.Equal(&k, &kg) && !odd(g)
			ret, _ := run(t, c, g)
			if (ret == tcxRedirect) != want {
				t.Fatalf("frame %d: program says %d, engine %v\n% x\n% x\n%+v\n%+v\n%+v", n, ret, want, f, g, k, kg, m)
			}
			if want {
				hits++
			}
		}
		if got := e.Hits(); got.Segments > 6 {
			t.Fatalf("%+v", got)
		}
		e.Remove()
		if runs(f) {
			if ret, _ := run(t, c, f); ret == tcxRedirect {
				t.Fatalf("frame %d hits what was removed", n)
			}
		}
		e.Free()
	}
	t.Logf("%d of 4000 megaflows taken, %d hits", taken, hits)
	if hits < 3000 {
		t.Error("too few hits")
	}
	if s := c.Summary(); s.Flows != 0 || s.Masks != 0 || s.Lists != 0 {
		t.Errorf("left over: %+v", s)
	}
}
