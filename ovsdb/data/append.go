package data

import (
	"strconv"

	"govs/internal/json"
	"govs/schema"
	"govs/schema/atom"
)

// AppendJSON appends the wire form of a value of type t: the bare atom where it
// is a set of one.
func (d Datum) AppendJSON(b []byte, t *schema.Type) []byte {
	if t.Map() {
		b = append(b, `["map",[`...)
		if m, ok := d.r.(*mapping); ok {
			for i := range m.keys.size() {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(b, '[')
				b = appendElem(b, m.keys, i)
				b = append(b, ',')
				b = appendElem(b, m.vals, i)
				b = append(b, ']')
			}
		}
		return append(b, "]]"...)
	}
	if d.r == nil {
		return append(b, `["set",[]]`...)
	}
	if d.r.size() == 1 {
		return appendElem(b, d.r, 0)
	}
	return d.appendSet(b)
}

// appendSet is apart because its b lives on the heap.
func (d Datum) appendSet(b []byte) []byte {
	b = append(b, `["set",[`...)
	d.each(func(key, _ atom.Atom) bool {
		b = append(key.AppendJSON(b), ',')
		return true
	})
	return append(b[:len(b)-1], "]]"...)
}

// appendElem appends one element, without making an atom of it where that is
// easy.
func appendElem(b []byte, v vec, i int) []byte {
	switch v := v.(type) {
	case oneStr:
		return json.AppendString(b, string(v))
	case manyStr:
		return json.AppendString(b, v[i])
	case oneInt:
		return strconv.AppendInt(b, int64(v), 10)
	case manyInt:
		return strconv.AppendInt(b, v[i], 10)
	case oneUUID:
		return atom.UUID(v).AppendJSON(b)
	case manyUUID:
		return v[i].AppendJSON(b)
	}
	return v.at(i).AppendJSON(b)
}

// ShareKeys returns d with the memory of the keys of another map where both have
// the same keys.
func (d Datum) ShareKeys(with Datum) Datum {
	a, ok := d.r.(*mapping)
	b, ok2 := with.r.(*mapping)
	if !ok || !ok2 || !equalVec(a.keys, b.keys) {
		return d
	}
	return Datum{&mapping{b.keys, a.vals}}
}
