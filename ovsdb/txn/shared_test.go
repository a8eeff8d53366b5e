package txn

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// TestExecuteOn runs random transactions twice: each on the snapshot that the one
// before gave, and many on one Edit. Replies and rows are the same, transactions
// that fail leave nothing behind, and earlier versions stay as they were.
func TestExecuteOn(t *testing.T) {
	s, err := schema.Parse(bytes.Replace(readSchema(t), []byte(`"maxRows": 3`), []byte(`"maxRows": 30`), 1))
	if err != nil {
		t.Fatal(err)
	}
	g := &gen{Rand: rand.New(rand.NewPCG(uint64(*seedFlag), 5))}
	// Ids of versions and rows, the same for both.
	env := func(n int) Env {
		ids := uint64(n) << 32
		return Env{Now: time.Unix(1000, 0), NewUUID: func() (u atom.UUID) {
			ids++
			binary.BigEndian.PutUint64(u[:], 1<<63|ids)
			return u
		}}
	}
	alone := store.NewSnapshot(s)
	published := alone
	edit := published.Edit()
	failed := 0
	for i := range 3000 {
		v, err := json.Parse([]byte(g.transaction()))
		if err != nil {
			t.Fatal(err)
		}
		tx := Parse(s, v)
		want, got := tx.Execute(alone, env(i)), tx.ExecuteOn(edit, env(i))
		x, y := strip(string(got.Reply), tx.Len()), strip(string(want.Reply), tx.Len())
		if x != y || (got.Delta == nil) != (want.Delta == nil) {
			t.Fatalf("%s\non an Edit       %s\non a snapshot    %s", v.Raw(), got.Reply, want.Reply)
		}
		if want.Err != nil {
			failed++
		}
		alone = want.Next
		if i%10 == 0 {
			same(t, alone, &edit.Snapshot)
		}
		if g.IntN(20) == 0 {
			before := published
			published = edit.Done()
			check(t, published)
			edit = published.Edit()
			checkKept(t, before)
		}
	}
	if failed < 300 || failed > 2700 {
		t.Errorf("%d of 3000 transactions failed", failed)
	}
}

// checkKept looks whether a version's rows, indexes and counts agree.
func checkKept(t *testing.T, s *store.Snapshot) {
	t.Helper()
	for _, tab := range s.Schema().Tables {
		n := 0
		for r := range s.Rows(tab) {
			n++
			if s.Row(tab, r.UUID) != r {
				t.Fatal("a row is not where its UUID says")
			}
			for i := range tab.Indexes {
				if other := s.Duplicate(tab, i, r); other != nil {
					t.Fatalf("%s is like %s in an index", r.UUID, other.UUID)
				}
			}
		}
		if n != s.Len(tab) {
			t.Fatalf("%d rows, not %d", n, s.Len(tab))
		}
	}
}

// same compares two versions.
func same(t *testing.T, a, b *store.Snapshot) {
	t.Helper()
	for _, tab := range a.Schema().Tables {
		if a.Len(tab) != b.Len(tab) {
			t.Fatalf("%d rows and %d in %s", a.Len(tab), b.Len(tab), tab.Name)
		}
		for r := range a.Rows(tab) {
			o := b.Row(tab, r.UUID)
			if o == nil || !o.Equal(r) || o.Version != r.Version {
				t.Fatalf("row %s of %s is not the same", r.UUID, tab.Name)
			}
			if x, y := a.StrongRefs(tab, r.UUID), b.StrongRefs(tab, r.UUID); x != y {
				t.Fatalf("row %s of %s has %d references and %d", r.UUID, tab.Name, x, y)
			}
		}
	}
}
