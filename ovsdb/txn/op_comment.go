package txn

import "govs/internal/dberr"

// opComment keeps a comment for the database's log (RFC 7047, 5.2.9).
type opComment struct{ text string }

func (p *parser) comment() (operation, *dberr.Error) {
	v := p.m.Get("comment", dberr.WantString)
	return &opComment{v.Str()}, nil
}

func (op *opComment) execute(x *execution) *dberr.Error {
	if x.comment != "" {
		x.comment += "\n"
	}
	x.comment += op.text
	x.out = append(x.out, "{}"...)
	return nil
}
