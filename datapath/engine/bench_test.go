package engine

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"govs/datapath/action"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/dummy"
	"govs/internal/clock"
)

// A path is an engine between two dummy ports, and a worker to drive by hand.
type path struct {
	e     *Engine
	w     *worker
	batch packet.Batch
}

func newPath(tb testing.TB, clk clock.Clock, flows int, actions []action.Action) *path {
	tb.Helper()
	t := &table{decide: func(*flow.Key) (flow.Fields, []action.Action) { return flow.EthSrc | flow.EthDst, actions }}
	e := New(Options{Translator: t, Clock: clk})
	tb.Cleanup(func() { e.Close() })
	for no := flow.PortNo(1); no <= 3; no++ {
		p, err := dummy.New(fmt.Sprintf("p%d", no), dummy.Options{Offloads: port.Offloads{Csum: true, TSO4: true}})
		if err != nil {
			tb.Fatal(err)
		}
		if err := e.AddPort(no, p); err != nil {
			tb.Fatal(err)
		}
	}
	p := &path{e: e, w: e.member(1).worker}
	k, _, err := flow.Parse(icmp, nil)
	if err != nil {
		tb.Fatal(err)
	}
	for i := range packet.MaxBatch {
		k.EthSrc[5], k.EthSrc[4] = byte(i%flows), 1
		p.batch.Add(e.pool.From(flow.Compose(&k, 0)))
	}
	for range 3 {
		p.w.run(p.batch.Packets)
	}
	return p
}

var (
	push = action.PushVLAN{Tag: flow.VLAN{TPID: flow.TPID8021Q, TCI: flow.VLANPresent | 5}}
	pop  = action.PopVLAN{}
)

var paths = map[string][]action.Action{
	"output":    to(2),
	"flood":     to(2, 3),
	"push-copy": {action.Output{Port: 2}, push, action.Output{Port: 3}},
	"push-pop":  {push, pop, action.Output{Port: 3}},
	// What sampling costs where it takes nothing (one packet in four billion).
	"sample": {action.Show{Probability: 1, Cookie: action.SFlow{}, To: nobody{}}, action.Output{Port: 2}},
}

// nobody is a handler that looks at nothing.
type nobody struct{}

func (nobody) Sampled(*action.Taken) {}

func TestThePacketPathAllocatesNothing(t *testing.T) {
	for name, actions := range paths {
		p := newPath(t, clock.NewStopped(epoch), 3, actions)
		if n := testing.AllocsPerRun(100, func() { p.w.run(p.batch.Packets) }); n != 0 && !raceEnabled { // which makes pools forget
			t.Errorf("%s: %v allocations a batch", name, n)
		}
	}
}

// One batch of packets from port to port, without the ports' own goroutines.
func BenchmarkForward(b *testing.B) {
	for name, actions := range paths {
		for _, flows := range []int{1, 32} {
			b.Run(fmt.Sprintf("%s/flows=%d", name, flows), func(b *testing.B) {
				p := newPath(b, clock.Real(), flows, actions)
				b.ReportAllocs()
				for b.Loop() {
					p.w.run(p.batch.Packets)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packet.MaxBatch, "ns/packet")
			})
		}
	}
}

// A packet of a new flow in every batch of one: translation and installation.
func BenchmarkMiss(b *testing.B) {
	p := newPath(b, clock.Real(), 1, to(2))
	frame := p.batch.Packets[0].Bytes()
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		if n++; n%8000 == 0 {
			p.e.Flush()
		}
		binary.BigEndian.PutUint32(frame[6:], n<<1)
		p.w.run(p.batch.Packets[:1])
	}
}

// One run of the revalidator over 8,000 megaflows.
func BenchmarkRevalidate(b *testing.B) {
	for _, changed := range []bool{false, true} {
		b.Run(fmt.Sprintf("changed=%v", changed), func(b *testing.B) {
			p := newPath(b, clock.Real(), 1, to(2))
			frame := p.batch.Packets[0].Bytes()
			for n := range uint32(8000) {
				binary.BigEndian.PutUint32(frame[6:], n<<1)
				p.w.run(p.batch.Packets[:1])
			}
			for b.Loop() {
				if changed {
					p.e.gen.Add(1)
				}
				p.e.Revalidate()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/8000, "ns/flow")
		})
	}
}

// The cost of a packet, and of the last port, with few and with many ports.
func BenchmarkPorts(b *testing.B) {
	for _, n := range []int{10, 1000} {
		b.Run(fmt.Sprintf("ports=%d", n), func(b *testing.B) {
			p := newPath(b, clock.Real(), 1, to(2))
			var last time.Duration
			for no := flow.PortNo(4); no <= flow.PortNo(n); no++ {
				d, err := dummy.New(fmt.Sprintf("p%d", no), dummy.Options{})
				if err != nil {
					b.Fatal(err)
				}
				start := time.Now()
				if err := p.e.AddPort(no, d); err != nil {
					b.Fatal(err)
				}
				last = time.Since(start)
			}
			for b.Loop() {
				p.w.run(p.batch.Packets)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/packet.MaxBatch, "ns/packet")
			b.ReportMetric(float64(last.Nanoseconds()), "ns/last-port")
		})
	}
}
