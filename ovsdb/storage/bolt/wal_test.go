package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govs/ovsdb/storage"
)

// crashed makes the files that a killed process leaves: a database with two
// records, and a log with three frames of two.
func crashed(t testing.TB) (db, wal []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := Create(path, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 4 {
		recs := []storage.Record{{Body: fmt.Append(nil, 2*i)}, {Body: fmt.Append(nil, 2*i+1)}}
		if _, err := e.Append(recs, i%2 == 0); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			e.mu.Lock()
			err := e.checkpoint()
			e.mu.Unlock()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	e.mu.Lock() // no checkpoint meanwhile
	defer e.mu.Unlock()
	if db, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	if wal, err = os.ReadFile(path + ".wal"); err != nil {
		t.Fatal(err)
	}
	return db, wal[:e.end] // zeros follow
}

// records opens the files and counts the records, which must be in order.
func records(t *testing.T, open func(string) (storage.Engine, error), db, wal []byte) int {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, db, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	n := 0
	for r, err := range e.Load() {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Body) != fmt.Sprint(n) || r.Seq != uint64(n+1) {
			t.Fatalf("record %d is number %d, %q", n, r.Seq, r.Body)
		}
		n++
	}
	return n
}

// TestLog opens what a crash leaves, the log cut at each length.
func TestLog(t *testing.T) {
	db, wal := crashed(t)
	for _, open := range []func(string) (storage.Engine, error){open, OpenReadOnly} {
		last := 0
		for n := 0; n <= len(wal); n += 7 {
			got := records(t, open, db, wal[:n])
			if got < last || got%2 != 0 || got < 2 {
				t.Fatalf("%d records with %d bytes of the log, %d with less", got, n, last)
			}
			last = got
		}
		if got := records(t, open, db, wal); got != 8 {
			t.Fatalf("%d records", got)
		}
		// A log of another database does not count, nor do zeros.
		_, other := crashed(t)
		if got := records(t, open, db, other); got != 2 {
			t.Fatalf("%d records with the log of another database", got)
		}
		if got := records(t, open, db, bytes.Repeat([]byte{0}, 4096)); got != 2 {
			t.Fatalf("%d records with a log of zeros", got)
		}
	}
}

// TestLogDamage: damage with frames behind it is an error that leaves the files
// alone, damage of the last frame is as if it had not been written, and said.
func TestLogDamage(t *testing.T) {
	db, wal := crashed(t)
	var starts []int // of the frames that are not in bbolt; the first is overwritten
	id := func() []byte {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, db, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		return e.id
	}()
	for at := 0; ; {
		n, _, _, ok := parseFrame(wal[at:], id)
		if !ok {
			break
		}
		starts = append(starts, at)
		at += n
	}
	if len(starts) != 3 {
		t.Fatalf("frames at %v", starts)
	}
	starts = append(starts, len(wal))
	write := func(wal []byte) string {
		path := filepath.Join(t.TempDir(), "x.db")
		for name, b := range map[string][]byte{path: db, path + ".wal": wal} {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	for at := range wal {
		bad := bytes.Clone(wal)
		bad[at] ^= 0x40
		path := write(bad)
		want := fmt.Sprintf("is damaged at offset %d:", starts[0])
		if at >= starts[1] {
			want = fmt.Sprintf("is damaged at offset %d:", starts[1])
		}
		if at >= starts[2] {
			if got := records(t, open, db, bad); got != 6 {
				t.Fatalf("byte %d of the last frame: %d records", at, got)
			}
			continue
		}
		for name, open := range map[string]func(string) (storage.Engine, error){"Open": open, "OpenReadOnly": OpenReadOnly} {
			_, err := open(path)
			if !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), want) {
				t.Fatalf("byte %d: %s: %v", at, name, err)
			}
		}
		left, err := os.ReadFile(path + ".wal")
		if err != nil || !bytes.Equal(left, bad) {
			t.Fatalf("byte %d: the log was changed: %v", at, err)
		}
		if left, err = os.ReadFile(path); err != nil || !bytes.Equal(left, db) {
			t.Fatalf("byte %d: the database was changed: %v", at, err)
		}
	}
	for _, c := range []struct {
		wal  []byte
		torn bool
	}{{wal, false}, {wal[:starts[2]], false}, {wal[:starts[2]+20], true}, {wal[:starts[1]+4], true}, {append(bytes.Clone(wal), make([]byte, 100)...), false}} {
		e, err := Open(write(c.wal))
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Warnings(); (len(got) == 1) != c.torn {
			t.Errorf("a log of %d bytes: warnings %q", len(c.wal), got)
		}
		e.Close()
	}
}

// FuzzLog reads damaged logs: records that are right, or an error.
func FuzzLog(f *testing.F) {
	id := []byte("0123456789abcdef")
	rec := func(seq uint64) storage.Record {
		return storage.Record{Note: "n", Body: fmt.Append(nil, seq)}
	}
	var good []byte
	for seq := uint64(1); seq < 8; seq += 2 {
		b, _ := frame(id, seq, []storage.Record{rec(seq), rec(seq + 1)})
		good = append(good, b...)
	}
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(append(bytes.Clone(good), good...))
	f.Fuzz(func(t *testing.T, in []byte) {
		recs, _, _, err := replay(bytes.NewReader(in), id, 2)
		if err != nil {
			return
		}
		for i, r := range recs {
			if r.Seq != uint64(3+i) || string(r.Body) != fmt.Sprint(r.Seq) {
				t.Fatalf("record %d: %+v", i, r)
			}
		}
	})
}
