// Package data holds the values of columns: immutable sets and maps of atoms,
// with their wire forms, differences and constraints (RFC 7047, section 5.1;
// ovsdb-server(7), 4.1.14).
//
// A Datum does not know its type's constraints: functions that need them take a
// *schema.Type.
//
// # Caveats
//
// Small values are sorted slices, large sets are trees (see tree.go): there, Key(i)
// and Find take a walk down the tree. Large maps are slices, so that a change of
// one pair costs a copy. The representation is hidden, so that it can change.
package data

import (
	"iter"
	"sort"

	"govs/schema/atom"
)

// Datum is an immutable value: a set of atoms of one type in ascending order, of
// which a scalar is the case of one element, or a map, its pairs in the order of
// the keys. The zero Datum is the empty set and the empty map.
type Datum struct {
	r vec
}

// vec is a sequence of atoms of one type. Its dynamic type is one of one* (one
// atom, in the interface itself where it is small), many*, *big or *mapping.
type vec interface {
	size() int
	at(i int) atom.Atom
}

type (
	oneInt  int64
	oneReal float64
	oneBool bool
	oneStr  string
	oneUUID atom.UUID

	manyInt  []int64
	manyReal []float64
	manyBool []bool
	manyStr  []string
	manyUUID []atom.UUID

	// mapping holds pairs: keys ascending, values in the order of their keys.
	mapping struct{ keys, vals vec }
)

func (v oneInt) size() int            { return 1 }
func (v oneReal) size() int           { return 1 }
func (v oneBool) size() int           { return 1 }
func (v oneStr) size() int            { return 1 }
func (v oneUUID) size() int           { return 1 }
func (v manyInt) size() int           { return len(v) }
func (v manyReal) size() int          { return len(v) }
func (v manyBool) size() int          { return len(v) }
func (v manyStr) size() int           { return len(v) }
func (v manyUUID) size() int          { return len(v) }
func (v *mapping) size() int          { return v.keys.size() }
func (v oneInt) at(int) atom.Atom     { return atom.Int(int64(v)) }
func (v oneReal) at(int) atom.Atom    { return atom.Float(float64(v)) }
func (v oneBool) at(int) atom.Atom    { return atom.Bool(bool(v)) }
func (v oneStr) at(int) atom.Atom     { return atom.Str(string(v)) }
func (v oneUUID) at(int) atom.Atom    { return atom.ID(atom.UUID(v)) }
func (v manyInt) at(i int) atom.Atom  { return atom.Int(v[i]) }
func (v manyReal) at(i int) atom.Atom { return atom.Float(v[i]) }
func (v manyBool) at(i int) atom.Atom { return atom.Bool(v[i]) }
func (v manyStr) at(i int) atom.Atom  { return atom.Str(v[i]) }
func (v manyUUID) at(i int) atom.Atom { return atom.ID(v[i]) }
func (v *mapping) at(i int) atom.Atom { return v.keys.at(i) }

func oneVec(a atom.Atom) vec {
	switch a.Type() {
	case atom.Integer:
		return oneInt(a.Int())
	case atom.Real:
		return oneReal(a.Float())
	case atom.Boolean:
		return oneBool(a.Bool())
	case atom.String:
		return oneStr(a.Str())
	}
	return oneUUID(a.UUID())
}

// makeVec packs atoms of one type; nil where there are none.
func makeVec(atoms []atom.Atom) vec {
	switch len(atoms) {
	case 0:
		return nil
	case 1:
		return oneVec(atoms[0])
	}
	switch atoms[0].Type() {
	case atom.Integer:
		return manyInt(pack(atoms, atom.Atom.Int))
	case atom.Real:
		return manyReal(pack(atoms, atom.Atom.Float))
	case atom.Boolean:
		return manyBool(pack(atoms, atom.Atom.Bool))
	case atom.String:
		return manyStr(pack(atoms, atom.Atom.Str))
	}
	return manyUUID(pack(atoms, atom.Atom.UUID))
}

func pack[T any](atoms []atom.Atom, get func(atom.Atom) T) []T {
	s := make([]T, len(atoms))
	for i, a := range atoms {
		s[i] = get(a)
	}
	return s
}

// One returns the set of one atom, which is also the scalar.
func One(a atom.Atom) Datum { return Datum{oneVec(a)} }

// Set returns the set of the atoms, which must be of one type. They need not be
// sorted, and those that come twice count once.
func Set(atoms ...atom.Atom) Datum {
	sorted := true
	for i := 1; i < len(atoms); i++ {
		if atoms[i-1].Compare(atoms[i]) >= 0 {
			sorted = false
			break
		}
	}
	if !sorted {
		s := append([]atom.Atom(nil), atoms...)
		sort.Slice(s, func(i, j int) bool { return s[i].Compare(s[j]) < 0 })
		n := 1
		for _, a := range s[1:] {
			if a != s[n-1] {
				s[n] = a
				n++
			}
		}
		atoms = s[:n]
	}
	return Datum{makeSet(atoms)}
}

// Pair is an element of a map.
type Pair struct{ Key, Value atom.Atom }

// Map returns the map of the pairs, whose keys must be of one type, and whose
// values, too. They need not be sorted; of pairs with the same key the last one
// counts.
func Map(pairs ...Pair) Datum {
	p := append([]Pair(nil), pairs...)
	sort.SliceStable(p, func(i, j int) bool { return p[i].Key.Compare(p[j].Key) < 0 })
	keys := make([]atom.Atom, 0, len(p))
	vals := make([]atom.Atom, 0, len(p))
	for i, e := range p {
		if i+1 < len(p) && p[i+1].Key == e.Key {
			continue
		}
		keys = append(keys, e.Key)
		vals = append(vals, e.Value)
	}
	return makeMap(keys, vals)
}

// makeMap builds a map from keys in ascending order.
func makeMap(keys, vals []atom.Atom) Datum {
	if len(keys) == 0 {
		return Datum{}
	}
	return Datum{&mapping{makeVec(keys), makeVec(vals)}}
}

// Len returns the number of elements or pairs.
func (d Datum) Len() int {
	if d.r == nil {
		return 0
	}
	return d.r.size()
}

// Memory estimates the bytes that d takes beyond the Datum itself; of a large set,
// those that it does not share with the version of it before a small change.
func (d Datum) Memory() int { return memory(d.r) }

func memory(v vec) int {
	switch v := v.(type) {
	case oneStr:
		return 16 + len(v)
	case oneUUID:
		return 16
	case manyStr:
		n := 16 * len(v)
		for _, s := range v {
			n += len(s)
		}
		return n
	case manyUUID:
		return 16 * len(v)
	case *mapping:
		return 32 + memory(v.keys) + memory(v.vals)
	case bigVec:
		return v.bytes()
	case nil:
		return 0
	}
	return 8 * v.size()
}

// Key returns the i'th element or key, in ascending order.
func (d Datum) Key(i int) atom.Atom { return d.r.at(i) }

// Value returns the i'th value of a map, and the zero Atom where d is no map.
func (d Datum) Value(i int) atom.Atom {
	if m, ok := d.r.(*mapping); ok {
		return m.vals.at(i)
	}
	return atom.Atom{}
}

// IsMap reports whether d is a map with elements.
func (d Datum) IsMap() bool {
	_, ok := d.r.(*mapping)
	return ok
}

// each calls f with keys and values, in ascending order, until it returns false.
func (d Datum) each(f func(key, value atom.Atom) bool) {
	if v, ok := d.r.(bigVec); ok {
		v.walk(func(a atom.Atom) bool { return f(a, atom.Atom{}) })
		return
	}
	for i, n := 0, d.Len(); i < n; i++ {
		if !f(d.r.at(i), d.Value(i)) {
			return
		}
	}
}

// Keys yields the elements or keys in ascending order.
func (d Datum) Keys() iter.Seq[atom.Atom] {
	return func(yield func(atom.Atom) bool) {
		d.each(func(key, _ atom.Atom) bool { return yield(key) })
	}
}

// Pairs yields keys and values; values are the zero Atom where d is no map.
func (d Datum) Pairs() iter.Seq2[atom.Atom, atom.Atom] {
	return func(yield func(atom.Atom, atom.Atom) bool) { d.each(yield) }
}

// Find returns the position of an element or key, and whether it is there;
// where it is not, the position at which it would be.
func (d Datum) Find(a atom.Atom) (int, bool) {
	n := d.Len()
	if n == 0 {
		return 0, false
	}
	if v, ok := d.r.(bigVec); ok {
		return v.find(a)
	}
	i := sort.Search(n, func(i int) bool { return d.r.at(i).Compare(a) >= 0 })
	return i, i < n && d.r.at(i) == a
}

// Get returns the value of a map's key, and whether it is there.
func (d Datum) Get(key atom.Atom) (atom.Atom, bool) {
	i, ok := d.Find(key)
	if !ok {
		return atom.Atom{}, false
	}
	return d.Value(i), true
}
