package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A watch is a monitor, and the naive model of it: what the client holds when it
// applies all that it is told.
type watch struct {
	client  int
	id      any
	alias   *any // the id that the step at hand may give it
	version int  // 1 is monitor, 2 monitor_cond, 3 monitor_cond_since
	tables  map[string]*watched
	exact   bool         // every change is told, so that the model is the table
	held    [2]*contents // what the clients of both sides hold
}

// watched is what a monitor wants of a table.
type watched struct {
	table   *table
	columns []*column
	where   array // any of these; nil is every row
}

// contents are rows by table and UUID; a row has a sorted list of elements for
// each column.
type contents map[string]map[string]map[string][]string

// elements are the members of a value as texts, in order. A pair is one text.
func elements(v any) []string {
	members := array{v}
	if a, ok := v.(array); ok && len(a) == 2 && (a[0] == "set" || a[0] == "map") {
		members, _ = a[1].(array)
	}
	out := []string{}
	for _, m := range members {
		out = append(out, text(m))
	}
	slices.Sort(out)
	return out
}

// initial is a column's default (RFC 7047, section 5.2.1).
func (c *column) initial() []string {
	if c.min == 0 {
		return []string{}
	}
	of := func(b *base) any {
		switch b.atomic {
		case "integer", "real":
			return 0
		case "boolean":
			return false
		case "string":
			return ""
		}
		return array{"uuid", noUUID}
	}
	if c.value != nil {
		return []string{text(array{of(c.key), of(c.value)})}
	}
	return []string{text(of(c.key))}
}

const noUUID = "00000000-0000-0000-0000-000000000000"

// errUnknown ends a model: a difference has UUIDs that only one server knows, and
// cannot be told apart.
var errUnknown = errors.New("unknown UUIDs")

// change applies update2's difference to a value.
func (c *column) change(old, diff []string) []string {
	if c.max == 1 {
		return diff
	}
	key := func(e string) string {
		if c.value == nil {
			return e
		}
		return text(decode(e).(array)[0])
	}
	have := map[string]string{}
	for _, e := range old {
		have[key(e)] = e
	}
	for _, e := range diff {
		if have[key(e)] == e {
			delete(have, key(e))
		} else {
			have[key(e)] = e
		}
	}
	return append([]string{}, slices.Sorted(maps.Values(have))...)
}

// apply applies <table-updates> or <table-updates2>.
func (w *watch) apply(which int, updates any) error {
	tables, ok := updates.(object)
	if !ok {
		return fmt.Errorf("updates are %s", text(updates))
	}
	for name, rows := range tables {
		wt := w.tables[name]
		if wt == nil {
			return fmt.Errorf("an update of table %s, which was not asked for", name)
		}
		held := (*w.held[which])[name]
		list, _ := rows.(object)
		for id, u := range list {
			u, _ := u.(object)
			if err := wt.apply(held, id, u, w.version); err != nil {
				return fmt.Errorf("%s %s: %w", name, id, err)
			}
		}
	}
	return nil
}

func (wt *watched) apply(held map[string]map[string][]string, id string, u object, version int) error {
	row := map[string][]string{}
	fill := func(from any, defaults bool) {
		o, _ := from.(object)
		for _, c := range wt.columns {
			if v, ok := o[c.name]; ok {
				row[c.name] = elements(v)
			} else if defaults {
				row[c.name] = c.initial()
			}
		}
	}
	_, there := held[id]
	if version == 1 {
		now, isNew := u["new"]
		_, isOld := u["old"]
		if isOld != there {
			return fmt.Errorf("%s, but it was there: %t", text(u), there)
		}
		if !isNew {
			delete(held, id)
			return nil
		}
		fill(now, false)
		held[id] = row
		return nil
	}
	if len(u) != 1 {
		return fmt.Errorf("update is %s", text(u))
	}
	for kind, v := range u {
		if there != (kind == "modify" || kind == "delete") {
			return fmt.Errorf("%s, but it was there: %t", text(u), there)
		}
		switch kind {
		case "initial", "insert":
			fill(v, true)
			held[id] = row
		case "delete":
			delete(held, id)
		case "modify":
			diff, _ := v.(object)
			for _, c := range wt.columns {
				if d, ok := diff[c.name]; ok {
					if c.max != 1 && strings.Contains(text(d), `"`+unknown+`"`) {
						return errUnknown
					}
					held[id][c.name] = c.change(held[id][c.name], elements(d))
				}
			}
		}
	}
	return nil
}

// clear empties the model of both sides.
func (w *watch) clear() {
	for i := range w.held {
		c := contents{}
		for name := range w.tables {
			c[name] = map[string]map[string][]string{}
		}
		w.held[i] = &c
	}
}

// check compares the model with what selects give.
func (w *watch) check(which int, sd *side) (string, error) {
	var ops array
	var of []*watched
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		wt := w.tables[name]
		columns := array{"_uuid"}
		for _, c := range wt.columns {
			columns = append(columns, c.name)
		}
		wheres := []array{{}}
		if wt.where != nil {
			wheres = nil
			for _, clause := range wt.where {
				wheres = append(wheres, array{clause})
			}
		}
		for _, where := range wheres {
			ops = append(ops, object{"op": "select", "table": name, "where": where, "columns": columns})
			of = append(of, wt)
		}
	}
	results, err := sd.call(ops...)
	if err != nil {
		return "", err
	}
	want := contents{}
	for name := range w.tables {
		want[name] = map[string]map[string][]string{}
	}
	for i, res := range results {
		o, _ := res.(object)
		rows, ok := o["rows"].(array)
		if !ok {
			return "", fmt.Errorf("select for a monitor: %s", text(res))
		}
		for _, r := range rows {
			r := r.(object)
			row := map[string][]string{}
			for _, c := range of[i].columns {
				row[c.name] = elements(r[c.name])
			}
			want[of[i].table.name][r["_uuid"].(array)[1].(string)] = row
		}
	}
	if got := text(*w.held[which]); got != text(want) {
		return fmt.Sprintf("monitor %s: the updates add up to\n%s\nthe tables hold\n%s", text(w.id), got, text(want)), nil
	}
	return "", nil
}

// String is the monitor in a transcript.
func (w *watch) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (version %d, client %d):", text(w.id), w.version, w.client)
	for _, name := range slices.Sorted(maps.Keys(w.tables)) {
		fmt.Fprintf(&b, " %s where %s", name, text(w.tables[name].where))
	}
	return b.String()
}
