package txn

import (
	"strconv"

	"govs/internal/dberr"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
)

// opUpdate sets columns (RFC 7047, 5.2.3).
type opUpdate struct {
	table   *schema.Table
	where   query.Condition
	vals    []store.Value
	columns []*schema.Column
}

func (p *parser) update() (operation, *dberr.Error) {
	p.writes = true
	t := p.table()
	where := p.m.Get("where", dberr.WantArray)
	row := p.m.Get("row", dberr.WantObject)
	if p.faulty() {
		return nil, nil
	}
	op := &opUpdate{table: t}
	var err *dberr.Error
	if op.vals, err = p.row(row, t); err != nil {
		return nil, err
	}
	for _, v := range op.vals {
		if !v.Column.Mutable {
			return nil, dberr.Quote(dberr.ConstraintViolation, p.op, "Cannot update immutable column %s in table %s.", v.Column.Name, t.Name)
		}
		op.columns = append(op.columns, v.Column)
	}
	op.where, err = query.ParseCondition(where, t, p.resolve)
	return op, err
}

func (op *opUpdate) execute(x *execution) *dberr.Error {
	if err := x.permit("update", op.table, nil, op.columns); err != nil {
		return err
	}
	rows := x.find(op.table, &op.where)
	for _, r := range rows {
		if err := x.permit("update", op.table, r, op.columns); err != nil {
			return err
		}
		for _, v := range op.vals {
			if !r.Get(v.Column).Equal(v.Datum) {
				x.set(op.table, r.UUID, r, r.With(op.vals...))
				break
			}
		}
	}
	x.counted(len(rows))
	return nil
}

// counted appends the result of an operation that reports a number of rows.
func (x *execution) counted(n int) {
	x.out = append(x.out, `{"count":`...)
	x.out = strconv.AppendInt(x.out, int64(n), 10)
	x.out = append(x.out, '}')
}
