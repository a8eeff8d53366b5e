package server_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/stream/streamtest"
	"govs/ovsdb/client"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/server"
	"govs/ovsdb/storage/memory"
	"govs/schema/vswitch"
)

// faulty is a fixture that tells which sessions ended, and why.
type faulty struct {
	*fixture
	ended chan error
}

func startFaulty(t *testing.T, cfg server.Config) *faulty {
	t.Helper()
	ended := make(chan error, 10000)
	cfg.Events.Disconnected = func(_ string, why error) { ended <- why }
	return &faulty{startWith(t, cfg, memory.New(vswitch.JSON())), ended}
}

// raw connects without a client: what is not read stays unread.
func (f *faulty) raw(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("unix", strings.TrimPrefix(f.target, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (f *faulty) end(t *testing.T) error {
	t.Helper()
	select {
	case err := <-f.ended:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("no session ended")
		return nil
	}
}

// TestHalfOpen: a peer that vanished without a word is found out by the probe,
// and what it held goes to others. To the server it looks like one that keeps
// its connection and says nothing.
func TestHalfOpen(t *testing.T) {
	f := startFaulty(t, server.Config{Probe: 50 * time.Millisecond})
	f.call1(t, fmt.Sprintf(insertOVS, 0))
	gone := f.raw(t)
	const asks = `{"id":1,"method":"lock","params":["x"]}` +
		`{"id":2,"method":"monitor_cond","params":["Open_vSwitch",0,{"Open_vSwitch":[{}]}]}` +
		`{"id":3,"method":"transact","params":["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["next_cfg"],"until":"==","rows":[{"next_cfg":99}]}]}`
	const answer = `{"id":1,"result":{"locked":true},"error":null}`
	if _, err := io.WriteString(gone, asks); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(answer))
	if _, err := io.ReadFull(gone, got); err != nil || string(got) != answer {
		t.Fatalf("%s, %v", got, err)
	}
	live, notes := f.dial(t)
	want(t, call(t, live, "lock", `["x"]`), `{"locked":false}`)
	var pe *jsonrpc.ProbeError
	if err := f.end(t); !errors.As(err, &pe) {
		t.Fatal(err)
	}
	want(t, next(t, notes), `locked["x"]`)
	want(t, call(t, live, "transact", bump(99)), `[{"count":1}]`)
}

// call1 runs one transaction on a session of its own.
func (f *faulty) call1(t *testing.T, params string) {
	t.Helper()
	c, _ := f.dial(t)
	if got := call(t, c, "transact", params); strings.Contains(got, "error") {
		t.Fatal(got)
	}
	c.Close()
	f.end(t)
}

// TestNeverReads: a client that monitors and does not read is dropped before
// it costs much, and finds what it missed when it comes back.
func TestNeverReads(t *testing.T) {
	f := startFaulty(t, server.Config{})
	f.call1(t, fmt.Sprintf(insertOVS, 0))
	deaf := f.raw(t)
	dec := json.NewDecoder(deaf)
	if _, err := io.WriteString(deaf, `{"id":1,"method":"monitor_cond_since","params":["Open_vSwitch",0,{"Open_vSwitch":[{"columns":["next_cfg","external_ids"]}]},"00000000-0000-0000-0000-000000000000"]}`); err != nil {
		t.Fatal(err)
	}
	var first struct{ Result []any }
	if err := dec.Decode(&first); err != nil || len(first.Result) != 3 {
		t.Fatal(first, err)
	}
	writer, _ := f.dial(t)
	value := strings.Repeat("v", 32<<10)
	n := 0
	for dropped := false; !dropped; {
		n++
		if sent := n * len(value); sent > 16<<20 {
			t.Fatalf("%d bytes wait for a client that does not read", sent)
		}
		want(t, call(t, writer, "transact", fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"next_cfg":%d,"external_ids":["map",[["k","%d%s"]]]}}]`, n, n, value)), `[{"count":1}]`)
		select {
		case err := <-f.ended:
			if err == nil || !strings.Contains(err.Error(), "does not read") {
				t.Fatal(err)
			}
			dropped = true
		default:
		}
	}
	t.Logf("dropped after %d updates of %d bytes", n, len(value))
	back, _ := f.dial(t)
	got := call(t, back, "monitor_cond_since", fmt.Sprintf(`["Open_vSwitch",0,{"Open_vSwitch":[{"columns":["next_cfg"]}]},%q]`, first.Result[1]))
	if !strings.HasPrefix(got, `[true,`) || !strings.Contains(got, fmt.Sprintf(`{"modify":{"next_cfg":%d}}`, n)) {
		t.Fatalf("%.300s", got)
	}
}

// TestAsksAndNeverReads: a client that asks on and on without reading is not
// read from; when it reads, it finds every answer.
func TestAsksAndNeverReads(t *testing.T) {
	f := startFaulty(t, server.Config{Limits: jsonrpc.Limits{Backlog: 1 << 20}})
	good, _ := f.dial(t)
	deaf := f.raw(t)
	const count, size = 200, 64 << 10
	req := `{"id":1,"method":"echo","params":["` + strings.Repeat("x", size) + `"]}`
	answer := `{"id":1,"result":["` + strings.Repeat("x", size) + `"],"error":null}`
	before := heap()
	written := make(chan error, 1)
	go func() {
		for range count {
			if _, err := io.WriteString(deaf, req); err != nil {
				written <- err
				return
			}
		}
		written <- nil
	}()
	for range 40 {
		want(t, call(t, good, "echo", `[1]`), `[1]`)
		if grew := int64(heap()) - int64(before); grew > 6<<20 {
			t.Fatalf("%d bytes are held for a client that does not read", grew)
		}
	}
	select {
	case err := <-written:
		t.Fatalf("5 MB of requests were taken: %v", err)
	default:
	}
	got := make([]byte, len(answer))
	for n := range count {
		if _, err := io.ReadFull(deaf, got); err != nil || string(got) != answer {
			t.Fatalf("answer %d: %.100s, %v", n, got, err)
		}
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// TestIdleConnections: connections that do nothing cost little memory, and
// nothing at all to the others.
func TestIdleConnections(t *testing.T) {
	const count = 2000
	limit := unix.Rlimit{}
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if need := uint64(2*count + 500); limit.Cur < need { // either end of a connection is in this process
		old := limit
		limit.Cur, limit.Max = need, max(need, limit.Max)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Skipf("%d file descriptors are not to be had: %v", need, err)
		}
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
	}
	f := startFaulty(t, server.Config{})
	f.call1(t, fmt.Sprintf(insertOVS, 0))
	good, _ := f.dial(t)
	work := func() (allocations uint64) {
		var from, to runtime.MemStats
		runtime.ReadMemStats(&from)
		for n := range 200 {
			want(t, call(t, good, "transact", bump(n+1)), `[{"count":1}]`)
		}
		runtime.ReadMemStats(&to)
		return to.Mallocs - from.Mallocs
	}
	work()
	alone, before := work(), heap()
	buf := make([]byte, 100)
	for range count {
		// Without package net, so that all memory is the server's.
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: strings.TrimPrefix(f.target, "unix:")}); err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Write(fd, []byte(`{"id":1,"method":"echo","params":[]}`)); err != nil {
			t.Fatal(err)
		}
		if n, err := unix.Read(fd, buf); err != nil || string(buf[:n]) != `{"id":1,"result":[],"error":null}` {
			t.Fatalf("%s, %v", buf[:max(n, 0)], err)
		}
	}
	if n := f.Sessions(); n != count+1 {
		t.Errorf("%d sessions", n)
	}
	each := (int64(heap()) - int64(before)) / count
	together := work()
	t.Logf("%d bytes a connection; 200 transactions allocate %d times, and %d without the connections", each, together, alone)
	if each > 64<<10 {
		t.Errorf("a connection costs %d bytes", each)
	}
	if together > alone+alone/2 {
		t.Errorf("200 transactions allocate %d times beside %d idle connections, %d without", together, count, alone)
	}
}

// TestHugeLine: a request of 100 MB is answered, and others are while it comes.
func TestHugeLine(t *testing.T) {
	const size, limit = hugeLine, hugeLine * 5 / 2
	f := startFaulty(t, server.Config{Limits: jsonrpc.Limits{Message: limit}})
	f.call1(t, fmt.Sprintf(insertOVS, 0))
	good, _ := f.dial(t)
	value := bytes.Repeat([]byte{'x'}, size)
	for _, c := range []struct{ head, tail, answerHead, answerTail string }{
		{`{"id":1,"method":"echo","params":["`, `"]}`, `{"id":1,"result":["`, `"],"error":null}`},
		{`{"id":2,"method":"transact","params":["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"external_ids":["map",[["k","`, `"]]]}}]}`,
			`{"id":2,"result":[{"count":1}],"error":null}`, ""},
	} {
		conn := f.raw(t)
		writeAll := func(bs ...[]byte) {
			for _, b := range bs {
				if _, err := conn.Write(b); err != nil {
					t.Fatal(err)
				}
			}
		}
		writeAll([]byte(c.head), value[:size/2])
		want(t, call(t, good, "transact", bump(1)), `[{"count":1}]`)
		writeAll(value[size/2:], []byte(c.tail))
		want(t, call(t, good, "echo", `[1]`), `[1]`)
		read := func(wants []byte) {
			b := make([]byte, len(wants))
			if n, err := io.ReadFull(conn, b); err != nil || !bytes.Equal(b, wants) {
				t.Fatalf("%.200s, %v", b[:n], err)
			}
		}
		read([]byte(c.answerHead))
		if c.answerTail != "" {
			read(value)
			read([]byte(c.answerTail))
		}
		conn.Close()
	}
	// More than a message may have: it is told so, and dropped.
	conn := f.raw(t)
	told := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(conn) // until it is dropped
		told <- string(b)
	}()
	_, err := io.WriteString(conn, `{"id":1,"method":"echo","params":["`)
	for n := 0; err == nil && n < 4*size; n += size / 10 {
		_, err = conn.Write(value[:size/10])
	}
	if got := <-told; !strings.Contains(got, fmt.Sprintf("message is longer than %d bytes", limit)) {
		t.Fatalf("%.200s, %v", got, err)
	}
	want(t, call(t, good, "echo", `[1]`), `[1]`)
}

// TestHungHandshakes: connections whose TLS handshake stands still hold up
// neither the listener nor others, and end.
func TestHungHandshakes(t *testing.T) {
	const count = 200
	f := startFaulty(t, server.Config{Probe: 200 * time.Millisecond})
	o := streamtest.Keys(t)
	if err := f.SetTLS(o); err != nil {
		t.Fatal(err)
	}
	const target = "pssl:0:127.0.0.1"
	if err := f.AddRemote(target); err != nil {
		t.Fatal(err)
	}
	addr := f.Addr(target).String()
	for i := range count {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Nothing, or the beginning of a ClientHello of 512 bytes.
		if _, err := conn.Write([]byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc}[:i%10]); err != nil {
			t.Fatal(err)
		}
	}
	good, err := client.Dial(t.Context(), "ssl:"+addr, client.Options{TLS: &o})
	if err != nil {
		t.Fatal(err)
	}
	defer good.Close()
	want(t, call(t, good, "list_dbs", `[]`), `["Open_vSwitch","_Server"]`)
	for range count {
		f.end(t)
	}
	want(t, call(t, good, "echo", `[]`), `[]`)
}
