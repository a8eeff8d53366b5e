package xlate

import (
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/engine"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/vswitchd/export/netflow"
)

var (
	_ Sample = (*netflow.Exporter)(nil)
	_ Sample = (*netflow.Cache)(nil)

	begin = time.Unix(1e9, 0)
)

func ask(tr *Translator, k *flow.Key) *engine.Result {
	var res engine.Result
	tr.Translate(&engine.Request{Key: k, Now: begin}, &res)
	return &res
}

func send(tr *Translator, k *flow.Key) *engine.Result {
	var pool packet.Pool
	var res engine.Result
	tr.Translate(&engine.Request{Key: k, Packet: pool.From(make([]byte, 60)), Now: begin}, &res)
	return &res
}

func reason(res *engine.Result) any {
	if len(res.Actions) == 1 {
		if d, ok := res.Actions[0].(action.Drop); ok {
			return d.Reason
		}
	}
	return nil
}

// What is configured for an interface holds for what enters and what leaves.
func TestInterfaces(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(in, out *Interface)
		text  string
		known bool
	}{
		{"plain", func(_, _ *Interface) {}, "br0,p2,p3", false},
		{"no-flood", func(_, o *Interface) { o.NoFlood = true }, "br0,p3", false},
		{"no-flood, known", func(_, o *Interface) { o.NoFlood = true }, "p2", true},
		{"no-forward", func(_, o *Interface) { o.NoForward = true }, "br0,p3", false},
		{"no-forward, known", func(_, o *Interface) { o.NoForward = true }, "drop(drop_action_port_config)", true},
		{"down", func(_, o *Interface) { o.Down = true }, "br0,p3", false},
		{"down, known", func(_, o *Interface) { o.Down = true }, "drop(datapath_drop_port_down)", true},
		{"no-receive", func(i, _ *Interface) { i.NoReceive = true }, "drop(drop_action_port_config)", false},
		{"enters down", func(i, _ *Interface) { i.Down = true }, "drop(drop_action_port_config)", false},
	} {
		s := parseSpec(t, "bridge br0\nport p1\nport p2\nport p3")
		ports := s.cfg.Bridges[0].Ports
		tr := New()
		tr.Set(&s.cfg)
		if c.known {
			send(tr, parsePacket(t, s, []string{"p2", "src=02", "dst=09"}))
		}
		c.set(&ports[1].Interfaces[0], &ports[2].Interfaces[0])
		tr.Set(&s.cfg)
		if got := s.text(ask(tr, parsePacket(t, s, []string{"p1"})).Actions); got != c.text {
			t.Errorf("%s: %s, want %s", c.name, got, c.text)
		}
	}
}

func TestUnknownPort(t *testing.T) {
	res := ask(New(), &flow.Key{InPort: 77})
	if reason(res) != drop.NoBridge || res.Mask != (flow.Mask{}) {
		t.Errorf("%v %+v", res.Actions, res.Mask)
	}
}

// Half a tag.
func TestPartialTag(t *testing.T) {
	s := parseSpec(t, "bridge br0\nport p1\nport p2")
	tr := New()
	tr.Set(&s.cfg)
	if res := ask(tr, &flow.Key{InPort: s.nos["p1"], EthType: 0x8100}); reason(res) != drop.BadVLAN {
		t.Errorf("%v", res.Actions)
	}
}

// Of several interfaces that are no bond the first one that is not down is in
// use.
func TestNoBond(t *testing.T) {
	s := parseSpec(t, "bridge br0\nport p1\nport bond bond=b1,b2")
	port := s.cfg.Bridges[0].Ports[2]
	port.Bond = nil
	tr := New()
	for down, want := range map[int]string{-1: "br0,b1", 1: "br0,b1", 0: "br0,b2"} {
		for n := range port.Interfaces {
			port.Interfaces[n].Down = n == down
		}
		tr.Set(&s.cfg)
		if got := s.text(ask(tr, parsePacket(t, s, []string{"p1"})).Actions); got != want {
			t.Errorf("%d down: %s", down, got)
		}
	}
}

// Traffic keeps an address alive, and brings it back after it expired; but not
// against what was learned since, nor where the configuration changed.
func TestCredit(t *testing.T) {
	text := "bridge br0\nport p1\nport p2\nport p3"
	s := parseSpec(t, text)
	macs := s.cfg.Bridges[0].MACs
	tr := New()
	tr.Set(&s.cfg)
	k := parsePacket(t, s, []string{"p1", "src=01"})
	res := ask(tr, k)
	if macs.Len() != 0 {
		t.Fatal("learned without a packet")
	}
	credit := func(after time.Duration, packets uint64) {
		for _, c := range res.Credit {
			c.Credit(k, engine.Traffic{Packets: packets, Bytes: 60 * packets, First: begin, Last: begin.Add(after)})
		}
	}
	where := func() string {
		p, _ := macs.Lookup(0, k.EthSrc)
		return p
	}
	credit(0, 0)
	if where() != "" {
		t.Error("learned from no traffic")
	}
	credit(time.Second, 1)
	if where() != "p1" {
		t.Errorf("on %q", where())
	}
	if macs.Expire(begin.Add(301*time.Second)) != 1 {
		t.Error("did not expire when it should")
	}
	credit(400*time.Second, 1)
	if where() != "p1" {
		t.Errorf("on %q", where())
	}

	// It moved; what p1 saw before that does not move it back.
	moved := parsePacket(t, s, []string{"p2", "src=01"})
	var r2 engine.Result
	var pool packet.Pool
	tr.Translate(&engine.Request{Key: moved, Packet: pool.From(make([]byte, 60)), Now: begin.Add(500 * time.Second)}, &r2)
	credit(499*time.Second, 1)
	if where() != "p2" {
		t.Errorf("on %q", where())
	}
	credit(501*time.Second, 1)
	if where() != "p1" {
		t.Errorf("on %q", where())
	}

	for _, text := range []string{"bridge br0\nport p2\nport p3", "bridge br0\nport p1 access tag=5", "bridge br0 flood=0\nport p1", "bridge br1\nport p1"} {
		macs.Flush(begin.Add(600 * time.Second))
		s2 := parseSpec(t, text)
		s2.cfg.Bridges[0].MACs = macs
		tr.Set(&s2.cfg)
		credit(601*time.Second, 1)
		if where() != "" {
			t.Errorf("%q: came back on %q", text, where())
		}
	}
	s2 := parseSpec(t, "bridge br0\nport p1 protected\nport p9")
	s2.cfg.Bridges[0].MACs = macs
	tr.Set(&s2.cfg)
	credit(602*time.Second, 1)
	if where() != "p1" {
		t.Errorf("on %q", where())
	}
}

func TestPatchCounters(t *testing.T) {
	s := parseSpec(t, "bridge br0\nport p1\nport t0 peer=t1\nbridge br1\nport q1\nport t1 peer=t0")
	a, b := new(Counters), new(Counters)
	s.cfg.Bridges[0].Ports[2].Interfaces[0].Counters = a
	s.cfg.Bridges[1].Ports[2].Interfaces[0].Counters = b
	tr := New()
	tr.Set(&s.cfg)
	k := parsePacket(t, s, []string{"p1"})
	res := ask(tr, k)
	for _, c := range res.Credit {
		c.Credit(k, engine.Traffic{Packets: 2, Bytes: 120, Last: begin})
	}
	if a.TxPackets.Load() != 2 || a.TxBytes.Load() != 120 || b.RxPackets.Load() != 2 || b.RxBytes.Load() != 120 || a.RxPackets.Load() != 0 {
		t.Errorf("%d %d %d %d", a.TxPackets.Load(), a.TxBytes.Load(), b.RxPackets.Load(), b.RxBytes.Load())
	}
}

type sampler struct{ in, out uint16 }

func (s *sampler) Mask(_ *flow.Key, m *flow.Mask) { m.Add(flow.TOS) }

func (s *sampler) Creditor(_ *flow.Key, in, out uint16) engine.Creditor {
	s.in, s.out = in, out
	return nil
}

// The exporter is told of OpenFlow ports, as Debian's ovs-vswitchd does.
func TestNetFlow(t *testing.T) {
	s := parseSpec(t, "bridge br0\nport p1\nport p2\nport p3 access tag=7\nport t0 peer=t1\nbridge br1\nport t1 peer=t0")
	nf := new(sampler)
	s.cfg.Bridges[0].NetFlow = nf
	tr := New()
	tr.Set(&s.cfg)
	send(tr, parsePacket(t, s, []string{"p2", "src=02", "dst=09"}))
	for _, c := range []struct {
		packet  []string
		in, out uint16
	}{
		{[]string{"p1", "dst=02"}, 1, 2},
		{[]string{"p1", "dst=bcast"}, 1, Flood},
		{[]string{"br0", "dst=05"}, 65534, Flood},
		{[]string{"p2", "dst=02"}, 2, Nowhere},
		{[]string{"p3", "vid=7"}, 3, Nowhere},
	} {
		res := ask(tr, parsePacket(t, s, c.packet))
		if nf.in != c.in || nf.out != c.out || res.Mask.TOS != 0xff {
			t.Errorf("%v: in %d out %d", c.packet, nf.in, nf.out)
		}
	}
}
