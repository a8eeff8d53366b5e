package data

import "govs/schema"

// Text returns the value as the C programs print it for people: a bare atom where
// it is a scalar or a set of at most one, brackets around other sets, braces
// around maps.
func (d Datum) Text(t *schema.Type) string {
	n := d.Len()
	if t.Map() {
		b := []byte{'{'}
		for i := range n {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(b, d.Key(i).String()...)
			b = append(b, '=')
			b = append(b, d.Value(i).String()...)
		}
		return string(append(b, '}'))
	}
	if n == 1 && t.Max == 1 {
		return d.Key(0).String()
	}
	b := []byte{'['}
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, d.Key(i).String()...)
	}
	return string(append(b, ']'))
}
