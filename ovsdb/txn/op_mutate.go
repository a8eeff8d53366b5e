package txn

import (
	"govs/internal/dberr"
	"govs/ovsdb/query"
	"govs/ovsdb/store"
	"govs/schema"
)

// opMutate changes columns by what they hold (RFC 7047, 5.2.4).
type opMutate struct {
	table     *schema.Table
	where     query.Condition
	mutations []query.Mutation
	columns   []*schema.Column
}

func (p *parser) mutate() (operation, *dberr.Error) {
	p.writes = true
	t := p.table()
	where := p.m.Get("where", dberr.WantArray)
	mutations := p.m.Get("mutations", dberr.WantArray)
	if p.faulty() {
		return nil, nil
	}
	op := &opMutate{table: t}
	var err *dberr.Error
	if op.mutations, err = query.ParseMutations(mutations, t, p.resolve); err != nil {
		return nil, err
	}
	for i := range op.mutations {
		op.columns = append(op.columns, op.mutations[i].Column)
	}
	op.where, err = query.ParseCondition(where, t, p.resolve)
	return op, err
}

func (op *opMutate) execute(x *execution) *dberr.Error {
	if err := x.permit("mutate", op.table, nil, op.columns); err != nil {
		return err
	}
	rows := x.find(op.table, &op.where)
	var vals []store.Value
	for _, r := range rows {
		if err := x.permit("mutate", op.table, r, op.columns); err != nil {
			return err
		}
		vals = vals[:0]
	mutations:
		for i := range op.mutations {
			m := &op.mutations[i]
			for j := range vals {
				if vals[j].Column == m.Column {
					var err *dberr.Error
					if vals[j].Datum, err = m.Apply(vals[j].Datum); err != nil {
						return err
					}
					continue mutations
				}
			}
			d, err := m.Apply(r.Get(m.Column))
			if err != nil {
				return err
			}
			vals = append(vals, store.Value{Column: m.Column, Datum: d})
		}
		for _, v := range vals {
			if !r.Get(v.Column).Equal(v.Datum) {
				x.set(op.table, r.UUID, r, r.With(vals...))
				break
			}
		}
	}
	x.counted(len(rows))
	return nil
}
