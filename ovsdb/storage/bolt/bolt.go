// Package bolt keeps a database in one bbolt file: the default storage.Engine.
//
// The file holds two buckets: "meta" with the schema and the format's number,
// and "log" with the records under their numbers. An Append goes to a write-ahead
// log beside the file, with one system call: however many transactions wait,
// they share it, and its flush. A checkpoint brings the log's records to bbolt
// twice a second, beside what is appended meanwhile. A compaction
// writes a new file beside the old one and renames it over it, so that the
// file shrinks, and so that the records of the meantime cost a short pause.
//
// # Safety
//
// bbolt maps the file and trusts what it finds there. Open therefore looks at
// every page and the checksum of every record first ([storage.ErrCorrupt] tells
// what is wrong, and where); a file that fails is left as it is. Where the disk is
// full, Open leaves to the write-ahead log what a checkpoint has no room for. Writers
// exclude each other by the lock file that the C programs use. Readers
// (OpenReadOnly) take a consistent copy beside a running writer.
//
// # Caveats
//
// While a server runs, or after it was killed, the database is both files: a
// copy of one without the other lacks the last half second. After Close there
// is one file. A power cut may lose any of the records of the last half second
// that were not durable, and in rare cases an earlier one but not a later one.
// That cannot be told from damage: Open fails and says at which offset of the
// log. Cutting NAME.wal there gives up what follows.
package bolt

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

var (
	bucketMeta = []byte("meta")
	bucketLog  = []byte("log")
	keySchema  = []byte("schema")
	keyFormat  = []byte("format")
	keyID      = []byte("id")   // of the database, random: whose write-ahead log is whose
	keyHead    = []byte("head") // the id once more, and the first record's number, with a checksum
)

// format is the number of this package's layout within a bbolt file.
const format = "1"

const fileMode = 0o640

// Engine is a database in a bbolt file.
type Engine struct {
	path string // as it was given, for messages
	file string // where the file is
	lock *os.File

	mu     sync.Mutex // Append, and the last part of Compact
	db     *bbolt.DB
	closed bool
	last   uint64

	nameless bool // the file's name, new since a compaction, is not flushed

	size atomic.Int64
	id   []byte

	// The write-ahead log, what it holds that is not in bbolt, and when that is
	// to get there.
	wal     *os.File
	end     int64 // of the frames
	room    int64 // the file's size
	pending []entry
	waiting int  // bytes of the frames since the last checkpoint began
	busy    bool // a checkpoint runs in the background
	timer   *time.Timer

	warnings []string // of Open

	compacting sync.Mutex
}

var (
	_ storage.Engine = (*Engine)(nil)
	_ storage.Warner = (*Engine)(nil)
)

// guard calls f and makes errors of bbolt's panics and of faults in the map.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damaged("%v", p)
		}
	}()
	return f()
}

// IsBolt reports whether a file starts as a bbolt database does.
func IsBolt(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, disk.Failure(path, "open failed", err)
	}
	defer f.Close()
	_, err = checkFile(f)
	if errors.Is(err, storage.ErrFormat) {
		return false, nil
	}
	if err != nil && !errors.Is(err, storage.ErrCorrupt) {
		return false, disk.Failure(path, "", err)
	}
	return true, nil
}

// Create makes a new file with a schema and no records. There must be no file
// of that name.
func Create(path string, schema []byte) error {
	l, err := disk.Lock(path)
	if err != nil {
		return disk.Failure(path, "", err)
	}
	defer l.Close()
	if _, err := os.Lstat(path); err == nil {
		return disk.Failure(path, "create failed", syscall.EEXIST)
	}
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return disk.Failure(path, "create failed", err)
	}
	defer os.Remove(tmp)
	if err := os.Remove(path + ".wal"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return disk.Failure(path, "create failed", err)
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return disk.Failure(path, "create failed", err)
	}
	db, err := build(tmp, id, schema)
	if err != nil {
		return disk.Failure(path, "create failed", err)
	}
	if err := db.Close(); err != nil {
		return disk.Failure(path, "create failed", err)
	}
	if err := os.Link(tmp, path); err != nil {
		return disk.Failure(path, "create failed", err)
	}
	return disk.Failure(path, "create failed", disk.SyncDir(path))
}

// openDB opens a file that passed checkFile. bbolt's own lock is given back:
// ours stands beside the file, and readers are welcome.
func openDB(path string, readOnly, noSync bool) (db *bbolt.DB, err error) {
	var file *os.File
	o := &bbolt.Options{
		Timeout:      time.Second,
		FreelistType: bbolt.FreelistMapType,
		ReadOnly:     readOnly,
		NoSync:       noSync,
		NoStatistics: true,
		OpenFile: func(name string, flag int, mode os.FileMode) (f *os.File, err error) {
			f, err = os.OpenFile(name, flag, mode)
			file = f
			return f, err
		},
	}
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, fileMode, o)
		return err
	})
	if err != nil {
		if file != nil {
			file.Close()
		}
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_UN); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// build makes a database file with a schema and records. It is flushed.
func build(path string, id, schema []byte, recs ...storage.Record) (*bbolt.DB, error) {
	db, err := openDB(path, false, true)
	if err != nil {
		return nil, err
	}
	err = guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			m, err := tx.CreateBucket(bucketMeta)
			if err != nil {
				return err
			}
			if err := m.Put(keyFormat, []byte(format)); err != nil {
				return err
			}
			if err := m.Put(keyID, id); err != nil {
				return err
			}
			if err := m.Put(keySchema, withSum(schema)); err != nil {
				return err
			}
			first := uint64(1)
			if len(recs) > 0 {
				first = recs[0].Seq
			}
			if err := m.Put(keyHead, withSum(headOf(id, first))); err != nil {
				return err
			}
			l, err := tx.CreateBucket(bucketLog)
			if err != nil {
				return err
			}
			return put(l, entries(recs))
		})
	})
	if err == nil {
		err = db.Sync()
	}
	if err != nil {
		db.Close()
		return nil, err
	}
	db.NoSync = false
	return db, nil
}

// Open opens a file for writing and takes its lock.
func Open(path string) (*Engine, error) {
	e := &Engine{path: path, file: path}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		e.file = real
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, disk.Failure(path, "open failed", err)
	}
	defer f.Close()
	if e.lock, err = disk.Lock(e.file); err != nil {
		return nil, disk.Failure(path, "", err)
	}
	if _, err = checkFile(f); err == nil {
		if e.db, err = openDB(e.file, false, false); err == nil {
			if err = guard(e.begin); err == nil {
				err = e.openLog()
			}
			if err != nil {
				e.db.Close()
			}
		}
	}
	if err != nil {
		e.lock.Close()
		return nil, disk.Failure(path, "", err)
	}
	return e, nil
}

// begin looks whether the file is one of this package.
func (e *Engine) begin() error {
	return e.db.View(func(tx *bbolt.Tx) error {
		last, err := checkLayout(tx)
		e.last = last
		e.size.Store(tx.Size())
		if err != nil {
			return err
		}
		e.id = idOf(tx)
		return verify(tx)
	})
}

func checkLayout(tx *bbolt.Tx) (last uint64, err error) {
	for _, name := range [][]byte{bucketMeta, bucketLog} {
		if tx.Bucket(name) == nil {
			return 0, fmt.Errorf("%w: it has no bucket %q", storage.ErrFormat, name)
		}
	}
	m, l := tx.Bucket(bucketMeta), tx.Bucket(bucketLog)
	if got := m.Get(keyFormat); string(got) != format {
		return 0, fmt.Errorf("%w: layout %q is not supported", storage.ErrFormat, got)
	}
	if k, _ := l.Cursor().Last(); len(k) == 8 {
		last = binary.BigEndian.Uint64(k)
	} else if k != nil {
		return 0, damaged("a record's number has %d bytes", len(k))
	}
	return last, nil
}

func idOf(tx *bbolt.Tx) []byte { return append([]byte(nil), tx.Bucket(bucketMeta).Get(keyID)...) }

// Warnings tells what Open found and mended.
func (e *Engine) Warnings() []string { return e.warnings }

// Schema returns the schema.
func (e *Engine) Schema() (schema []byte, err error) {
	err = e.view(func(tx *bbolt.Tx) error {
		schema, err = readSchema(tx)
		return err
	})
	return schema, err
}

func readSchema(tx *bbolt.Tx) ([]byte, error) {
	v, ok := bySum(tx.Bucket(bucketMeta).Get(keySchema))
	if !ok {
		return nil, damaged("the schema's checksum is wrong")
	}
	return append([]byte(nil), v...), nil
}

func (e *Engine) view(f func(*bbolt.Tx) error) error {
	e.mu.Lock()
	db, closed := e.db, e.closed
	e.mu.Unlock()
	if closed {
		return disk.Failure(e.path, "", storage.ErrClosed)
	}
	if err := guard(func() error { return db.View(f) }); err != nil {
		return disk.Failure(e.path, "", err)
	}
	return nil
}

// Load yields the records.
func (e *Engine) Load() iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		e.mu.Lock()
		var rest []entry
		if !e.closed && e.checkpoint() != nil {
			rest = e.pending // the log has them, and bbolt has no room for them
		}
		e.mu.Unlock()
		var next uint64
		for {
			var batch []storage.Record
			err := e.view(func(tx *bbolt.Tx) (err error) {
				batch, err = readRecords(tx, next, 4<<20)
				return err
			})
			for _, r := range batch {
				if !yield(r, nil) {
					return
				}
				next = r.Seq + 1
			}
			if err != nil {
				yield(storage.Record{}, err)
				return
			}
			if len(batch) == 0 {
				break
			}
		}
		for _, x := range rest {
			r, _ := decode(x.value) // which was encoded, or checked, here
			if r.Seq = x.seq; r.Seq >= next && !yield(r, nil) {
				return
			}
		}
	}
}

// readRecords copies records from number from on, about limit bytes of them
// (0: all), and those before a damaged one.
func readRecords(tx *bbolt.Tx, from uint64, limit int) (recs []storage.Record, err error) {
	c := tx.Bucket(bucketLog).Cursor()
	n := 0
	for k, v := c.Seek(seqKey(from)); k != nil; k, v = c.Next() {
		r, ok := decode(v)
		if !ok || len(k) != 8 {
			return recs, damaged("the checksum of record %x is wrong", k)
		}
		r.Seq = binary.BigEndian.Uint64(k)
		recs = append(recs, r)
		if n += len(v); limit > 0 && n > limit {
			break
		}
	}
	return recs, nil
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func put(l *bbolt.Bucket, recs []entry) error {
	l.FillPercent = 1 // numbers only grow
	for _, r := range recs {
		if err := l.Put(seqKey(r.seq), r.value); err != nil {
			return err
		}
	}
	return nil
}

// Append keeps records in one frame of the write-ahead log.
func (e *Engine) Append(batch []storage.Record, durable bool) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, disk.Failure(e.path, "", storage.ErrClosed)
	}
	if len(batch) == 0 {
		return e.last, nil
	}
	if e.end > logBytes {
		// The checkpoints in the background do not keep up. When this one fails,
		// the log goes on growing.
		_ = e.checkpoint()
	}
	if err := e.write(e.last+1, batch, durable); err != nil {
		return 0, disk.Failure(e.path, "", err)
	}
	e.last += uint64(len(batch))
	if e.waiting > checkpointBytes && !e.busy {
		go e.later()
	}
	return e.last, nil
}

func (e *Engine) commit(db *bbolt.DB, recs []entry) error {
	return guard(func() error {
		return db.Update(func(tx *bbolt.Tx) error {
			e.size.Store(tx.Size())
			return put(tx.Bucket(bucketLog), recs)
		})
	})
}

// Compact writes a new file and puts it in the place of the old one.
func (e *Engine) Compact(schema []byte, whole storage.Record, upTo uint64) error {
	e.compacting.Lock()
	defer e.compacting.Unlock()
	if schema == nil {
		var err error
		if schema, err = e.Schema(); err != nil {
			return err
		}
	}
	e.mu.Lock()
	whole.Seq = upTo
	if upTo == 0 {
		whole.Seq = e.last + 1
	}
	e.mu.Unlock()
	tmp := e.file + ".compact"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return disk.Failure(e.path, "", err)
	}
	db, err := build(tmp, e.id, schema, whole)
	if err != nil {
		os.Remove(tmp)
		return disk.Failure(e.path, "", err)
	}
	if err := e.replace(db, tmp, whole.Seq, upTo); err != nil {
		db.Close()
		os.Remove(tmp)
		return disk.Failure(e.path, "", err)
	}
	return nil
}

// replace moves the records behind upTo to the new file and takes it into use.
func (e *Engine) replace(db *bbolt.DB, tmp string, seq, upTo uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return storage.ErrClosed
	}
	if upTo == 0 && seq != e.last+1 {
		return errors.New("records were appended while all were to be replaced")
	}
	if err := e.checkpoint(); err != nil {
		return err
	}
	if upTo != 0 {
		var recs []storage.Record
		err := guard(func() error {
			return e.db.View(func(tx *bbolt.Tx) (err error) {
				recs, err = readRecords(tx, upTo+1, 0)
				return err
			})
		})
		if err == nil && len(recs) > 0 {
			err = e.commit(db, entries(recs))
		}
		if err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, e.file); err != nil {
		return err
	}
	old := e.db
	e.db, e.last = db, max(e.last, seq)
	if st, err := os.Stat(e.file); err == nil {
		e.size.Store(st.Size())
	}
	go old.Close() // waits for readers
	// The new file is in use whether its name is flushed or not. Before it is, a
	// power cut brings the old one back: a durable Append tries again.
	e.nameless = disk.SyncDir(e.file) != nil
	return nil
}

// Size is the size of the file.
func (e *Engine) Size() int64 { return e.size.Load() }

// Close closes the file and gives the lock back.
func (e *Engine) Close() error {
	e.compacting.Lock()
	defer e.compacting.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	err := e.closeLog()
	return errors.Join(err, e.db.Close(), e.lock.Close())
}
