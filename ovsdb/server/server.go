package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/internal/coverage"
	"govs/internal/dberr"
	"govs/internal/vlog"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/storage"
	"govs/schema/atom"
)

// Config is what a Server needs to know. The zero Config is usable.
type Config struct {
	// Log gives the logger of a module; nil: nothing is logged.
	Log func(module string) *slog.Logger
	// Limits are those of each session.
	Limits jsonrpc.Limits
	// Probe is how long a session may be idle before its peer is probed, where
	// its remote says nothing: 0 means 5 s for TCP and TLS, and never for Unix
	// sockets; negative never.
	Probe time.Duration
	// RunDir is the base of relative paths of sockets; "" as package stream has it.
	RunDir string
	// RelayGrace is for how long a relay database whose source is away still
	// counts as connected: 0 means 30 s.
	RelayGrace time.Duration
	// Events are told what happens. They must not block.
	Events Events
}

// Events are the things that happen in a server; nil fields are not called.
type Events struct {
	Connected    func(peer string)
	Disconnected func(peer string, why error)
	Committed    func(db string, transactions int, took time.Duration)
	Compacted    func(db string, took time.Duration, err error)
	Spent        func(bytes int) // as much memory was used for a moment: by a load, a compaction, a first reply, a large transaction
}

// spent tells what was used.
func (s *Server) spent(bytes int) {
	if f := s.cfg.Events.Spent; f != nil && bytes > 0 {
		f(bytes)
	}
}

// Server serves databases to sessions.
type Server struct {
	cfg    Config
	log    *slog.Logger // ovsdb_server
	rpcLog *slog.Logger // jsonrpc
	id     atom.UUID
	locks  lockTable
	tls    tlsSource
	watch  watchList

	configuring sync.Mutex // one reconfigure at a time
	remoteLog   *slog.Logger

	noMonitorCond atomic.Bool // see DisableMonitorCond
	trim          atomic.Bool // give memory back after compactions
	logged        logged
	cover         *coverage.Log

	serverRow sync.Mutex // one change of _Server's rows at a time

	repl replication

	stats struct {
		transactions, updates atomic.Uint64
	}

	mu        sync.Mutex
	dbs       map[string]*Database
	relays    map[string]*relay // by the database, which may not be there yet
	sessions  map[*session]struct{}
	remotes   map[string]*remote // as they were named
	derived   map[string]*remote // targets from db: remotes
	nextPeer  int
	closed    bool
	reconfig  chan struct{}
	stop      chan struct{}
	wg        sync.WaitGroup // goroutines of the server
	sessionWG sync.WaitGroup
}

// New makes a server that serves the _Server database only.
func New(cfg Config) *Server {
	if cfg.Log == nil {
		cfg.Log = func(string) *slog.Logger { return slog.New(slog.DiscardHandler) }
	}
	if cfg.RelayGrace == 0 {
		cfg.RelayGrace = relayGrace
	}
	s := &Server{
		cfg:       cfg,
		log:       cfg.Log("ovsdb_server"),
		rpcLog:    cfg.Log("jsonrpc"),
		remoteLog: vlog.Limit(cfg.Log("ovsdb_jsonrpc_server"), 1, 5),
		id:        atom.New(),
		dbs:       make(map[string]*Database),
		relays:    make(map[string]*relay),
		sessions:  make(map[*session]struct{}),
		remotes:   make(map[string]*remote),
		derived:   make(map[string]*remote),
		reconfig:  make(chan struct{}, 1),
		stop:      make(chan struct{}),
	}
	s.cover = coverage.NewLog(s.counters)
	s.locks.init()
	s.logged.log = vlog.Limit(cfg.Log("transaction"), 60, 60)
	s.repl.probe = peerProbe
	s.addServerDatabase()
	s.wg.Add(1)
	go s.configure()
	return s
}

// ID is what get_server_id answers.
func (s *Server) ID() atom.UUID { return s.id }

// AddDatabase serves the database that an engine keeps. name is the file's
// name, for messages. The engine belongs to the server when there is no error.
func (s *Server) AddDatabase(name string, e storage.Engine) error {
	db, err := openDatabase(s, name, e)
	if err != nil {
		return err
	}
	if w, ok := e.(storage.Warner); ok {
		for _, text := range w.Warnings() {
			s.log.Warn(text)
		}
	}
	s.mu.Lock()
	_, dup := s.dbs[db.schema.Name]
	switch {
	case s.closed:
		err = errors.New("server is closed")
	case dup || s.relays[db.schema.Name] != nil:
		err = dberr.New(dberr.OVSDBError, "%s: duplicate database name", db.schema.Name)
	default:
		s.dbs[db.schema.Name] = db
		db.start()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	s.setServerRow(db)
	s.databasesChanged(db.schema.Name)
	s.kick()
	s.followAgain()
	return nil
}

// RemoveDatabase ends serving a database and closes its engine.
func (s *Server) RemoveDatabase(name string) error {
	if name == serverDB {
		return errors.New("Cannot remove reserved database.") //nolint:staticcheck // the C server's text
	}
	s.mu.Lock()
	db := s.dbs[name]
	relay := s.relays[name]
	delete(s.dbs, name)
	delete(s.relays, name)
	s.mu.Unlock()
	if db == nil && relay == nil {
		return errors.New("Failed to find the database.") //nolint:staticcheck // the C server's text
	}
	s.EndBackup(name)
	s.dropServerRow(name)
	if relay != nil {
		relay.close()
	}
	var err error
	if db != nil {
		db.cancelMonitors()
		s.databasesChanged(name)
		err = db.close()
	}
	s.kick()
	s.followAgain()
	return err
}

// databasesChanged drops the sessions that cannot know that a database came or
// went (ovsdb-server(7), 4.1.18).
func (s *Server) databasesChanged(name string) {
	for _, sess := range s.allSessions() {
		if !sess.changeAware.Load() {
			sess.js.Close()
		}
	}
	s.log.Debug("database " + name + " was added or removed")
}

func (s *Server) allSessions() []*session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*session, 0, len(s.sessions))
	for sess := range s.sessions {
		out = append(out, sess)
	}
	return out
}

// Databases lists the names of the databases in order.
func (s *Server) Databases() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.dbs))
	for name := range s.dbs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Database finds a database by its schema's name; nil where there is none.
func (s *Server) Database(name string) *Database {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dbs[name]
}

// Serve runs a session on a connection that was made elsewhere, until it ends.
func (s *Server) Serve(conn net.Conn, peer string) error {
	return s.serve(conn, peer, nil)
}

// Sessions is the number of sessions.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Reconnect drops all sessions.
func (s *Server) Reconnect() {
	for _, sess := range s.allSessions() {
		sess.js.Close()
	}
}

// CancelMonitors ends all monitors, and tells the sessions that know of databases
// that go. They are of no use afterwards: Close comes next.
func (s *Server) CancelMonitors() {
	names := s.Databases()
	// Of _Server last: it is the one that tells of the others.
	slices.SortStableFunc(names, func(a, b string) int {
		if a == serverDB {
			return 1
		}
		if b == serverDB {
			return -1
		}
		return 0
	})
	for _, name := range names {
		if db := s.Database(name); db != nil {
			db.cancelMonitors()
		}
	}
}

// Close ends all sessions and closes the engines.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	close(s.stop)
	s.mu.Unlock()
	s.DisconnectActive()
	s.endBackups()
	s.mu.Lock()
	relays := slices.Collect(maps.Values(s.relays))
	s.mu.Unlock()
	for _, r := range relays {
		r.close()
	}
	s.wg.Wait()
	s.mu.Lock()
	var open []*remote
	for _, r := range s.remotes {
		open = append(open, r)
	}
	for _, r := range s.derived {
		open = append(open, r)
	}
	s.mu.Unlock()
	for _, r := range open {
		r.close()
	}
	for _, sess := range s.allSessions() {
		sess.js.Close()
	}
	s.sessionWG.Wait()
	var err error
	for _, name := range s.Databases() {
		err = errors.Join(err, s.Database(name).close())
	}
	return err
}

// peerName names a connection for the log, as the C server does: unix#3.
func (s *Server) peerName(conn net.Conn) string {
	s.mu.Lock()
	n := s.nextPeer
	s.nextPeer++
	s.mu.Unlock()
	switch a := conn.RemoteAddr().(type) {
	case *net.TCPAddr:
		kind := "tcp"
		if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
			kind = "ssl"
		}
		return fmt.Sprintf("%s:%s", kind, a)
	default:
		return fmt.Sprintf("unix#%d", n)
	}
}
