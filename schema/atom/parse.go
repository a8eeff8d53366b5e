package atom

import (
	"govs/internal/dberr"
	"govs/internal/json"
)

// A Resolver finds the UUID of the row that a transaction names. Returning false
// makes the name unknown.
type Resolver func(name string) (UUID, bool)

// ParseJSON reads an atom of type t in its wire form. names resolves
// ["named-uuid",NAME]; nil where named UUIDs are not allowed.
func ParseJSON(v json.Value, t Type, names Resolver) (Atom, *dberr.Error) {
	k := v.Kind()
	switch t {
	case Integer:
		if n, ok := v.Int(); ok {
			return Int(n), nil
		}
	case Real:
		if f, ok := v.Float(); ok {
			return Float(f), nil
		}
	case Boolean:
		if b, ok := v.Bool(); ok {
			return Bool(b), nil
		}
	case String:
		if k == json.String {
			return Str(v.Str()), nil
		}
	case UUIDType:
		u, err := parseUUID(v, names)
		return ID(u), err
	}
	return Atom{}, dberr.Syntax(v, "expected %s", t)
}

// parseUUID reads ["uuid","..."] or ["named-uuid",NAME].
func parseUUID(v json.Value, names Resolver) (UUID, *dberr.Error) {
	if v.Kind() == json.Array && v.Len() == 2 {
		tag, val := v.At(0), v.At(1)
		switch {
		case val.Kind() != json.String:
		case tag.Is("uuid"):
			if u, ok := ParseBytes(val.Bytes()); ok {
				return u, nil
			}
			return UUID{}, dberr.Syntax(v, "\"%s\" is not a valid UUID", val.Str())
		case names != nil && tag.Is("named-uuid"):
			name := val.Str()
			if !IsID(name) {
				return UUID{}, dberr.Syntax(v, "named-uuid string is not a valid <id>")
			}
			u, ok := names(name)
			if !ok {
				return UUID{}, dberr.Syntax(v, "unknown named-uuid \"%s\"", name)
			}
			return u, nil
		}
	}
	return UUID{}, dberr.Syntax(v, "expected [\"uuid\", <string>]")
}

// IsID reports whether s is an <id> of RFC 7047: a letter or '_', then letters,
// digits and '_'.
func IsID(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return s != ""
}
