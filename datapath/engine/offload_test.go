package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
)

// segment is a large TCP segment of n bytes of data, in pieces of size.
func segment(t testing.TB, n, size int) *packet.Packet {
	t.Helper()
	k, _, err := flow.Parse(ack, nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := flow.Compose(&k, 54+n)
	for i := range frame[54:] {
		frame[54+i] = byte(i)
	}
	p := new(packet.Pool).From(frame)
	p.Offload = packet.Offload{NeedsCsum: true, GSO: packet.GSOTCPv4, GSOSize: uint16(size), CsumStart: 34, CsumOffset: 16}
	// A partial checksum covers the pseudo header only.
	b := p.Bytes()
	header.TCP(b[34:]).SetChecksum(^header.Fold(header.PseudoSum(b[26:30], b[30:34], header.ProtoTCP, len(b)-34)))
	return p
}

// valid says whether the checksums of a TCP frame are right.
func valid(frame []byte) bool {
	at := 14 + 4*tags(frame)
	ip := header.IPv4(frame[at:])
	tcp := frame[at+20 : at+ip.TotalLen()]
	return header.Checksum(ip[:20], 0) == 0 &&
		header.Fold(header.Sum(tcp, header.PseudoSum(ip.Src(), ip.Dst(), header.ProtoTCP, len(tcp)))) == 0
}

func TestLargeSegmentsTravelWhole(t *testing.T) {
	r := newRig(t, 1, Options{}, dummy.Options{})
	able := r.add(2, dummy.Options{Offloads: port.Offloads{Csum: true, TSO4: true}})
	plain := r.add(3, dummy.Options{})
	small := r.add(4, dummy.Options{MTU: 600, Offloads: port.Offloads{Csum: true, TSO4: true}})
	push := action.PushVLAN{Tag: flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | 5}}
	r.table.set(func(*flow.Key) (flow.Fields, []action.Action) {
		return 0, append(to(4, 2, 3), push, action.Output{Port: 2}, action.Output{Port: 3})
	})
	p := segment(t, 10000, 1000)
	whole := bytes.Clone(p.Bytes())
	if err := r.ports[1].ReceivePacket(p); err != nil {
		t.Fatal(err)
	}
	r.wait(1)
	sent := able.Sent()
	if len(sent) != 2 || !bytes.Equal(sent[0].Bytes, whole) || sent[0].Offload.GSO != packet.GSOTCPv4 ||
		len(sent[1].Bytes) != len(whole)+4 || sent[1].Offload.CsumStart != 38 {
		t.Errorf("the able port sent %d packets: %+v", len(sent), sent)
	}
	cut := plain.Sent()
	if len(cut) != 20 {
		t.Fatalf("the plain port sent %d frames, want 20", len(cut))
	}
	var data []byte
	for i, f := range cut {
		if f.Offload.NeedsCsum || f.Offload.GSO != 0 || !valid(f.Bytes) {
			t.Errorf("frame %d is % x, %+v", i, f.Bytes[:60], f.Offload)
		}
		if i < 10 {
			data = append(data, f.Bytes[54:]...)
		} else if tags(f.Bytes) != 1 {
			t.Errorf("frame %d has no tag", i)
		}
	}
	if !bytes.Equal(data, whole[54:]) {
		t.Error("the data came apart")
	}
	if n := len(small.Sent()); n != 0 {
		t.Errorf("the port with the small MTU sent %d packets", n)
	}
	r.drops(map[drop.Reason]uint64{drop.Oversized: 1})
	r.Revalidate()
	if c := r.table.credited; c.Packets != 10 || c.Bytes != 10*1054 {
		t.Errorf("credited %+v", c)
	}
}

func TestPartialChecksumIsCompleted(t *testing.T) {
	r := newRig(t, 1, Options{}, dummy.Options{})
	able := r.add(2, dummy.Options{Offloads: port.Offloads{Csum: true}})
	plain := r.add(3, dummy.Options{})
	r.table.set(forward(2, 3))
	p := segment(t, 100, 0)
	p.Offload.GSO = packet.GSONone
	r.ports[1].ReceivePacket(p)
	r.wait(1)
	if f := able.Sent()[0]; !f.Offload.NeedsCsum || valid(f.Bytes) {
		t.Errorf("the able port sent %+v", f.Offload)
	}
	if f := plain.Sent()[0]; f.Offload.NeedsCsum || !valid(f.Bytes) {
		t.Errorf("the plain port sent %+v", f.Offload)
	}
	// A checksum beyond the frame cannot be completed.
	p = segment(t, 100, 0)
	p.Offload.GSO, p.Offload.CsumStart = packet.GSONone, 5000
	r.ports[1].ReceivePacket(p)
	r.wait(1)
	r.drops(map[drop.Reason]uint64{drop.Checksum: 1})
}

// budget admits so many bytes.
type budget struct {
	sync.Mutex
	left int
	now  time.Time
}

func (b *budget) Admit(n int, now time.Time) bool {
	b.Lock()
	defer b.Unlock()
	b.now = now
	if n > b.left {
		return false
	}
	b.left -= n
	return true
}

func TestPolicingSeesFramesOfTheWire(t *testing.T) {
	r := newRig(t, 1, Options{}, dummy.Options{})
	able := r.add(2, dummy.Options{Offloads: port.Offloads{Csum: true, TSO4: true}})
	pol := &budget{left: 3*1054 + 500}
	if err := r.SetPolicer(1, pol); err != nil {
		t.Fatal(err)
	}
	r.ports[1].ReceivePacket(segment(t, 10000, 1000))
	r.wait(1)
	if sent := able.Sent(); len(sent) != 3 || len(sent[0].Bytes) != 1054 || !valid(sent[2].Bytes) {
		t.Errorf("%d frames were admitted, want 3", len(sent))
	}
	r.receive(1, icmp, icmp)
	if n := len(able.Sent()); n != 2 {
		t.Errorf("%d small frames were admitted, want 2", n)
	}
	if !pol.now.Equal(epoch) {
		t.Errorf("the time was %v", pol.now)
	}
	pol.left = 0
	r.receive(1, icmp)
	r.drops(map[drop.Reason]uint64{drop.Policed: 8})
	if s, err := r.PortStats(1); err != nil || s.RxDropped != 8 {
		t.Errorf("%+v, %v", s, err)
	}
	bad := segment(t, 100, 0)
	bad.Offload.GSOSize = 0
	r.ports[1].ReceivePacket(bad)
	r.wait(1)
	r.drops(map[drop.Reason]uint64{drop.Policed: 8, drop.Segment: 1})
	r.SetPolicer(1, nil)
	r.receive(1, icmp)
	if n := len(able.Sent()); n != 1 {
		t.Errorf("%d frames without a policer, want 1", n)
	}
}

// Ports come and go, translations change and everything is asked for, while
// packets flow; the race detector judges, and in the end all goes through.
func TestEverythingAtOnce(t *testing.T) {
	r := newRig(t, 4, Options{}, dummy.Options{Queue: 1000})
	r.table.set(func(k *flow.Key) (flow.Fields, []action.Action) {
		return flow.EthDst, to(flow.PortNo(1+k.EthDst[5]%6), 2)
	})
	k, _, err := flow.Parse(icmp, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	loop := func(f func(i int)) {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				f(i)
			}
		})
	}
	for no := 1; no <= 3; no++ {
		k := k
		loop(func(i int) {
			k.EthDst[5], k.EthSrc[5] = byte(i), byte(i>>8)
			if r.ports[no].Receive(flow.Compose(&k, 0)) != nil {
				r.ports[no].Wait(ctx)
			}
		})
	}
	loop(func(i int) {
		p, err := dummy.New(fmt.Sprint("x", i), dummy.Options{})
		if err != nil {
			t.Error(err)
		}
		if err := r.AddPort(6, p); err != nil {
			t.Error(err)
		}
		p.Receive(flow.Compose(&k, 0))
		if err := r.RemovePort(6); err != nil {
			t.Error(err)
		}
	})
	loop(func(i int) {
		r.Changed()
		r.Revalidate()
		r.Status()
		r.DropSamples()
		for f := range r.Flows() {
			_ = f.UFID() + f.Stats(epoch)
		}
		if i%10 == 0 {
			r.Flush()
		}
		r.SetPolicer(1, &budget{left: binary.MaxVarintLen64 * i * 100})
	})
	wg.Wait()
	r.SetPolicer(1, nil)
	for no := 1; no <= 3; no++ {
		r.wait(no)
	}
	r.Flush()
	r.sent()
	r.receive(1, icmp)
	if n := len(r.ports[2].Sent()); n != 1 {
		t.Errorf("%d packets at the end, want 1", n)
	}
}
