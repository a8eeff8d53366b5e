package data

import (
	"cmp"
	"slices"
	"strings"

	"govs/schema/atom"
)

// A set of bigSet elements or more is a tree: a B+ tree of nodes that never
// change, each knowing how many elements are below it. A change copies the nodes
// on one path and shares all others, and what two versions do not share is found
// without a look at the rest.
const bigSet = 256

// nodeSize is how many elements, or children, a node has at most; one that
// has fewer than a quarter of that is put together with a neighbour.
const nodeSize = 32

// bigVec is a large set of some type.
type bigVec interface {
	vec
	find(a atom.Atom) (int, bool)
	with(a atom.Atom) bigVec       // with an element that is not there
	without(a atom.Atom) bigVec    // without one that is there
	walk(f func(a atom.Atom) bool) // in ascending order, until f is false
	changes(b bigVec, f func(a atom.Atom, added bool) bool)
	same(b vec) bool
	bytes() int
}

// big is a large set of atoms whose values are T.
type big[T comparable] struct {
	root *branch[T]
	of   *ordered[T]
}

// ordered is what a big needs to know of its elements' type.
type ordered[T comparable] struct {
	compare func(a, b T) int
	atom    func(T) atom.Atom
	value   func(atom.Atom) T
	bytes   func(T) int
}

var (
	bigInts  = &ordered[int64]{cmp.Compare[int64], atom.Int, atom.Atom.Int, func(int64) int { return 8 }}
	bigStrs  = &ordered[string]{strings.Compare, atom.Str, atom.Atom.Str, func(s string) int { return 16 + len(s) }}
	bigUUIDs = &ordered[atom.UUID]{atom.UUID.Compare, atom.ID, atom.Atom.UUID, func(atom.UUID) int { return 16 }}
)

// branch is a node of the tree. All leaves are equally deep.
type branch[T comparable] struct {
	n    int          // elements below
	elem []T          // of a leaf; otherwise the first element below each child
	kids []*branch[T] // nil in a leaf
}

// makeSet is makeVec for the elements of a set, in ascending order.
func makeSet(atoms []atom.Atom) vec {
	if len(atoms) < bigSet {
		return makeVec(atoms)
	}
	switch atoms[0].Type() {
	case atom.Integer:
		return makeBig(bigInts, atoms)
	case atom.String:
		return makeBig(bigStrs, atoms)
	case atom.UUIDType:
		return makeBig(bigUUIDs, atoms)
	}
	return makeVec(atoms)
}

func makeBig[T comparable](of *ordered[T], atoms []atom.Atom) vec {
	level := nodes(pack(atoms, of.value), leafOf[T])
	for len(level) > 1 {
		level = nodes(level, innerOf[T])
	}
	return &big[T]{level[0], of}
}

// nodes makes nodes of parts of about the same size.
func nodes[E any, T comparable](of []E, node func([]E) *branch[T]) []*branch[T] {
	const fill = nodeSize * 3 / 4
	parts := (len(of) + fill - 1) / fill
	out := make([]*branch[T], parts)
	for i := range out {
		out[i] = node(slices.Clone(of[i*len(of)/parts : (i+1)*len(of)/parts]))
	}
	return out
}

func leafOf[T comparable](elems []T) *branch[T] { return &branch[T]{n: len(elems), elem: elems} }

func innerOf[T comparable](kids []*branch[T]) *branch[T] {
	b := &branch[T]{kids: kids, elem: make([]T, len(kids))}
	for i, k := range kids {
		b.n += k.n
		b.elem[i] = k.elem[0]
	}
	return b
}

func (v *big[T]) size() int { return v.root.n }

func (v *big[T]) at(i int) atom.Atom {
	b := v.root
	for b.kids != nil {
		k := 0
		for i >= b.kids[k].n {
			i -= b.kids[k].n
			k++
		}
		b = b.kids[k]
	}
	return v.of.atom(b.elem[i])
}

// child is the child below which x belongs.
func (b *branch[T]) child(of *ordered[T], x T) int {
	i, found := slices.BinarySearchFunc(b.elem, x, of.compare)
	if !found && i > 0 {
		i--
	}
	return i
}

func (v *big[T]) find(a atom.Atom) (int, bool) {
	x := v.of.value(a)
	b, before := v.root, 0
	for b.kids != nil {
		i := b.child(v.of, x)
		for _, k := range b.kids[:i] {
			before += k.n
		}
		b = b.kids[i]
	}
	i, found := slices.BinarySearchFunc(b.elem, x, v.of.compare)
	return before + i, found
}

func (v *big[T]) with(a atom.Atom) bigVec {
	left, right := v.root.insert(v.of, v.of.value(a))
	if right != nil {
		left = innerOf([]*branch[T]{left, right})
	}
	return &big[T]{left, v.of}
}

// insert returns b with x; where it became too large, in two.
func (b *branch[T]) insert(of *ordered[T], x T) (left, right *branch[T]) {
	if b.kids == nil {
		i, _ := slices.BinarySearchFunc(b.elem, x, of.compare)
		elem := make([]T, len(b.elem)+1)
		copy(elem, b.elem[:i])
		elem[i] = x
		copy(elem[i+1:], b.elem[i:])
		if half := len(elem) / 2; len(elem) > nodeSize {
			return leafOf(slices.Clone(elem[:half])), leafOf(slices.Clone(elem[half:]))
		}
		return leafOf(elem), nil
	}
	i := b.child(of, x)
	kid, more := b.kids[i].insert(of, x)
	if more == nil {
		return b.replace(i, 1, kid), nil
	}
	c := b.replace(i, 1, kid, more)
	if half := len(c.kids) / 2; len(c.kids) > nodeSize {
		return innerOf(slices.Clone(c.kids[:half])), innerOf(slices.Clone(c.kids[half:]))
	}
	return c, nil
}

// replace returns b with other children in the place of n from the i'th on.
func (b *branch[T]) replace(i, n int, kids ...*branch[T]) *branch[T] {
	size := len(b.kids) - n + len(kids)
	c := &branch[T]{n: b.n, kids: make([]*branch[T], 0, size), elem: make([]T, 0, size)}
	for _, k := range b.kids[i : i+n] {
		c.n -= k.n
	}
	c.kids = append(append(append(c.kids, b.kids[:i]...), kids...), b.kids[i+n:]...)
	c.elem = append(c.elem, b.elem[:i]...)
	for _, k := range kids {
		c.n += k.n
		c.elem = append(c.elem, k.elem[0])
	}
	c.elem = append(c.elem, b.elem[i+n:]...)
	return c
}

func (v *big[T]) without(a atom.Atom) bigVec {
	b := v.root.remove(v.of, v.of.value(a))
	for len(b.kids) == 1 {
		b = b.kids[0]
	}
	return &big[T]{b, v.of}
}

// remove returns b without x, which is there. It may have become too small.
func (b *branch[T]) remove(of *ordered[T], x T) *branch[T] {
	if b.kids == nil {
		i, _ := slices.BinarySearchFunc(b.elem, x, of.compare)
		elem := make([]T, len(b.elem)-1)
		copy(elem, b.elem[:i])
		copy(elem[i:], b.elem[i+1:])
		return leafOf(elem)
	}
	i := b.child(of, x)
	kid := b.kids[i].remove(of, x)
	if len(kid.elem) >= nodeSize/4 || len(b.kids) == 1 {
		return b.replace(i, 1, kid)
	}
	if i == 0 {
		return b.replace(0, 2, join(kid, b.kids[1])...)
	}
	return b.replace(i-1, 2, join(b.kids[i-1], kid)...)
}

// join puts two neighbours together: in one node, or in two that are alike in size.
func join[T comparable](a, b *branch[T]) []*branch[T] {
	if a.kids == nil {
		elem := slices.Concat(a.elem, b.elem)
		if half := len(elem) / 2; len(elem) > nodeSize {
			return []*branch[T]{leafOf(slices.Clone(elem[:half])), leafOf(slices.Clone(elem[half:]))}
		}
		return []*branch[T]{leafOf(elem)}
	}
	kids := slices.Concat(a.kids, b.kids)
	if half := len(kids) / 2; len(kids) > nodeSize {
		return []*branch[T]{innerOf(slices.Clone(kids[:half])), innerOf(slices.Clone(kids[half:]))}
	}
	return []*branch[T]{innerOf(kids)}
}

func (v *big[T]) walk(f func(atom.Atom) bool) { v.root.walk(v.of, f) }

func (b *branch[T]) walk(of *ordered[T], f func(atom.Atom) bool) bool {
	if b.kids == nil {
		for _, x := range b.elem {
			if !f(of.atom(x)) {
				return false
			}
		}
		return true
	}
	for _, k := range b.kids {
		if !k.walk(of, f) {
			return false
		}
	}
	return true
}

func (v *big[T]) same(b vec) bool {
	w, ok := b.(*big[T])
	return ok && v.root == w.root
}

// bytes is about what a path of nodes takes: what a change makes anew.
func (v *big[T]) bytes() int {
	b, n := v.root, 0
	for ; b.kids != nil; b = b.kids[0] {
		n += 64 + 8*len(b.kids)
		for _, x := range b.elem {
			n += v.of.bytes(x)
		}
	}
	n += 64
	for _, x := range b.elem {
		n += v.of.bytes(x)
	}
	return n
}

// changes calls f for the elements that only one of two sets has, in ascending
// order, until it returns false. As most changes are small, it looks first for
// what nodes have in common at their beginnings and ends.
func (v *big[T]) changes(other bigVec, f func(a atom.Atom, added bool) bool) {
	changes(v.of, v.root, other.(*big[T]).root, f)
}

func changes[T comparable](of *ordered[T], a, b *branch[T], f func(atom.Atom, bool) bool) bool {
	if a == b {
		return true
	}
	if a.kids == nil && b.kids == nil {
		return changedElems(of, a.elem, b.elem, f)
	}
	if a.kids != nil && b.kids != nil {
		head, tail := common(a.kids, b.kids)
		x, y := a.kids[head:len(a.kids)-tail], b.kids[head:len(b.kids)-tail]
		switch {
		case len(x) == 1 && len(y) == 1:
			return changes(of, x[0], y[0], f)
		case len(x) > 0 && len(y) > 0:
			a, b = innerOf(x), innerOf(y)
		}
	}
	i, j := newCursor(a), newCursor(b)
	return i.changes(j, of, f)
}

// common returns how many values two slices have in common at their beginnings,
// and behind those at their ends.
func common[E comparable](a, b []E) (head, tail int) {
	n := min(len(a), len(b))
	for head < n && a[head] == b[head] {
		head++
	}
	for tail < n-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	return head, tail
}

func changedElems[T comparable](of *ordered[T], a, b []T, f func(atom.Atom, bool) bool) bool {
	head, tail := common(a, b)
	a, b = a[head:len(a)-tail], b[head:len(b)-tail]
	for len(a) > 0 || len(b) > 0 {
		c := 0
		switch {
		case len(a) == 0:
			c = 1
		case len(b) == 0:
			c = -1
		default:
			c = of.compare(a[0], b[0])
		}
		if c < 0 && !f(of.atom(a[0]), false) || c > 0 && !f(of.atom(b[0]), true) {
			return false
		}
		if c <= 0 {
			a = a[1:]
		}
		if c >= 0 {
			b = b[1:]
		}
	}
	return true
}

// changes is changes for what is behind two cursors.
func (a *cursor[T]) changes(b *cursor[T], of *ordered[T], f func(atom.Atom, bool) bool) bool {
	for !a.end() || !b.end() {
		c := 0
		switch {
		case a.end():
			c = 1
		case b.end():
			c = -1
		default:
			c = of.compare(a.first(), b.first())
		}
		switch x, y := a.whole(), b.whole(); {
		case c == 0 && x != nil && x == y:
			a.skip()
			b.skip()
		case x != nil && (c < 0 || c == 0 && (y == nil || x.n >= y.n)):
			a.enter()
		case y != nil && c >= 0:
			b.enter()
		case c < 0:
			if !f(of.atom(a.first()), false) {
				return false
			}
			a.skip()
		case c > 0:
			if !f(of.atom(b.first()), true) {
				return false
			}
			b.skip()
		default:
			a.skip()
			b.skip()
		}
	}
	return true
}

// cursor is a place in a tree: before a node that was not entered, or at an
// element of a leaf.
type cursor[T comparable] struct {
	path []step[T]
}

type step[T comparable] struct {
	in *branch[T]
	i  int // the child, or the element of a leaf
}

func newCursor[T comparable](root *branch[T]) *cursor[T] {
	top := &branch[T]{kids: []*branch[T]{root}, elem: root.elem[:1]}
	return &cursor[T]{path: append(make([]step[T], 0, 8), step[T]{top, 0})}
}

func (c *cursor[T]) end() bool { return len(c.path) == 0 }

func (c *cursor[T]) first() T {
	s := &c.path[len(c.path)-1]
	return s.in.elem[s.i]
}

// whole is the node that the cursor stands before; nil where it is at an element.
func (c *cursor[T]) whole() *branch[T] {
	if c.end() {
		return nil
	}
	if s := &c.path[len(c.path)-1]; s.in.kids != nil {
		return s.in.kids[s.i]
	}
	return nil
}

// enter goes down to the beginning of the node.
func (c *cursor[T]) enter() { c.path = append(c.path, step[T]{c.whole(), 0}) }

// skip goes on behind the node, or the element.
func (c *cursor[T]) skip() {
	for len(c.path) > 0 {
		s := &c.path[len(c.path)-1]
		if s.i++; s.i < len(s.in.elem) {
			return
		}
		c.path = c.path[:len(c.path)-1]
	}
}

// shrunk returns a set's representation for its size.
func shrunk(v bigVec) vec {
	if v.size() >= bigSet {
		return v
	}
	atoms := make([]atom.Atom, 0, v.size())
	v.walk(func(a atom.Atom) bool {
		atoms = append(atoms, a)
		return true
	})
	return makeVec(atoms)
}

// few reports whether a change by m elements is made to a large set one by one.
func few(m int, v bigVec) bool { return m <= v.size()/16 }
