// Package atom is the floor of the schema language: the five atomic types of
// RFC 7047, section 3.1, their values, order, and wire forms.
//
// # Caveats
//
// An Atom is a transient value of some 40 bytes, made for passing around and for
// comparing with ==; stored data keep their values in denser forms.
package atom

// Type is one of the atomic types.
type Type uint8

// The atomic types. Void, the zero Type, is the type of the values of a set.
const (
	Void Type = iota
	Integer
	Real
	Boolean
	String
	UUIDType
)

var typeNames = [...]string{"void", "integer", "real", "boolean", "string", "uuid"}

// String returns the type's name in a schema.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return "invalid"
}

// ParseType finds the type with a name.
func ParseType(name string) (Type, bool) {
	for i := Integer; i <= UUIDType; i++ {
		if typeNames[i] == name {
			return i, true
		}
	}
	return Void, false
}
