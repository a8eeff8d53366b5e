package dbtool

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"govs/internal/chash"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/storage"
	"govs/schema"
)

// showLog prints a database's records: their times and comments; with -m the
// rows that they changed; with -mm the columns, too.
func (t *tool) showLog(args []string) error {
	e, err := openRead(arg(args, 0, defaultDB()))
	if err != nil {
		return err
	}
	defer e.Close()
	s, err := schemaOf(e)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "record 0: %q schema, version=%q, cksum=%q\n\n", s.Name, s.Version, s.Cksum)
	n := 0
	names := make(map[string]string)
	for rec, err := range e.Load() {
		if err != nil {
			return err
		}
		n++
		fmt.Fprintf(t.out, "record %d:", n)
		if rec.Time != 0 {
			fmt.Fprintf(t.out, " %s", time.UnixMilli(rec.Time).UTC().Format("2006-01-02 15:04:05.000"))
		}
		if rec.Note != "" {
			fmt.Fprintf(t.out, " \"%s\"", rec.Note)
		}
		fmt.Fprintln(t.out)
		if t.more > 0 {
			if err := t.showRecord(s, rec, names); err != nil {
				return err
			}
			fmt.Fprintln(t.out)
		}
	}
	return nil
}

// showRecord prints the rows of a record. names holds the rows that there are,
// by id, with what their name column says, in quotes; "" where it says nothing.
func (t *tool) showRecord(s *schema.Schema, rec storage.Record, names map[string]string) error {
	v, err := json.Parse(rec.Body)
	if err != nil {
		return err
	}
	diff, _ := v.Get(isDiff).Bool()
	for _, table := range tablesOf(v, rec) {
		for id, row := range hashed(v.Get(table)) {
			t.showRow(s.Table(table), table, id, row, diff, names)
		}
	}
	return nil
}

// hashed walks an object's members as the C program does.
func hashed(v json.Value) iter.Seq2[string, json.Value] {
	h, values := chash.Names(), make(map[string]json.Value)
	for name, value := range v.Members() {
		h.Add(name.Str())
		values[name.Str()] = value
	}
	return func(yield func(string, json.Value) bool) {
		for name := range h.All() {
			if !yield(name, values[name]) {
				return
			}
		}
	}
}

const isDiff = "_is_diff"

// tablesOf returns the names of a record's tables as the C program walks them. In
// its files they stand beside members that the engine has taken out, in the order
// of a hash table, too: that tells where those stood.
func tablesOf(v json.Value, rec storage.Record) (tables []string) {
	var names []string
	for name := range v.Members() {
		if name.Str() != isDiff {
			names = append(names, name.Str())
		}
	}
	others := []string{"_date"}
	if rec.Note != "" {
		others = append(others, "_comment")
	}
	if _, ok := v.Get(isDiff).Bool(); ok {
		others = append(others, isDiff)
	}
	size := chash.Buckets(len(names) + len(others))
	bucket := func(name string) uint32 { return chash.Murmur(name) & (size - 1) }
	for _, o := range others {
		at := slices.IndexFunc(names, func(n string) bool { return bucket(n) >= bucket(o) })
		if at < 0 {
			at = len(names)
		}
		names = slices.Insert(names, at, o)
	}
	h := chash.Names()
	for _, n := range names {
		h.Add(n)
	}
	for n := range h.All() {
		if !strings.HasPrefix(n, "_") {
			tables = append(tables, n)
		}
	}
	return tables
}

func (t *tool) showRow(table *schema.Table, tableName, id string, row json.Value, diff bool, names map[string]string) {
	short := id[:min(8, len(id))]
	name, exists := names[id]
	if v := row.Get("name"); v.Kind() == json.String {
		names[id] = string(json.AppendString(nil, v.Str()))
	} else if !exists {
		names[id] = ""
	}
	switch {
	case !exists && names[id] == "":
		fmt.Fprintf(t.out, "  table %s insert row %s:\n", tableName, short)
	case !exists:
		fmt.Fprintf(t.out, "  table %s insert row %s (%s):\n", tableName, names[id], short)
	default:
		if name == "" {
			name = short
		}
		end := ":"
		if diff {
			end = " diff:"
		}
		fmt.Fprintf(t.out, "  table %s row %s (%s)%s\n", tableName, name, short, end)
	}
	if row.Kind() == json.Null {
		fmt.Fprintln(t.out, "    delete row")
		delete(names, id)
		return
	}
	if t.more > 1 {
		for col, v := range hashed(row) {
			fmt.Fprintf(t.out, "    %s=%s\n", col, valueText(table, col, v))
		}
	}
}

// valueText is a column's value, or its difference, for people.
func valueText(table *schema.Table, column string, v json.Value) string {
	if table != nil {
		if col := table.Column(column); col != nil {
			ty := col.Type
			ty.Min = 0
			if ty.Max > 1 {
				ty.Max = schema.Unlimited // a difference may have more elements than a value
			}
			if d, err := data.ParseJSON(v, &ty, nil); err == nil {
				return d.Text(&col.Type)
			}
		}
	}
	return string(v.AppendSorted(nil))
}
