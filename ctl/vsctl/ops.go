package vsctl

import (
	"fmt"
	"os"
	"strings"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// This file turns what a run did into the operations of a transaction.

// rowName is the name of a new row within the transaction.
func rowName(id atom.UUID) string { return "row" + strings.ReplaceAll(id.String(), "-", "_") }

func (r *run) appendAtom(b []byte, a atom.Atom) []byte {
	if a.Type() == atom.UUIDType {
		if x := r.fresh[a.UUID()]; x != nil {
			return fmt.Appendf(b, `["named-uuid","%s"]`, rowName(x.id))
		}
	}
	return a.AppendJSON(b)
}

// appendDatum writes a value; one element stands alone unless asSet.
func (r *run) appendDatum(b []byte, d data.Datum, isMap, asSet bool) []byte {
	if isMap {
		b = append(b, `["map",[`...)
		for i := range d.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(r.appendAtom(append(b, '['), d.Key(i)), ',')
			b = append(r.appendAtom(b, d.Value(i)), ']')
		}
		return append(b, "]]"...)
	}
	if d.Len() == 1 && !asSet {
		return r.appendAtom(b, d.Key(0))
	}
	b = append(b, `["set",[`...)
	for i := range d.Len() {
		if i > 0 {
			b = append(b, ',')
		}
		b = r.appendAtom(b, d.Key(i))
	}
	return append(b, "]]"...)
}

func (r *run) where(x *row) []byte {
	b := append([]byte(`"where":[["_uuid","==",`), r.appendAtom(nil, atom.ID(x.id))...)
	return append(b, "]]"...)
}

// ops returns the operations, and whether they change anything. made tells the
// position of the operation that inserts a row.
func (r *run) ops() (ops [][]byte, made map[*row]int, changes bool) {
	made = make(map[*row]int)
	for _, x := range r.order {
		if op := r.waitOp(x); op != nil {
			ops = append(ops, op)
		}
	}
	for _, x := range r.order {
		if !x.isNew() || x.gone {
			continue
		}
		made[x] = len(ops)
		changes = true
		ops = append(ops, r.insertOp(x))
	}
	for _, x := range r.order {
		switch {
		case x.isNew():
		case x.gone && !x.t.IsRoot: // goes when nothing refers to it any more
		case x.gone:
			changes = true
			ops = append(ops, fmt.Appendf(nil, `{"op":"delete","table":"%s",%s}`, x.t.Name, r.where(x)))
		default:
			if op := r.updateOp(x); op != nil {
				changes = true
				ops = append(ops, op)
			}
			if len(x.muts) > 0 {
				changes = true
				ops = append(ops, r.mutateOp(x))
			}
		}
	}
	return ops, made, changes
}

// waitOp holds the transaction to the columns that this run relied upon, and to
// the existence of the rows that it changes.
func (r *run) waitOp(x *row) []byte {
	if x.isNew() || x.gone && !x.t.IsRoot || !x.gone && x.cur == nil && len(x.checks) == 0 {
		return nil
	}
	b := fmt.Appendf(nil, `{"op":"wait","timeout":0,"table":"%s",%s,"until":"==","columns":["_uuid"`, x.t.Name, r.where(x))
	vals := x.id.AppendJSON([]byte(`"_uuid":`))
	for _, c := range x.t.Columns {
		if !x.checks[c.Index] {
			continue
		}
		b = json.AppendString(append(b, ','), c.Name)
		vals = append(json.AppendString(append(vals, ','), c.Name), ':')
		vals = r.appendDatum(vals, x.base[c.Index], c.Type.Map(), false)
	}
	return append(append(append(b, `],"rows":[{`...), vals...), "}]}"...)
}

func (r *run) insertOp(x *row) []byte {
	b := fmt.Appendf(nil, `{"op":"insert","table":"%s",`, x.t.Name)
	if r.given[x.id] {
		b = fmt.Appendf(b, `"uuid":"%s",`, x.id)
	}
	b = fmt.Appendf(b, `"uuid-name":"%s","row":{`, rowName(x.id))
	return append(r.appendColumns(b, x, func(c *schema.Column) bool { return !x.cur[c.Index].Equal(data.Default(&c.Type)) }), "}}"...)
}

func (r *run) updateOp(x *row) []byte {
	if len(x.whole) == 0 {
		return nil
	}
	row := r.appendColumns(nil, x, func(c *schema.Column) bool {
		return x.whole[c.Index] && !x.cur[c.Index].Equal(x.base[c.Index])
	})
	if len(row) == 0 {
		return nil
	}
	return fmt.Appendf(nil, `{"op":"update","table":"%s",%s,"row":{%s}}`, x.t.Name, r.where(x), row)
}

func (r *run) appendColumns(b []byte, x *row, want func(*schema.Column) bool) []byte {
	n := 0
	for _, c := range x.t.Columns[schema.FirstColumn:] {
		if !want(c) {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = append(json.AppendString(b, c.Name), ':')
		b = r.appendDatum(b, x.cur[c.Index], c.Type.Map(), false)
	}
	return b
}

func (r *run) mutateOp(x *row) []byte {
	b := fmt.Appendf(nil, `{"op":"mutate","table":"%s",%s,"mutations":[`, x.t.Name, r.where(x))
	for i, m := range x.muts {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `["%s","%s",`, m.col.Name, m.op)
		b = append(r.appendDatum(b, m.arg, m.col.Type.Map() && !m.keys, true), ']')
	}
	return append(b, "]}"...)
}

// incrementOps count the configuration up, and read the new number.
func (r *run) incrementOps(x *row) [][]byte {
	w := r.where(x)
	return [][]byte{
		fmt.Appendf(nil, `{"op":"mutate","table":"Open_vSwitch",%s,"mutations":[["next_cfg","+=",1]]}`, w),
		fmt.Appendf(nil, `{"op":"select","table":"Open_vSwitch",%s,"columns":["next_cfg"]}`, w),
	}
}

// commentOp says in the database's log who made the change.
func commentOp(argv []string) []byte {
	by := ""
	if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", os.Getppid())); err == nil {
		by = " (invoked by " + strings.TrimSpace(string(b)) + ")"
	}
	b := json.AppendString([]byte(`{"op":"comment","comment":`), strings.ToValidUTF8(program+by+": "+escapeWords(argv), "?"))
	return append(b, '}')
}

// escapeWords joins words, quoted where a shell would take them apart.
func escapeWords(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = escapeWord(w)
	}
	return strings.Join(quoted, " ")
}

// escapeWord quotes a word that a shell would take apart.
func escapeWord(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\n\r\v\"\\'") {
		return s
	}
	return string(json.AppendString(nil, strings.ToValidUTF8(s, "?")))
}
