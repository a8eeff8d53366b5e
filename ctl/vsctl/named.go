package vsctl

import (
	"context"
	"fmt"

	"govs/internal/json"
	"govs/schema"
	"govs/schema/atom"
)

// This file gets rows by their names. A host may have thousands of ports, and
// most commands are about one of them: to read them all took longer than all the
// rest of such a command.

// mostNames is how many rows are asked for by their names; with more the tables
// are read.
const mostNames = 32

// named asks for the rows of a table with these names, or for none but those of
// fake bridges.
func (f *fetch) named(table string, names ...string) {
	m := f.rows[table]
	if m == nil {
		m = make(map[string]bool)
		f.rows[table] = m
	}
	for _, n := range names {
		m[n] = true
	}
}

// widen makes tables whole of which too many rows are asked for. Ports and
// interfaces go together: a command on the one may need to find the other.
func (f *fetch) widen() {
	many, both := 0, true
	for _, table := range []string{"Port", "Interface"} {
		many += len(f.rows[table])
		both = both && f.columns[table] != nil
	}
	for _, table := range []string{"Port", "Interface"} {
		if many > mostNames || both && (f.whole["Port"] || f.whole["Interface"]) {
			f.whole[table] = true
		}
	}
}

// named gets the rows that the monitor does not bring to begin with: ports and
// interfaces by their names, the ports that stand for fake bridges, and then for
// each port its interfaces and for each interface its port. What changes
// meanwhile the monitor tells; refresh takes it in afterwards.
func (s *session) named(ctx context.Context, f *fetch) error {
	ports, ifaces := s.selection(f, "Port"), s.selection(f, "Interface")
	for name := range f.rows["Port"] {
		ports.where("name", "==", json.AppendString(nil, name))
	}
	ports.where("fake_bridge", "==", []byte("true"))
	for name := range f.rows["Interface"] {
		ifaces.where("name", "==", json.AppendString(nil, name))
	}
	for {
		fresh, err := s.pick(ctx, ports, ifaces)
		if err != nil || len(fresh) == 0 {
			return err
		}
		for _, x := range fresh {
			if x.t.Name == "Interface" {
				ports.where("interfaces", "includes", x.id.AppendJSON(nil))
				continue
			}
			for id := range x.val("interfaces").Keys() {
				ifaces.where("_uuid", "==", id.AppendJSON(nil))
			}
		}
	}
}

// A selection is the next select operations on a table.
type selection struct {
	t    *schema.Table // nil where nothing is to be got
	head string
	ops  [][]byte
}

// selection begins one, of the columns that are needed of a table in parts.
func (s *session) selection(f *fetch, table string) *selection {
	t := s.m.schema.Table(table)
	if f.columns[table] == nil || f.whole[table] || t == nil {
		return &selection{}
	}
	b := json.AppendString([]byte(`{"op":"select","table":`), table)
	b = append(b, `,"columns":["_uuid"`...)
	for _, c := range t.Columns[schema.FirstColumn:] {
		if f.columns[table][c.Name] {
			b = json.AppendString(append(b, ','), c.Name)
		}
	}
	return &selection{t: t, head: string(b) + "]"}
}

// where adds an operation. Columns that the server does not have match nothing.
func (o *selection) where(column, function string, value []byte) {
	if o.t != nil && o.t.Column(column) != nil {
		o.ops = append(o.ops, fmt.Appendf(nil, `%s,"where":[["%s","%s",%s]]}`, o.head, column, function, value))
	}
}

// pick runs the operations and takes the rows in. It returns those that are new.
func (s *session) pick(ctx context.Context, all ...*selection) (fresh []*row, err error) {
	var ops [][]byte
	for _, o := range all {
		ops = append(ops, o.ops...)
	}
	if len(ops) == 0 {
		return nil, nil
	}
	reply, err := s.client.Transact(ctx, dbName, ops...)
	if err != nil {
		return nil, s.lost(err)
	}
	at := 0
	for _, o := range all {
		for range o.ops {
			for v := range reply.At(at).Get("rows").Elems() {
				id, ok := atom.Parse(v.Get("_uuid").At(1).Str())
				if !ok {
					continue
				}
				x, err := parseRow(o.t, id, v)
				if err != nil {
					return nil, err
				}
				if s.m.put(x) {
					fresh = append(fresh, x)
				}
			}
			at++
		}
		o.ops = nil
	}
	return fresh, nil
}
