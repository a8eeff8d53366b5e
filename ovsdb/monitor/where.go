package monitor

import (
	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
)

// where is a monitor's condition: a row is wanted when any of the clauses
// holds. A nil where wants every row.
type where struct {
	cond query.Condition
	text string // canonical, for keys
}

// parseWhere reads <condition>*: nil where it is empty.
func parseWhere(t *schema.Table, v json.Value) (*where, *dberr.Error) {
	if v.Len() == 0 {
		return nil, nil
	}
	c, err := query.ParseCondition(v, t, nil)
	if err != nil {
		return nil, err
	}
	return &where{cond: c, text: string(v.AppendSorted(nil))}, nil
}

// match reports whether a row is wanted.
func (w *where) match(r *store.Row) bool { return w == nil || w.cond.Any(r) }
