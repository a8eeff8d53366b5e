package history

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

func parse(t testing.TB) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(`{"name":"db","version":"1.0.0","tables":{"a":{"isRoot":true,"columns":{
		"n":{"type":"integer"},
		"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
		"s":{"type":{"key":"integer","min":1,"max":3}},
		"e":{"type":"string","ephemeral":true}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run executes operations.
func run(t *testing.T, snap *store.Snapshot, ops string) txn.Result {
	t.Helper()
	v, err := json.Parse([]byte(`["db",` + ops + `]`))
	if err != nil {
		t.Fatal(err)
	}
	res := txn.Parse(snap.Schema(), v).Execute(snap, txn.Env{Now: time.Unix(0, 0)})
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	return res
}

func dump(snap *store.Snapshot) string {
	v, _ := json.Parse([]byte(`["db",{"op":"select","table":"a","where":[],"columns":["n","m","s","e"]}]`))
	return string(txn.Parse(snap.Schema(), v).Execute(snap, txn.Env{}).Reply)
}

// TestRecords: a record read on the old version gives the new one, without what
// is ephemeral.
func TestRecords(t *testing.T) {
	const row = `"where":[["n",">=",0]]`
	snap := store.NewSnapshot(parse(t))
	kept := snap
	for i, c := range []struct{ op, body, rows string }{
		{`{"op":"insert","table":"a","uuid":"00000000-0000-4000-8000-000000000001","row":{"n":1,"m":["map",[["x",1],["y",2]]],"s":["set",[1,2,3]],"e":"gone"}}`,
			`{"_is_diff":true,"a":{"00000000-0000-4000-8000-000000000001":{"m":["map",[["x",1],["y",2]]],"n":1,"s":["set",[1,2,3]]}}}`,
			`[{"rows":[{"n":1,"m":["map",[["x",1],["y",2]]],"s":["set",[1,2,3]],"e":""}]}]`},
		{`{"op":"update","table":"a",` + row + `,"row":{"n":2,"m":["map",[["x",3],["z",2]]],"s":["set",[4,5,6]]}}`,
			`{"_is_diff":false,"a":{"00000000-0000-4000-8000-000000000001":{"m":["map",[["x",3],["z",2]]],"n":2,"s":["set",[4,5,6]]}}}`,
			`[{"rows":[{"n":2,"m":["map",[["x",3],["z",2]]],"s":["set",[4,5,6]],"e":""}]}]`},
		{`{"op":"update","table":"a",` + row + `,"row":{"n":3,"m":["map",[["x",3],["y",1]]]}}`,
			`{"_is_diff":true,"a":{"00000000-0000-4000-8000-000000000001":{"m":["map",[["y",1],["z",2]]],"n":3}}}`,
			`[{"rows":[{"n":3,"m":["map",[["x",3],["y",1]]],"s":["set",[4,5,6]],"e":""}]}]`},
		{`{"op":"update","table":"a",` + row + `,"row":{"n":2,"m":["map",[["x",3],["z",2]]]}}`,
			`{"_is_diff":true,"a":{"00000000-0000-4000-8000-000000000001":{"m":["map",[["y",1],["z",2]]],"n":2}}}`,
			`[{"rows":[{"n":2,"m":["map",[["x",3],["z",2]]],"s":["set",[4,5,6]],"e":""}]}]`},
		{`{"op":"update","table":"a",` + row + `,"row":{"e":"other"}}`, ``, `[{"rows":[{"n":2,"m":["map",[["x",3],["z",2]]],"s":["set",[4,5,6]],"e":""}]}]`},
		{`{"op":"delete","table":"a",` + row + `}`, `{"_is_diff":true,"a":{"00000000-0000-4000-8000-000000000001":null}}`, `[{"rows":[]}]`},
	} {
		res := run(t, snap, c.op)
		snap = res.Next
		body := Encode(res.Delta)
		if string(body) != c.body {
			t.Errorf("%d: record is %s, want %s", i, body, c.body)
		}
		if body == nil {
			continue
		}
		d, err := Decode(kept, body)
		if err != nil {
			t.Fatal(err)
		}
		kept = kept.Apply(d)
		if got := dump(kept); got != c.rows {
			t.Errorf("%d: rows are %s, want %s", i, got, c.rows)
		}
		again, err := Decode(store.NewSnapshot(kept.Schema()), append([]byte(nil), Encode(Whole(kept))...))
		if len(Whole(kept).Tables) > 0 && (err != nil || dump(store.NewSnapshot(kept.Schema()).Apply(again)) != c.rows) {
			t.Errorf("%d: the whole differs: %v", i, err)
		}
	}
}

// TestDecode: members of the format may stand anywhere, and values may be whole.
func TestDecode(t *testing.T) {
	snap := store.NewSnapshot(parse(t))
	for _, rec := range []string{
		`{"_date":1,"a":{"00000000-0000-4000-8000-000000000001":{"n":1,"s":["set",[1,3]]},"00000000-0000-4000-8000-000000000002":{"s":1}},"_comment":"made"}`,
		`{"a":{"00000000-0000-4000-8000-000000000001":{"n":7},"00000000-0000-4000-8000-000000000002":null}}`,
		`{"a":{"00000000-0000-4000-8000-000000000001":{"s":["set",[1,9]],"n":8}},"_is_diff":true}`,
	} {
		d, err := Decode(snap, []byte(rec))
		if err != nil {
			t.Fatalf("%s: %v", rec, err)
		}
		snap = snap.Apply(d)
	}
	if got := dump(snap); got != `[{"rows":[{"n":8,"m":["map",[]],"s":["set",[3,9]],"e":""}]}]` {
		t.Error(got)
	}
}

// faulty are bodies that are no change of the empty database.
var faulty = []string{``, `x`, `[]`, `{"b":{}}`, `{"a":[]}`, `{"a":{"x":{}}}`, `{"a":{}}x`, `{"a":{},"a":{}}`, `{"a":{"x":null}}`,
	`{"a":{"00000000-0000-4000-8000-000000000001":null}}`,
	`{"a":{"00000000-0000-4000-8000-000000000001":3}}`,
	`{"a":{"00000000-0000-4000-8000-000000000001":{"q":3}}}`,
	`{"a":{"00000000-0000-4000-8000-000000000001":{"_uuid":3}}}`,
	`{"a":{"00000000-0000-4000-8000-000000000001":{"n":"x"}}}`}

func TestDecodeErrors(t *testing.T) {
	snap := store.NewSnapshot(parse(t))
	for _, in := range faulty {
		if _, err := Decode(snap, []byte(in)); err == nil {
			t.Errorf("%s: no error", in)
		}
	}
}

// FuzzDecode: what is accepted can be applied, and encoded again for the same.
func FuzzDecode(f *testing.F) {
	for _, in := range faulty {
		f.Add([]byte(in))
	}
	f.Add([]byte(`{"_is_diff":true,"a":{"00000000-0000-4000-8000-000000000001":{"m":["map",[["x",1]]],"n":1,"s":["set",[1,2,3]]}}}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		snap := store.NewSnapshot(parse(t))
		d, err := Decode(snap, in)
		if err != nil {
			return
		}
		rows := dump(snap.Apply(d))
		body := Encode(d)
		if body == nil {
			return
		}
		if d, err = Decode(snap, body); err != nil || dump(snap.Apply(d)) != rows {
			t.Fatalf("%s became %s: %v", in, body, err)
		}
	})
}

// BenchmarkDecode reads a whole database of 15,000 rows.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"a":{`)
	for i := range 15000 {
		if i > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `"00000000-0000-4000-8000-%012x":{"n":%d,"m":["map",[["x",1],["y",2]]],"s":["set",[1,2,3]]}`, i, i)
	}
	body = append(body, '}', '}')
	snap := store.NewSnapshot(parse(b))
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := Decode(snap, body)
		if err != nil || snap.Apply(d).Len(snap.Schema().Table("a")) != 15000 {
			b.Fatal("rows are missing", err)
		}
	}
}

func TestRing(t *testing.T) {
	snap := store.NewSnapshot(parse(t))
	r := New(3, 1<<20)
	r.Reset(atom.UUID{1})
	for i := range 4 {
		res := run(t, snap, fmt.Sprintf(`{"op":"insert","table":"a","uuid":"00000000-0000-4000-8000-00000000000%d","row":{"n":%d,"s":1}}`, i, i))
		snap = res.Next
		r.Add(atom.UUID{byte(i + 2)}, res.Delta)
	}
	rows := func(id byte) string {
		d, ok := r.Since(atom.UUID{id})
		if !ok {
			return "not found"
		}
		n := 0
		for _, td := range d.Tables {
			n += len(td.Rows)
		}
		return fmt.Sprint(n)
	}
	// Four entries, of which three are kept: what the first led to is known still.
	for id, want := range map[byte]string{0: "not found", 1: "not found", 2: "3", 3: "2", 4: "1", 5: "0", 6: "not found"} {
		if got := rows(id); got != want {
			t.Errorf("since %d: %s, want %s", id, got, want)
		}
	}
	// A row that comes and goes is no change.
	res := run(t, snap, `{"op":"delete","table":"a","where":[["n","==",3]]}`)
	r.Add(atom.UUID{9}, res.Delta)
	if got := rows(4); got != "0" {
		t.Errorf("come and gone: %s", got)
	}
	// What counts is the memory that old rows take, not what changed of them.
	snap = run(t, store.NewSnapshot(parse(t)), `{"op":"insert","table":"a","row":{"s":1}}`).Next
	const limit = 40_000
	r = New(1000, limit)
	for i := range 200 {
		res := run(t, snap, fmt.Sprintf(`{"op":"mutate","table":"a","where":[],"mutations":[["m","insert",["map",[["key %d",1]]]]]}`, i))
		snap = res.Next
		r.Add(atom.UUID{1, byte(i)}, res.Delta)
		if r.Size() > limit || r.Len() == 0 {
			t.Fatalf("%d entries, %d bytes", r.Len(), r.Size())
		}
	}
	if r.Len() > 10 || r.Last() != (atom.UUID{1, 199}) {
		t.Errorf("%d entries, %d bytes", r.Len(), r.Size())
	}
}

// TestWeak: weak references go with the rows that a record deletes, also where
// it does not say so.
func TestWeak(t *testing.T) {
	s, err := schema.Parse([]byte(`{"name":"db","version":"1.0.0","tables":{
		"a":{"isRoot":true,"columns":{"n":{"type":"integer"},
			"w":{"type":{"key":{"type":"uuid","refTable":"b","refType":"weak"},"min":0,"max":"unlimited"}},
			"m":{"type":{"key":"string","value":{"type":"uuid","refTable":"a","refType":"weak"},"min":0,"max":"unlimited"}},
			"x":{"type":{"key":{"type":"uuid","refTable":"a","refType":"weak"},"min":0,"max":1}},
			"one":{"type":{"key":{"type":"uuid","refTable":"b","refType":"weak"},"min":1,"max":2}}}},
		"b":{"isRoot":true,"columns":{"n":{"type":"integer"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	const first = `{"b":{"10000000-0000-4000-8000-00000000000b":{},"20000000-0000-4000-8000-00000000000b":{}},
		"a":{"10000000-0000-4000-8000-00000000000a":{"n":1,"one":["uuid","20000000-0000-4000-8000-00000000000b"],
			"w":["set",[["uuid","10000000-0000-4000-8000-00000000000b"],["uuid","20000000-0000-4000-8000-00000000000b"]]],
			"m":["map",[["k",["uuid","10000000-0000-4000-8000-00000000000a"]],["l",["uuid","20000000-0000-4000-8000-00000000000a"]]]],
			"x":["uuid","20000000-0000-4000-8000-00000000000a"]},
		"20000000-0000-4000-8000-00000000000a":{"n":2,"one":["uuid","20000000-0000-4000-8000-00000000000b"]}}}`
	for _, c := range []struct{ rec, want string }{
		{`{"_is_diff":true,"b":{"10000000-0000-4000-8000-00000000000b":null},"a":{"10000000-0000-4000-8000-00000000000a":{"n":7}}}`,
			`n=7 w=[20000000-0000-4000-8000-00000000000b] m={k=10000000-0000-4000-8000-00000000000a, l=20000000-0000-4000-8000-00000000000a} x=20000000-0000-4000-8000-00000000000a`},
		{`{"_is_diff":true,"b":{"10000000-0000-4000-8000-00000000000b":null}}`,
			`n=1 w=[20000000-0000-4000-8000-00000000000b] m={k=10000000-0000-4000-8000-00000000000a, l=20000000-0000-4000-8000-00000000000a} x=20000000-0000-4000-8000-00000000000a`},
		{`{"_is_diff":true,"a":{"20000000-0000-4000-8000-00000000000a":null}}`,
			`n=1 w=[10000000-0000-4000-8000-00000000000b, 20000000-0000-4000-8000-00000000000b] m={k=10000000-0000-4000-8000-00000000000a} x=[]`},
		{`{"_is_diff":true,"a":{"10000000-0000-4000-8000-00000000000a":{"w":["uuid","30000000-0000-4000-8000-00000000000b"]}}}`,
			`n=1 w=[10000000-0000-4000-8000-00000000000b, 20000000-0000-4000-8000-00000000000b] m={k=10000000-0000-4000-8000-00000000000a, l=20000000-0000-4000-8000-00000000000a} x=20000000-0000-4000-8000-00000000000a`},
		// A column that must not be empty keeps what it has.
		{`{"b":{"20000000-0000-4000-8000-00000000000b":null}}`,
			`n=1 w=[10000000-0000-4000-8000-00000000000b] m={k=10000000-0000-4000-8000-00000000000a, l=20000000-0000-4000-8000-00000000000a} x=20000000-0000-4000-8000-00000000000a`},
	} {
		snap := store.NewSnapshot(s)
		for _, rec := range []string{first, c.rec} {
			d, err := Decode(snap, []byte(rec))
			if err != nil {
				t.Fatal(err)
			}
			snap = snap.Apply(d)
		}
		var got []string
		a := s.Table("a")
		u, _ := atom.Parse("10000000-0000-4000-8000-00000000000a")
		row := snap.Row(a, u)
		for _, name := range []string{"n", "w", "m", "x"} {
			got = append(got, name+"="+row.Get(a.Column(name)).Text(&a.Column(name).Type))
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.rec, got, c.want)
		}
		if row.Get(a.Column("one")).Len() != 1 {
			t.Errorf("%s: the column that must not be empty is", c.rec)
		}
	}
}
