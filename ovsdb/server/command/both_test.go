package command

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/ovsdb/storage/file"
)

// A transcript is for several sessions and the control socket. Each line is one
// step, and what every session gets until its echo is answered is compared
// between our server and Debian's:
//
//	NAME JSON      session NAME, which is opened where there is none, sends a message
//	NAME! JSON     the same, and waits for the answer to it
//	NAME closed    the server closes session NAME, or did before
//	NAME quit      session NAME is closed from this side
//	NAME gets      session NAME gets one message more
//	$ VERB ARGS    a control command
//
// After quit and a control command, "gets" waits for what sessions hear of it.
//
// A session named tls-CN comes over TLS with a certificate for CN, one named
// ro-NAME by the socket ro.sock.

// party is one of the two servers with the sessions of a transcript.
type party struct {
	*running
	tls   func(cn string) net.Conn
	names []string
	sess  map[string]*raw
	gone  map[string]bool     // sessions that the server closed, until a step says so
	fmt   func(string) string // masks what differs by nature
}

func (p *party) open(t *testing.T, name string) *raw {
	t.Helper()
	if r := p.sess[name]; r != nil {
		return r
	}
	var conn net.Conn
	var err error
	socket := "/db.sock"
	if strings.HasPrefix(name, "ro-") {
		socket = "/ro.sock"
	}
	if cn, ok := strings.CutPrefix(name, "tls-"); ok {
		conn = p.tls(cn)
	} else if conn, err = net.Dial("unix", p.dir+socket); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r := &raw{conn: conn, dec: json.NewDecoder(conn)}
	r.dec.UseNumber()
	if p.sess == nil {
		p.sess, p.gone = make(map[string]*raw), make(map[string]bool)
	}
	p.sess[name] = r
	p.names = append(p.names, name)
	slices.Sort(p.names)
	return r
}

func (p *party) drop(name string) {
	if r := p.sess[name]; r != nil {
		r.conn.Close()
	}
	delete(p.sess, name)
	p.names = slices.DeleteFunc(p.names, func(n string) bool { return n == name })
}

// step does one line, and returns what came of it.
func (p *party) step(t *testing.T, line string) []string {
	t.Helper()
	name, rest, _ := strings.Cut(line, " ")
	name, answered := strings.CutSuffix(name, "!")
	var out []string
	switch {
	case name == "$":
		out = append(out, p.fmt(p.ctl(t, strings.Fields(strings.ReplaceAll(rest, "DIR", p.dir))...)))
		return out // sessions may hear of it before or after
	case rest == "quit":
		p.drop(name)
		return nil // when the server sees it is chance
	case rest == "closed":
		if !p.gone[name] {
			out = p.collect(t, name, "")
		}
		if !p.gone[name] {
			t.Errorf("%s: it is not", line)
		}
		delete(p.gone, name)
	case rest == "gets":
		out = p.collect(t, name, "any")
	default:
		r := p.open(t, name)
		if _, err := io.WriteString(r.conn, rest); err != nil {
			t.Fatal(line, ": ", err)
		}
		if answered {
			var sent struct{ ID json.RawMessage }
			if err := json.Unmarshal([]byte(rest), &sent); err != nil {
				t.Fatal(line, ": ", err)
			}
			out = append(out, p.collect(t, name, string(sent.ID))...)
		}
	}
	// Whoever acts first, then the others, who see what came of it.
	order := slices.DeleteFunc(slices.Clone(p.names), func(n string) bool { return n == name })
	if p.sess[name] != nil {
		order = append([]string{name}, order...)
	}
	for _, name := range order {
		r := p.sess[name]
		r.n++
		barrier := fmt.Sprintf(`"barrier %d"`, r.n)
		if _, err := fmt.Fprintf(r.conn, `{"id":%s,"method":"echo","params":[]}`, barrier); err != nil {
			p.gone[name] = true
			p.drop(name)
			continue
		}
		out = append(out, p.collect(t, name, barrier)...)
	}
	slices.Sort(out)
	return out
}

// collect reads what a session gets up to the answer with an id, which is left
// out where it is a barrier's, or up to its end.
func (p *party) collect(t *testing.T, name, id string) (out []string) {
	t.Helper()
	r := p.sess[name]
	if r == nil {
		t.Errorf("there is no session %s", name)
		return nil
	}
	_ = r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		var m map[string]json.RawMessage
		if err := r.dec.Decode(&m); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("session %s waits in vain", name)
				return out
			}
			p.gone[name] = true
			p.drop(name)
			return out
		}
		last := id == "any" || string(m["id"]) == id && m["method"] == nil
		if strings.HasPrefix(string(m["id"]), `"barrier`) && m["method"] == nil {
			if last {
				return out
			}
			continue
		}
		out = append(out, name+": "+p.fmt(canonical(t, m)))
		if last {
			return out
		}
	}
}

// canonical prints a message with its members in order, and rows, too.
func canonical(t *testing.T, m map[string]json.RawMessage) string {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatal(err)
	}
	sortRows(v)
	if b, err = json.Marshal(byUUID(v)); err != nil {
		t.Fatal(err)
	}
	return maskTime.ReplaceAllString(string(b), "timed out after N ms")
}

// byUUID makes lists, in order, of objects whose members are rows: which UUID a
// row has is chance.
func byUUID(v any) any {
	switch v := v.(type) {
	case map[string]any:
		var rows []string
		for name, m := range v {
			v[name] = byUUID(m)
			if maskUUID.MatchString(name) {
				b, err := json.Marshal(v[name])
				if err != nil {
					return err.Error()
				}
				rows = append(rows, string(b))
			}
		}
		if rows == nil {
			return v
		}
		slices.Sort(rows)
		list := make([]any, len(rows))
		for i, row := range rows {
			list[i] = json.RawMessage(row)
		}
		return map[string]any{"UUIDs": list}
	case []any:
		for i, m := range v {
			v[i] = byUUID(m)
		}
	}
	return v
}

// ctl runs a control command, and returns what it printed and its exit status.
func (p *party) ctl(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, debian(t)+"/bin/ovs-appctl", append([]string{"-t", p.dir + "/ctl"}, args...)...)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		t.Fatal(err)
	}
	return strings.ReplaceAll(fmt.Sprintf("%s[%d]", both.String(), cmd.ProcessState.ExitCode()), p.dir, "DIR")
}

// both runs a transcript on our server and on Debian's, on databases of the
// given schemas: the first one is conf.db, the others NAME.db. args has DIR for
// the server's directory.
func both(t *testing.T, schemas []string, args []string, transcript string, prepare ...func(*party)) {
	t.Helper()
	debs := debian(t)
	a, b := &party{running: &running{dir: runDir(t)}}, &party{running: &running{dir: runDir(t)}}
	for _, p := range []*party{a, b} {
		p.fmt = func(s string) string {
			return maskUUID.ReplaceAllString(strings.ReplaceAll(s, p.dir, "DIR"), "UUID")
		}
		var argv []string
		for _, arg := range args {
			argv = append(argv, strings.ReplaceAll(arg, "DIR", p.dir))
		}
		for i, text := range schemas {
			var s struct{ Name string }
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(p.dir, "conf.db")
			if i > 0 {
				name = filepath.Join(p.dir, s.Name+".db")
				argv = append(argv, name)
			}
			if p == a {
				if err := file.Create(name, []byte(text)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := os.WriteFile(p.dir+"/schema", []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command(debs+"/bin/ovsdb-tool", "create", name, p.dir+"/schema").CombinedOutput(); err != nil {
				t.Fatalf("%s: %v", out, err)
			}
		}
		program := os.Args[0]
		if p == b {
			program = debs + "/bin/ovsdb-server"
		}
		p.run(t, program, argv...)
		for _, f := range prepare {
			f(p)
		}
	}
	for line := range strings.Lines(transcript) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		got, want := a.step(t, line), b.step(t, line)
		if testing.Verbose() {
			t.Logf("%s\n C:    %s", line, strings.Join(want, "\n       "))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s\n ours: %s\n C:    %s", line, strings.Join(got, "\n       "), strings.Join(want, "\n       "))
		}
	}
	if !slices.Equal(a.names, b.names) {
		t.Errorf("sessions at the end: ours %q, C %q", a.names, b.names)
	}
}
