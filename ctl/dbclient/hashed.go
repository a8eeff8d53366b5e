package dbclient

import (
	"govs/internal/chash"
	"govs/internal/json"
	"slices"
)

// members returns an object's names in hash order.
func members(v json.Value) []string {
	h := chash.Names()
	for name := range v.Members() {
		h.Add(name.Str())
	}
	return slices.Collect(h.All())
}

// appendHashed appends v with the members of objects in hash order.
func appendHashed(b []byte, v json.Value) []byte {
	switch v.Kind() {
	case json.Object:
		b = append(b, '{')
		for i, name := range members(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(json.AppendString(b, name), ':')
			b = appendHashed(b, v.Get(name))
		}
		return append(b, '}')
	case json.Array:
		b = append(b, '[')
		i := 0
		for e := range v.Elems() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendHashed(b, e)
			i++
		}
		return append(b, ']')
	}
	return v.AppendSorted(b)
}
