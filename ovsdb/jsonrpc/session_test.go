package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// pair makes a session and the raw other end of its connection.
func pair(t *testing.T, o Options, setup func(*Session)) (*Session, net.Conn, <-chan error) {
	t.Helper()
	lis, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	peer, err := net.Dial("unix", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s := New(conn, o)
	s.HandleEcho()
	if setup != nil {
		setup(s)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	t.Cleanup(func() {
		peer.Close()
		s.Close()
		<-s.Done()
	})
	return s, peer, ended
}

// expect reads exactly what is wanted.
func expect(t *testing.T, peer net.Conn, want string) {
	t.Helper()
	peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, len(want))
	n, err := io.ReadFull(peer, b)
	if err != nil || string(b) != want {
		t.Fatalf("got %q, %v, want %q", b[:n], err, want)
	}
}

func send(t *testing.T, peer net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(peer, s); err != nil {
		t.Fatal(err)
	}
}

func TestAnswers(t *testing.T) {
	_, peer, _ := pair(t, Options{}, nil)
	send(t, peer, `{"id":1,"method":"echo","params":[1]}{"id":null,"method":"echo","params":[]}`+
		` {"method":"nope","id":"a","params":[]}{"id":{"x":[null]},"method":"echo","params":[2]}{"id":5,"method":"","params":[]}`)
	expect(t, peer, `{"id":1,"result":[1],"error":null}{"id":"a","error":"unknown method"}`+
		`{"id":{"x":[null]},"result":[2],"error":null}{"id":5,"error":"unknown method"}`)
	// One byte at a time.
	for _, c := range `{"id":3,"method":"echo","params":["\u00e9"]}` {
		send(t, peer, string(c))
	}
	expect(t, peer, `{"id":3,"result":["\u00e9"],"error":null}`)
}

// TestLater answers the first request after the second.
func TestLater(t *testing.T) {
	kept := make(chan *Request, 1)
	_, peer, _ := pair(t, Options{}, func(s *Session) {
		s.Handle("keep", func(r *Request) { kept <- r })
		s.Handle("panic", func(*Request) { panic("at the disco") })
	})
	send(t, peer, `{"id":1,"method":"keep","params":[]}{"id":2,"method":"echo","params":[]}`)
	expect(t, peer, `{"id":2,"result":[],"error":null}`)
	(<-kept).Fail([]byte(`"canceled"`))
	expect(t, peer, `{"id":1,"error":"canceled"}`)
	send(t, peer, `{"id":3,"method":"panic","params":[]}{"id":4,"method":"echo","params":[]}`)
	expect(t, peer, `{"id":3,"error":"internal error"}{"id":4,"result":[],"error":null}`)
}

func TestGarbage(t *testing.T) {
	for _, c := range []struct{ in, details string }{
		{`{"id":1,"method":"echo","params":[]}x`, `error parsing stream: line 0, column 0, byte 0: syntax error at beginning of input`},
		{`{"id":1,"method":"echo","params":[]}{"id":1}`, `received bad JSON-RPC message: request must have \"method\"`},
		{`{"id":1,"method":"echo","params":[]}{"id":1,"method":"echo","params":[` + strings.Repeat("[", 1001), `error parsing stream: line 0, column 1032, byte 1032: input exceeds maximum nesting depth 1000`},
		{`{"id":1,"method":"echo","params":[]}{"id":1,"method":"echo","params":["` + strings.Repeat("a", 70000), `received bad JSON-RPC message: message is longer than 65536 bytes`},
	} {
		_, peer, ended := pair(t, Options{Limits: Limits{Message: 65536}}, nil)
		send(t, peer, c.in)
		expect(t, peer, `{"id":1,"result":[],"error":null}{"id":null,"error":{"details":"`+c.details+`","error":"syntax error"}}`)
		if err := <-ended; err == nil {
			t.Error("no error")
		}
		if _, err := peer.Read(make([]byte, 1)); err == nil {
			t.Error("the connection is open")
		}
	}
}

func TestProbe(t *testing.T) {
	s, peer, ended := pair(t, Options{Probe: 20 * time.Millisecond}, nil)
	const probe = `{"id":"echo","method":"echo","params":[]}`
	expect(t, peer, probe)
	send(t, peer, `{"id":"echo","result":[],"error":null}`)
	expect(t, peer, probe)
	var pe *ProbeError
	if err := <-ended; !errors.As(err, &pe) {
		t.Fatal(err)
	}
	<-s.Done()
}

func TestCall(t *testing.T) {
	s, peer, ended := pair(t, Options{}, nil)
	done := make(chan string, 2)
	go func() {
		b, err := s.Call(context.Background(), "m", []byte(`[7]`))
		done <- fmt.Sprintf("%s %v", b, err)
		b, err = s.Call(context.Background(), "m", []byte(`[]`))
		done <- fmt.Sprintf("%s %v", b, err)
	}()
	expect(t, peer, `{"id":1,"method":"m","params":[7]}`)
	send(t, peer, `{"id":1,"result":{"a":1},"error":null}`)
	if got := <-done; got != `{"a":1} <nil>` {
		t.Error(got)
	}
	expect(t, peer, `{"id":2,"method":"m","params":[]}`)
	send(t, peer, `{"id":2,"result":null,"error":{"error":"x"}}`)
	if got := <-done; got != ` {"error":"x"}` {
		t.Error(got)
	}
	peer.Close()
	if err := <-ended; err != io.EOF {
		t.Error(err)
	}
	if err := s.Notify("x", []byte("[]")); err != nil {
		t.Error("sending after the end is no error of the caller:", err)
	}
}

// TestBacklog: who does not read is not read from, and dropped in the end.
func TestBacklog(t *testing.T) {
	s, _, ended := pair(t, Options{Limits: Limits{Backlog: 1 << 20}}, nil)
	msg := make([]byte, 256<<10)
	var err error
	for range 100 {
		if err = s.Send(msg); err != nil {
			break
		}
	}
	if err == nil {
		t.Fatal("25 MB are queued")
	}
	if got := <-ended; got != err {
		t.Fatal(got)
	}
}

// TestSilentEnd: closing does not wait for a peer that says nothing.
func TestSilentEnd(t *testing.T) {
	s, peer, ended := pair(t, Options{}, nil)
	if err := s.Send([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	expect(t, peer, "last words")
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := peer.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
}

// TestTogether sends requests in one piece and in pieces of all sizes. Handlers
// put their answers off until there is nothing more to read, and they come in
// order.
func TestTogether(t *testing.T) {
	_, peer, _ := pair(t, Options{}, func(s *Session) {
		var waiting []*Request
		s.HandleInPlace("later", func(r *Request) {
			v, err := r.Parse()
			if err != nil || v.Len() != 1 {
				t.Errorf("%s: %v", r.Params, err)
			}
			waiting = append(waiting, r.Keep())
		})
		s.OnIdle(func() {
			for _, r := range waiting {
				s.QueueReply(r.ID, r.Params)
			}
			waiting = nil
			s.Flush()
		})
	})
	big := strings.Repeat("x", 50000)
	var in, out strings.Builder
	for i := range 40 {
		arg := fmt.Sprintf(`["%d"]`, i)
		if i%10 == 7 {
			arg = `["` + big + `"]`
		}
		fmt.Fprintf(&in, `{"method":"later","params":%s,"id":%d}`, arg, i)
		fmt.Fprintf(&out, `{"id":%d,"result":%s,"error":null}`, i, arg)
	}
	for _, size := range []int{in.Len(), 1000, 17, 4096, 65536} {
		go func() {
			for s := in.String(); s != ""; {
				n := min(size, len(s))
				if _, err := io.WriteString(peer, s[:n]); err != nil {
					t.Error(err)
					return
				}
				s = s[n:]
			}
		}()
		expect(t, peer, out.String())
	}
}
