// Package status is what the switch tells its database: numbers, addresses,
// states and errors of what runs, counters, and that a configuration has been
// applied (ovs-vswitchd.conf.db(5), the columns that are said to be set by
// Open vSwitch).
//
// The functions Root, BridgeRow, IfaceRow and so on are pure: they turn what
// runs into Rows. A Writer turns Rows into the operations of one transaction,
// and leaves out what the database was told before.
//
// # Caveats
//
// A Writer believes that nobody else writes these columns. Whoever does is
// overwritten when the value changes next, or when the switch connects again.
package status

import (
	"maps"
	"reflect"
	"slices"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

// A Row is the new value of some columns of a row. A value is a string, bool
// or int, an Empty or one of those for an optional column, a []string, an []int,
// a map[string]string or a map[string]int.
type Row map[string]any

// Empty is the value of an optional column that has none.
type Empty struct{}

// A Ref names a row.
type Ref struct{ Table, UUID string }

// Rows are the new values of several rows.
type Rows map[Ref]Row

// Set adds columns to a row.
func (r Rows) Set(table, uuid string, row Row) {
	at := Ref{table, uuid}
	if r[at] == nil {
		r[at] = make(Row, len(row))
	}
	maps.Copy(r[at], row)
}

// Mention notes that a row is there, with nothing new to tell.
func (r Rows) Mention(at Ref) {
	if _, ok := r[at]; !ok {
		r[at] = nil
	}
}

// A Writer remembers what the database was told. The zero value has told
// nothing yet. It is not safe for concurrent use.
type Writer struct {
	told Rows
	seen map[string]Iface // by UUID
}

// Diff returns the operations that tell the database what it does not know
// yet, in an order that depends on the rows alone. It changes nothing: call
// Told when the transaction has committed.
func (w *Writer) Diff(rows Rows) []ovsdb.Operation {
	changes := make(map[Ref]ovsdb.Row)
	for at, row := range rows {
		for column, value := range row {
			if old, known := w.told[at][column]; known && reflect.DeepEqual(old, value) {
				continue
			}
			if changes[at] == nil {
				changes[at] = make(ovsdb.Row)
			}
			changes[at][column] = encode(value)
		}
	}
	var ops []ovsdb.Operation
	for _, at := range slices.SortedFunc(maps.Keys(changes), compareRefs) {
		ops = append(ops, ovsdb.Operation{
			Op:    ovsdb.OperationUpdate,
			Table: at.Table,
			Where: []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: at.UUID})},
			Row:   changes[at],
		})
	}
	return ops
}

// Saw says whether the database was told that an interface is like that.
func (w *Writer) Saw(uuid string, i Iface) bool {
	told, ok := w.seen[uuid]
	return ok && told.equal(i)
}

// Last is the value of the column that the database was told last, nil where
// it was told none.
func (w *Writer) Last(at Ref, column string) any { return w.told[at][column] }

// Told notes that the database has the rows, and those of the interfaces. Rows
// that it does not name do not exist any more.
func (w *Writer) Told(rows Rows, ifaces map[string]Iface) {
	w.seen = ifaces
	maps.DeleteFunc(w.told, func(at Ref, _ Row) bool { _, ok := rows[at]; return !ok })
	if w.told == nil {
		w.told = make(Rows)
	}
	for at, row := range rows {
		if row != nil {
			w.told.Set(at.Table, at.UUID, row)
		}
	}
}

// Forget forgets everything, as after a connection was lost.
func (w *Writer) Forget() { w.told, w.seen = nil, nil }

func compareRefs(a, b Ref) int {
	switch {
	case a.Table < b.Table, a.Table == b.Table && a.UUID < b.UUID:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// encode gives a value the form that libovsdb sends.
func encode(value any) any {
	switch v := value.(type) {
	case Empty:
		return ovsdb.OvsSet{}
	case []string:
		set := ovsdb.OvsSet{}
		for _, s := range v {
			set.GoSet = append(set.GoSet, s)
		}
		return set
	case []int:
		set := ovsdb.OvsSet{}
		for _, n := range v {
			set.GoSet = append(set.GoSet, n)
		}
		return set
	case map[string]string:
		return encodeMap(v)
	case map[string]int:
		return encodeMap(v)
	}
	return value
}

func encodeMap[T any](m map[string]T) ovsdb.OvsMap {
	out := ovsdb.OvsMap{GoMap: make(map[any]any, len(m))}
	for k, v := range m {
		out.GoMap[k] = v
	}
	return out
}
