package server

import (
	"fmt"
	"strconv"
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/storage/memory"
	"govs/ovsdb/txn"
	"govs/schema/builtin"
)

// serverDB is the name of the database that tells of the databases.
const serverDB = "_Server"

// addServerDatabase makes the _Server database, with a row of its own.
func (s *Server) addServerDatabase() {
	db, err := openDatabase(s, serverDB, memory.New(builtin.ServerJSON()))
	if err != nil {
		panic(fmt.Sprintf("server: schema of %s: %v", serverDB, err)) // it is a constant
	}
	s.dbs[serverDB] = db
	db.start()
	s.setServerRow(db)
}

// setServerRow makes the row of a database, or brings it up to date.
func (s *Server) setServerRow(db *Database) {
	s.setRow(db.schema.Name, db.text, db.relay)
}

// setRow makes the row of a database, or brings it up to date. schema is nil as
// long as it is not known.
func (s *Server) setRow(name string, schema []byte, r *relay) {
	s.serverRow.Lock()
	defer s.serverRow.Unlock()
	row := []byte(`{"name":`)
	row = json.AppendString(row, name)
	if r == nil {
		row = append(row, `,"model":"standalone","connected":true,"leader":true`...)
	} else {
		row = append(row, `,"model":"relay","leader":false,"connected":`...)
		row = strconv.AppendBool(row, r.isConnected())
	}
	if schema != nil {
		row = append(row, `,"schema":`...)
		row = json.AppendString(row, string(sorted(schema)))
	}
	row = append(row, '}')
	if s.hasServerRow(name) {
		s.serverTransact(fmt.Sprintf(`[%q,{"op":"update","table":"Database","where":[["name","==",%s]],"row":%s}]`,
			serverDB, quote(name), row))
		return
	}
	s.serverTransact(fmt.Sprintf(`[%q,{"op":"insert","table":"Database","row":%s}]`, serverDB, row))
}

func (s *Server) hasServerRow(name string) bool {
	db := s.Database(serverDB)
	t := db.schema.Table("Database")
	for row := range db.Snapshot().Rows(t) {
		if text(t, row, "name") == name {
			return true
		}
	}
	return false
}

// sorted is JSON text with the members of objects in order.
func sorted(text []byte) []byte {
	v, err := json.Parse(text)
	if err != nil {
		return text // it is our own
	}
	return v.AppendSorted(nil)
}

// dropServerRow deletes the row of a database.
func (s *Server) dropServerRow(name string) {
	s.serverTransact(fmt.Sprintf(`[%q,{"op":"delete","table":"Database","where":[["name","==",%s]]}]`, serverDB, quote(name)))
}

func (s *Server) serverTransact(params string) {
	if _, err := s.Database(serverDB).Transact([]byte(params)); err != nil {
		s.log.Error(serverDB + ": " + err.Error())
	}
}

// Transact executes a transaction in the name of the server itself: no
// read-only rule applies, and no lock is held. params are those of a transact
// request; the result is the array of results, and an error the first one that
// an operation or the commit met.
func (db *Database) Transact(params []byte) ([]byte, error) {
	v, err := json.Parse(params)
	if err != nil {
		return nil, err
	}
	return db.perform(txn.Parse(db.schema, v))
}

// perform executes a transaction of the server itself.
func (db *Database) perform(t *txn.Txn) ([]byte, error) {
	type outcome struct{ result, fail []byte }
	ch := make(chan outcome, 1)
	db.submit(&request{
		db: db, txn: t, started: time.Now(),
		reply: func(b []byte) { ch <- outcome{result: b} },
		error: func(b []byte) { ch <- outcome{fail: b} },
	})
	o := <-ch
	if o.fail != nil {
		return nil, fmt.Errorf("%s", o.fail)
	}
	return o.result, firstError(o.result)
}

// firstError finds the error in an array of results.
func firstError(results []byte) error {
	v, err := json.Parse(results)
	if err != nil {
		return err
	}
	for r := range v.Elems() {
		if e := r.Get("error"); e.Kind() == json.String {
			return &dberr.Error{Tag: e.Str(), Details: r.Get("details").Str()}
		}
	}
	return nil
}
