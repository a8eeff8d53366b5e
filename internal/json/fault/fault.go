// Package fault says what is wrong with JSON in the words of the C programs.
package fault

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"govs/internal/json"
)

// Of says what is wrong with JSON of the command line or of a file, in the words
// and with the positions of the C programs, or "" where nothing is. err is the
// error of our own parser. At the top, only objects and arrays will do.
func Of(text string, err error) string {
	start := strings.TrimLeft(text, " \t\r\n")
	if err == nil && start != "" && (start[0] == '[' || start[0] == '{') {
		return ""
	}
	f := faults{text: text}
	at, what := f.find()
	if what == "" {
		var se *json.SyntaxError
		if !errors.As(err, &se) {
			return "not JSON"
		}
		at, what = se.Offset, se.Msg
	}
	before := text[:min(at, len(text))]
	line := strings.Count(before, "\n")
	column := at - (strings.LastIndexByte(before, '\n') + 1)
	return fmt.Sprintf("line %d, column %d, byte %d: %s", line, column, at, what)
}

// faults is a reader of JSON that makes nothing but errors. A token is looked at
// when its end is known: a word or number with the byte behind it.
type faults struct {
	text  string
	state expect
	stack []byte
}

type expect int

const (
	start expect = iota
	firstName
	nextName
	colon
	member // what follows a member's value
	firstValue
	value
	element // what follows an element
	end
)

// find returns the first fault and the number of bytes before it.
func (f *faults) find() (int, string) {
	i := 0
	for i < len(f.text) {
		c := f.text[i]
		switch {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			i++
		case strings.IndexByte("[]{}:,", c) >= 0:
			if what := f.token(c); what != "" {
				return i, what
			}
			i++
		case c == '"':
			n, what := quoted(f.text[i+1:])
			i += 1 + n
			if what == "" {
				what = f.token('"')
			}
			if what != "" {
				return i, what
			}
			i++
		case c >= 'a' && c <= 'z':
			n := span(f.text[i:], func(c byte) bool { return c >= 'a' && c <= 'z' })
			word := f.text[i : i+n]
			i += n
			what := "invalid keyword '" + word + "'"
			if word == "true" || word == "false" || word == "null" {
				what = f.token('w')
			}
			if what != "" {
				return i, what
			}
			if i == len(f.text) {
				return i + 1, "unexpected end of input"
			}
		case c == '-' || c >= '0' && c <= '9':
			n := span(f.text[i:], func(c byte) bool { return c >= '0' && c <= '9' || strings.IndexByte("+-.eE", c) >= 0 })
			what := number(f.text[i : i+n])
			i += n
			if what == "" {
				what = f.token('w')
			}
			if what != "" {
				return i, what
			}
			if i == len(f.text) {
				return i + 1, "unexpected end of input"
			}
		case c >= ' ' && c < 0x7f:
			return i, fmt.Sprintf("invalid character '%c'", c)
		default:
			return i, fmt.Sprintf("invalid character U+%04x", c)
		}
	}
	switch f.state {
	case start:
		return i, "empty input stream"
	case end:
		return i, ""
	}
	return i, "unexpected end of input"
}

func span(s string, in func(byte) bool) int {
	n := 0
	for n < len(s) && in(s[n]) {
		n++
	}
	return n
}

// token moves on by a token: punctuation, a string ('"') or another scalar ('w').
func (f *faults) token(t byte) string {
	switch f.state {
	case start:
		if t != '[' && t != '{' {
			return "syntax error at beginning of input"
		}
		f.value(t)
	case end:
		return "trailing garbage at end of input"
	case firstName, nextName:
		switch {
		case t == '"':
			f.state = colon
		case t == '}' && f.state == firstName:
			f.pop()
		default:
			return "syntax error parsing object expecting string"
		}
	case colon:
		if t != ':' {
			return "syntax error parsing object expecting ':'"
		}
		f.state = value
	case firstValue, value:
		if t == ']' && f.state == firstValue {
			f.pop()
			break
		}
		if strings.IndexByte("]}:,", t) >= 0 {
			return "syntax error expecting value"
		}
		f.value(t)
	case member, element:
		closing := byte('}')
		if f.state == element {
			closing = ']'
		}
		switch {
		case t == closing:
			f.pop()
		case t != ',':
			return fmt.Sprintf("syntax error expecting '%c' or ','", closing)
		case f.state == member:
			f.state = nextName
		default:
			f.state = value
		}
	}
	return ""
}

// value begins or takes a value.
func (f *faults) value(t byte) {
	switch t {
	case '{':
		f.stack, f.state = append(f.stack, t), firstName
	case '[':
		f.stack, f.state = append(f.stack, t), firstValue
	default:
		f.after()
	}
}

func (f *faults) pop() {
	f.stack = f.stack[:len(f.stack)-1]
	f.after()
}

// after sets what is expected behind a value.
func (f *faults) after() {
	switch {
	case len(f.stack) == 0:
		f.state = end
	case f.stack[len(f.stack)-1] == '{':
		f.state = member
	default:
		f.state = element
	}
}

// quoted reads a string behind its quote: the bytes before the closing one, or
// before the fault.
func quoted(s string) (int, string) {
	n := 0
	for ; ; n++ {
		switch {
		case n >= len(s):
			return len(s), "unexpected end of input in quoted string"
		case s[n] == '\\':
			if n++; n >= len(s) {
				return len(s), "unexpected end of input in quoted string"
			}
			continue
		case s[n] < ' ':
			return n, fmt.Sprintf("U+%04X must be escaped in quoted string", s[n])
		case s[n] != '"':
			continue
		}
		break
	}
	return n, escapes(s[:n])
}

// escapes checks what stands behind backslashes.
func escapes(s string) string {
	for {
		i := strings.IndexByte(s, '\\')
		if i < 0 {
			return ""
		}
		c := s[i+1]
		s = s[i+2:]
		switch {
		case strings.IndexByte(`"\/bfnrt`, c) >= 0:
			continue
		case c != 'u':
			return fmt.Sprintf("bad escape \\%c", c)
		}
		code, what := hex4(s)
		if what != "" {
			return what
		}
		s = s[4:]
		switch {
		case code == 0:
			return "null bytes not supported in quoted strings"
		case code >= 0xd800 && code < 0xdc00:
			if !strings.HasPrefix(s, `\u`) {
				return "malformed escaped surrogate pair"
			}
			low, what := hex4(s[2:])
			if what != "" {
				return what
			}
			if low < 0xdc00 || low >= 0xe000 {
				return "second half of escaped surrogate pair is not trailing surrogate"
			}
			s = s[6:]
		}
	}
}

func hex4(s string) (uint64, string) {
	if len(s) < 4 {
		return 0, "quoted string ends within \\u escape"
	}
	code, err := strconv.ParseUint(s[:4], 16, 16)
	if err != nil || bytes.ContainsAny([]byte(s[:4]), "+-_") {
		return 0, "malformed \\u escape"
	}
	return code, ""
}

// number says what is wrong with a number.
func number(s string) string {
	digits := func(s string) int { return span(s, func(c byte) bool { return c >= '0' && c <= '9' }) }
	rest := strings.TrimPrefix(s, "-")
	n := digits(rest)
	switch {
	case n == 0:
		return "'-' must be followed by digit"
	case n > 1 && rest[0] == '0':
		return "leading zeros not allowed"
	}
	rest = rest[n:]
	if strings.HasPrefix(rest, ".") {
		if n = digits(rest[1:]); n == 0 {
			return "decimal point must be followed by digit"
		}
		rest = rest[1+n:]
	}
	if rest != "" && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if rest != "" && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		if n = digits(rest); n == 0 {
			return "exponent must contain at least one digit"
		}
		rest = rest[n:]
	}
	if rest != "" {
		return "syntax error in number"
	}
	if f, _ := strconv.ParseFloat(s, 64); math.IsInf(f, 0) {
		return "number outside valid range"
	}
	return ""
}
