package monitor

import (
	"fmt"
	"testing"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
	"govs/schema/vswitch"
)

// interfaces is a snapshot with n interfaces, and a change of the first one
func interfaces(b *testing.B, n int) (snap *store.Snapshot, d *store.Delta) {
	b.Helper()
	s, derr := schema.Parse(vswitch.JSON())
	if derr != nil {
		b.Fatal(derr)
	}
	t := s.Table("Interface")
	ids := func(k int) data.Datum {
		return data.Map(data.Pair{Key: atom.Str("attached-mac"), Value: atom.Str("52:54:00:12:34:56")},
			data.Pair{Key: atom.Str("iface-id"), Value: atom.Str(fmt.Sprintf("0f0e0d0c-%d", k))})
	}
	rows := make([][]*store.Row, len(s.Tables))
	for k := range n {
		rows[t.Index] = append(rows[t.Index], store.MakeRow(t, atom.New(), atom.New(), []store.Value{
			{Column: t.Column("name"), Datum: data.One(atom.Str(fmt.Sprintf("vnet%d", k)))},
			{Column: t.Column("type"), Datum: data.One(atom.Str("internal"))},
			{Column: t.Column("external_ids"), Datum: ids(k)},
		}))
	}
	snap = store.Build(s, rows)
	old := rows[t.Index][0]
	next := old.With(store.Value{Column: t.Column("external_ids"), Datum: ids(n)})
	next.Touch(atom.New())
	d = &store.Delta{Tables: []store.TableDelta{{Table: t, Rows: []store.Change{store.NewChange(t, old.UUID, old, next)}}}}
	return snap, d
}

// kinds are what the benchmarks ask for.
var kinds = []struct {
	name string
	v    Version
	own  bool // a condition of its own for each, which every row meets
}{{"same columns", V2, false}, {"own conditions", V2, true}, {"version 1", V1, false}}

func monitors(b *testing.B, s *schema.Schema, n int, v Version, own bool) []*Monitor {
	b.Helper()
	var out []*Monitor
	for k := range n {
		text := `{"Interface":[{}]}`
		if own {
			text = fmt.Sprintf(`{"Interface":[{"where":[["name","!=","none%d"]]}]}`, k)
		}
		req, err := json.Parse([]byte(text))
		if err != nil {
			b.Fatal(err)
		}
		m, derr := Parse(s, v, req)
		if derr != nil {
			b.Fatal(derr)
		}
		out = append(out, m)
	}
	return out
}

// BenchmarkUpdates encodes the change of one row for 50 monitors.
func BenchmarkUpdates(b *testing.B) {
	snap, d := interfaces(b, 1)
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) {
			list := monitors(b, snap.Schema(), 50, k.v, k.own)
			b.ReportAllocs()
			for b.Loop() {
				e := NewEncoding(d)
				for _, m := range list {
					if e.Updates(m) == nil {
						b.Fatal("nothing to say")
					}
				}
			}
		})
	}
}

// BenchmarkInitial makes the first replies of 10,000 rows for 20 monitors, with
// nothing at hand.
func BenchmarkInitial(b *testing.B) {
	snap, _ := interfaces(b, 10_000)
	for _, k := range kinds {
		for _, n := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/%d", k.name, n), func(b *testing.B) {
				list := monitors(b, snap.Schema(), n, k.v, k.own)
				b.ReportAllocs()
				for b.Loop() {
					blocks := NewBlocks()
					for _, m := range list {
						if len(blocks.Initial(m, snap)) < 10 {
							b.Fatal("too little")
						}
					}
				}
			})
		}
	}
}
