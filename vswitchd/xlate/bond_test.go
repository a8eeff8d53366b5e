package xlate

import (
	"math/rand/v2"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/vswitchd/bond"
)

// bonded is a bridge with a bond of two and a host.
func bonded(t *testing.T) (*spec, *bond.View) {
	s := parseSpec(t, "bridge br0\nport p1\nport bond bond=b1,b2")
	return s, s.cfg.Bridges[0].Ports[2].Bond
}

// Packets that agree with the mask leave by the same interface, and packets of
// all kinds use both.
func TestBalance(t *testing.T) {
	for _, mode := range []bond.Mode{bond.BalanceSLB, bond.BalanceTCP} {
		s, view := bonded(t)
		view.Mode, view.Basis = mode, 7
		if mode == bond.BalanceTCP {
			view.LACP = bond.Negotiated
		}
		tr := New()
		tr.Set(&s.cfg)
		r := rand.New(rand.NewPCG(1, uint64(mode)))
		used := map[flow.PortNo]int{}
		for range 2000 {
			k := &flow.Key{
				InPort: s.nos["p1"], EthSrc: [6]byte{0, 1, 2, 3, 4, byte(r.IntN(16))}, EthDst: [6]byte{0, 1, 2, 3, 5, byte(r.IntN(16))},
				EthType: []uint16{0x0800, 0x86dd, 0x0806, 0x1234}[r.IntN(4)],
			}
			if k.EthType == 0x0800 || k.EthType == 0x86dd {
				k.Proto = []uint8{1, 6, 17, 132, 47}[r.IntN(5)]
				k.IPSrc[3], k.IPDst[3], k.TPSrc, k.TPDst = byte(r.IntN(4)), byte(r.IntN(4)), uint16(r.IntN(9)), uint16(r.IntN(9))
				k.Frag = []uint8{0, flow.FragAny, flow.FragAny | flow.FragLater}[r.IntN(3)]
				if k.EthType == 0x86dd {
					k.IPSrc[15], k.IPDst[15] = byte(r.IntN(4)), byte(r.IntN(4))
				}
			}
			res := ask(tr, k)
			out := res.Actions[len(res.Actions)-1].(action.Output).Port
			used[out]++
			all := always()
			all.Or(&res.Mask)
			for range 4 {
				again := ask(tr, disturb(r, k, &all))
				if s.text(again.Actions) != s.text(res.Actions) {
					t.Fatalf("%s: the mask [%s] is not enough for %s", mode, maskText(&res.Mask), s.odp(k))
				}
			}
			// Fragments of a packet stay together.
			first := *k
			first.Frag, first.TPSrc, first.TPDst = flow.FragAny, 5, 6
			later := *k
			later.Frag, later.TPSrc, later.TPDst = flow.FragAny|flow.FragLater, 0, 0
			if k.Frag != 0 && s.text(ask(tr, &first).Actions) != s.text(ask(tr, &later).Actions) {
				t.Fatalf("%s: fragments go two ways: %s", mode, s.odp(k))
			}
		}
		if used[s.nos["b1"]] < 600 || used[s.nos["b2"]] < 600 {
			t.Errorf("%s: uneven: %v", mode, used)
		}
		// What was sent is credited to its hash.
		k := &flow.Key{InPort: s.nos["p1"], EthSrc: [6]byte{5: 1}, EthDst: [6]byte{5: 2}, EthType: 0x0800}
		for _, c := range ask(tr, k).Credit {
			c.Credit(k, engine.Traffic{Packets: 1, Bytes: 100, Last: time.Unix(1e9, 0)})
		}
		sum := uint64(0)
		for h := range view.Load {
			sum += view.Load[h].Load()
		}
		if sum != 100 {
			t.Errorf("%s: %d bytes credited, want 100", mode, sum)
		}
	}
}

// What a bond takes and gives by its mode, and by how far LACP has come.
func TestBondRules(t *testing.T) {
	for _, test := range []struct {
		name     string
		mode     bond.Mode
		lacp     bond.LACP
		fallback bool
		all      bool
		unicast  string // interfaces, of b1 (the active one) and b2, by which packets to a station come in
		group    string // and those to a group
		out      string // by which a flow leaves
	}{
		{name: "active-backup", unicast: "b1", group: "b1", out: "b1"},
		{name: "slb", mode: bond.BalanceSLB, unicast: "b1 b2", group: "b1", out: "any"},
		{name: "slb, all active", mode: bond.BalanceSLB, all: true, unicast: "b1 b2", group: "b1 b2", out: "any"},
		{name: "tcp without lacp", mode: bond.BalanceTCP},
		{name: "tcp, no partner", mode: bond.BalanceTCP, lacp: bond.Configured},
		{name: "tcp, fallback", mode: bond.BalanceTCP, lacp: bond.Configured, fallback: true, unicast: "b1", group: "b1", out: "b1"},
		{name: "tcp, negotiated", mode: bond.BalanceTCP, lacp: bond.Negotiated, unicast: "b1 b2", group: "b1 b2", out: "any"},
		{name: "slb, negotiated", mode: bond.BalanceSLB, lacp: bond.Negotiated, unicast: "b1 b2", group: "b1 b2", out: "any"},
		{name: "active-backup, negotiated", lacp: bond.Negotiated, unicast: "b1 b2", group: "b1 b2", out: "b1"},
	} {
		s, view := bonded(t)
		view.Mode, view.LACP, view.FallbackAB, view.AllActive = test.mode, test.lacp, test.fallback, test.all
		tr := New()
		tr.Set(&s.cfg)
		var pool packet.Pool
		pkt := pool.From(make([]byte, 60))
		for dst, want := range map[string]string{"0a": test.unicast, "bcast": test.group} {
			got := ""
			for _, in := range []string{"b1", "b2"} {
				res := ask(tr, parsePacket(t, s, []string{in, "src=0b", "dst=" + dst}))
				if reason(res) != drop.Bond {
					got += " " + in
				}
			}
			if got != "" {
				got = got[1:]
			}
			if got != want {
				t.Errorf("%s: packets to %s come in by %q, want %q", test.name, dst, got, want)
			}
		}
		var res engine.Result
		tr.Translate(&engine.Request{Key: parsePacket(t, s, []string{"p1", "dst=0c"}), Packet: pkt, Now: time.Unix(1e9, 0)}, &res)
		got := s.text(res.Actions)
		switch {
		case test.out == "any" && (got == "br0,b1" || got == "br0,b2"):
		case test.out == "" && got == "br0":
		case got != "br0,"+test.out:
			t.Errorf("%s: a flow leaves by %s, want %q", test.name, got, test.out)
		}
	}
}
