package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"govs/tools/peer"
)

// A load is a number of clients that keep a number of requests under way each.
type load struct {
	clients, depth int
	request        func(b []byte, client, n int) []byte // appends a client's request n
	length         time.Duration                        // how long it goes on
	count          int                                  // or how many requests, where not 0
}

// warm is how long a load runs before it counts.
const warm = 50 * time.Millisecond

// run puts the load on a server. The figure is the answers a second, and the
// server's time for each. One goroutine plays all the clients.
func (l load) run(srv *peer.Server) (figure, error) {
	conns, err := dialN(srv.Sock, l.clients)
	if err != nil {
		return figure{}, err
	}
	defer closeAll(conns)
	poll, err := newPoller(conns)
	if err != nil {
		return figure{}, err
	}
	defer poll.close()

	sent, asked := make([]int, l.clients), 0
	send := func(i, k int) error {
		for ; k > 0 && (l.count == 0 || asked < l.count); k-- {
			conns[i].out = l.request(conns[i].out, i, sent[i])
			sent[i]++
			asked++
		}
		return conns[i].flush()
	}
	for i := range conns {
		if err := send(i, l.depth); err != nil {
			return figure{}, err
		}
	}
	var bad int
	var first error
	answered := 0
	begin, counted, used := time.Now(), 0, cpu(srv.Pid())
	warming := l.count == 0
	for answered < asked && (l.count > 0 || warming || time.Since(begin) < l.length) {
		ready, err := poll.wait()
		if err != nil {
			return figure{}, err
		}
		for _, i := range ready {
			k := 0
			err := conns[i].receive(func(msg []byte) error {
				k++
				if err := check(msg); err != nil {
					bad++
					first = errors.Join(first, err)
				}
				return nil
			})
			if err != nil {
				return figure{}, err
			}
			if bad > 0 {
				return figure{}, fmt.Errorf("%d of %d answers carry an error: %w", bad, answered+k, first)
			}
			answered += k
			if err := send(i, k); err != nil {
				return figure{}, err
			}
		}
		if warming && time.Since(begin) >= warm {
			warming = false
			begin, counted, used = time.Now(), answered, cpu(srv.Pid())
		}
	}
	took, n := time.Since(begin), float64(answered-counted)
	used = cpu(srv.Pid()) - used
	return figure{n / took.Seconds(), float64(used.Microseconds()) / n}, nil
}

// on runs the load on a server that starts with this many bridges.
func (l load) on(s *subject, bridges int) (figure, error) {
	srv, stop, err := s.start(bridges)
	if err != nil {
		return figure{}, err
	}
	defer stop()
	return l.run(srv)
}

// cpu is the time that a process has used, of all its threads.
func cpu(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// The name, in parentheses, may hold anything: count from its end.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	const utime, stime, tick = 11, 12, 10 * time.Millisecond // proc(5); USER_HZ is 100 on every Linux port
	u, _ := strconv.Atoi(f[utime])
	s, _ := strconv.Atoi(f[stime])
	return time.Duration(u+s) * tick
}

func (s *subject) length() time.Duration {
	return time.Duration(cmp.Or(s.o.seconds, 1) * float64(time.Second))
}

// addBridges measures add-br on a database that begins empty.
type addBridges struct {
	clients, depth int
	durable        bool
}

func (a addBridges) load() load {
	return load{clients: a.clients, depth: a.depth, request: func(b []byte, client, n int) []byte {
		return addBridge(b, client, n, a.durable)
	}}
}

func (a addBridges) run(s *subject) ([]figure, error) {
	l := a.load()
	l.length = s.length()
	f, err := l.on(s, 0)
	return []figure{f}, err
}

// flatness measures the same number of add-br with no bridges and with 10,000
// to begin with.
func flatness(s *subject) ([]figure, error) {
	l := addBridges{clients: 8, depth: 8}.load()
	l.count = 4000
	few, err := l.on(s, 0)
	if err != nil {
		return nil, err
	}
	many, err := l.on(s, 10000)
	return []figure{few, many, {value: many.value / few.value}}, err
}

// syncs counts the flushes of a thousand durable transactions, in a run of its
// own under strace, which slows the server down.
func syncs(s *subject) ([]figure, error) {
	srv, stop, err := s.start(0)
	if err != nil {
		return nil, err
	}
	defer stop()
	log := filepath.Join(s.o.dir, s.name+".strace")
	trace := exec.Command("strace", "-f", "-p", strconv.Itoa(srv.Pid()), "-o", log, "-e", "trace=fsync,fdatasync,sync_file_range,msync")
	said, err := trace.StderrPipe()
	if err == nil {
		err = trace.Start()
	}
	if err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(said).ReadString('\n')
	if !strings.Contains(line, "attached") {
		trace.Process.Kill()
		trace.Wait()
		return nil, fmt.Errorf("strace: %s, %w", line, err)
	}
	l := addBridges{clients: 16, depth: 4, durable: true}.load()
	l.count = 1000
	_, err = l.run(srv)
	trace.Process.Signal(os.Interrupt) // it lets go of the server and ends
	trace.Wait()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(log)
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, "sync(") || strings.Contains(line, "sync_file_range(") {
			n++ // a call that is interrupted is resumed on a line of other words
		}
	}
	return []figure{{value: float64(n)}}, err
}

// updateOne measures the change of one column of one row, each client its own.
func updateOne(s *subject) ([]figure, error) {
	f, err := load{clients: 4, depth: 4, length: s.length(), request: updateRow}.on(s, 50)
	return []figure{f}, err
}

func updateFifty(s *subject) ([]figure, error) {
	ids := interfaceIDs(50)
	f, err := load{clients: 2, depth: 2, length: s.length(), request: func(b []byte, _, n int) []byte {
		return updateStatistics(b, ids, n)
	}}.on(s, 50)
	return []figure{f}, err
}

func interfaceIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = rowID(interfaceRow, i)
	}
	return ids
}

// tenThousand is how many bridges make 10,000 rows.
const tenThousand = 3333

// selects reads rows at random out of 3,333 interfaces.
func selects(s *subject) ([]figure, error) {
	srv, stop, err := s.start(tenThousand)
	if err != nil {
		return nil, err
	}
	defer stop()
	ids := interfaceIDs(tenThousand)
	random := rand.New(rand.NewPCG(1, 2))
	var out []figure
	for _, byName := range []bool{false, true} {
		f, err := load{clients: 4, depth: 4, length: s.length(), request: func(b []byte, _, n int) []byte {
			row := random.IntN(len(ids))
			return selectRow(b, byName, ids[row], row, n)
		}}.run(srv)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return append(out, figure{value: out[1].value / out[0].value}), nil
}
