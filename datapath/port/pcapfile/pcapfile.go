// Package pcapfile is the port whose frames come from one pcap file and go to
// another one, for tests. What is in the first arrives as fast as the switch takes
// it, once, from Start on, and then the port is quiet.
//
// # Caveats
//
// Files are those of libpcap, in either byte order and with micro- or
// nanoseconds, of Ethernet frames; no pcapng. Records that hold less than the
// whole frame count as rx_errors. A file may be a FIFO.
package pcapfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/pcap"
	"govs/datapath/port"
)

// Options say where frames come from and go to; an empty path is nowhere.
type Options struct {
	Pool *packet.Pool // where received packets come from; required
	Rx   string       // options:rx_pcap
	Tx   string       // options:tx_pcap
}

// A Port is a pair of files. It implements port.Port and
// port.Starter.
type Port struct {
	name   string
	pool   *packet.Pool
	rx     *os.File // nil for none
	fifo   bool     // frames come when they come
	begun  chan struct{}
	start  sync.Once
	closed chan struct{}

	// Of Recv alone:
	reader *pcap.Reader // nil before the header was read
	ended  bool         // there is nothing more to read

	once sync.Once

	mu sync.Mutex
	tx *pcap.File

	rxPackets, rxBytes, rxErrors atomic.Uint64
	txPackets, txBytes, txErrors atomic.Uint64
}

// Open makes a port.
func Open(name string, o Options) (*Port, error) {
	if o.Pool == nil {
		return nil, errors.New("pcapfile: Options.Pool is required")
	}
	p := &Port{name: name, pool: o.Pool, begun: make(chan struct{}), closed: make(chan struct{})}
	var err error
	if o.Rx != "" {
		// Without waiting for who writes into a FIFO.
		if p.rx, err = os.OpenFile(o.Rx, os.O_RDONLY|unix.O_NONBLOCK, 0); err != nil {
			return nil, err
		}
	}
	if o.Tx != "" {
		if p.tx, err = pcap.Append(o.Tx); err != nil {
			p.Close()
			return nil, err
		}
	}
	if p.rx == nil {
		p.ended = true
		return p, nil
	}
	st, err := p.rx.Stat()
	if p.fifo = err == nil && !st.Mode().IsRegular(); !p.fifo {
		if err := p.begin(); err != nil {
			p.Close()
			return nil, fmt.Errorf("%s: %w", o.Rx, err)
		}
	}
	return p, nil
}

// begin reads the header.
func (p *Port) begin() (err error) {
	p.reader, err = pcap.NewReader(p.rx)
	return err
}

// Name implements port.Port.
func (p *Port) Name() string { return p.name }

// Start implements port.Starter.
func (p *Port) Start() { p.start.Do(func() { close(p.begun) }) }

// Recv implements port.Port.
func (p *Port) Recv(b *packet.Batch) error {
	select {
	case <-p.begun:
	case <-p.closed:
	}
	for {
		select {
		case <-p.closed:
			return port.ErrClosed
		default:
		}
		if p.ended {
			<-p.closed
			continue
		}
		if p.reader == nil {
			p.end(p.begin())
		}
		for !p.ended && b.Len() < packet.MaxBatch {
			if p.end(p.read(b)); p.fifo && b.Len() > 0 {
				break // the next frame may be long in coming
			}
		}
		if b.Len() > 0 {
			return nil
		}
	}
}

// end notes what reading led to.
func (p *Port) end(err error) {
	if err == nil {
		return
	}
	if err != io.EOF && !errors.Is(err, os.ErrClosed) {
		p.rxErrors.Add(1)
	}
	p.ended = true
	p.rx.Close()
}

// read reads one record.
func (p *Port) read(b *packet.Batch) error {
	f, length, err := p.reader.Next()
	if err != nil {
		return err
	}
	if len(f) != length || len(f) < 14 || len(f) > packet.MaxFrame {
		p.rxErrors.Add(1)
		return nil
	}
	b.Add(p.pool.From(f))
	p.rxPackets.Add(1)
	p.rxBytes.Add(uint64(len(f)))
	return nil
}

// Send implements port.Port.
func (p *Port) Send(b *packet.Batch) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closed:
		return port.ErrClosed
	default:
	}
	for _, pkt := range b.Packets {
		f := pkt.Bytes()
		if len(f) < 14 || p.tx.Write(f) != nil {
			p.txErrors.Add(1)
			continue
		}
		p.txPackets.Add(1)
		p.txBytes.Add(uint64(len(f)))
	}
	return nil
}

// State implements port.Port.
func (p *Port) State() port.State { return port.State{Admin: true, Link: true} }

// Stats implements port.Port.
func (p *Port) Stats() port.Stats {
	return port.Stats{
		RxPackets: p.rxPackets.Load(), RxBytes: p.rxBytes.Load(), RxErrors: p.rxErrors.Load(),
		TxPackets: p.txPackets.Load(), TxBytes: p.txBytes.Load(), TxErrors: p.txErrors.Load(),
	}
}

// Close implements port.Port.
func (p *Port) Close() (err error) {
	p.once.Do(func() {
		close(p.closed)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.rx != nil {
			p.rx.Close() // a second time does no harm
		}
		err = p.tx.Close()
	})
	return err
}
