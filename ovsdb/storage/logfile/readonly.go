package logfile

import (
	"errors"
	"iter"
	"os"
	"time"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

// ErrReadOnly is what a database that was opened for reading answers to writes.
var ErrReadOnly = errors.New("database was opened for reading only")

// view is a database that is open for reading.
type view struct {
	path   string
	f      *os.File
	schema []byte
	start  int64 // of the first record behind the schema
}

// OpenReadOnly opens a file for reading. No lock is needed: a writer may go on
// meanwhile. Load yields the records that are there when it is called, and an
// error where one is damaged or was not written to its end.
func OpenReadOnly(path string) (storage.Engine, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, disk.Failure(path, "open failed", err)
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, disk.Failure(path, "", err)
	}
	v := &view{path: path, f: f}
	if v.schema, v.start, err = readSchema(path, f, st.Size()); err != nil {
		f.Close()
		return nil, err
	}
	return v, nil
}

func (v *view) Schema() ([]byte, error) { return v.schema, nil }

func (v *view) Load() iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		end, err := v.settled()
		if err != nil {
			yield(storage.Record{}, disk.Failure(v.path, "", err))
			return
		}
		load(newReader(v.path, v.f, v.start, end), 1, yield)
	}
}

// settled is the file's size when a writer is not in the middle of a record.
func (v *view) settled() (int64, error) {
	const tries = 10
	at := v.start
	for n := 0; ; n++ {
		st, err := v.f.Stat()
		if err != nil {
			return 0, err
		}
		var d *Damage
		if _, at, d, err = scan(v.path, v.f, at, st.Size()); err != nil {
			return 0, err
		}
		if d == nil || d.Next != 0 || n == tries {
			return st.Size(), nil
		}
		time.Sleep(time.Millisecond)
	}
}

func (v *view) Append([]storage.Record, bool) (uint64, error)      { return 0, ErrReadOnly }
func (v *view) Compact(_ []byte, _ storage.Record, _ uint64) error { return ErrReadOnly }
func (v *view) Close() error                                       { return v.f.Close() }

func (v *view) Size() int64 {
	st, err := v.f.Stat()
	if err != nil {
		return 0
	}
	return st.Size()
}
