package jsonrpc

import (
	"fmt"
	"strconv"
	"strings"
)

// MaxDepth is how deep arrays and objects may nest in one message where
// [Limits] says nothing else.
const MaxDepth = 1000

// A SyntaxError says where a stream stops being JSON. Line and Column count
// from 0 within the message, as the C programs print them.
type SyntaxError struct {
	Line, Column, Byte int
	Msg                string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("error parsing stream: line %d, column %d, byte %d: %s", e.Line, e.Column, e.Byte, e.Msg)
}

var errNotObject = bad("message is not a JSON object")

// state is what a Scanner expects next.
type state uint8

const (
	stBegin     state = iota // white space, then the object that is the message
	stValue                  // a value
	stFirstElem              // a value, or ] of an empty array
	stFirstKey               // a key, or } of an empty object
	stKey                    // a key
	stColon                  // : after a key
	stAfter                  // , or the end of the enclosing array or object
	stString                 // inside a string
	stEscape                 // after \ in a string
	stHex                    // hex digits of \u
	stPair                   // \ of the second half of a surrogate pair
	stLiteral                // rest of true, false, null
	stMinus                  // after - of a number
	stZero                   // after a leading 0
	stInt                    // in the digits before the point
	stPoint                  // after the point
	stFrac                   // in the digits after the point
	stExp                    // after e or E
	stExpSign                // after its sign
	stExpDigits              // in its digits
)

// member is one member of a message's top-level object: offsets in the
// message of its key (without quotes) and its value.
type member struct {
	key, keyEnd, val, valEnd int
}

// Scanner finds where one message ends and checks that it is JSON, seeing
// every byte once, in as many pieces as it arrives in. The zero value with
// MaxDepth set is ready. It is not safe for concurrent use.
type Scanner struct {
	MaxDepth int

	pos     int // offset of the next byte in the message
	st      state
	stack   []byte // '[' or '{' of what is open
	hex     int    // hex digits still to come
	code    uint16 // the ones so far
	high    bool   // the escape is to be the second half of a surrogate pair
	lit     string // rest of a literal
	isKey   bool   // the string is a key
	started bool
	members []member
	lines   int // newlines seen, and where the last one was
	lineAt  int
}

// Reset makes s ready for the next message.
func (s *Scanner) Reset() {
	*s = Scanner{MaxDepth: s.MaxDepth, stack: s.stack[:0], members: s.members[:0]}
}

func (s *Scanner) fail(format string, args ...any) error {
	return &SyntaxError{Line: s.lines, Column: s.pos - s.lineAt, Byte: s.pos, Msg: fmt.Sprintf(format, args...)}
}

// Scan looks at msg from where it stopped; msg is the message from its first
// byte as far as it has come. It returns the message's length when it is
// whole, 0 when more is needed, and an error when it is no JSON object.
// White space before the object belongs to the message.
func (s *Scanner) Scan(msg []byte) (int, error) {
	for s.pos < len(msg) {
		c := msg[s.pos]
		switch s.st {
		case stString:
			// The long runs of a message are in strings: stay here.
			i := s.pos
			for i < len(msg) && msg[i] != '"' && msg[i] != '\\' && msg[i] >= 0x20 {
				i++
			}
			if i == len(msg) {
				s.pos = i
				return 0, nil
			}
			s.pos = i
			switch msg[i] {
			case '"':
				s.endString()
			case '\\':
				s.st = stEscape
			default:
				return 0, s.fail("U+%04X is not allowed in quoted string", msg[i])
			}
			s.pos++
			continue
		case stZero, stInt, stFrac, stExpDigits, stPoint, stExp, stExpSign, stMinus:
			again, err := s.number(c)
			if err != nil {
				return 0, err
			}
			if again {
				continue
			}
			s.pos++
			continue
		}
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			switch s.st {
			case stEscape, stHex, stPair, stLiteral:
			default:
				if c == '\n' {
					s.lines++
					s.lineAt = s.pos + 1
				}
				s.pos++
				continue
			}
		}
		if err := s.step(c); err != nil {
			return 0, err
		}
		s.pos++
		if s.started && len(s.stack) == 0 && s.st == stAfter {
			return s.pos, nil
		}
	}
	return 0, nil
}

func (s *Scanner) endString() {
	if s.isKey {
		if len(s.stack) == 1 {
			s.members[len(s.members)-1].keyEnd = s.pos
		}
		s.isKey = false
		s.st = stColon
		return
	}
	s.endValue(s.pos + 1)
}

// endValue notes that a value ended before offset end.
func (s *Scanner) endValue(end int) {
	if len(s.stack) == 1 && len(s.members) > 0 {
		s.members[len(s.members)-1].valEnd = end
	}
	s.st = stAfter
}

// number handles one byte within a number. again means that the byte is not
// part of it and is to be looked at anew.
func (s *Scanner) number(c byte) (again bool, err error) {
	digit := c >= '0' && c <= '9'
	switch s.st {
	case stMinus:
		switch {
		case c == '0':
			s.st = stZero
		case digit:
			s.st = stInt
		default:
			return false, s.fail("'-' must be followed by digit")
		}
		return false, nil
	case stInt, stZero:
		if digit {
			if s.st == stZero {
				return false, s.fail("leading zeros not allowed")
			}
			return false, nil
		}
		if c == '.' {
			s.st = stPoint
			return false, nil
		}
	case stPoint:
		if !digit {
			return false, s.fail("decimal point must be followed by digit")
		}
		s.st = stFrac
		return false, nil
	case stFrac:
		if digit {
			return false, nil
		}
	case stExp:
		if c == '+' || c == '-' {
			s.st = stExpSign
			return false, nil
		}
		fallthrough
	case stExpSign:
		if !digit {
			return false, s.fail("exponent must contain at least one digit")
		}
		s.st = stExpDigits
		return false, nil
	case stExpDigits:
		if digit {
			return false, nil
		}
		s.endValue(s.pos)
		return true, nil
	}
	if c == 'e' || c == 'E' {
		s.st = stExp
		return false, nil
	}
	s.endValue(s.pos)
	return true, nil
}

func (s *Scanner) open(c byte) error {
	if len(s.stack) >= s.MaxDepth {
		return s.fail("input exceeds maximum nesting depth %d", s.MaxDepth)
	}
	s.stack = append(s.stack, c)
	if c == '[' {
		s.st = stFirstElem
	} else {
		s.st = stFirstKey
	}
	return nil
}

func (s *Scanner) close(c byte) error {
	if open := s.stack[len(s.stack)-1]; (open == '[') != (c == ']') {
		return s.fail("syntax error: unexpected '%c'", c)
	}
	s.stack = s.stack[:len(s.stack)-1]
	s.endValue(s.pos + 1)
	return nil
}

// step handles one byte that is neither white space nor inside a string or number.
func (s *Scanner) step(c byte) error {
	switch s.st {
	case stBegin:
		if c == '[' {
			return errNotObject
		}
		if c != '{' {
			return s.fail("syntax error at beginning of input")
		}
		s.started = true
		return s.open(c)
	case stFirstElem:
		if c == ']' {
			return s.close(c)
		}
		return s.value(c)
	case stValue:
		return s.value(c)
	case stFirstKey, stKey:
		if c == '}' && s.st == stFirstKey {
			return s.close(c)
		}
		if c != '"' {
			return s.fail("syntax error parsing object expecting string")
		}
		if len(s.stack) == 1 {
			s.members = append(s.members, member{key: s.pos + 1})
		}
		s.isKey = true
		s.st = stString
	case stColon:
		if c != ':' {
			return s.fail("syntax error parsing object expecting ':'")
		}
		s.st = stValue
	case stAfter:
		switch {
		case c == ',' && s.stack[len(s.stack)-1] == '[':
			s.st = stValue
		case c == ',':
			s.st = stKey
		case c == ']' || c == '}':
			return s.close(c)
		case s.stack[len(s.stack)-1] == '[':
			return s.fail("syntax error expecting ']' or ','")
		default:
			return s.fail("syntax error expecting '}' or ','")
		}
	case stEscape:
		switch {
		case c == 'u':
			s.st, s.hex, s.code = stHex, 4, 0
		case s.high:
			return s.fail("malformed escaped surrogate pair")
		case strings.IndexByte(`"\/bfnrt`, c) >= 0:
			s.st = stString
		default:
			return s.fail("bad escape \\%c", c)
		}
	case stHex:
		return s.hexDigit(c)
	case stPair:
		if c != '\\' {
			return s.fail("malformed escaped surrogate pair")
		}
		s.st = stEscape
	case stLiteral:
		if c != s.lit[0] {
			return s.fail("invalid keyword")
		}
		if s.lit = s.lit[1:]; s.lit == "" {
			s.endValue(s.pos + 1)
		}
	}
	return nil
}

// hexDigit handles one of the four digits of \u. The first half of a surrogate
// pair must be followed by the second one; the C server takes a second half that
// stands alone.
func (s *Scanner) hexDigit(c byte) error {
	d, err := strconv.ParseUint(string(c), 16, 4)
	if err != nil {
		return s.fail("malformed \\u escape")
	}
	s.code = s.code<<4 | uint16(d)
	if s.hex--; s.hex > 0 {
		return nil
	}
	switch {
	case s.high:
		if s.code>>10 != 0xdc00>>10 {
			return s.fail("second half of escaped surrogate pair is not trailing surrogate")
		}
		s.high, s.st = false, stString
	case s.code == 0:
		return s.fail("null bytes not supported in quoted strings")
	case s.code>>10 == 0xd800>>10:
		s.high, s.st = true, stPair
	default:
		s.st = stString
	}
	return nil
}

// value handles the first byte of a value.
func (s *Scanner) value(c byte) error {
	if len(s.stack) == 1 && len(s.members) > 0 {
		s.members[len(s.members)-1].val = s.pos
	}
	switch c {
	case '{', '[':
		return s.open(c)
	case '"':
		s.st = stString
	case 't':
		s.st, s.lit = stLiteral, "rue"
	case 'f':
		s.st, s.lit = stLiteral, "alse"
	case 'n':
		s.st, s.lit = stLiteral, "ull"
	case '-':
		s.st = stMinus
	case '0':
		s.st = stZero
	default:
		if c < '1' || c > '9' {
			return s.fail("syntax error expecting value")
		}
		s.st = stInt
	}
	return nil
}
