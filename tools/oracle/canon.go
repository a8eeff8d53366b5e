package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"sort"
	"strings"
)

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // what was decoded can be encoded
	}
	return string(b)
}

// decode reads JSON, nil where it is none; numbers keep their digits.
func decode(s string) any {
	dec := json.NewDecoder(bytes.NewReader([]byte(s)))
	dec.UseNumber()
	var v any
	if dec.Decode(&v) != nil {
		return nil
	}
	return v
}

// clone copies decoded or generated JSON.
func clone(v any) any { return decode(text(v)) }

// A canon brings what servers say into one form.
type canon struct {
	chosen map[string]bool // names of rows whose UUIDs the servers chose
}

// value sorts the members of sets and maps anew where their UUIDs were
// translated, and drops versions. It reports whether there was a translated
// UUID.
func (c *canon) value(v any) (any, bool) {
	hidden := false
	switch v := v.(type) {
	case object:
		for k, member := range v {
			m, changed := c.value(member)
			v[k], hidden = m, hidden || changed
		}
	case array:
		if len(v) == 2 && v[0] == "uuid" {
			s, _ := v[1].(string)
			return v, s == unknown || c.chosen[s]
		}
		for i, member := range v {
			m, changed := c.value(member)
			v[i], hidden = m, hidden || changed
		}
		if hidden && len(v) == 2 && (v[0] == "set" || v[0] == "map") {
			if members, ok := v[1].(array); ok {
				sort.Slice(members, func(i, j int) bool { return text(members[i]) < text(members[j]) })
			}
		}
	}
	return v, hidden
}

// result is the text of an operation's result. The rows of a select come in the
// order of a hash, unless they were to be sorted.
func (c *canon) result(v any, op any) string {
	v, hidden := c.value(v)
	o, _ := v.(object)
	rows, ok := o["rows"].(array)
	if !ok {
		return text(v)
	}
	var out []string
	for _, row := range rows {
		out = append(out, text(row))
	}
	asked, _ := op.(object)
	if _, sorted := asked["sort"]; !sorted || hidden {
		slices.Sort(out)
	}
	return strings.Join(out, "\n")
}

// changes takes rows out of updates that modify no column but _version, which C
// tells of where references to rows that do not exist came and went in one
// transaction, and where only columns of a condition changed (see
// differences.txt). It reports whether anything is left.
func changes(updates any) bool {
	tables, _ := updates.(object)
	for name, rows := range tables {
		rows, _ := rows.(object)
		for id, u := range rows {
			u, _ := u.(object)
			changed, ok := u["modify"].(object)
			if u["old"] != nil && u["new"] != nil {
				changed, ok = u["old"].(object)
			}
			_, version := changed["_version"]
			if ok && (len(changed) == 0 || len(changed) == 1 && version) {
				delete(rows, id)
			}
		}
		if len(rows) == 0 {
			delete(tables, name)
		}
	}
	return len(tables) > 0
}

// succeeded says whether every operation was done.
func succeeded(results any, ops array) bool {
	list, ok := results.(array)
	if !ok || len(list) != len(ops) {
		return false
	}
	for i := range list {
		if errorAt(list, i) != "" {
			return false
		}
	}
	return true
}

func errorAt(results array, i int) string   { return member(results, i, "error") }
func detailsAt(results array, i int) string { return member(results, i, "details") }

func member(results array, i int, name string) string {
	if i >= len(results) {
		return ""
	}
	o, _ := results[i].(object)
	s, _ := o[name].(string)
	return s
}
