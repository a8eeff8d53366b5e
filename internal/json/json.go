// Package json is the JSON reader and writer of the database: one pass over
// the bytes makes a flat list of nodes, and typed code walks it without
// further copies.
//
// A Doc holds the nodes of one message and can be used again; a Value is a
// handle on one node. Strings and numbers are decoded when they are asked for.
//
// The dialect is that of Open vSwitch: text in valid UTF-8 without NUL,
// surrogate pairs in \u escapes combined, numbers whose value is a whole number
// of 64 bits are integers however they are spelled (1.0, 10e2), names that come
// twice in an object count once, with the last value (ovsdb-server(7), 3.1).
//
// # Caveats
//
// A Value points into the bytes that were parsed: they must not change while it
// is in use, and Doc.Parse ends the life of the Doc's earlier Values.
package json

import (
	"bytes"
	"iter"
	"strconv"
)

// MaxDepth is the deepest nesting of arrays and objects that is accepted.
const MaxDepth = 1000

// Kind says what a Value is.
type Kind uint8

// The kinds of values. Invalid is the zero Value's.
const (
	Invalid Kind = iota
	Null
	False
	True
	Integer
	Real
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"invalid", "null", "false", "true", "integer", "real", "string", "array", "object"}[k]
}

const (
	flagEscaped = 1 << iota // a string with backslashes
	flagDead                // an object's member that a later one replaces
)

// node is one value, or the name of an object's member, which stands before its
// value. Nodes are in the order of the text.
type node struct {
	off, end uint32 // the text, src[off:end]
	next     uint32 // index of the node after this value's last descendant
	count    uint32 // elements or live members
	kind     Kind
	flags    uint8
}

// Doc holds the nodes of one parsed text.
type Doc struct {
	src   []byte
	nodes []node
	stack []uint32 // of the parser
}

// Value is one value of a Doc. The zero Value is of kind Invalid.
type Value struct {
	d *Doc
	i uint32
}

// Parse parses text that holds one value.
func Parse(src []byte) (Value, error) {
	return new(Doc).Parse(src)
}

func (v Value) node() *node { return &v.d.nodes[v.i] }

// Kind returns the kind of v.
func (v Value) Kind() Kind {
	if v.d == nil {
		return Invalid
	}
	return v.node().kind
}

// Raw returns the text of v as it was parsed.
func (v Value) Raw() []byte {
	if v.d == nil {
		return nil
	}
	n := v.node()
	return v.d.src[n.off:n.end]
}

// Bool returns the value of a boolean, and whether v is one.
func (v Value) Bool() (value, ok bool) {
	k := v.Kind()
	return k == True, k == True || k == False
}

// Int returns the value of an integer, and whether v is one.
func (v Value) Int() (int64, bool) {
	if v.Kind() != Integer {
		return 0, false
	}
	n, _, isInt := number(v.Raw())
	return n, isInt
}

// Float returns the value of an integer or a real number, and whether v is one.
func (v Value) Float() (float64, bool) {
	if k := v.Kind(); k != Integer && k != Real {
		return 0, false
	}
	n, f, isInt := number(v.Raw())
	if isInt {
		return float64(n), true
	}
	return f, true
}

// Str returns the value of a string, in memory of its own, and "" where v is
// none.
func (v Value) Str() string {
	if v.Kind() != String {
		return ""
	}
	n := v.node()
	text := v.d.src[n.off+1 : n.end-1]
	if n.flags&flagEscaped == 0 {
		return string(text)
	}
	return string(unescape(nil, text))
}

// Bytes returns the value of a string; where nothing is escaped it is part of
// the text that was parsed, and must not be changed.
func (v Value) Bytes() []byte {
	if v.Kind() != String {
		return nil
	}
	n := v.node()
	text := v.d.src[n.off+1 : n.end-1]
	if n.flags&flagEscaped == 0 {
		return text
	}
	return unescape(nil, text)
}

// Is reports whether v is the string s.
func (v Value) Is(s string) bool {
	return v.Kind() == String && string(v.Bytes()) == s
}

// Len returns the number of elements of an array or of members of an object.
func (v Value) Len() int {
	if k := v.Kind(); k != Array && k != Object {
		return 0
	}
	return int(v.node().count)
}

// Elems yields the elements of an array.
func (v Value) Elems() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		end := v.node().next
		for i := v.i + 1; i < end; i = v.d.nodes[i].next {
			if !yield(Value{v.d, i}) {
				return
			}
		}
	}
}

// At returns the i'th element of an array, from 0; the zero Value where there is
// none. It walks the array from its start.
func (v Value) At(i int) Value {
	if v.Kind() != Array || i < 0 || i >= int(v.node().count) {
		return Value{}
	}
	at := v.i + 1
	for ; i > 0; i-- {
		at = v.d.nodes[at].next
	}
	return Value{v.d, at}
}

// Members yields the members of an object, name and value, in the order of the
// text. The name is a Value of kind String.
func (v Value) Members() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		if v.Kind() != Object {
			return
		}
		end := v.node().next
		for i := v.i + 1; i < end; {
			val := i + 1
			next := v.d.nodes[val].next
			if v.d.nodes[i].flags&flagDead == 0 && !yield(Value{v.d, i}, Value{v.d, val}) {
				return
			}
			i = next
		}
	}
}

// Get returns the value of an object's member; the zero Value where there is
// none.
func (v Value) Get(name string) Value {
	for k, val := range v.Members() {
		if k.Is(name) {
			return val
		}
	}
	return Value{}
}

// Equal reports whether two values are the same JSON: members of objects in any
// order, numbers by value.
func (v Value) Equal(w Value) bool {
	k := v.Kind()
	if k != w.Kind() {
		return false
	}
	switch k {
	case Integer:
		a, _ := v.Int()
		b, _ := w.Int()
		return a == b
	case Real:
		a, _ := v.Float()
		b, _ := w.Float()
		return a == b
	case String:
		return bytes.Equal(v.Bytes(), w.Bytes())
	case Array:
		if v.Len() != w.Len() {
			return false
		}
		j := w.i + 1
		for e := range v.Elems() {
			f := Value{w.d, j}
			if !e.Equal(f) {
				return false
			}
			j = f.node().next
		}
	case Object:
		if v.Len() != w.Len() {
			return false
		}
		for name, e := range v.Members() {
			f := w.Get(name.Str())
			if f.d == nil || !e.Equal(f) {
				return false
			}
		}
	}
	return true
}

// number decodes the text of a number. Where the value is a whole number that
// fits 64 bits, isInt is true and i is it; f is the value otherwise.
func number(text []byte) (i int64, f float64, isInt bool) {
	plain := true
	for _, c := range text {
		if c == '.' || c == 'e' || c == 'E' {
			plain = false
			break
		}
	}
	if plain {
		if len(text) < 19 {
			neg := text[0] == '-'
			var n int64
			for _, c := range text {
				if c != '-' {
					n = n*10 + int64(c-'0')
				}
			}
			if neg {
				n = -n
			}
			return n, 0, true
		}
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return n, 0, true
		}
	} else if n, ok := wholeNumber(text); ok {
		return n, 0, true
	}
	f, _ = strconv.ParseFloat(string(text), 64)
	return 0, f, false
}

// wholeNumber decodes a number with a fraction or an exponent whose value is a
// whole number of 64 bits.
func wholeNumber(text []byte) (int64, bool) {
	neg := false
	if text[0] == '-' {
		neg = true
		text = text[1:]
	}
	var digits []byte
	exp, i := 0, 0
	for ; i < len(text) && text[i] != 'e' && text[i] != 'E'; i++ {
		if text[i] == '.' {
			exp = -(len(text) - i - 1)
			for j := i + 1; j < len(text); j++ {
				if text[j] == 'e' || text[j] == 'E' {
					exp = -(j - i - 1)
					break
				}
			}
			continue
		}
		digits = append(digits, text[i])
	}
	if i < len(text) {
		e, err := strconv.Atoi(string(text[i+1:]))
		if err != nil {
			return 0, len(bytes.Trim(digits, "0")) == 0
		}
		exp += e
	}
	digits = bytes.TrimLeft(digits, "0")
	if len(digits) == 0 {
		return 0, true
	}
	for exp < 0 && len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exp++
	}
	if exp < 0 || exp > 19 || len(digits)+exp > 19 {
		return 0, false
	}
	for ; exp > 0; exp-- {
		digits = append(digits, '0')
	}
	if neg {
		digits = append([]byte{'-'}, digits...)
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, err == nil
}
