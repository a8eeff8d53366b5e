package jsonrpc

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// TestSlowReader: a peer that takes what it is sent, but slowly, is alive, though
// the echo is far behind; one that stops taking it is not.
func TestSlowReader(t *testing.T) {
	const probe = 20 * time.Millisecond
	conn, peer := net.Pipe() // a pipe has no buffers: what the peer took is what was written
	defer peer.Close()
	s := New(conn, Options{Probe: probe})
	s.HandleEcho()
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	if err := s.Send(make([]byte, 30*piece)); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(probe / 4)
	defer tick.Stop()
	for range 24 {
		if _, err := io.CopyN(io.Discard, peer, piece); err != nil {
			t.Fatal(err)
		}
		<-tick.C
	}
	var pe *ProbeError
	if err := <-ended; !errors.As(err, &pe) {
		t.Fatal(err)
	}
}

// TestPausedProbe: a session that does not read, as too much waits to be sent,
// still finds out that its peer is gone.
func TestPausedProbe(t *testing.T) {
	_, peer, ended := pair(t, Options{Probe: 20 * time.Millisecond, Limits: Limits{Backlog: 1 << 20}}, nil)
	req := append([]byte(`{"id":1,"method":"echo","params":["`), bytes.Repeat([]byte{'x'}, 1<<20)...)
	if _, err := peer.Write(append(req, `"]}`...)); err != nil {
		t.Fatal(err)
	}
	var pe *ProbeError
	if err := <-ended; !errors.As(err, &pe) {
		t.Fatal(err)
	}
}

// TestDropEarly: notifications may pile up behind an answer, but not much
// without one.
func TestDropEarly(t *testing.T) {
	s, peer, ended := pair(t, Options{Limits: Limits{Backlog: 64 << 20}}, func(s *Session) {
		s.Handle("much", func(r *Request) {
			answer := append(bytes.Repeat([]byte{'a'}, 4<<20), '"')
			answer[0] = '"'
			r.Reply(answer)
			for range 40 { // 10 MB, more than would be let wait alone
				if err := r.Session.Send(make([]byte, 256<<10)); err != nil {
					t.Error(err)
				}
			}
			r.Session.Send([]byte("end"))
		})
	})
	s.DropEarly(1 << 20)
	send(t, peer, `{"id":1,"method":"much","params":[]}`)
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	for tail := []byte(nil); !bytes.HasSuffix(tail, []byte("end")); {
		b := make([]byte, 64<<10)
		n, err := peer.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		tail = append(tail, b[:n]...)
		tail = tail[max(0, len(tail)-3):]
	}
	sent := 0
	for s.Send(make([]byte, 64<<10)) == nil {
		if sent += 64 << 10; sent > 4<<20 {
			t.Fatal("4 MB wait")
		}
	}
	if err := <-ended; !errors.Is(err, errBacklog) {
		t.Fatal(err)
	}
}
