package dbtool

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/ovsdb/server/command"
	"govs/ovsdb/storage/file"
)

const asServer = "GOVS_TEST_OVSDB_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(daemon.Main(command.New()))
	}
	os.Exit(m.Run())
}

var everything = []any{"D",
	map[string]any{"op": "select", "table": "T", "where": []any{}, "columns": []string{"_uuid", "name", "n", "r", "b", "o", "s", "i", "m", "w", "u", "k"}},
	map[string]any{"op": "select", "table": "U", "where": []any{}, "columns": []string{"_uuid", "name", "ids"}},
}

// contents brings the reply to everything into one form, and finds T's rows.
func contents(t *testing.T, reply []byte) (text string, rows []string) {
	t.Helper()
	var results []struct {
		Rows []map[string]any `json:"rows"`
	}
	dec := json.NewDecoder(strings.NewReader(string(reply)))
	dec.UseNumber()
	if err := dec.Decode(&results); err != nil || len(results) != 2 {
		t.Fatalf("%s: %v", reply, err)
	}
	id := func(r map[string]any) string { return r["_uuid"].([]any)[1].(string) }
	for _, res := range results {
		slices.SortFunc(res.Rows, func(a, b map[string]any) int { return strings.Compare(id(a), id(b)) })
	}
	for _, r := range results[0].Rows {
		rows = append(rows, id(r))
	}
	b, err := json.MarshalIndent(results, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b), rows
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// twoTools runs ovsdb-tool, ours and Debian's, in a folder of their own.
type twoTools struct {
	dir, debian, server string
}

func newTools(t *testing.T) *twoTools {
	t.Helper()
	w := &twoTools{dir: debs.ShortTemp(t), debian: debs.Bin(t, "ovsdb-tool"), server: debs.Bin(t, "ovsdb-server")}
	t.Chdir(w.dir)
	if err := os.WriteFile("schema", []byte(mixed), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *twoTools) theirs(t *testing.T, args ...string) string {
	t.Helper()
	r := debs.Run(t, w.dir, w.debian, args...)
	if r.Code != 0 {
		return fmt.Sprintf("%s%sexit %d\n", r.Stdout, r.Stderr, r.Code)
	}
	return r.Stdout + r.Stderr
}

// TestBounds: what we write about columns whose differences the C program
// misreads, those with a least or greatest number of elements, it reads as we do.
func TestBounds(t *testing.T) {
	w := newTools(t)
	run([]string{"--format=log", "create", "x.db", "schema"})
	for _, op := range []string{
		`{"op":"insert","table":"T","row":{"name":"a"}}`,
		`{"op":"update","table":"T","where":[],"row":{"i":["set",[3,9]],"s":["set",["x","y"]]}}`,
		`{"op":"update","table":"T","where":[],"row":{"i":["set",[1,2,3,4]]}}`,
		`{"op":"update","table":"T","where":[],"row":{"i":["set",[5,6,7,8]],"s":"x"}}`,
		`{"op":"update","table":"T","where":[],"row":{"i":0,"s":"z"}}`,
	} {
		if got := run([]string{"transact", "x.db", `["D",` + op + `]`}); !strings.Contains(got, "count") && !strings.Contains(got, "uuid") {
			t.Fatal(got)
		}
		text, _ := contents(t, []byte(w.theirs(t, "query", "x.db", marshal(t, everything))))
		w.check(t, "x.db", text)
	}
}

// difference is where two texts begin to differ.
func difference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	i := 0
	for i < min(len(a), len(b)) && a[i] == b[i] {
		i++
	}
	from := max(0, i-30)
	return fmt.Sprintf("got\n%s\nwant\n%s", strings.Join(a[from:min(i+20, len(a))], "\n"), strings.Join(b[from:min(i+20, len(b))], "\n"))
}

func (w *twoTools) check(t *testing.T, name, want string) (rows []string) {
	t.Helper()
	q := marshal(t, everything)
	got, rows := contents(t, []byte(run([]string{"query", name, q})))
	if got != want {
		t.Fatalf("%s: %s", name, difference(got, want))
	}
	return rows
}

// TestTwoTools has both programs write one file in turns, and compares what
// they read; then the file goes to bbolt and back.
func TestTwoTools(t *testing.T) {
	w := newTools(t)
	c := &chance{Rand: rand.New(rand.NewPCG(*seed, 0))}
	if got := run([]string{"--format=log", "create", "x.db", "schema"}); got != "" {
		t.Fatal(got)
	}
	q := marshal(t, everything)
	var rows []string
	for i := range 120 {
		ops := marshal(t, c.transaction(rows))
		var reply string
		if c.IntN(2) == 0 {
			reply = run([]string{"transact", "x.db", ops})
		} else {
			reply = w.theirs(t, "transact", "x.db", ops)
		}
		if !strings.HasPrefix(reply, "[") {
			t.Fatalf("%s: %s", ops, reply)
		}
		switch i {
		case 40:
			if got := run([]string{"compact", "x.db"}); got != "" {
				t.Fatal(got)
			}
		case 80:
			if got := w.theirs(t, "compact", "x.db"); got != "" {
				t.Fatal(got)
			}
		}
		if i%4 == 0 {
			text, _ := contents(t, []byte(w.theirs(t, "query", "x.db", q)))
			rows = w.check(t, "x.db", text)
		}
	}
	want, _ := contents(t, []byte(w.theirs(t, "query", "x.db", q)))
	if len(rows) < 5 {
		t.Fatalf("only %d rows: the generator is broken", len(rows))
	}
	for _, v := range []string{"-v", "-m", "-mm"} {
		args := []string{"show-log", "x.db"}
		if v != "-v" {
			args = append([]string{v}, args...)
		}
		if a, b := sortedLines(run(args)), sortedLines(w.theirs(t, args...)); a != b {
			t.Errorf("show-log %s: %s", v, difference(a, b))
		}
	}
	for _, v := range []string{"db-name", "db-version", "db-cksum", "db-is-standalone", "db-is-clustered"} {
		if a, b := run([]string{v, "x.db"}), w.theirs(t, v, "x.db"); a != b {
			t.Errorf("%s: got %q, want %q", v, a, b)
		}
	}
	for _, args := range [][]string{{"import", "x.db", "y.db"}, {"export", "y.db", "z.db"}, {"export", "x.db", "x2.db"}, {"import", "y.db", "y2.db"}} {
		if got := run(args); got != "" {
			t.Fatal(args, got)
		}
		w.check(t, args[2], want)
		f, err := file.Detect(args[2])
		if want := map[string]file.Format{"import": file.Bolt, "export": file.Log}[args[0]]; f != want {
			t.Errorf("%v: %s, %v", args, f, err)
		}
		if a, b := run([]string{"-mm", "show-log", args[2]}), run([]string{"-mm", "show-log", "x.db"}); a != b {
			t.Errorf("%v: the log changed", args)
		}
	}
	for _, name := range []string{"z.db", "x2.db"} {
		if got, _ := contents(t, []byte(w.theirs(t, "query", name, q))); got != want {
			t.Errorf("%s, read by the C program: %s", name, difference(got, want))
		}
	}
	if left, err := filepath.Glob("*.import*"); err != nil || len(left) > 0 {
		t.Error(left, err)
	}
	if got := run([]string{"import", "x.db", "y.db"}); got != "ovsdb-tool: I/O error: y.db: create failed (File exists)\nexit 1\n" {
		t.Error(got)
	}
}

// TestUnsaidWeak: where one transaction deletes a row and changes another column
// of one that refers to it weakly, the C program (3.1) leaves the reference
// there or not, as the order of its hash tables has it. We take it out.
func TestUnsaidWeak(t *testing.T) {
	w := newTools(t)
	for range 4 {
		w.theirs(t, "create", "x.db", "schema")
		w.theirs(t, "transact", "x.db", `["D",{"op":"insert","table":"T","uuid-name":"a","row":{"name":"a"}},
			{"op":"insert","table":"T","row":{"name":"b","w":["named-uuid","a"]}}]`)
		w.theirs(t, "transact", "x.db", `["D",{"op":"update","table":"T","where":[["name","==","b"]],"row":{"n":7}},
			{"op":"delete","table":"T","where":[["name","==","a"]]}]`)
		got := run([]string{"query", "x.db", `["D",{"op":"select","table":"T","where":[],"columns":["name","n","w"]}]`})
		if want := `[{"rows":[{"n":7,"name":"b","w":["set",[]]}]}]` + "\n"; got != want {
			t.Errorf("got %swant %s", got, want)
		}
		if err := os.Remove("x.db"); err != nil {
			t.Fatal(err)
		}
	}
}

// sortedLines sorts the lines of each record: tables, rows and columns come in
// the order of C's hash tables.
func sortedLines(s string) string {
	recs := strings.SplitAfter(s, "\nrecord ")
	for i, r := range recs {
		l := strings.Split(r, "\n")
		slices.Sort(l)
		recs[i] = strings.Join(l, "\n")
	}
	return strings.Join(recs, "")
}

// TestSameText compares our answers about files of all sorts with Debian's.
func TestSameText(t *testing.T) {
	w := newTools(t)
	w.theirs(t, "create", "good", "schema")
	for i, row := range []string{`{"name":"one","n":5,"i":1}`, `{"name":"two","i":2}`, `{"name":"three","i":3}`} {
		w.theirs(t, "transact", "good", fmt.Sprintf(`["D",{"op":"insert","table":"T","row":%s},{"op":"comment","comment":"%d \"x\""}]`, row, i))
	}
	good, err := os.ReadFile("good")
	if err != nil {
		t.Fatal(err)
	}
	less := strings.Replace(mixed, `"n":{"type":"integer"},`, "", 1)
	small := strings.Replace(mixed, `"n":{"type":"integer"},`, `"n":{"type":{"key":{"type":"integer","maxInteger":1}}},`, 1)
	for name, text := range map[string]string{
		"text": "some text\n", "empty": "", "torn": string(good[:len(good)-7]), "flipped": string(good[:len(good)-7]) + "x" + string(good[len(good)-6:]),
		"header": string(good) + "OVSDB JSON\n", "schema.torn": string(good[:99]), "less": less, "small": small,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.theirs(t, "create-cluster", "cluster", "schema", "tcp:127.0.0.1:1")
	stamp := regexp.MustCompile(`ovsdb-tool \d+\.\d+\.\d+`)
	for _, name := range []string{"good", "text", "empty", "torn", "flipped", "header", "schema.torn", "cluster", "nope"} {
		for _, args := range []string{
			"db-name", "db-version", "db-cksum", "db-is-standalone", "db-is-clustered", "show-log", "-m show-log", "-mm show-log",
			"query", "needs-conversion FILE schema", "needs-conversion FILE less", "transact", "compact FILE dst", "convert FILE less dst",
			"convert FILE small", "convert FILE schema", "convert FILE less", "-mm show-log", "compact", "-mm show-log",
		} {
			if name == "cluster" && (strings.HasSuffix(args, "show-log") || args == "db-name" || strings.HasPrefix(args, "needs-")) {
				continue // not supported
			}
			if name == "torn" || name == "flipped" || name == "header" {
				if strings.Contains(args, "small") {
					continue // the C program finds the bad value before the damage
				}
			}
			os.Remove("dst")
			v := strings.Fields(args)
			if i := slices.Index(v, "FILE"); i >= 0 {
				v[i] = "f"
			} else {
				v = append(v, "f")
			}
			if args == "query" || args == "transact" {
				v = append(v, `["D",{"op":"select","table":"T","where":[],"columns":["name","i"]},{"op":"comment","comment":"x"}]`)
			}
			if before, err := os.ReadFile(name); err == nil {
				if err := os.WriteFile("f", before, 0o600); err != nil {
					t.Fatal(err)
				}
			} else {
				os.Remove("f")
			}
			want := w.theirs(t, v...)
			os.Remove("dst")
			after, _ := os.ReadFile("f") // it may not be there
			if before, err := os.ReadFile(name); err == nil {
				if err := os.WriteFile("f", before, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := run(v)
			mine, _ := os.ReadFile("f") // the same
			if a, b := sortedText(got), sortedText(want); a != b {
				t.Errorf("%v, %s: got\n%s\nwant\n%s", v, name, got, want)
			}
			// What was changed must read alike in both.
			if string(mine) != string(after) {
				if err := os.WriteFile("g", after, 0o600); err != nil {
					t.Fatal(err)
				}
				norm := func(s string) string {
					s = stamp.ReplaceAllString(s, "ovsdb-tool VERSION")
					return sortedLines(regexp.MustCompile(`\d+-\d+-\d+ \S+`).ReplaceAllString(s, "TIME"))
				}
				if a, b := norm(w.theirs(t, "-mm", "show-log", "f")), norm(w.theirs(t, "-mm", "show-log", "g")); a != b {
					t.Errorf("%v, %s: file\n%s\nwant\n%s", v, name, a, b)
				}
			}
		}
	}
}

// sortedText sorts rows of a select, too.
func sortedText(s string) string {
	s = regexp.MustCompile(`\{"i":\d,"name":"\w+"\},?`).ReplaceAllStringFunc(s, func(row string) string {
		return "\n" + strings.TrimSuffix(row, ",") + "\n"
	})
	return sortedLines(s)
}

// served is a server on a file, and a session with it.
type served struct {
	cmd  *exec.Cmd
	conn net.Conn
	dec  *json.Decoder
}

func serve(t *testing.T, dir, program, db string) *served {
	t.Helper()
	s := &served{cmd: exec.Command(program, "--remote=punix:"+dir+"/sock", "--unixctl="+dir+"/ctl", "-vconsole:off", "-vsyslog:off", db)}
	s.cmd.Env, s.cmd.Dir = append(debs.Env(dir), asServer+"=1"), dir
	os.Remove(dir + "/sock")
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	debs.Await(t, "the server", func() bool {
		var err error
		s.conn, err = net.Dial("unix", dir+"/sock")
		return err == nil
	})
	s.dec = json.NewDecoder(s.conn)
	return s
}

func (s *served) transact(t *testing.T, params any) []byte { return s.call(t, "transact", params) }

func (s *served) call(t *testing.T, method string, params any) []byte {
	t.Helper()
	msg := marshal(t, map[string]any{"id": 1, "method": method, "params": params})
	if err := s.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.Write([]byte(msg)); err != nil {
		t.Fatal(err)
	}
	var reply struct {
		Result json.RawMessage `json:"result"`
		Error  any             `json:"error"`
	}
	if err := s.dec.Decode(&reply); err != nil || reply.Error != nil {
		t.Fatalf("%s: %v %v", msg, err, reply.Error)
	}
	return reply.Result
}

func (s *served) kill() {
	if s.conn != nil {
		s.conn.Close()
	}
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
}

// TestTwoServers has our server and Debian's serve one file in turns, each
// killed in the end, and compares what each leaves with what the next one finds.
func TestTwoServers(t *testing.T) {
	w := newTools(t)
	c := &chance{Rand: rand.New(rand.NewPCG(*seed, 0))}
	if got := w.theirs(t, "create", "x.db", "schema"); got != "" {
		t.Fatal(got)
	}
	programs := []string{os.Args[0], w.server}
	left := ""
	for round := range 6 {
		s := serve(t, w.dir, programs[round%2], "x.db")
		for i := range 60 {
			found, rows := contents(t, s.transact(t, everything))
			if i == 0 && round > 0 && found != left {
				t.Fatalf("round %d: %s", round, difference(found, left))
			}
			ops := c.transaction(rows)
			if i%10 == 9 {
				ops = append(ops, map[string]any{"op": "commit", "durable": true})
			}
			s.transact(t, ops)
		}
		left, _ = contents(t, s.transact(t, everything))
		s.kill()
	}
	w.check(t, "x.db", left)
	if f, err := file.Detect("x.db"); f != file.Log {
		t.Error(f, err)
	}
}

// TestSharedLock: each program keeps off a file that the other one's server has
// open, and reads it all the same.
func TestSharedLock(t *testing.T) {
	w := newTools(t)
	w.theirs(t, "create", "x.db", "schema")
	const locked = "ovsdb-tool: I/O error: x.db: failed to lock lockfile (Resource temporarily unavailable)\n"
	q := marshal(t, everything)
	for _, program := range []string{os.Args[0], w.server} {
		s := serve(t, w.dir, program, "x.db")
		s.transact(t, []any{"D", map[string]any{"op": "insert", "table": "T", "row": map[string]any{"name": "x"}}})
		for _, args := range [][]string{{"compact", "x.db"}, {"transact", "x.db", "[]"}, {"convert", "x.db", "schema"}} {
			if got := run(args); !strings.HasSuffix(got, "\n"+locked+"exit 1\n") {
				t.Errorf("ours: %v: %q", args, got)
			}
			if got := w.theirs(t, args...); !strings.Contains(got, "failed to lock lockfile") || !strings.Contains(got, "exit 1") {
				t.Errorf("theirs: %v: %q", args, got)
			}
		}
		text, _ := contents(t, s.transact(t, everything))
		w.check(t, "x.db", text)
		if got, _ := contents(t, []byte(w.theirs(t, "query", "x.db", q))); got != text {
			t.Error(difference(got, text))
		}
		s.kill()
	}
}

// TestServerMends: our server goes on with a file whose last record is torn, as
// Debian's does, and refuses one that is damaged before other records, which
// Debian's would go on with, too, without all that follows.
func TestServerMends(t *testing.T) {
	w := newTools(t)
	w.theirs(t, "create", "whole", "schema")
	for i := range 3 {
		w.theirs(t, "transact", "whole", fmt.Sprintf(`["D",{"op":"insert","table":"T","row":{"name":"%d"}}]`, i))
	}
	text, err := os.ReadFile("whole")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("torn", text[:len(text)-9], 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, w.dir, os.Args[0], "torn")
	if _, rows := contents(t, s.transact(t, everything)); len(rows) != 2 {
		t.Errorf("%d rows", len(rows))
	}
	s.transact(t, []any{"D", map[string]any{"op": "insert", "table": "T", "row": map[string]any{"name": "new"}}})
	left, _ := contents(t, s.transact(t, everything))
	s.kill()
	w.check(t, "torn", left)
	if got, _ := contents(t, []byte(w.theirs(t, "query", "torn", marshal(t, everything)))); got != left {
		t.Error(difference(got, left))
	}

	bad := strings.Replace(string(text), `"name":"1"`, `"name":"7"`, 1)
	if err := os.WriteFile("damaged", []byte(bad), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "--remote=punix:"+w.dir+"/sock", "--unixctl="+w.dir+"/ctl", "-vsyslog:off", "damaged")
	cmd.Env = append(debs.Env(w.dir), asServer+"=1")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "have SHA-1 hash") || !strings.Contains(string(out), "an intact one follows at offset") {
		t.Errorf("%v: %s", err, out)
	}
	if now, err := os.ReadFile("damaged"); err != nil || string(now) != bad {
		t.Errorf("the damaged file was changed (%v)", err)
	}
}

// TestResume: a client that comes back gets what changed since, though the server
// was killed and another one, Debian's, served the file in between.
func TestResume(t *testing.T) {
	w := newTools(t)
	w.theirs(t, "create", "x.db", "schema")
	ours, theirs := os.Args[0], w.server
	last := "00000000-0000-0000-0000-000000000000"
	for i, c := range []struct {
		program, want string
		found         bool
	}{
		{theirs, "", false},
		{ours, `row0`, false},
		{ours, `row1`, true},
		{theirs, "", true},
		{ours, `row2 row3`, true},
	} {
		s := serve(t, w.dir, c.program, "x.db")
		if c.program == ours {
			reply := s.call(t, "monitor_cond_since", []any{"D", "m", map[string]any{"T": []any{map[string]any{"columns": []string{"name"}}}}, last})
			var got [3]any
			if err := json.Unmarshal(reply, &got); err != nil {
				t.Fatal(err)
			}
			names := regexp.MustCompile(`row\d`).FindAllString(fmt.Sprint(got[2]), -1)
			slices.Sort(names)
			if got[0] != c.found || strings.Join(names, " ") != c.want {
				t.Errorf("step %d: %s", i, reply)
			}
			last = got[1].(string)
			s.call(t, "monitor_cancel", []any{"m"})
		}
		s.transact(t, []any{"D", map[string]any{"op": "insert", "table": "T", "row": map[string]any{"name": fmt.Sprint("row", i)}}})
		s.kill()
	}
}
