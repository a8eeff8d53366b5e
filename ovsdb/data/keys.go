package data

import (
	"sync/atomic"

	"govs/internal/json"
	"govs/schema"
	"govs/schema/atom"
)

// Maps of one column often have the same keys: statistics, options. Their keys
// are kept once, and a map whose keys are known is read without making them
// again. known holds some such keys, each where its hash says; a newer one takes
// the place of an older.
var known [1024]atomic.Pointer[knownKeys]

// knownKeys are the keys of a map, in ascending order: oneStr or manyStr.
type knownKeys struct{ keys vec }

// anyString reports whether a type is that of strings without constraints: only
// such keys are kept.
func anyString(b *schema.BaseType) bool {
	return b.Type == atom.String && b.Enum == nil && b.MinLength == 0 && b.MaxLength == schema.Unlimited
}

// longKey is from which length on keys are not worth keeping.
const longKey = 64

// maxKnown is up to how many keys a map's are kept.
const maxKnown = 64

// keysHash is FNV-1a over the keys, with a byte between them that no key has.
type keysHash uint64

const noKeys keysHash = 14695981039346656037

func (h keysHash) byte(c byte) keysHash { return (h ^ keysHash(c)) * 1099511628211 }

func hashKey[T string | []byte](h keysHash, key T) keysHash {
	for i := range len(key) {
		h = h.byte(key[i])
	}
	return h.byte(0xff)
}

func (h keysHash) slot() *atomic.Pointer[knownKeys] { return &known[(h^h>>32)%keysHash(len(known))] }

// remember keeps the keys of a map.
func remember(keys vec) {
	h := noKeys
	switch keys := keys.(type) {
	case oneStr:
		if len(keys) > longKey {
			return
		}
		h = hashKey(h, string(keys))
	case manyStr:
		if len(keys) > maxKnown {
			return
		}
		for _, k := range keys {
			if len(k) > longKey {
				return
			}
			h = hashKey(h, k)
		}
	}
	h.slot().Store(&knownKeys{keys})
}

// parseKnown reads the elements of a map whose keys are known, and stand in
// ascending order. It reports false where that is not so, or where anything is
// wrong.
func parseKnown(elems json.Value, t *schema.Type) (Datum, bool) {
	n := elems.Len()
	if n > maxKnown {
		return Datum{}, false
	}
	h := noKeys
	for e := range elems.Elems() {
		key := e.At(0)
		if e.Len() != 2 || key.Kind() != json.String {
			return Datum{}, false
		}
		h = hashKey(h, key.Bytes())
	}
	k := h.slot().Load()
	if k == nil || k.keys.size() != n {
		return Datum{}, false
	}
	many, _ := k.keys.(manyStr)
	if many == nil {
		many = manyStr{string(k.keys.(oneStr))}
	}
	i := 0
	for e := range elems.Elems() {
		if string(e.At(0).Bytes()) != many[i] {
			return Datum{}, false
		}
		i++
	}
	vals, ok := parseValues(elems, n, t)
	if !ok {
		return Datum{}, false
	}
	return Datum{&mapping{k.keys, vals}}, true
}

// parseValues reads the second halves of pairs.
func parseValues(elems json.Value, n int, t *schema.Type) (vec, bool) {
	if n > 1 && t.Value.Type == atom.Integer {
		ints := make(manyInt, 0, n)
		for e := range elems.Elems() {
			v, ok := e.At(1).Int()
			if !ok || CheckAtom(atom.Int(v), &t.Value) != nil {
				return nil, false
			}
			ints = append(ints, v)
		}
		return ints, true
	}
	var buf [8]atom.Atom
	vals := buf[:0]
	for e := range elems.Elems() {
		a, err := ParseAtom(e.At(1), &t.Value, nil)
		if err != nil {
			return nil, false
		}
		vals = append(vals, a)
	}
	return makeVec(vals), true
}
