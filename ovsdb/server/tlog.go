package server

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"

	"govs/ovsdb/store"
	"govs/schema"
)

// logged is the tables whose changes are written to the log (ovsdb-server(1),
// tlog-set).
type logged struct {
	log    *slog.Logger
	tables atomic.Pointer[map[watchKey]bool] // never changed; nil: none
}

func (l *logged) has(db, table string) bool {
	tables := l.tables.Load()
	return tables != nil && (*tables)[watchKey{db, table}]
}

// set turns the logging of a table on or off.
func (l *logged) set(db, table string, on bool) {
	for {
		old := l.tables.Load()
		tables := make(map[watchKey]bool)
		if old != nil {
			for k := range *old {
				tables[k] = true
			}
		}
		delete(tables, watchKey{db, table})
		if on {
			tables[watchKey{db, table}] = true
		}
		next := &tables
		if len(tables) == 0 {
			next = nil
		}
		if l.tables.CompareAndSwap(old, next) {
			return
		}
	}
}

// write logs a delta, a line a row.
func (l *logged) write(db *Database, d *store.Delta) {
	if l.tables.Load() == nil {
		return
	}
	for _, td := range d.Tables {
		if !l.has(db.schema.Name, td.Table.Name) {
			continue
		}
		for i := range td.Rows {
			l.log.Info(changeText(td.Table, &td.Rows[i]))
		}
	}
}

// changeText is the line for a row.
func changeText(t *schema.Table, c *store.Change) string {
	op, row := "updated", c.New
	switch {
	case c.Old == nil:
		op = "inserted"
	case c.New == nil:
		op, row = "deleted", c.Old
	}
	var b strings.Builder
	fmt.Fprintf(&b, "table:%s,op:%s", t.Name, op)
	for _, col := range t.Columns {
		fmt.Fprintf(&b, ",%s:%s", col.Name, row.Get(col).Text(&col.Type))
	}
	return b.String()
}

// ctlLogSet is tlog-set DB:TABLE on|off.
func (s *Server) ctlLogSet(args []string) (string, error) {
	name, table, ok := strings.Cut(args[0], ":")
	if !ok || name == "" || table == "" {
		return "", errors.New("invalid DB:TABLE argument")
	}
	db := s.Database(name)
	if db == nil {
		return "", errors.New("no such database")
	}
	if db.schema.Table(table) == nil {
		return "", errors.New("no such table")
	}
	if args[1] != "on" && args[1] != "off" {
		return "", errors.New("invalid command argument")
	}
	s.logged.set(name, table, args[1] == "on")
	return "", nil
}

// ctlLogList prints all tables and whether they are logged.
func (s *Server) ctlLogList([]string) (string, error) {
	var b strings.Builder
	b.WriteString("database        table                       logging\n--------        -----                       -------\n")
	for _, name := range s.Databases() {
		db := s.Database(name)
		if db == nil {
			continue
		}
		fmt.Fprintf(&b, "%-16s \n", name)
		tables := slices.Clone(db.schema.Tables)
		slices.SortFunc(tables, func(x, y *schema.Table) int { return strings.Compare(x.Name, y.Name) })
		for _, t := range tables {
			state := "OFF"
			if s.logged.has(name, t.Name) {
				state = "ON"
			}
			fmt.Fprintf(&b, "                %-27s %s\n", t.Name, state)
		}
	}
	return b.String(), nil
}
