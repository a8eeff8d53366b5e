package server

import (
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/history"
	"govs/ovsdb/jsonrpc"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
	"govs/ovsdb/txn"
	"govs/schema"
	"govs/schema/atom"
)

// convert handles convert (ovsdb-server(7), section 4.1.19). The session's later
// requests wait for it.
func (sess *session) convert(r *jsonrpc.Request, params json.Value) *dberr.Error {
	db, err := sess.database(r, params)
	if err != nil {
		return err
	}
	if params.Len() != 2 {
		return dberr.Syntax(params, "array expected")
	}
	if role := sess.role(); role != "" && role != "root" {
		return dberr.New(dberr.PermissionError, "RBAC rules for client \"%s\" role \"%s\" prohibit \"convert\" of database %s (only the root role may convert databases)",
			txn.ClientText(clientID(sess.conn)), role, db.schema.Name)
	}
	to, perr := schema.FromJSON(params.At(1))
	if perr != nil {
		return dberr.As(perr)
	}
	s := sess.srv
	if db.relay != nil && !sess.readsOnly(db) {
		sess.relayed(db, r, "")
		return nil
	}
	switch {
	case to.Name != db.schema.Name:
		return dberr.New("invalid parameters", "new schema name (%s) does not match database name (%s)", to.Name, db.schema.Name)
	case db.schema.Name == serverDB:
		return dberr.New(dberr.NotAllowed, "database %s cannot be converted", serverDB)
	case sess.readsOnly(db):
		return dberr.New(dberr.NotAllowed, "convert operation not allowed when database server is in read only mode")
	}
	if err := s.convert(db, to); err != nil {
		return err
	}
	r.Reply([]byte("{}"))
	s.databasesChanged(db.schema.Name)
	return nil
}

// convert brings a database to another schema: a new Database takes its place,
// and its engine. Those who monitor it are told, transactions that wait for it
// are canceled.
func (s *Server) convert(db *Database, to *schema.Schema) *dberr.Error {
	var next *Database
	var err *dberr.Error
	db.Do(func() {
		if db.replaced {
			return
		}
		if next, err = db.convert(to); err != nil {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		db.mu.Lock()
		db.replaced, db.stopped = true, true
		db.mu.Unlock()
		if s.closed || s.dbs[db.schema.Name] != db {
			next = nil // it goes away just now, in its new form
			return
		}
		s.dbs[db.schema.Name] = next
		next.start()
	})
	if err != nil {
		return err
	}
	if next == nil {
		return dberr.New(dberr.UnknownDatabase, "database %s is no longer served in this form", db.schema.Name)
	}
	<-db.done
	db.cancelMonitors()
	s.setServerRow(next)
	s.kick()
	return nil
}

// convert makes the database under another schema, and has the engine keep it.
// The sequencer calls it.
func (db *Database) convert(to *schema.Schema) (*Database, *dberr.Error) {
	snap, err := txn.Convert(db.mem.Snapshot(), to)
	if err != nil {
		return nil, err
	}
	db.log.wait() // for a compaction, which must not bring the old schema back
	now := time.Now()
	next := newDatabase(db.srv, db.name, db.engine, to)
	whole := storage.Record{
		ID: atom.New(), Time: now.UnixMilli(), Note: "converted to schema version " + to.Version, Body: history.EncodeWhole(snap),
	}
	if err := db.engine.Compact(next.text, whole, db.log.seq); err != nil {
		return nil, ioError(err)
	}
	next.begin(snap, whole, max(db.log.seq, 1))
	return next, nil
}

// begin makes a record that holds every row the database's first one.
func (db *Database) begin(snap *store.Snapshot, whole storage.Record, seq uint64) {
	db.startWith(whole.ID)
	db.ring.Reset(db.last)
	db.log.compacted(whole)
	db.log.seq = seq
	db.mem.Publish(snap)
}
