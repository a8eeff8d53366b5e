// Package logfile keeps a database in the C ovsdb-server's file format for
// standalone databases: the storage.Engine that opens its files where they lie,
// and appends to them so that the C server can go back to them.
//
// ovsdb(5) describes the format: records of two lines, a header with the length
// and the SHA-1 sum of the JSON text in the second one. The first record is the
// schema; each other one is a transaction, its tables beside "_date", "_comment"
// and "_is_diff", as storage.Record describes its body.
//
// The transaction's id has no place in that format. It stands in a member
// "_date" before the one that counts: of a name that comes twice in an object,
// the last value is taken (ovsdb-server(7)). The C programs read on without
// noticing, and clients resume after a restart. A transaction that the C server
// wrote gets an id made from the checksums up to it.
//
// # Safety
//
// An Append is one system call, however many transactions share it, and one
// flush where durable is asked for. Open checks each record's sum. What stands
// behind the last intact record, with no other one behind it, was not written to
// its end: it is dropped with a warning, and cut off before the next record is
// written, as the C server does. Where an intact record follows, acknowledged
// transactions would be lost with it: that is a [Damage], and the file is left
// as it is (the C server goes on there, without all that follows). Compaction
// writes a new file and renames it over the old one. Writers exclude each other
// by the C programs' lock file. Readers need no lock.
//
// # Caveats
//
// After a power cut, records that were not durable may be missing in the middle
// of the file where the file system wrote later ones first. That cannot be told
// from damage; cutting the file at the offset that the error names gives up what
// follows.
package logfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
	"govs/schema/atom"
)

const fileMode = 0o640

// Engine is a database in a file of the log format.
type Engine struct {
	path string // as it was given, for messages
	file string // where the file is
	lock *os.File
	size atomic.Int64
	torn *Damage // what Open found behind the last record

	compacting sync.Mutex

	mu     sync.Mutex // Append, and the last part of Compact
	f      *os.File
	schema []byte
	starts []int64 // where the records begin
	first  uint64  // the number of the first one
	end    int64   // of the last one
	dirty  bool    // there is something behind end that must go
	closed bool

	nameless bool // the file's name, new since a compaction, is not flushed
}

var (
	_ storage.Engine = (*Engine)(nil)
	_ storage.Warner = (*Engine)(nil)
)

// Is reports whether a file starts as a database of this format does.
func Is(head []byte) bool { return bytes.HasPrefix(head, []byte(magic)) }

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
	f, err := build(tmp, schema)
	if err == nil {
		f.Close()
		if err = os.Link(tmp, path); err == nil {
			err = disk.SyncDir(path)
		}
	}
	os.Remove(tmp)
	return disk.Failure(path, "create failed", err)
}

// build makes a file of a schema and records, flushed.
func build(path string, schema []byte, recs ...storage.Record) (*os.File, error) {
	schema = append(bytes.TrimSpace(schema), '\n')
	b := appendFrame(nil, schema)
	for _, r := range recs {
		data, err := appendData(nil, r)
		if err != nil {
			return nil, err
		}
		b = appendFrame(b, data)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(b); err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

// Open opens a file for writing and takes its lock.
func Open(path string) (*Engine, error) {
	e := &Engine{path: path, file: disk.Real(path), first: 1}
	var err error
	if e.f, err = os.OpenFile(e.file, os.O_RDWR, 0); err != nil {
		return nil, disk.Failure(path, "open failed", err)
	}
	if e.lock, err = disk.Lock(e.file); err != nil {
		e.f.Close()
		return nil, disk.Failure(path, "", err)
	}
	if err := e.begin(); err != nil {
		e.f.Close()
		e.lock.Close()
		return nil, err
	}
	return e, nil
}

// begin checks the file.
func (e *Engine) begin() error {
	// Whoever had the lock before may have put another file here meanwhile.
	opened, err := e.f.Stat()
	if err != nil {
		return disk.Failure(e.path, "", err)
	}
	if now, err := os.Stat(e.file); err != nil || !os.SameFile(opened, now) {
		f, err := os.OpenFile(e.file, os.O_RDWR, 0)
		if err != nil {
			return disk.Failure(e.path, "open failed", err)
		}
		e.f.Close()
		e.f = f
	}
	st, err := e.f.Stat()
	if err != nil {
		return disk.Failure(e.path, "", err)
	}
	var at int64
	if e.schema, at, err = readSchema(e.path, e.f, st.Size()); err != nil {
		return err
	}
	var d *Damage
	e.starts, e.end, d, err = scan(e.path, e.f, at, st.Size())
	if err != nil {
		return disk.Failure(e.path, "", err)
	}
	if d != nil && d.Next != 0 {
		return d
	}
	e.torn, e.dirty = d, d != nil
	e.size.Store(e.end)
	return nil
}

// readSchema reads the first record, and returns where the next one begins.
func readSchema(path string, f io.ReaderAt, size int64) ([]byte, int64, error) {
	r := newReader(path, f, 0, size)
	data, _, err := r.next()
	var d *Damage
	switch {
	case errors.Is(err, errEnd):
		return nil, 0, disk.Failure(path, "", storage.ErrFormat)
	case errors.As(err, &d):
		return nil, 0, err
	case err != nil:
		return nil, 0, disk.Failure(path, "", err)
	}
	return bytes.TrimSpace(data), r.at, nil
}

// Torn is what Open found behind the last intact record, in the C programs'
// words; nil where there was nothing.
func (e *Engine) Torn() error {
	if e.torn == nil {
		return nil
	}
	return e.torn
}

// Warnings tells what Open found and mended.
func (e *Engine) Warnings() []string {
	if e.torn == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s; the last record, at offset %d, was not written to its end and is dropped", e.torn.Text, e.torn.Offset)}
}

// Schema returns the schema.
func (e *Engine) Schema() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, disk.Failure(e.path, "", storage.ErrClosed)
	}
	return e.schema, nil
}

// last is the number of the last record. The caller holds mu.
func (e *Engine) last() uint64 { return e.first + uint64(len(e.starts)) - 1 }

// Load yields the records.
func (e *Engine) Load() iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		e.mu.Lock()
		start, end, seq := e.end, e.end, e.first
		if len(e.starts) > 0 {
			start = e.starts[0]
		}
		err := error(storage.ErrClosed)
		var f *os.File
		if !e.closed {
			f, err = again(e.f)
		}
		e.mu.Unlock()
		if err != nil {
			yield(storage.Record{}, disk.Failure(e.path, "", err))
			return
		}
		defer f.Close()
		load(newReader(e.path, f, start, end), seq, yield)
	}
}

// again gives a file a second handle: a compaction may close the first.
func again(f *os.File) (*os.File, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// load yields the records that a reader gives, the first of them with number seq.
func load(r *reader, seq uint64, yield func(storage.Record, error) bool) {
	var id atom.UUID
	for ; ; seq++ {
		data, sum, err := r.next()
		var rec storage.Record
		if err == nil {
			if rec, err = parseData(data, sum, id); err != nil {
				err = r.invalid(len(data), err)
			}
		}
		var d *Damage
		switch {
		case errors.Is(err, errEnd):
			return
		case errors.As(err, &d):
			yield(storage.Record{}, err)
			return
		case err != nil:
			yield(storage.Record{}, disk.Failure(r.path, "", err))
			return
		}
		id, rec.Seq = rec.ID, seq
		if !yield(rec, nil) {
			return
		}
	}
}

// Append writes records at the end of the file.
func (e *Engine) Append(batch []storage.Record, durable bool) (uint64, error) {
	var b, data []byte
	at := make([]int64, 0, len(batch))
	for _, r := range batch {
		var err error
		if data, err = appendData(data[:0], r); err != nil {
			return 0, disk.Failure(e.path, "", err)
		}
		at = append(at, int64(len(b)))
		b = appendFrame(b, data)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, disk.Failure(e.path, "", storage.ErrClosed)
	}
	if len(batch) == 0 {
		return e.last(), nil
	}
	if err := e.write(b, durable); err != nil {
		return 0, disk.Failure(e.path, "", err)
	}
	for _, off := range at {
		e.starts = append(e.starts, e.end+off)
	}
	e.end += int64(len(b))
	e.size.Store(e.end)
	return e.last(), nil
}

// write writes at the end. What is there of a write that failed goes.
func (e *Engine) write(b []byte, durable bool) error {
	if e.dirty {
		if err := e.f.Truncate(e.end); err != nil {
			return err
		}
		e.dirty = false
	}
	if durable && e.nameless {
		if err := disk.SyncDir(e.file); err != nil {
			return err
		}
		e.nameless = false
	}
	_, err := e.f.WriteAt(b, e.end)
	if err == nil && durable {
		err = unix.Fdatasync(int(e.f.Fd()))
	}
	if err != nil {
		e.dirty = e.f.Truncate(e.end) != nil
	}
	return err
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
	return errors.Join(e.f.Close(), e.lock.Close())
}
