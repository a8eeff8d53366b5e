package command

import (
	"context"
	stdjson "encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/client"
	"govs/ovsdb/monitor"
	"govs/schema"
)

// followed is the schema of databases that servers take from one another.
const followed = `{"name":"F","version":"1.0.0","tables":{
	"A":{"isRoot":true,"columns":{"n":{"type":"integer"},"name":{"type":"string"},
		"s":{"type":{"key":"integer","min":0,"max":"unlimited"}},
		"m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
		"o":{"type":{"key":"string","min":0,"max":1}},
		"two":{"type":{"key":"integer","min":1,"max":2}},
		"e":{"type":"integer","ephemeral":true},
		"b":{"type":{"key":{"type":"uuid","refTable":"B"},"min":0,"max":"unlimited"}},
		"w":{"type":{"key":{"type":"uuid","refTable":"C","refType":"weak"},"min":0,"max":"unlimited"}}},"indexes":[["name"]]},
	"B":{"columns":{"x":{"type":"real"}}},
	"C":{"isRoot":true,"columns":{"t":{"type":"boolean"}}}}}`

// A kind of server, ours or Debian's.
type kind bool

const (
	our   kind = true
	their kind = false
)

func (k kind) String() string {
	if k == our {
		return "ours"
	}
	return "C"
}

// pairs are the kinds of a server and of the one that follows it. Debian's
// following Debian's is not ours to test.
var pairs = [][2]kind{{our, our}, {their, our}, {our, their}}

// node is a server of one kind.
type node struct {
	*running
	kind kind
	args []string
	// narrow says that values with a greatest number of elements are not changed:
	// a C server (3.1) that is a relay chokes on their differences.
	narrow bool
}

func newNode(t *testing.T, k kind) *node {
	t.Helper()
	return &node{running: &running{dir: runDir(t)}, kind: k}
}

// create makes a database file, named after its schema.
func (n *node) create(t *testing.T, text string) {
	t.Helper()
	s, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(n.dir, s.Name+".schema")
	if err := os.WriteFile(src, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	db := filepath.Join(n.dir, s.Name+".db")
	// Debian's tool makes a file that both take.
	if out, err := exec.Command(debian(t)+"/bin/ovsdb-tool", "create", db, src).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	n.dbs = append(n.dbs, db)
}

// up starts the server, again where it was killed.
func (n *node) up(t *testing.T) {
	t.Helper()
	program := os.Args[0]
	if n.kind == their {
		program = debian(t) + "/bin/ovsdb-server"
	}
	n.run(t, program, slices.Clone(n.args)...)
}

// ctl runs a control command, and returns what it prints and its exit code.
func (n *node) ctl(t *testing.T, args ...string) string {
	t.Helper()
	return (&party{running: n.running}).ctl(t, args...)
}

// try calls the server once.
func (n *node) try(ctx context.Context, method, params string) (string, error) {
	c, err := n.aware(ctx, client.Options{})
	if err != nil {
		return "", err
	}
	defer c.Close()
	b, err := c.Call(ctx, method, []byte(params))
	return string(b), err
}

// aware makes a session that is not dropped when a database comes or goes.
func (n *node) aware(ctx context.Context, o client.Options) (*client.Client, error) {
	for {
		c, err := client.Dial(ctx, n.target(), o)
		if err != nil {
			return nil, err
		}
		if _, err = c.Call(ctx, "set_db_change_aware", []byte(`[true]`)); err == nil {
			return c, nil
		}
		c.Close() // it was dropped just now
		if ctx.Err() != nil {
			return nil, err
		}
	}
}

func (n *node) transact(t *testing.T, params string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	reply, err := n.try(ctx, "transact", params)
	if err != nil {
		t.Fatalf("%s: %v\n%s", params, err, n.log.String())
	}
	return reply
}

// contents lists the rows of a database, ordered.
func (n *node) contents(ctx context.Context, text string, tables ...string) (string, error) {
	s, err := schema.Parse([]byte(text))
	if err != nil {
		return "", err
	}
	var lines []string
	for _, t := range s.Tables {
		if len(tables) > 0 && !slices.Contains(tables, t.Name) {
			continue
		}
		cols := `"_uuid"`
		for _, c := range t.Columns[schema.FirstColumn:] {
			if !c.Ephemeral {
				cols += fmt.Sprintf(",%q", c.Name)
			}
		}
		reply, err := n.try(ctx, "transact", fmt.Sprintf(`[%q,{"op":"select","table":%q,"where":[],"columns":[%s]}]`, s.Name, t.Name, cols))
		if err != nil {
			return "", err
		}
		v, err := json.Parse([]byte(reply))
		if err != nil {
			return "", err
		}
		for row := range v.At(0).Get("rows").Elems() {
			var any map[string]any
			if err := stdjson.Unmarshal(row.Raw(), &any); err != nil {
				return "", err
			}
			b, err := stdjson.Marshal(byUUID(any))
			if err != nil {
				return "", err
			}
			lines = append(lines, t.Name+" "+string(b))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n"), nil
}

// awaitSame waits until a follower has the contents that another server has: it
// looks whenever the follower tells of a change, in the database or of which
// databases there are, and connects anew where it was dropped.
func awaitSame(t *testing.T, from, to *node, text string, tables ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	s, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := from.contents(ctx, text, tables...)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for ctx.Err() == nil {
		news := make(chan struct{}, 1)
		c, err := to.aware(ctx, client.Options{Notify: func(string, []byte) {
			select {
			case news <- struct{}{}:
			default:
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Call(ctx, "monitor", []byte(`["_Server","databases",{"Database":{"columns":["name","schema","connected"]}}]`))
		for n := 0; err == nil; n++ {
			// The database may have come, or come anew: then there is no monitor of it any more.
			id := fmt.Appendf(nil, `"m%d"`, n)
			_, _ = c.Monitor(ctx, "monitor", s.Name, id, monitor.RequestAll(s, func(*schema.Table) bool { return true }), nil)
			var err1 error
			if got, err1 = to.contents(ctx, text, tables...); err1 == nil && got == want {
				c.Close()
				return
			}
			select {
			case <-news:
			case <-c.Done():
				err = context.Canceled
			case <-ctx.Done():
				err = ctx.Err()
			}
		}
		c.Close()
	}
	t.Fatalf("the follower (%s) has\n%s\nwant, as %s\n%s\n%s", to.kind, got, from.kind, want, to.log.String())
}

// awaitCtl waits until a control command prints something.
func (n *node) awaitCtl(t *testing.T, want string, args ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		got := n.ctl(t, args...)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s prints\n%s\nwant\n%s\n%s", n.kind, strings.Join(args, " "), got, want, n.log.String())
		}
		time.Sleep(10 * time.Millisecond) // there is no event for it
	}
}

// randomTxn makes the params of a transaction on database F.
func randomTxn(r *rand.Rand, narrow bool) string {
	where := fmt.Sprintf(`"where":[["n","==",%d]]`, r.IntN(30))
	two := ""
	if !narrow {
		two = fmt.Sprintf(`,"two":["set",[1,%d]]`, 2+r.IntN(9))
	}
	var ops []string
	for range 1 + r.IntN(3) {
		switch r.IntN(9) {
		case 0, 1, 2:
			ops = append(ops, fmt.Sprintf(`{"op":"insert","table":"A","row":{"n":%d,"name":"row %d","s":["set",[%d,%d]],"two":%d,"e":1,"o":["set",[]]}}`,
				r.IntN(30), r.Uint32(), r.IntN(5), 5+r.IntN(5), r.IntN(9)))
		case 3:
			ops = append(ops, fmt.Sprintf(`{"op":"insert","table":"B","uuid-name":"b","row":{"x":%d.5}}`, r.IntN(100)),
				fmt.Sprintf(`{"op":"mutate","table":"A",%s,"mutations":[["b","insert",["set",[["named-uuid","b"]]]]]}`, where))
			return `["F",` + strings.Join(ops, ",") + `]`
		case 4:
			ops = append(ops, `{"op":"insert","table":"C","uuid-name":"c","row":{"t":true}}`,
				fmt.Sprintf(`{"op":"mutate","table":"A",%s,"mutations":[["w","insert",["set",[["named-uuid","c"]]]],["e","+=",1]]}`, where))
			return `["F",` + strings.Join(ops, ",") + `]`
		case 5:
			ops = append(ops, fmt.Sprintf(`{"op":"mutate","table":"A",%s,"mutations":[["s","%s",%d],["m","insert",["map",[["k%d","v%d"]]]]]}`,
				where, []string{"insert", "delete"}[r.IntN(2)], r.IntN(9), r.IntN(4), r.IntN(1000)))
		case 6:
			ops = append(ops, fmt.Sprintf(`{"op":"update","table":"A",%s,"row":{"o":%s,"m":["map",[["k%d","w"]]]%s}}`,
				where, []string{`["set",[]]`, `"x"`, `"y"`}[r.IntN(3)], r.IntN(4), two))
		case 7:
			ops = append(ops, fmt.Sprintf(`{"op":"update","table":"A",%s,"row":{"b":["set",[]]}}`, where))
		default:
			ops = append(ops, fmt.Sprintf(`{"op":"delete","table":"%s",%s}`, "A", where), `{"op":"delete","table":"C","where":[["t","==",false]]}`)
		}
	}
	return `["F",` + strings.Join(ops, ",") + `]`
}

// write runs random transactions, those that fail too.
func (n *node) write(t *testing.T, r *rand.Rand, count int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, n.target(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range count {
		if reply, err := c.Call(ctx, "transact", []byte(randomTxn(r, n.narrow))); err != nil {
			t.Fatalf("%s: %s, %v\n%s", n.kind, reply, err, n.log.String())
		}
	}
}

// refused starts a server that does not start, and returns what it prints.
func (n *node) refused(t *testing.T, debs string, args ...string) string {
	t.Helper()
	program := os.Args[0]
	if n.kind == their {
		program = debs + "/bin/ovsdb-server"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "-vsyslog:off", "-vconsole:off", "--unixctl="+n.dir+"/ctl")...)
	cmd.Env = append(os.Environ(), asServer+"=1", "OVS_RUNDIR="+n.dir)
	out, err := cmd.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Errorf("%s: %v: it starts", n.kind, args)
	}
	return strings.ReplaceAll(string(out), filepath.Base(program), "ovsdb-server")
}

// TestExit: the verb exit ends all monitors of sessions that know of databases
// that go, as with the C server.
func TestExit(t *testing.T) {
	debian(t)
	var got [2]string
	for i, k := range []kind{our, their} {
		n := newNode(t, k)
		n.create(t, followed)
		n.up(t)
		var notes []string
		c, err := n.aware(t.Context(), client.Options{Notify: func(method string, params []byte) { notes = append(notes, method+string(params)) }})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, params := range []string{`["F","m",{"A":{}}]`, `["F",[3],{"B":{}}]`, `["_Server",null,{"Database":{}}]`} {
			if _, err := c.Call(t.Context(), "monitor", []byte(params)); err != nil {
				t.Fatal(err)
			}
		}
		want(t, n.ctl(t, "exit"), "[0]")
		select {
		case <-c.Done():
		case <-time.After(20 * time.Second):
			t.Fatal("the connection does not end")
		}
		slices.Sort(notes)
		got[i] = strings.Join(notes, "\n")
	}
	want(t, got[0], got[1])
	if !strings.Contains(got[0], `monitor_canceled["m"]`) {
		t.Error(got[0])
	}
}
