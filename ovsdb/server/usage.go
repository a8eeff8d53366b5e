package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// memoryUsage counts what takes memory, as memory/show prints it. It looks at
// every row.
func (s *Server) memoryUsage() string {
	n := map[string]int{"atoms": 0, "cells": 0, "monitors": 0, "n-weak-refs": 0}
	for _, name := range s.Databases() {
		db := s.Database(name)
		if db == nil {
			continue
		}
		snap := db.Snapshot()
		for _, t := range db.schema.Tables {
			n["cells"] += snap.Len(t) * len(t.Columns)
			for row := range snap.Rows(t) {
				for _, c := range t.Columns {
					d := row.Get(c)
					n["atoms"] += d.Len()
					if d.IsMap() {
						n["atoms"] += d.Len()
					}
				}
				for _, c := range t.Weak {
					n["n-weak-refs"] += row.Get(c).Len()
				}
			}
		}
		db.pub.Lock()
		n["monitors"] += len(db.subs)
		n["txn-history"] += db.ring.Len()
		db.pub.Unlock()
	}
	n["sessions"] = s.Sessions()
	for _, name := range []string{"sessions", "txn-history"} {
		if n[name] == 0 {
			delete(n, name)
		}
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		parts = append(parts, fmt.Sprintf("%s:%d", name, n[name]))
	}
	return strings.Join(parts, " ") + "\n"
}

// counters are what coverage/show knows.
func (s *Server) counters() map[string]uint64 {
	return map[string]uint64{
		"ovsdb_transactions": s.stats.transactions.Load(),
		"ovsdb_updates":      s.stats.updates.Load(),
	}
}
