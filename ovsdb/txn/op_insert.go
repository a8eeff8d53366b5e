package txn

import (
	"slices"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// opInsert adds a row (RFC 7047, 5.2.1; the member "uuid" is ovsdb-server(7)'s
// extension).
type opInsert struct {
	table *schema.Table
	vals  []store.Value
	id    atom.UUID
	fixed string       // the text of "uuid", "" where it is absent
	wrong *dberr.Error // what is wrong with the row; told when the id is known to be free
	fresh bool         // neither "uuid" nor "uuid-name" is there: each execution has a new id
}

func (p *parser) insert() (operation, *dberr.Error) {
	p.writes = true
	t := p.table()
	name := p.m.Opt("uuid-name", dberr.WantID)
	id := p.m.Opt("uuid", dberr.WantString)
	row := p.m.Get("row", dberr.WantObject)
	if p.faulty() {
		return nil, nil
	}
	op := &opInsert{table: t}
	var twice *dberr.Error
	if id.Kind() == json.String {
		var ok bool
		op.fixed = id.Str()
		if op.id, ok = atom.Parse(op.fixed); !ok {
			return nil, dberr.Syntax(id, "bad uuid")
		}
	}
	switch {
	case name.Kind() == json.String:
		s := p.symbol(name.Str())
		if s.defined {
			twice = dberr.Quote(dberr.DuplicateUUIDName, name, "This \"uuid-name\" appeared on an earlier \"insert\" operation.")
			if op.fixed == "" {
				return nil, twice
			}
		}
		s.defined = true
		if op.fixed == "" {
			op.id = s.id
		}
		s.id = op.id
	case op.fixed == "":
		op.fresh = true
	}
	vals, err := p.row(row, t)
	if err == nil && !p.lax {
		err = defaults(t, vals)
	}
	if err != nil && op.fixed == "" {
		return nil, err
	}
	if twice != nil {
		err = twice
	}
	op.vals, op.wrong = explicitOnly(vals), err
	return op, nil
}

// defaults checks the columns that a row leaves out: their default is to be one
// of the allowed values.
func defaults(t *schema.Table, vals []store.Value) *dberr.Error {
	for _, c := range t.Given {
		if slices.ContainsFunc(vals, func(v store.Value) bool { return v.Column == c }) {
			continue
		}
		for _, b := range []*schema.BaseType{&c.Type.Key, &c.Type.Value} {
			if err := data.CheckAtom(atom.Default(b.Type), b); err != nil {
				return err
			}
		}
	}
	return nil
}

// explicitOnly drops values for _uuid and _version, which an insert ignores.
func explicitOnly(vals []store.Value) []store.Value {
	n := 0
	for _, v := range vals {
		if !v.Column.Implicit() {
			vals[n] = v
			n++
		}
	}
	return vals[:n]
}

func (op *opInsert) execute(x *execution) *dberr.Error {
	id := op.id
	switch {
	case op.fresh:
		id = x.newUUID()
	case op.fixed != "" && x.known(op.table, id):
		e := dberr.New(dberr.DuplicateUUID,
			"This UUID would duplicate a UUID already present within the table or deleted within the same transaction.")
		e.Syntax = string(json.AppendString(nil, op.fixed))
		return e
	}
	if op.wrong != nil {
		return op.wrong
	}
	row := store.NewRow(op.table, id).With(op.vals...)
	row.Touch(x.newUUID())
	if err := x.permit("insert", op.table, row, nil); err != nil {
		return err
	}
	x.set(op.table, id, nil, row)
	if op.fixed == "" && !op.table.IsRoot {
		if x.born == nil {
			x.born = map[atom.UUID]bool{}
		}
		x.born[id] = true
	}
	x.out = append(x.out, `{"uuid":`...)
	x.out = id.AppendJSON(x.out)
	x.out = append(x.out, '}')
	return nil
}
