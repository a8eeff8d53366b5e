package data

import (
	"govs/internal/dberr"
	"govs/schema"
	"govs/schema/atom"
)

// merge walks two values in the order of their keys. It calls f with the
// positions of each key, -1 where a value does not have it.
func merge(a, b Datum, f func(i, j int)) {
	i, j, n, m := 0, 0, a.Len(), b.Len()
	for i < n || j < m {
		c := 0
		switch {
		case i == n:
			c = 1
		case j == m:
			c = -1
		default:
			c = a.Key(i).Compare(b.Key(j))
		}
		switch {
		case c < 0:
			f(i, -1)
			i++
		case c > 0:
			f(-1, j)
			j++
		default:
			f(i, j)
			i++
			j++
		}
	}
}

// builder collects elements in ascending order.
type builder struct {
	keys, vals []atom.Atom
	isMap      bool
}

func (b *builder) add(d Datum, i int) { b.put(d.Key(i), d.Value(i)) }

func (b *builder) put(key, value atom.Atom) {
	b.keys = append(b.keys, key)
	if b.isMap {
		b.vals = append(b.vals, value)
	}
}

func (b *builder) datum() Datum {
	if b.isMap {
		return makeMap(b.keys, b.vals)
	}
	return Datum{makeSet(b.keys)}
}

// Diff returns the difference between two values of type t as an update2
// notification carries it (ovsdb-server(7), 4.1.14): the new value where a value
// has at most one element; otherwise the elements that only one of the two sets
// has, or the pairs whose keys only one of the two maps has, together with the
// new pairs of keys whose values differ. Whether the values differ at all is for
// the caller to know.
func Diff(old, new Datum, t *schema.Type) Datum {
	if !t.Composite() {
		return new
	}
	b := builder{isMap: t.Map()}
	EachDiff(old, new, func(key, was, is atom.Atom, _, added bool) {
		if added {
			b.put(key, is)
		} else {
			b.put(key, was)
		}
	})
	return b.datum()
}

// ApplyDiff returns the value that a Diff makes of old. It fails where the
// result has too few or too many elements for t.
func ApplyDiff(old, diff Datum, t *schema.Type) (Datum, *dberr.Error) {
	if !t.Composite() {
		return diff, nil
	}
	if many, ok := old.r.(bigVec); ok && few(diff.Len(), many) {
		d := toggle(many, diff)
		return d, CheckLen(d, t)
	}
	b := builder{isMap: t.Map()}
	merge(old, diff, func(i, j int) {
		switch {
		case j < 0:
			b.add(old, i)
		case i < 0:
			b.add(diff, j)
		case b.isMap && old.Value(i) != diff.Value(j):
			b.add(diff, j)
		}
	})
	d := b.datum()
	return d, CheckLen(d, t)
}

// CheckLen checks the number of elements.
func CheckLen(d Datum, t *schema.Type) *dberr.Error {
	if n := d.Len(); n < int(t.Min) || n > int(t.Max) {
		return dberr.New(dberr.ConstraintViolation, "Attempted to store %d elements in %s.", n, t)
	}
	return nil
}

// Check checks the number of elements and each element's constraints.
func Check(d Datum, t *schema.Type) *dberr.Error {
	for k, v := range d.Pairs() {
		if err := CheckAtom(k, &t.Key); err != nil {
			return err
		}
		if t.Map() {
			if err := CheckAtom(v, &t.Value); err != nil {
				return err
			}
		}
	}
	return CheckLen(d, t)
}

// Union returns a with the elements of b that it lacks; of pairs with the same
// key a's stays.
func Union(a, b Datum, isMap bool) Datum {
	if b.Len() == 0 {
		return a
	}
	if a.Len() == 0 {
		return b
	}
	if many, ok := a.r.(bigVec); ok && few(b.Len(), many) {
		return include(many, b)
	}
	out := builder{isMap: isMap}
	grown := false
	merge(a, b, func(i, j int) {
		if i >= 0 {
			out.add(a, i)
		} else {
			out.add(b, j)
			grown = true
		}
	})
	if !grown {
		return a
	}
	return out.datum()
}

// Subtract returns a without the elements that b has. Where b is a map, pairs go
// that are equal in key and value; where a is a map and b a set, pairs go by
// their keys.
func Subtract(a, b Datum, isMap, bIsMap bool) Datum {
	if a.Len() == 0 || b.Len() == 0 {
		return a
	}
	if many, ok := a.r.(bigVec); ok && few(b.Len(), many) {
		return exclude(many, b)
	}
	out := builder{isMap: isMap}
	shrunk := false
	merge(a, b, func(i, j int) {
		switch {
		case i < 0:
		case j >= 0 && (!bIsMap || a.Value(i) == b.Value(j)):
			shrunk = true
		default:
			out.add(a, i)
		}
	})
	if !shrunk {
		return a
	}
	return out.datum()
}

// Includes reports whether a has every element of b; in maps key and value must
// be equal.
func Includes(a, b Datum) bool {
	if b.Len() > a.Len() {
		return false
	}
	for k, v := range b.Pairs() {
		i, ok := a.Find(k)
		if !ok || a.Value(i) != v {
			return false
		}
	}
	return true
}

// Excludes reports whether a has no element of b; in maps an element is a pair of
// key and value.
func Excludes(a, b Datum) bool {
	for k, v := range b.Pairs() {
		if i, ok := a.Find(k); ok && a.Value(i) == v {
			return false
		}
	}
	return true
}

// Filter returns d without the elements that keep rejects.
func Filter(d Datum, keep func(key, value atom.Atom) bool) Datum {
	out := builder{isMap: d.IsMap()}
	d.each(func(key, value atom.Atom) bool {
		if keep(key, value) {
			out.put(key, value)
		}
		return true
	})
	if len(out.keys) == d.Len() {
		return d
	}
	return out.datum()
}

// Added returns the elements of new that old lacks; of maps, the pairs whose key
// old lacks or has with another value.
func Added(old, new Datum) Datum {
	if old.Len() == 0 {
		return new
	}
	b := builder{isMap: new.IsMap()}
	EachDiff(old, new, func(key, _, is atom.Atom, _, added bool) {
		if added {
			b.put(key, is)
		}
	})
	return b.datum()
}
