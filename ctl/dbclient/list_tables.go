package dbclient

import (
	"govs/internal/chash"
	"govs/internal/json"
	"govs/internal/table"
	"slices"
)

// listTables prints the names of the tables.
func (c *client) listTables([]string) error {
	v, err := c.schemaText(c.db)
	if err != nil {
		return err
	}
	t := &table.Table{Headings: []string{"Table"}}
	for _, name := range tableNames(v) {
		t.Add(name)
	}
	return table.Fprint(c.out, c.style, t)
}

// tableNames returns the names of a schema's tables as the C program has them: it
// walks the text's members, and puts them into a table of its own.
func tableNames(v json.Value) []string {
	h := chash.Names()
	for _, name := range members(v.Get("tables")) {
		h.Add(name)
	}
	return slices.Collect(h.All())
}

// columnNames returns the names of a table's columns.
func columnNames(v json.Value, name string) []string {
	h := chash.Names()
	h.Add("_uuid")
	h.Add("_version")
	for _, name := range members(v.Get("tables").Get(name).Get("columns")) {
		h.Add(name)
	}
	return slices.Collect(h.All())
}
