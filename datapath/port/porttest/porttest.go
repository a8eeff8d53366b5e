// Package porttest is the conformance suite of port.Port, and what tests of
// ports need beside it: throw-away network namespaces.
//
// A port's own test opens a Pair, the port and the world's end of it, and
// hands it to Run:
//
//	func TestConformance(t *testing.T) {
//		porttest.Run(t, func(t *testing.T) porttest.Pair { ... })
//	}
//
// # Caveats
//
// The suite sends frames with the EtherType 0x88b5 (IEEE 802, local
// experiments) and from locally administered addresses; Capture may see
// others, which it ignores.
package porttest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"govs/datapath/packet"
	"govs/datapath/port"
)

// A Pair is a port and the other end of its wire.
type Pair struct {
	Port port.Port
	// Inject makes the packet arrive at the port, offload and all. It borrows
	// the packet.
	Inject func(*packet.Packet) error
	// Capture returns the next packet that came out of the port; it waits no
	// longer than the given time and returns ErrNothing after it.
	Capture func(time.Duration) (*packet.Packet, error)
	// Vanish removes the device behind the port; nil where there is none.
	Vanish func() error
	// NoOffload says that the far end cannot inject or capture Offload.
	NoOffload bool
	// NoSegments says that large segments do not arrive at the port: its far end
	// is to cut them.
	NoSegments bool
}

// ErrNothing says that no packet came in time.
var ErrNothing = errors.New("no packet came")

// wait is how long the suite waits for what must happen.
const wait = 5 * time.Second

// Far makes Inject and Capture of a port that is the far end of the wire.
// It closes the port when the test ends.
func Far(t *testing.T, p port.Port) (inject func(*packet.Packet) error, capture func(time.Duration) (*packet.Packet, error)) {
	t.Helper()
	got := make(chan *packet.Packet, 4096)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var b packet.Batch
		for {
			b.Reset()
			err := p.Recv(&b)
			for _, pkt := range b.Packets {
				select {
				case got <- pkt:
				default:
					pkt.Free()
				}
			}
			if errors.Is(err, port.ErrClosed) || errors.Is(err, port.ErrGone) {
				return
			}
		}
	}()
	t.Cleanup(func() {
		p.Close()
		<-done
	})
	inject = func(pkt *packet.Packet) error {
		return p.Send(&packet.Batch{Packets: []*packet.Packet{pkt}})
	}
	capture = func(d time.Duration) (*packet.Packet, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case pkt := <-got:
			return pkt, nil
		case <-timer.C:
			return nil, ErrNothing
		}
	}
	return inject, capture
}

// A suite is where the suite's packets come from.
type suite struct {
	pool packet.Pool
}

// Run runs the suite; open makes a fresh Pair for each part of it.
func Run(t *testing.T, open func(t *testing.T) Pair) {
	s := new(suite)
	for _, part := range []struct {
		name string
		fn   func(*testing.T, Pair)
	}{
		{"order", s.order},
		{"batches", s.batches},
		{"borrow", s.borrow},
		{"vlan", s.vlan},
		{"offload-in", s.offloadIn},
		{"offload-out", s.offloadOut},
		{"offload-vlan", s.offloadVLAN},
		{"partial-checksum", s.partialChecksum},
		{"bad-offload", s.badOffload},
		{"runt", s.runt},
		{"oversized", s.oversized},
		{"stats", s.stats},
		{"state", s.state},
		{"notify", s.notify},
		{"close-wakes-recv", s.closeWakes},
		{"close-twice", s.closeTwice},
		{"gone", s.gone},
		{"concurrent", s.concurrent},
	} {
		t.Run(part.name, func(t *testing.T) {
			pair := open(t)
			t.Cleanup(func() { pair.Port.Close() })
			part.fn(t, pair)
		})
	}
}

// etherType is that of the suite's frames.
const etherType = 0x88b5

// frame is a test frame of n bytes that carries number i.
func (s *suite) frame(i uint32, n int) *packet.Packet {
	p := s.pool.Get(n)
	p.SetLen(n)
	f := p.Bytes()
	clear(f)
	copy(f, []byte{0x02, 0, 0, 0, 0x0f, 1, 0x02, 0, 0, 0, 0x0f, 2, etherType >> 8, etherType & 0xff})
	f[14], f[15], f[16], f[17] = byte(i>>24), byte(i>>16), byte(i>>8), byte(i)
	for j := 18; j < n; j++ {
		f[j] = byte(i) + byte(j)
	}
	return p
}

// number is the number in a test frame; ok is false for other frames.
func number(f []byte) (i uint32, ok bool) {
	if len(f) < 18 || f[12] != etherType>>8 || f[13] != etherType&0xff {
		return 0, false
	}
	return uint32(f[14])<<24 | uint32(f[15])<<16 | uint32(f[16])<<8 | uint32(f[17]), true
}

// ours tells a packet of the suite from what a host sends by itself.
func ours(p *packet.Packet) bool {
	f := p.Bytes()
	return len(f) >= 12 && f[6] == 0x02 && f[10] == 0x0f
}

// recv receives until n of the suite's packets came.
func recv(p port.Port, n int) ([]*packet.Packet, error) {
	type result struct {
		packets []*packet.Packet
		err     error
	}
	c := make(chan result, 1)
	go func() {
		var r result
		var b packet.Batch
		for len(r.packets) < n {
			b.Reset()
			if err := p.Recv(&b); err != nil {
				r.err = err
				break
			}
			if b.Len() > packet.MaxBatch {
				r.err = fmt.Errorf("a batch of %d packets", b.Len())
				break
			}
			for _, pkt := range b.Packets {
				if ours(pkt) {
					r.packets = append(r.packets, pkt)
				}
			}
		}
		c <- r
	}()
	select {
	case r := <-c:
		return r.packets, r.err
	case <-time.After(wait):
		p.Close()
		r := <-c
		return r.packets, fmt.Errorf("%d of %d packets came within %v", len(r.packets), n, wait)
	}
}

// capture returns the next of the suite's packets.
func capture(pair Pair) (*packet.Packet, error) {
	for {
		p, err := pair.Capture(wait)
		if err != nil || ours(p) {
			return p, err
		}
		p.Free()
	}
}
