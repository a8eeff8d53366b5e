package store

import (
	"iter"
	"math/bits"
)

// tree is a persistent hash trie of items (pointers). Several items may have the
// same hash; it is the caller's to tell them apart. Nodes that carry the editing
// owner's token are changed in place, others are copied.
type tree[T comparable] struct {
	root *node[T]
	n    int
}

const (
	levelBits = 5
	maxLevel  = 12 // the last level, with 4 bits; below it, lists
)

// node has up to 32 slots, each empty, an item, or a child. Nodes below the last
// level are lists: items only, in any number.
type node[T comparable] struct {
	owner *token
	items uint32 // slots with an item
	kids  uint32 // slots with a child
	item  []T
	kid   []*node[T]
}

// token marks the nodes that an Edit made and may change.
type token struct{ _ byte }

func slot(hash uint64, level int) uint32 {
	return 1 << (hash << (level * levelBits) >> (64 - levelBits))
}

// get returns the item with a hash that match accepts, or the zero T.
func (t *tree[T]) get(hash uint64, match func(T) bool) (none T) {
	n := t.root
	for level := 0; n != nil; level++ {
		if level > maxLevel {
			for _, it := range n.item {
				if match(it) {
					return it
				}
			}
			return none
		}
		bit := slot(hash, level)
		if n.items&bit != 0 {
			if it := n.item[bits.OnesCount32(n.items&(bit-1))]; match(it) {
				return it
			}
			return none
		}
		if n.kids&bit == 0 {
			return none
		}
		n = n.kid[bits.OnesCount32(n.kids&(bit-1))]
	}
	return none
}

// find yields all items with a hash that match accepts.
func (t *tree[T]) find(hash uint64, match func(T) bool) iter.Seq[T] {
	return func(yield func(T) bool) {
		n := t.root
		for level := 0; n != nil; level++ {
			if level > maxLevel {
				for _, it := range n.item {
					if match(it) && !yield(it) {
						return
					}
				}
				return
			}
			bit := slot(hash, level)
			if n.items&bit != 0 {
				if it := n.item[bits.OnesCount32(n.items&(bit-1))]; match(it) {
					yield(it)
				}
				return
			}
			if n.kids&bit == 0 {
				return
			}
			n = n.kid[bits.OnesCount32(n.kids&(bit-1))]
		}
	}
}

// all yields every item.
func (t *tree[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) { t.root.walk(yield) }
}

func (n *node[T]) walk(yield func(T) bool) bool {
	if n == nil {
		return true
	}
	for _, it := range n.item {
		if !yield(it) {
			return false
		}
	}
	for _, k := range n.kid {
		if !k.walk(yield) {
			return false
		}
	}
	return true
}

// prefix yields the items whose hashes have their first levels in common with
// hash, and possibly a few others.
func (t *tree[T]) prefix(hash uint64, levels int) iter.Seq[T] {
	return func(yield func(T) bool) {
		n := t.root
		for level := 0; n != nil && level < levels; level++ {
			bit := slot(hash, level)
			if n.items&bit != 0 {
				yield(n.item[bits.OnesCount32(n.items&(bit-1))])
				return
			}
			if n.kids&bit == 0 {
				return
			}
			n = n.kid[bits.OnesCount32(n.kids&(bit-1))]
		}
		n.walk(yield)
	}
}

// own returns n itself where the owner may change it, or a copy that it may.
func (n *node[T]) own(o *token) *node[T] {
	if n.owner == o {
		return n
	}
	c := &node[T]{owner: o, items: n.items, kids: n.kids}
	c.item = append(make([]T, 0, len(n.item)+1), n.item...)
	if len(n.kid) > 0 {
		c.kid = append(make([]*node[T], 0, len(n.kid)+1), n.kid...)
	}
	return c
}

// put adds an item with a hash, in place of the one that same accepts where
// there is one; a nil same accepts none. hashOf gives the hash of items that are already there.
func (t *tree[T]) put(o *token, hash uint64, item T, same func(T) bool, hashOf func(T) uint64) {
	if t.root == nil {
		t.root = &node[T]{owner: o}
	}
	var added bool
	t.root, added = t.root.put(o, 0, hash, item, same, hashOf)
	if added {
		t.n++
	}
}

func (n *node[T]) put(o *token, level int, hash uint64, item T, same func(T) bool, hashOf func(T) uint64) (*node[T], bool) {
	n = n.own(o)
	if level > maxLevel {
		if same != nil {
			for i, it := range n.item {
				if same(it) {
					n.item[i] = item
					return n, false
				}
			}
		}
		n.item = append(n.item, item)
		return n, true
	}
	bit := slot(hash, level)
	if n.kids&bit != 0 {
		i := bits.OnesCount32(n.kids & (bit - 1))
		k, added := n.kid[i].put(o, level+1, hash, item, same, hashOf)
		n.kid[i] = k
		return n, added
	}
	i := bits.OnesCount32(n.items & (bit - 1))
	if n.items&bit == 0 {
		n.item = insertAt(n.item, i, item)
		n.items |= bit
		return n, true
	}
	there := n.item[i]
	if same != nil && same(there) {
		n.item[i] = item
		return n, false
	}
	// Two items in one slot: both go one level down.
	k := &node[T]{owner: o}
	k, _ = k.put(o, level+1, hashOf(there), there, nil, hashOf)
	k, _ = k.put(o, level+1, hash, item, nil, hashOf)
	n.item = removeAt(n.item, i)
	n.items &^= bit
	n.kid = insertAt(n.kid, bits.OnesCount32(n.kids&(bit-1)), k)
	n.kids |= bit
	return n, true
}

// del removes the item with a hash that same accepts.
func (t *tree[T]) del(o *token, hash uint64, same func(T) bool) {
	if t.root == nil {
		return
	}
	n, found := t.root.del(o, 0, hash, same)
	if !found {
		return
	}
	t.root = n
	t.n--
	if t.n == 0 {
		t.root = nil
	}
}

func (n *node[T]) del(o *token, level int, hash uint64, same func(T) bool) (*node[T], bool) {
	if level > maxLevel {
		for i, it := range n.item {
			if same(it) {
				n = n.own(o)
				n.item = removeAt(n.item, i)
				return n, true
			}
		}
		return n, false
	}
	bit := slot(hash, level)
	if n.items&bit != 0 {
		i := bits.OnesCount32(n.items & (bit - 1))
		if !same(n.item[i]) {
			return n, false
		}
		n = n.own(o)
		n.item = removeAt(n.item, i)
		n.items &^= bit
		return n, true
	}
	if n.kids&bit == 0 {
		return n, false
	}
	i := bits.OnesCount32(n.kids & (bit - 1))
	k, found := n.kid[i].del(o, level+1, hash, same)
	if !found {
		return n, false
	}
	n = n.own(o)
	if len(k.kid) > 0 || len(k.item) > 1 {
		n.kid[i] = k
		return n, true
	}
	// A child with one item, or none, is given up.
	n.kid = removeAt(n.kid, i)
	n.kids &^= bit
	if len(k.item) == 1 {
		n.item = insertAt(n.item, bits.OnesCount32(n.items&(bit-1)), k.item[0])
		n.items |= bit
	}
	return n, true
}

func insertAt[E any](s []E, i int, e E) []E {
	var zero E
	s = append(s, zero)
	copy(s[i+1:], s[i:])
	s[i] = e
	return s
}

func removeAt[E any](s []E, i int) []E {
	copy(s[i:], s[i+1:])
	var zero E
	s[len(s)-1] = zero
	return s[:len(s)-1]
}
