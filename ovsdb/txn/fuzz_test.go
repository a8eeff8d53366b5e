package txn

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
)

// FuzzTransact runs arbitrary params on a small database: nothing panics, and the
// reply is JSON with a result for each operation, and one more at the most.
func FuzzTransact(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "[") {
				f.Add([]byte(strings.TrimSpace(line)))
			}
		}
	}
	s, err := schema.Parse(readSchema(f))
	if err != nil {
		f.Fatal(err)
	}
	base := &ours{store.New(s)}
	base.transact(`["T",{"op":"insert","table":"A","row":{"name":"z","i":1,"si":["set",[1,2]],"m":["map",[["k",1]]],"child":["named-uuid","b"],"weak":["named-uuid","b"]}},{"op":"insert","table":"B","row":{"n":3},"uuid-name":"b"},{"op":"insert","table":"X","row":{"oi":4}}]`)
	start := base.db.Snapshot()
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := json.Parse(in)
		if err != nil {
			return
		}
		now := time.Unix(1000, 0)
		tx := Parse(s, v)
		res := tx.Execute(start, Env{Now: now})
		if res.Wait != nil {
			return
		}
		r, err := json.Parse(res.Reply)
		if err != nil || r.Kind() != json.Array || r.Len() < tx.Len() || r.Len() > tx.Len()+1 {
			t.Fatalf("%d operations, reply %s: %v", tx.Len(), res.Reply, err)
		}
		if res.Err != nil && res.Delta != nil {
			t.Fatalf("an error and a change: %v", res.Err)
		}
		check(t, res.Next)
	})
}

// check looks for strong references to nothing, and weak ones.
func check(t testing.TB, s *store.Snapshot) {
	for _, tab := range s.Schema().Tables {
		for r := range s.Rows(tab) {
			for _, c := range slices.Concat(tab.Strong, tab.Weak) {
				for k, v := range r.Get(c).Pairs() {
					if to := c.Type.Key.RefTable; to != nil && s.Row(to, k.UUID()) == nil {
						t.Fatalf("%s %s: %s refers to nothing", tab.Name, r.UUID, c.Name)
					}
					if to := c.Type.Value.RefTable; to != nil && s.Row(to, v.UUID()) == nil {
						t.Fatalf("%s %s: %s refers to nothing", tab.Name, r.UUID, c.Name)
					}
				}
			}
			if !tab.IsRoot && s.StrongRefs(tab, r.UUID) == 0 {
				t.Fatalf("%s %s: nothing refers to it", tab.Name, r.UUID)
			}
		}
	}
}
