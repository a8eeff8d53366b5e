package txn

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
)

var (
	rewrite  = flag.Bool("rewrite", false, "record the transcripts anew, from Debian's ovsdb-server")
	seedFlag = flag.Int("seed", 1, "where random transactions start")
	judge    = flag.Bool("judge", false, "run the transcripts on Debian's ovsdb-server and compare")
)

// A server answers transact requests: the params go in, the reply's text comes
// out.
type server interface {
	transact(params string) string
	close()
}

// ours is a server made of this package.
type ours struct {
	db *store.DB
}

func newOurs(t testing.TB, text []byte) *ours {
	t.Helper()
	s, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return &ours{store.New(s)}
}

func (o *ours) transact(params string) string {
	v, err := json.Parse([]byte(params))
	if err != nil {
		return "not JSON: " + err.Error()
	}
	s := o.db.Snapshot()
	now := time.Now()
	res := Parse(s.Schema(), v).Execute(s, Env{Now: now})
	if res.Wait != nil {
		// Nobody else is here to change anything: let the time pass.
		res = Parse(s.Schema(), v).Execute(s, Env{Now: res.Wait.Deadline, Started: now})
	}
	o.db.Publish(res.Next)
	return string(res.Reply)
}

func (o *ours) close() {}

// debian is Debian's ovsdb-server.
type debian struct {
	cmd  *exec.Cmd
	conn net.Conn
	in   *bufio.Reader
	doc  json.Doc
}

func newDebian(t testing.TB, text []byte) *debian {
	t.Helper()
	script, err := filepath.Abs("../../tools/debs/debs")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(script).Output()
	if err != nil {
		t.Skipf("no Debian programs: %v", err)
	}
	bin := filepath.Join(strings.TrimSpace(string(out)), "bin")
	dir, err := os.MkdirTemp("", "govs-txn")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	os.WriteFile(filepath.Join(dir, "schema"), text, 0o600)
	env := append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir)
	run := exec.Command(filepath.Join(bin, "ovsdb-tool"), "create", filepath.Join(dir, "db"), filepath.Join(dir, "schema"))
	run.Env = env
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sock := filepath.Join(dir, "sock")
	d := &debian{cmd: exec.Command(filepath.Join(bin, "ovsdb-server"), "--no-chdir", "--unixctl="+filepath.Join(dir, "ctl"), "--remote=punix:"+sock, filepath.Join(dir, "db"))}
	d.cmd.Env = env
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.close)
	for range 500 {
		if d.conn, err = net.Dial("unix", sock); err == nil {
			d.in = bufio.NewReader(d.conn)
			return d
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(err)
	return nil
}

func (d *debian) close() {
	if d.conn != nil {
		d.conn.Close()
	}
	d.cmd.Process.Kill()
	d.cmd.Wait()
}

func (d *debian) transact(params string) string {
	fmt.Fprintf(d.conn, `{"id":0,"method":"transact","params":%s}`, params)
	for {
		var msg []byte
		var f json.Framer
		for {
			c, err := d.in.ReadByte()
			if err != nil {
				return "connection: " + err.Error()
			}
			msg = append(msg, c)
			if _, done := f.Scan([]byte{c}); done {
				break
			}
		}
		v, err := d.doc.Parse(msg)
		if err != nil {
			return err.Error()
		}
		if v.Get("method").Is("echo") {
			fmt.Fprintf(d.conn, `{"id":%s,"result":[],"error":null}`, v.Get("id").Raw())
			continue
		}
		if e := v.Get("error"); e.Kind() != json.Null && e.Kind() != json.Invalid {
			return string(e.Raw())
		}
		return string(v.Get("result").Raw())
	}
}

// normal makes replies comparable: members and rows sorted, UUIDs numbered in the
// order in which they appear.
type normal struct {
	names map[string]string
}

var uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
var twoRows = regexp.MustCompile(`First row, with UUID (.*?)\.  Second row, with UUID (.*?)\.`)
var duration = regexp.MustCompile(`timed out after \d+ ms`)

func (n *normal) reply(text string) string {
	v, err := json.Parse([]byte(text))
	if err != nil {
		return text
	}
	var b []byte
	b = append(b, '[')
	for i := 0; i < v.Len(); i++ {
		if i > 0 {
			b = append(b, ",\n   "...)
		}
		e := v.At(i)
		rows := e.Get("rows")
		if rows.Kind() != json.Array {
			b = append(b, n.hide(string(e.AppendSorted(nil)))...)
			continue
		}
		// Rows are sorted as they look without the UUIDs that nobody saw before.
		var list []string
		for r := range rows.Elems() {
			list = append(list, string(r.AppendSorted(nil)))
		}
		sort.Slice(list, func(i, j int) bool { return n.known(list[i]) < n.known(list[j]) })
		b = append(b, `{"rows":[`...)
		for j, r := range list {
			if j > 0 {
				b = append(b, ",\n     "...)
			}
			b = append(b, n.hide(r)...)
		}
		b = append(b, "]}"...)
	}
	return string(append(b, ']'))
}

func (n *normal) known(s string) string {
	return uuidText.ReplaceAllStringFunc(s, func(u string) string {
		if strings.Count(u, "0") > 20 {
			return u
		}
		if name := n.names[u]; name != "" {
			return name
		}
		return "<new>"
	})
}

func (n *normal) hide(s string) string {
	s = twoRows.ReplaceAllStringFunc(s, func(s string) string {
		m := twoRows.FindStringSubmatch(s)
		rows := m[1:]
		sort.Slice(rows, func(i, j int) bool {
			// What happened to the row tells the two apart.
			return rows[i][36:] < rows[j][36:] || rows[i][36:] == rows[j][36:] && n.known(rows[i]) < n.known(rows[j])
		})
		return "First row, with UUID " + rows[0] + ".  Second row, with UUID " + rows[1] + "."
	})
	s = duration.ReplaceAllString(s, "timed out after N ms")
	s = uuidText.ReplaceAllStringFunc(s, func(u string) string {
		if strings.Count(u, "0") > 20 {
			return u // one that the test chose
		}
		if n.names[u] == "" {
			n.names[u] = fmt.Sprintf("<%d>", len(n.names))
		}
		return n.names[u]
	})
	return s
}

// TestTranscripts runs testdata/*.txt. In them, the line "schema FILE" starts
// with an empty database, a line of JSON is a transact request's params, what
// stands indented below is the reply, and all else is prose. The replies are the
// C server's; where ours is meant to differ, '~' stands before the params, and
// the reply is ours.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := run(t, want, *rewrite || *judge)
			if *rewrite {
				if err := os.WriteFile(file, got, 0o666); err != nil {
					t.Fatal(err)
				}
				return
			}
			compare(t, want, got)
		})
	}
}

func run(t *testing.T, script []byte, onDebian bool) []byte {
	var srv server
	var norm *normal
	var out bytes.Buffer
	defer func() {
		if srv != nil {
			srv.close()
		}
	}()
	keep := false
	for line := range strings.Lines(string(script)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "  ") {
			if keep {
				fmt.Fprintln(&out, line)
			}
			continue
		}
		keep = false
		fmt.Fprintln(&out, line)
		switch {
		case strings.HasPrefix(line, "schema "):
			text, err := os.ReadFile(filepath.Join("testdata", strings.TrimPrefix(line, "schema ")))
			if err != nil {
				t.Fatal(err)
			}
			if srv != nil {
				srv.close()
			}
			norm = &normal{map[string]string{}}
			if onDebian {
				srv = newDebian(t, text)
			} else {
				srv = newOurs(t, text)
			}
		case strings.HasPrefix(line, "~[") && onDebian:
			keep = true
			srv.transact(line[1:])
		case strings.HasPrefix(line, "["), strings.HasPrefix(line, "~["):
			line = strings.TrimPrefix(line, "~")
			fmt.Fprintf(&out, "  %s\n", norm.reply(srv.transact(line)))
		}
	}
	return out.Bytes()
}

func compare(t *testing.T, want, got []byte) {
	w, g := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	request := ""
	bad := 0
	for i := 0; i < len(w) || i < len(g); i++ {
		a, b := "", ""
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if strings.HasPrefix(a, "[") || strings.HasPrefix(a, "~[") {
			request = a
		}
		if a != b {
			t.Errorf("line %d, after %s\nwant %s\ngot  %s", i+1, request, a, b)
			if bad++; bad > 5 || !strings.HasPrefix(a, " ") || !strings.HasPrefix(b, " ") {
				t.FailNow()
			}
		}
	}
}

func readSchema(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/all.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	return text
}
