package txn

import (
	"fmt"
	"strings"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// located puts the operation's place in the transaction into a fault of the
// operation's members.
func (p *parser) located(err *dberr.Error) *dberr.Error {
	e := *err
	place := fmt.Sprintf("Parsing ovsdb operation %d of %d failed:", len(p.ops)+1, p.total)
	e.Details = place + strings.TrimPrefix(e.Details, "Parsing  failed:")
	return &e
}

// table reads the member "table".
func (p *parser) table() *schema.Table {
	v := p.m.Get("table", dberr.WantID)
	if p.m.Err() != nil {
		return nil
	}
	t := p.schema.Table(string(v.Bytes()))
	if t == nil {
		p.m.Fail("No table named %s.", v.Str())
	}
	return t
}

// faulty reports whether the members are at fault; then the operation's own
// checks are of no use.
func (p *parser) faulty() bool { return p.m.Done() != nil }

// resolve finds the UUID that a uuid-name stands for. A name that no insert
// before has defined gets the UUID that a later one gives it.
func (p *parser) resolve(name string) (atom.UUID, bool) {
	return p.symbol(name).id, true
}

func (p *parser) symbol(name string) *symbol {
	if s := p.names[name]; s != nil {
		return s
	}
	s := &symbol{id: p.explicit(name)}
	if s.id.Zero() {
		s.id = atom.New()
	}
	if p.names == nil {
		p.names = map[string]*symbol{}
	}
	p.names[name] = s
	return s
}

// explicit looks for the insert that defines a name, and returns the UUID that
// it asks for; the zero UUID where it asks for none.
func (p *parser) explicit(name string) atom.UUID {
	for v := range p.params.Elems() {
		if v.Kind() == json.Object && v.Get("uuid-name").Is(name) && v.Get("op").Is("insert") {
			id, _ := atom.ParseBytes(v.Get("uuid").Bytes())
			return id
		}
	}
	return atom.UUID{}
}

// row reads an object of columns and values.
func (p *parser) row(v json.Value, t *schema.Table) ([]store.Value, *dberr.Error) {
	if v.Kind() != json.Object {
		return nil, dberr.Syntax(v, "row must be JSON object")
	}
	vals := make([]store.Value, 0, v.Len())
	for name, val := range v.Members() {
		c := t.Column(string(name.Bytes()))
		if c == nil {
			return nil, dberr.Quote(dberr.UnknownColumn, v, "No column %s in table %s.", name.Str(), t.Name)
		}
		d, err := data.ParseJSON(val, &c.Type, p.resolve)
		if err != nil {
			return nil, err
		}
		vals = append(vals, store.Value{Column: c, Datum: d})
	}
	return vals, nil
}
