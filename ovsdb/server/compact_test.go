package server

import (
	"strings"
	"testing"
	"time"

	"govs/ovsdb/storage/file"
	"govs/schema/vswitch"
)

func TestCompactionDue(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		base, bytes int64
		records     int
		age         time.Duration
		want        bool
	}{
		{0, 1 << 30, 99, time.Hour, false},
		{0, 9 << 20, 100, time.Hour, false},
		{0, 11 << 20, 100, time.Hour, true},
		{0, 11 << 20, 100, time.Minute, false},
		{0, 41 << 20, 100, time.Minute, true},
		{100 << 20, 90 << 20, 1000, time.Hour, false},
		{100 << 20, 110 << 20, 1000, time.Hour, true},
		{100 << 20, 1, 100, 25 * time.Hour, true},
	} {
		l := logState{base: c.base, bytes: c.bytes, records: c.records, when: now.Add(-c.age)}
		if got := l.due(now); got != c.want {
			t.Errorf("%+v: due is %v", c, got)
		}
	}
}

// TestCompactsItself: a database that is written again and again does not grow
// without bound, and loses nothing.
func TestCompactsItself(t *testing.T) {
	path := t.TempDir() + "/conf.db"
	if err := file.Create(path, vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	compacted := make(chan error, 100)
	s := New(Config{Events: Events{Compacted: func(_ string, _ time.Duration, err error) { compacted <- err }}})
	defer func() { s.Close() }()
	if err := s.OpenDatabase(path); err != nil {
		t.Fatal(err)
	}
	db := s.Database("Open_vSwitch")
	transact := func(ops string) {
		t.Helper()
		if _, err := db.Transact([]byte(`["Open_vSwitch",` + ops + `]`)); err != nil {
			t.Fatal(err)
		}
	}
	transact(`{"op":"insert","table":"QoS","row":{}}`)
	big := strings.Repeat("x", 1<<18)
	last := ""
	for i := 0; len(compacted) == 0; i++ {
		if i > 1000 {
			t.Fatal("no compaction")
		}
		last = big + string(rune('a'+i%26))
		transact(`{"op":"update","table":"QoS","where":[],"row":{"type":"` + last + `"}}`)
	}
	if err := <-compacted; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if size := db.engine.Size(); size > 40<<20 {
		t.Errorf("the file has %d bytes", size)
	}
	s = New(Config{})
	if err := s.OpenDatabase(path); err != nil {
		t.Fatal(err)
	}
	b, err := s.Database("Open_vSwitch").Transact([]byte(`["Open_vSwitch",{"op":"select","table":"QoS","where":[],"columns":["type"]}]`))
	if err != nil || string(b) != `[{"rows":[{"type":"`+last+`"}]}]` {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
