package query

import (
	"math"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// Mutator is what a mutation does.
type Mutator uint8

// The mutators.
const (
	Add Mutator = iota + 1
	Sub
	Mul
	Div
	Mod
	Insert
	Delete
)

var mutatorNames = [...]string{Add: "+=", Sub: "-=", Mul: "*=", Div: "/=", Mod: "%=", Insert: "insert", Delete: "delete"}

// String returns the mutator's name on the wire.
func (m Mutator) String() string { return mutatorNames[m] }

// Mutation changes a column.
type Mutation struct {
	Column  *schema.Column
	Mutator Mutator
	Arg     data.Datum
	argMap  bool // Arg's type is a map
}

// ParseMutations reads the "mutations" of an operation.
func ParseMutations(v json.Value, t *schema.Table, names atom.Resolver) ([]Mutation, *dberr.Error) {
	if v.Kind() != json.Array {
		return nil, dberr.Syntax(v, "array expected")
	}
	list := make([]Mutation, 0, v.Len())
	for e := range v.Elems() {
		m, err := parseMutation(e, t, names)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
	}
	return list, nil
}

func parseMutation(v json.Value, t *schema.Table, names atom.Resolver) (Mutation, *dberr.Error) {
	if v.Kind() != json.Array || v.Len() != 3 || v.At(0).Kind() != json.String || v.At(1).Kind() != json.String {
		return Mutation{}, dberr.Syntax(v, "Parse error in mutation.")
	}
	name := v.At(0).Bytes()
	col := t.Column(string(name))
	switch {
	case col == nil:
		return Mutation{}, dberr.Quote(dberr.UnknownColumn, v, "No column %s in table %s.", name, t.Name)
	case !col.Mutable:
		return Mutation{}, dberr.Quote(dberr.ConstraintViolation, v, "Cannot mutate immutable column %s in table %s.", name, t.Name)
	}
	m := Mutation{Column: col}
	op := v.At(1).Bytes()
	for f := Add; f <= Delete; f++ {
		if mutatorNames[f] == string(op) {
			m.Mutator = f
		}
	}
	typ := &col.Type
	arg := *typ
	switch m.Mutator {
	case 0:
		return Mutation{}, dberr.New("unknown mutator", "No mutator named %s.", op)
	case Insert, Delete:
		if typ.Scalar() {
			return Mutation{}, mismatch(v, m.Mutator.String(), col)
		}
		arg.Min = 0
		if m.Mutator == Delete {
			return m.parseDelete(v.At(2), arg, names)
		}
	default:
		k := typ.Key.Type
		if typ.Map() || k != atom.Integer && (k != atom.Real || m.Mutator == Mod) {
			return Mutation{}, mismatch(v, m.Mutator.String(), col)
		}
		arg = schema.Type{Key: schema.NewBaseType(k), Value: schema.NewBaseType(atom.Void), Min: 1, Max: 1}
	}
	var err *dberr.Error
	m.Arg, err = data.ParseJSON(v.At(2), &arg, names)
	m.argMap = arg.Map()
	return m, err
}

// parseDelete reads what is to be deleted: any number of elements; of a map,
// pairs or keys.
func (m Mutation) parseDelete(v json.Value, t schema.Type, names atom.Resolver) (Mutation, *dberr.Error) {
	t.Max = schema.Unlimited
	if t.Map() {
		d, err := data.ParseJSON(v, &t, names)
		if err == nil {
			m.Arg, m.argMap = d, true
			return m, nil
		}
		t.Value = schema.NewBaseType(atom.Void)
	}
	var err *dberr.Error
	m.Arg, err = data.ParseJSON(v, &t, names)
	return m, err
}

// Apply returns what the mutation makes of a value of its column.
func (m *Mutation) Apply(d data.Datum) (data.Datum, *dberr.Error) {
	t := &m.Column.Type
	switch m.Mutator {
	case Insert:
		d = data.Union(d, m.Arg, t.Map())
		return d, data.CheckLen(d, t)
	case Delete:
		d = data.Subtract(d, m.Arg, t.Map(), m.argMap)
		return d, data.CheckLen(d, t)
	}
	n := d.Len()
	if n == 0 {
		return d, nil
	}
	out := make([]atom.Atom, n)
	arg := m.Arg.Key(0)
	for i := range n {
		var err *dberr.Error
		if out[i], err = m.compute(d.Key(i), arg); err == nil {
			err = data.CheckAtom(out[i], &t.Key)
		}
		if err != nil {
			return data.Datum{}, err
		}
	}
	r := data.Set(out...)
	if r.Len() < n {
		return data.Datum{}, dberr.New(dberr.ConstraintViolation, "Result of \"%s\" operation contains duplicates.", m.Mutator)
	}
	return r, nil
}

func (m *Mutation) compute(x, y atom.Atom) (atom.Atom, *dberr.Error) {
	if x.Type() == atom.Integer {
		a, b := x.Int(), y.Int()
		ok := true
		var r int64
		switch m.Mutator {
		case Add:
			r = a + b
			ok = (r > a) == (b > 0)
		case Sub:
			r = a - b
			ok = (r < a) == (b > 0)
		case Mul:
			r = a * b
			ok = a == 0 || r/a == b && !(a == -1 && b == math.MinInt64)
		default:
			if b == 0 {
				return x, dberr.New(dberr.DomainError, "Division by zero.")
			}
			ok = !(a == math.MinInt64 && b == -1)
			if m.Mutator == Div {
				r = a / b
			} else {
				r = a % b
			}
		}
		if !ok {
			return x, m.outOfRange()
		}
		return atom.Int(r), nil
	}
	a, b := x.Float(), y.Float()
	var r float64
	switch m.Mutator {
	case Add:
		r = a + b
	case Sub:
		r = a - b
	case Mul:
		r = a * b
	case Div:
		if b == 0 {
			return x, dberr.New(dberr.DomainError, "Division by zero.")
		}
		r = a / b
	}
	if math.IsInf(r, 0) || math.IsNaN(r) {
		return x, m.outOfRange()
	}
	return atom.Float(r), nil
}

func (m *Mutation) outOfRange() *dberr.Error {
	return dberr.New(dberr.RangeError, "Result of \"%s\" operation is out of range.", m.Mutator)
}
