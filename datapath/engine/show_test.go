package engine

import (
	"encoding/binary"
	"math"
	"testing"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/internal/clock"
)

// taker keeps what it is shown.
type taker struct{ frames [][]byte }

func (t *taker) Sampled(s *action.Taken) {
	t.frames = append(t.frames, append([]byte(nil), s.Packet.Bytes()...))
}

// Every packet is shown as it is at that step, and about the share that was
// asked for.
func TestSample(t *testing.T) {
	all, half := new(taker), new(taker)
	p := newPath(t, clock.NewStopped(epoch), 1, []action.Action{
		action.Show{Probability: math.MaxUint32, Cookie: action.SFlow{}, To: all}, push,
		action.Show{Probability: action.Share(2), Cookie: action.IPFIX{Output: 2}, To: half}, action.Output{Port: 2}, pop,
		action.Show{Probability: math.MaxUint32}, action.Output{Port: 3},
	})
	all.frames, half.frames = nil, nil
	const batches = 400
	k, _, err := flow.Parse(icmp, nil)
	if err != nil {
		t.Fatal(err)
	}
	frame := flow.Compose(&k, 0)
	for range batches {
		var b packet.Batch
		for range packet.MaxBatch {
			b.Add(p.e.pool.From(frame)) // which the actions change
		}
		p.w.run(b.Packets)
		b.FreeAll()
	}
	const n = batches * packet.MaxBatch
	if len(all.frames) != n {
		t.Errorf("%d samples of %d packets", len(all.frames), n)
	}
	// Ten standard deviations: this does not happen by chance.
	if got := len(half.frames); math.Abs(float64(got)-n/2) > 10*math.Sqrt(n/4) {
		t.Errorf("%d samples of %d packets, want a half", got, n)
	}
	if f := all.frames[0]; binary.BigEndian.Uint16(f[12:]) != 0x0800 {
		t.Errorf("before the tag: % x", f)
	}
	if f := half.frames[0]; binary.BigEndian.Uint32(f[12:]) != 0x81000005 {
		t.Errorf("behind the tag: % x", f)
	}
}

// Of a large segment each frame has its own chance, and the samples are
// frames with lengths and checksums of their own.
func TestSampleOfSegments(t *testing.T) {
	all := new(taker)
	p := newPath(t, clock.NewStopped(epoch), 1, []action.Action{
		action.Show{Probability: math.MaxUint32, Cookie: action.SFlow{}, To: all}, action.Output{Port: 2},
	})
	k, _, err := flow.Parse("in_port(1),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),"+
		"ipv4(src=10.0.0.1,dst=10.0.0.2,proto=6,tos=0,ttl=64,frag=no),tcp(src=1,dst=2)", nil)
	if err != nil {
		t.Fatal(err)
	}
	all.frames = nil
	large := p.e.pool.From(flow.Compose(&k, 2500))
	large.Offload = packet.Offload{NeedsCsum: true, GSO: packet.GSOTCPv4, GSOSize: 1000, CsumStart: 34, CsumOffset: 16}
	p.w.run([]*packet.Packet{large})
	if len(all.frames) != 3 {
		t.Fatalf("%d samples, want 3", len(all.frames))
	}
	for n, f := range all.frames {
		if want := []int{1054, 1054, 500}[n]; len(f) != want || int(binary.BigEndian.Uint16(f[16:])) != want-14 {
			t.Errorf("sample %d has %d bytes and says %d", n, len(f), binary.BigEndian.Uint16(f[16:]))
		}
		if header.Checksum(f[14:34], 0) != 0 {
			t.Errorf("sample %d has a bad checksum", n)
		}
	}
}
