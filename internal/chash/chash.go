// Package chash walks elements in the order in which a hash table of the C
// programs has them. Users of those see that order, and compare outputs.
package chash

import (
	"encoding/binary"
	"iter"
	"math/bits"
	"slices"
)

// Table is such a table: a new element stands in front of its bucket, and the
// buckets become more when there are two elements for each. Nobody adds one twice.
type Table[T comparable] struct {
	hash    func(T) uint32
	buckets [][]T // in the order of walking
	n       int
}

// New makes an empty table.
func New[T comparable](hash func(T) uint32) *Table[T] {
	return &Table[T]{hash: hash, buckets: make([][]T, 1)}
}

// Numbers makes an empty table of numbers of 64 bits, hashed as C hashes them.
func Numbers() *Table[uint64] {
	return New(func(x uint64) uint32 { return Murmur(string(binary.LittleEndian.AppendUint64(nil, x))) })
}

// Names makes an empty table of strings, hashed as C hashes them.
func Names() *Table[string] { return New(Murmur) }

// Add puts an element into the table.
func (t *Table[T]) Add(x T) {
	t.put(x)
	t.n++
	if t.n/2 < len(t.buckets) {
		return
	}
	size := Buckets(t.n)
	old := t.buckets
	t.buckets = make([][]T, size)
	for _, b := range old {
		for _, x := range b {
			t.put(x)
		}
	}
}

// Buckets is how many buckets a table has that grew to n elements.
func Buckets(n int) uint32 {
	if n < 2 {
		return 1
	}
	size := uint32(4)
	for size < uint32(n/2+1) {
		size *= 2
	}
	return size
}

func (t *Table[T]) put(x T) {
	i := t.hash(x) & uint32(len(t.buckets)-1)
	t.buckets[i] = slices.Insert(t.buckets[i], 0, x)
}

// Delete takes an element out, if it is there.
func (t *Table[T]) Delete(x T) {
	b := &t.buckets[t.hash(x)&uint32(len(t.buckets)-1)]
	if i := slices.Index(*b, x); i >= 0 {
		*b = slices.Delete(slices.Clone(*b), i, i+1)
		t.n--
	}
}

// Clone is a copy that can be changed by itself.
func (t *Table[T]) Clone() *Table[T] {
	c := &Table[T]{hash: t.hash, buckets: make([][]T, len(t.buckets)), n: t.n}
	for i, b := range t.buckets {
		c.buckets[i] = slices.Clone(b)
	}
	return c
}

// All walks the elements.
func (t *Table[T]) All() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, b := range t.buckets {
			for _, x := range b {
				if !yield(x) {
					return
				}
			}
		}
	}
}

// Murmur is MurmurHash3 for 32 bits with the seed 0, but for the last bytes of a
// string, which count as a whole word.
func Murmur(s string) uint32 {
	var h uint32
	n := len(s)
	word := func(k uint32) {
		h ^= bits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593
		h = bits.RotateLeft32(h, 13)*5 + 0xe6546b64
	}
	for ; len(s) >= 4; s = s[4:] {
		word(binary.LittleEndian.Uint32([]byte(s[:4])))
	}
	if s != "" {
		var last [4]byte
		copy(last[:], s)
		word(binary.LittleEndian.Uint32(last[:]))
	}
	h ^= uint32(n)
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return h ^ h>>16
}
