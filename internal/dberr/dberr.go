// Package dberr is the one type of error that travels in OVSDB replies: the
// strings are a contract with clients (RFC 7047, section 3.1 and the operations'
// sections; ovsdb-server(7), section 3.1).
package dberr

import (
	"errors"
	"fmt"

	"govs/internal/json"
)

// The error strings of RFC 7047 and of ovsdb-server(7).
const (
	SyntaxError         = "syntax error"
	UnknownColumn       = "unknown column"
	UnknownTable        = "unknown table"
	UnknownDatabase     = "unknown database"
	OVSDBError          = "ovsdb error"
	ConstraintViolation = "constraint violation"
	Referential         = "referential integrity violation"
	RangeError          = "range error"
	DomainError         = "domain error"
	DuplicateUUIDName   = "duplicate uuid-name"
	DuplicateUUID       = "duplicate uuid"
	TimedOut            = "timed out"
	NotOwner            = "not owner"
	Aborted             = "aborted"
	NotAllowed          = "not allowed"
	NotSupported        = "not supported"
	IOError             = "I/O error"
	PermissionError     = "permission error"
	ResourcesExhausted  = "resources exhausted"
	InternalError       = "internal error"
)

// Error is an error of the database protocol.
type Error struct {
	Tag     string // one of the error strings
	Details string // prose, may be empty
	Syntax  string // the JSON that is at fault, may be empty
	IO      string // the system's text for a system call that failed, may be empty
}

// Error returns the text as the C programs print it.
func (e *Error) Error() string {
	s := e.Tag
	if e.Syntax != "" {
		s = "syntax \"" + e.Syntax + "\": " + e.Tag
	}
	if e.Details != "" {
		s += ": " + e.Details
	}
	if e.IO != "" {
		s += " (" + e.IO + ")"
	}
	return s
}

// AppendJSON appends the error as the object that stands in a reply.
func (e *Error) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if e.Details != "" {
		b = append(b, `"details":`...)
		b = json.AppendString(b, e.Details)
		b = append(b, ',')
	}
	b = append(b, `"error":`...)
	b = json.AppendString(b, e.Tag)
	if e.IO != "" {
		b = append(b, `,"io-error":`...)
		b = json.AppendString(b, e.IO)
	}
	if e.Syntax != "" {
		b = append(b, `,"syntax":`...)
		b = json.AppendString(b, e.Syntax)
	}
	return append(b, '}')
}

// New returns an error with a tag and formatted details.
func New(tag, format string, args ...any) *Error {
	return &Error{Tag: tag, Details: fmt.Sprintf(format, args...)}
}

// Syntax returns a syntax error that quotes v.
func Syntax(v json.Value, format string, args ...any) *Error {
	return Quote(SyntaxError, v, format, args...)
}

// Quote returns an error with a tag that quotes v.
func Quote(tag string, v json.Value, format string, args ...any) *Error {
	e := New(tag, format, args...)
	e.Syntax = string(v.AppendSorted(nil))
	return e
}

// As returns err as an *Error: the one inside it, or an internal error with its
// text.
func As(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return New(InternalError, "%v", err)
}
