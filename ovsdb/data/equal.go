package data

import (
	"encoding/binary"
	"hash/maphash"
	"slices"

	"govs/schema"
	"govs/schema/atom"
)

// Default returns a type's default value: the empty set or map where it allows
// one, otherwise one default atom or pair.
func Default(t *schema.Type) Datum {
	if t.Min == 0 {
		return Datum{}
	}
	key := oneVec(atom.Default(t.Key.Type))
	if t.Value.Type == atom.Void {
		return Datum{key}
	}
	return Datum{&mapping{key, oneVec(atom.Default(t.Value.Type))}}
}

// Equal reports whether two values of one type are the same.
func (d Datum) Equal(e Datum) bool {
	if d.r == nil || e.r == nil {
		return d.r == nil && e.r == nil
	}
	return equalVec(d.r, e.r)
}

func equalVec(a, b vec) bool {
	switch a := a.(type) {
	case manyInt:
		b, ok := b.(manyInt)
		return ok && slices.Equal(a, b)
	case manyReal:
		b, ok := b.(manyReal)
		return ok && slices.Equal(a, b)
	case manyBool:
		b, ok := b.(manyBool)
		return ok && slices.Equal(a, b)
	case manyStr:
		b, ok := b.(manyStr)
		return ok && slices.Equal(a, b)
	case manyUUID:
		b, ok := b.(manyUUID)
		return ok && (len(a) == len(b)) && (&a[0] == &b[0] || slices.Equal(a, b))
	case bigVec:
		b, ok := b.(bigVec)
		if !ok || a.size() != b.size() {
			return false
		}
		equal := true
		a.changes(b, func(atom.Atom, bool) bool {
			equal = false
			return false
		})
		return equal
	case *mapping:
		b, ok := b.(*mapping)
		return ok && (a == b || equalVec(a.keys, b.keys) && equalVec(a.vals, b.vals))
	}
	switch b.(type) {
	case manyInt, manyReal, manyBool, manyStr, manyUUID, bigVec:
		return false
	}
	return a == b
}

// Same reports whether d and e are known to be equal without looking at all
// their elements.
func (d Datum) Same(e Datum) bool {
	if d.r == nil || e.r == nil {
		return d.r == nil && e.r == nil
	}
	switch a := d.r.(type) {
	case manyUUID:
		b, ok := e.r.(manyUUID)
		return ok && len(a) == len(b) && &a[0] == &b[0]
	case manyInt, manyReal, manyBool, manyStr:
		return false
	case bigVec:
		return a.same(e.r)
	case *mapping:
		b, ok := e.r.(*mapping)
		return ok && a == b
	}
	return d.Equal(e)
}

// Compare orders values of one type: shorter ones first, then by their first
// different key, then by their first different value.
func (d Datum) Compare(e Datum) int {
	n := d.Len()
	if m := e.Len(); n != m {
		if n < m {
			return -1
		}
		return 1
	}
	for i := range n {
		if c := d.Key(i).Compare(e.Key(i)); c != 0 {
			return c
		}
	}
	for i := range n {
		if c := d.Value(i).Compare(e.Value(i)); c != 0 {
			return c
		}
	}
	return 0
}

// Hash returns a hash of the value: equal values have equal ones.
func (d Datum) Hash(seed maphash.Seed) uint64 {
	switch v := d.r.(type) {
	case nil:
		return 0
	case oneStr:
		return maphash.String(seed, string(v))
	}
	h := uint64(d.Len())
	var buf [16]byte
	add := func(a atom.Atom) {
		one := uint64(0)
		switch a.Type() {
		case atom.Void:
			return
		case atom.String:
			one = maphash.String(seed, a.Str())
		case atom.UUIDType:
			buf = a.UUID()
			one = maphash.Bytes(seed, buf[:])
		default:
			binary.LittleEndian.PutUint64(buf[:8], uint64(a.Int()))
			one = maphash.Bytes(seed, buf[:8])
		}
		h = h*0x9e3779b97f4a7c15 ^ one
	}
	d.each(func(k, v atom.Atom) bool {
		add(k)
		add(v)
		return true
	})
	return h
}
