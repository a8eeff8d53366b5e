package json

import (
	"fmt"
	"unicode/utf8"
)

// SyntaxError says where a text is not JSON.
type SyntaxError struct {
	Offset int // bytes before the fault
	Msg    string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("byte %d: %s", e.Offset, e.Msg)
}

func fault(at int, format string, args ...any) error {
	return &SyntaxError{at, fmt.Sprintf(format, args...)}
}

// Parse parses text that holds one value, with blanks around it. The Doc's
// memory is used again, and src is kept.
func (d *Doc) Parse(src []byte) (Value, error) {
	d.src = src
	d.nodes = d.nodes[:0]
	if len(src) >= 1<<31 {
		return Value{}, fault(0, "text is too long")
	}
	if cap(d.nodes) == 0 {
		d.nodes = make([]node, 0, 8+len(src)/10)
		d.stack = make([]uint32, 0, 16)
	}
	p := parser{src: src, nodes: d.nodes, stack: d.stack[:0]}
	end, err := p.run()
	d.nodes, d.stack = p.nodes, p.stack
	if err != nil {
		return Value{}, err
	}
	if end = skipBlanks(src, end); end < len(src) {
		return Value{}, fault(end, "trailing garbage at end of input")
	}
	return Value{d, 0}, nil
}

func skipBlanks(src []byte, at int) int {
	for at < len(src) {
		switch src[at] {
		case ' ', '\t', '\n', '\r':
			at++
		default:
			return at
		}
	}
	return at
}

type parser struct {
	src   []byte
	nodes []node
	stack []uint32 // open arrays and objects
}

func (p *parser) add(k Kind, off, end int, flags uint8) {
	p.nodes = append(p.nodes, node{off: uint32(off), end: uint32(end), next: uint32(len(p.nodes) + 1), kind: k, flags: flags})
}

// run reads one value and returns the offset behind it.
func (p *parser) run() (int, error) { return p.runFrom(0) }

func (p *parser) runFrom(at int) (int, error) {
	src := p.src
	for {
		// A value is expected here.
		at = skipBlanks(src, at)
		if at >= len(src) {
			return at, fault(at, "unexpected end of input")
		}
		switch c := src[at]; c {
		case '{', '[':
			if len(p.stack) >= MaxDepth {
				return at, fault(at, "input exceeds maximum nesting depth %d", MaxDepth)
			}
			kind := Array
			if c == '{' {
				kind = Object
			}
			p.stack = append(p.stack, uint32(len(p.nodes)))
			p.add(kind, at, at, 0)
			at = skipBlanks(src, at+1)
			if at < len(src) && src[at] == c+2 { // '}' or ']'
				break
			}
			if kind == Object {
				var err error
				if at, err = p.name(at); err != nil {
					return at, err
				}
			}
			continue
		case '"':
			end, flags, err := scanString(src, at)
			if err != nil {
				return at, err
			}
			p.add(String, at, end, flags)
			at = end
		case 't':
			if !hasPrefix(src[at:], "true") {
				return at, badWord(src, at)
			}
			p.add(True, at, at+4, 0)
			at += 4
		case 'f':
			if !hasPrefix(src[at:], "false") {
				return at, badWord(src, at)
			}
			p.add(False, at, at+5, 0)
			at += 5
		case 'n':
			if !hasPrefix(src[at:], "null") {
				return at, badWord(src, at)
			}
			p.add(Null, at, at+4, 0)
			at += 4
		default:
			if c != '-' && (c < '0' || c > '9') {
				return at, badWord(src, at)
			}
			end, kind, err := scanNumber(src, at)
			if err != nil {
				return at, err
			}
			p.add(kind, at, end, 0)
			at = end
		}
		// A value, or an opening bracket whose closing one comes next, is behind us.
		for {
			if len(p.stack) == 0 {
				return at, nil
			}
			top := &p.nodes[p.stack[len(p.stack)-1]]
			closing := byte(']')
			if top.kind == Object {
				closing = '}'
			}
			if int(p.stack[len(p.stack)-1])+1 < len(p.nodes) {
				top.count++
			}
			at = skipBlanks(src, at)
			if at >= len(src) {
				return at, fault(at, "unexpected end of input")
			}
			if src[at] == ',' && top.count > 0 {
				at = skipBlanks(src, at+1)
				if top.kind == Object {
					var err error
					if at, err = p.name(at); err != nil {
						return at, err
					}
				}
				break
			}
			if src[at] != closing {
				if top.kind == Object {
					return at, fault(at, "syntax error expecting '}' or ','")
				}
				return at, fault(at, "syntax error expecting ']' or ','")
			}
			at++
			top.end = uint32(at)
			top.next = uint32(len(p.nodes))
			if top.kind == Object && top.count > 1 {
				p.dropDuplicates(p.stack[len(p.stack)-1])
			}
			p.stack = p.stack[:len(p.stack)-1]
		}
	}
}

// name reads a member's name and its colon.
func (p *parser) name(at int) (int, error) {
	if at >= len(p.src) {
		return at, fault(at, "unexpected end of input")
	}
	if p.src[at] != '"' {
		return at, fault(at, "syntax error parsing object expecting string")
	}
	end, flags, err := scanString(p.src, at)
	if err != nil {
		return at, err
	}
	p.add(String, at, end, flags)
	at = skipBlanks(p.src, end)
	if at >= len(p.src) || p.src[at] != ':' {
		return at, fault(at, "syntax error parsing object expecting ':'")
	}
	return at + 1, nil
}

// dropDuplicates marks the members of an object whose name comes again later.
func (p *parser) dropDuplicates(obj uint32) {
	d := Doc{src: p.src, nodes: p.nodes}
	top := &p.nodes[obj]
	if top.count <= 12 {
		for i := obj + 1; i < top.next; i = p.nodes[i+1].next {
			a := &p.nodes[i]
			for j := p.nodes[i+1].next; j < top.next; j = p.nodes[j+1].next {
				b := &p.nodes[j]
				if (a.flags|b.flags)&flagEscaped == 0 {
					// Most names differ in length or in their first byte.
					if a.end-a.off != b.end-b.off || p.src[a.off+1] != p.src[b.off+1] ||
						string(p.src[a.off:a.end]) != string(p.src[b.off:b.end]) {
						continue
					}
				} else if string(Value{&d, i}.Bytes()) != string(Value{&d, j}.Bytes()) {
					continue
				}
				a.flags |= flagDead
				top.count--
				break
			}
		}
		return
	}
	last := make(map[string]uint32, top.count)
	for i := obj + 1; i < top.next; i = p.nodes[i+1].next {
		name := string(Value{&d, i}.Bytes())
		if before, ok := last[name]; ok {
			p.nodes[before].flags |= flagDead
			top.count--
		}
		last[name] = i
	}
}

func hasPrefix(b []byte, s string) bool {
	return len(b) >= len(s) && string(b[:len(s)]) == s
}

func badWord(src []byte, at int) error {
	end := at
	for end < len(src) && end < at+20 && (src[end]|0x20 >= 'a' && src[end]|0x20 <= 'z') {
		end++
	}
	if end > at {
		return fault(at, "invalid keyword '%s'", src[at:end])
	}
	if c := src[at]; c >= 0x20 && c < 0x7f {
		return fault(at, "invalid character '%c'", c)
	}
	return fault(at, "invalid character U+%04x", src[at])
}

// plainChar tells the bytes that stand for themselves in a string.
var plainChar = func() (t [256]bool) {
	for c := 0x20; c < 0x80; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return
}()

// scanString checks the string that starts at src[at] and returns the offset
// behind its closing quote.
func scanString(src []byte, at int) (end int, flags uint8, err error) {
	i := at + 1
	high := false
	for {
		for i < len(src) && plainChar[src[i]] {
			i++
		}
		if i >= len(src) {
			return i, 0, fault(i, "unexpected end of input in quoted string")
		}
		switch c := src[i]; {
		case c == '"':
			if high && !utf8.Valid(src[at+1:i]) {
				return i, 0, fault(at, "not a valid UTF-8 string")
			}
			return i + 1, flags, nil
		case c == '\\':
			flags |= flagEscaped
			if i+1 >= len(src) {
				return i, 0, fault(i, "unexpected end of input in quoted string")
			}
			switch src[i+1] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i += 2
			case 'u':
				r, n := hexEscape(src[i:])
				switch {
				case n == 0:
					return i, 0, fault(i, "malformed \\u escape")
				case r == 0:
					return i, 0, fault(i, "null bytes not supported in quoted strings")
				case r == utf8.RuneError && n < 0:
					return i, 0, fault(i, "invalid surrogate pair in \\u escape")
				}
				i += n
			default:
				return i, 0, fault(i, "bad escape \\%c", src[i+1])
			}
		case c < 0x20:
			return i, 0, fault(i, "U+%04X must be escaped in quoted string", c)
		default:
			high = true
			i++
		}
	}
}

// hexEscape decodes the \u escape, or the pair of them, that s starts with. n is
// its length; 0 where it is malformed, negative where a surrogate lacks its
// other half.
func hexEscape(s []byte) (r rune, n int) {
	one := func(s []byte) (rune, bool) {
		if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
			return 0, false
		}
		var r rune
		for _, c := range s[2:6] {
			switch {
			case c >= '0' && c <= '9':
				c -= '0'
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				c = c | 0x20 - 'a' + 10
			default:
				return 0, false
			}
			r = r<<4 | rune(c)
		}
		return r, true
	}
	r, ok := one(s)
	if !ok {
		return 0, 0
	}
	if r >= 0xd800 && r < 0xdc00 {
		low, ok := one(s[6:])
		if !ok || low < 0xdc00 || low >= 0xe000 {
			return utf8.RuneError, -1
		}
		return 0x10000 + (r-0xd800)<<10 + (low - 0xdc00), 12
	}
	if r >= 0xdc00 && r < 0xe000 {
		return utf8.RuneError, -1
	}
	return r, 6
}

// unescape appends the value of the text between a string's quotes.
func unescape(b, text []byte) []byte {
	for i := 0; i < len(text); {
		c := text[i]
		if c != '\\' {
			b = append(b, c)
			i++
			continue
		}
		switch c = text[i+1]; c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, n := hexEscape(text[i:])
			b = utf8.AppendRune(b, r)
			i += n
			continue
		}
		b = append(b, c)
		i += 2
	}
	return b
}

// scanNumber checks the number that starts at src[at].
func scanNumber(src []byte, at int) (end int, kind Kind, err error) {
	i := at
	if src[i] == '-' {
		i++
	}
	digits := func() int {
		from := i
		for i < len(src) && src[i] >= '0' && src[i] <= '9' {
			i++
		}
		return i - from
	}
	switch {
	case i < len(src) && src[i] == '0':
		i++
		if i < len(src) && src[i] >= '0' && src[i] <= '9' {
			return i, 0, fault(at, "leading zeros not allowed")
		}
	case digits() == 0:
		return i, 0, fault(at, "'-' must be followed by digit")
	}
	long := i-at > 18
	plain := true
	if i < len(src) && src[i] == '.' {
		plain = false
		i++
		if digits() == 0 {
			return i, 0, fault(at, "decimal point must be followed by digit")
		}
	}
	if i < len(src) && (src[i] == 'e' || src[i] == 'E') {
		plain = false
		i++
		if i < len(src) && (src[i] == '+' || src[i] == '-') {
			i++
		}
		if digits() == 0 {
			return i, 0, fault(at, "exponent must contain at least one digit")
		}
	}
	if plain && !long {
		return i, Integer, nil
	}
	_, f, isInt := number(src[at:i])
	if isInt {
		return i, Integer, nil
	}
	if f > maxFloat || f < -maxFloat {
		return i, 0, fault(at, "number outside valid range")
	}
	return i, Real, nil
}
