package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/storagetest"
)

func open(path string) (storage.Engine, error) {
	e, err := Open(path)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func TestMain(m *testing.M) {
	storagetest.Writer(open)
	os.Exit(m.Run())
}

func TestEngine(t *testing.T) {
	var path string
	must := func(t testing.TB) storage.Engine {
		t.Helper()
		e, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if w := e.Warnings(); w != nil {
			t.Error(w)
		}
		return e
	}
	storagetest.Run(t, storagetest.Suite{
		Create: func(t testing.TB, schema []byte) storage.Engine {
			path = filepath.Join(t.TempDir(), "x.db")
			if err := Create(path, schema); err != nil {
				t.Fatal(err)
			}
			return must(t)
		},
		Reopen: must,
	})
}

func TestKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	if err := Create(path, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	storagetest.Kill(t, path, open, 12)
}

// sample makes a database of four records; it returns the file's bytes and
// where the last record begins.
func sample(t testing.TB) (path string, text []byte, last int) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	if err := Create(path, []byte(`{"name":"sample"}`)); err != nil {
		t.Fatal(err)
	}
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for i := range 4 {
		last = int(e.Size())
		r := storage.Record{ID: [16]byte{1, byte(i)}, Time: int64(i), Note: "line\n\"two\"", Body: fmt.Appendf(nil, `{"T":{"%d":null}}`, i)}
		if _, err := e.Append([]storage.Record{r}, false); err != nil {
			t.Fatal(err)
		}
	}
	if text, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, text, last
}

func count(t testing.TB, e storage.Engine) (n int) {
	t.Helper()
	for _, err := range e.Load() {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// TestTorn cuts the last record at each of its bytes, and writes rubbish behind
// it: it goes, with a warning, when the next one is written.
func TestTorn(t *testing.T) {
	path, text, last := sample(t)
	tails := [][]byte{bytes.Repeat([]byte{0}, 300), []byte("OVSDB JSON 99999999999999999999 x\n"), []byte("\n")}
	for at := last + 1; at < len(text); at++ {
		tails = append(tails, text[last:at])
	}
	flipped := bytes.Clone(text[last:])
	flipped[len(flipped)-3] ^= 1
	tails = append(tails, flipped)
	for i, tail := range tails {
		whole := append(bytes.Clone(text[:last]), tail...)
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err != nil {
			t.Fatal(i, err)
		}
		if w := e.Warnings(); len(w) != 1 || !strings.Contains(w[0], fmt.Sprintf("at offset %d,", last)) || !errors.Is(e.Torn(), storage.ErrCorrupt) {
			t.Fatalf("%d: warnings %q, %v", i, w, e.Torn())
		}
		if n := count(t, e); n != 3 {
			t.Fatalf("%d: %d records", i, n)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("%d: the file was changed before there was something to write (%v)", i, err)
		}
		if n, err := e.Append([]storage.Record{{Body: []byte(`{}`)}}, true); n != 4 || err != nil {
			t.Fatal(n, err)
		}
		e.Close()
		e, err = Open(path)
		if err != nil || e.Warnings() != nil {
			t.Fatal(i, err, e.Warnings())
		}
		if n := count(t, e); n != 4 {
			t.Fatalf("%d: %d records", i, n)
		}
		e.Close()
	}
}

// TestDamage flips each byte before the last record: an error that says where,
// and the file stays as it is.
func TestDamage(t *testing.T) {
	path, text, last := sample(t)
	head := bytes.IndexByte(text, '\n') // of the schema
	for at := range last {
		bad := bytes.Clone(text)
		bad[at] ^= 0x15
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err == nil {
			// Digits of the checksum may be in upper case.
			if c := bad[at]; c >= 'A' && c <= 'F' {
				e.Close()
				continue
			}
			t.Fatalf("byte %d of %d: no error", at, len(text))
		}
		if !errors.Is(err, storage.ErrCorrupt) {
			t.Fatalf("byte %d: %v", at, err)
		}
		var d *Damage
		if !errors.As(err, &d) || d.Offset > int64(at) || at > head+20 && d.Next <= int64(at) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, bad) {
			t.Fatalf("byte %d: the file was changed (%v)", at, err)
		}
	}
}

// TestReadOnly reads beside a writer, and reports what is torn as an error.
func TestReadOnly(t *testing.T) {
	path, text, last := sample(t)
	w, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := Open(path); !errors.Is(err, storage.ErrLocked) {
		t.Error(err)
	}
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n := count(t, r); n != 4 {
		t.Errorf("%d records", n)
	}
	if err := w.Compact(nil, storage.Record{Body: []byte(`{}`)}, 0); err != nil {
		t.Fatal(err)
	}
	if n := count(t, r); n != 4 {
		t.Errorf("%d records in the file as it was", n)
	}
	if _, err := r.Append(nil, false); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	torn := filepath.Join(t.TempDir(), "y.db")
	if err := os.WriteFile(torn, text[:last+80], 0o600); err != nil {
		t.Fatal(err)
	}
	if r, err = OpenReadOnly(torn); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	for _, err = range r.Load() {
		if err == nil {
			n++
		}
	}
	if n != 3 || !errors.Is(err, storage.ErrCorrupt) || !strings.Contains(err.Error(), "(End of file)") {
		t.Error(n, err)
	}
}

// TestFailure: an Append that fails leaves nothing behind, and the next one works.
func TestFailure(t *testing.T) {
	path, text, _ := sample(t)
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	good := e.f
	if e.f, err = os.Open(path); err != nil {
		t.Fatal(err)
	}
	rec := []storage.Record{{ID: [16]byte{9}, Body: []byte(`{}`)}}
	if _, err := e.Append(rec, true); err == nil {
		t.Fatal("no error")
	}
	e.f.Close()
	e.f = good
	if _, err := good.WriteAt([]byte("half a record"), int64(len(text))); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append([]storage.Record{{Body: []byte(`[]`)}}, true); err == nil {
		t.Error("a body that is no object was taken")
	}
	if n, err := e.Append(rec, true); n != 5 || err != nil {
		t.Error(n, err)
	}
	if n := count(t, e); n != 5 {
		t.Errorf("%d records", n)
	}
}

// TestParse reads records as the C server, or somebody's editor, writes them.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		in, note, body string
		time           int64
	}{
		{`{"_date":1795336679441,"_is_diff":true,"T":{"a":{}},"_comment":"one\ttab\ntwo"}`, "one\ttab\ntwo", `{"_is_diff":true,"T":{"a":{}}}`, 1795336679441},
		{`{"_date":1295336679,"T":{"a":{"s":"]}"}}}`, "", `{"T":{"a":{"s":"]}"}}}`, 1295336679000},
		{`{"T":{},"_is_diff":false}`, "", `{"T":{}}`, 0},
		{" {\n\"T\" : {} ,\"_comment\": \"\",\"U\":null\n}\n", "", `{"T" : {},"U":null}`, 0},
		{`{}`, "", `{}`, 0},
		{`{"_is_diff":true}`, "", `{"_is_diff":true}`, 0},
	} {
		r, err := parseData([]byte(c.in), [20]byte{1}, [16]byte{2})
		if err != nil || r.Note != c.note || string(r.Body) != c.body || r.Time != c.time || r.ID == [16]byte{} {
			t.Errorf("%s: %+v %s, %v", c.in, r, r.Body, err)
		}
	}
	const own = `{"_date":"00000000-0000-4000-8000-000000000001","_date":5`
	for _, in := range []string{own, own + `,"T":{`, own + `}x`, own + `,`, ``, `[]`, `{`, `{"a"}`, `{"a":}`, `{"a":1`, `{"a":1}x`, `{"a":1,}`, `{1:2}`, `{"_date":"x"}`, `{"_date":1.5}`, `{"_comment":1}`} {
		if r, err := parseData([]byte(in), [20]byte{}, [16]byte{}); err == nil {
			t.Errorf("%s: %+v", in, r)
		}
	}
}

// FuzzOpen opens any bytes as a file. What opens must take records and keep them.
func FuzzOpen(f *testing.F) {
	_, text, last := sample(f)
	f.Add(text)
	f.Add(text[:last+50])
	f.Add([]byte("OVSDB JSON 3 6c3e226b4d4795d518ab341b0824ec29b9e2a0b1\n{}\n"))
	f.Add(appendFrame(appendFrame(nil, []byte("{}\n")), []byte(`{"_date":1,"_comment":"x","T":{}}`+"\n")))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		e, err := Open(path)
		if err != nil {
			return
		}
		defer e.Close()
		n := 0
		for r, err := range e.Load() {
			if err != nil {
				return
			}
			if _, err := appendData(nil, r); err != nil {
				t.Fatalf("%s: %v", r.Body, err)
			}
			n++
		}
		last, err := e.Append([]storage.Record{{ID: [16]byte{1}, Body: []byte(`{"T":{}}`)}}, false)
		if err != nil || last != uint64(n+1) {
			t.Fatal(last, n, err)
		}
		if got := count(t, e); got != n+1 {
			t.Fatalf("%d records, want %d", got, n+1)
		}
	})
}

// FuzzRecord: a record that was written is read as it was.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"_date":1795336679441,"_is_diff":true,"T":{},"_comment":"one"}`))
	f.Add([]byte(`{"_date":"00000000-0000-4000-8000-000000000001","_date":5,"_comment":"one","T":{}}`))
	f.Add([]byte(`{"_date":"00000000-0000-4000-8000-000000000001","_date":5,"T":{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := parseData(data, [20]byte{}, [16]byte{})
		if err != nil {
			return
		}
		out, err := appendData(nil, r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseData(out, [20]byte{}, [16]byte{})
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if again.ID != r.ID || again.Time != r.Time || again.Note != r.Note {
			t.Fatalf("%+v became %+v", r, again)
		}
	})
}

// BenchmarkAppend appends batches of small records, not flushed.
func BenchmarkAppend(b *testing.B) {
	path := filepath.Join(b.TempDir(), "x.db")
	if err := Create(path, []byte(`{}`)); err != nil {
		b.Fatal(err)
	}
	e, err := Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	r := storage.Record{ID: [16]byte{1}, Time: 1795336679441, Body: []byte(`{"_is_diff":true,"T":{"9f48b70c-27b6-4758-9b20-173b96f1e697":{"name":"y"}}}`)}
	for b.Loop() {
		if _, err := e.Append([]storage.Record{r}, false); err != nil {
			b.Fatal(err)
		}
	}
}
