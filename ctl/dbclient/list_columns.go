package dbclient

import (
	"govs/internal/json"
	"govs/internal/table"
	"govs/schema"
)

// listColumns prints names and types of a table's columns, or of all tables'.
func (c *client) listColumns(args []string) error {
	v, err := c.schemaText(c.db)
	if err != nil {
		return err
	}
	s, err := schema.FromJSON(v)
	if err != nil {
		return err
	}
	t := &table.Table{Headings: []string{"Table", "Column", "Type"}}
	if len(args) > 0 {
		t.Headings = t.Headings[1:]
	}
	for _, tn := range tableNames(v) {
		if len(args) > 0 && args[0] != tn {
			continue
		}
		for _, cn := range columnNames(v, tn) {
			typ, err := json.Parse(s.Table(tn).Column(cn).Type.AppendJSON(nil))
			if err != nil {
				return err
			}
			text := typ.AppendSorted(nil)
			row := []table.Cell{table.Text(tn), table.Text(cn), {Text: string(text), JSON: text}}
			t.Rows = append(t.Rows, row[3-len(t.Headings):])
		}
	}
	return table.Fprint(c.out, c.style, t)
}
