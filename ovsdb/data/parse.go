package data

import (
	"slices"
	"sort"
	"unicode/utf8"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/schema"
	"govs/schema/atom"
)

// ParseJSON reads a value of type t in its wire form (RFC 7047, section 5.1) and
// checks its constraints. names resolves named UUIDs; nil where none are allowed.
func ParseJSON(v json.Value, t *schema.Type, names atom.Resolver) (Datum, *dberr.Error) {
	if t.Map() {
		return parseMap(v, t, names)
	}
	if v.Kind() == json.Array && v.Len() > 0 && v.At(0).Is("set") {
		return parseSet(v, t, names)
	}
	a, err := ParseAtom(v, &t.Key, names)
	if err != nil {
		return Datum{}, err
	}
	return One(a), nil
}

// ParseAtom reads an atom of a base type and checks its constraints.
func ParseAtom(v json.Value, b *schema.BaseType, names atom.Resolver) (atom.Atom, *dberr.Error) {
	a, err := atom.ParseJSON(v, b.Type, names)
	if err == nil {
		err = CheckAtom(a, b)
	}
	return a, err
}

// unwrap returns the array of ["set",ARRAY] or ["map",ARRAY], and checks its
// length.
func unwrap(v json.Value, class string, t *schema.Type) (json.Value, *dberr.Error) {
	if v.Kind() != json.Array || v.Len() != 2 || !v.At(0).Is(class) || v.At(1).Kind() != json.Array {
		return json.Value{}, dberr.Syntax(v, "expected [\"%s\", <array>]", class)
	}
	elems := v.At(1)
	if n := elems.Len(); n < int(t.Min) || n > int(t.Max) {
		if t.Min == 1 && t.Max == 1 {
			return elems, dberr.Syntax(v, "%s must have exactly one member but %d are present", class, n)
		}
		return elems, dberr.Syntax(v, "%s must have %d to %d members but %d are present", class, t.Min, t.Max, n)
	}
	return elems, nil
}

func parseSet(v json.Value, t *schema.Type, names atom.Resolver) (Datum, *dberr.Error) {
	elems, err := unwrap(v, "set", t)
	if err != nil {
		return Datum{}, err
	}
	var buf [8]atom.Atom
	atoms := buf[:0]
	if n := elems.Len(); n > len(buf) {
		atoms = make([]atom.Atom, 0, n)
	}
	sorted := true
	for e := range elems.Elems() {
		a, err := ParseAtom(e, &t.Key, names)
		if err != nil {
			return Datum{}, err
		}
		if n := len(atoms); n > 0 && sorted && atoms[n-1].Compare(a) >= 0 {
			sorted = false
		}
		atoms = append(atoms, a)
	}
	if !sorted {
		slices.SortFunc(atoms, atom.Atom.Compare)
		for i := 1; i < len(atoms); i++ {
			if atoms[i] == atoms[i-1] {
				return Datum{}, dberr.New(dberr.OVSDBError, "set contains duplicate")
			}
		}
	}
	return Datum{makeSet(atoms)}, nil
}

func parseMap(v json.Value, t *schema.Type, names atom.Resolver) (Datum, *dberr.Error) {
	elems, err := unwrap(v, "map", t)
	if err != nil {
		return Datum{}, err
	}
	n := elems.Len()
	plain := n > 0 && anyString(&t.Key)
	if plain {
		if d, ok := parseKnown(elems, t); ok {
			return d, nil
		}
	}
	var kbuf, vbuf [8]atom.Atom
	keys, vals := kbuf[:0], vbuf[:0]
	if n > len(kbuf) {
		keys, vals = make([]atom.Atom, 0, n), make([]atom.Atom, 0, n)
	}
	sorted := true
	for e := range elems.Elems() {
		if e.Kind() != json.Array || e.Len() != 2 {
			return Datum{}, dberr.Syntax(e, "expected 2-element array")
		}
		k, err := ParseAtom(e.At(0), &t.Key, names)
		if err != nil {
			return Datum{}, err
		}
		val, err := ParseAtom(e.At(1), &t.Value, names)
		if err != nil {
			return Datum{}, err
		}
		if i := len(keys); i > 0 && sorted && keys[i-1].Compare(k) >= 0 {
			sorted = false
		}
		keys, vals = append(keys, k), append(vals, val)
	}
	if !sorted {
		sort.Sort(&byKey{keys, vals})
		for i := 1; i < len(keys); i++ {
			if keys[i] == keys[i-1] {
				return Datum{}, dberr.New(dberr.OVSDBError, "map contains duplicate key")
			}
		}
	}
	d := makeMap(keys, vals)
	if plain && sorted {
		remember(d.r.(*mapping).keys)
	}
	return d, nil
}

type byKey struct{ keys, vals []atom.Atom }

func (s *byKey) Len() int           { return len(s.keys) }
func (s *byKey) Less(i, j int) bool { return s.keys[i].Compare(s.keys[j]) < 0 }
func (s *byKey) Swap(i, j int) {
	s.keys[i], s.keys[j] = s.keys[j], s.keys[i]
	s.vals[i], s.vals[j] = s.vals[j], s.vals[i]
}

// CheckAtom checks an atom against the constraints of its base type.
func CheckAtom(a atom.Atom, b *schema.BaseType) *dberr.Error {
	if b.Enum != nil {
		if _, ok := slices.BinarySearchFunc(b.Enum, a, atom.Atom.Compare); !ok {
			return notInEnum(a, b.Enum)
		}
		return nil
	}
	switch b.Type {
	case atom.Integer:
		if n := a.Int(); n < b.MinInteger || n > b.MaxInteger {
			plain := schema.NewBaseType(atom.Integer)
			return outOfRange(a, atom.Int(b.MinInteger), atom.Int(b.MaxInteger),
				b.MinInteger != plain.MinInteger, b.MaxInteger != plain.MaxInteger)
		}
	case atom.Real:
		if f := a.Float(); f < b.MinReal || f > b.MaxReal {
			plain := schema.NewBaseType(atom.Real)
			return outOfRange(a, atom.Float(b.MinReal), atom.Float(b.MaxReal),
				b.MinReal != plain.MinReal, b.MaxReal != plain.MaxReal)
		}
	case atom.String:
		s := a.Str()
		if b.MinLength == 0 && uint64(len(s)) <= uint64(b.MaxLength) {
			return nil
		}
		if n := utf8.RuneCountInString(s); uint64(n) < uint64(b.MinLength) {
			return dberr.New(dberr.ConstraintViolation, "\"%s\" length %d is less than minimum allowed length %d", s, n, b.MinLength)
		} else if uint64(n) > uint64(b.MaxLength) {
			return dberr.New(dberr.ConstraintViolation, "\"%s\" length %d is greater than maximum allowed length %d", s, n, b.MaxLength)
		}
	}
	return nil
}

func outOfRange(a, lo, hi atom.Atom, hasLo, hasHi bool) *dberr.Error {
	switch {
	case hasLo && hasHi:
		return dberr.New(dberr.ConstraintViolation, "%s is not in the valid range %s to %s (inclusive)", a, lo, hi)
	case hasLo:
		return dberr.New(dberr.ConstraintViolation, "%s is less than minimum allowed value %s", a, lo)
	}
	return dberr.New(dberr.ConstraintViolation, "%s is greater than maximum allowed value %s", a, hi)
}

func notInEnum(a atom.Atom, enum []atom.Atom) *dberr.Error {
	list := ""
	for i, e := range enum {
		if i > 0 {
			list += ", "
		}
		list += e.String()
	}
	return dberr.New(dberr.ConstraintViolation, "%s is not one of the allowed values ([%s])", a, list)
}
