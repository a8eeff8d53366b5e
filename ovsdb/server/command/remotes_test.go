package command

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/debs"
	"govs/ovsdb/client"
)

// statuses reads the status of all remotes, without what times and chance put
// there; last_error is ours where the C server forgets it.
func statuses(t *testing.T, c *client.Client, dir string) string {
	t.Helper()
	b, err := c.Call(t.Context(), "transact", []byte(`["rbac",{"op":"select","table":"Connection","where":[],"columns":["target","is_connected","status"]}]`))
	if err != nil {
		t.Fatal(err)
	}
	var res []struct {
		Rows []struct {
			Target string
			Is     bool `json:"is_connected"`
			Status [2]json.RawMessage
		}
	}
	if err := json.Unmarshal(b, &res); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	var lines []string
	for _, row := range res[0].Rows {
		var pairs [][2]string
		if err := json.Unmarshal(row.Status[1], &pairs); err != nil {
			t.Fatal(err)
		}
		kv := make(map[string]string)
		for _, p := range pairs {
			kv[p[0]] = p[1]
		}
		for k, v := range kv {
			words := strings.Fields(v)
			slices.Sort(words) // of locks, which come in no order
			kv[k] = strings.Join(words, " ")
			switch {
			case k == "last_error":
				delete(kv, k)
			case k == "bound_port", strings.HasPrefix(k, "sec_since"):
				kv[k] = "N"
			case v == "IDLE":
				kv[k] = "ACTIVE"
			case v == "CONNECTING":
				kv[k] = "BACKOFF"
			}
		}
		line := fmt.Sprintf("%s %v", strings.ReplaceAll(row.Target, dir, "DIR"), row.Is)
		for _, k := range slices.Sorted(maps.Keys(kv)) {
			line += " " + k + "=" + kv[k]
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// awaitStatus waits until the status of the remotes is what it should be.
func awaitStatus(t *testing.T, who string, c *client.Client, dir, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got = statuses(t, c, dir); got == want {
			return
		}
	}
	t.Errorf("%s: the remotes' status is\n%s\nand not\n%s", who, got, want)
}

// TestRemotes has both servers read remotes from the database, passive and
// active ones, and compares what they write back.
func TestRemotes(t *testing.T) {
	schema, err := os.ReadFile("testdata/rbac.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	both(t, []string{string(schema)}, []string{"--remote=db:rbac,Root,connections"}, "", func(p *party) {
		who := "ours"
		if strings.Contains(p.cmd.Path, "/bin/ovsdb-server") {
			who = "C"
		}
		c := p.dial(t)
		transact := func(ops string) {
			t.Helper()
			b, err := c.Call(t.Context(), "transact", []byte(`["rbac",`+strings.ReplaceAll(ops, "DIR", p.dir)+`]`))
			if err != nil || strings.Contains(string(b), `"error"`) {
				t.Fatalf("%s: %s, %v", ops, b, err)
			}
		}
		lis, err := net.Listen("unix", p.dir+"/peer")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close()
		accept := func() *raw {
			t.Helper()
			lis.(*net.UnixListener).SetDeadline(time.Now().Add(20 * time.Second))
			conn, err := lis.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return &raw{conn: conn, dec: json.NewDecoder(conn)}
		}
		transact(`{"op":"insert","table":"Root","row":{"connections":["set",[["named-uuid","a"],["named-uuid","b"],["named-uuid","c"],["named-uuid","d"],["named-uuid","e"]]]}},
			{"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"unix:DIR/peer","max_backoff":1000}},
			{"op":"insert","table":"Connection","uuid-name":"b","row":{"target":"unix:DIR/nobody"}},
			{"op":"insert","table":"Connection","uuid-name":"c","row":{"target":"bogus:1"}},
			{"op":"insert","table":"Connection","uuid-name":"d","row":{"target":"ptcp:0:127.0.0.1"}},
			{"op":"insert","table":"Connection","uuid-name":"e","row":{"target":"punix:DIR/own.sock"}}`)
		a := accept()
		const rest = `bogus:1 false state=BACKOFF
ptcp:0:127.0.0.1 false bound_port=N sec_since_connect=N sec_since_disconnect=N
`
		const nobody = "unix:DIR/nobody false state=BACKOFF\n"
		const idle = "punix:DIR/own.sock false sec_since_connect=N sec_since_disconnect=N\n"
		awaitStatus(t, who, c, p.dir, rest+idle+nobody+"unix:DIR/peer true sec_since_connect=N state=ACTIVE")

		// Locks of the active one, sessions of a passive one.
		for _, conn := range []string{"x", "y"} {
			k, err := net.Dial("unix", p.dir+"/own.sock")
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			k.Write([]byte(`{"id":"` + conn + `","method":"echo","params":[]}`))
		}
		if _, err := c.Call(t.Context(), "lock", []byte(`["theirs"]`)); err != nil {
			t.Fatal(err)
		}
		a.ask(t, `{"id":1,"method":"lock","params":["theirs"]}`)
		a.ask(t, `{"id":1,"method":"lock","params":["b"]}`)
		a.ask(t, `{"id":1,"method":"lock","params":["a"]}`)
		a.ask(t, `{"id":1,"method":"steal","params":["lost"]}`)
		if _, err := c.Call(t.Context(), "steal", []byte(`["lost"]`)); err != nil {
			t.Fatal(err)
		}
		awaitStatus(t, who, c, p.dir, rest+"punix:DIR/own.sock true n_connections=2 sec_since_connect=N sec_since_disconnect=N\n"+nobody+
			"unix:DIR/peer true locks_held=a b locks_lost=lost locks_waiting=theirs sec_since_connect=N state=ACTIVE")

		// It comes back when its peer drops it.
		a.conn.Close()
		a = accept()
		awaitStatus(t, who, c, p.dir, rest+"punix:DIR/own.sock true n_connections=2 sec_since_connect=N sec_since_disconnect=N\n"+nobody+
			"unix:DIR/peer true sec_since_connect=N sec_since_disconnect=N state=ACTIVE")

		// Another column's value counts for the next session at the latest, and for
		// us at once.
		transact(`{"op":"update","table":"Connection","where":[["target","==","unix:DIR/peer"]],"row":{"read_only":true}}`)
		if who == "ours" {
			deadline := time.Now().Add(20 * time.Second)
			for !strings.Contains(strings.Join(a.ask(t, `{"id":1,"method":"transact","params":["rbac",{"op":"insert","table":"Open","row":{}}]}`), ""), "read only mode") {
				if time.Now().After(deadline) {
					t.Fatal("the remote does not become read-only")
				}
			}
			transact(`{"op":"update","table":"Connection","where":[["target","==","unix:DIR/peer"]],"row":{"inactivity_probe":100}}`)
		}

		// What is no longer there is closed, and what comes is opened.
		transact(`{"op":"update","table":"Root","where":[],"row":{"connections":["named-uuid","n"]}},
			{"op":"insert","table":"Connection","uuid-name":"n","row":{"target":"punix:DIR/new.sock"}}`)
		a.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			var m any
			if err := a.dec.Decode(&m); err != nil {
				if strings.Contains(err.Error(), "timeout") {
					t.Errorf("%s: a remote that is gone stays connected", who)
				}
				break
			}
		}
		awaitStatus(t, who, c, p.dir, "punix:DIR/new.sock false sec_since_connect=N sec_since_disconnect=N")
		if conn, err := net.Dial("unix", p.dir+"/new.sock"); err != nil {
			t.Error(who, err)
		} else {
			conn.Close()
		}
		if conn, err := net.Dial("unix", p.dir+"/own.sock"); err == nil {
			conn.Close()
			t.Errorf("%s: a passive remote that is gone still listens", who)
		}
	})
}

// TestReadOnly compares what a read-only remote allows.
func TestReadOnly(t *testing.T) {
	schema, err := os.ReadFile("testdata/rbac.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	both(t, []string{string(schema)}, []string{"--remote=db:rbac,Root,connections"}, transcript(t, "readonly.txt"), func(p *party) {
		const insert = `["rbac",{"op":"insert","table":"Root","row":{"connections":["named-uuid","a"]}},
			{"op":"insert","table":"Connection","uuid-name":"a","row":{"target":"punix:%s/ro.sock","read_only":true}}]`
		if b, err := p.dial(t).Call(t.Context(), "transact", fmt.Appendf(nil, insert, p.dir)); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		debs.Await(t, "the read-only socket", func() bool {
			conn, err := net.Dial("unix", p.dir+"/ro.sock")
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	})
}
