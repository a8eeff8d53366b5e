package txn

import "govs/internal/dberr"

// opAbort ends the transaction without a change (RFC 7047, 5.2.8).
type opAbort struct{}

func (p *parser) abort() (operation, *dberr.Error) { return opAbort{}, nil }

func (opAbort) execute(*execution) *dberr.Error {
	return dberr.New(dberr.Aborted, "aborted by request")
}
