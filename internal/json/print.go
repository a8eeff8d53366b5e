package json

import (
	"math"
	"slices"
	"strconv"
)

const maxFloat = math.MaxFloat64

const hexDigits = "0123456789abcdef"

// mustEscape tells the bytes that do not stand for themselves in a string.
var mustEscape = func() (t [256]bool) {
	for c := range 0x20 {
		t[c] = true
	}
	t['"'], t['\\'] = true, true
	return
}()

// AppendString appends s as a JSON string, quoted. Only what must be escaped is.
func AppendString(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !mustEscape[c] {
			continue
		}
		b = append(b, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	b = append(b, s[from:]...)
	return append(b, '"')
}

// AppendFloat appends a real number as C's printf prints it with %.15g.
func AppendFloat(b []byte, f float64) []byte {
	return appendG(b, f, 15)
}

// appendG is %.*g: the shortest of plain and exponent form, no trailing zeros, at
// least two digits in the exponent.
func appendG(b []byte, f float64, digits int) []byte {
	if f == 0 {
		if math.Signbit(f) {
			return append(b, "-0"...)
		}
		return append(b, '0')
	}
	var buf [40]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', digits-1, 64)
	at := slices.Index(e, 'e')
	exp, _ := strconv.Atoi(string(e[at+1:]))
	if exp < -4 || exp >= digits {
		return append(append(b, trimZeros(e[:at])...), e[at:]...)
	}
	var plain [40]byte
	return append(b, trimZeros(strconv.AppendFloat(plain[:0], f, 'f', digits-1-exp, 64))...)
}

func trimZeros(s []byte) []byte {
	if slices.Index(s, '.') < 0 {
		return s
	}
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}

// AppendSorted appends v without blanks, the members of objects in the order of
// their names: the form in which errors quote JSON.
func (v Value) AppendSorted(b []byte) []byte {
	switch v.Kind() {
	case Null:
		return append(b, "null"...)
	case False:
		return append(b, "false"...)
	case True:
		return append(b, "true"...)
	case Integer:
		n, _ := v.Int()
		return strconv.AppendInt(b, n, 10)
	case Real:
		f, _ := v.Float()
		return AppendFloat(b, f)
	case String:
		return AppendString(b, v.Str())
	case Array:
		b = append(b, '[')
		sep := false
		for e := range v.Elems() {
			if sep {
				b = append(b, ',')
			}
			sep = true
			b = e.AppendSorted(b)
		}
		return append(b, ']')
	case Object:
		type member struct {
			name string
			val  Value
		}
		members := make([]member, 0, v.Len())
		for name, val := range v.Members() {
			members = append(members, member{name.Str(), val})
		}
		slices.SortFunc(members, func(a, b member) int {
			if a.name < b.name {
				return -1
			}
			return 1
		})
		b = append(b, '{')
		for i, m := range members {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendString(b, m.name)
			b = append(b, ':')
			b = m.val.AppendSorted(b)
		}
		return append(b, '}')
	}
	return b
}
