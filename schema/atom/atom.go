package atom

import (
	"cmp"
	"encoding/binary"
	"math"
	"strconv"
	"strings"

	"govs/internal/json"
)

// Atom is a value of an atomic type. Atoms of one type are equal where == says
// so. The zero Atom is of type Void.
type Atom struct {
	s      string
	hi, lo uint64
	t      Type
}

// Int returns an integer.
func Int(n int64) Atom { return Atom{t: Integer, lo: uint64(n)} }

// Float returns a real number. Both zeros become the same Atom.
func Float(f float64) Atom {
	if f == 0 {
		f = 0
	}
	return Atom{t: Real, lo: math.Float64bits(f)}
}

// Bool returns a boolean.
func Bool(v bool) Atom {
	a := Atom{t: Boolean}
	if v {
		a.lo = 1
	}
	return a
}

// Str returns a string, which must be valid UTF-8 without NUL.
func Str(s string) Atom { return Atom{t: String, s: s} }

// ID returns a UUID as an atom.
func ID(u UUID) Atom {
	hi, lo := u.words()
	return Atom{t: UUIDType, hi: hi, lo: lo}
}

// Default returns a type's default value: 0, 0.0, false, "" or the zero UUID.
func Default(t Type) Atom { return Atom{t: t} }

// Type returns the atom's type.
func (a Atom) Type() Type { return a.t }

// Int returns the value of an integer.
func (a Atom) Int() int64 { return int64(a.lo) }

// Float returns the value of a real number.
func (a Atom) Float() float64 { return math.Float64frombits(a.lo) }

// Bool returns the value of a boolean.
func (a Atom) Bool() bool { return a.lo != 0 }

// Str returns the value of a string.
func (a Atom) Str() string { return a.s }

// UUID returns the value of a UUID.
func (a Atom) UUID() UUID {
	var u UUID
	binary.BigEndian.PutUint64(u[:8], a.hi)
	binary.BigEndian.PutUint64(u[8:], a.lo)
	return u
}

// IsDefault reports whether a is its type's default value.
func (a Atom) IsDefault() bool { return a == Atom{t: a.t} }

// Compare orders atoms: by type first, then numbers by value, false before true,
// strings by their bytes, UUIDs as their texts. It returns -1, 0 or 1.
func (a Atom) Compare(b Atom) int {
	if a.t != b.t {
		return cmp.Compare(a.t, b.t)
	}
	switch a.t {
	case Integer:
		return cmp.Compare(int64(a.lo), int64(b.lo))
	case Real:
		return cmp.Compare(a.Float(), b.Float())
	case String:
		return strings.Compare(a.s, b.s)
	case UUIDType:
		if a.hi != b.hi {
			return cmp.Compare(a.hi, b.hi)
		}
	}
	return cmp.Compare(a.lo, b.lo)
}

// AppendJSON appends the wire form of RFC 7047, section 5.1.
func (a Atom) AppendJSON(b []byte) []byte {
	switch a.t {
	case Integer:
		return strconv.AppendInt(b, int64(a.lo), 10)
	case Real:
		return json.AppendFloat(b, a.Float())
	case Boolean:
		if a.lo != 0 {
			return append(b, "true"...)
		}
		return append(b, "false"...)
	case String:
		return json.AppendString(b, a.s)
	case UUIDType:
		return a.UUID().AppendJSON(b)
	}
	return append(b, "null"...)
}

// String returns the value as the C programs print it in messages: strings are
// quoted where they do not look like a plain word.
func (a Atom) String() string {
	switch a.t {
	case String:
		if plainWord(a.s) {
			return a.s
		}
	case UUIDType:
		return a.UUID().String()
	}
	return string(a.AppendJSON(nil))
}

// plainWord reports whether s needs no quotes: letters, digits, '_', '-' and
// '.', a letter or '_' first, neither true nor false nor like a UUID.
func plainWord(s string) bool {
	if s == "" || s == "true" || s == "false" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '_':
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	_, isUUID := Parse(s)
	return !isUUID
}
