package server

import (
	"fmt"
	"slices"
	"strings"
)

// Backup makes one database a backup: it follows what a server has of it, but
// for the tables that are excluded, and its clients may only read. There has to
// be a source. The server's own role (ConnectActive) has no part in it. Where
// that role changes, or what is followed, clients are dropped.
func (s *Server) Backup(name string, from []Source, exclude []string) error {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	db := s.Database(name)
	if db == nil || name == serverDB || db.relay != nil {
		return fmt.Errorf("%s: there is no such database to be a backup", name)
	}
	s.endSingle(name)
	if !db.backup.Swap(true) {
		s.Reconnect()
	}
	run := &replicator{srv: s, log: s.cfg.Log("replication"), only: name, exclude: map[string]map[string]bool{name: {}}}
	var targets []string
	for _, src := range from {
		targets = append(targets, src.Target)
	}
	run.target = strings.Join(targets, ",")
	for _, table := range exclude {
		run.exclude[name][table] = true
	}
	s.repl.mu.Lock()
	if s.repl.single == nil {
		s.repl.single = make(map[string]*replicator)
	}
	s.repl.single[name] = run
	s.repl.mu.Unlock()
	run.start(slices.Clone(from), func(err error) { s.backupFailed(run, err) })
	return nil
}

// EndBackup makes a database that was a backup by itself an active one. Clients
// are dropped.
func (s *Server) EndBackup(name string) {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	s.endSingle(name)
	if db := s.Database(name); db != nil && db.backup.Swap(false) {
		s.Reconnect()
	}
}

// endSingle stops a database's replicator. The caller holds repl.change.
func (s *Server) endSingle(name string) {
	s.repl.mu.Lock()
	run := s.repl.single[name]
	delete(s.repl.single, name)
	s.repl.mu.Unlock()
	if run != nil {
		run.end()
	}
}

// endBackups stops all of them, and leaves the databases read-only.
func (s *Server) endBackups() {
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	for _, name := range s.Databases() {
		s.endSingle(name)
	}
}

// backupFailed makes a database that cannot follow an active one.
func (s *Server) backupFailed(run *replicator, err error) {
	run.log.Error(run.only + ": " + err.Error())
	s.repl.change.Lock()
	defer s.repl.change.Unlock()
	s.repl.mu.Lock()
	mine := s.repl.single[run.only] == run
	if mine {
		delete(s.repl.single, run.only)
	}
	s.repl.mu.Unlock()
	if db := s.Database(run.only); mine && db != nil && db.backup.Swap(false) {
		run.log.Warn(run.only + ": the database is active now")
		s.Reconnect()
	}
}
