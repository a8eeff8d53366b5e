package engine

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port/dummy"
)

// randomKey is a packet's key, with up to two tags.
func randomKey(r *rand.Rand) flow.Key {
	k := flow.Key{EthType: []uint16{0x0800, 0x86dd, 0x0806, 0x8847}[r.IntN(4)]}
	fill := func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
	fill(k.EthSrc[:])
	fill(k.EthDst[:])
	for i := range r.IntN(3) {
		k.VLAN[i] = flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | uint16(r.IntN(4096))}
	}
	if k.EthType == 0x8847 {
		k.MPLS = r.Uint32()
		return k
	}
	n := 4
	if k.EthType == 0x86dd {
		n, k.IPLabel = 16, r.Uint32()&0xfffff
	}
	fill(k.IPSrc[:n])
	fill(k.IPDst[:n])
	if k.EthType == 0x0806 {
		k.Proto = byte(1 + r.IntN(2))
		fill(k.ARPSHA[:])
		fill(k.ARPTHA[:])
		return k
	}
	k.TOS, k.TTL = byte(r.Uint32()), byte(r.Uint32())
	icmp := byte(header.ProtoICMP)
	if n == 16 {
		icmp = header.ProtoICMPv6
	}
	k.Proto = []byte{header.ProtoTCP, header.ProtoUDP, icmp}[r.IntN(3)]
	k.TPSrc, k.TPDst = uint16(r.Uint32()), uint16(r.Uint32())
	switch k.Proto {
	case header.ProtoTCP:
		k.TCPFlags = header.ACK
	case icmp:
		k.TPSrc, k.TPDst = 8, 0
		if n == 16 && r.IntN(2) == 0 {
			k.TPSrc = header.NDSolicit
			fill(k.NDTarget[:])
			fill(k.ARPSHA[:])
			fill(k.ARPTHA[:])
		}
	}
	if r.IntN(8) == 0 {
		k.Frag = flow.FragAny | flow.FragLater
		k.TPSrc, k.TPDst, k.TCPFlags, k.NDTarget, k.ARPSHA, k.ARPTHA = 0, 0, 0, [16]byte{}, [6]byte{}, [6]byte{}
	}
	return k
}

// settable are the groups that such a packet has, with the words of the key
// that they may change.
func settable(k *flow.Key) []string {
	groups := []string{"eth"}
	switch k.EthType {
	case 0x8847:
		return append(groups, "mpls")
	case 0x0806:
		return append(groups, "arp")
	case 0x0800:
		groups = append(groups, "ipv4")
	default:
		groups = append(groups, "ipv6")
	}
	if k.Frag != 0 {
		return groups
	}
	switch k.Proto {
	case header.ProtoTCP:
		groups = append(groups, "tcp")
	case header.ProtoUDP:
		groups = append(groups, "udp")
	case header.ProtoICMPv6:
		if k.TPSrc == header.NDSolicit {
			groups = append(groups, "nd")
		}
	}
	return groups
}

// groupMask is random bits of a group.
func groupMask(r *rand.Rand, group string, k *flow.Key) (m flow.Mask) {
	fields := map[string]flow.Fields{
		"eth": flow.EthSrc | flow.EthDst, "ipv4": flow.IPv4Src | flow.IPv4Dst | flow.TOS | flow.TTL,
		"ipv6": flow.IPv6Src | flow.IPv6Dst | flow.TOS | flow.TTL | flow.IPLabel, "mpls": flow.MPLS,
		"arp": flow.IPv4Src | flow.IPv4Dst | flow.ARPSHA | flow.ARPTHA,
		"tcp": flow.TPSrc | flow.TPDst, "udp": flow.TPSrc | flow.TPDst, "nd": flow.NDTarget | flow.ARPSHA | flow.ARPTHA,
	}[group]
	m.Add(fields)
	if r.IntN(2) == 0 {
		for i := range m.Words() {
			m.Words()[i] &= r.Uint64()
		}
	}
	m.IPLabel &= 0xfffff
	return m
}

// TestSet says that a frame of which fields were set is the one that is made
// with those fields, to the last byte of its checksums, also where a checksum
// is to be completed later.
func TestSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var pool packet.Pool
	for range 5000 {
		k := randomKey(r)
		group := settable(&k)[r.IntN(len(settable(&k)))]
		value := randomKey(r)
		a := action.Set{Group: group, Mask: groupMask(r, group, &k)}
		for i, w := range a.Mask.Words() {
			a.Key.Words()[i] = (value.Words()[i] ^ r.Uint64()) & w
		}
		want := k
		for i, w := range a.Mask.Words() {
			want.Words()[i] = k.Words()[i]&^w | a.Key.Words()[i]
		}
		if group == "nd" && (want.ARPSHA == [6]byte{} || want.ARPTHA == [6]byte{}) {
			continue // an option that is not there stays so
		}
		p := pool.From(flow.Compose(&k, 0))
		partial := (k.Proto == header.ProtoTCP || k.Proto == header.ProtoUDP) && k.Frag == 0 && k.EthType != 0x0806 && r.IntN(2) == 0
		if partial {
			at := locate(p.Bytes())
			h := p.Bytes()[at.l4:at.end]
			offset := 16
			if k.Proto == header.ProtoUDP {
				offset = 6
			}
			n := 4
			if k.EthType == 0x86dd {
				n = 16
			}
			binary.BigEndian.PutUint16(h[offset:], ^header.Fold(header.PseudoSum(k.IPSrc[:n], k.IPDst[:n], k.Proto, len(h))))
			p.Offload = packet.Offload{NeedsCsum: true, CsumStart: uint16(at.l4), CsumOffset: uint16(offset)}
		}
		set(p, &a)
		if partial {
			if err := packet.CompleteChecksum(p); err != nil {
				t.Fatal(err)
			}
		}
		if w := flow.Compose(&want, 0); !slices.Equal(p.Bytes(), w) {
			t.Fatalf("%v on %v:\n got % x\nwant % x", a, &k, p.Bytes(), w)
		}
		p.Free()
	}
}

func TestSetSCTP(t *testing.T) {
	var pool packet.Pool
	frame, err := flow.ComposeText("eth_type(0x0800),ipv4(proto=132),sctp(src=1,dst=2)")
	if err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []uint32{0, 0x1234} {
		p := pool.From(frame)
		at := locate(p.Bytes())
		h := p.Bytes()[at.l4:at.end]
		binary.LittleEndian.PutUint32(h[8:], sctpSum(h)^wrong)
		list, err := action.Parse("set(sctp(dst=99))", nil)
		if err != nil {
			t.Fatal(err)
		}
		a := list[0].(action.Set)
		set(p, &a)
		if binary.BigEndian.Uint16(h[2:]) != 99 || binary.LittleEndian.Uint32(h[8:])^sctpSum(h) != wrong {
			t.Errorf("% x: checksum off by %#x, want %#x", h, binary.LittleEndian.Uint32(h[8:])^sctpSum(h), wrong)
		}
	}
}

// FuzzRewrite says that no frame makes the actions panic, and none that does
// not change a length changes it.
func FuzzRewrite(f *testing.F) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		k := randomKey(r)
		f.Add(flow.Compose(&k, 0), uint8(len(f.Name())))
	}
	lists := []string{
		"set(eth(src=00:00:00:00:00:01))", "set(ipv4(src=1.2.3.4,ttl=1))", "set(ipv6(dst=::1,label=5))", "set(tcp(src=1))", "set(udp(dst=1))",
		"set(sctp(dst=1))", "set(icmp(type=1))", "set(icmpv6(code=1))", "set(arp(sip=1.2.3.4,op=2))", "set(nd(target=::1,sll=00:00:00:00:00:01))",
		"set(mpls(label=5,tc=1,ttl=1,bos=1))", "pop_mpls(eth_type=0x800)", "push_mpls(label=5,tc=1,ttl=1,bos=1,eth_type=0x8847)", "pop_vlan",
	}
	f.Fuzz(func(t *testing.T, frame []byte, which uint8) {
		if len(frame) > packet.MaxFrame {
			return
		}
		var pool packet.Pool
		p := pool.From(frame)
		list, err := action.Parse(lists[int(which)%len(lists)], nil)
		if err != nil {
			t.Fatal(err)
		}
		switch a := list[0].(type) {
		case action.Set:
			set(p, &a)
			if p.Len() != len(frame) {
				t.Errorf("%v made %d bytes of %d", a, p.Len(), len(frame))
			}
		case action.PushMPLS:
			if pushMPLS(p, a) {
				popMPLS(p, action.PopMPLS{Type: locate(frame).typ})
				if !slices.Equal(p.Bytes(), frame) {
					t.Errorf("% x after a label came and went: % x", frame, p.Bytes())
				}
			}
		case action.PopMPLS:
			popMPLS(p, a)
		case action.PopVLAN:
			popVLAN(p)
		}
	})
}

// parse reads actions.
func parse(t *testing.T, text string) []action.Action {
	t.Helper()
	list, err := action.Parse(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestActionsInConcert runs lists of actions through the engine: what is done
// to a copy does not show elsewhere.
func TestActionsInConcert(t *testing.T) {
	plain, err := flow.ComposeText(icmp)
	if err != nil {
		t.Fatal(err)
	}
	src := func(last byte) []byte {
		b := slices.Clone(plain)
		copy(b[6:12], []byte{0, 0, 0, 0, 0, last})
		return b
	}
	label := slices.Concat(plain[:12], []byte{0x88, 0x47, 0, 0, 0x51, 0x40}, plain[14:])
	for text, want := range map[string][4][][]byte{
		"2,set(eth(src=00:00:00:00:00:05)),3":                                               {2: {plain}, 3: {src(5)}},
		"clone(set(eth(src=00:00:00:00:00:06)),2),3":                                        {2: {src(6)}, 3: {plain}},
		"sample(sample=100.0%,actions(set(eth(src=00:00:00:00:00:07)),2)),3":                {2: {src(7)}, 3: {plain}},
		"sample(sample=0.0%,actions(2)),3":                                                  {2: nil, 3: {plain}},
		"push_mpls(label=5,tc=0,ttl=64,bos=1,eth_type=0x8847),2,pop_mpls(eth_type=0x800),3": {2: {label}, 3: {plain}},
		"meter(9),2":                             {2: {plain}, 3: nil},
		"clone(clone(2)),drop(drop_action_vlan)": {2: {plain}, 3: nil},
		"trunc(20),2,3":                          {2: {plain[:20]}, 3: {plain}},
	} {
		r := newRig(t, 3, Options{}, dummy.Options{})
		list := parse(t, text)
		r.table.set(func(*flow.Key) (flow.Fields, []action.Action) { return 0, list })
		r.receive(1, icmp)
		for no := 2; no <= 3; no++ {
			var got [][]byte
			for _, f := range r.ports[no].Sent() {
				got = append(got, f.Bytes)
			}
			if !slices.EqualFunc(got, want[no], slices.Equal) {
				t.Errorf("%s: port %d sent % x, want % x", text, no, got, want[no])
			}
		}
	}
}

// TestRecirculation says that a packet goes through the megaflows again with
// its new headers, and not for ever.
func TestRecirculation(t *testing.T) {
	r := newRig(t, 3, Options{}, dummy.Options{})
	again := parse(t, "set(eth(src=00:00:00:00:00:05)),recirc(0x1)")
	out := parse(t, "2")
	round := parse(t, "recirc(0x2)")
	r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
		switch {
		case k.RecircID == 0:
			return 0, again
		case k.RecircID == 1 && k.EthSrc == [6]byte{5: 5}:
			return flow.EthSrc, out
		}
		return 0, round
	})
	r.receive(1, icmp, icmp)
	if sent := r.ports[2].Sent(); len(sent) != 2 || sent[1].Bytes[11] != 5 {
		t.Errorf("sent %v", sent)
	}
	if s := r.Status(); s.Recirculated != 2 || s.Flows != 2 || s.Missed != 2 {
		t.Errorf("%+v", s)
	}
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) { return 0, round })
	r.Flush()
	r.receive(1, icmp)
	if n := r.Drops().Total(drop.Recirc); n != 1 {
		t.Errorf("%d packets dropped for going round", n)
	}
}

type miser int

func (m *miser) Admit(int, time.Time) bool { *m--; return *m >= 0 }

func TestMeters(t *testing.T) {
	r := newRig(t, 2, Options{}, dummy.Options{})
	list := parse(t, "meter(4),2")
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) { return 0, list })
	two := miser(2)
	r.SetMeter(4, &two)
	r.receive(1, icmp, icmp, icmp)
	if n, dropped := len(r.ports[2].Sent()), r.Drops().Total(drop.Metered); n != 2 || dropped != 1 {
		t.Errorf("%d passed, %d dropped", n, dropped)
	}
	r.SetMeter(4, nil)
	r.receive(1, icmp)
	if n := len(r.ports[2].Sent()); n != 1 {
		t.Errorf("%d passed without a meter", n)
	}
}

// TestActionsAllocateNothing runs each action with the copies that it makes.
func TestActionsAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	e := New(Options{})
	defer e.Close()
	p, err := dummy.New("p1", dummy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.AddPort(1, p); err != nil {
		t.Fatal(err)
	}
	frame, err := flow.ComposeText(icmp)
	if err != nil {
		t.Fatal(err)
	}
	miserly := miser(1 << 30)
	e.SetMeter(1, &miserly)
	for _, text := range []string{
		"1", "push_vlan(vid=1,pcp=0),1,pop_vlan,1", "set(eth(src=00:00:00:00:00:05)),1", "set(ipv4(src=1.2.3.4,ttl=3)),1", "meter(1),1",
		"clone(set(icmp(type=3)),1),1", "sample(sample=50.0%,actions(1)),1", "push_mpls(label=5,tc=0,ttl=64,bos=1,eth_type=0x8847),1,pop_mpls(eth_type=0x800),1",
		"trunc(20),1", "set(skb_mark(0x1)),1",
	} {
		list := parse(t, text)
		packet := e.pool.From(frame)
		if n := testing.AllocsPerRun(200, func() { e.Execute(packet, 1, list) }); n > 0 {
			t.Errorf("%s: %v allocations", text, n)
		}
		packet.Free()
	}
}
