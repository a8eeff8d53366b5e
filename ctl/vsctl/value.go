package vsctl

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// This file reads values as people write them (ovs-vsctl(8), Database Values).

// delims end a word that is not quoted.
const delims = ":=, []{}!<>"

// token cuts a word off the front of s; delimiters within quotes do not end it.
func token(s string) (tok, rest string, err error) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case !quoted && strings.IndexByte(delims, c) >= 0:
			return s[:i], s[i:], nil
		}
	}
	if quoted {
		return "", "", fmt.Errorf("%s: quoted string extends past end of argument", s)
	}
	return s, "", nil
}

// parseAtoms reads one atom; of integers, a range FIRST-LAST gives them all.
func (r *run) parseAtoms(s string, b *schema.BaseType) ([]atom.Atom, error) {
	if b.Type == atom.Integer {
		return parseRange(s, b)
	}
	var a atom.Atom
	switch b.Type {
	case atom.Real:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return nil, fmt.Errorf("\"%s\" is not a valid real number", s)
		}
		a = atom.Float(f)
	case atom.Boolean:
		switch s {
		case "true", "yes", "on", "1":
			a = atom.Bool(true)
		case "false", "no", "off", "0":
			a = atom.Bool(false)
		default:
			return nil, fmt.Errorf("\"%s\" is not a valid boolean (use \"true\" or \"false\")", s)
		}
	case atom.String:
		if i := invalidUTF8(s); i >= 0 {
			return nil, fmt.Errorf("constraint violation: not a valid UTF-8 string: invalid UTF-8 sequence 0x%02x", s[i])
		}
		text, err := parseString(s)
		if err != nil {
			return nil, err
		}
		a = atom.Str(text)
	default:
		if strings.HasPrefix(s, "@") {
			a = atom.ID(r.symbol(s).id)
		} else if id, ok := atom.Parse(s); ok {
			a = atom.ID(id)
		} else {
			return nil, fmt.Errorf("\"%s\" is not a valid UUID", s)
		}
	}
	if err := data.CheckAtom(a, b); err != nil {
		return nil, errors.New(err.Error())
	}
	return []atom.Atom{a}, nil
}

// invalidUTF8 is where s stops being UTF-8, -1 where it does not.
func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n == 1 {
				return i
			}
		}
	}
	return -1
}

const maxRange = 4096 // elements

func parseRange(s string, b *schema.BaseType) ([]atom.Atom, error) {
	bad := fmt.Errorf("\"%s\" is not a valid integer or range", s)
	first, rest, ok := number(s)
	if !ok {
		return nil, bad
	}
	last := first
	if rest != "" {
		if rest[0] != '-' {
			return nil, bad
		}
		if last, rest, ok = number(rest[1:]); !ok || rest != "" {
			return nil, bad
		}
		if last < first {
			return nil, fmt.Errorf("\"%s\" is not a valid range. Range end cannot be before start.", s)
		}
	}
	for _, n := range []int64{first, last} {
		if err := data.CheckAtom(atom.Int(n), b); err != nil {
			return nil, errors.New(err.Error())
		}
	}
	if uint64(last-first) >= maxRange {
		return nil, fmt.Errorf("constraint violation: Range \"%s\" is too big. Maximum allowed size is %d.", s, maxRange)
	}
	var atoms []atom.Atom
	for n := first; ; n++ {
		atoms = append(atoms, atom.Int(n))
		if n == last {
			return atoms, nil
		}
	}
}

// number cuts a decimal number off the front of s.
func number(s string) (n int64, rest string, ok bool) {
	i := 0
	if strings.HasPrefix(s, "-") {
		i = 1
	}
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	return n, s[i:], err == nil
}

func parseString(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New(`An empty string is not valid as input; use "" to represent the empty string`)
	case s[0] != '"':
		return s, nil
	case len(s) < 2 || s[len(s)-1] != '"':
		return "", fmt.Errorf("%s: missing quote at end of quoted string", s)
	}
	v, err := json.Parse([]byte(s))
	if err != nil {
		reason := err.Error()
		if e := badEscape(s[1 : len(s)-1]); e != "" {
			reason = e
		}
		return "", fmt.Errorf("%s: %s", s, reason)
	}
	return v.Str(), nil
}

// badEscape describes the first backslash sequence that JSON does not have.
func badEscape(s string) string {
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if i < len(s) && !strings.ContainsRune(`"\/bfnrtu`, rune(s[i])) {
			return "bad escape \\" + s[i:i+1]
		}
	}
	return ""
}

func (r *run) parseAtom(s string, b *schema.BaseType) (atom.Atom, error) {
	atoms, err := r.parseAtoms(s, b)
	if err != nil {
		return atom.Atom{}, err
	}
	if len(atoms) != 1 {
		return atom.Atom{}, fmt.Errorf("\"%s\" is not a valid integer or range", s)
	}
	return atoms[0], nil
}

// parseDatum reads a whole value of type t.
func (r *run) parseDatum(s string, t *schema.Type) (data.Datum, error) {
	none := data.Datum{}
	open, end := byte('['), byte(']')
	if t.Map() {
		open, end = '{', '}'
	}
	p := skip(s, " ")
	closing := p != "" && p[0] == open
	if closing {
		p = p[1:]
	}
	var keys, vals []atom.Atom
	for p = skip(p, " "); p != "" && (!closing || p[0] != end); p = skip(strings.TrimPrefix(skip(p, " "), ","), " ") {
		if strings.IndexByte(delims, p[0]) >= 0 {
			return none, fmt.Errorf("%s: unexpected \"%c\" parsing %s", s, p[0], t)
		}
		pair := p // and all behind it
		tok, rest, err := token(p)
		if err != nil {
			return none, err
		}
		k, err := r.parseAtoms(tok, &t.Key)
		if err != nil {
			return none, err
		}
		p = rest
		if t.Map() {
			p = skip(p, " ")
			if p == "" || p[0] != '=' {
				if p == "" { // C's message ends where the argument does
					return none, fmt.Errorf("%s: syntax error at \"", pair)
				}
				return none, fmt.Errorf("%s: syntax error at \"%c\" expecting \"=\"", pair, p[0])
			}
			if tok, p, err = token(skip(p[1:], " ")); err != nil {
				return none, err
			}
			v, err := r.parseAtom(tok, &t.Value)
			if err != nil {
				return none, err
			}
			for range k {
				vals = append(vals, v)
			}
		}
		keys = append(keys, k...)
	}
	if closing {
		if p == "" {
			return none, fmt.Errorf("%s: missing \"%c\" at end of data", s, end)
		}
		if skip(p[1:], " ") != "" {
			return none, fmt.Errorf("%s: trailing garbage after \"%c\"", s, end)
		}
	}
	what := strings.TrimSuffix(counted(t), "s")
	switch n := uint32(len(keys)); {
	case n < t.Min:
		return none, fmt.Errorf("%s: %d %s(s) specified but the minimum number is %d", s, n, what, t.Min)
	case n > t.Max:
		return none, fmt.Errorf("%s: %d %s(s) specified but the maximum number is %d", s, n, what, t.Max)
	}
	var d data.Datum
	if t.Map() {
		pairs := make([]data.Pair, len(keys))
		for i := range keys {
			pairs[i] = data.Pair{Key: keys[i], Value: vals[i]}
		}
		d = data.Map(pairs...)
	} else {
		d = data.Set(keys...)
	}
	if d.Len() != len(keys) {
		if t.Map() {
			return none, fmt.Errorf("%s: map contains duplicate key", s)
		}
		return none, fmt.Errorf("%s: set contains duplicate value", s)
	}
	return d, nil
}

// counted is what a column's elements are called.
func counted(t *schema.Type) string {
	if t.Map() {
		return "pairs"
	}
	return "values"
}

func skip(s, chars string) string { return strings.TrimLeft(s, chars) }

// bare is a value without punctuation (--data=bare).
func bare(d data.Datum, t *schema.Type) string {
	var b strings.Builder
	for i := range d.Len() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(bareAtom(d.Key(i)))
		if t.Map() {
			b.WriteByte('=')
			b.WriteString(bareAtom(d.Value(i)))
		}
	}
	return b.String()
}

func bareAtom(a atom.Atom) string {
	if a.Type() == atom.String {
		return a.Str()
	}
	return a.String()
}
