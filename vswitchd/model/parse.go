package model

import (
	"encoding/json"
	"fmt"

	libmodel "github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"govs/schema/vswitch"
)

// Parse makes a snapshot of rows that somebody else has read: a JSON object of
// tables, each an array of rows as the results of select hold them (RFC 7047,
// section 5.2.2). Tables and columns that the switch does not look at are
// passed over.
func Parse(text []byte) (*Snapshot, error) {
	var tables map[string][]ovsdb.Row
	if err := json.Unmarshal(text, &tables); err != nil {
		return nil, err
	}
	client, err := vswitch.FullDatabaseModel()
	if err != nil {
		return nil, err
	}
	db, errs := libmodel.NewDatabaseModel(vswitch.Schema(), client)
	if len(errs) > 0 {
		return nil, errs[0]
	}
	r := make(raw, len(columns))
	for i, t := range columns {
		r[i] = make(map[string]libmodel.Model)
		for _, row := range tables[t.table] {
			id, ok := row["_uuid"].(ovsdb.UUID)
			if !ok {
				return nil, fmt.Errorf("%s: a row has no _uuid", t.table)
			}
			wanted := make(ovsdb.Row, len(t.columns))
			for _, c := range t.columns {
				if v, ok := row[c]; ok {
					wanted[c] = v
				}
			}
			m, err := libmodel.CreateModel(db, t.table, &wanted, id.GoUUID)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.table, err)
			}
			r[i][id.GoUUID] = m
		}
	}
	return r.snapshot(), nil
}
