package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"govs/tools/peer"
)

// waits has some clients download everything while one client sends
// transactions and another one echoes, each one at a time with a millisecond's
// rest between them. It gives the longest times to an answer, and leaves those
// who downloaded connected.
func waits(srv *peer.Server, clients int) (transaction, echo float64, conns []*conn, err error) {
	d, err := newDownload(srv, false)
	if err != nil {
		return 0, 0, nil, err
	}
	var over atomic.Bool
	type result struct {
		longest time.Duration
		err     error
	}
	ready := make(chan error, 2)
	probe := func(request func(b []byte, n int) []byte) <-chan result {
		done := make(chan result, 1)
		go func() {
			longest, err := probe(srv, request, &over, ready)
			done <- result{longest, err}
		}()
		return done
	}
	t := probe(bump)
	e := probe(func(b []byte, n int) []byte {
		return append(number(append(b, `{"id":`...), n), `,"method":"echo","params":[]}`...)
	})
	for range 2 {
		if e := <-ready; e != nil {
			err = e
		}
	}
	if err == nil {
		_, conns, err = d.run(clients)
	}
	over.Store(true)
	rt, re := <-t, <-e
	for _, e := range []error{rt.err, re.err} {
		if err == nil {
			err = e
		}
	}
	return milliseconds(rt.longest), milliseconds(re.longest), conns, err
}

// probe sends requests one at a time until over is set, and gives the longest
// time to an answer. It tells ready when some have been answered.
func probe(srv *peer.Server, request func(b []byte, n int) []byte, over *atomic.Bool, ready chan<- error) (longest time.Duration, err error) {
	defer func() {
		if err != nil {
			ready <- err
		}
	}()
	c, err := dial(srv.Sock)
	if err != nil {
		return 0, err
	}
	defer c.close()
	// The server's delays are to be seen, not those of a thread that waits for a
	// core beside those that download: this one goes first, where it may.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), -15) == nil {
		defer unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), 0)
	}
	const first = 20
	for n := 0; n <= first || !over.Load(); n++ {
		if n == first {
			ready <- nil
			longest = 0
		}
		c.out = request(c.out, n)
		begin := time.Now()
		if _, err := c.call(); err != nil {
			return 0, err
		}
		longest = max(longest, time.Since(begin))
		time.Sleep(time.Millisecond)
	}
	return longest, nil
}

// meanwhile measures the waits at 16,000 rows.
func meanwhile(s *subject) ([]figure, error) {
	srv, stop, err := s.start(5333)
	if err != nil {
		return nil, err
	}
	defer stop()
	transaction, echo, conns, err := waits(srv, 20)
	closeAll(conns)
	return []figure{{value: transaction}, {value: echo}}, err
}

// large measures a start with 100,000 rows, and what ten clients that hold
// them all do to memory and to others.
func large(s *subject) ([]figure, error) {
	const bridges = 33333
	if _, err := s.prepared(bridges); err != nil {
		return nil, err
	}
	srv, stop, err := s.start(bridges)
	if err != nil {
		return nil, err
	}
	defer stop()
	c, err := dial(srv.Sock)
	if err != nil {
		return nil, err
	}
	defer c.close()
	c.out = selectRow(c.out, false, rowID(interfaceRow, 7), 7, 0)
	if _, err := c.call(); err != nil {
		return nil, err
	}
	start := time.Since(srv.Started)
	time.Sleep(settle)
	before := resident(srv.Pid())
	transaction, echo, conns, err := waits(srv, 10)
	defer closeAll(conns)
	if err != nil {
		return nil, err
	}
	time.Sleep(settle)
	return []figure{{value: milliseconds(start)}, {value: before}, {value: transaction}, {value: echo}, {value: resident(srv.Pid())}}, nil
}

// settle is how long a server is left alone before its memory is looked at.
const settle = time.Second

// resident is a process's memory in MB, 0 where it cannot be read.
func resident(pid int) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	line, _, _ := strings.Cut(rest, "\n")
	kb, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(line, "kB")), 64)
	return kb / 1000
}
