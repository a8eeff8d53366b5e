package data

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"govs/schema/atom"
)

// TestLargeSets makes random changes to sets around and above the size from
// which they are trees, and compares them with plain maps.
func TestLargeSets(t *testing.T) {
	kinds := []struct {
		typ  string
		atom func(n int) atom.Atom
	}{
		{`{"key":"integer","min":0,"max":"unlimited"}`, func(n int) atom.Atom { return atom.Int(int64(n) - 1000) }},
		{`{"key":"string","min":0,"max":"unlimited"}`, func(n int) atom.Atom { return atom.Str(fmt.Sprint("element ", n)) }},
		{`{"key":"real","min":0,"max":"unlimited"}`, func(n int) atom.Atom { return atom.Float(float64(n) / 2) }},
		{`{"key":"uuid","min":0,"max":"unlimited"}`, func(n int) atom.Atom {
			var u atom.UUID
			binary.BigEndian.PutUint32(u[n%3*4:], uint32(n+1))
			return atom.ID(u)
		}},
	}
	for _, k := range kinds {
		ty := typ(t, k.typ)
		g := rand.New(rand.NewPCG(1, uint64(len(k.typ))))
		for _, top := range []int{300, 600, 3000} {
			have := map[atom.Atom]bool{}
			var d Datum
			for step := range 120 {
				n := 1 + g.IntN(6)
				if g.IntN(20) == 0 {
					n = g.IntN(top / 2)
				}
				var some []atom.Atom
				for range n {
					some = append(some, k.atom(g.IntN(top)))
				}
				few, before, was := Set(some...), d, maps.Clone(have)
				op := g.IntN(3)
				switch op {
				case 0:
					d = Union(d, few, false)
				case 1:
					d = Subtract(d, few, false, false)
				case 2:
					var err error
					if n, e := ApplyDiff(d, few, ty); e != nil {
						err = e
					} else {
						d = n
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				for a := range few.Keys() {
					if op == 0 || op == 2 && !have[a] {
						have[a] = true
					} else {
						delete(have, a)
					}
				}
				checkSet(t, d, have)
				checkChange(t, before, d, was, have)
				if back, e := ApplyDiff(before, Diff(before, d, ty), ty); e != nil || !back.Equal(d) {
					t.Fatalf("step %d: the difference does not lead from old to new: %v", step, e)
				}
				if v, ok := d.r.(bigVec); ok != (len(have) >= bigSet && k.atom(0).Type() != atom.Real) {
					t.Fatalf("%d elements: %T", len(have), v)
				}
			}
		}
	}
}

func checkSet(t *testing.T, d Datum, want map[atom.Atom]bool) {
	t.Helper()
	if d.Len() != len(want) {
		t.Fatalf("%d elements, want %d", d.Len(), len(want))
	}
	sorted := slices.SortedFunc(maps.Keys(want), atom.Atom.Compare)
	i := 0
	for a := range d.Keys() {
		if a != sorted[i] {
			t.Fatalf("element %d is %s, want %s", i, a, sorted[i])
		}
		i++
	}
	for i := 0; i < len(sorted); i += 1 + i%7 {
		if at, ok := d.Find(sorted[i]); !ok || at != i || d.Key(i) != sorted[i] {
			t.Fatalf("element %d is found at %d, %v", i, at, ok)
		}
	}
	if e := Set(sorted...); !d.Equal(e) || !e.Equal(d) || d.Compare(e) != 0 {
		t.Fatal("not equal to a set that was made anew")
	}
	switch v := d.r.(type) {
	case *big[int64]:
		checkNodes(t, v.root, true)
	case *big[string]:
		checkNodes(t, v.root, true)
	case *big[atom.UUID]:
		checkNodes(t, v.root, true)
	}
}

// checkNodes checks a tree's shape, and returns its depth.
func checkNodes[T comparable](t *testing.T, b *branch[T], root bool) int {
	t.Helper()
	if n := len(b.elem); n > nodeSize || !root && n < nodeSize/4 {
		t.Fatalf("a node of %d", n)
	}
	if b.kids == nil {
		if b.n != len(b.elem) {
			t.Fatalf("a leaf of %d says %d", len(b.elem), b.n)
		}
		return 1
	}
	n, depth := 0, 0
	for i, k := range b.kids {
		d := checkNodes(t, k, false)
		if i > 0 && d != depth || b.elem[i] != k.elem[0] {
			t.Fatal("children are not alike")
		}
		depth = d
		n += k.n
	}
	if n != b.n || len(b.kids) != len(b.elem) {
		t.Fatalf("%d below, not %d", n, b.n)
	}
	return depth + 1
}

func checkChange(t *testing.T, a, b Datum, was, is map[atom.Atom]bool) {
	t.Helper()
	got := map[atom.Atom]int{}
	var last atom.Atom
	EachDiff(a, b, func(key, _, _ atom.Atom, in, added bool) {
		if in == added {
			t.Fatal("in both sets, or in none")
		}
		got[key] = -1
		if added {
			got[key] = 1
		}
		if len(got) > 1 && last.Compare(key) >= 0 {
			t.Fatal("not in order")
		}
		last = key
	})
	want := map[atom.Atom]int{}
	for a := range was {
		if !is[a] {
			want[a] = -1
		}
	}
	added := 0
	for a := range is {
		if !was[a] {
			want[a] = 1
			added++
		}
	}
	if !maps.Equal(got, want) {
		t.Fatalf("%d differences, want %d", len(got), len(want))
	}
	if a.Equal(b) != (len(want) == 0) {
		t.Fatal("Equal does not agree with the difference")
	}
	if n := Added(a, b).Len(); n != added {
		t.Fatalf("%d elements were added, want %d", n, added)
	}
}

// BenchmarkLargeSet adds an element to a set and compares old and new: what a
// commit does with the bridges of a switch.
func BenchmarkLargeSet(b *testing.B) {
	for _, n := range []int{100, 1000, 10000, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			atoms := make([]atom.Atom, n)
			for i := range atoms {
				atoms[i] = atom.ID(atom.New())
			}
			d := Set(atoms...)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				one := One(atom.ID(atom.New()))
				e := Union(d, one, false)
				EachDiff(d, e, func(_, _, _ atom.Atom, _, _ bool) {})
				if e.Equal(d) {
					b.Fatal("equal")
				}
				d = Subtract(e, One(atoms[i%n]), false, false)
				d = Union(d, One(atoms[i%n]), false)
				d = Subtract(d, one, false, false)
				i++
			}
		})
	}
}
