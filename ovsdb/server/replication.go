package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/client"
	"govs/ovsdb/monitor"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
)

// replication is a server's role in an active-backup pair (ovsdb(7)): a backup
// is read-only for its clients and follows the active server's databases.
type replication struct {
	backup atomic.Bool

	change sync.Mutex // one change of the role at a time

	mu      sync.Mutex
	active  string
	named   bool                       // there is an active server, be its name empty
	exclude map[string]map[string]bool // tables by database
	probe   time.Duration
	run     *replicator // nil in an active server

	single map[string]*replicator // of databases that are backups by themselves, by name
}

// replicator follows an active server until it is stopped.
type replicator struct {
	srv     *Server
	log     *slog.Logger
	target  string
	only    string // the database; "": all of them
	exclude map[string]map[string]bool
	peer    *peer
	stop    context.CancelFunc
	done    chan struct{}

	mu    sync.Mutex
	feeds map[string]*feed // by database
	dbs   []string         // that are replicated; nil while it connects
	fault error            // of a notification
}

// SetActive names the server that ConnectActive follows: an active target, or
// several, separated by commas.
func (s *Server) SetActive(target string) {
	s.repl.mu.Lock()
	s.repl.active, s.repl.named = target, true
	s.repl.mu.Unlock()
}

// Active is what SetActive named.
func (s *Server) Active() string {
	s.repl.mu.Lock()
	defer s.repl.mu.Unlock()
	return s.repl.active
}

// SetActiveProbe sets how long the connection to the active server may be idle
// before it is probed; 0 means never.
func (s *Server) SetActiveProbe(d time.Duration) {
	s.repl.mu.Lock()
	s.repl.probe = d
	run := s.repl.run
	s.repl.mu.Unlock()
	if run != nil {
		run.peer.probed()
	}
}

func (s *Server) activeProbe() time.Duration {
	s.repl.mu.Lock()
	defer s.repl.mu.Unlock()
	return s.repl.probe
}

// SetSyncExclude names the tables that are not replicated, as DB:TABLE separated
// by commas. A backup starts anew with them.
func (s *Server) SetSyncExclude(list string) {
	exclude := make(map[string]map[string]bool)
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		db, table, _ := strings.Cut(name, ":")
		if exclude[db] == nil {
			exclude[db] = make(map[string]bool)
		}
		exclude[db][table] = true
	}
	s.repl.mu.Lock()
	s.repl.exclude = exclude
	s.repl.mu.Unlock()
	s.followAgain()
}

// SyncExclude lists the tables that are not replicated.
func (s *Server) SyncExclude() string {
	s.repl.mu.Lock()
	defer s.repl.mu.Unlock()
	return excluded(s.repl.exclude)
}

func excluded(exclude map[string]map[string]bool) string {
	var names []string
	for db, tables := range exclude {
		for t := range tables {
			names = append(names, db+":"+t)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ",")
}

// ConnectActive makes the server a backup of the one that SetActive named. Its
// clients are dropped; from then on they may only read.
func (s *Server) ConnectActive() error {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	s.repl.mu.Lock()
	named := s.repl.named
	s.repl.mu.Unlock()
	if !named {
		return errors.New("Unable to connect: active server is not specified.") //nolint:staticcheck // the C server's text
	}
	s.stopReplicator()
	if !s.repl.backup.Swap(true) {
		s.Reconnect()
	}
	s.startReplicator()
	return nil
}

// DisconnectActive makes a backup an active server. Its clients are dropped.
func (s *Server) DisconnectActive() {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	s.stopReplicator()
	if s.repl.backup.Swap(false) {
		s.Reconnect()
	}
}

// followAgain has a backup start anew, where what it follows changed.
func (s *Server) followAgain() {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	if s.repl.backup.Load() {
		s.stopReplicator()
		s.startReplicator()
	}
}

func (s *Server) startReplicator() {
	r := &s.repl
	r.mu.Lock()
	defer r.mu.Unlock()
	run := &replicator{srv: s, log: s.cfg.Log("replication"), target: r.active, exclude: r.exclude}
	r.run = run
	run.start(sources(r.active), run.failed)
}

// start starts to follow the sources. failed is called where that is given up.
func (run *replicator) start(from []Source, failed func(error)) {
	ctx, stop := context.WithCancel(context.Background())
	run.stop, run.done = stop, make(chan struct{})
	s := run.srv
	run.peer = &peer{srv: s, log: s.cfg.Log("reconnect"), sources: from, probe: s.activeProbe, session: run.session, notify: run.notify}
	go func() {
		err := run.peer.run(ctx)
		close(run.done)
		if err != nil {
			failed(err)
		}
	}()
}

// end stops to follow.
func (run *replicator) end() {
	run.stop()
	<-run.done
}

// sources splits a list of targets.
func sources(list string) []Source {
	names := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) == 0 {
		names = []string{list}
	}
	var all []Source
	for _, name := range names {
		all = append(all, Source{Target: name})
	}
	return all
}

func (s *Server) stopReplicator() {
	s.repl.mu.Lock()
	run := s.repl.run
	s.repl.run = nil
	s.repl.mu.Unlock()
	if run != nil {
		run.end()
	}
}

// failed ends the role of a backup that cannot follow, as the C server does.
func (run *replicator) failed(err error) {
	s := run.srv
	run.log.Error(err.Error())
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	s.repl.mu.Lock()
	mine := s.repl.run == run
	if mine {
		s.repl.run = nil
	}
	s.repl.mu.Unlock()
	if mine && s.repl.backup.Swap(false) {
		run.log.Warn("the server is active now")
		s.Reconnect()
	}
}

// SyncStatus says in which role the server is, as sync-status prints it. Where
// databases are backups by themselves, it says that of each.
func (s *Server) SyncStatus() string {
	s.repl.mu.Lock()
	run, single := s.repl.run, maps.Clone(s.repl.single)
	s.repl.mu.Unlock()
	if len(single) > 0 {
		var b strings.Builder
		for i, name := range slices.Sorted(maps.Keys(single)) {
			if i > 0 {
				b.WriteByte('\n')
			}
			b.WriteString(single[name].status())
		}
		return b.String()
	}
	if !s.repl.backup.Load() {
		return "state: active\n"
	}
	if run == nil { // it starts anew just now
		return "state: backup\nconnecting: " + s.Active() + "\n"
	}
	return run.status()
}

func (run *replicator) status() string {
	run.mu.Lock()
	defer run.mu.Unlock()
	if run.dbs == nil {
		text := "state: backup\nconnecting: " + run.target + "\n"
		if run.only != "" {
			text += "database: " + run.only + "\n"
		}
		return text
	}
	text := "state: backup\nreplicating: " + run.target + "\ndatabase: " + strings.Join(run.dbs, ", ") + "\n"
	if list := excluded(run.exclude); list != "" {
		text += "exclude: " + list + "\n"
	}
	return text
}

// session follows the active server over one connection.
func (run *replicator) session(ctx context.Context, c *client.Client) error {
	run.mu.Lock()
	run.fault = nil
	run.mu.Unlock()
	err := run.follow(ctx, c)
	run.mu.Lock()
	defer run.mu.Unlock()
	run.dbs = nil
	if run.fault != nil {
		err = run.fault
	}
	if refused(err) {
		return fatalError{err}
	}
	return err
}

func (run *replicator) follow(ctx context.Context, c *client.Client) error {
	if err := run.checkID(ctx, c); err != nil {
		return err
	}
	there, err := c.Databases(ctx)
	if err != nil {
		return err
	}
	feeds := make(map[string]*feed)
	schemas := make(map[string]*schema.Schema)
	shared := 0
	for _, name := range there {
		db := run.srv.Database(name)
		if db == nil || name == serverDB || db.relay != nil || run.only != "" && run.only != name {
			continue
		}
		shared++
		sch, err := c.Schema(ctx, name)
		if err != nil {
			return fmt.Errorf("schema of %s: %w", name, err)
		}
		if run.possible(db, sch) {
			feeds[name], schemas[name] = run.feed(db), sch
		}
	}
	if shared == 0 {
		run.log.Warn("Nothing to replicate.") // until the active server has another database
		return until(ctx, c)
	}
	if len(feeds) == 0 {
		return fatalError{errors.New("Nothing to replicate.")} //nolint:staticcheck // the C server's text
	}
	run.mu.Lock()
	run.feeds = feeds
	run.mu.Unlock()
	names := slices.Sorted(maps.Keys(feeds))
	for _, name := range names {
		if err := feeds[name].start(ctx, c, schemas[name], run.covers(name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	run.mu.Lock()
	run.dbs = names
	run.mu.Unlock()
	return until(ctx, c)
}

// checkID keeps a server from replicating itself.
func (run *replicator) checkID(ctx context.Context, c *client.Client) error {
	b, err := c.Call(ctx, "get_server_id", []byte("[]"))
	if err != nil {
		if unknownMethod(err) {
			return nil // an old server
		}
		return err
	}
	v, err := json.Parse(b)
	if err != nil {
		return err
	}
	if v.Str() == run.srv.id.String() {
		return fatalError{errors.New("Server ID check failed: Self replicating is not allowed")} //nolint:staticcheck // the C server's text
	}
	return nil
}

// covers tells which tables of a database are replicated.
func (run *replicator) covers(db string) func(*schema.Table) bool {
	return func(t *schema.Table) bool { return !run.exclude[db][t.Name] }
}

// possible reports whether a database's schema has room for all that a database
// of the active server's schema may hold.
func (run *replicator) possible(db *Database, there *schema.Schema) bool {
	if string(there.AppendJSON(nil)) == string(db.text) {
		return true
	}
	name := db.schema.Name
	run.log.Info("Schema version mismatch, checking if " + name + " can still be replicated or not.")
	covers := run.covers(name)
	for _, t := range there.Tables {
		if !covers(t) {
			continue
		}
		here := db.schema.Table(t.Name)
		if here == nil {
			run.log.Info(fmt.Sprintf("Table %s not present in the local db schema", t.Name))
			run.log.Info(name + " cannot be replicated.")
			return false
		}
		for _, c := range t.Columns[schema.FirstColumn:] {
			switch col := here.Column(c.Name); {
			case col == nil:
				run.log.Info(fmt.Sprintf("Column %s not present in the local db schema table %s.", c.Name, t.Name))
			case string(col.Type.AppendJSON(nil)) != string(c.Type.AppendJSON(nil)):
				run.log.Info(fmt.Sprintf("Column %s mismatch in local db schema table %s.", c.Name, t.Name))
			default:
				continue
			}
			run.log.Info(name + " cannot be replicated.")
			return false
		}
	}
	run.log.Info(name + " can be replicated.")
	return true
}

// feed makes the feed of a database, or gives the one of the connection before,
// which resumes.
func (run *replicator) feed(db *Database) *feed {
	run.mu.Lock()
	f := run.feeds[db.schema.Name]
	run.mu.Unlock()
	if f != nil {
		return f
	}
	return db.feed(run.covers(db.schema.Name))
}

// notify takes the active server's updates. One that is no good ends the
// connection, and the next one starts from the contents.
func (run *replicator) notify(c *client.Client, method string, params []byte) {
	run.mu.Lock()
	feeds := run.feeds
	run.mu.Unlock()
	for name, f := range feeds {
		mine, err := f.notify(method, params)
		if err == nil && mine && f.canceled() {
			err = errors.New("the database is gone")
		}
		if err != nil {
			run.mu.Lock()
			run.fault = fmt.Errorf("%s: %w", name, err)
			run.mu.Unlock()
			c.Close()
			return
		}
		if mine {
			return
		}
	}
}

// feed makes a feed that brings the covered tables of a database to what another
// server has.
func (db *Database) feed(covers func(*schema.Table) bool) *feed {
	return &feed{
		name: db.schema.Name,
		whole: func(v monitor.Version, updates []byte) error {
			contents, err := monitor.Decode(store.NewSnapshot(db.schema), v, updates)
			if err != nil {
				return err
			}
			return db.alter(func(snap *store.Snapshot) (*store.Delta, error) {
				return monitor.Toward(snap, contents, covers), nil
			})
		},
		change: func(v monitor.Version, updates []byte) error {
			return db.alter(func(snap *store.Snapshot) (*store.Delta, error) { return monitor.Decode(snap, v, updates) })
		},
	}
}

// alter makes a change that another server made. It returns when the change is
// published.
func (db *Database) alter(f func(*store.Snapshot) (*store.Delta, error)) error {
	_, err := db.perform(txn.Change(db.schema, func(snap *store.Snapshot) (*store.Delta, *dberr.Error) {
		d, err := f(snap)
		if err != nil {
			return nil, dberr.New(dberr.SyntaxError, "%v", err)
		}
		return d, nil
	}))
	return err
}

// refused reports whether an error is of this server's constraints: what the
// other server has will not be taken here, however often it is sent.
func refused(err error) bool {
	var e *dberr.Error
	return errors.As(err, &e) && (e.Tag == dberr.Referential || e.Tag == dberr.ConstraintViolation)
}
