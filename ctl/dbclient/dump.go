package dbclient

import (
	"fmt"
	"sort"

	"govs/internal/json"
	"govs/internal/table"
	"govs/ovsdb/data"
	"govs/schema"
)

// dump prints the rows of all tables, of one, or columns of one.
func (c *client) dump(args []string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	tables := s.Tables
	if len(args) > 0 {
		t := s.Table(args[0])
		if t == nil {
			return fmt.Errorf("No table \"%s\" found.", args[0]) //nolint: as C has it
		}
		tables = []*schema.Table{t}
	}
	var columns [][]*schema.Column
	var ops [][]byte
	for _, t := range tables {
		cols, err := dumped(t, args)
		if err != nil {
			return err
		}
		columns = append(columns, cols)
		b := json.AppendString([]byte(`{"op":"select","where":[],"table":`), t.Name)
		b = append(b, `,"columns":[`...)
		for i, col := range cols {
			if i > 0 {
				b = append(b, ',')
			}
			b = json.AppendString(b, col.Name)
		}
		ops = append(ops, append(b, "]}"...))
	}
	reply, err := c.call("transact", array(c.db, ops...))
	if err != nil {
		return err
	}
	p := table.NewPrinter(c.out, c.style)
	i := 0
	for r := range reply.Elems() {
		if i == len(tables) {
			break
		}
		rows := r.Get("rows")
		if rows.Kind() != json.Array {
			return fmt.Errorf("%s table reply is not an object with a \"rows\" member array: %s", tables[i].Name, appendHashed(nil, r))
		}
		if err := dumpTable(p, tables[i], columns[i], rows); err != nil {
			return err
		}
		i++
	}
	return nil
}

// dumped returns a table's columns in the order of a dump: _uuid and then by name.
func dumped(t *schema.Table, args []string) ([]*schema.Column, error) {
	cols := []*schema.Column{t.Columns[schema.UUIDColumn]}
	cols = append(cols, t.Columns[schema.FirstColumn:]...)
	if len(args) > 1 {
		cols = nil
		for _, name := range args[1:] {
			col := t.Column(name)
			if col == nil {
				return nil, fmt.Errorf("Table \"%s\" has no column %s.", t.Name, name) //nolint: as C has it
			}
			if col.Index != schema.VersionColumn {
				cols = append(cols, col)
			}
		}
		sort.SliceStable(cols, func(i, j int) bool {
			a, b := cols[i], cols[j]
			if (a.Index == schema.UUIDColumn) != (b.Index == schema.UUIDColumn) {
				return a.Index == schema.UUIDColumn
			}
			return a.Name < b.Name
		})
	}
	return cols, nil
}

// dumpTable prints rows, sorted by their columns, _uuid last.
func dumpTable(p *table.Printer, t *schema.Table, cols []*schema.Column, rows json.Value) error {
	out := &table.Table{Caption: t.Name + " table"}
	for _, col := range cols {
		out.Headings = append(out.Headings, col.Name)
	}
	var all [][]data.Datum
	for r := range rows.Elems() {
		row := make([]data.Datum, len(cols))
		for i, col := range cols {
			d, err := data.ParseJSON(r.Get(col.Name), &col.Type, nil)
			if err != nil {
				return err
			}
			row[i] = d
		}
		if len(cols) == 0 && len(all) > 0 {
			break // rows of nothing are one
		}
		all = append(all, row)
	}
	first := 0
	if len(cols) > 0 && cols[0].Index == schema.UUIDColumn {
		first = 1
	}
	sort.SliceStable(all, func(i, j int) bool {
		for k := first; k < len(cols); k++ {
			if x := all[i][k].Compare(all[j][k]); x != 0 {
				return x < 0
			}
		}
		return first == 1 && all[i][0].Compare(all[j][0]) < 0
	})
	for _, row := range all {
		cells := make([]table.Cell, len(cols))
		for i, col := range cols {
			cells[i] = cell(row[i], &col.Type)
		}
		out.Rows = append(out.Rows, cells)
	}
	return p.Print(out)
}
