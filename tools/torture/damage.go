package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
)

// sample is a database as a killed server left it.
type sample struct {
	files  map[string][]byte
	tail   string // the file that the last transaction was written to
	before []byte // that file as it was before it
	lo, hi int    // where the last transaction stands in it
	seq    map[int]int
	last   int // the client of the last transaction
}

// newSample makes one, with a compaction and all kinds of transactions in it.
// The last one is small.
func newSample(program string, format file.Format, r *rand.Rand) (*sample, error) {
	p, err := newPlace(program, format)
	if err != nil {
		return nil, err
	}
	defer p.remove()
	s, err := p.start()
	if err != nil {
		return nil, err
	}
	defer s.kill()
	all := newDrivers(clients)
	if err := all.setup(p.sock()); err != nil {
		return nil, err
	}
	if err := all.run(p.sock(), r, 12, func() { err = p.compact() }); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if err := all.run(p.sock(), r, 4, func() {}); err != nil {
		return nil, err
	}
	dir := filepath.Dir(p.db)
	for range 50 {
		d := all[r.IntN(len(all))]
		var files [2]map[string][]byte
		for i := range files {
			if err := d.drive(p.sock(), r, 1, nil); err != nil {
				return nil, err
			}
			if files[i], err = readAll(dir); err != nil {
				return nil, err
			}
		}
		sm := &sample{files: files[1], last: d.client, seq: map[int]int{}}
		if !sm.find(files[0]) || sm.hi-sm.lo > 1200 {
			continue // a checkpoint came in between, or the transaction is large
		}
		for _, d := range all {
			sm.seq[d.client] = d.acked
		}
		return sm, nil
	}
	return nil, errors.New("no transaction was written without a checkpoint")
}

// find looks where the last transaction was written.
func (sm *sample) find(before map[string][]byte) bool {
	for name, now := range sm.files {
		old := before[name]
		if bytes.Equal(old, now) {
			continue
		}
		if sm.tail != "" || len(old) > len(now) {
			return false
		}
		sm.tail, sm.before = name, old
		differs := func(i int) bool { return i >= len(old) || old[i] != now[i] }
		for !differs(sm.lo) {
			sm.lo++
		}
		for sm.hi = len(now); !differs(sm.hi - 1); {
			sm.hi--
		}
	}
	return sm.tail != "" && len(before) == len(sm.files)
}

// with is the sample with its last file replaced.
func (sm *sample) with(name string, b []byte) map[string][]byte {
	files := maps.Clone(sm.files)
	files[name] = b
	return files
}

// damages is what damaged files came to.
type damages struct {
	torn             int // last records that were not written to their end
	flipped          int
	refused, spared  int // flipped bytes that were an error; that lay where nothing is kept
	places           map[string]int
	likeC, shorterC  int // torn files that C opens alike; flipped ones where it loses what follows
	refusedC, soundC int // flipped ones that it refuses, or opens whole
}

func (d damages) String() string {
	s := fmt.Sprintf("%d torn last records dropped with a warning; %d flipped bytes: %d refused by name of the place, %d harmless", d.torn, d.flipped, d.refused, d.spared)
	if d.likeC > 0 {
		s += fmt.Sprintf("; the C server opens %d torn files alike, and of the flipped ones %d short of what follows, %d whole, %d not", d.likeC, d.shorterC, d.soundC, d.refusedC)
	}
	return s
}

// damage opens damaged files: the last record cut at every step-th byte, and
// flips flipped bytes elsewhere. theirs is the C server, which gets some of the
// log files as well; it may be "".
func damage(program, theirs string, format file.Format, r *rand.Rand, step, flips int, limit time.Duration) (d damages, err error) {
	d.places = map[string]int{}
	sm, err := newSample(program, format, r)
	if err != nil {
		return d, err
	}
	scratch, err := scratchDir()
	if err != nil {
		return d, err
	}
	defer os.RemoveAll(scratch)
	dir := filepath.Join(scratch, "x")
	begin := time.Now()
	over := func(part time.Duration) bool { return limit > 0 && time.Since(begin) > part }

	now, first := sm.files[sm.tail], r.IntN(step)
	for cut := sm.lo + 1 + first; cut < sm.hi && !over(limit/2); cut += step {
		b := bytes.Clone(now[:cut])
		if r.IntN(2) == 0 && cut < len(sm.before) {
			b = append(b, sm.before[cut:]...) // what stood there before
		}
		files := sm.with(sm.tail, b)
		// Of a frame of the write-ahead log that was not written up to its number
		// nothing is known.
		if err := sm.torn(files, dir, cut-sm.lo >= 16); err != nil {
			return d, fmt.Errorf("%s cut at %d of %d to %d: %w (left in %s)", sm.tail, cut, sm.lo, sm.hi, err, keep(files))
		}
		d.torn++
		if theirs == "" || format != file.Log || r.IntN(20) != 0 {
			continue
		}
		if n, err := sm.openC(theirs, files, dir); err != nil || n != sm.total()-1 {
			return d, fmt.Errorf("the C server finds %d transactions, %w (left in %s)", n, err, keep(files))
		}
		d.likeC++
	}
	names := slices.Sorted(maps.Keys(sm.files))
	for range flips {
		if over(limit) {
			break
		}
		name := names[r.IntN(len(names))]
		b := bytes.Clone(sm.files[name])
		if name == sm.tail {
			b = b[:sm.hi]
		}
		if len(b) == 0 || name == sm.tail && sm.lo == 0 {
			continue
		}
		at := r.IntN(len(b))
		if name == sm.tail {
			at = r.IntN(sm.lo)
		}
		if at > 4096 && r.IntN(2) == 0 {
			at = at &^ 4095 // the beginning of a page says where its contents are
			at = min(at+r.IntN(160), len(b)-1)
		}
		if name == sm.tail && at >= sm.lo {
			continue
		}
		b[at] ^= 1 << r.IntN(8)
		files := sm.with(name, b)
		d.flipped++
		refused, err := sm.flipped(files, dir)
		if err != nil {
			return d, fmt.Errorf("byte %d of %s flipped: %w (left in %s)", at, name, err, keep(files))
		}
		if refused == "" {
			d.spared++
		} else {
			d.refused++
			d.places[placeRE.FindString(refused)]++
		}
		if theirs == "" || format != file.Log || r.IntN(20) != 0 {
			continue
		}
		switch n, err := sm.openC(theirs, files, dir); {
		case err != nil:
			d.refusedC++
		case n == sm.total():
			d.soundC++
		default:
			d.shorterC++
		}
	}
	return d, nil
}

// placeRE is what the error says about a damaged byte.
var placeRE = regexp.MustCompile(`have SHA-1 hash|parse error|unexpected file format|End of file|not valid JSON|write-ahead log is damaged|checksum of record|schema's checksum|(branch |meta |)pages?\b|bucket|layout|is followed by|first one|database's id`)

func (sm *sample) total() (n int) {
	for _, seq := range sm.seq {
		n += seq
	}
	return n
}

// put writes files into an empty folder, and returns the database's path.
func put(dir string, files map[string][]byte) (string, error) {
	err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700))
	for name, b := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return filepath.Join(dir, "conf.db"), err
}

// torn opens files whose last record is not whole: all but that is there, a
// warning says so where it must, and the next transaction is kept.
func (sm *sample) torn(files map[string][]byte, dir string, warns bool) error {
	path, err := put(dir, files)
	if err != nil {
		return err
	}
	d, err := openFile(path)
	if err != nil {
		return err
	}
	defer func() { d.close() }()
	want := maps.Clone(sm.seq)
	want[sm.last]--
	if err := d.holds(want); err != nil {
		return err
	}
	if warned := strings.Count(d.log.String(), "was not written to its end and is dropped"); warned > 1 || warns && warned == 0 {
		return wrong("%d warnings: %s", warned, d.log.String())
	}
	want[sm.last]++
	if err := d.transact(transaction(sm.last, want[sm.last], false)); err != nil {
		return err
	}
	d.close()
	if d, err = openFile(path); err != nil {
		return fmt.Errorf("opened again: %w", err)
	}
	if d.log.String() != "" {
		return wrong("opened again: %s", d.log.String())
	}
	return d.holds(want)
}

// holds compares what a database holds with each client's number.
func (o *opened) holds(seq map[int]int) error {
	c, err := o.read()
	if err != nil {
		return err
	}
	if !maps.Equal(c.seq, seq) {
		return wrong("the clients are at %v, not at %v", c.seq, seq)
	}
	return c.whole()
}

var namesPlace = regexp.MustCompile(`offset \d+|page \d+|meta page|record [0-9a-f]+|checksum|record's number|bucket "|layout "`)

// flipped opens files with a damaged byte before the last record. They are
// refused with an error, which is returned, that says where, and left as they
// are; or the byte does not count, and everything is there.
func (sm *sample) flipped(files map[string][]byte, dir string) (refused string, err error) {
	path, err := put(dir, files)
	if err != nil {
		return "", err
	}
	d, err := openFile(path)
	if err == nil {
		defer d.close()
		if err := d.holds(sm.seq); err != nil {
			return "", wrong("it was opened: %v; log: %s", err, d.log.String())
		}
		return "", nil
	}
	if !errors.Is(err, storage.ErrCorrupt) && !errors.Is(err, storage.ErrFormat) {
		return "", wrong("an error of another kind: %v", err)
	}
	text := strings.ReplaceAll(err.Error(), path, "FILE")
	// A file that does not begin as a database says all there is to say.
	_, other := file.Detect(path)
	if !errors.Is(other, storage.ErrFormat) && !namesPlace.MatchString(text) {
		return "", wrong("the error names no place: %v", err)
	}
	return text, unchanged(dir, files)
}

// openC opens files with the C server, and returns how many transactions it finds.
func (sm *sample) openC(program string, files map[string][]byte, dir string) (int, error) {
	path, err := put(dir, files)
	if err != nil {
		return 0, err
	}
	p := &place{server: program, dir: dir, db: path}
	s, err := p.start()
	if err != nil {
		return 0, err
	}
	defer s.kill()
	sess, err := dial(p.sock())
	if err != nil {
		return 0, err
	}
	defer sess.close()
	c, err := sess.read()
	if err != nil {
		return 0, err
	}
	return c.total, nil
}
