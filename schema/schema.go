// Package schema is the schema language of OVSDB (RFC 7047, section 3.2): it
// reads, checks and prints database schemas, and holds what the rest of the
// database knows about tables, columns and types.
//
// A Schema does not change once it was parsed, and may be shared.
//
// # Caveats
//
// Columns that hold weak references are mutable whatever the schema says, as in
// the C server (ovsdb-server(7), 3.2); the printed form tells so.
package schema

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"govs/schema/atom"
)

// Schema is a database schema.
type Schema struct {
	Name    string
	Version string // "x.y.z", or "" where the schema has none
	Cksum   string // free text, or ""
	Tables  []*Table

	byName   map[string]*Table
	rootless bool // all tables are in the root set: none needs the mark
}

// Table returns the table with a name, or nil.
func (s *Schema) Table(name string) *Table { return s.byName[name] }

// Table is a table's schema.
type Table struct {
	Name    string
	Index   int // position in Schema.Tables, which are in the order of their names
	IsRoot  bool
	MaxRows uint32      // math.MaxUint32 where there is no limit
	Indexes [][]*Column // groups of columns whose values are unique together
	Strong  []*Column   // columns with strong references
	Weak    []*Column   // columns with weak references
	Given   []*Column   // columns whose default their constraints forbid: an insertion has to give them
	Columns []*Column   // _uuid and _version first, then in the order of the names

	byName map[string]*Column
}

// Column returns the column with a name, or nil.
func (t *Table) Column(name string) *Column { return t.byName[name] }

// Positions of the columns that every table has.
const (
	UUIDColumn    = 0 // _uuid
	VersionColumn = 1 // _version
	FirstColumn   = 2 // the first one of the schema
)

// Column is a column's schema.
type Column struct {
	Name      string
	Index     int // position in Table.Columns
	Type      Type
	Mutable   bool
	Ephemeral bool
}

// allowsDefault reports whether the default value is among the allowed ones.
func (c *Column) allowsDefault() bool {
	return c.Type.Min == 0 || c.Type.Key.allowsDefault() && c.Type.Value.allowsDefault()
}

func (b *BaseType) allowsDefault() bool {
	if b.Enum != nil {
		return slices.Contains(b.Enum, atom.Default(b.Type))
	}
	switch b.Type {
	case atom.Integer:
		return b.MinInteger <= 0 && b.MaxInteger >= 0
	case atom.Real:
		return b.MinReal <= 0 && b.MaxReal >= 0
	case atom.String:
		return b.MinLength == 0
	}
	return true
}

// Implicit reports whether the column is _uuid or _version.
func (c *Column) Implicit() bool { return c.Index < FirstColumn }

// Unlimited is Type.Max where a set or map may have any number of elements.
const Unlimited = math.MaxUint32

// Type is the type of a column: Min to Max values of Key, or pairs of Key and
// Value where Value's Type is not atom.Void.
type Type struct {
	Key, Value BaseType
	Min, Max   uint32
}

// Scalar reports whether a value of the type is always exactly one atom.
func (t *Type) Scalar() bool { return t.Min == 1 && t.Max == 1 && t.Value.Type == atom.Void }

// Optional reports whether a value is one atom or none.
func (t *Type) Optional() bool { return t.Min == 0 && t.Max == 1 }

// Composite reports whether a value may hold more than one atom or pair.
func (t *Type) Composite() bool { return t.Max > 1 }

// Set reports whether the type is neither a scalar nor a map.
func (t *Type) Set() bool { return t.Value.Type == atom.Void && (t.Min != 1 || t.Max != 1) }

// Map reports whether the type is a map.
func (t *Type) Map() bool { return t.Value.Type != atom.Void }

// RefType says what a reference does for the row it names.
type RefType uint8

// The kinds of references.
const (
	Strong RefType = iota // keeps the row alive, and must name one
	Weak                  // vanishes with the row
)

// BaseType is an atomic type with constraints.
type BaseType struct {
	Type Atomic
	Enum []atom.Atom // ascending; nil where any value is allowed

	MinInteger, MaxInteger int64   // integers; the extremes where not given
	MinReal, MaxReal       float64 // reals; -+math.MaxFloat64 where not given
	MinLength, MaxLength   uint32  // strings, in characters; 0 and Unlimited where not given
	RefTable               *Table  // UUIDs: the table whose rows they name, or nil
	RefTableName           string
	RefType                RefType
}

// Atomic is atom.Type under a name that does not clash.
type Atomic = atom.Type

// StrongRef reports whether values are strong references.
func (b *BaseType) StrongRef() bool { return b.RefTable != nil && b.RefType == Strong }

// WeakRef reports whether values are weak references.
func (b *BaseType) WeakRef() bool { return b.RefTable != nil && b.RefType == Weak }

// NewBaseType returns the unconstrained base type.
func NewBaseType(t atom.Type) BaseType {
	return BaseType{
		Type:       t,
		MinInteger: math.MinInt64, MaxInteger: math.MaxInt64,
		MinReal: -math.MaxFloat64, MaxReal: math.MaxFloat64,
		MaxLength: Unlimited,
	}
}

// CompareVersions orders two versions of the form x.y.z: -1, 0 or 1. A version
// that is not of this form counts as 0.0.0.
func CompareVersions(a, b string) int {
	x, _ := parseVersion(a)
	y, _ := parseVersion(b)
	for i := range x {
		if c := cmp.Compare(x[i], y[i]); c != 0 {
			return c
		}
	}
	return 0
}

// ValidVersion reports whether s is of the form x.y.z, with decimal numbers.
func ValidVersion(s string) bool {
	_, ok := parseVersion(s)
	return ok
}

func parseVersion(s string) (v [3]uint64, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return v, false
	}
	for i, p := range parts {
		if p == "" || len(p) > 18 {
			return [3]uint64{}, false
		}
		for _, c := range []byte(p) {
			if c < '0' || c > '9' {
				return [3]uint64{}, false
			}
			v[i] = v[i]*10 + uint64(c-'0')
		}
	}
	return v, true
}
