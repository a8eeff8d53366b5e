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

// randomMirrors writes a bridge of six ports and a few mirrors to the last two
// of them, or one to a VLAN: what such a one sends would be mirrored again, in
// an order that the C switch leaves to chance.
func randomMirrors(r *rand.Rand) string {
	var b strings.Builder
	b.WriteString("bridge br0\n")
	vlan := func() int { return []int{10, 20, 30}[r.IntN(3)] }
	for n := range 6 {
		mode := []string{"access", "trunk", "native-tagged", "native-untagged"}[r.IntN(4)]
		fmt.Fprintf(&b, "port p%d %s", n, mode)
		if mode != "trunk" {
			fmt.Fprintf(&b, " tag=%d", vlan())
		}
		if mode != "access" && r.IntN(3) == 0 {
			fmt.Fprintf(&b, " trunks=%d,%d", vlan(), 40)
		}
		b.WriteString("\n")
	}
	ports := func() string {
		list := []string{"p0", "p1", "p2", "p3", "br0"}
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		return strings.Join(list[:1+r.IntN(3)], ",")
	}
	vlans, snaplen := r.IntN(3) == 0, []int{0, 14, 128}[r.IntN(3)]
	one := vlans || r.IntN(2) == 0 // destination: all mirrors what goes to the others', too
	for n := range 1 + r.IntN(4) {
		if vlans && n > 0 {
			break
		}
		fmt.Fprintf(&b, "mirror m%d", n)
		switch k := r.IntN(4); {
		case k == 0 && one:
			b.WriteString(" all")
		case k == 1:
			b.WriteString(" src=" + ports())
		case k == 2:
			b.WriteString(" dst=" + ports())
		default:
			b.WriteString(" src=" + ports() + " dst=" + ports())
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, " vlans=%d,40", vlan())
		}
		out := 4 + r.IntN(2)
		if one {
			out = 4
		}
		if vlans {
			fmt.Fprintf(&b, " out-vlan=%d", []int{30, 40}[r.IntN(2)])
		} else {
			fmt.Fprintf(&b, " out=p%d", out)
		}
		if out == 4 && snaplen > 0 { // of two mirrors to one port the first one decides
			fmt.Fprintf(&b, " snaplen=%d", snaplen)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func mirrorKey(r *rand.Rand, s *spec) *flow.Key {
	k := randomKey(r, s)
	k.VLAN = [2]flow.VLAN{}
	if r.IntN(2) == 0 {
		k.VLAN[0] = flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | []uint16{10, 20, 30, 40}[r.IntN(4)] | []uint16{0, 5}[r.IntN(2)]<<13}
	}
	return k
}

// TestMirrorsMask says that packets that agree with a mask are mirrored alike.
func TestMirrorsMask(t *testing.T) {
	var pool packet.Pool
	pkt := pool.From(make([]byte, 60))
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 9))
		text := randomMirrors(r)
		s := parseSpec(t, text)
		tr := New()
		tr.Set(&s.cfg)
		for range 30 {
			k := mirrorKey(r, s)
			var res engine.Result
			tr.Translate(&engine.Request{Key: k, Packet: pkt, Now: time.Unix(1e9, 0)}, &res)
			all := always()
			all.Or(&res.Mask)
			for range 4 {
				other := disturb(r, k, &all)
				var again engine.Result
				tr.Translate(&engine.Request{Key: other, Now: time.Unix(1e9, 0)}, &again)
				if s.text(again.Actions) != s.text(res.Actions) {
					t.Fatalf("seed %d: the mask [%s] is not enough:\n%s\n%s\n%s\n%s\n%s", seed, maskText(&res.Mask), text,
						s.odp(k), s.text(res.Actions), s.odp(other), s.text(again.Actions))
				}
			}
		}
	}
}

// TestMirrorsAgainstC runs random packets through random mirrors of ours and
// of Debian's ovs-vswitchd.
func TestMirrorsAgainstC(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs")
	}
	t.Parallel()
	o := newOracle(t)
	var pool packet.Pool
	pkt := pool.From(make([]byte, 60))
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 10))
		text := randomMirrors(r)
		s := parseSpec(t, text)
		o.configure(s)
		tr := New()
		tr.Set(&s.cfg)
		for range 20 {
			k := mirrorKey(r, s)
			// Of two ports by which a packet leaves the first one gives the
			// mirror its copy, with a priority or without one.
			k.VLAN[0].TCI &^= flow.VLANPCPMask
			var res engine.Result
			tr.Translate(&engine.Request{Key: k, Packet: pkt, Now: time.Now()}, &res)
			c, mega := o.trace(s, k, true)
			theirs, err := s.parse(c)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := s.emissions(res.Actions, k), s.emissions(theirs, k); !slices.Equal(got, want) {
				t.Fatalf("seed %d:\n%s\n%s\n got %q\nwant %q\n%s\n%s", seed, text, s.odp(k), got, want, c, mega)
			}
		}
	}
}
