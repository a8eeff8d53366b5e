package dbclient

import (
	"time"

	"govs/internal/json"
	"govs/internal/table"
	"govs/ovsdb/data"
	"govs/schema"
)

// print prints the tables of an update; rows adds what a row's update says.
func (w *watch) print(updates json.Value, rows func(t *table.Table, wt *watched, id string, u json.Value) error) error {
	for _, wt := range w.tables {
		update := updates.Get(wt.table.Name)
		if update.Kind() != json.Object {
			continue
		}
		t := &table.Table{Headings: []string{"row", "action"}}
		if len(w.tables) > 1 {
			t.Caption = wt.table.Name
		}
		if w.c.timestamp {
			t.Timestamp = time.Now().UTC().Format("2006-01-02 15:04:05.000")
		}
		for _, col := range wt.columns {
			t.Headings = append(t.Headings, col.Name)
		}
		for _, id := range members(update) {
			if err := rows(t, wt, id, update.Get(id)); err != nil {
				return err
			}
		}
		if len(t.Rows) == 0 {
			continue
		}
		if err := w.out.Print(t); err != nil {
			return err
		}
	}
	return nil
}

// initial adds a row of the reply to monitor (RFC 7047, 4.1.5).
func (w *watch) initial(t *table.Table, wt *watched, id string, u json.Value) error {
	return wt.add(t, id, "initial", u.Get("new"), false)
}

// old adds a row of an update notification (RFC 7047, 4.1.6).
func (w *watch) old(t *table.Table, wt *watched, id string, u json.Value) error {
	before, after := u.Get("old"), u.Get("new")
	switch {
	case before.Kind() != json.Object:
		return wt.add(t, id, "insert", after, false)
	case after.Kind() != json.Object:
		return wt.add(t, id, "delete", before, false)
	}
	if err := wt.add(t, id, "old", before, false); err != nil {
		return err
	}
	return wt.add(t, "", "new", after, false)
}

// new adds a row of an update2 notification (ovsdb-server(7), 4.1.14).
func (w *watch) new(t *table.Table, wt *watched, id string, u json.Value) error {
	for action, row := range u.Members() {
		if err := wt.add(t, id, action.Str(), row, action.Is("modify")); err != nil {
			return err
		}
	}
	return nil
}

// add adds a row. What the server did not send stays blank; diff values do not
// obey the limits of their type.
func (wt *watched) add(t *table.Table, id, action string, row json.Value, diff bool) error {
	cells := []table.Cell{table.Text(id), table.Text(action)}
	for _, col := range wt.columns {
		v := row.Get(col.Name)
		if v.Kind() == json.Invalid {
			cells = append(cells, blank())
			continue
		}
		typ := col.Type
		if diff {
			typ.Min, typ.Max = 0, schema.Unlimited
		}
		d, err := data.ParseJSON(v, &typ, nil)
		if err != nil {
			return err
		}
		cells = append(cells, cell(d, &col.Type))
	}
	t.Rows = append(t.Rows, cells)
	return nil
}
