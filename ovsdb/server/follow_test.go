package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"govs/ovsdb/server"
	"govs/ovsdb/storage/memory"
)

// source is a peer that is played by a test: it answers with what the test says.
type source struct {
	t      *testing.T
	lis    net.Listener
	target string
	mu     sync.Mutex
	answer func(c io.Writer, method string, params json.RawMessage) (result string, ok bool)
	calls  chan string // method and params
}

// answers says how requests are answered from now on.
func (s *source) answers(f func(c io.Writer, method string, params json.RawMessage) (string, bool)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

const oneTable = `{"name":"P","version":"1.0.0","tables":{"T":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}`

func newSource(t *testing.T) *source {
	t.Helper()
	dir, err := os.MkdirTemp("", "govs")
	if err != nil {
		t.Fatal(err)
	}
	s := &source{t: t, target: "unix:" + dir + "/s", calls: make(chan string, 1000)}
	if s.lis, err = net.Listen("unix", dir+"/s"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.lis.Close()
		os.RemoveAll(dir)
	})
	go func() {
		for {
			c, err := s.lis.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	return s
}

func (s *source) serve(c net.Conn) {
	defer c.Close()
	dec := json.NewDecoder(c)
	for {
		var m struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if dec.Decode(&m) != nil {
			return
		}
		if m.Method == "" {
			continue
		}
		s.mu.Lock()
		answer := s.answer
		s.mu.Unlock()
		result, ok := answer(c, m.Method, m.Params)
		s.calls <- m.Method + string(m.Params)
		if !ok {
			fmt.Fprintf(c, `{"id":%s,"result":null,"error":"unknown method"}`, m.ID)
			continue
		}
		// What the answer holds behind a blank line follows it.
		result, then, _ := strings.Cut(result, "\n")
		fmt.Fprintf(c, `{"id":%s,"result":%s,"error":null}%s`, m.ID, result, then)
	}
}

// plays has the source answer by method.
func (s *source) plays(answers map[string]string) {
	s.answers(func(_ io.Writer, method string, _ json.RawMessage) (string, bool) {
		a, ok := answers[method]
		return a, ok
	})
}

// await waits for a request that begins so.
func (s *source) await(prefix string) string {
	s.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case call := <-s.calls:
			if strings.HasPrefix(call, prefix) {
				return call
			}
		case <-deadline:
			s.t.Fatalf("nobody asks for %s", prefix)
		}
	}
}

// eventually waits for what has no event.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it does not happen", what)
		}
	}
}

func rowsOf(s *server.Server) string {
	db := s.Database("P")
	if db == nil {
		return "none"
	}
	t := db.Snapshot().Schema().Table("T")
	var ns []string
	for r := range db.Snapshot().Rows(t) {
		ns = append(ns, fmt.Sprint(r.Get(t.Column("n")).Key(0).Int()))
	}
	return strings.Join(ns, " ")
}

const (
	rowOne   = "00000000-0000-4000-8000-000000000001"
	rowTwo   = "00000000-0000-4000-8000-000000000002"
	firstTxn = "00000000-0000-4000-8000-00000000000a"
	nextTxn  = "00000000-0000-4000-8000-00000000000b"
)

// garbage is what a peer sends behind its first reply, and must not.
var garbage = []string{
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",{"T":{"x":{}}}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",{"X":{}}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",{"T":{"` + rowOne + `":{"insert":{}}}}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",{"T":{"` + rowTwo + `":{"delete":null}}}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",{"T":{"` + rowTwo + `":{"insert":{"n":"x"}}}}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"x",{}]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `"]}`,
	`{"id":null,"method":"update3","params":[["P",%d],"` + nextTxn + `",3]}`,
	`{"id":null,"method":"update2","params":[["P",%d],{}]}`,
	`{"id":null,"method":"update3","params":[]}`,
	`{"id":null,"method":"update3","params":3}`,
	`}}}}`,
	`[3]`,
}

// TestFollowGarbage: a peer that sends garbage loses its connection, and the next
// one starts from the contents; the server goes on.
func TestFollowGarbage(t *testing.T) {
	for _, bad := range garbage {
		for _, backup := range []bool{true, false} {
			followGarbage(t, bad, backup)
		}
	}
}

func followGarbage(t *testing.T, bad string, backup bool) {
	src := newSource(t)
	n := 0
	src.answers(func(_ io.Writer, method string, params json.RawMessage) (string, bool) {
		switch method {
		case "get_server_id":
			return `"` + firstTxn + `"`, true
		case "list_dbs":
			return `["P"]`, true
		case "get_schema":
			return oneTable, !bytes.Contains(params, []byte("_Server"))
		case "monitor_cond_since":
			var p []json.RawMessage
			var id []any
			if json.Unmarshal(params, &p) != nil || json.Unmarshal(p[1], &id) != nil || len(id) != 2 {
				t.Errorf("monitor_cond_since%s", params)
				return "", false
			}
			if strings.Contains(bad, `{"T"`) && string(p[3]) != `"00000000-0000-0000-0000-000000000000"` {
				t.Errorf("after %s nothing is known, but it resumes: %s", bad, params)
			}
			then := ""
			if n++; n == 1 {
				then = strings.Replace(bad, "%d", fmt.Sprint(id[1]), 1)
			}
			return fmt.Sprintf("[false,%q,{\"T\":{%q:{\"initial\":{\"n\":%d}}}}]\n%s", firstTxn, rowOne, n, then), true
		}
		return "", false
	})
	f := start(t, memory.New([]byte(strings.Replace(oneTable, `"P"`, `"Q"`, 1))))
	if backup {
		if err := f.AddDatabase("p", memory.New([]byte(oneTable))); err != nil {
			t.Fatal(err)
		}
		f.SetActive(src.target)
		if err := f.ConnectActive(); err != nil {
			t.Fatal(err)
		}
	} else if err := f.AddRelay("relay:P:" + src.target); err != nil {
		t.Fatal(err)
	}
	eventually(t, bad, func() bool { return rowsOf(f.Server) == "2" })
	c, _ := f.dial(t)
	want(t, call(t, c, "transact", `["P",{"op":"select","table":"T","where":[],"columns":["n"]}]`), `[{"rows":[{"n":2}]}]`)
}

// TestRelayResumes: a relay that lost its source for a while asks for what it
// missed, and holds meanwhile what clients want to write.
func TestRelayResumes(t *testing.T) {
	src := newSource(t)
	answers := map[string]string{
		"get_schema":         oneTable, // for _Server, too: a server without one
		"monitor_cond_since": fmt.Sprintf(`[false,%q,{"T":{%q:{"initial":{"n":1}}}}]`, firstTxn, rowOne),
	}
	src.plays(answers)
	f := &fixture{Server: server.New(server.Config{RelayGrace: time.Hour})}
	t.Cleanup(func() { f.Close() })
	f.dir = t.TempDir()
	f.target = src.target + ".relay"
	if err := f.AddRemote("p" + f.target); err != nil {
		t.Fatal(err)
	}
	if err := f.AddRelay("relay:P:" + src.target); err != nil {
		t.Fatal(err)
	}
	src.await("monitor_cond_since")
	eventually(t, "contents", func() bool { return rowsOf(f.Server) == "1" })
	c, notes := f.dial(t)
	want(t, call(t, c, "monitor", `["P","m",{"T":{"columns":["n"]}}]`), fmt.Sprintf(`{"T":{%q:{"new":{"n":1}}}}`, rowOne))

	// It is gone with the next request, and back with one row more.
	src.answers(func(c io.Writer, method string, _ json.RawMessage) (string, bool) {
		c.(net.Conn).Close()
		return "", false
	})
	want(t, call(t, c, "transact", `["P",{"op":"insert","table":"T","row":{}}]`), `error "canceled"`)
	pending := c.Start("transact", []byte(`["P",{"op":"insert","table":"T","row":{"n":3}}]`))
	want(t, call(t, c, "echo", `["while it waits"]`), `["while it waits"]`)
	next2 := fmt.Sprintf(`[true,%q,{"T":{%q:{"insert":{"n":2}}}}]`, nextTxn, rowTwo)
	src.plays(map[string]string{"get_schema": oneTable, "monitor_cond_since": next2, "transact": `[{"uuid":["uuid","` + rowTwo + `"]}]`})
	for {
		call := src.await("monitor_cond_since")
		if strings.HasSuffix(call, fmt.Sprintf("%q]", firstTxn)) {
			break
		}
		t.Fatalf("it does not resume: %s", call)
	}
	want(t, next(t, notes), fmt.Sprintf(`update["m",{"T":{%q:{"new":{"n":2}}}}]`, rowTwo))
	// The one that waited may have been sent to the connection that died.
	if b, err := pending(); err == nil {
		want(t, string(b), `[{"uuid":["uuid","`+rowTwo+`"]}]`)
	} else {
		want(t, err.Error(), `"canceled"`)
	}
}

// TestRelayConnected: _Server tells when the source is away for long.
func TestRelayConnected(t *testing.T) {
	src := start(t, memory.New([]byte(oneTable)))
	f := &fixture{Server: server.New(server.Config{RelayGrace: time.Nanosecond})}
	t.Cleanup(func() { f.Close() })
	f.target = src.target + ".relay"
	if err := f.AddRemote("p" + f.target); err != nil {
		t.Fatal(err)
	}
	c, notes := f.dial(t)
	want(t, call(t, c, "set_db_change_aware", `[true]`), `{}`)
	want(t, call(t, c, "monitor_cond", `["_Server","m",{"Database":{"columns":["connected","leader","model"],"where":[["name","==","P"]]}}]`), `{}`)
	if err := f.AddRelay("relay:P:" + src.target); err != nil {
		t.Fatal(err)
	}
	shape := func(text string) string {
		_, text, _ = strings.Cut(text, `":{"`)
		_, text, _ = strings.Cut(text, `":{"`)
		return text
	}
	want(t, shape(next(t, notes)), `insert":{"model":"relay"}}}}]`)
	want(t, shape(next(t, notes)), `modify":{"connected":true}}}}]`)
	want(t, call(t, c, "transact", `["P",{"op":"insert","table":"T","uuid":"`+rowOne+`","row":{"n":1}}]`), `[{"uuid":["uuid","`+rowOne+`"]}]`)
	src.Reconnect()
	want(t, shape(next(t, notes)), `modify":{"connected":false}}}}]`)
	want(t, shape(next(t, notes)), `modify":{"connected":true}}}}]`)
	if err := f.RemoveDatabase("P"); err != nil {
		t.Fatal(err)
	}
	want(t, shape(next(t, notes)), `delete":null}}}]`)
}

// TestForwardsCanceled: what waits for a source that is never there ends with the
// database, and when its client says so.
func TestForwardsCanceled(t *testing.T) {
	src := start(t, memory.New([]byte(oneTable)))
	f := &fixture{Server: server.New(server.Config{})}
	t.Cleanup(func() { f.Close() })
	f.target = src.target + ".relay"
	if err := f.AddRemote("p" + f.target); err != nil {
		t.Fatal(err)
	}
	if err := f.AddRelay("relay:P:" + src.target); err != nil {
		t.Fatal(err)
	}
	eventually(t, "contents", func() bool { return f.Database("P") != nil })
	c, _ := f.dial(t)
	want(t, call(t, c, "set_db_change_aware", `[true]`), `{}`)
	if err := src.RemoveRemote("p" + src.target); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end of the connection", func() bool { return src.Sessions() == 0 })
	var waits []func() ([]byte, error)
	for range 3 {
		waits = append(waits, c.Start("transact", []byte(`["P",{"op":"insert","table":"T","row":{}}]`)))
	}
	want(t, call(t, c, "echo", `[]`), `[]`)
	if err := f.RemoveDatabase("P"); err != nil {
		t.Fatal(err)
	}
	for _, wait := range waits {
		if b, err := wait(); err == nil || err.Error() != `"canceled"` {
			t.Errorf("%s, %v", b, err)
		}
	}
}

// TestActiveProbe: another interval counts at once, for a connection that would not
// have been probed.
func TestActiveProbe(t *testing.T) {
	src := newSource(t)
	src.plays(map[string]string{"get_server_id": `"00000000-0000-4000-8000-0000000000ff"`, "list_dbs": `["other"]`})
	f := start(t, memory.New([]byte(oneTable)))
	f.SetActiveProbe(0)
	f.SetActive(src.target)
	if err := f.ConnectActive(); err != nil {
		t.Fatal(err)
	}
	src.await("list_dbs")
	f.SetActiveProbe(10 * time.Millisecond)
	src.await("echo")
}
