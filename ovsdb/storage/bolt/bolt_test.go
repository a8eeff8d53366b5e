package bolt

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/storagetest"
)

func open(path string) (storage.Engine, error) { return Open(path) }

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

// sample makes a database of some pages and returns its bytes.
func sample(t testing.TB) (path string, file []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	if err := Create(path, []byte(`{"name":"sample"}`)); err != nil {
		t.Fatal(err)
	}
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if _, err := e.Append([]storage.Record{{Body: bytes.Repeat([]byte{byte('a' + i%26)}, 10+i*37)}}, true); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if file, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return path, file
}

func TestLock(t *testing.T) {
	path, _ := sample(t)
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "I/O error: " + path + ": failed to lock lockfile (Resource temporarily unavailable)"
	if _, err := Open(path); !errors.Is(err, storage.ErrLocked) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	// Readers are welcome.
	r, err := OpenReadOnly(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range r.Load() {
		n++
	}
	if n != 40 {
		t.Errorf("%d records", n)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if e, err = Open(path); err != nil {
		t.Fatal(err)
	}
	e.Close()
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	in := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		path, want string
		is         error
	}{
		{filepath.Join(dir, "nope"), "I/O error: " + dir + "/nope: open failed (No such file or directory)", os.ErrNotExist},
		{in("empty", ""), "ovsdb error: " + dir + "/empty: unexpected file format", storage.ErrFormat},
		{in("text", "some text"), "ovsdb error: " + dir + "/text: unexpected file format", storage.ErrFormat},
		{in("log", "OVSDB JSON 10 x\n{}"), "ovsdb error: " + dir + "/log: unexpected file format", storage.ErrFormat},
	} {
		_, err := Open(c.path)
		if err == nil || err.Error() != c.want || !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %s", c.path, err, c.want)
		}
		if _, err := OpenReadOnly(c.path); err == nil || !errors.Is(err, c.is) {
			t.Errorf("%s: reading: got %v", c.path, err)
		}
	}
	path, _ := sample(t)
	if err := Create(path, nil); !errors.Is(err, os.ErrExist) {
		t.Error(err)
	}
}

// tryFile opens a file that may be damaged: an error, or records that are those
// of the sample, but never a crash; and an error leaves the file as it is.
func tryFile(t *testing.T, path string, file []byte) {
	t.Helper()
	if err := os.WriteFile(path, file, 0o640); err != nil {
		t.Fatal(err)
	}
	e, err := Open(path)
	if err != nil {
		if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrFormat) {
			t.Fatalf("error of unknown kind: %v", err)
		}
		if after, rerr := os.ReadFile(path); rerr != nil || !bytes.Equal(after, file) {
			t.Fatal("the file was touched")
		}
		return
	}
	defer e.Close()
	if _, err := e.Schema(); err != nil && !errors.Is(err, storage.ErrCorrupt) {
		t.Fatal(err)
	}
	for r, err := range e.Load() {
		if err != nil {
			if !errors.Is(err, storage.ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		if len(r.Body) > 0 && bytes.Count(r.Body, r.Body[:1]) != len(r.Body) {
			t.Fatalf("record %d: %q", r.Seq, r.Body)
		}
	}
	if _, err := e.Append([]storage.Record{{Body: []byte("x")}}, false); err != nil {
		t.Logf("append: %v", err)
	}
}

// TestTruncated cuts the file at every page.
func TestTruncated(t *testing.T) {
	path, file := sample(t)
	for n := 0; n < len(file); n += 2048 {
		tryFile(t, path, file[:n])
	}
}

// FuzzOpen damages a database file: bytes at three places.
func FuzzOpen(f *testing.F) {
	_, file := sample(f)
	f.Add(uint32(0), byte(1), uint32(4096), byte(2), uint32(16), byte(3))
	f.Add(uint32(20), byte(0xff), uint32(4096+40), byte(0xff), uint32(8192), byte(0xff))
	for page := range uint32(len(file) / 4096) {
		for _, at := range []uint32{0, 8, 10, 12, 16, 20, 24, 28, 40} {
			f.Add(page*4096+at, byte(0x41), page*4096+at+1, byte(0), page*4096+at, byte(0x80))
		}
	}
	f.Fuzz(func(t *testing.T, a uint32, x byte, b uint32, y byte, c uint32, z byte) {
		bad := bytes.Clone(file)
		bad[a%uint32(len(bad))] ^= x
		bad[b%uint32(len(bad))] ^= y
		bad[c%uint32(len(bad))] ^= z
		tryFile(t, filepath.Join(t.TempDir(), "x.db"), bad)
	})
}

// FuzzGarbage opens what is no database at all.
func FuzzGarbage(f *testing.F) {
	_, file := sample(f)
	f.Add([]byte(nil))
	f.Add([]byte("OVSDB JSON 1 2\n"))
	f.Add(file[:4096])
	f.Add(file[:8192])
	f.Fuzz(func(t *testing.T, in []byte) {
		tryFile(t, filepath.Join(t.TempDir(), "x.db"), in)
	})
}
