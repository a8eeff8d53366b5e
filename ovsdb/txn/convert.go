package txn

import (
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/store"
	"govs/schema"
)

// Convert gives a snapshot's contents under another schema (ovsdb-server(7),
// section 4.1.19): what that one does not have is left out, what it adds has its
// default, even where it does not allow that, and all its other constraints
// hold: it is one transaction that inserts each row, with the id that it has.
// Snapshots do not change, so the one that is converted may go on in use.
func Convert(s *store.Snapshot, to *schema.Schema) (*store.Snapshot, *dberr.Error) {
	b := append([]byte{'['}, json.AppendString(nil, to.Name)...)
	for _, old := range s.Schema().Tables {
		table := to.Table(old.Name)
		if table == nil {
			continue
		}
		for row := range s.Rows(old) {
			b = appendInsert(b, old, row, table)
		}
	}
	params, err := json.Parse(append(b, ']'))
	if err != nil {
		return nil, dberr.New(dberr.InternalError, "%v", err)
	}
	p := parser{Txn: &Txn{schema: to}, params: params, lax: true}
	res := p.all().Execute(store.NewSnapshot(to), Env{Now: time.Now()})
	if res.Err != nil {
		return nil, res.Err
	}
	return res.Next, nil
}

// appendInsert appends the operation that inserts a row into a table of the new schema.
func appendInsert(b []byte, old *schema.Table, row *store.Row, table *schema.Table) []byte {
	b = append(b, `,{"op":"insert","table":`...)
	b = json.AppendString(b, old.Name)
	b = append(b, `,"uuid":"`...)
	b = row.UUID.Append(b)
	b = append(b, `","row":{`...)
	first := true
	for _, col := range old.Columns[schema.FirstColumn:] {
		if table.Column(col.Name) == nil {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = json.AppendString(b, col.Name)
		b = append(b, ':')
		b = row.Get(col).AppendJSON(b, &col.Type)
	}
	return append(b, "}}"...)
}
