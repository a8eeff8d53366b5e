package bolt

import (
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

// ErrReadOnly is what a database that was opened for reading answers to writes.
var ErrReadOnly = errors.New("database was opened for reading only")

// view is a copy of a database's records.
type view struct {
	schema []byte
	recs   []storage.Record
	size   int64
}

// OpenReadOnly takes a copy of a database's contents as of one commit. No lock
// is needed: a writer may go on meanwhile.
func OpenReadOnly(path string) (storage.Engine, error) {
	// What is in the write-ahead log belongs to the commit before it.
	// bbolt's readers are safe from writers of their own process only, so the
	// copy counts if no commit came in between.
	const tries = 20
	var err error
	for range tries {
		var v *view
		var same bool
		if v, same, err = tryCopy(path); same {
			return v, nil
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, storage.ErrFormat) {
			return nil, disk.Failure(path, "open failed", err)
		}
	}
	if err == nil {
		err = errors.New("database changes too fast to be read")
	}
	return nil, disk.Failure(path, "", err)
}

// tryCopy takes a copy, and reports whether nothing was committed meanwhile, nor
// another file put in the place of this one.
func tryCopy(path string) (v *view, same bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := checkFile(f)
	if err == nil {
		v, err = copyOf(path)
	}
	if err != nil {
		return nil, false, err
	}
	after, err := checkFile(f)
	if err != nil || before.txid != after.txid {
		return nil, false, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	now, err := os.Stat(path)
	return v, err == nil && os.SameFile(st, now), err
}

func copyOf(path string) (*view, error) {
	db, err := openDB(path, true, false)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	v := new(view)
	var last uint64
	var id []byte
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) (err error) {
			if last, err = checkLayout(tx); err != nil {
				return err
			}
			if err := verify(tx); err != nil {
				return err
			}
			id = idOf(tx)
			v.size = tx.Size()
			if v.schema, err = readSchema(tx); err != nil {
				return err
			}
			v.recs, err = readRecords(tx, 0, 0)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	f, err := os.Open(path + ".wal")
	if errors.Is(err, fs.ErrNotExist) {
		return v, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	recs, _, _, err := replay(f, id, last)
	v.recs = append(v.recs, recs...)
	return v, err
}

func (v *view) Schema() ([]byte, error) { return v.schema, nil }

func (v *view) Load() iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		for _, r := range v.recs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (v *view) Append([]storage.Record, bool) (uint64, error)      { return 0, ErrReadOnly }
func (v *view) Compact(_ []byte, _ storage.Record, _ uint64) error { return ErrReadOnly }
func (v *view) Size() int64                                        { return v.size }
func (v *view) Close() error                                       { return nil }
