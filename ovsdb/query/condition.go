package query

import (
	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// Function is a condition's function.
type Function uint8

// The functions. False and True are the boolean conditions; they have neither
// column nor argument.
const (
	False Function = iota
	True
	LT
	LE
	EQ
	NE
	GE
	GT
	Includes
	Excludes
)

var functionNames = [...]string{LT: "<", LE: "<=", EQ: "==", NE: "!=", GE: ">=", GT: ">", Includes: "includes", Excludes: "excludes"}

// String returns the function's name on the wire.
func (f Function) String() string {
	switch f {
	case False:
		return "false"
	case True:
		return "true"
	}
	return functionNames[f]
}

// Clause is one condition of a list.
type Clause struct {
	Function Function
	Column   *schema.Column
	Arg      data.Datum
}

// Condition is a list of clauses.
type Condition struct {
	Clauses []Clause
}

// ParseCondition reads a list of conditions: the "where" of an operation or of a
// monitor. names resolves named UUIDs; nil where none are allowed.
func ParseCondition(v json.Value, t *schema.Table, names atom.Resolver) (Condition, *dberr.Error) {
	if v.Kind() != json.Array {
		return Condition{}, dberr.Syntax(v, "array expected")
	}
	c := Condition{Clauses: make([]Clause, 0, v.Len())}
	for e := range v.Elems() {
		cl, err := parseClause(e, t, names)
		if err != nil {
			return Condition{}, err
		}
		c.Clauses = append(c.Clauses, cl)
	}
	return c, nil
}

func parseClause(v json.Value, t *schema.Table, names atom.Resolver) (Clause, *dberr.Error) {
	switch v.Kind() {
	case json.True:
		return Clause{Function: True}, nil
	case json.False:
		return Clause{Function: False}, nil
	}
	if v.Kind() != json.Array || v.Len() != 3 || v.At(0).Kind() != json.String || v.At(1).Kind() != json.String {
		return Clause{}, dberr.Syntax(v, "Parse error in condition.")
	}
	name := v.At(0).Bytes()
	col := t.Column(string(name))
	if col == nil {
		return Clause{}, dberr.Quote(dberr.UnknownColumn, v, "No column %s in table %s.", name, t.Name)
	}
	cl := Clause{Column: col}
	fn := v.At(1).Bytes()
	for f := LT; f <= Excludes; f++ {
		if functionNames[f] == string(fn) {
			cl.Function = f
		}
	}
	typ := &col.Type
	var changed schema.Type
	switch cl.Function {
	case False:
		return Clause{}, dberr.New("unknown function", "No function named %s.", fn)
	case LT, LE, GT, GE:
		k := typ.Key.Type
		if typ.Map() || typ.Max != 1 || k != atom.Integer && k != atom.Real {
			return Clause{}, mismatch(v, cl.Function.String(), col)
		}
		if typ.Min == 0 {
			changed = *typ
			changed.Min = 1
			typ = &changed
		}
	case Includes, Excludes:
		if !typ.Scalar() {
			changed = *typ
			changed.Min = 0
			if cl.Function == Excludes {
				changed.Max = schema.Unlimited
			}
			typ = &changed
		}
	}
	arg, err := data.ParseJSON(v.At(2), typ, names)
	if err != nil {
		return Clause{}, err
	}
	cl.Arg = arg
	return cl, nil
}

func mismatch(v json.Value, op string, c *schema.Column) *dberr.Error {
	return dberr.Syntax(v, "Type mismatch: \"%s\" operator may not be applied to column %s of type %s.", op, c.Name, &c.Type)
}

// Match evaluates one clause on a row.
func (cl *Clause) Match(r Row) bool {
	switch cl.Function {
	case False:
		return false
	case True:
		return true
	}
	d := r.Get(cl.Column)
	switch cl.Function {
	case EQ:
		return d.Equal(cl.Arg)
	case NE:
		return !d.Equal(cl.Arg)
	case Includes:
		return data.Includes(d, cl.Arg)
	case Excludes:
		return data.Excludes(d, cl.Arg)
	}
	if d.Len() == 0 {
		return false
	}
	c := d.Key(0).Compare(cl.Arg.Key(0))
	switch cl.Function {
	case LT:
		return c < 0
	case LE:
		return c <= 0
	case GE:
		return c >= 0
	}
	return c > 0
}

// All reports whether a row meets every clause: the meaning of an operation's
// "where".
func (c *Condition) All(r Row) bool {
	for i := range c.Clauses {
		if !c.Clauses[i].Match(r) {
			return false
		}
	}
	return true
}

// Any reports whether a row meets at least one clause, or there is none: the
// meaning of a monitor's "where".
func (c *Condition) Any(r Row) bool {
	for i := range c.Clauses {
		if c.Clauses[i].Match(r) {
			return true
		}
	}
	return len(c.Clauses) == 0
}
