package vsctl

import (
	"errors"
	"strings"

	"govs/internal/table"
	"govs/ovsdb/data"
	"govs/schema"
)

// columns resolves --columns; without it, all columns of the table.
func (n *names) columnsOption(c *command, table string) ([]string, error) {
	if !c.has("--columns") {
		return append([]string{"_uuid"}, n.columns[table]...), nil
	}
	var out []string
	for _, w := range strings.FieldsFunc(c.opts["--columns"], func(r rune) bool { return r == ',' || r == ' ' }) {
		name := "_uuid"
		if fold(w) != "_uuid" {
			var err error
			if name, err = n.column(table, w); err != nil {
				return nil, err
			}
		}
		out = append(out, name)
	}
	if out == nil {
		return nil, errors.New("must specify at least one column name")
	}
	return out, nil
}

// newTable prepares the output of list or find.
func (r *run) newTable(c *command, tab string) ([]*schema.Column, error) {
	words, err := r.names.columnsOption(c, tab)
	if err != nil {
		return nil, err
	}
	var cols []*schema.Column
	c.table = &table.Table{Headings: words}
	for _, w := range words {
		cols = append(cols, r.m.schema.Table(tab).Column(w))
	}
	return cols, nil
}

func addRow(c *command, x *row, cols []*schema.Column) {
	cells := make([]table.Cell, len(cols))
	for i, col := range cols {
		cells[i] = cell(x.get(col), &col.Type)
	}
	c.table.Rows = append(c.table.Rows, cells)
}

func cell(d data.Datum, t *schema.Type) table.Cell {
	return table.Cell{Text: d.Text(t), Bare: bare(d, t), HasBare: true, JSON: cellJSON(d, t)}
}

func needList(f *fetch, c *command) error {
	tab, err := f.names.table(c.args[0])
	if err != nil {
		return err
	}
	cols, err := f.names.columnsOption(c, tab)
	if err != nil {
		return err
	}
	f.needRecord(tab, c.args[1:]...)
	f.column(tab, cols...)
	return nil
}

// runList prints records of a table.
func runList(r *run, c *command) error {
	tab, err := r.names.table(c.args[0])
	if err != nil {
		return err
	}
	cols, err := r.newTable(c, tab)
	if err != nil {
		return err
	}
	if len(c.args) == 1 {
		for _, x := range r.list(tab) {
			addRow(c, x, cols)
		}
	}
	for _, word := range c.args[1:] {
		x, err := r.record(tab, word, !c.has("--if-exists"))
		if err != nil {
			return err
		}
		if x != nil {
			addRow(c, x, cols)
		}
	}
	return nil
}
