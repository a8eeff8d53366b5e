// Package memory is a storage.Engine that forgets everything at the end of the
// process: for tests, and for databases that are made anew at each start, as
// _Server is.
package memory

import (
	"bytes"
	"iter"
	"sync"

	"govs/ovsdb/storage"
)

// Engine keeps records in memory. Make it with New.
type Engine struct {
	mu     sync.Mutex
	schema []byte
	recs   []storage.Record
	last   uint64
	size   int64
	closed bool
}

var _ storage.Engine = (*Engine)(nil)

// New makes an empty database with a schema.
func New(schema []byte) *Engine { return &Engine{schema: bytes.Clone(schema)} }

// Schema returns the schema.
func (e *Engine) Schema() ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, storage.ErrClosed
	}
	return e.schema, nil
}

// Load yields the records.
func (e *Engine) Load() iter.Seq2[storage.Record, error] {
	return func(yield func(storage.Record, error) bool) {
		e.mu.Lock()
		recs, closed := e.recs[:len(e.recs):len(e.recs)], e.closed
		e.mu.Unlock()
		if closed {
			yield(storage.Record{}, storage.ErrClosed)
			return
		}
		for _, r := range recs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Append keeps records.
func (e *Engine) Append(batch []storage.Record, _ bool) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return 0, storage.ErrClosed
	}
	for _, r := range batch {
		e.last++
		r.Seq = e.last
		e.recs = append(e.recs, r)
		e.size += int64(len(r.Body) + len(r.Note))
	}
	return e.last, nil
}

// Compact replaces records by one.
func (e *Engine) Compact(schema []byte, whole storage.Record, upTo uint64) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return storage.ErrClosed
	}
	if upTo == 0 {
		e.last++
		upTo = e.last
	}
	whole.Seq = upTo
	recs := []storage.Record{whole}
	e.size = int64(len(whole.Body) + len(whole.Note))
	for _, r := range e.recs {
		if r.Seq > upTo {
			recs = append(recs, r)
			e.size += int64(len(r.Body) + len(r.Note))
		}
	}
	e.recs = recs
	if schema != nil {
		e.schema = bytes.Clone(schema)
	}
	return nil
}

// Size is the number of bytes of the records.
func (e *Engine) Size() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.size
}

// Close ends the engine's use.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}
