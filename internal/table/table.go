// Package table prints tables as the commands of Open vSwitch do: as table,
// list, html, csv or json, chosen by the options -f, -d, --bare, --no-headings,
// --pretty and --max-column-width ([Style.Flags]).
//
// A [Cell] carries a value twice, as text for people and as JSON; each format
// takes what it needs. The caller makes the texts for the chosen [CellFormat]
// (string, bare, json).
//
// # Caveats
//
// In one output with several tables, [Printer] puts the blank lines between
// them; printing each with a Printer of its own leaves them out.
package table

import "encoding/json"

// Table is rows under headings. Every row has as many cells as there are headings.
type Table struct {
	Caption  string
	Headings []string
	Rows     [][]Cell
	// Timestamp, where not empty, is added to the caption (text formats) or as
	// member "time" (json).
	Timestamp string
}

// Cell is one value.
type Cell struct {
	Text string          // as --data=string prints it
	Bare string          // as --data=bare prints it; used where HasBare
	JSON json.RawMessage // as --data=json and --format=json print it; nil: Text as a JSON string

	HasBare bool
}

// Text returns a cell with the same text in every style.
func Text(s string) Cell { return Cell{Text: s} }

// Add appends a row of plain texts.
func (t *Table) Add(texts ...string) {
	row := make([]Cell, len(texts))
	for i, s := range texts {
		row[i] = Text(s)
	}
	t.Rows = append(t.Rows, row)
}
