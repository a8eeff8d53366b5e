package xlate

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

// randomSpec writes a configuration of up to two bridges that are patched
// together once.
func randomSpec(r *rand.Rand) string {
	var b strings.Builder
	modes := []string{"access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"}
	fmt.Fprintf(&b, "vlan-limit %d\n", 1+r.IntN(2))
	vlan := func() int { return []int{0, 10, 20, 30, 4095}[r.IntN(5)] }
	port := func(name string) {
		mode, tag := modes[r.IntN(len(modes))], vlan()
		if mode == "dot1q-tunnel" && tag == 0 {
			tag = 10 // C does not tell a service tag of VLAN 0 from none
		}
		fmt.Fprintf(&b, "port %s %s", name, mode)
		if mode != "trunk" {
			fmt.Fprintf(&b, " tag=%d", tag)
		}
		// The C switch forgets a native VLAN 0 where there are trunks, against
		// its manual.
		if mode == "dot1q-tunnel" {
			if r.IntN(2) == 0 {
				fmt.Fprintf(&b, " cvlans=%d,25", vlan())
			}
			if r.IntN(2) == 0 {
				b.WriteString(" qinq=802.1q")
			}
		} else if mode != "access" && (mode == "trunk" || tag != 0) && r.IntN(2) == 0 {
			fmt.Fprintf(&b, " trunks=%d,%d", vlan(), 40)
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, " prio=%s", []string{"if-nonzero", "always"}[r.IntN(2)])
		}
		if r.IntN(5) == 0 {
			b.WriteString(" protected")
		}
	}
	for n := range 1 + r.IntN(2) {
		fmt.Fprintf(&b, "bridge br%d", n)
		if r.IntN(6) == 0 {
			b.WriteString(" forward-bpdu")
		}
		if r.IntN(4) == 0 {
			fmt.Fprintf(&b, " flood=%d", vlan())
		}
		b.WriteString("\n")
		for p := range 2 + r.IntN(4) {
			port(fmt.Sprintf("p%d%d", n, p))
			b.WriteString("\n")
		}
		port(fmt.Sprintf("t%d", n))
		fmt.Fprintf(&b, " peer=t%d\n", 1-n)
	}
	return b.String()
}

func parseSpec(t testing.TB, text string) *spec {
	s := newSpec()
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		if !s.line(t, l) {
			t.Fatalf("bad line %q", l)
		}
	}
	return s
}

func randomKey(r *rand.Rand, s *spec) *flow.Key {
	k := &flow.Key{
		InPort: flow.PortNo(1 + r.IntN(len(s.nos))), EthType: 0x0800, Proto: 17, TTL: 64, TPSrc: 1, TPDst: 2,
		EthSrc: [6]byte{5: byte(1 + r.IntN(4))}, EthDst: [6]byte{5: byte(1 + r.IntN(4))},
	}
	switch r.IntN(6) {
	case 0:
		k.EthDst = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case 1:
		k.EthDst = [6]byte{0x01, 0x80, 0xc2, 0, 0, byte(r.IntN(20))}
	}
	if r.IntN(8) == 0 {
		k.EthType, k.Proto, k.TTL, k.TPSrc, k.TPDst = 0x0806, uint8(1+r.IntN(2)), 0, 0, 0
	}
	if r.IntN(3) > 0 {
		k.VLAN[0] = flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent}
		if r.IntN(5) == 0 {
			k.VLAN[0].TPID = flow.TPID8021AD
		}
		k.VLAN[0].TCI |= []uint16{0, 0, 10, 20, 30, 40, 4095}[r.IntN(7)]
		k.VLAN[0].TCI |= []uint16{0, 3, 7}[r.IntN(3)] << 13
		if r.IntN(3) == 0 {
			k.VLAN[1] = flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | []uint16{0x6000, 10, 20, 20 | 0x6000}[r.IntN(4)]}
		}
	}
	return k
}

// A model is the manual in the simplest words, for one packet at a time. It
// has its own idea of everything but the configuration.
type model struct {
	s     *spec
	known map[string]string // "bridge vlan mac" -> port
}

// A mframe is a frame's tags, outermost first.
type mframe []mtag

type mtag struct {
	tpid, vid, pcp int
	came           bool // as the packet's first tag
}

// at is the n-th tag, one of zeros where there is none.
func (f mframe) at(n int) mtag {
	if n < len(f) {
		return f[n]
	}
	return mtag{}
}

func (f mframe) String() (s string) {
	for _, t := range f {
		s += fmt.Sprintf(" %04x/%d/%d", t.tpid, t.vid, t.pcp)
	}
	return s
}

func (m *model) customer(p *Port, f mframe, n int) bool {
	return len(p.Customers) == 0 || slices.Contains(p.Customers, f.at(n).vid)
}

func (m *model) carries(p *Port, f mframe) bool {
	vid := f.at(0).vid
	switch {
	case p.Mode == Access:
		return vid == p.Tag && f.at(1).vid == 0
	case p.Mode == Tunnel:
		return vid == p.Tag && m.customer(p, f, 1)
	case p.Mode != Trunk && (vid == p.Tag || vid == 0):
		return vid == p.Tag
	}
	return len(p.Trunks) == 0 || slices.Contains(p.Trunks, vid)
}

// plain is the frame without tags that say nothing.
func (m *model) plain(p *Port, f mframe) (out mframe) {
	for _, t := range f {
		if p.PriorityTags == AlwaysTag || t.vid != 0 || t.pcp != 0 || len(out) > 0 && !t.came {
			out = append(out, t)
		}
	}
	return out
}

// packet is what leaves; tags that do not count are not shown.
func (m *model) packet(k *flow.Key) (out []string) {
	for _, b := range m.s.cfg.Bridges {
		for _, p := range b.Ports {
			if p.Interfaces[0].No == k.InPort {
				var f mframe
				for _, v := range k.VLAN {
					if v.Present() {
						f = append(f, mtag{int(v.TPID), int(v.VID()), int(v.PCP()), len(f) == 0})
					}
				}
				m.bridge(b, p, f, k, &out)
			}
		}
	}
	slices.Sort(out)
	return out
}

func (m *model) bridge(b *Bridge, in *Port, f mframe, k *flow.Key, out *[]string) {
	was := f
	if len(f) == 0 && (k.EthType == 0x8100 || k.EthType == 0x88a8) {
		return
	}
	switch {
	case in.Mode == Access && f.at(0).vid != 0:
		return
	case in.Mode == Tunnel:
		if !m.customer(in, f, 0) {
			return
		}
		f = append(mframe{{int(in.TunnelTPID), in.Tag, 0, false}}, f...)
	case in.Mode != Trunk && f.at(0).vid == 0:
		if len(f) == 0 {
			f = mframe{{0x8100, 0, 0, false}}
		}
		f = slices.Clone(f)
		f[0].vid, f[0].came = in.Tag, false
	case !m.carries(in, f):
		return
	}
	if !b.ForwardBPDU && k.EthDst[0] == 1 && k.EthDst[1] == 0x80 && k.EthDst[5] < 16 {
		return
	}
	vid := f.at(0).vid
	floods := slices.Contains(b.FloodVLANs, vid)
	if !floods {
		m.known[fmt.Sprint(b.Name, vid, k.EthSrc)] = in.Name
	}
	to, known := m.known[fmt.Sprint(b.Name, vid, k.EthDst)]
	for _, p := range b.Ports {
		if p == in || known && !floods && p.Name != to || !m.carries(p, f) || in.Protected && p.Protected {
			continue
		}
		leaves := f
		var priority mframe
		if p.PriorityTags != NeverTag && was.at(0).pcp != 0 {
			priority = mframe{{0x8100, 0, was.at(0).pcp, false}}
		}
		switch {
		case p.Mode == Access:
			leaves = priority
		default:
			if p.Mode == Tunnel || p.Mode == NativeUntagged && vid == p.Tag {
				if leaves = f[min(1, len(f)):]; len(leaves) == 0 {
					leaves = priority
				}
			}
			if p.PriorityTags != NeverTag && len(leaves) > 0 {
				leaves = slices.Clone(leaves)
				leaves[0].pcp = was.at(0).pcp
			}
			leaves = m.plain(p, leaves)
		}
		if i := p.Interfaces[0]; i.No != 0 {
			*out = append(*out, i.Name+leaves.String())
			continue
		}
		for _, b2 := range m.s.cfg.Bridges {
			for _, p2 := range b2.Ports {
				if p2.Name == p.Interfaces[0].Peer && p2.Interfaces[0].Peer == p.Name {
					m.bridge(b2, p2, leaves, k, out)
				}
			}
		}
	}
}

// always is what the engine adds to every mask.
func always() (m flow.Mask) {
	m.Add(flow.InPort | flow.RecircID | flow.EthType | flow.VLANHas | flow.CVLANHas | flow.VLANTPID | flow.CVLANTPID)
	return m
}

// disturb flips bits of the key that do not matter.
func disturb(r *rand.Rand, k *flow.Key, m *flow.Mask) *flow.Key {
	out := *k
	w, mw := out.Words(), m.Words()
	for i := range w {
		w[i] ^= r.Uint64() & r.Uint64() & r.Uint64() &^ mw[i]
	}
	return &out
}

// TestModel runs random packets through random configurations: the naive
// model must agree on what leaves where, and every packet that agrees with a
// mask must get the same actions.
func TestModel(t *testing.T) {
	var pool packet.Pool
	pkt := pool.From(make([]byte, 60))
	rounds := 400
	if testing.Short() {
		rounds = 50
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 1))
		text := randomSpec(r)
		s := parseSpec(t, text)
		m := &model{s: s, known: map[string]string{}}
		tr := New()
		tr.Set(&s.cfg)
		now := time.Unix(1e9, 0)
		for range 60 {
			k := s.seen(randomKey(r, s))
			now = now.Add(time.Millisecond)
			var res engine.Result
			tr.Translate(&engine.Request{Key: k, Packet: pkt, Now: now}, &res)
			if got, want := s.emissions(res.Actions, k), m.packet(k); !slices.Equal(got, want) {
				t.Fatalf("seed %d:\n%s\n%s\n got %q\nwant %q", seed, text, s.odp(k), got, want)
			}
			all := always()
			all.Or(&res.Mask)
			for range 8 {
				other := disturb(r, k, &all)
				var again engine.Result
				tr.Translate(&engine.Request{Key: other, Now: now}, &again)
				if s.text(again.Actions) != s.text(res.Actions) || again.Mask != res.Mask {
					t.Fatalf("seed %d: the mask [%s] is not enough:\n%s\n%s\n%s\n%s\n%s", seed, maskText(&res.Mask), text,
						s.odp(k), s.text(res.Actions), s.odp(other), s.text(again.Actions))
				}
			}
		}
	}
}

// TestAgainstC runs random packets through random configurations of ours and
// of Debian's ovs-vswitchd.
func TestAgainstC(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs")
	}
	t.Parallel()
	o := newOracle(t)
	var pool packet.Pool
	pkt := pool.From(make([]byte, 60))
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 2))
		text := randomSpec(r)
		s := parseSpec(t, text)
		o.configure(s)
		tr := New()
		tr.Set(&s.cfg)
		for range 25 {
			k := randomKey(r, s)
			if s.loses(k) {
				continue
			}
			var res engine.Result
			tr.Translate(&engine.Request{Key: s.seen(k), Packet: pkt, Now: time.Now()}, &res)
			c, mega := o.trace(s, k, true)
			theirs, err := s.parse(c)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s.emissions(res.Actions, k), s.emissions(theirs, k); !slices.Equal(got, s.carried(k, got, want)) {
				t.Fatalf("seed %d:\n%s\n%s\n got %q\nwant %q\n%s", seed, text, s.odp(k), got, want, mega)
			}
			// Ours looks at no more than C does, but for the priority of a
			// frame of VLAN 0, which C should look at and does not.
			for _, f := range []struct {
				name string
				f    flow.Fields
			}{{"dl_vlan=", flow.VLANVID}, {"dl_src", flow.EthSrc}, {"dl_dst", flow.EthDst}, {"arp_op", flow.Proto}} {
				var one flow.Mask
				one.Add(f.f)
				if res.Mask.Covers(&one) && !strings.Contains(mega, f.name) && k.VLAN[0].Present() == (f.f == flow.VLANVID) {
					t.Errorf("seed %d: %s\n ours looks at [%s]\n C at %s", seed, s.odp(k), maskText(&res.Mask), mega)
				}
			}
		}
		for _, b := range s.cfg.Bridges {
			ours := b.MACs.Show(func(name string) (uint16, bool) { return ofport(b, name) }, time.Now())
			if got, want := ageless(ours), ageless(o.ctl("fdb/show", b.Name)); got != want {
				t.Errorf("seed %d: %s learned\n%swant\n%s", seed, b.Name, got, want)
			}
		}
	}
}

// loses says that the packet may come to have three tags in C's hands, or two
// on an access port, or one behind one of VLAN 0, of which some are lost there.
func (s *spec) loses(k *flow.Key) bool {
	tags := 0
	for _, v := range k.VLAN[:s.limit] {
		if v.Present() {
			tags++
		}
	}
	for _, b := range s.cfg.Bridges {
		for _, p := range b.Ports {
			no := p.Interfaces[0].No
			switch {
			case no != k.InPort && no != 0:
			case p.Mode == Access && tags > 1:
				return true
			case p.Mode == Tunnel:
				tags++
			}
		}
	}
	return tags > 2 || s.limit > 1 && k.VLAN[1].Present() && k.VLAN[0].VID() == 0
}

// carried is what C sends without what goes to a learned port that does not
// carry the customer's VLAN, which C does not look at then.
func (s *spec) carried(k *flow.Key, ours, theirs []string) []string {
	if k.EthDst[0]&1 != 0 {
		return theirs
	}
	return slices.DeleteFunc(slices.Clone(theirs), func(sent string) bool {
		if slices.Contains(ours, sent) {
			return false
		}
		name, _, _ := strings.Cut(sent, " ")
		tunnels, closed := false, false
		for _, b := range s.cfg.Bridges {
			for _, p := range b.Ports {
				tunnels = tunnels || p.Mode == Tunnel
				closed = closed || p.Name == name && (p.Mode == Tunnel || p.Mode == Access)
			}
		}
		return tunnels && closed
	})
}

// ageless is fdb/show's text without ages, in the order of its lines.
func ageless(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if f := strings.Fields(l); len(f) == 4 {
			lines[i] = strings.TrimSuffix(l, fmt.Sprintf("%3s", f[3]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// FuzzTranslate gives keys of any content to a few configurations.
func FuzzTranslate(f *testing.F) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 3))
		k := randomKey(r, parseSpec(f, randomSpec(r)))
		var b []byte
		for _, w := range k.Words() {
			for i := range 8 {
				b = append(b, byte(w>>(8*i)))
			}
		}
		f.Add(seed, b, true)
	}
	var pool packet.Pool
	pkt := pool.From(make([]byte, 60))
	f.Fuzz(func(t *testing.T, seed uint64, raw []byte, learn bool) {
		r := rand.New(rand.NewPCG(seed, 3))
		s := parseSpec(t, randomSpec(r))
		tr := New()
		tr.Set(&s.cfg)
		var k flow.Key
		w := k.Words()
		for i, c := range raw {
			if i/8 < len(w) {
				w[i/8] |= uint64(c) << (8 * (i % 8))
			}
		}
		req := engine.Request{Key: &k, Now: time.Unix(1e9, 0)}
		if learn {
			req.Packet = pkt
		}
		var res engine.Result
		tr.Translate(&req, &res)
		all := always()
		all.Or(&res.Mask)
		var again engine.Result
		tr.Translate(&engine.Request{Key: disturb(r, &k, &all), Now: req.Now}, &again)
		if s.text(again.Actions) != s.text(res.Actions) {
			t.Fatalf("the mask is not enough: %s, %s", s.text(res.Actions), s.text(again.Actions))
		}
	})
}
