package main

import (
	"fmt"
	"math/rand/v2"
)

// An object and an array of JSON, as encoding/json takes them.
type (
	object = map[string]any
	array  = []any
)

// A column is a column of a generated schema, with what the generator of
// values needs to know.
type column struct {
	name       string
	key, value *base
	min        int
	max        int // 0 is unlimited
	mutable    bool
	ephemeral  bool
}

// A base is a base type (RFC 7047, section 3.2).
type base struct {
	atomic   string
	enum     array
	min, max any
	refTable string
	refType  string
}

// A table is a table of a generated schema.
type table struct {
	name    string
	columns []*column
	isRoot  bool
	maxRows int
	indexes [][]string
}

// A model is a generated schema.
type model struct {
	tables []*table
}

// newModel makes a schema of two to four tables: every type, references of
// both kinds in all directions, indexes, row limits.
func newModel(r *rand.Rand) *model {
	m := &model{}
	n := 2 + r.IntN(3)
	for i := range n {
		m.tables = append(m.tables, &table{name: fmt.Sprintf("T%d", i), isRoot: i == 0 || r.IntN(3) > 0})
	}
	for _, t := range m.tables {
		for i := range 3 + r.IntN(6) {
			t.columns = append(t.columns, m.newColumn(r, fmt.Sprintf("c%d", i)))
		}
		if r.IntN(5) == 0 {
			t.maxRows = 1 + r.IntN(4)
		}
		for range r.IntN(3) {
			var ix []string
			for _, c := range t.columns {
				if !c.ephemeral && r.IntN(4) == 0 && len(ix) < 2 {
					ix = append(ix, c.name)
				}
			}
			if ix != nil {
				t.indexes = append(t.indexes, ix)
			}
		}
	}
	return m
}

func (m *model) newColumn(r *rand.Rand, name string) *column {
	c := &column{name: name, key: m.newBase(r), min: 1, max: 1, mutable: r.IntN(8) > 0, ephemeral: r.IntN(8) == 0}
	if r.IntN(2) == 0 {
		c.min = r.IntN(2)
		c.max = []int{0, 1, 2, 3}[r.IntN(4)]
		if r.IntN(2) == 0 {
			c.value = m.newBase(r)
			if c.key.refType == "strong" || c.value.refType == "strong" {
				// C miscounts references in pairs of both kinds: see differences.txt.
				c.key.strengthen()
				c.value.strengthen()
			}
		}
	}
	return c
}

// strengthen makes a weak reference a strong one.
func (b *base) strengthen() {
	if b.refType == "weak" {
		b.refType = "strong"
	}
}

func (m *model) newBase(r *rand.Rand) *base {
	b := &base{atomic: []string{"integer", "real", "boolean", "string", "uuid"}[r.IntN(5)]}
	switch b.atomic {
	case "integer":
		switch r.IntN(4) {
		case 0:
			b.enum = array{0, 1, 2, 3}
		case 1:
			b.min, b.max = -1, 5
		case 2:
			b.min = 0
		}
	case "real":
		if r.IntN(3) == 0 {
			b.min, b.max = -1.5, 5.25
		}
	case "string":
		switch r.IntN(4) {
		case 0:
			b.enum = array{"", "a", "b", "c"}
		case 1:
			b.max = 3
		}
	case "uuid":
		if r.IntN(4) > 0 {
			b.refTable = m.tables[r.IntN(len(m.tables))].name
			b.refType = []string{"strong", "weak"}[r.IntN(2)]
		}
	}
	return b
}

func (b *base) json() any {
	o := object{"type": b.atomic}
	if b.enum != nil {
		o["enum"] = array{"set", b.enum}
	}
	limits := map[string][2]string{"integer": {"minInteger", "maxInteger"}, "real": {"minReal", "maxReal"}, "string": {"minLength", "maxLength"}}[b.atomic]
	if b.min != nil {
		o[limits[0]] = b.min
	}
	if b.max != nil {
		o[limits[1]] = b.max
	}
	if b.refTable != "" {
		o["refTable"], o["refType"] = b.refTable, b.refType
	}
	return o
}

func (c *column) json() any {
	t := object{"key": c.key.json(), "min": c.min}
	if c.max == 0 {
		t["max"] = "unlimited"
	} else {
		t["max"] = c.max
	}
	if c.value != nil {
		t["value"] = c.value.json()
	}
	o := object{"type": t}
	if !c.mutable {
		o["mutable"] = false
	}
	if c.ephemeral {
		o["ephemeral"] = true
	}
	return o
}

func (m *model) json() any {
	tables := object{}
	for _, t := range m.tables {
		columns := object{}
		for _, c := range t.columns {
			columns[c.name] = c.json()
		}
		o := object{"columns": columns, "isRoot": t.isRoot}
		if t.maxRows > 0 {
			o["maxRows"] = t.maxRows
		}
		if t.indexes != nil {
			o["indexes"] = t.indexes
		}
		tables[t.name] = o
	}
	return object{"name": "Oracle", "version": "1.0.0", "tables": tables}
}
