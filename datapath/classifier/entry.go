// Package classifier finds the megaflow that covers a key.
//
// A Table is a tuple space: the entries of one mask stand in one hash table,
// and a lookup tries the masks in order of their hits. A Cache, which belongs
// to one goroutine, stands in front of it and remembers which entry a key
// found last. Readers take no lock and wait for nobody; writers take turns.
//
// # Caveats
//
// Where several entries cover a key, a lookup gives any of them: the owner of
// the table sees to it that they do the same.
package classifier

import (
	"sync/atomic"

	"govs/datapath/flow"
)

// An Entry is a key under a mask, and what its owner keeps with it.
type Entry[T any] struct {
	Value T

	key   flow.Key // as it came, bits that do not matter included
	shape *shape
	words []uint64 // the masked words of the key, one for each in shape
	hash  uint64
	dead  atomic.Bool
}

// A shape is a mask with the words left out that are zero.
type shape struct {
	mask  flow.Mask
	index []uint8  // of the words that are not
	words []uint64 // of the mask
}

func newShape(m *flow.Mask) *shape {
	s := &shape{mask: *m}
	for i, w := range m.Words() {
		if w != 0 {
			s.index = append(s.index, uint8(i))
			s.words = append(s.words, w)
		}
	}
	return s
}

// hash is that of the key's masked words.
func (s *shape) hash(k *flow.Key) uint64 {
	w := k.Words()
	index, mask := s.index, s.words
	mask = mask[:len(index)]
	h := uint64(len(index))
	i := 0
	for ; i+1 < len(index); i += 2 {
		a, b := index[i], index[i+1]
		if int(a) >= flow.Words || int(b) >= flow.Words {
			break
		}
		h = flow.Mix(h, w[a]&mask[i], w[b]&mask[i+1])
	}
	if i < len(index) {
		if a := index[i]; int(a) < flow.Words {
			h = flow.Mix(h, w[a]&mask[i], 0)
		}
	}
	return h
}

// New makes an entry for packets that agree with key in the bits of mask. It
// is in no table yet; its owner may still fill Value in.
func New[T any](key *flow.Key, mask *flow.Mask) *Entry[T] {
	e := &Entry[T]{key: *key, shape: newShape(mask)}
	e.words = make([]uint64, len(e.shape.index))
	for i, at := range e.shape.index {
		e.words[i] = key.Words()[at] & e.shape.words[i]
	}
	e.hash = e.shape.hash(key)
	return e
}

// Key is the key that the entry was made from, which the caller only reads.
func (e *Entry[T]) Key() *flow.Key { return &e.key }

// Mask tells which bits of the key matter; the caller only reads it.
func (e *Entry[T]) Mask() *flow.Mask { return &e.shape.mask }

// Dead says whether the entry was removed from its table.
func (e *Entry[T]) Dead() bool { return e.dead.Load() }

// Covers says whether the entry is for packets with this key.
func (e *Entry[T]) Covers(k *flow.Key) bool {
	w := k.Words()
	s := e.shape
	index := s.index
	mask := s.words[:len(index)]
	want := e.words[:len(index)]
	for i, at := range index {
		if int(at) >= flow.Words || w[at]&mask[i] != want[i] {
			return false
		}
	}
	return true
}
