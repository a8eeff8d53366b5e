package dummy

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"govs/datapath/header"
	"govs/internal/stream"
)

// A link carries a port's frames to other dummies and theirs to the port. A
// nil *link carries none.
type link struct {
	p      *Port
	active bool
	cancel context.CancelFunc

	mu       sync.Mutex
	closed   bool
	listener net.Listener
	peers    []*peer
}

// A peer is one connection. Frames that it does not take fast enough are lost.
type peer struct {
	conn net.Conn
	out  chan []byte
}

const (
	waiting = 100 // frames that may wait for a connection to take them
	retry   = 100 * time.Millisecond
	slowest = time.Second // between two attempts to connect
)

// newLink listens, or starts to connect again and again.
func newLink(p *Port, s Settings) (*link, error) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &link{p: p, cancel: cancel}
	o := stream.Options{RunDir: p.o.RunDir}
	if s.Listen != "" {
		listener, err := o.Listen(s.Listen, nil)
		if err != nil {
			cancel()
			return nil, err
		}
		l.listener = listener
		go l.accept(listener)
		return l, nil
	}
	l.active = true
	go l.connect(ctx, o, s.Connect)
	return l, nil
}

func (l *link) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go l.serve(conn)
	}
}

func (l *link) connect(ctx context.Context, o stream.Options, target string) {
	for wait := retry; ; wait = min(2*wait, slowest) {
		if conn, err := o.Dial(ctx, target, nil); err == nil {
			l.serve(conn)
			wait = retry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// serve works until the connection ends.
func (l *link) serve(conn net.Conn) {
	defer conn.Close()
	c := &peer{conn: conn, out: make(chan []byte, waiting)}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return
	}
	l.peers = append(l.peers, c)
	l.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.write()
	}()
	c.read(l.p)
	conn.Close()
	l.mu.Lock()
	l.peers = slices.DeleteFunc(l.peers, func(other *peer) bool { return other == c })
	close(c.out)
	l.mu.Unlock()
	<-done
}

func (c *peer) write() {
	for b := range c.out {
		if _, err := c.conn.Write(b); err != nil {
			c.conn.Close() // read ends, too
			for range c.out {
			}
			return
		}
	}
}

// read receives until the connection ends, or sends what is no frame.
func (c *peer) read(p *Port) {
	r := bufio.NewReader(c.conn)
	var size [2]byte
	for {
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(size[:]))
		if n < header.EthernetLen {
			return
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return
		}
		_ = p.Receive(frame) // a queue that is full loses it
	}
}

// send gives the frame to every peer.
func (l *link) send(frame []byte) {
	if l == nil || len(frame) > 1<<16-1 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.peers) == 0 {
		return
	}
	b := append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(frame)), uint16(len(frame))), frame...)
	for _, c := range l.peers {
		select {
		case c.out <- b:
		default:
		}
	}
}

func (l *link) state() string {
	if l == nil || !l.active {
		return "unknown"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.peers) > 0 {
		return "connected"
	}
	return "disconnected"
}

// close ends all connections, and waits for none.
func (l *link) close() {
	if l == nil {
		return
	}
	l.cancel()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.listener != nil {
		l.listener.Close()
	}
	for _, c := range l.peers {
		c.conn.Close()
	}
}
