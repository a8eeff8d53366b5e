// Package dummy is a port without a device: frames enter by Receive and
// leave into memory. It serves tests, and interfaces of type dummy under
// `ovs-vswitchd --enable-dummy`. Frames can also be written to files in pcap
// format, and travel to other dummies, in other processes too, over stream
// sockets, where each frame has its length in front in two bytes.
//
// # Caveats
//
// A port that is administratively down discards what it receives and what it
// is to send; one without carrier works all the same.
package dummy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"

	"govs/datapath/header"
	"govs/datapath/packet"
	"govs/datapath/pcap"
	"govs/datapath/port"
)

// Options say what a Port is like. The zero value is a port of MTU 1500 that
// takes no offloads and keeps nothing of what it sends.
type Options struct {
	MAC      net.HardwareAddr
	MTU      int           // 0 is 1500
	Pool     *packet.Pool  // where received packets come from; nil makes one
	Queue    int           // frames that may wait to be received; 0 is 100
	Keep     int           // frames sent that are kept for Sent and Next; the oldest make room
	Offloads port.Offloads // what Send takes unfinished
	Down     bool          // starts administratively down
	RunDir   string        // where sockets with relative paths stand; "" is that of package stream
	Settings               // what Configure can change
}

// A Frame is what was sent.
type Frame struct {
	Bytes   []byte
	Offload packet.Offload
}

// A Port implements port.Port, port.Admin and port.Notifier.
type Port struct {
	name string
	o    Options

	mu        sync.Mutex
	changed   chan struct{} // closed, and made anew, when anything that is waited for changes
	waiting   int           // for that
	queue     []*packet.Packet
	idle      bool // Recv waits for packets, and has none in work
	sent      []Frame
	state     port.State
	stats     port.Stats
	notify    func(port.State)
	end       error // why the port is of no use any more
	set       Settings
	rx, tx    *pcap.File
	link      *link          // to other dummies; nil is none
	addresses []netip.Prefix // one of each family
}

// ErrFull says that too many frames wait to be received.
var ErrFull = errors.New("receive queue is full")

// New makes a port. The error is that of Configure.
func New(name string, o Options) (*Port, error) {
	if o.MTU == 0 {
		o.MTU = 1500
	}
	if o.Queue == 0 {
		o.Queue = 100
	}
	if o.Pool == nil {
		o.Pool = new(packet.Pool)
	}
	p := &Port{name: name, o: o, changed: make(chan struct{})}
	p.state = port.State{MAC: slices.Clone(o.MAC), MTU: o.MTU, Admin: !o.Down, Link: true, Offloads: o.Offloads}
	if err := p.Configure(o.Settings); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// wake wakes all that wait for a change; under mu.
func (p *Port) wake() {
	if p.waiting > 0 {
		close(p.changed)
		p.changed = make(chan struct{})
		p.waiting = 0
	}
}

// Name implements port.Port.
func (p *Port) Name() string { return p.name }

// Receive hands copies of the frames to whoever calls Recv, as one batch where
// they fit into one. The error is the first one: ErrFull, or that of a port that
// was closed or is gone. Frames for a port that is down are counted as dropped,
// without an error.
func (p *Port) Receive(frames ...[]byte) error {
	packets := make([]*packet.Packet, 0, len(frames))
	for _, frame := range frames {
		if len(frame) > packet.MaxFrame {
			return fmt.Errorf("%s: frame of %d bytes is longer than %d", p.name, len(frame), packet.MaxFrame)
		}
		packets = append(packets, p.o.Pool.From(frame))
	}
	return p.ReceivePacket(packets...)
}

// ReceivePacket is Receive for packets with their offloads; it takes them.
func (p *Port) ReceivePacket(packets ...*packet.Packet) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, pkt := range packets {
		if e := p.receive(pkt); e != nil && err == nil {
			err = e
		}
	}
	return err
}

func (p *Port) receive(pkt *packet.Packet) (err error) {
	switch {
	case p.end != nil:
		err = p.end
	case !p.state.Admin:
		p.stats.RxDropped++
	case len(p.queue) >= p.o.Queue:
		p.stats.RxDropped++
		err = ErrFull
	default:
		p.stats.RxPackets++
		p.stats.RxBytes += uint64(pkt.Len())
		_ = p.rx.Write(pkt.Bytes())
		p.queue = append(p.queue, pkt)
		p.wake()
		return nil
	}
	pkt.Free()
	return err
}

// Recv implements port.Port.
func (p *Port) Recv(b *packet.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.queue) == 0 && p.end == nil {
		if !p.idle {
			p.idle = true
			p.wake()
		}
		changed := p.changed
		p.waiting++
		p.mu.Unlock()
		<-changed
		p.mu.Lock()
	}
	p.idle = false
	if p.end != nil {
		p.wake()
		return p.end
	}
	n := min(len(p.queue), packet.MaxBatch)
	for _, pkt := range p.queue[:n] {
		b.Add(pkt)
	}
	p.queue = slices.Delete(p.queue, 0, n)
	return nil
}

// Wait waits until whoever calls Recv has taken all that was received and has
// come back for more: until then it is at work on the last batch.
func (p *Port) Wait(ctx context.Context) error {
	return p.until(ctx, func() bool { return p.idle && len(p.queue) == 0 })
}

// until waits until the condition, which is looked at under mu, holds.
func (p *Port) until(ctx context.Context, holds func() bool) error {
	for {
		p.mu.Lock()
		ok, end, changed := holds(), p.end, p.changed
		if !ok {
			p.waiting++
		}
		p.mu.Unlock()
		switch {
		case ok:
			return nil
		case end != nil:
			return end
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Send implements port.Port.
func (p *Port) Send(b *packet.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		return p.end
	}
	for _, pkt := range b.Packets {
		n := pkt.Len()
		if n < header.EthernetLen {
			p.stats.TxErrors++
			continue
		}
		if !p.state.Admin || pkt.Offload.GSO == packet.GSONone && n > p.state.MTU+header.EthernetLen+2*header.VLANLen {
			p.stats.TxDropped++
			continue
		}
		p.stats.TxPackets++
		p.stats.TxBytes += uint64(n)
		_ = p.tx.Write(pkt.Bytes())
		p.link.send(pkt.Bytes())
		if p.o.Keep > 0 {
			if len(p.sent) >= p.o.Keep {
				p.sent = slices.Delete(p.sent, 0, 1)
			}
			p.sent = append(p.sent, Frame{slices.Clone(pkt.Bytes()), pkt.Offload})
		}
	}
	if p.o.Keep > 0 {
		p.wake()
	}
	return nil
}

// Sent takes what was sent and kept so far.
func (p *Port) Sent() []Frame {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.sent
	p.sent = nil
	return out
}

// Next waits for a frame that was sent, and takes it.
func (p *Port) Next(ctx context.Context) (Frame, error) {
	for {
		if err := p.until(ctx, func() bool { return len(p.sent) > 0 }); err != nil {
			return Frame{}, err
		}
		p.mu.Lock()
		if len(p.sent) > 0 {
			f := p.sent[0]
			p.sent = slices.Delete(p.sent, 0, 1)
			p.mu.Unlock()
			return f, nil
		}
		p.mu.Unlock()
	}
}

// Stats implements port.Port.
func (p *Port) Stats() port.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Basic = true
	return s
}

// Custom implements port.Customs: one queue each way, and what C's dummies count
// for tests of such counters.
func (p *Port) Custom() map[string]uint64 {
	s := p.Stats()
	return map[string]uint64{
		"rx_q0_packets": s.RxPackets, "rx_q0_bytes": s.RxBytes,
		"tx_q0_packets": s.TxPackets, "tx_q0_bytes": s.TxBytes,
		"rx_custom_packets_1": s.RxPackets, "rx_custom_packets_2": s.RxPackets,
	}
}

// Close implements port.Port.
func (p *Port) Close() error {
	p.finish(port.ErrClosed)
	p.mu.Lock()
	defer p.mu.Unlock()
	link := p.link
	p.link = nil
	link.close()
	return p.closeFiles()
}

func (p *Port) closeFiles() error {
	rx, tx := p.rx, p.tx
	p.rx, p.tx = nil, nil
	if tx == rx {
		tx = nil
	}
	return errors.Join(rx.Close(), tx.Close())
}

// Vanish makes the port one whose device is gone.
func (p *Port) Vanish() {
	p.finish(port.ErrGone)
	p.change(func(st *port.State) { st.Admin, st.Link = false, false })
}

func (p *Port) finish(end error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if errors.Is(p.end, port.ErrClosed) {
		return
	}
	p.end = end
	for _, pkt := range p.queue {
		pkt.Free()
	}
	p.queue = nil
	p.wake()
}
