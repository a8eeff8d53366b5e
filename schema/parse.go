package schema

import (
	"math"
	"slices"
	"strings"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/schema/atom"
)

// Parse reads a schema from its JSON text. Errors that concern the schema are of
// type *dberr.Error.
func Parse(text []byte) (*Schema, error) {
	v, err := json.Parse(text)
	if err != nil {
		return nil, err
	}
	return FromJSON(v)
}

// FromJSON reads a schema that is part of a larger JSON text.
func FromJSON(v json.Value) (*Schema, error) {
	s, err := parseSchema(v)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func parseSchema(v json.Value) (*Schema, *dberr.Error) {
	m := dberr.NewMembers(v, "database schema")
	name := m.Get("name", dberr.WantID)
	version := m.Opt("version", dberr.WantString)
	cksum := m.Opt("cksum", dberr.WantString)
	tables := m.Get("tables", dberr.WantObject)
	if err := m.Done(); err != nil {
		return nil, err
	}
	s := &Schema{Name: name.Str(), Version: version.Str(), Cksum: cksum.Str(), byName: map[string]*Table{}}
	if version.Kind() == json.String && !ValidVersion(s.Version) {
		return nil, dberr.Syntax(v, "schema version \"%s\" not in format x.y.z", s.Version)
	}
	for name, tv := range tables.Members() {
		t := &Table{Name: name.Str()}
		if err := checkName(v, t.Name); err != nil {
			return nil, err
		}
		if err := t.parse(tv); err != nil {
			return nil, err
		}
		s.Tables = append(s.Tables, t)
		s.byName[t.Name] = t
	}
	slices.SortFunc(s.Tables, func(a, b *Table) int { return strings.Compare(a.Name, b.Name) })
	anyRoot, allRoot := false, true
	for i, t := range s.Tables {
		t.Index = i
		anyRoot, allRoot = anyRoot || t.IsRoot, allRoot && t.IsRoot
	}
	s.rootless = !anyRoot || allRoot
	for _, t := range s.Tables {
		t.IsRoot = t.IsRoot || !anyRoot
	}
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			if err := s.bind(c, &c.Type.Key, "key"); err != nil {
				return nil, err
			}
			if err := s.bind(c, &c.Type.Value, "value"); err != nil {
				return nil, err
			}
			if c.Type.Key.StrongRef() || c.Type.Value.StrongRef() {
				t.Strong = append(t.Strong, c)
			}
			// What alone keeps rows alive must be there after a restart, too.
			if c.Type.Key.keeps() || c.Type.Value.keeps() {
				c.Ephemeral = false
			}
			if c.Type.Key.WeakRef() || c.Type.Value.WeakRef() {
				t.Weak = append(t.Weak, c)
				c.Mutable = true
			}
		}
	}
	return s, nil
}

// keeps reports whether a reference of this type keeps rows alive.
func (b *BaseType) keeps() bool { return b.StrongRef() && !b.RefTable.IsRoot }

// bind finds the table that a base type refers to.
func (s *Schema) bind(c *Column, b *BaseType, role string) *dberr.Error {
	if b.RefTableName == "" {
		return nil
	}
	b.RefTable = s.byName[b.RefTableName]
	if b.RefTable == nil {
		return dberr.New(dberr.SyntaxError, "column %s %s refers to undefined table %s", c.Name, role, b.RefTableName)
	}
	return nil
}

func checkName(v json.Value, name string) *dberr.Error {
	if strings.HasPrefix(name, "_") {
		return dberr.Syntax(v, "names beginning with \"_\" are reserved")
	}
	if !atom.IsID(name) {
		return dberr.Syntax(v, "name must be a valid id")
	}
	return nil
}

func (t *Table) parse(v json.Value) *dberr.Error {
	m := dberr.NewMembers(v, "table schema for table "+t.Name)
	columns := m.Get("columns", dberr.WantObject)
	maxRows := m.Opt("maxRows", dberr.WantInteger)
	isRoot := m.Opt("isRoot", dberr.WantBool)
	indexes := m.Opt("indexes", dberr.WantArray)
	if err := m.Done(); err != nil {
		return err
	}
	t.MaxRows = Unlimited
	if n, ok := maxRows.Int(); ok {
		if n <= 0 {
			return dberr.Syntax(v, "maxRows must be at least 1")
		}
		t.MaxRows = uint32(min(n, Unlimited))
	}
	if columns.Len() == 0 {
		return dberr.Syntax(v, "table must have at least one column")
	}
	t.IsRoot, _ = isRoot.Bool()

	t.byName = make(map[string]*Column, columns.Len()+FirstColumn)
	for name, cv := range columns.Members() {
		c := &Column{Name: name.Str()}
		if err := checkName(v, c.Name); err != nil {
			return err
		}
		if err := c.parse(cv); err != nil {
			return err
		}
		t.Columns = append(t.Columns, c)
	}
	slices.SortFunc(t.Columns, func(a, b *Column) int { return strings.Compare(a.Name, b.Name) })
	ids := Type{Key: NewBaseType(atom.UUIDType), Min: 1, Max: 1}
	t.Columns = append([]*Column{{Name: "_uuid", Type: ids}, {Name: "_version", Type: ids, Ephemeral: true}}, t.Columns...)
	for i, c := range t.Columns {
		c.Index = i
		t.byName[c.Name] = c
		if !c.allowsDefault() {
			t.Given = append(t.Given, c)
		}
	}

	for ix := range indexes.Elems() {
		cols, err := t.ParseColumns(ix)
		if err != nil {
			return err
		}
		if len(cols) == 0 {
			return dberr.Syntax(v, "index must have at least one column")
		}
		for _, c := range cols {
			if c.Ephemeral {
				return dberr.Syntax(v, "ephemeral columns (such as %s) may not be indexed", c.Name)
			}
		}
		t.Indexes = append(t.Indexes, cols)
	}
	return nil
}

// ParseColumns reads a JSON array of distinct names of the table's columns. An
// Invalid v stands for all columns.
func (t *Table) ParseColumns(v json.Value) ([]*Column, *dberr.Error) {
	if v.Kind() == json.Invalid {
		return t.Columns, nil
	}
	const expected = "array of distinct column names expected"
	if v.Kind() != json.Array {
		return nil, dberr.Syntax(v, expected)
	}
	cols := make([]*Column, 0, v.Len())
	for e := range v.Elems() {
		if e.Kind() != json.String {
			return nil, dberr.Syntax(v, expected)
		}
		c := t.byName[e.Str()]
		if c == nil {
			return nil, dberr.Syntax(v, "%s is not a valid column name", e.Str())
		}
		if slices.Contains(cols, c) {
			return nil, dberr.Syntax(v, expected)
		}
		cols = append(cols, c)
	}
	return cols, nil
}

func (c *Column) parse(v json.Value) *dberr.Error {
	m := dberr.NewMembers(v, "schema for column "+c.Name)
	mutable := m.Opt("mutable", dberr.WantBool)
	ephemeral := m.Opt("ephemeral", dberr.WantBool)
	typ := m.Get("type", dberr.WantString|dberr.WantObject)
	if err := m.Done(); err != nil {
		return err
	}
	c.Mutable = mutable.Kind() != json.False
	c.Ephemeral, _ = ephemeral.Bool()
	return c.Type.parse(typ)
}

// ParseType reads a column's type: the name of an atomic type, or an object.
func ParseType(text []byte) (*Type, error) {
	v, err := json.Parse(text)
	if err != nil {
		return nil, err
	}
	t := new(Type)
	if err := t.parse(v); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Type) parse(v json.Value) *dberr.Error {
	t.Min, t.Max = 1, 1
	t.Value = NewBaseType(atom.Void)
	if v.Kind() == json.String {
		return t.Key.parse(v)
	}
	m := dberr.NewMembers(v, "ovsdb type")
	key := m.Get("key", dberr.WantString|dberr.WantObject)
	if err := m.Err(); err != nil {
		return err
	}
	if err := t.Key.parse(key); err != nil {
		return err
	}
	if value := m.Opt("value", dberr.WantString|dberr.WantObject); value.Kind() != json.Invalid {
		if err := t.Value.parse(value); err != nil {
			return err
		}
	}
	lo := m.Opt("min", dberr.WantInteger)
	hi := m.Opt("max", dberr.WantInteger|dberr.WantString)
	if err := m.Err(); err != nil {
		return err
	}
	if err := parseCount(lo, &t.Min); err != nil {
		return err
	}
	if hi.Is("unlimited") {
		t.Max = Unlimited
	} else if err := parseCount(hi, &t.Max); err != nil {
		return err
	}
	if err := m.Done(); err != nil {
		return err
	}
	if t.Min > 1 || t.Max < 1 || t.Min > t.Max {
		return dberr.Syntax(v, "ovsdb type fails constraint checks")
	}
	return nil
}

// parseCount reads "min" or "max", where it is there.
func parseCount(v json.Value, n *uint32) *dberr.Error {
	if v.Kind() == json.Invalid {
		return nil
	}
	i, ok := v.Int()
	if !ok || i < 0 || i >= math.MaxUint32 {
		return dberr.Syntax(v, "bad min or max value")
	}
	*n = uint32(i)
	return nil
}

func (b *BaseType) parse(v json.Value) *dberr.Error {
	name := v
	var m *dberr.Members
	if v.Kind() == json.Object {
		m = dberr.NewMembers(v, "ovsdb type")
		name = m.Get("type", dberr.WantString)
		if err := m.Err(); err != nil {
			return err
		}
	}
	t, ok := atom.ParseType(name.Str())
	if !ok {
		return dberr.Syntax(name, "\"%s\" is not an atomic-type", name.Str())
	}
	*b = NewBaseType(t)
	if m == nil {
		return nil
	}
	if enum := m.Opt("enum", dberr.WantAny); enum.Kind() != json.Invalid {
		if err := b.parseEnum(enum); err != nil {
			return err
		}
	} else if err := b.parseLimits(v, m); err != nil {
		return err
	}
	return m.Done()
}

// parseEnum reads a set of at least one atom.
func (b *BaseType) parseEnum(v json.Value) *dberr.Error {
	if v.Kind() == json.Array && v.Len() == 2 && v.At(0).Is("set") && v.At(1).Kind() == json.Array {
		n := v.At(1).Len()
		if n == 0 {
			return dberr.Syntax(v, "set must have 1 to %d members but 0 are present", uint32(Unlimited))
		}
		b.Enum = make([]atom.Atom, 0, n)
		for e := range v.At(1).Elems() {
			a, err := atom.ParseJSON(e, b.Type, nil)
			if err != nil {
				return err
			}
			b.Enum = append(b.Enum, a)
		}
		slices.SortFunc(b.Enum, atom.Atom.Compare)
		for i := 1; i < n; i++ {
			if b.Enum[i] == b.Enum[i-1] {
				return dberr.New(dberr.OVSDBError, "set contains duplicate")
			}
		}
		return nil
	}
	a, err := atom.ParseJSON(v, b.Type, nil)
	if err != nil {
		return err
	}
	b.Enum = []atom.Atom{a}
	return nil
}

func (b *BaseType) parseLimits(v json.Value, m *dberr.Members) *dberr.Error {
	switch b.Type {
	case atom.Integer:
		lo, hi := m.Opt("minInteger", dberr.WantInteger), m.Opt("maxInteger", dberr.WantInteger)
		if n, ok := lo.Int(); ok {
			b.MinInteger = n
		}
		if n, ok := hi.Int(); ok {
			b.MaxInteger = n
		}
		if m.Err() == nil && b.MinInteger > b.MaxInteger {
			return dberr.Syntax(v, "minInteger exceeds maxInteger")
		}
	case atom.Real:
		lo, hi := m.Opt("minReal", dberr.WantNumber), m.Opt("maxReal", dberr.WantNumber)
		if f, ok := lo.Float(); ok {
			b.MinReal = f
		}
		if f, ok := hi.Float(); ok {
			b.MaxReal = f
		}
		if m.Err() == nil && b.MinReal > b.MaxReal {
			return dberr.Syntax(v, "minReal exceeds maxReal")
		}
	case atom.String:
		for _, f := range []struct {
			name string
			n    *uint32
		}{{"minLength", &b.MinLength}, {"maxLength", &b.MaxLength}} {
			l := m.Opt(f.name, dberr.WantInteger)
			if n, ok := l.Int(); ok {
				if n < 0 || n > math.MaxUint32 {
					return dberr.Syntax(l, "%s out of valid range 0 to %d", f.name, uint32(math.MaxUint32))
				}
				*f.n = uint32(n)
			}
		}
		if m.Err() == nil && b.MinLength > b.MaxLength {
			return dberr.Syntax(v, "minLength exceeds maxLength")
		}
	case atom.UUIDType:
		table := m.Opt("refTable", dberr.WantID)
		if table.Kind() == json.Invalid {
			break
		}
		b.RefTableName = table.Str()
		kind := m.Opt("refType", dberr.WantID)
		switch {
		case kind.Kind() == json.Invalid, kind.Is("strong"):
		case kind.Is("weak"):
			b.RefType = Weak
		default:
			return dberr.Syntax(v, "refType must be \"strong\" or \"weak\" (not \"%s\")", kind.Str())
		}
	}
	return nil
}
