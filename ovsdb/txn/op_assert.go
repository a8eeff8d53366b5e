package txn

import "govs/internal/dberr"

// opAssert fails where the session does not own a lock (RFC 7047, 5.2.10).
type opAssert struct{ lock string }

func (p *parser) assert() (operation, *dberr.Error) {
	v := p.m.Get("lock", dberr.WantID)
	p.judges = true
	return &opAssert{v.Str()}, nil
}

func (op *opAssert) execute(x *execution) *dberr.Error {
	if x.env.HasLock == nil || !x.env.HasLock(op.lock) {
		return dberr.New(dberr.NotOwner, "Asserted lock %s not held.", op.lock)
	}
	x.out = append(x.out, "{}"...)
	return nil
}
