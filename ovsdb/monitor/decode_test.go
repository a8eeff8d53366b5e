package monitor

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

func parseTestSchema(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(testSchema))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func every(*schema.Table) bool { return true }

// rows prints a snapshot, a line a row, in order; columns at their default are
// left out.
func rows(s *store.Snapshot) []string {
	var out []string
	for _, t := range s.Schema().Tables {
		for r := range s.Rows(t) {
			line := t.Name + " " + r.UUID.String()
			for _, c := range t.Columns[schema.FirstColumn:] {
				if d := r.Get(c); !d.Equal(data.Default(&c.Type)) {
					line += " " + c.Name + "=" + string(d.AppendJSON(nil, &c.Type))
				}
			}
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

// TestDecodeTranscript reads updates as a server that follows another one does:
//
//	updateN UPDATES    an update of version N changes the contents
//	contentsN UPDATES  a first reply of version N replaces them
//
// After each, the rows follow behind ">", or what is wrong.
func TestDecodeTranscript(t *testing.T) {
	const name = "testdata/decode.txt"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	empty := store.NewSnapshot(parseTestSchema(t))
	snap := empty
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, ">") {
			continue
		}
		out.WriteString(line + "\n")
		verb, rest, _ := strings.Cut(line, " ")
		if verb == "" || verb == "#" {
			continue
		}
		v := Version(verb[len(verb)-1] - '0')
		var d *store.Delta
		switch verb[:len(verb)-1] {
		case "update":
			d, err = Decode(snap, v, []byte(rest))
		case "contents":
			if d, err = Decode(empty, v, []byte(rest)); err == nil {
				d = Toward(snap, d, func(t *schema.Table) bool { return t.Name == "A" })
				for _, td := range d.Tables {
					out.WriteString(fmt.Sprintf("> %d rows of %s change\n", len(td.Rows), td.Table.Name))
				}
			}
		default:
			t.Fatalf("unknown verb %s", verb)
		}
		if err != nil {
			out.WriteString("> error: " + err.Error() + "\n")
			continue
		}
		snap = snap.Apply(d)
		for _, r := range rows(snap) {
			out.WriteString("> " + r + "\n")
		}
	}
	if *rewrite {
		if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	compare(t, out.String(), string(text))
}

// TestDecodeFollows: who takes all updates, in whichever version, has the
// contents that the server has.
func TestDecodeFollows(t *testing.T) {
	s := parseTestSchema(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	snap := store.NewSnapshot(s)
	requests, err := json.Parse(RequestAll(s, every))
	if err != nil {
		t.Fatal(err)
	}
	type follower struct {
		m    *Monitor
		snap *store.Snapshot
	}
	var followers []*follower
	join := func(old *store.Snapshot) {
		for v := V1; v <= V3; v++ {
			m, err := Parse(s, v, requests)
			if err != nil {
				t.Fatal(err)
			}
			contents, derr := Decode(store.NewSnapshot(s), v, m.Initial(snap))
			if derr != nil {
				t.Fatal(derr)
			}
			followers = append(followers, &follower{m, old.Apply(Toward(old, contents, every))})
		}
	}
	join(store.NewSnapshot(s))
	before := snap
	for i := range 2000 {
		if i == 1000 {
			join(before) // those who were away
		}
		op := randomOp(rnd)
		v, err := json.Parse([]byte(`["M",` + op + `]`))
		if err != nil {
			t.Fatal(op, err)
		}
		res := txn.Parse(s, v).Execute(snap, txn.Env{Now: time.Unix(0, 0)})
		snap = res.Next
		if i == 500 {
			before = snap
		}
		if res.Delta.Empty() {
			continue
		}
		enc := NewEncoding(res.Delta)
		for _, f := range followers {
			b := enc.Updates(f.m)
			if b == nil {
				t.Fatalf("%s: no update", op)
			}
			d, err := Decode(f.snap, f.m.Version, b)
			if err != nil {
				t.Fatalf("%s: version %d: %s: %v", op, f.m.Version, b, err)
			}
			f.snap = f.snap.Apply(d)
			if i%50 == 0 {
				compare(t, strings.Join(rows(f.snap), "\n"), strings.Join(rows(snap), "\n"))
			}
		}
	}
	if len(rows(snap)) < 5 {
		t.Errorf("%d rows are few", len(rows(snap)))
	}
	for _, f := range followers {
		compare(t, strings.Join(rows(f.snap), "\n"), strings.Join(rows(snap), "\n"))
	}
}

// randomOp makes an operation or two on the test schema.
func randomOp(r *rand.Rand) string {
	where := fmt.Sprintf(`"where":[["n","==",%d]]`, r.IntN(20))
	switch r.IntN(7) {
	case 0, 1:
		return fmt.Sprintf(`{"op":"insert","table":"A","row":{"n":%d,"name":"%c","s":["set",[%d,%d]],"o":["set",[]]}}`, r.IntN(20), 'a'+r.IntN(26), r.IntN(5), 5+r.IntN(5))
	case 2:
		return fmt.Sprintf(`{"op":"insert","table":"B","uuid-name":"x","row":{"x":%d}},{"op":"mutate","table":"A",%s,"mutations":[["b","insert",["set",[["named-uuid","x"]]]]]}`, r.IntN(9), where)
	case 3:
		return fmt.Sprintf(`{"op":"mutate","table":"A",%s,"mutations":[["s","%s",%d],["m","insert",["map",[["k%d","v%d"]]]]]}`, where, []string{"insert", "delete"}[r.IntN(2)], r.IntN(9), r.IntN(4), r.IntN(1000))
	case 4:
		return fmt.Sprintf(`{"op":"update","table":"A",%s,"row":{"o":%s,"m":["map",[["k%d","w"]]],"n":%d}}`, where, []string{`["set",[]]`, `"x"`, `"y"`}[r.IntN(3)], r.IntN(4), r.IntN(20))
	case 5:
		return fmt.Sprintf(`{"op":"update","table":"A",%s,"row":{"b":["set",[]]}}`, where)
	default:
		return fmt.Sprintf(`{"op":"delete","table":"A",%s}`, where)
	}
}

// FuzzDecodeUpdates: what is accepted is a change that can be applied, told in
// each version, and read again.
func FuzzDecodeUpdates(f *testing.F) {
	text, err := os.ReadFile("testdata/decode.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if verb, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && verb != "#" && verb != ">" {
			f.Add(verb[len(verb)-1]-'0', []byte(rest))
		}
	}
	s := parseTestSchema(f)
	requests, err := json.Parse(RequestAll(s, every))
	if err != nil {
		f.Fatal(err)
	}
	a := s.Table("A")
	base := store.NewSnapshot(s)
	e := base.Edit()
	id, _ := atom.Parse("00000000-0000-4000-8000-000000000001")
	e.Set(a, id, store.NewRow(a, id).With(store.Value{Column: a.Column("s"), Datum: data.Set(atom.Int(1), atom.Int(2))}))
	base = e.Done()
	f.Fuzz(func(t *testing.T, version byte, in []byte) {
		d, err := Decode(base, Version(version%3+1), in)
		if err != nil {
			return
		}
		after := base.Apply(d)
		want := strings.Join(rows(after), "\n")
		for v := V1; v <= V3; v++ {
			m, err := Parse(s, v, requests)
			if err != nil {
				t.Fatal(err)
			}
			b := NewEncoding(d).Updates(m)
			if b == nil {
				b = []byte("{}")
			}
			again, derr := Decode(base, v, b)
			if derr != nil {
				t.Fatalf("%s became %s: %v", in, b, derr)
			}
			if got := strings.Join(rows(base.Apply(again)), "\n"); got != want {
				t.Fatalf("%s became %s:\n%s\nwant\n%s", in, b, got, want)
			}
			contents, derr := Decode(store.NewSnapshot(s), v, m.Initial(after))
			if derr != nil {
				t.Fatal(derr)
			}
			if got := strings.Join(rows(base.Apply(Toward(base, contents, every))), "\n"); got != want {
				t.Fatalf("the contents of %s became\n%s\nwant\n%s", in, got, want)
			}
		}
	})
}
