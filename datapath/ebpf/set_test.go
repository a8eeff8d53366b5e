package ebpf

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/cilium/ebpf"

	"govs/datapath/action"
	"govs/datapath/flow"
)

// TestSet changes random fields of random packets. What comes out is what
// flow.Compose makes of a key with the new values, checksums and all.
func TestSet(t *testing.T) {
	c := bench(t, 0)
	exact := flow.Mask{Proto: 0xff}
	r := rand.New(rand.NewPCG(5, 6))
	change := []flow.Fields{flow.EthSrc, flow.EthDst, flow.TOS, flow.TTL, flow.TPSrc, flow.TPDst}
	random := func(b []byte) {
		for i := range b {
			b[i] = byte(r.IntN(256))
		}
	}
	done := 0
	for n := range 2000 {
		v6 := r.IntN(2) == 0
		k := flow.Key{InPort: 1, EthType: typeIPv4, Proto: []uint8{protoTCP, protoUDP, protoICMP, 47}[r.IntN(4)], TCPFlags: 0x10}
		src, dst, length := flow.IPv4Src, flow.IPv4Dst, 4
		if v6 {
			k.EthType, src, dst, length = typeIPv6, flow.IPv6Src, flow.IPv6Dst, 16
			if k.Proto == protoICMP {
				k.Proto = protoICMPv6
			}
		}
		fill := func(k *flow.Key) {
			random(k.EthSrc[:])
			random(k.EthDst[:])
			random(k.IPSrc[:length])
			random(k.IPDst[:length])
			k.TOS, k.TTL = uint8(r.IntN(256)), uint8(r.IntN(256))
			k.TPSrc, k.TPDst = uint16(r.IntN(1<<16)), uint16(r.IntN(1<<16))
			if k.Proto == protoICMP || k.Proto == protoICMPv6 {
				k.TPSrc, k.TPDst = 200, 5
			}
		}
		fill(&k)
		if !v6 && r.IntN(5) == 0 {
			k.Frag = flow.FragAny
			if r.IntN(2) == 0 {
				k.Frag |= flow.FragLater
			}
		}
		to := k
		fill(&to)
		var fields flow.Fields
		for _, f := range append(change, src, dst) {
			if r.IntN(3) == 0 {
				fields |= f
			}
		}
		want := k
		for f, set := range map[flow.Fields]func(){
			flow.EthSrc: func() { want.EthSrc = to.EthSrc }, flow.EthDst: func() { want.EthDst = to.EthDst },
			flow.TOS: func() { want.TOS = to.TOS }, flow.TTL: func() { want.TTL = to.TTL },
			flow.TPSrc: func() { want.TPSrc = to.TPSrc }, flow.TPDst: func() { want.TPDst = to.TPDst },
			src: func() { want.IPSrc = to.IPSrc }, dst: func() { want.IPDst = to.IPDst },
		} {
			if fields&f != 0 {
				set()
			}
		}
		// One action for each header.
		l, able := list{}, true
		for group, of := range map[string]flow.Fields{
			"eth": flow.EthSrc | flow.EthDst, map[bool]string{false: "ipv4", true: "ipv6"}[v6]: src | dst | flow.TOS | flow.TTL,
			map[bool]string{false: "tcp", true: "udp"}[k.Proto == protoUDP]: flow.TPSrc | flow.TPDst,
		} {
			a := action.Set{Group: group, Key: to}
			a.Mask.Add(fields & of)
			able = able && l.set(&k, &exact, &a)
		}
		if !able {
			t.Fatalf("packet %d: fields %x of %v", n, fields, &k)
		}
		if k.Frag&flow.FragLater != 0 || k.Proto != protoTCP && k.Proto != protoUDP {
			want.TPSrc, want.TPDst = k.TPSrc, k.TPDst // there are none
		}
		frame := flow.Compose(&k, 0)
		if odd(frame) {
			continue
		}
		done++
		l.add(opOutput, 1, 0, c.members[2].at, 0, 0)
		u := c.use(l)
		var m raw
		var e raw
		m.fill((*flow.Key)(new(flow.Mask)))
		m[kType], m[kType+1] = 0xff, 0xff
		at := c.mask(&m)
		e.fill(&flow.Key{EthType: k.EthType})
		binary.NativeEndian.PutUint16(e[kMask:], uint16(at))
		var v [8]byte
		binary.NativeEndian.PutUint32(v[0:], u.at)
		if err := c.maps.flows.Update(e[:], v[:], ebpf.UpdateAny); err != nil {
			t.Fatal(err)
		}
		ret, got := run(t, c, frame)
		if ret != tcxRedirect {
			t.Fatalf("packet %d: not sent (%d): fields %x of %v\n% x", n, ret, fields, &k, frame)
		}
		if w := flow.Compose(&want, 0); !bytes.Equal(got, w) {
			t.Fatalf("packet %d: fields %x\nfrom % x\n got % x\nwant % x", n, fields, frame, got, w)
		}
		c.unmask(at)
		c.unuse(u)
		if n%500 == 0 {
			c.listAt = places{limit: maxLists} // or those that rest would be all
		}
	}
	t.Logf("%d packets", done)
	var l list
	for _, a := range []action.Set{
		{Group: "sctp", Mask: flow.Mask{TPDst: 0xffff}}, {Group: "ipv6", Mask: flow.Mask{IPLabel: 1}}, {Group: "eth", Mask: flow.Mask{TTL: 1}},
	} {
		if l.set(&flow.Key{EthType: typeIPv4, Proto: protoSCTP}, &exact, &a) {
			t.Errorf("%v is taken", a)
		}
	}
	// Part of a field.
	a := action.Set{Group: "ipv4", Key: flow.Key{TOS: 0xff}, Mask: flow.Mask{TOS: 0xfc}}
	if !l.set(&flow.Key{EthType: typeIPv4}, &exact, &a) || l.n != 1 || l.ops[0][9] != 0xfc || l.ops[0][13] != 0xfc {
		t.Errorf("%+v", l)
	}
	if l.set(&flow.Key{EthType: typeIPv4}, new(flow.Mask), &a) {
		t.Error("taken for packets of any protocol")
	}
	// A header that the packet does not have.
	l = list{}
	if !l.set(&flow.Key{EthType: 0x0806}, &exact, &a) || l.n != 0 {
		t.Errorf("%+v", l)
	}
}
