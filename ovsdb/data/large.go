package data

import "govs/schema/atom"

// ends returns how many elements two values have in common at their starts, and
// behind those at their ends.
func ends(a, b Datum) (head, tail int) {
	n := min(a.Len(), b.Len())
	same := func(i, j int) bool { return a.Key(i) == b.Key(j) && a.Value(i) == b.Value(j) }
	for head < n && same(head, head) {
		head++
	}
	for tail < n-head && same(a.Len()-1-tail, b.Len()-1-tail) {
		tail++
	}
	return head, tail
}

// EachDiff calls f for each key that only one of two values has, or that both
// have with different values, in ascending order: with the value that it has in
// a where in tells so, and with that in b where added does. Values of sets are
// the zero Atom.
func EachDiff(a, b Datum, f func(key, was, is atom.Atom, in, added bool)) {
	if a.Same(b) {
		return
	}
	if x, ok := a.r.(bigVec); ok {
		if y, ok := b.r.(bigVec); ok {
			x.changes(y, func(key atom.Atom, added bool) bool {
				f(key, atom.Atom{}, atom.Atom{}, !added, added)
				return true
			})
			return
		}
	}
	head, tail := ends(a, b)
	i, j, n, m := head, head, a.Len()-tail, b.Len()-tail
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
			f(a.Key(i), a.Value(i), atom.Atom{}, true, false)
			i++
		case c > 0:
			f(b.Key(j), atom.Atom{}, b.Value(j), false, true)
			j++
		default:
			if x, y := a.Value(i), b.Value(j); x != y {
				f(a.Key(i), x, y, true, true)
			}
			i++
			j++
		}
	}
}

// include adds the elements of few that are not in many.
func include(many bigVec, few Datum) Datum {
	v := many
	for i := range few.Len() {
		a := few.Key(i)
		if _, found := v.find(a); !found {
			v = v.with(a)
		}
	}
	return Datum{v}
}

// exclude takes the elements of few out of many.
func exclude(many bigVec, few Datum) Datum {
	v := many
	for i := range few.Len() {
		a := few.Key(i)
		if _, found := v.find(a); found {
			v = v.without(a)
		}
	}
	return Datum{shrunk(v)}
}

// toggle adds the elements of few that are not in many, and takes out the others.
func toggle(many bigVec, few Datum) Datum {
	v := many
	for i := range few.Len() {
		a := few.Key(i)
		if _, found := v.find(a); found {
			v = v.without(a)
		} else {
			v = v.with(a)
		}
	}
	return Datum{shrunk(v)}
}
