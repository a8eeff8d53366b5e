package store

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

const testSchema = `{"name":"D","tables":{
 "T":{"indexes":[["name"],["a","b"]],"columns":{
  "name":{"type":"string"},"a":{"type":"integer"},"b":{"type":"integer"},"e":{"type":"integer","ephemeral":true},
  "s":{"type":{"key":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}},
  "w":{"type":{"key":{"type":"uuid","refTable":"T","refType":"weak"},"min":0,"max":"unlimited"}},
  "m":{"type":{"key":"integer","value":{"type":"uuid","refTable":"T"},"min":0,"max":"unlimited"}},
  "si":{"type":{"key":"integer","min":0,"max":"unlimited"}}}}}}`

func newSchema(t testing.TB, text string) *schema.Schema {
	t.Helper()
	s, err := schema.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestModel makes random changes, and compares every version with a plain map of
// the rows, its indexes and counts worked out anew.
func TestModel(t *testing.T) {
	s := newSchema(t, testSchema)
	tab := s.Table("T")
	col := tab.Column
	g := rand.New(rand.NewPCG(7, 7))
	id := func() atom.UUID {
		n := byte(1 + g.IntN(40))
		if n%2 == 0 {
			return atom.UUID{15: n} // alike in the bits that are hashed
		}
		return atom.UUID{0: n, 5: n * 7}
	}
	refs := func() data.Datum {
		var a []atom.Atom
		for range g.IntN(4) {
			a = append(a, atom.ID(id()))
		}
		return data.Set(a...)
	}
	type version struct {
		snap *Snapshot
		rows map[atom.UUID]*Row
	}
	model := map[atom.UUID]*Row{}
	db := New(s)
	var kept []version
	for step := range 1500 {
		e := db.Snapshot().Edit()
		for range 1 + g.IntN(4) {
			u := id()
			row := model[u]
			switch {
			case row != nil && g.IntN(3) == 0:
				delete(model, u)
				e.Set(tab, u, nil)
				continue
			case row == nil:
				row = NewRow(tab, u)
			}
			var pairs []data.Pair
			for i := range g.IntN(3) {
				pairs = append(pairs, data.Pair{Key: atom.Int(int64(i)), Value: atom.ID(id())})
			}
			row = row.With(
				Value{col("name"), data.One(atom.Str(fmt.Sprint(g.IntN(9))))},
				Value{col("a"), data.One(atom.Int(int64(g.IntN(3))))},
				Value{col("b"), data.One(atom.Int(int64(g.IntN(3))))},
				Value{col("s"), refs()}, Value{col("w"), refs()}, Value{col("m"), data.Map(pairs...)})
			row.Touch(atom.New())
			model[u] = row
			e.Set(tab, u, row)
		}
		db.Publish(e.Done())
		if step%50 == 0 {
			kept = append(kept, version{db.Snapshot(), maps.Clone(model)})
		}
	}
	kept = append(kept, version{db.Snapshot(), model})
	for i, v := range kept {
		compare(t, fmt.Sprintf("version %d", i), tab, v.snap, v.rows)
	}
}

func compare(t *testing.T, name string, tab *schema.Table, s *Snapshot, rows map[atom.UUID]*Row) {
	t.Helper()
	if s.Len(tab) != len(rows) {
		t.Fatalf("%s: %d rows, want %d", name, s.Len(tab), len(rows))
	}
	n := 0
	for r := range s.Rows(tab) {
		if rows[r.UUID] != r || s.Row(tab, r.UUID) != r {
			t.Fatalf("%s: row %s is another", name, r.UUID)
		}
		n++
	}
	if n != len(rows) {
		t.Fatalf("%s: %d rows come", name, n)
	}
	strong := map[atom.UUID]int{}
	weak := map[[2]atom.UUID]bool{}
	for u, r := range rows {
		for _, c := range []string{"s", "m"} {
			for k, v := range r.Get(tab.Column(c)).Pairs() {
				to := k
				if c == "m" {
					to = v
				}
				if to.UUID() != u {
					strong[to.UUID()]++
				}
			}
		}
		for k := range r.Get(tab.Column("w")).Keys() {
			weak[[2]atom.UUID{k.UUID(), u}] = true
		}
	}
	for i := 1; i < 256; i++ {
		for _, u := range []atom.UUID{{15: byte(i)}, {0: byte(i), 5: byte(i) * 7}} {
			if got := s.StrongRefs(tab, u); got != strong[u] {
				t.Fatalf("%s: %d strong references to %s, want %d", name, got, u, strong[u])
			}
			for _, source := range s.WeakRefs(tab, u) {
				if !weak[[2]atom.UUID{u, source}] {
					t.Fatalf("%s: a weak reference too many", name)
				}
				delete(weak, [2]atom.UUID{u, source})
			}
		}
	}
	if len(weak) != 0 {
		t.Fatalf("%s: %d weak references are missing", name, len(weak))
	}
	for i, cols := range tab.Indexes {
		for _, r := range rows {
			var key []data.Datum
			for _, c := range cols {
				key = append(key, r.Get(c))
			}
			want := 0
			for _, o := range rows {
				same := true
				for j, c := range cols {
					same = same && o.Get(c).Equal(key[j])
				}
				if same {
					want++
				}
			}
			got := 0
			for o := range s.Lookup(tab, i, key) {
				if rows[o.UUID] != o {
					t.Fatalf("%s: the index finds a row that is gone", name)
				}
				got++
			}
			if got != want {
				t.Fatalf("%s: index %d finds %d rows, want %d", name, i, got, want)
			}
		}
	}
}

// TestWideTable has more columns than fit one word.
func TestWideTable(t *testing.T) {
	text := `{"name":"D","tables":{"T":{"columns":{`
	for i := range 130 {
		if i > 0 {
			text += ","
		}
		text += fmt.Sprintf(`"c%03d":{"type":"integer"}`, i)
	}
	tab := newSchema(t, text+"}}}}").Table("T")
	r := NewRow(tab, atom.UUID{1})
	for i := range 130 {
		c := tab.Column(fmt.Sprintf("c%03d", i))
		n := r.With(Value{c, data.One(atom.Int(int64(i + 1)))})
		if n.Get(c).Key(0).Int() != int64(i+1) || r.Get(c).Key(0).Int() != 0 {
			t.Fatalf("column %d", i)
		}
		ch := NewChange(tab, n.UUID, r, n)
		if ch.Changed.Len() != 1 || !ch.Changed.Has(c) || ch.Changed.Empty() {
			t.Fatalf("column %d: change %+v", i, ch.Changed)
		}
		ins := NewChange(tab, n.UUID, nil, n)
		if ins.Changed.Len() != i+1 {
			t.Fatalf("insertion with %d columns: %d", i+1, ins.Changed.Len())
		}
		if !ch.Changed.Intersects(&ins.Changed) || !n.Equal(n.With()) || n.Equal(r) {
			t.Fatal("sets of columns")
		}
		r = n
	}
}

// TestNumberedRows: UUIDs that a client counted up spread as well as others.
func TestNumberedRows(t *testing.T) {
	s := newSchema(t, testSchema)
	tab := s.Table("T")
	e := NewSnapshot(s).Edit()
	for i := range 4096 {
		u := atom.UUID{14: byte(i >> 8), 15: byte(i)}
		e.Set(tab, u, NewRow(tab, u))
	}
	snap := e.Done()
	var depth func(n *node[*Row]) int
	depth = func(n *node[*Row]) int {
		d := 0
		for _, k := range n.kid {
			d = max(d, depth(k))
		}
		return d + 1
	}
	if d := depth(snap.tables[tab.Index].rows.root); d > 8 || snap.Len(tab) != 4096 {
		t.Errorf("%d rows, %d levels", snap.Len(tab), d)
	}
}

func BenchmarkSet(b *testing.B) {
	tab := newSchema(b, testSchema).Table("T")
	e := NewSnapshot(newSchema(b, testSchema)).Edit()
	var ids []atom.UUID
	for i := range 100000 {
		u := atom.New()
		ids = append(ids, u)
		e.Set(tab, u, NewRow(tab, u).With(Value{tab.Column("name"), data.One(atom.Str(u.String()))}, Value{tab.Column("b"), data.One(atom.Int(int64(i)))}))
	}
	s := e.Done()
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		u := ids[i%len(ids)]
		i++
		e := s.Edit()
		e.Set(tab, u, s.Row(tab, u).With(Value{tab.Column("a"), data.One(atom.Int(int64(i)))}))
		s = e.Done()
	}
}
