package txn

import (
	"govs/internal/dberr"
	"govs/ovsdb/query"
	"govs/schema"
)

// opDelete removes rows (RFC 7047, 5.2.5).
type opDelete struct {
	table *schema.Table
	where query.Condition
}

func (p *parser) deleteRows() (operation, *dberr.Error) {
	p.writes = true
	t := p.table()
	where := p.m.Get("where", dberr.WantArray)
	if p.faulty() {
		return nil, nil
	}
	op := &opDelete{table: t}
	var err *dberr.Error
	op.where, err = query.ParseCondition(where, t, p.resolve)
	return op, err
}

func (op *opDelete) execute(x *execution) *dberr.Error {
	if err := x.permit("delete", op.table, nil, nil); err != nil {
		return err
	}
	rows := x.find(op.table, &op.where)
	for _, r := range rows {
		if err := x.permit("delete", op.table, r, nil); err != nil {
			return err
		}
		x.set(op.table, r.UUID, r, nil)
	}
	x.counted(len(rows))
	return nil
}
