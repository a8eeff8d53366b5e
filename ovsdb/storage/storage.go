// Package storage is the waist between the database and what keeps it:
// every kind of store implements [Engine], and passes the suite in
// storage/storagetest.
//
// An engine keeps a schema and a sequence of records, each the change that one
// transaction made. It does not know what is in them: compaction is the
// database's snapshot as one record that replaces those before it.
//
// # Caveats
//
// Records are numbered from 1 in each file; numbers have no meaning outside of
// the process that read them.
package storage

import (
	"errors"
	"iter"
)

// Errors that an Engine returns, to be tested with errors.Is. The text around
// them names the file, as "NAME: ..".
var (
	ErrClosed  = errors.New("database file is closed")
	ErrLocked  = errors.New("failed to lock lockfile (Resource temporarily unavailable)")
	ErrFormat  = errors.New("unexpected file format")
	ErrCorrupt = errors.New("database file is damaged")
)

// A Record is one committed change in the form that is kept: a JSON object
// {"TABLE": {"UUID": {"COLUMN": VALUE, ...} | null}} as ovsdb(5) describes for
// transaction records, its values in the wire form of RFC 7047, section 5.1.
// Rows hold the columns that changed: new values whole, or, with a member
// "_is_diff": true beside the tables, their difference from the old ones.
type Record struct {
	Seq  uint64   // the record's number, set by Load; Append and Compact ignore it
	ID   [16]byte // id of the transaction, zero where there is none
	Time int64    // milliseconds since 1970, UTC
	Note string   // the transaction's comments, newline-separated
	Body []byte   // the JSON object; the engine may keep it, the caller no longer changes it
}

// An Engine keeps one database. Append is called by one goroutine at a time;
// the other methods may run beside it.
type Engine interface {
	// Schema is the schema's JSON as it was stored.
	Schema() ([]byte, error)
	// Load yields the kept records, oldest first: after compaction the first
	// one holds every row. It is called once, before Append. Bodies may be used
	// as long as the caller wants.
	Load() iter.Seq2[Record, error]
	// Append keeps the records, all or none, and returns the number of the last
	// one. When it returns, they survive kill -9; with durable true a power cut
	// too. After an error the engine is as it was before, and may be tried again.
	Append(batch []Record, durable bool) (last uint64, err error)
	// Compact replaces the records up to the one numbered upTo (0: all) by one
	// that holds every row as it was after it, and the schema by a new one where
	// one is given. It is all or nothing. Append waits for its last part only,
	// which takes as long as the records behind upTo are many.
	Compact(schema []byte, whole Record, upTo uint64) error
	// Size is the number of bytes that the database takes on disk.
	Size() int64
	// Close gives the file and its lock back. A second call does nothing.
	Close() error
}

// A Warner is an Engine that tells what it mended when it was opened: a record
// that was not written to its end, say. Each warning names the file.
type Warner interface {
	Warnings() []string
}
