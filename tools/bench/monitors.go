package main

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"govs/tools/peer"
)

// fanOut measures how many updates a second a server delivers to 50 monitors
// of one table, while a client, 8 deep, changes one row.
type fanOut struct {
	method string
	own    bool // each monitor has a condition of its own, which every row meets
}

func (f fanOut) run(s *subject) ([]figure, error) {
	const monitors, depth = 50, 8
	srv, stop, err := s.start(50)
	if err != nil {
		return nil, err
	}
	defer stop()
	conns, err := dialN(srv.Sock, monitors+1)
	if err != nil {
		return nil, err
	}
	defer closeAll(conns)
	writer, conns := conns[0], conns[1:]
	for i, c := range conns {
		client := -1
		if f.own {
			client = i
		}
		c.out = monitorInterfaces(c.out, f.method, client)
		if _, err := c.call(); err != nil {
			return nil, err
		}
	}
	// The second update is as long as all that follow.
	length := make([]int, monitors)
	for n := range 2 {
		writer.out = updateRow(writer.out, 0, n)
		if _, err := writer.call(); err != nil {
			return nil, err
		}
		for i, c := range conns {
			msg, err := c.next()
			if err != nil {
				return nil, err
			}
			length[i] = len(msg)
		}
	}

	// The monitors take what has come every 16 transactions, which is long before
	// their sockets are full, and count bytes.
	scratch := make([]byte, 256<<10)
	got := make([]int, monitors)
	take := func(i, flags int) error {
		n, err := conns[i].read(scratch, flags)
		got[i] += n
		return err
	}
	n, answered, taken := 2, 0, 0
	send := func(k int) error {
		for range k {
			writer.out = updateRow(writer.out, 0, n)
			n++
		}
		return writer.flush()
	}
	begin, used := time.Now(), cpu(srv.Pid())
	if err := send(depth); err != nil {
		return nil, err
	}
	for time.Since(begin) < s.length() {
		k := 0
		err := writer.receive(func(msg []byte) error {
			k++
			return check(msg)
		})
		if err != nil {
			return nil, err
		}
		answered += k
		if err := send(k); err != nil {
			return nil, err
		}
		if answered-taken >= 16 {
			taken = answered
			for i := range conns {
				if err := take(i, unix.MSG_DONTWAIT); err != nil {
					return nil, err
				}
			}
		}
	}
	for answered < n-2 {
		err := writer.receive(func(msg []byte) error {
			answered++
			return check(msg)
		})
		if err != nil {
			return nil, err
		}
	}
	for i := range conns {
		for got[i] < answered*length[i] {
			if err := take(i, 0); err != nil {
				return nil, err
			}
		}
		if got[i] != answered*length[i] {
			return nil, fmt.Errorf("monitor %d got %d bytes of updates instead of %d", i, got[i], answered*length[i])
		}
	}
	took := time.Since(begin)
	used = cpu(srv.Pid()) - used
	return []figure{{float64(answered*monitors) / took.Seconds(), float64(used.Microseconds()) / float64(answered)}}, nil
}

// initial measures the milliseconds until all of some clients, who ask at
// once, hold all rows. A transaction before each time makes sure that no reply
// is left from the time before.
type initial struct {
	clients, times int
	own            bool
}

func (in initial) run(s *subject) ([]figure, error) {
	srv, stop, err := s.start(tenThousand)
	if err != nil {
		return nil, err
	}
	defer stop()
	d, err := newDownload(srv, in.own)
	if err != nil {
		return nil, err
	}
	var times []float64
	for k := range in.times {
		if err := d.change(k); err != nil {
			return nil, err
		}
		took, conns, err := d.run(in.clients)
		closeAll(conns)
		if err != nil {
			return nil, err
		}
		times = append(times, milliseconds(took))
	}
	return []figure{{value: median(times)}}, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// A download is initial replies, all of one length.
type download struct {
	srv    *peer.Server
	own    bool
	length int
}

// newDownload looks how long a reply is.
func newDownload(srv *peer.Server, own bool) (*download, error) {
	d := &download{srv: srv, own: own}
	c, err := dial(srv.Sock)
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.out = d.request(c.out, 99)
	msg, err := c.call()
	if err != nil {
		return nil, err
	}
	d.length = len(msg)
	if d.length < 1000000 {
		return nil, fmt.Errorf("the initial reply has only %d bytes", d.length)
	}
	return d, nil
}

func (d *download) request(b []byte, client int) []byte {
	if !d.own {
		client = -1
	}
	return monitorAll(b, client)
}

// change makes every reply that the server may have kept an old one.
func (d *download) change(n int) error {
	c, err := dial(d.srv.Sock)
	if err != nil {
		return err
	}
	defer c.close()
	c.out = bump(c.out, n)
	_, err = c.call()
	return err
}

// run has clients ask at once and waits until each has its reply. They are
// still connected when it returns. One goroutine plays them all; it counts
// bytes and looks where the end should be; updates may follow.
func (d *download) run(clients int) (time.Duration, []*conn, error) {
	conns, err := dialN(d.srv.Sock, clients)
	if err != nil {
		return 0, nil, err
	}
	poll, err := newPoller(conns)
	if err != nil {
		return 0, conns, err
	}
	defer poll.close()
	for i, c := range conns {
		c.out = d.request(c.out, i)
	}
	scratch := make([]byte, 1<<20)
	got := make([]int, clients)
	begin := time.Now()
	for _, c := range conns {
		if err := c.flush(); err != nil {
			return 0, conns, err
		}
	}
	for open := clients; open > 0; {
		ready, err := poll.wait()
		if err != nil {
			return 0, conns, err
		}
		for _, i := range ready {
			n, err := conns[i].read(scratch, 0)
			if err != nil {
				return 0, conns, err
			}
			got[i] += n
			if at := d.length - (got[i] - n) - 1; at >= 0 && at < n {
				if scratch[at] != '}' {
					return 0, conns, errors.New("an initial reply is not as long as the first one")
				}
				open--
			}
		}
	}
	return time.Since(begin), conns, nil
}
