package vsctl

import (
	"fmt"
	"strings"

	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// expr is COLUMN[:KEY][OPERATOR VALUE], taken apart but not yet read.
type expr struct {
	column string // full name
	key    string
	hasKey bool
	op     string
	value  string
}

var (
	opsSet  = []string{"="}
	opsFind = []string{"=", "!=", "<", ">", "<=", ">=", "{=}", "{!=}", "{<}", "{>}", "{<=}", "{>=}", "{in}", "{not-in}"}
)

// parseColumn reads the column that an argument begins with; what follows it is
// left in value.
func parseColumn(n *names, table, arg string) (e expr, err error) {
	col, rest, err := token(arg)
	if err != nil {
		return e, err
	}
	if col == "" {
		return e, fmt.Errorf("%s: missing column name", arg)
	}
	e.column, err = n.column(table, col)
	e.value = rest
	return e, err
}

// parseExpr takes an argument apart; without operators, it must end behind the
// column and key.
func parseExpr(n *names, table, arg string, ops []string) (e expr, err error) {
	if ops == nil && arg == "_uuid" {
		return expr{column: arg}, nil
	}
	if e, err = parseColumn(n, table, arg); err != nil {
		return e, err
	}
	rest := e.value
	e.value = ""
	if strings.HasPrefix(rest, ":") {
		e.hasKey = true
		if e.key, rest, err = token(rest[1:]); err != nil {
			return e, err
		}
	}
	if ops == nil {
		if rest != "" {
			return e, fmt.Errorf("%s: trailing garbage \"%s\" in argument", arg, rest)
		}
		return e, nil
	}
	for _, op := range ops {
		if strings.HasPrefix(rest, op) && len(op) > len(e.op) {
			e.op = op
		}
	}
	if e.op == "" || rest == e.op {
		return e, noValue(arg, ops)
	}
	e.value = rest[len(e.op):]
	return e, nil
}

func noValue(arg string, ops []string) error {
	var b strings.Builder
	for i, op := range ops {
		switch {
		case i > 0 && i == len(ops)-1:
			b.WriteString(", or ")
		case i > 0:
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "\"%s\"", op)
	}
	return fmt.Errorf("%s: argument does not end in %s followed by a value.", arg, &b)
}

// holds evaluates COLUMN[:KEY] OPERATOR VALUE on a row.
func (r *run) holds(x *row, arg string) (bool, error) {
	e, err := parseExpr(r.names, x.t.Name, arg, opsFind)
	if err != nil {
		return false, err
	}
	c := x.t.Column(e.column)
	have := x.get(c)
	typ := c.Type
	if e.hasKey {
		if !typ.Map() {
			return false, fmt.Errorf("cannot specify key to check for non-map column %s", c.Name)
		}
		key, err := r.parseAtom(e.key, &typ.Key)
		if err != nil {
			return false, err
		}
		typ = schema.Type{Key: typ.Value, Max: schema.Unlimited}
		v, ok := have.Get(key)
		if !ok && e.op[0] != '{' {
			if _, err := r.parseDatum(e.value, &typ); err != nil {
				return false, err
			}
			return false, nil
		}
		have = data.Datum{}
		if ok {
			have = data.One(v)
		}
	}
	want, err := r.parseDatum(e.value, &typ)
	if err != nil {
		return false, err
	}
	return compare(e.op, have, want), nil
}

func compare(op string, have, want data.Datum) bool {
	switch op {
	case "=", "{=}":
		return have.Equal(want)
	case "!=", "{!=}":
		return !have.Equal(want)
	case "{<=}", "{in}":
		return data.Includes(want, have)
	case "{<}":
		return data.Includes(want, have) && have.Len() < want.Len()
	case "{>=}":
		return data.Includes(have, want)
	case "{>}":
		return data.Includes(have, want) && have.Len() > want.Len()
	case "{not-in}":
		return data.Excludes(have, want)
	}
	c := order(have, want)
	switch op {
	case "<":
		return c < 0
	case ">":
		return c > 0
	case "<=":
		return c <= 0
	}
	return c >= 0
}

// order compares two values: the number of elements, then elements or keys, then
// a map's values.
func order(a, b data.Datum) int {
	if n, m := a.Len(), b.Len(); n != m {
		if n < m {
			return -1
		}
		return 1
	}
	for _, at := range []func(data.Datum, int) atom.Atom{data.Datum.Key, data.Datum.Value} {
		for i := range a.Len() {
			if c := at(a, i).Compare(at(b, i)); c != 0 {
				return c
			}
		}
	}
	return 0
}
