package server

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"govs/ovsdb/storage/file"
)

// Registrar takes control verbs: a unixctl.Server is one.
type Registrar interface {
	Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error))
}

// Register adds the server's control verbs. absPath makes file names that a
// client gives absolute.
func (s *Server) Register(ctl Registrar, absPath func(string) string) {
	reg := func(name, usage string, least, most int, fn func(args []string) (string, error)) {
		ctl.Register(name, usage, least, most, func(_ context.Context, args []string) (string, error) { return fn(args) })
	}
	reg("ovsdb-server/add-remote", "REMOTE", 1, 1, func(a []string) (string, error) { return "", s.KeepRemote(a[0]) })
	reg("ovsdb-server/remove-remote", "REMOTE", 1, 1, func(a []string) (string, error) { return "", s.RemoveRemote(a[0]) })
	reg("ovsdb-server/list-remotes", "", 0, 0, func([]string) (string, error) { return lines(s.Remotes()), nil })
	reg("ovsdb-server/list-dbs", "", 0, 0, func([]string) (string, error) { return lines(s.allDatabases()), nil })
	reg("ovsdb-server/add-db", "DB", 1, 1, func(a []string) (string, error) { return "", s.Open(a[0], absPath) })
	reg("ovsdb-server/remove-db", "DB", 1, 1, func(a []string) (string, error) { return "", s.RemoveDatabase(a[0]) })
	reg("ovsdb-server/compact", "", 0, 1, s.ctlCompact)
	reg("ovsdb-server/reconnect", "", 0, 0, func([]string) (string, error) { s.Reconnect(); return "", nil })
	reg("ovsdb-server/get-db-storage-status", "DB", 1, 1, s.ctlStorageStatus)
	s.registerReplication(reg)
	reg("ovsdb-server/perf-counters-show", "", 0, 0, s.ctlPerfShow)
	reg("ovsdb-server/perf-counters-clear", "", 0, 0, s.ctlPerfClear)
	reg("ovsdb-server/memory-trim-on-compaction", "on|off", 1, 1, s.ctlTrim)
	reg("ovsdb-server/disable-monitor-cond", "", 0, 0, func([]string) (string, error) { s.DisableMonitorCond(); return "", nil })
	reg("ovsdb-server/tlog-set", "DB:TABLE on|off", 2, 2, s.ctlLogSet)
	reg("ovsdb-server/tlog-list", "", 0, 0, s.ctlLogList)
	reg("memory/show", "", 0, 0, func([]string) (string, error) { return s.memoryUsage(), nil })
	s.cover.Register(ctl)
}

func lines(list []string) string {
	var b strings.Builder
	for _, l := range list {
		b.WriteString(l + "\n")
	}
	return b.String()
}

// Open adds what names a database on the command line: a file, which absPath
// makes absolute, or a relay.
func (s *Server) Open(name string, absPath func(string) string) error {
	if strings.HasPrefix(name, relayPrefix) {
		return s.AddRelay(name)
	}
	return s.OpenDatabase(absPath(name))
}

// OpenDatabase opens a database file and serves it.
func (s *Server) OpenDatabase(path string) error {
	for _, name := range s.Databases() {
		if db := s.Database(name); db != nil && db.name == path {
			return fmt.Errorf("ovsdb error: %s: already open", path)
		}
	}
	e, err := file.Open(path)
	if err != nil {
		return err
	}
	if err := s.AddDatabase(path, e); err != nil {
		e.Close()
		return err
	}
	return nil
}

func (s *Server) ctlCompact(args []string) (string, error) {
	names := s.Databases()
	if len(args) > 0 {
		switch {
		case args[0] == serverDB:
			return "", errors.New("cannot compact built-in databases")
		case s.Database(args[0]) == nil && !s.hasRelay(args[0]):
			return "", errors.New("no database by that name")
		}
		names = args
	}
	for _, name := range names {
		db := s.Database(name)
		if db == nil || name == serverDB {
			continue
		}
		s.log.Info("compacting " + name + " database by user request")
		if err := db.Compact("compacting database online"); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	}
	return "", nil
}

func (s *Server) ctlStorageStatus(args []string) (string, error) {
	if s.Database(args[0]) == nil && !s.hasRelay(args[0]) {
		return "", errors.New("Failed to find the database.") //nolint:staticcheck // the C server's text
	}
	return "status: ok\n", nil
}

func (s *Server) ctlPerfShow([]string) (string, error) {
	return fmt.Sprintf("transactions: %d\nupdates: %d\n", s.stats.transactions.Load(), s.stats.updates.Load()), nil
}

func (s *Server) ctlPerfClear([]string) (string, error) {
	s.stats.transactions.Store(0)
	s.stats.updates.Store(0)
	return "", nil
}

// ctlTrim says whether memory goes back to the system after a compaction.
func (s *Server) ctlTrim(args []string) (string, error) {
	switch args[0] {
	case "on":
		s.trim.Store(true)
	case "off":
		s.trim.Store(false)
	default:
		return "", errors.New("invalid argument")
	}
	return "", nil
}

// DisableMonitorCond has the server answer as one that knows no conditional
// monitors, for tests of clients. All sessions are dropped.
func (s *Server) DisableMonitorCond() {
	s.noMonitorCond.Store(true)
	s.Reconnect()
}
