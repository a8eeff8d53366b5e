package history

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
	"govs/schema/vswitch"
)

// wholeBody is the record of a database of n bridges, each of three rows.
func wholeBody(n int) []byte {
	type ids struct{ b, p, i atom.UUID }
	list := make([]ids, n)
	b := []byte(`{"_is_diff":true,"Bridge":{`)
	for k := range list {
		list[k] = ids{atom.New(), atom.New(), atom.New()}
		b = fmt.Appendf(b, `"%s":{"name":"b%d","datapath_type":"netdev","ports":["uuid","%s"]},`, list[k].b, k, list[k].p)
	}
	b = append(b[:len(b)-1], `},"Port":{`...)
	for k := range list {
		b = fmt.Appendf(b, `"%s":{"name":"b%d","tag":7,"interfaces":["uuid","%s"]},`, list[k].p, k, list[k].i)
	}
	b = append(b[:len(b)-1], `},"Interface":{`...)
	for k := range list {
		b = fmt.Appendf(b, `"%s":{"name":"b%d","type":"internal","external_ids":["map",[["attached-mac","52:54:00:12:34:56"],["iface-id","0f0e0d0c-%d"],["iface-status","active"]]]},`, list[k].i, k, k)
	}
	b = append(b[:len(b)-1], `},"Open_vSwitch":{`...)
	b = fmt.Appendf(b, `"%s":{"next_cfg":1,"bridges":["set",[`, atom.New())
	for k := range list {
		b = fmt.Appendf(b, `["uuid","%s"],`, list[k].b)
	}
	return append(b[:len(b)-1], `]]}}}`...)
}

// oneByOne is what DecodeWhole does, done the other way.
func oneByOne(t testing.TB, s *schema.Schema, body []byte) *store.Snapshot {
	t.Helper()
	d, err := Decode(store.NewSnapshot(s), body)
	if err != nil {
		t.Fatal(err)
	}
	return store.NewSnapshot(s).Apply(d)
}

// TestDecodeWhole compares with rows that are set one by one, in all that a
// snapshot can be asked.
func TestDecodeWhole(t *testing.T) {
	s, derr := schema.Parse(vswitch.JSON())
	if derr != nil {
		t.Fatal(derr)
	}
	body := wholeBody(2000)
	got, want := DecodeWhole(s, body), oneByOne(t, s, body)
	if got == nil {
		t.Fatal("it was not decoded")
	}
	for _, tab := range s.Tables {
		if got.Len(tab) != want.Len(tab) {
			t.Errorf("%s: %d rows instead of %d", tab.Name, got.Len(tab), want.Len(tab))
		}
		sliced := 0
		for _, part := range got.Slices(tab) {
			for range part.Rows() {
				sliced++
			}
		}
		if sliced != want.Len(tab) {
			t.Errorf("%s: %d rows in slices instead of %d", tab.Name, sliced, want.Len(tab))
		}
		for row := range want.Rows(tab) {
			r := got.Row(tab, row.UUID)
			if r == nil || !r.Equal(row) || r.Version.Zero() {
				t.Fatalf("%s: row %s is %v", tab.Name, row.UUID, r)
			}
			if a, b := got.StrongRefs(tab, row.UUID), want.StrongRefs(tab, row.UUID); a != b {
				t.Errorf("%s: row %s has %d references instead of %d", tab.Name, row.UUID, a, b)
			}
			for i, cols := range tab.Indexes {
				var key []data.Datum
				for _, c := range cols {
					key = append(key, row.Get(c))
				}
				n := 0
				for found := range got.Lookup(tab, i, key) {
					if n++; found != r {
						t.Errorf("%s: index %d finds another row", tab.Name, i)
					}
				}
				if n != 1 {
					t.Errorf("%s: index %d finds %d rows", tab.Name, i, n)
				}
			}
		}
	}
	// A later change goes on from there.
	tab := s.Table("Bridge")
	for row := range want.Rows(tab) {
		e := got.Edit()
		e.Set(tab, row.UUID, nil)
		if next := e.Done(); next.Len(tab) != got.Len(tab)-1 || next.StrongRefs(s.Table("Port"), row.Get(tab.Column("ports")).Key(0).UUID()) != 0 {
			t.Error("a row that was removed left something")
		}
		break
	}
}

// TestDecodeWholeRefuses gives it what is for Decode to judge.
func TestDecodeWholeRefuses(t *testing.T) {
	s, derr := schema.Parse(vswitch.JSON())
	if derr != nil {
		t.Fatal(derr)
	}
	good := string(wholeBody(2000))
	for name, body := range map[string]string{
		"cut short":        good[:len(good)-1],
		"garbage behind":   good + "x",
		"unknown column":   strings.Replace(good, `"tag"`, `"gat"`, 1),
		"unknown table":    strings.Replace(good, `"Port"`, `"Tropx"`, 1),
		"wrong type":       strings.Replace(good, `"tag":7`, `"tag":"x"`, 1),
		"bad UUID":         strings.Replace(good, `"Port":{"`, `"Port":{"x`, 1),
		"deleted row":      strings.Replace(good, `{"name":"b7","tag":7,`, `null,"`, 1),
		"a missing comma":  strings.Replace(good, `]},"`, `]}"`, 1),
		"a row twice":      strings.Replace(good, `"Port":{`, `"Port":{"00000000-0000-4000-8000-000000000000":{},"00000000-0000-4000-8000-000000000000":{},`, 1),
		"an open bracket":  strings.Replace(good, `"map",[[`, `"map",[[[`, 1),
		"too many members": strings.Replace(good, `"tag":7`, `"tag":["set",[1,2]]`, 1),
	} {
		if body == good {
			t.Fatal(name, "changes nothing")
		}
		if DecodeWhole(s, []byte(body)) != nil {
			t.Errorf("%s was decoded", name)
		}
	}
}

// FuzzDecodeWhole looks for records that the two ways read differently.
func FuzzDecodeWhole(f *testing.F) {
	s, derr := schema.Parse(vswitch.JSON())
	if derr != nil {
		f.Fatal(derr)
	}
	f.Add(wholeBody(3))
	f.Add([]byte(`{"_date":1,"Port":{"00000000-0000-4000-8000-000000000000":{"name":"\u0041","tag":["set",[]]}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := decodeWhole(s, body)
		if got == nil {
			return
		}
		want := oneByOne(t, s, body)
		for _, tab := range s.Tables {
			if got.Len(tab) != want.Len(tab) {
				t.Fatalf("%s: %d rows instead of %d", tab.Name, got.Len(tab), want.Len(tab))
			}
			for row := range want.Rows(tab) {
				if r := got.Row(tab, row.UUID); r == nil || !r.Equal(row) {
					t.Fatalf("%s: row %s is %v", tab.Name, row.UUID, r)
				}
			}
		}
	})
}

// BenchmarkLoad reads the record of a database of 100,000 rows, and tells what a
// row takes in memory.
func BenchmarkLoad(b *testing.B) {
	s, derr := schema.Parse(vswitch.JSON())
	if derr != nil {
		b.Fatal(derr)
	}
	body := wholeBody(33333)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var snap *store.Snapshot
	b.ReportAllocs()
	for b.Loop() {
		if snap = DecodeWhole(s, body); snap == nil {
			b.Fatal("not decoded")
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/99999, "bytes/row")
	b.ReportMetric(float64(len(body))/99999, "JSON-bytes/row")
	runtime.KeepAlive(snap)
	runtime.KeepAlive(body)
}
