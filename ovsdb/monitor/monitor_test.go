package monitor

import (
	"bytes"
	stdjson "encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
)

var rewrite = flag.Bool("rewrite", false, "write what comes out into the transcript")

const transcript = "testdata/updates.txt"

const testSchema = `{"name":"M","version":"1.0.0","tables":{
	"A":{"isRoot":true,"columns":{"name":{"type":"string"},"n":{"type":"integer"},
		"s":{"type":{"key":"integer","min":0,"max":"unlimited"}},
		"m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
		"o":{"type":{"key":"string","min":0,"max":1}},
		"b":{"type":{"key":{"type":"uuid","refTable":"B"},"min":0,"max":"unlimited"}}}},
	"B":{"columns":{"x":{"type":"real"}}}}}`

// A machine takes the verbs of the transcript, each with what follows it in the
// line, and answers with the messages that come of it.
type machine interface {
	monitor(t *testing.T, v Version, requests string) []string
	transact(t *testing.T, params string) []string
	change(t *testing.T, n int, requests string) []string
}

// play runs the transcript and returns it with what comes out.
func play(t *testing.T, m machine, text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ">") {
			continue
		}
		out.WriteString(line + "\n")
		verb, rest, _ := strings.Cut(line, " ")
		var got []string
		switch verb {
		case "", "#":
			continue
		case "monitor", "monitor_cond", "monitor_cond_since":
			v := map[string]Version{"monitor": V1, "monitor_cond": V2, "monitor_cond_since": V3}[verb]
			got = m.monitor(t, v, rest)
		case "transact":
			got = m.transact(t, `["M",`+rest+`]`)
		case "change":
			var n int
			id, requests, _ := strings.Cut(rest, " ")
			if _, err := fmt.Sscan(id, &n); err != nil {
				t.Fatal(line, err)
			}
			got = m.change(t, n, requests)
		default:
			t.Fatalf("unknown verb %s", verb)
		}
		for _, g := range got {
			out.WriteString("> " + g + "\n")
		}
	}
	return out.String()
}

// sorted prints JSON with its members in order.
func sorted(t *testing.T, b []byte) string {
	t.Helper()
	v, err := json.Parse(b)
	if err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return string(v.AppendSorted(nil))
}

// Initial is the contents of a first reply, in one piece.
func (m *Monitor) Initial(snap *store.Snapshot) []byte {
	return bytes.Join(NewBlocks().Initial(m, snap), nil)
}

// pure is this package alone.
type pure struct {
	snap     *store.Snapshot
	monitors []*Monitor
}

func (p *pure) parse(t *testing.T, text string) json.Value {
	t.Helper()
	v, err := json.Parse([]byte(text))
	if err != nil {
		t.Fatal(text, err)
	}
	return v
}

func (p *pure) monitor(t *testing.T, v Version, requests string) []string {
	m, err := Parse(p.snap.Schema(), v, p.parse(t, requests))
	if err != nil {
		return []string{sorted(t, err.AppendJSON(nil))}
	}
	p.monitors = append(p.monitors, m)
	return []string{sorted(t, m.Initial(p.snap))}
}

func (p *pure) transact(t *testing.T, params string) []string {
	res := txn.Parse(p.snap.Schema(), p.parse(t, params)).Execute(p.snap, txn.Env{Now: time.Unix(0, 0)})
	if res.Err != nil {
		t.Fatal(params, res.Err)
	}
	p.snap = res.Next
	var out []string
	if !res.Delta.Empty() {
		enc := NewEncoding(res.Delta)
		for i, m := range p.monitors {
			if b := enc.Updates(m); b != nil {
				out = append(out, fmt.Sprintf("%s %d %s", m.Version.Method(), i, sorted(t, b)))
			}
		}
	}
	return out
}

func (p *pure) change(t *testing.T, n int, requests string) []string {
	m, b, err := p.monitors[n].Change(p.snap.Schema(), p.parse(t, requests), p.snap)
	if err != nil {
		return []string{sorted(t, err.AppendJSON(nil))}
	}
	p.monitors[n] = m
	if b == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s %d %s", m.Version.Method(), n, sorted(t, b))}
}

func TestTranscript(t *testing.T) {
	s, err := schema.Parse([]byte(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	text, ferr := os.ReadFile(transcript)
	if ferr != nil {
		t.Fatal(ferr)
	}
	got := play(t, &pure{snap: store.NewSnapshot(s)}, string(text))
	if *rewrite {
		if err := os.WriteFile(transcript, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, got, string(text))
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	verb := ""
	for i := range min(len(a), len(b)) {
		if !strings.HasPrefix(b[i], ">") {
			verb = b[i]
		}
		if a[i] != b[i] {
			t.Fatalf("line %d, after %s\ngot  %s\nwant %s", i+1, verb, a[i], b[i])
		}
	}
	if len(a) != len(b) {
		t.Errorf("%d lines, want %d", len(a), len(b))
	}
}

// judge is Debian's ovsdb-server.
type judge struct {
	conn     net.Conn
	dec      *stdjson.Decoder
	monitors int
}

// ask sends a request and returns the notifications before its answer, and that.
func (j *judge) ask(t *testing.T, method, params string) (notes []string, result, fail []byte) {
	t.Helper()
	if _, err := fmt.Fprintf(j.conn, `{"id":"q","method":"%s","params":%s}`, method, params); err != nil {
		t.Fatal(err)
	}
	for {
		var m struct {
			ID, Result, Error stdjson.RawMessage
			Method            string
			Params            []stdjson.RawMessage
		}
		if err := j.dec.Decode(&m); err != nil {
			t.Fatal(method, params, err)
		}
		if m.Method == "" {
			return notes, m.Result, m.Error
		}
		notes = append(notes, fmt.Sprintf("%s %s %s", m.Method, m.Params[0], sorted(t, m.Params[len(m.Params)-1])))
	}
}

func (j *judge) monitor(t *testing.T, v Version, requests string) []string {
	method := map[Version]string{V1: "monitor", V2: "monitor_cond", V3: "monitor_cond_since"}[v]
	params := fmt.Sprintf(`["M",%d,%s]`, j.monitors, requests)
	if v == V3 {
		params = strings.TrimSuffix(params, "]") + `,"00000000-0000-0000-0000-000000000000"]`
	}
	_, result, fail := j.ask(t, method, params)
	if len(fail) > 0 && string(fail) != "null" {
		return []string{sorted(t, fail)}
	}
	j.monitors++
	if v == V3 {
		var parts []stdjson.RawMessage
		if err := stdjson.Unmarshal(result, &parts); err != nil || len(parts) != 3 {
			t.Fatalf("%s: %v", result, err)
		}
		result = parts[2]
	}
	return []string{sorted(t, result)}
}

func (j *judge) transact(t *testing.T, params string) []string {
	notes, result, fail := j.ask(t, "transact", params)
	if (len(fail) > 0 && string(fail) != "null") || strings.Contains(string(result), `"error"`) {
		t.Fatalf("%s: %s %s", params, result, fail)
	}
	// They come in the order of the server's table of monitors.
	out := make([]string, 0, len(notes))
	for i := range j.monitors {
		for _, n := range notes {
			if strings.Fields(n)[1] == fmt.Sprint(i) {
				out = append(out, n)
			}
		}
	}
	return out
}

func (j *judge) change(t *testing.T, n int, requests string) []string {
	notes, _, fail := j.ask(t, "monitor_cond_change", fmt.Sprintf(`[%d,%d,%s]`, n, n, requests))
	if len(fail) > 0 && string(fail) != "null" {
		return []string{sorted(t, fail)}
	}
	return notes
}

// TestJudge plays the transcript to Debian's ovsdb-server.
func TestJudge(t *testing.T) {
	out, err := exec.Command("../../tools/debs/debs").Output()
	if err != nil {
		t.Skipf("Debian's programs are not at hand: %v", err)
	}
	bin := filepath.Join(strings.TrimSpace(string(out)), "bin")
	dir, err := os.MkdirTemp("", "govs") // names of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.WriteFile(dir+"/schema", []byte(testSchema), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin+"/ovsdb-tool", "create", dir+"/db", dir+"/schema").CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	// With --detach the command ends when the server listens.
	start := exec.Command(bin+"/ovsdb-server", "--detach", "--pidfile="+dir+"/pid", "--unixctl="+dir+"/ctl", "-vsyslog:off", "--log-file="+dir+"/log", "--remote=punix:"+dir+"/sock", dir+"/db")
	start.Env = append(os.Environ(), "OVS_RUNDIR="+dir)
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(bin+"/ovs-appctl", "-t", dir+"/ctl", "exit").CombinedOutput(); err != nil {
			t.Errorf("%s: %v", out, err)
		}
	})
	conn, err := net.Dial("unix", dir+"/sock")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, play(t, &judge{conn: conn, dec: stdjson.NewDecoder(conn)}, string(text)), string(text))
}
