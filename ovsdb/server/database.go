package server

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"govs/internal/dberr"
	"govs/ovsdb/history"
	"govs/ovsdb/monitor"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// Bounds of the history that monitor_cond_since resumes from.
const (
	historyCount = 100_000
	historyBytes = 16 << 20
)

// Database is one database that a server serves.
type Database struct {
	srv    *Server
	name   string // of the file
	schema *schema.Schema
	text   []byte // the schema as get_schema answers it
	engine storage.Engine
	mem    *store.DB
	relay  *relay      // nil where the database is kept here
	backup atomic.Bool // it follows another server's by itself (see Server.Backup)

	// What waits for the sequencer.
	mu      sync.Mutex
	work    sync.Cond
	queue   []*request
	spare   []*request // room for the next queue
	jobs    []func()   // run between batches
	busy    bool       // somebody has the turn
	stopped bool
	// replaced says that another Database has the engine (see convert). It is
	// set by who has the turn.
	replaced bool
	done     chan struct{}

	// Of whoever has the turn.
	waiting []*request
	orphans orphans
	timer   *time.Timer
	log     logState

	pub  sync.Mutex
	subs map[*subscription]struct{}
	ring *history.Ring
	ids
	blocks   *monitor.Blocks
	due      []*subscription // have something that is not flushed
	flushing bool            // a goroutine flushes them
}

// openDatabase reads a database into memory.
func openDatabase(srv *Server, name string, e storage.Engine) (*Database, error) {
	text, err := e.Schema()
	if err != nil {
		return nil, err
	}
	sch, derr := schema.Parse(text)
	if derr != nil {
		return nil, fmt.Errorf("%s: %w", name, derr)
	}
	db := newDatabase(srv, name, e, sch)
	if err := db.load(); err != nil {
		return nil, err
	}
	return db, nil
}

// newDatabase makes a database that is empty so far.
func newDatabase(srv *Server, name string, e storage.Engine, sch *schema.Schema) *Database {
	db := &Database{
		srv:    srv,
		name:   name,
		schema: sch,
		text:   sch.AppendJSON(nil),
		engine: e,
		mem:    store.New(sch),
		subs:   make(map[*subscription]struct{}),
		blocks: monitor.NewBlocks(),
		ring:   history.New(historyCount, historyBytes),
		ids:    ids{mask: atom.New(), held: make([]bool, len(sch.Tables))},
		done:   make(chan struct{}),
	}
	db.work.L = &db.mu
	db.log.when = time.Now()
	return db
}

// load applies the engine's records.
func (db *Database) load() error {
	edit := db.mem.Snapshot().Edit()
	spent := 0
	for rec, err := range db.engine.Load() {
		if err != nil {
			return err
		}
		first := db.log.seq == 0
		spent += 4 * len(rec.Body)
		db.last = atom.UUID(rec.ID)
		db.log.seq = rec.Seq
		if first {
			db.ring.Reset(db.last) // the first record holds every row: no change that anybody saw
			db.log.compacted(rec)
			if snap := history.DecodeWhole(db.schema, rec.Body); snap != nil {
				edit = snap.Edit()
				continue
			}
		}
		d, err := history.Decode(&edit.Snapshot, rec.Body)
		if err != nil {
			return fmt.Errorf("%s: record %d: %w", db.name, rec.Seq, err)
		}
		edit.Apply(d)
		if !first {
			db.ring.Add(db.last, d)
			db.log.appended(len(rec.Body), 1)
		}
	}
	db.kept = db.last
	db.srv.spent(spent)
	db.mem.Publish(edit.Done())
	return nil
}

// Name is the schema's name.
func (db *Database) Name() string { return db.schema.Name }

// File is the name that the database was opened by.
func (db *Database) File() string { return db.name }

// Snapshot is the current version.
func (db *Database) Snapshot() *store.Snapshot { return db.mem.Snapshot() }

// start starts the sequencer.
func (db *Database) start() { go db.sequence() }

// submit hands in transactions, in this order. Where nobody writes just now,
// they are executed before submit returns.
func (db *Database) submit(reqs ...*request) {
	db.mu.Lock()
	if db.stopped {
		replaced := db.replaced
		db.mu.Unlock()
		for _, r := range reqs {
			if replaced {
				r.canceled()
			} else {
				r.fail(dberr.New(dberr.UnknownDatabase, "database %s is no longer served", db.schema.Name))
			}
		}
		return
	}
	db.queue = append(db.queue, reqs...)
	if db.busy {
		db.mu.Unlock() // its turn ends with a look at the queue
		return
	}
	db.busy = true
	db.mu.Unlock()
	for turns := 0; ; {
		db.lead(db.take())
		db.mu.Lock()
		if turns++; turns == leadTurns || len(db.queue) == 0 || db.stopped {
			break
		}
		db.mu.Unlock()
	}
	db.pass()
	db.mu.Unlock()
}

// leadTurns is how many turns a submitter has where others queue meanwhile; its
// own client waits until the last one is done.
const leadTurns = 4

// do has the sequencer call f between two batches.
func (db *Database) do(f func()) {
	db.mu.Lock()
	db.jobs = append(db.jobs, f)
	db.work.Signal()
	db.mu.Unlock()
}

// Do has the writer call f between two batches, and returns when it has: no
// transaction is executed meanwhile.
func (db *Database) Do(f func()) {
	done := make(chan struct{})
	db.do(func() {
		f()
		close(done)
	})
	select {
	case <-done:
	case <-db.done:
	}
}

// cancel ends a transaction that waits.
func (db *Database) cancel(r *request) {
	if db.relay != nil {
		db.relay.forwards.cancel(r)
	}
	db.do(func() {
		for i, w := range db.waiting {
			if w == r {
				db.waiting = append(db.waiting[:i], db.waiting[i+1:]...)
				r.canceled()
				return
			}
		}
	})
}

// close stops the sequencer when what waits is done, and closes the engine.
func (db *Database) close() error {
	db.mu.Lock()
	if !db.stopped {
		db.stopped = true
		db.work.Signal()
	}
	db.mu.Unlock()
	<-db.done
	db.log.wait()
	return db.engine.Close()
}

// wait waits for something to do and takes the turn; it returns false when the
// database is stopped and there is nothing left.
func (db *Database) wait() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	for db.busy || len(db.queue) == 0 && len(db.jobs) == 0 && !db.stopped {
		db.work.Wait()
	}
	db.busy = len(db.queue) > 0 || len(db.jobs) > 0
	return db.busy
}

// pass gives the turn back. The caller holds mu.
func (db *Database) pass() {
	db.busy = false
	if len(db.queue) > 0 || len(db.jobs) > 0 || db.stopped {
		db.work.Signal()
	}
}

// take takes what waits. Only who has the turn may.
func (db *Database) take() (reqs []*request, jobs []func()) {
	db.mu.Lock()
	defer db.mu.Unlock()
	reqs, db.queue, db.spare = db.queue, db.spare[:0], db.queue
	jobs, db.jobs = db.jobs, nil
	return reqs, jobs
}
