package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage"
)

// inChild marks the process in which TestFull limits its files.
const inChild = "GOVS_TEST_FULL"

// limitFiles sets how large this process's files may become.
func limitFiles(t *testing.T, n uint64) {
	t.Helper()
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		t.Skip(err)
	}
	l.Cur = min(n, l.Max)
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &l); err != nil {
		t.Skip(err)
	}
}

// TestFull: where there is no room for a record, half of it is written; it goes,
// and with room again the next one is kept.
// The limit holds for a whole process, so the test runs in one of its own: the
// test binary keeps files as well.
func TestFull(t *testing.T) {
	if os.Getenv(inChild) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestFull$", "-test.count=1")
		cmd.Env = append(os.Environ(), inChild+"=1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	path, text, _ := sample(t)
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	e, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	defer limitFiles(t, ^uint64(0))
	rec := []storage.Record{{ID: [16]byte{9}, Body: []byte(`{"T":{"x":null}}`)}}
	for room := range 60 {
		limitFiles(t, uint64(len(text)+room))
		if _, err := e.Append(rec, room%2 == 0); !errors.Is(err, unix.EFBIG) {
			t.Fatal(err)
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) {
			t.Fatalf("%d bytes of room: %q, %v", room, now[len(text):], err)
		}
		big := storage.Record{Body: fmt.Appendf(nil, `{"T":%q}`, bytes.Repeat([]byte("x"), len(text)))}
		if err := e.Compact(nil, big, 0); !errors.Is(err, unix.EFBIG) {
			t.Fatal(err)
		}
		if _, err := os.Stat(path + ".compact"); err == nil {
			t.Fatal("half a file is left")
		}
	}
	limitFiles(t, ^uint64(0))
	if n, err := e.Append(rec, true); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n := count(t, e); n != 5 {
		t.Errorf("%d records", n)
	}
}

// TestIDs: records of the C server have ids, the same ones each time.
func TestIDs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	text := appendFrame(nil, []byte("{}\n"))
	for i := range 5 {
		text = appendFrame(text, fmt.Appendf(nil, `{"_date":%d,"T":{}}`+"\n", 5+i/2))
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var first map[[16]byte]bool
	for round := range 3 {
		e, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		ids := map[[16]byte]bool{}
		var last storage.Record
		for r, err := range e.Load() {
			if err != nil {
				t.Fatal(err)
			}
			ids[r.ID] = true
			last = r
		}
		want := []int{5, 5, 2}[round]
		if len(ids) != want || ids[[16]byte{}] {
			t.Fatalf("round %d: %d ids", round, len(ids))
		}
		for id := range ids {
			if round > 0 && !first[id] {
				t.Errorf("round %d: new id %x", round, id)
			}
		}
		if round == 0 {
			first = ids
		}
		if round == 1 {
			// What stands behind the compacted records keeps its id.
			if err := e.Compact(nil, storage.Record{ID: idOf(t, e, last.Seq-1), Body: []byte(`{}`)}, last.Seq-1); err != nil {
				t.Fatal(err)
			}
		}
		e.Close()
	}
}

func idOf(t *testing.T, e *Engine, seq uint64) (id [16]byte) {
	t.Helper()
	for r, err := range e.Load() {
		if err != nil {
			t.Fatal(err)
		}
		if r.Seq == seq {
			id = r.ID
		}
	}
	return id
}
