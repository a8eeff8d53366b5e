package dbclient

import (
	"govs/internal/table"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// cell makes a table's cell of a value.
func cell(d data.Datum, t *schema.Type) table.Cell {
	return table.Cell{Text: d.Text(t), Bare: bare(d), HasBare: true, JSON: d.AppendJSON(nil, t)}
}

// bare is a value without punctuation.
func bare(d data.Datum) string {
	var b []byte
	for i := range d.Len() {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, plain(d.Key(i))...)
		if v := d.Value(i); v.Type() != atom.Void {
			b = append(append(b, '='), plain(v)...)
		}
	}
	return string(b)
}

func plain(a atom.Atom) string {
	if a.Type() == atom.String {
		return a.Str()
	}
	return a.String()
}

// blank is a cell for which there is no value.
func blank() table.Cell { return table.Cell{HasBare: true, JSON: []byte("null")} }
