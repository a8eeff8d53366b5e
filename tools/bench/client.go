package main

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"govs/ovsdb/jsonrpc"
)

// patience is how long a server may take for an answer.
const patience = 2 * time.Minute

// A conn is one client's connection: a socket that blocks, read and written by
// plain system calls, so that a client costs little beside the server.
type conn struct {
	fd   int
	scan jsonrpc.Scanner
	in   []byte // what came and is no whole message yet
	out  []byte // what the next flush sends
}

func dial(sock string) (*conn, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	wait := unix.NsecToTimeval(int64(patience))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
		unix.Connect(fd, &unix.SockaddrUnix{Name: sock}),
	)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("%s: %w", sock, err)
	}
	return &conn{fd: fd, scan: jsonrpc.Scanner{MaxDepth: jsonrpc.MaxDepth}, in: make([]byte, 0, 64<<10)}, nil
}

// dialN makes n connections; closeAll ends them.
func dialN(sock string, n int) ([]*conn, error) {
	var all []*conn
	for range n {
		c, err := dial(sock)
		if err != nil {
			closeAll(all)
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		c.close()
	}
}

func (c *conn) close() { unix.Close(c.fd) }

// flush sends what stands in c.out.
func (c *conn) flush() error {
	for b := c.out; len(b) > 0; {
		n, err := unix.Write(c.fd, b)
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		b = b[n:]
	}
	c.out = c.out[:0]
	return nil
}

// read reads once into b. flags are those of recvfrom(2).
func (c *conn) read(b []byte, flags int) (int, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, b, flags)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN && flags&unix.MSG_DONTWAIT != 0:
			return 0, nil
		case err != nil:
			return 0, fmt.Errorf("read: %w", err)
		case n == 0:
			return 0, errors.New("the server closed the connection")
		}
		return n, nil
	}
}

// receive reads once and calls each for every message that is whole then.
func (c *conn) receive(each func(msg []byte) error) error {
	if len(c.in) == cap(c.in) {
		c.in = append(make([]byte, 0, 2*cap(c.in)), c.in...)
	}
	n, err := c.read(c.in[len(c.in):cap(c.in)], 0)
	if err != nil {
		return err
	}
	c.in = c.in[:len(c.in)+n]
	off := 0
	for off < len(c.in) {
		n, err := c.scan.Scan(c.in[off:])
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := each(c.in[off : off+n]); err != nil {
			return err
		}
		off += n
		c.scan.Reset()
	}
	c.in = c.in[:copy(c.in, c.in[off:])]
	return nil
}

// next returns the next message, which comes alone.
func (c *conn) next() (msg []byte, err error) {
	for msg == nil && err == nil {
		err = c.receive(func(m []byte) error {
			if msg != nil {
				return fmt.Errorf("unexpected message: %.200s", m)
			}
			msg = m
			return nil
		})
	}
	return msg, err
}

// call sends what stands in c.out, one request, and returns its answer.
func (c *conn) call() ([]byte, error) {
	if err := c.flush(); err != nil {
		return nil, err
	}
	msg, err := c.next()
	if err == nil {
		err = check(msg)
	}
	return msg, err
}

// check tells whether an answer carries an error, of the request (a string or
// an object) or of one of its operations (a string). Interfaces have a column of
// that name, which is empty here: a set.
func check(answer []byte) error {
	name := []byte(`"error":`)
	found := false
	for rest := answer; ; {
		i := bytes.Index(rest, name)
		if i < 0 {
			break
		}
		rest = rest[i+len(name):]
		if len(rest) == 0 || rest[0] != 'n' && rest[0] != '[' {
			found = false
			break
		}
		found = true
	}
	if found {
		return nil
	}
	return fmt.Errorf("the server answered %.300s", answer)
}

// A poller waits for connections that have something to read.
type poller struct {
	fd     int
	conns  []*conn
	events []unix.EpollEvent
	ready  []int
}

func newPoller(conns []*conn) (*poller, error) {
	p := &poller{fd: -1, conns: conns, events: make([]unix.EpollEvent, len(conns)), ready: make([]int, 1, len(conns))}
	if len(conns) == 1 {
		return p, nil // reading waits by itself
	}
	var err error
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i, c := range conns {
		if err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *poller) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
	}
}

// wait returns the indexes of those that can be read.
func (p *poller) wait() ([]int, error) {
	if p.fd < 0 {
		return p.ready, nil
	}
	for {
		n, err := unix.EpollWait(p.fd, p.events, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("epoll_wait: %w", err)
		}
		if n == 0 {
			return nil, errors.New("the server does not answer")
		}
		p.ready = p.ready[:0]
		for i := range n {
			p.ready = append(p.ready, int(p.events[i].Fd))
		}
		return p.ready, nil
	}
}
