package txn

import (
	"govs/internal/dberr"
	"govs/internal/json"
)

// opCommit asks for durability (RFC 7047, 5.2.7).
type opCommit struct{ durable bool }

func (p *parser) commit() (operation, *dberr.Error) {
	v := p.m.Get("durable", dberr.WantBool)
	return &opCommit{v.Kind() == json.True}, nil
}

func (op *opCommit) execute(x *execution) *dberr.Error {
	x.durable = x.durable || op.durable
	x.out = append(x.out, "{}"...)
	return nil
}
