package engine

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/datapath/tunnel"
)

// tunnelled has what comes by port 1 go into a tunnel through port 2 and leave
// by it, and what comes by port 2 come out of the tunnel, of which the port is
// 3, and leave by port 4.
func tunnelled(t *testing.T, h tunnel.Header, mtu int) *rig {
	r := newRig(t, 1, Options{}, dummy.Options{})
	r.add(2, dummy.Options{MTU: mtu})
	r.add(3, dummy.Options{})
	r.add(4, dummy.Options{})
	r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
		switch k.InPort {
		case 1:
			return 0, []action.Action{action.TunnelPush{Header: h, Port: 3, Out: 2}, action.Output{Port: 2}}
		case 2:
			return 0, []action.Action{action.TunnelPop{Port: 3, Kind: h.Kind}}
		}
		return 0, to(4)
	})
	return r
}

var vxlan = tunnel.Header{Kind: tunnel.VXLAN, EthDst: [6]byte{2, 1}, EthSrc: [6]byte{2, 2}, Src: netip.MustParseAddr("1.1.1.1"), Dst: netip.MustParseAddr("1.1.1.2"), TTL: 64, Port: 4789, Key: 7, Csum: true}

func TestTunnelThereAndBack(t *testing.T) {
	gre := vxlan
	gre.Kind, gre.Port, gre.HasKey, gre.Seq = tunnel.GRE, 0, true, true
	for _, h := range []tunnel.Header{vxlan, gre} {
		r := tunnelled(t, h, 0)
		r.receive(1, icmp, syn, ack)
		out := r.ports[2].Sent()
		if len(out) != 3 {
			t.Fatalf("%s: %d packets into the tunnel", h.Kind, len(out))
		}
		var sources []uint16
		for n, f := range out {
			m, err := tunnel.Parse(f.Bytes, h.Kind, false)
			if err != nil || m.Key != 7 || m.Len != h.Len() {
				t.Errorf("%s: packet %d: %+v, %v", h.Kind, n, m, err)
			}
			if h.Seq {
				if seq := binary.BigEndian.Uint32(f.Bytes[m.Len-4:]); seq != uint32(n) {
					t.Errorf("packet %d has the number %d", n, seq)
				}
			}
			sources = append(sources, binary.BigEndian.Uint16(f.Bytes[34:]))
			if err := r.ports[2].Receive(f.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		if h.Kind == tunnel.VXLAN && (sources[1] != sources[2] || sources[0] == sources[1] || sources[0] < FirstSource || sources[0] > LastSource) {
			t.Errorf("source ports %v: of flows that are alike the same, of others another one", sources)
		}
		r.wait(2)
		back := r.ports[4].Sent()
		for n, text := range []string{icmp, syn, ack} {
			want, _ := flow.ComposeText(text)
			if n >= len(back) || !bytes.Equal(back[n].Bytes, want) {
				t.Errorf("%s: packet %d did not come out as it went in", h.Kind, n)
			}
		}
		found := false
		for f := range r.Flows() {
			k := f.Key
			if k.InPort == 3 {
				found = k.Tunnelled() && k.TunID == 7 && netip.AddrFrom4([4]byte(k.TunSrc[:4])) == h.Src && k.TunFlg == flow.TunCsum|flow.TunKey && k.TunTTL == 64
			}
		}
		if !found {
			t.Errorf("%s: no megaflow knows of the tunnel", h.Kind)
		}
		r.drops(nil)
	}
}

// A large segment is cut to what fits the network below, with all checksums.
func TestTunnelCutsSegments(t *testing.T) {
	r := tunnelled(t, vxlan, 1500)
	if err := r.ports[1].ReceivePacket(segment(t, 10000, 1448)); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	// One that was not large, but whose sender left the checksum to us.
	p := segment(t, 1446, 0)
	p.Offload.GSO = packet.GSONone
	if err := r.ports[1].ReceivePacket(p); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	data := 0
	for n, f := range r.ports[2].Sent() {
		m, err := tunnel.Parse(f.Bytes, tunnel.VXLAN, false)
		if err != nil || len(f.Bytes) > 1514 || !valid(f.Bytes[m.Len:]) || f.Offload != (packet.Offload{}) {
			t.Errorf("frame %d: %d bytes, %v, %+v", n, len(f.Bytes), err, f.Offload)
		}
		data += len(f.Bytes) - m.Len - 54
	}
	if data != 11446 {
		t.Errorf("%d bytes of data arrived", data)
	}
	r.drops(nil)
	// A packet that was complete is too long.
	frame, _ := flow.ComposeText(icmp)
	if err := r.ports[1].Receive(append(frame, make([]byte, 1500-len(frame))...)); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	r.drops(map[drop.Reason]uint64{drop.Oversized: 1})
}

func TestTunnelDrops(t *testing.T) {
	inner, _ := flow.ComposeText(ack)
	h := vxlan
	h.TOS = 3 // congestion
	packed := func(edit func(b []byte, inner []byte)) []byte {
		b := append(make([]byte, h.Len()), inner...)
		edit(b, b[h.Len():])
		if !h.Put(b, 1, 0, 0) {
			t.Fatal("not put on")
		}
		return b
	}
	ecn := func(v byte) func(_, inner []byte) {
		return func(_, inner []byte) {
			inner[15] = v
			header.IPv4(inner[14:]).UpdateChecksum()
		}
	}
	r := tunnelled(t, vxlan, 0)
	good := packed(ecn(2))
	sum := bytes.Clone(good)
	sum[len(sum)-1]++
	r.Drops()
	for _, f := range [][]byte{good, sum, good[:60], packed(ecn(0))} {
		if err := r.ports[2].Receive(f); err != nil {
			t.Fatal(err)
		}
	}
	r.wait(2)
	r.drops(map[drop.Reason]uint64{drop.TunnelSum: 1, drop.TunnelPop: 1, drop.TunnelECN: 1})
	out := r.ports[4].Sent()
	if len(out) != 1 || out[0].Bytes[15] != 3 || !valid(out[0].Bytes) {
		t.Errorf("the mark of congestion was not passed on: %+v", out)
	}
}

// What goes into a tunnel on the side leaves the packet as it is.
func TestTunnelAside(t *testing.T) {
	r := tunnelled(t, vxlan, 0)
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		push := []action.Action{action.TunnelPush{Header: vxlan, Port: 3, Out: 2}, action.Output{Port: 2}}
		return 0, []action.Action{action.Output{Port: 3}, action.Clone{Actions: push}, action.Output{Port: 4},
			action.Truncate{Len: 20}, push[0], push[1]}
	})
	r.receive(1, icmp)
	want, _ := flow.ComposeText(icmp)
	for _, no := range []int{3, 4} {
		if s := r.ports[no].Sent(); len(s) != 1 || !bytes.Equal(s[0].Bytes, want) {
			t.Errorf("port %d: %+v", no, s)
		}
	}
	s := r.ports[2].Sent()
	if len(s) != 2 || len(s[0].Bytes) != len(want)+50 || len(s[1].Bytes) != 70 {
		t.Errorf("into the tunnel: %+v", s)
	}
}

// What was a large segment before the tunnel is one behind it, where the port takes
// such.
func TestTunnelMerges(t *testing.T) {
	r := tunnelled(t, vxlan, 1500)
	able := r.add(5, dummy.Options{Offloads: port.Offloads{Csum: true, TSO4: true}})
	decide := r.table.decide
	r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
		if k.InPort == 3 {
			return 0, to(4, 5)
		}
		return decide(k)
	})
	p := segment(t, 10000, 1000)
	whole := bytes.Clone(p.Bytes())
	if err := r.ports[1].ReceivePacket(p); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	var pool packet.Pool
	var batch packet.Batch
	for _, f := range r.ports[2].Sent() {
		batch.Add(pool.From(f.Bytes))
	}
	if batch.Len() != 10 {
		t.Fatalf("%d packets in the tunnel", batch.Len())
	}
	if err := r.ports[2].ReceivePacket(batch.Packets...); err != nil {
		t.Fatal(err)
	}
	r.wait(2)
	if s := r.ports[4].Sent(); len(s) != 10 || !valid(s[9].Bytes) {
		t.Errorf("%d packets at a port that takes none that are large", len(s))
	}
	if s := able.Sent(); len(s) != 1 || !bytes.Equal(s[0].Bytes, whole) || s[0].Offload.GSO != packet.GSOTCPv4 || s[0].Offload.GSOSize != 1000 {
		t.Errorf("%d packets at a port that takes large ones: %+v", len(s), s)
	}
	r.drops(nil)
}

// Packets lose their Ethernet headers on the way through a tunnel, and get others
// behind it.
func TestTunnelBare(t *testing.T) {
	gre, gtpu := vxlan, vxlan
	gre.Kind, gre.Port, gre.HasKey, gre.Carries = tunnel.GRE, 0, true, header.TypeIPv4
	gtpu.Kind, gtpu.Port = tunnel.GTPU, 2152
	pushEth := action.PushEth{Src: [6]byte{2, 5}, Dst: [6]byte{2, 6}}
	for _, h := range []tunnel.Header{gre, gtpu} {
		r := tunnelled(t, h, 1500)
		r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
			switch {
			case k.InPort == 1:
				return 0, []action.Action{action.PopEth{}, action.TunnelPush{Header: h, Port: 3, Out: 2}, action.Output{Port: 2}}
			case k.InPort == 2:
				return 0, []action.Action{action.TunnelPop{Port: 3, Kind: h.Kind}}
			case !k.Bare() || k.PacketType != flow.PacketTypeNS|header.TypeIPv4 || k.EthDst != [6]byte{} || k.EthSrc != [6]byte{}:
				t.Errorf("%s: came out as %s", h.Kind, k)
			}
			return flow.PacketType, []action.Action{pushEth, action.Output{Port: 4}}
		})
		tagged, _ := flow.ComposeText(icmp)
		tagged = append(append(append([]byte{}, tagged[:12]...), 0x81, 0, 0x60, 5), tagged[12:]...)
		if err := r.ports[1].Receive(tagged); err != nil {
			t.Fatal(err)
		}
		if err := r.ports[1].ReceivePacket(segment(t, 10000, 1448)); err != nil {
			t.Fatal(err)
		}
		r.wait(1)
		out := r.ports[2].Sent()
		for n, f := range out {
			m, err := tunnel.Parse(f.Bytes, h.Kind, false)
			if err != nil || m.Carries != header.TypeIPv4 || f.Bytes[m.Len] != 0x45 || len(f.Bytes) > 1514 {
				t.Fatalf("%s: packet %d of %d bytes: %+v, %v", h.Kind, n, len(f.Bytes), m, err)
			}
			if err := r.ports[2].Receive(f.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		r.wait(2)
		// Without an Ethernet header there are 14 bytes more for data.
		if size := len(out[1].Bytes); size < 1500 {
			t.Errorf("%s: the first piece of the segment has %d bytes", h.Kind, size)
		}
		back := r.ports[4].Sent()
		if len(back) != len(out) {
			t.Fatalf("%s: %d packets came out of %d", h.Kind, len(back), len(out))
		}
		data := 0
		for n, f := range back {
			if [6]byte(f.Bytes) != pushEth.Dst || [6]byte(f.Bytes[6:]) != pushEth.Src || f.Bytes[12] != 8 || n > 0 && !valid(f.Bytes) {
				t.Errorf("%s: packet %d came out as % x", h.Kind, n, f.Bytes[:34])
			}
			if n == 0 && !bytes.Equal(f.Bytes[14:], tagged[18:]) {
				t.Errorf("%s: what was tagged came out as % x", h.Kind, f.Bytes)
			}
			if n > 0 {
				data += len(f.Bytes) - 54
			}
		}
		if data != 10000 {
			t.Errorf("%s: %d bytes of data arrived", h.Kind, data)
		}
		r.drops(nil)
	}
	// No port takes a packet without a header, and a frame cannot get a second one.
	for name, actions := range map[string][]action.Action{
		"to a port": {action.PopEth{}, action.Output{Port: 4}},
		"a second":  {pushEth, action.Output{Port: 4}},
	} {
		r := tunnelled(t, vxlan, 0)
		r.table.set(func(*flow.Key) (flow.Fields, []action.Action) { return 0, actions })
		r.receive(1, icmp)
		if s := r.ports[4].Sent(); len(s) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		r.drops(map[drop.Reason]uint64{drop.Rewrite: 1})
	}
}
