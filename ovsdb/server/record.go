package server

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"govs/internal/dberr"
	"govs/ovsdb/history"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/disk"
)

// When a database is compacted by itself: it doubled since it was compacted
// and is not small, and it was not done just now.
const (
	compactLeastBytes   = 10 << 20
	compactLeastRecords = 100
	compactLeastPause   = 10 * time.Minute
	compactAfter        = 24 * time.Hour
)

// logState is what the sequencer knows of the engine's records.
type logState struct {
	seq     uint64 // number of the last record
	base    int64  // bytes of the record that a compaction made
	bytes   int64  // bytes of the records since
	records int    // how many
	when    time.Time

	running sync.WaitGroup // a compaction in the background
	mu      sync.Mutex
	busy    bool
}

func (l *logState) compacted(rec storage.Record) {
	l.base, l.bytes, l.records, l.when = int64(len(rec.Body)), 0, 0, time.Now()
}

func (l *logState) appended(bytes, records int) {
	l.bytes += int64(bytes)
	l.records += records
}

// due reports whether it is time to compact.
func (l *logState) due(now time.Time) bool {
	if l.records < compactLeastRecords {
		return false
	}
	if now.Sub(l.when) > compactAfter {
		return true
	}
	return l.base+l.bytes > compactLeastBytes && l.bytes > l.base &&
		(now.Sub(l.when) > compactLeastPause || l.bytes > 4*max(l.base, compactLeastBytes))
}

func (l *logState) wait() { l.running.Wait() }

// record makes the record of a commit; none where only ephemeral columns changed,
// or where the database is kept elsewhere.
func record(c *commit, now time.Time) (storage.Record, bool) {
	if c.req.db.relay != nil {
		return storage.Record{}, false
	}
	body := history.Encode(c.delta)
	if body == nil {
		return storage.Record{}, false
	}
	return storage.Record{ID: c.id, Time: now.UnixMilli(), Note: c.res.Comment, Body: body}, true
}

// keep appends records to the engine.
func (db *Database) keep(records []storage.Record, durable bool) error {
	if len(records) == 0 {
		return nil
	}
	last, err := db.engine.Append(records, durable)
	if err != nil {
		return err
	}
	db.log.seq = last
	n := 0
	for i := range records {
		n += len(records[i].Body)
	}
	db.log.appended(n, len(records))
	return nil
}

// ioError is an engine's error as a reply holds it.
func ioError(err error) *dberr.Error {
	var e *disk.Error
	if errors.As(err, &e) && e.What != "" {
		return &dberr.Error{Tag: dberr.IOError, Details: e.Path + ": " + e.What, IO: e.Text}
	}
	return dberr.New(dberr.IOError, "%v", err)
}

// autoCompact starts a compaction in the background when it is time.
func (db *Database) autoCompact(now time.Time) {
	if db.log.due(now) {
		db.compactLater("", nil)
	}
}

// Compact writes the database anew without what is no longer needed.
func (db *Database) Compact(note string) error {
	done := make(chan error, 1)
	db.mu.Lock()
	if db.stopped {
		db.mu.Unlock()
		return storage.ErrClosed
	}
	db.jobs = append(db.jobs, func() { db.compactLater(note, func(err error) { done <- err }) })
	db.work.Signal()
	db.mu.Unlock()
	return <-done
}

// compactLater is called by the sequencer: it takes the version as it is now
// and writes it in a goroutine of its own.
func (db *Database) compactLater(note string, then func(error)) {
	if db.replaced {
		if then != nil {
			then(storage.ErrClosed)
		}
		return
	}
	l := &db.log
	l.mu.Lock()
	busy := l.busy
	l.busy = true
	l.mu.Unlock()
	if busy {
		if then != nil {
			then(dberr.New(dberr.OVSDBError, "%s: a compaction is in progress", db.schema.Name))
		}
		return
	}
	if l.seq == 0 {
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		if then != nil {
			then(nil) // there is nothing in it
		}
		return
	}
	began := time.Now()
	snap, upTo := db.mem.Snapshot(), l.seq
	whole := storage.Record{ID: db.kept, Time: began.UnixMilli(), Note: note}
	behind, records := l.bytes, l.records
	l.running.Add(1)
	go func() {
		defer l.running.Done()
		whole.Body = history.EncodeWhole(snap)
		err := db.engine.Compact(nil, whole, upTo)
		db.srv.spent(4 * len(whole.Body))
		l.mu.Lock()
		l.busy = false
		l.mu.Unlock()
		if err != nil {
			db.srv.log.Warn(db.schema.Name + ": compaction failed: " + err.Error())
		}
		db.do(func() {
			if err == nil {
				l.base, l.when = int64(len(whole.Body)), time.Now()
				l.bytes -= behind
				l.records -= records
			} else {
				l.when = time.Now() // not again at once
			}
		})
		if err == nil && db.srv.trim.Load() {
			debug.FreeOSMemory()
		}
		if f := db.srv.cfg.Events.Compacted; f != nil {
			f(db.schema.Name, time.Since(began), err)
		}
		if then != nil {
			then(err)
		}
	}()
}
