package dberr

import (
	"fmt"

	"govs/internal/json"
)

// Want is a set of JSON types that a member may have.
type Want uint16

// The types that Members.Get accepts.
const (
	WantNull Want = 1 << iota
	WantFalse
	WantTrue
	WantInteger
	WantReal
	WantString
	WantArray
	WantObject
	WantID // a string that is an <id> of RFC 7047

	WantBool   = WantFalse | WantTrue
	WantNumber = WantInteger | WantReal
	WantAny    = WantBool | WantNumber | WantString | WantArray | WantObject | WantNull
)

// accepts reports whether v is of one of the types.
func (w Want) accepts(v json.Value) bool {
	var is Want
	switch v.Kind() {
	case json.Null:
		is = WantNull
	case json.False:
		is = WantFalse
	case json.True:
		is = WantTrue
	case json.Integer:
		is = WantInteger
	case json.Real:
		is = WantReal
	case json.Array:
		is = WantArray
	case json.Object:
		is = WantObject
	case json.String:
		is = WantString
		if w&WantID != 0 && isID(v.Bytes()) {
			return true
		}
	}
	return w&is != 0
}

func isID(s []byte) bool {
	for i, c := range s {
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return len(s) > 0
}

// Members takes an object apart: what is asked for must be there and of the right
// type, and nothing else may be there. The first fault is kept, with the text
// that C's ovsdb-server gives it.
type Members struct {
	v    json.Value
	what string
	used []string
	err  *Error
}

// NewMembers starts on an object; what names it in messages.
func NewMembers(v json.Value, what string) *Members {
	m := new(Members)
	m.Init(v, what)
	return m
}

// Init is NewMembers in place.
func (m *Members) Init(v json.Value, what string) {
	if m.used == nil {
		m.used = make([]string, 0, 6)
	}
	m.v, m.what, m.used, m.err = v, what, m.used[:0], nil
	if v.Kind() != json.Object {
		m.err = New(SyntaxError, "Parsing %s failed: Object expected.", what)
	}
}

// Fail records a fault, where it is the first one.
func (m *Members) Fail(format string, args ...any) {
	if m.err == nil {
		m.err = Syntax(m.v, "Parsing %s failed: %s", m.what, fmt.Sprintf(format, args...))
	}
}

// Get returns a member that must be there. Where there is a fault, now or
// before, the Value is of kind Invalid.
func (m *Members) Get(name string, want Want) json.Value {
	v := m.Opt(name, want)
	if m.err == nil && v.Kind() == json.Invalid {
		m.Fail("Required '%s' member is missing.", name)
	}
	return v
}

// Opt returns a member that may be absent: its kind is Invalid then.
func (m *Members) Opt(name string, want Want) json.Value {
	if m.err != nil {
		return json.Value{}
	}
	v := m.v.Get(name)
	if v.Kind() == json.Invalid {
		return v
	}
	m.used = append(m.used, name)
	if !want.accepts(v) {
		m.Fail("Type mismatch for member '%s'.", name)
		return json.Value{}
	}
	return v
}

// Err returns the first fault so far.
func (m *Members) Err() *Error { return m.err }

// Done checks that every member was asked for, and returns the first fault.
func (m *Members) Done() *Error {
	if m.err != nil || m.v.Len() == len(m.used) {
		return m.err
	}
	for name := range m.v.Members() {
		used := false
		for _, u := range m.used {
			if name.Is(u) {
				used = true
				break
			}
		}
		if !used {
			m.Fail("Member '%s' is present but not allowed here.", name.Str())
			break
		}
	}
	return m.err
}
