package schema

import (
	"math"
	"strconv"

	"govs/internal/json"
	"govs/schema/atom"
)

// AppendJSON appends the schema's canonical JSON, the form that get_schema and
// database files have: what equals its default is left out, isRoot where all
// tables are in the root set, and types are as short as they can be. Objects have their members in a fixed order, tables and
// columns in the order of their names.
func (s *Schema) AppendJSON(b []byte) []byte {
	b = append(b, '{')
	if s.Cksum != "" {
		b = append(b, `"cksum":`...)
		b = json.AppendString(b, s.Cksum)
		b = append(b, ',')
	}
	b = append(b, `"name":`...)
	b = json.AppendString(b, s.Name)
	if s.Version != "" {
		b = append(b, `,"version":`...)
		b = json.AppendString(b, s.Version)
	}
	b = append(b, `,"tables":{`...)
	for i, t := range s.Tables {
		if i > 0 {
			b = append(b, ',')
		}
		b = json.AppendString(b, t.Name)
		b = append(b, ':')
		b = t.appendJSON(b, !s.rootless)
	}
	return append(b, "}}"...)
}

func (t *Table) appendJSON(b []byte, withRoot bool) []byte {
	b = append(b, '{')
	if t.IsRoot && withRoot {
		b = append(b, `"isRoot":true,`...)
	}
	if t.MaxRows != Unlimited {
		b = append(b, `"maxRows":`...)
		b = strconv.AppendUint(b, uint64(t.MaxRows), 10)
		b = append(b, ',')
	}
	if len(t.Indexes) > 0 {
		b = append(b, `"indexes":[`...)
		for i, ix := range t.Indexes {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, '[')
			for j, c := range ix {
				if j > 0 {
					b = append(b, ',')
				}
				b = json.AppendString(b, c.Name)
			}
			b = append(b, ']')
		}
		b = append(b, `],`...)
	}
	b = append(b, `"columns":{`...)
	for i, c := range t.Columns[FirstColumn:] {
		if i > 0 {
			b = append(b, ',')
		}
		b = json.AppendString(b, c.Name)
		b = append(b, ':')
		b = c.appendJSON(b)
	}
	return append(b, "}}"...)
}

func (c *Column) appendJSON(b []byte) []byte {
	b = append(b, '{')
	if !c.Mutable {
		b = append(b, `"mutable":false,`...)
	}
	if c.Ephemeral {
		b = append(b, `"ephemeral":true,`...)
	}
	b = append(b, `"type":`...)
	b = c.Type.AppendJSON(b)
	return append(b, '}')
}

// AppendJSON appends the type's canonical JSON.
func (t *Type) AppendJSON(b []byte) []byte {
	if t.Scalar() && t.Key.plain() {
		return t.Key.AppendJSON(b)
	}
	b = append(b, `{"key":`...)
	b = t.Key.AppendJSON(b)
	if t.Map() {
		b = append(b, `,"value":`...)
		b = t.Value.AppendJSON(b)
	}
	if t.Min != 1 {
		b = append(b, `,"min":`...)
		b = strconv.AppendUint(b, uint64(t.Min), 10)
	}
	switch t.Max {
	case 1:
	case Unlimited:
		b = append(b, `,"max":"unlimited"`...)
	default:
		b = append(b, `,"max":`...)
		b = strconv.AppendUint(b, uint64(t.Max), 10)
	}
	return append(b, '}')
}

// plain reports whether the base type has no constraints.
func (b *BaseType) plain() bool {
	return b.Enum == nil && b.RefTableName == "" &&
		b.MinInteger == math.MinInt64 && b.MaxInteger == math.MaxInt64 &&
		b.MinReal == -math.MaxFloat64 && b.MaxReal == math.MaxFloat64 &&
		b.MinLength == 0 && b.MaxLength == Unlimited
}

// AppendJSON appends the base type's canonical JSON.
func (b *BaseType) AppendJSON(out []byte) []byte {
	if b.plain() {
		return json.AppendString(out, b.Type.String())
	}
	out = append(out, `{"type":"`...)
	out = append(out, b.Type.String()...)
	out = append(out, '"')
	if b.Enum != nil {
		out = append(out, `,"enum":`...)
		out = appendEnum(out, b.Enum)
	}
	if b.MinInteger != math.MinInt64 {
		out = strconv.AppendInt(append(out, `,"minInteger":`...), b.MinInteger, 10)
	}
	if b.MaxInteger != math.MaxInt64 {
		out = strconv.AppendInt(append(out, `,"maxInteger":`...), b.MaxInteger, 10)
	}
	if b.MinReal != -math.MaxFloat64 {
		out = json.AppendFloat(append(out, `,"minReal":`...), b.MinReal)
	}
	if b.MaxReal != math.MaxFloat64 {
		out = json.AppendFloat(append(out, `,"maxReal":`...), b.MaxReal)
	}
	if b.MinLength != 0 {
		out = strconv.AppendUint(append(out, `,"minLength":`...), uint64(b.MinLength), 10)
	}
	if b.MaxLength != Unlimited {
		out = strconv.AppendUint(append(out, `,"maxLength":`...), uint64(b.MaxLength), 10)
	}
	if b.RefTableName != "" {
		out = json.AppendString(append(out, `,"refTable":`...), b.RefTableName)
		if b.RefType == Weak {
			out = append(out, `,"refType":"weak"`...)
		}
	}
	return append(out, '}')
}

func appendEnum(b []byte, enum []atom.Atom) []byte {
	if len(enum) == 1 {
		return enum[0].AppendJSON(b)
	}
	b = append(b, `["set",[`...)
	for i, a := range enum {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.AppendJSON(b)
	}
	return append(b, "]]"...)
}

// String describes the type in English, as error messages do.
func (t *Type) String() string {
	if t.Scalar() {
		return t.Key.Type.String()
	}
	what := t.Key.Type.String() + "s"
	kind := "set"
	if t.Map() {
		kind = "map"
		what = "(" + t.Key.Type.String() + ", " + t.Value.Type.String() + ") pairs"
	}
	n := ""
	switch {
	case t.Max == Unlimited && t.Min == 0:
	case t.Max == Unlimited:
		n = strconv.FormatUint(uint64(t.Min), 10) + " or more "
	case t.Min == 0:
		n = "up to " + strconv.FormatUint(uint64(t.Max), 10) + " "
	default:
		n = strconv.FormatUint(uint64(t.Min), 10) + " to " + strconv.FormatUint(uint64(t.Max), 10) + " "
	}
	return kind + " of " + n + what
}
