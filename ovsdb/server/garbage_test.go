package server_test

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// TestGarbage sends damaged requests in many sessions: none of them may bring
// the server down, find a fault in it, or disturb another session.
func TestGarbage(t *testing.T) {
	text, err := os.ReadFile("command/testdata/protocol.txt")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line[0] == '{' {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	lines = append(lines,
		`{"id":1,"method":"transact","params":["Open_vSwitch",`+strings.Repeat("[", 900)+strings.Repeat("]", 900)+`]}`,
		`{"id":1,"method":"monitor","params":["Open_vSwitch",`+strings.Repeat(`{"a":`, 500)+"1"+strings.Repeat("}", 500)+`,{}]}`,
		`{"id":1,"method":"transact","params":["`+strings.Repeat("x", 1<<20)+`"]}`,
		`{"id":1,"method":"echo","params":["`+strings.Repeat("y", 3<<20)+`"]}`)
	f := startVswitch(t)
	good, _ := f.dial(t)
	call(t, good, "transact", `["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","row":{}}]`)
	const seed = 42
	rnd := rand.New(rand.NewPCG(seed, seed))
	pieces := []string{`null`, `[]`, `{}`, `"x"`, `-1`, `1e400`, `99999999999999999999`, `["set",[]]`, `["uuid","x"]`, `["named-uuid","b"]`, `["map",[[1,2],[1,2]]]`, "\xff\xfe", "\x00", `"\ud800"`}
	for range 400 {
		conn, err := net.Dial("unix", strings.TrimPrefix(f.target, "unix:"))
		if err != nil {
			t.Fatal(err)
		}
		sent := ""
		for range 5 {
			line := lines[rnd.IntN(len(lines))]
			if len(line) < 1<<16 {
				for range rnd.IntN(4) {
					at := rnd.IntN(len(line))
					switch rnd.IntN(4) {
					case 0:
						line = line[:at] + string(rune(32+rnd.IntN(96))) + line[at+1:]
					case 1:
						line = line[:at] + pieces[rnd.IntN(len(pieces))] + line[at:]
					case 2:
						line = line[:at] + line[min(len(line), at+rnd.IntN(20)):]
					case 3:
						// A value for another one.
						if i := strings.LastIndexByte(line[:at], ':'); i > 0 {
							if j := strings.IndexAny(line[i:], ",}]"); j > 0 {
								line = line[:i+1] + pieces[rnd.IntN(len(pieces))] + line[i+j:]
							}
						}
					}
					if line == "" {
						line = "{"
					}
				}
			}
			sent += line
		}
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		done := make(chan string)
		go func() {
			b, _ := io.ReadAll(conn) // until the server or the deadline ends it
			done <- string(b)
		}()
		_, _ = io.WriteString(conn, sent) // the server may have closed it
		conn.(*net.UnixConn).CloseWrite()
		if got := <-done; strings.Contains(got, "internal error") {
			t.Fatalf("seed %d: %s\nanswer: %s", seed, sent, got)
		}
		conn.Close()
	}
	want(t, call(t, good, "echo", `[1]`), `[1]`)
	want(t, call(t, good, "list_dbs", `[]`), `["Open_vSwitch","_Server"]`)
}
