package vsctl

import (
	"fmt"
	"slices"
	"strings"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// special says how a table's rows can be named besides their UUIDs.
type special struct {
	name string // a column of this table with the name itself
	from string // or another table, whose rows have column "name",
	via  string // and the column there that refers to one row
	only bool   // "." is the only row
}

func specials(table string) special {
	switch table {
	case "Bridge", "Flow_Table", "Interface", "Mirror", "Port":
		return special{name: "name"}
	case "Flow_Sample_Collector_Set":
		return special{name: "id"}
	case "Manager":
		return special{name: "target"}
	case "AutoAttach":
		return special{from: "Bridge", via: "auto_attach"}
	case "Controller":
		return special{from: "Bridge", via: "controller"}
	case "IPFIX":
		return special{from: "Bridge", via: "ipfix"}
	case "NetFlow":
		return special{from: "Bridge", via: "netflow"}
	case "sFlow":
		return special{from: "Bridge", via: "sflow"}
	case "QoS":
		return special{from: "Port", via: "qos"}
	case "Open_vSwitch", "SSL":
		return special{only: true}
	}
	return special{}
}

// needRecord asks for what finding records of a table takes; where words say
// which ones, maybe not for all of the table.
func (f *fetch) needRecord(table string, words ...string) {
	if len(words) > 0 && (table == "Port" || table == "Interface") && !slices.ContainsFunc(words, maybeID) {
		f.column(table, "name")
		f.named(table, words...)
		return
	}
	f.need(table)
	switch s := specials(table); {
	case s.name != "":
		f.need(table, s.name)
	case s.from != "":
		f.need(s.from, "name", s.via)
	}
}

// record finds the row that a word names; nil without an error where there is
// none and need is false.
func (r *run) record(table, word string, need bool) (*row, error) {
	if id, ok := atom.Parse(word); ok {
		if x := r.find(table, id); x != nil {
			return x, nil
		}
	} else {
		x, err := r.byName(table, word)
		if x != nil || err != nil {
			return x, err
		}
		if x = r.byPrefix(table, word); x != nil {
			return x, nil
		}
	}
	if need {
		return nil, fmt.Errorf("no row \"%s\" in table %s", word, table)
	}
	return nil, nil
}

func (r *run) byName(table, word string) (*row, error) {
	s := specials(table)
	switch {
	case s.only && word == ".":
		if rows := r.list(table); len(rows) == 1 {
			return rows[0], nil
		}
	case s.name != "":
		x, err := r.unique(table, s.name, word)
		if x != nil {
			r.expect(x, s.name)
		}
		return x, err
	case s.from != "":
		x, err := r.unique(s.from, "name", word)
		if x == nil || err != nil {
			return nil, err
		}
		r.expect(x, s.via)
		if d := x.val(s.via); d.Len() == 1 {
			return r.find(table, d.Key(0).UUID()), nil
		}
	}
	return nil, nil
}

// unique finds the row with a value in a column, compared as text.
func (r *run) unique(table, column, word string) (found *row, err error) {
	c := r.m.schema.Table(table).Column(column)
	if c == nil {
		return nil, nil
	}
	want := atom.Str(word)
	if c.Type.Key.Type != atom.String {
		a, err := r.parseAtom(word, &c.Type.Key)
		if err != nil {
			return nil, nil // no such record, then
		}
		want = a
	}
	for _, x := range r.list(table) {
		if d := x.get(c); d.Len() != 1 || d.Key(0) != want {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("multiple rows in %s match \"%s\"", table, word)
		}
		found = x
	}
	return found, nil
}

const minPrefix = 4 // digits of a UUID

// maybeID says whether a word could be a UUID, the beginning of one, or stand
// for one.
func maybeID(word string) bool {
	return len(word) >= minPrefix && strings.Trim(word, "0123456789abcdefABCDEF-") == "" || strings.HasPrefix(word, "@")
}

func (r *run) byPrefix(table, word string) (found *row) {
	if len(word) < minPrefix {
		return nil
	}
	for _, x := range r.list(table) {
		if strings.HasPrefix(x.id.String(), word) {
			if found != nil {
				return nil
			}
			found = x
		}
	}
	return found
}

// symbol is a row's @name within the command line.
type symbol struct {
	id      atom.UUID
	created bool
	row     *row // created here
}

func (r *run) symbol(name string) *symbol {
	s := r.symbols[name]
	if s == nil {
		s = &symbol{id: atom.New()}
		r.symbols[name] = s
		r.symbolNames = append(r.symbolNames, name)
	}
	return s
}

// define gives a symbol to a command that makes it what it is.
func (r *run) define(name string) (*symbol, error) {
	if !strings.HasPrefix(name, "@") {
		return nil, fmt.Errorf("row id \"%s\" does not begin with \"@\"", name)
	}
	s := r.symbol(name)
	if s.created {
		return nil, fmt.Errorf("row id \"%s\" may only be specified on one --id option", name)
	}
	s.created = true
	return s, nil
}

// checkSymbols complains of names that mean nothing, and of rows that will not last.
func (r *run) checkSymbols() error {
	for _, name := range r.symbolNames {
		s := r.symbols[name]
		if !s.created {
			return fmt.Errorf("row id \"%s\" is referenced but never created (e.g. with \"-- --id=%s create ...\")", name, name)
		}
		if s.row == nil || s.row.t.IsRoot || s.row.gone {
			continue
		}
		strong, weak := r.references(s.id)
		switch {
		case strong:
		case weak:
			r.warn("vsctl", fmt.Sprintf("row id \"%s\" was created but only a weak reference to it was inserted, so it will not actually appear in the database", name))
		default:
			r.warn("vsctl", fmt.Sprintf("row id \"%s\" was created but no reference to it was inserted, so it will not actually appear in the database", name))
		}
	}
	return nil
}

// references looks for a row's UUID in all that this run wrote.
func (r *run) references(id atom.UUID) (strong, weak bool) {
	a := atom.ID(id)
	see := func(b *schema.BaseType) {
		if b.StrongRef() {
			strong = true
		} else if b.WeakRef() {
			weak = true
		}
	}
	for _, x := range r.order {
		if x.gone || x.cur == nil {
			continue
		}
		for _, c := range x.t.Columns[schema.FirstColumn:] {
			d := x.cur[c.Index]
			if c.Type.Key.Type == atom.UUIDType {
				if _, ok := d.Find(a); ok {
					see(&c.Type.Key)
				}
			}
			if c.Type.Value.Type == atom.UUIDType {
				for _, v := range d.Pairs() {
					if v == a {
						see(&c.Type.Value)
					}
				}
			}
		}
	}
	return strong, weak
}

// cellJSON is a value on the wire.
func cellJSON(d data.Datum, t *schema.Type) []byte { return d.AppendJSON(nil, t) }

// errorText is an error object of a reply as C prints it.
func errorText(v json.Value) string { return string(v.AppendSorted(nil)) }
