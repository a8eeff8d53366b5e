// Package storagetest is what every storage.Engine must pass, and an engine
// that fails on purpose.
package storagetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"govs/ovsdb/storage"
)

// Suite says how to make the engines that Run tests.
type Suite struct {
	// Create makes a new database with a schema and opens it.
	Create func(t testing.TB, schema []byte) storage.Engine
	// Reopen opens the database that Create made last, after a Close; nil where
	// nothing is left then.
	Reopen func(t testing.TB) storage.Engine
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Run("append", s.testAppend)
	t.Run("compact", s.testCompact)
	t.Run("compact beside append", s.testBeside)
	t.Run("close", s.testClose)
	t.Run("large", s.testLarge)
}

const schema1, schema2 = `{"name":"one"}`, `{"name":"two"}`

// record makes a record that can be told from others.
func record(i int) storage.Record {
	return storage.Record{
		ID:   [16]byte{byte(i), byte(i >> 8), 7},
		Time: int64(i) * 1000,
		Note: fmt.Sprintf("note %d", i),
		Body: fmt.Appendf(nil, `{"T":{"%d":null}}`, i),
	}
}

func same(a, b storage.Record) bool {
	return a.ID == b.ID && a.Time == b.Time && a.Note == b.Note && bytes.Equal(a.Body, b.Body)
}

// load reads all records and checks that their numbers grow.
func load(t testing.TB, e storage.Engine) []storage.Record {
	t.Helper()
	var out []storage.Record
	for r, err := range e.Load() {
		if err != nil {
			t.Fatal(err)
		}
		if len(out) > 0 && r.Seq <= out[len(out)-1].Seq {
			t.Fatalf("record %d follows %d", r.Seq, out[len(out)-1].Seq)
		}
		out = append(out, r)
	}
	return out
}

func check(t testing.TB, e storage.Engine, schema string, want ...storage.Record) {
	t.Helper()
	if got, err := e.Schema(); err != nil || string(got) != schema {
		t.Fatalf("schema %q, %v, want %q", got, err, schema)
	}
	got := load(t, e)
	if len(got) != len(want) {
		t.Fatalf("%d records, want %d", len(got), len(want))
	}
	for i := range got {
		if !same(got[i], want[i]) {
			t.Fatalf("record %d is %+v, want %+v", i, got[i], want[i])
		}
	}
}

// again closes the engine and opens it anew where that can be done.
func (s Suite) again(t testing.TB, e storage.Engine) storage.Engine {
	t.Helper()
	if s.Reopen == nil {
		return e
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	return s.Reopen(t)
}

func appendAll(t testing.TB, e storage.Engine, durable bool, recs ...storage.Record) uint64 {
	t.Helper()
	last, err := e.Append(recs, durable)
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func (s Suite) testAppend(t *testing.T) {
	e := s.Create(t, []byte(schema1))
	defer func() { e.Close() }()
	check(t, e, schema1)
	var want []storage.Record
	seq := uint64(0)
	for i := range 50 {
		batch := []storage.Record{record(3 * i), record(3*i + 1), record(3*i + 2)}[:i%4%3+1]
		last := appendAll(t, e, i%2 == 0, batch...)
		if last != seq+uint64(len(batch)) {
			t.Fatalf("last record %d after %d more than %d", last, len(batch), seq)
		}
		seq = last
		want = append(want, batch...)
	}
	appendAll(t, e, false)
	e = s.again(t, e)
	check(t, e, schema1, want...)
	if last := appendAll(t, e, true, record(1)); last != seq+1 {
		t.Fatalf("last record %d, want %d", last, seq+1)
	}
	e = s.again(t, e)
	check(t, e, schema1, append(want, record(1))...)
}

func (s Suite) testCompact(t *testing.T) {
	e := s.Create(t, []byte(schema1))
	defer func() { e.Close() }()
	compact := func(schema []byte, whole storage.Record, upTo uint64) {
		t.Helper()
		if err := e.Compact(schema, whole, upTo); err != nil {
			t.Fatal(err)
		}
	}
	last := appendAll(t, e, false, record(1), record(2), record(3))
	compact(nil, record(100), last-1)
	check(t, e, schema1, record(100), record(3))
	e = s.again(t, e)
	check(t, e, schema1, record(100), record(3))
	appendAll(t, e, false, record(4))
	e = s.again(t, e)
	check(t, e, schema1, record(100), record(3), record(4))
	compact([]byte(schema2), record(101), 0)
	check(t, e, schema2, record(101))
	e = s.again(t, e)
	appendAll(t, e, false, record(5))
	e = s.again(t, e)
	check(t, e, schema2, record(101), record(5))
}

// testBeside compacts while another goroutine appends: nothing may be lost.
func (s Suite) testBeside(t *testing.T) {
	e := s.Create(t, []byte(schema1))
	defer func() { e.Close() }()
	const n = 200
	var mu sync.Mutex
	var last uint64
	appended := 0
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for i := range n {
			l, err := e.Append([]storage.Record{record(i)}, false)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			last, appended = l, i+1
			mu.Unlock()
		}
	}()
	for range 10 {
		mu.Lock()
		upTo, k := last, appended
		mu.Unlock()
		if upTo == 0 {
			continue
		}
		// A record whose note says which ones it stands for.
		if err := e.Compact(nil, storage.Record{Note: strconv.Itoa(k), Body: []byte("{}")}, upTo); err != nil {
			t.Fatal(err)
		}
	}
	wg.Wait()
	e = s.again(t, e)
	recs := load(t, e)
	next := 0
	for i, r := range recs {
		if k, err := strconv.Atoi(r.Note); i == 0 && err == nil {
			next = k
			continue
		}
		if !same(r, record(next)) {
			t.Fatalf("record %q where %d is due", r.Note, next)
		}
		next++
	}
	if next != n {
		t.Fatalf("%d of %d records are there", next, n)
	}
}

func (s Suite) testClose(t *testing.T) {
	e := s.Create(t, []byte(schema1))
	appendAll(t, e, false, record(1))
	for range 2 {
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.Append([]storage.Record{record(2)}, false); !errors.Is(err, storage.ErrClosed) {
		t.Error("Append:", err)
	}
	if err := e.Compact(nil, record(3), 0); !errors.Is(err, storage.ErrClosed) {
		t.Error("Compact:", err)
	}
	if _, err := e.Schema(); !errors.Is(err, storage.ErrClosed) {
		t.Error("Schema:", err)
	}
	if s.Reopen != nil {
		e = s.Reopen(t)
		defer e.Close()
		check(t, e, schema1, record(1))
	}
}

// testLarge keeps a record of some megabytes, and one of none.
func (s Suite) testLarge(t *testing.T) {
	e := s.Create(t, []byte(schema1))
	defer func() { e.Close() }()
	big := record(1)
	big.Body = slices.Concat([]byte(`{"T":"`), bytes.Repeat([]byte("0123456789abcdef"), 1<<18), []byte(`"}`))
	small := storage.Record{ID: [16]byte{1}, Body: []byte("{}")}
	appendAll(t, e, false, big, small)
	appendAll(t, e, true, record(2))
	e = s.again(t, e)
	check(t, e, schema1, big, small, record(2))
	if e.Size() < int64(len(big.Body)) {
		t.Errorf("Size is %d", e.Size())
	}
}

// Faulty is an Engine whose Append and Compact fail when Fail says so.
type Faulty struct {
	storage.Engine
	// Fail is asked before each Append ("append") and Compact ("compact").
	Fail func(op string) error
}

// Append implements storage.Engine.
func (f *Faulty) Append(batch []storage.Record, durable bool) (uint64, error) {
	if err := f.Fail("append"); err != nil {
		return 0, err
	}
	return f.Engine.Append(batch, durable)
}

// Compact implements storage.Engine.
func (f *Faulty) Compact(schema []byte, whole storage.Record, upTo uint64) error {
	if err := f.Fail("compact"); err != nil {
		return err
	}
	return f.Engine.Compact(schema, whole, upTo)
}

// killEnv names the database in the writing process of Kill.
const killEnv = "GOVS_STORAGETEST_WRITER"

// Writer makes the process a writer that is to be killed, where Kill started
// it as such: it appends to what open opens, compacts now and then, and says
// after each what it did. Call it first thing in TestMain.
func Writer(open func(path string) (storage.Engine, error)) {
	path := os.Getenv(killEnv)
	if path == "" {
		return
	}
	e, err := open(path)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	n := 0
	for r, err := range e.Load() {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		if k, ok := strings.CutPrefix(r.Note, "up to "); ok {
			n, _ = strconv.Atoi(k)
		} else {
			n++
		}
	}
	fmt.Println("ready", n)
	for i := 0; ; i++ {
		batch := make([]storage.Record, 1+i%3)
		for j := range batch {
			batch[j] = record(n + j)
		}
		last, err := e.Append(batch, i%5 == 0)
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		n += len(batch)
		fmt.Println("done", n)
		if i%20 == 19 {
			if err := e.Compact(nil, storage.Record{Note: fmt.Sprint("up to ", n), Body: []byte("{}")}, last); err != nil {
				fmt.Println("error", err)
				os.Exit(1)
			}
		}
	}
}

// Kill kills writers of the database at path at random moments, rounds times,
// and checks each time that what they said was done is there, and no half of
// anything. The test's TestMain must call Writer.
func Kill(t *testing.T, path string, open func(string) (storage.Engine, error), rounds int) {
	t.Helper()
	for range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), killEnv+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		first, err := lines.ReadString('\n')
		if err != nil || !strings.HasPrefix(first, "ready") {
			t.Fatalf("writer: %q, %v", first, err)
		}
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		rest, err := io.ReadAll(lines)
		if err != nil {
			t.Fatal(err)
		}
		cmd.Wait() // it was killed
		done := 0
		for line := range strings.SplitSeq(first+string(rest), "\n") {
			what, n, _ := strings.Cut(line, " ")
			switch what {
			case "ready", "done":
				if k, err := strconv.Atoi(n); err == nil {
					done = max(done, k)
				}
			case "error":
				t.Fatal(line)
			}
		}
		e, err := open(path)
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for r, err := range e.Load() {
			if err != nil {
				t.Fatal(err)
			}
			if k, ok := strings.CutPrefix(r.Note, "up to "); ok {
				next, _ = strconv.Atoi(k)
				continue
			}
			if !same(r, record(next)) {
				t.Fatalf("record %q where %d is due", r.Note, next)
			}
			next++
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if next < done || next > done+3 {
			t.Fatalf("%d records are there, and %d were acknowledged", next, done)
		}
	}
}
