package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"unicode/utf8"
)

// A generator makes transactions over a model. It guesses which rows exist:
// UUIDs come from a small pool for each table, and inserts name theirs (the
// "uuid" member of ovsdb-server(7)), so that both servers hold the same ones.
type generator struct {
	r        *rand.Rand
	m        *model
	pools    map[string][]string
	alive    map[string][]string // what a successful transaction inserted, by table
	named    []namedRow          // named UUIDs of the transaction at hand
	forward  []namedRow          // names that it uses before it inserts their rows
	born     []namedRow          // rows of the step at hand whose UUIDs the servers chose
	flawless bool                // no mistakes
	noNames  bool                // named UUIDs are of no use
	watches  []*watch
	contents map[string]array // of the tables, after the last transaction
	requests int
	alone    bool // the value at hand is the only one in its column, so a name cannot repeat another's row
	erred    bool // the operation at hand has its mistake
}

// A namedRow is an insert's "uuid-name", and its table.
type namedRow struct{ name, table string }

func newGenerator(r *rand.Rand, m *model) *generator {
	g := &generator{r: r, m: m, pools: map[string][]string{}, alive: map[string][]string{}}
	for i := range 8 * len(m.tables) {
		name := m.tables[i%len(m.tables)].name
		g.pools[name] = append(g.pools[name], g.newUUID())
	}
	return g
}

func (g *generator) newUUID() string {
	r := g.r
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.IntN(1<<16), r.IntN(1<<12), r.IntN(1<<12), r.Int64N(1<<48))
}

func (g *generator) chance(percent int) bool { return g.r.IntN(100) < percent }

// wrong is chance for a mistake. It makes one in an operation at the most: which
// of two a server names first is not part of the protocol.
func (g *generator) wrong(percent int) bool {
	if g.erred || g.flawless || !g.chance(percent) {
		return false
	}
	g.erred = true
	return true
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// transact makes the parameters of one transact request.
func (g *generator) transact() array {
	g.named, g.forward, g.alone = nil, nil, true
	params := array{"Oracle"}
	if g.chance(1) {
		params[0] = pick[any](g.r, "Nope", 3, nil)
	}
	for range 1 + g.r.IntN(4) {
		params = append(params, g.operation())
	}
	for _, f := range g.forward {
		g.erred = false
		for _, t := range g.m.tables {
			if t.name == f.table && g.chance(90) {
				params = append(params, object{"op": "insert", "table": t.name, "row": g.row(t, 60), "uuid-name": f.name})
			}
		}
	}
	return params
}

// committed tells the generator that a transaction succeeded.
func (g *generator) committed(ops array) {
	for _, p := range ops {
		op, _ := p.(object)
		if uuid, ok := op["uuid"].(string); ok && op["op"] == "insert" {
			g.add(op["table"].(string), uuid)
		}
	}
}

// add takes note of a row.
func (g *generator) add(t, id string) {
	g.alive[t] = append(g.alive[t], id)
	if len(g.alive[t]) > 8 {
		g.alive[t] = g.alive[t][1:]
	}
}

// saw takes note of what the tables hold. Rows whose UUIDs the servers chose are
// only spoken of while they are there: our server brings back what went for
// want of a reference (see docs/decisions).
func (g *generator) saw(contents map[string]array) {
	g.contents = contents
	for _, b := range g.born {
		for _, row := range contents[b.table] {
			if row.(object)["_uuid"].(array)[1] == b.name {
				g.add(b.table, b.name)
			}
		}
	}
	g.born = nil
}

func (g *generator) operation() any {
	g.erred = false
	if g.wrong(1) {
		return pick[any](g.r, nil, 7, "insert", array{}, object{}, object{"op": "fly"}, object{"op": 1})
	}
	t := pick(g.r, g.m.tables...)
	op := object{}
	switch g.r.IntN(20) {
	case 0, 1, 2, 3, 4, 5, 6:
		op["op"], op["table"], op["row"] = "insert", t.name, g.row(t, 60)
		if !g.chance(15) {
			op["uuid"] = pick(g.r, g.pools[t.name]...)
			for i := 0; i < 4 && slices.Contains(g.alive[t.name], op["uuid"].(string)); i++ {
				op["uuid"] = pick(g.r, g.pools[t.name]...)
			}
		}
		if g.chance(40) {
			name := fmt.Sprintf("n%d", g.r.IntN(4))
			op["uuid-name"] = name
			g.named = append(g.named, namedRow{name, t.name})
		}
	case 7, 8, 9, 10:
		op["op"], op["table"], op["where"], op["row"] = "update", t.name, g.where(t), g.row(t, 30)
	case 11, 12, 13, 14:
		op["op"], op["table"], op["where"], op["mutations"] = "mutate", t.name, g.where(t), g.mutations(t)
	case 15:
		op["op"], op["table"], op["where"] = "delete", t.name, g.where(t)
	case 16, 17:
		op["op"], op["table"], op["where"] = "select", t.name, g.where(t)
		if g.chance(50) {
			op["columns"] = g.columns(t)
			if g.chance(30) {
				op["sort"] = op["columns"]
			}
		}
	case 18:
		op["op"], op["table"], op["where"] = "wait", t.name, g.where(t)
		op["timeout"] = 0
		op["columns"] = g.columns(t)
		op["until"] = pick(g.r, "==", "!=")
		rows := array{}
		for range g.r.IntN(3) {
			rows = append(rows, g.row(t, 40))
		}
		op["rows"] = rows
	case 19:
		switch g.r.IntN(8) {
		case 0:
			op["op"], op["durable"] = "commit", g.chance(20)
		case 1:
			op["op"] = "abort"
		case 2:
			op["op"], op["lock"] = "assert", "somelock"
		default:
			op["op"], op["comment"] = "comment", g.str()
		}
	}
	if g.wrong(1) {
		g.damage(op)
	}
	return op
}

// damage makes an operation malformed in one place.
func (g *generator) damage(op object) {
	var keys []string
	for _, k := range []string{"op", "table", "row", "where", "mutations", "columns", "until", "rows", "uuid-name", "comment", "lock", "durable"} {
		if _, ok := op[k]; ok {
			keys = append(keys, k)
		}
	}
	k := pick(g.r, keys...)
	switch g.r.IntN(4) {
	case 0:
		delete(op, k)
	case 1:
		op[k] = pick[any](g.r, nil, true, -1, 1.5, "x", array{}, object{}, array{"set", array{}}, array{array{}})
	case 2:
		op["extra"] = 1
	case 3:
		op["table"] = "Nope"
	}
}

func (g *generator) columns(t *table) any {
	names := array{}
	for _, c := range t.columns {
		if g.chance(40) {
			names = append(names, c.name)
		}
	}
	if g.chance(10) {
		names = append(names, "_uuid")
	}
	if g.wrong(2) {
		names = append(names, pick(g.r, "nope", "_version", "c0"))
	}
	return names
}

func (g *generator) row(t *table, percent int) object {
	row := object{}
	for _, c := range t.columns {
		if !c.mutable && percent == 30 && !g.wrong(5) { // an update
			continue
		}
		if g.chance(percent) || c.key.refTable != "" && g.chance(60) {
			row[c.name] = g.datum(c)
		}
	}
	if g.wrong(1) {
		row[pick(g.r, "nope", "_uuid", "_version")] = g.scalar(&base{atomic: "uuid"})
	}
	return row
}

func (g *generator) where(t *table) any {
	if g.chance(20) {
		return array{}
	}
	if g.chance(50) {
		return array{array{"_uuid", pick(g.r, "==", "==", "==", "!="), g.uuid(&base{atomic: "uuid", refTable: t.name})}}
	}
	conditions := array{}
	for range 1 + g.r.IntN(2) {
		if g.chance(5) {
			conditions = append(conditions, pick[any](g.r, true, false))
			continue
		}
		c := pick(g.r, t.columns...)
		functions := []string{"==", "!=", "includes", "excludes"}
		if c.value == nil && (c.max == 1 || !g.flawless) && (c.key.atomic == "integer" || c.key.atomic == "real") || g.wrong(3) {
			functions = append(functions, "<", "<=", ">", ">=")
		}
		if g.wrong(1) {
			functions = []string{"=~", ""}
		}
		f := pick(g.r, functions...)
		arg := g.datum(c)
		if g.flawless && (f[0] == '<' || f[0] == '>') {
			arg = g.scalar(c.key)
		}
		conditions = append(conditions, array{c.name, f, arg})
	}
	return conditions
}

func (g *generator) mutations(t *table) any {
	mutations := array{}
	for range 1 + g.r.IntN(2) {
		c := pick(g.r, t.columns...)
		var mutators []string
		if c.key.atomic == "integer" || c.key.atomic == "real" || g.wrong(5) {
			mutators = append(mutators, "+=", "-=", "*=", "/=", "%=")
		}
		if c.max != 1 || c.min == 0 || g.wrong(5) {
			mutators = append(mutators, "insert", "delete")
		}
		if mutators == nil || !c.mutable && !g.wrong(10) {
			continue
		}
		m := pick(g.r, mutators...)
		var arg any
		switch {
		case m == "insert":
			arg = g.datum(c)
		case m == "delete":
			arg = g.datum(c)
			if c.value != nil && g.chance(40) {
				arg = g.set(c.key, 0, 3)
			}
		default:
			// C's server dies of an integer *= 0 and takes some products that fit
			// for too large: see differences.txt.
			arg = g.scalar(c.key)
			if m == "*=" {
				arg = 1 + g.r.IntN(3)
			} else if (m == "/=" || m == "%=") && arg == 0 && !g.wrong(20) {
				arg = 2
			} else if g.chance(10) {
				arg = pick[any](g.r, 1, 0.5, 1e300)
			}
		}
		mutations = append(mutations, array{c.name, m, arg})
	}
	return mutations
}

// datum makes a value for a column: a fitting one, most of the time.
func (g *generator) datum(c *column) any {
	if g.chance(50) && g.wrong(1) {
		return pick[any](g.r, nil, true, 3, "x", 0.5, array{"set"}, array{"set", 1}, array{"map", array{array{1}}}, array{"uuid", "zz"}, array{}, object{})
	}
	if c.value != nil {
		pairs := array{}
		for _, key := range g.elements(c.key, g.count(c)) {
			pairs = append(pairs, array{key, g.scalar(c.value)})
		}
		return array{"map", pairs}
	}
	if c.min == 1 && c.max == 1 && !g.chance(5) {
		return g.scalar(c.key)
	}
	n := g.count(c)
	if n == 1 && g.chance(50) {
		return g.scalar(c.key)
	}
	return g.set(c.key, n, n)
}

func (g *generator) count(c *column) int {
	hi := c.max
	if hi == 0 {
		hi = 4
	}
	if g.wrong(3) {
		return g.r.IntN(6)
	}
	return c.min + g.r.IntN(hi-c.min+1)
}

func (g *generator) set(b *base, lo, hi int) any {
	return array{"set", g.elements(b, lo+g.r.IntN(hi-lo+1))}
}

// elements makes n values or fewer; they differ, most of the time.
func (g *generator) elements(b *base, n int) array {
	elements := array{}
	seen := map[string]bool{}
	g.alone = n == 1
	defer func() { g.alone = true }()
	for try := 0; len(elements) < n && try < 6*n; try++ {
		v := g.scalar(b)
		text, _ := json.Marshal(v)
		if seen[string(text)] && !g.wrong(2) {
			continue
		}
		seen[string(text)] = true
		elements = append(elements, v)
	}
	return elements
}

func (g *generator) scalar(b *base) any {
	if b.enum != nil && !g.wrong(3) {
		return pick(g.r, b.enum...)
	}
	if g.chance(30) && g.wrong(1) {
		return pick[any](g.r, true, "x", 1, 2.5, json.Number("9223372036854775808"))
	}
	switch b.atomic {
	case "integer":
		if g.wrong(3) {
			return pick[any](g.r, json.Number("9223372036854775807"), json.Number("-9223372036854775807"), json.Number("3.0"), json.Number("1e2"), 4.5)
		}
		return g.r.IntN(6)
	case "real":
		if b.max == nil && g.chance(20) {
			return pick[any](g.r, json.Number("1e10"), json.Number("0.1"), json.Number("1e-7"), json.Number("123456789012345680"), json.Number("1e300"), json.Number("3.141592653589793"))
		}
		return float64(g.r.IntN(20)) / 4
	case "boolean":
		return g.chance(50)
	case "string":
		s := g.str()
		if b.max != nil && utf8.RuneCountInString(s) > 3 && !g.wrong(20) {
			s = "ab"
		}
		return s
	default:
		return g.uuid(b)
	}
}

func (g *generator) str() string {
	if g.chance(5) {
		return pick(g.r, "é", "日本", "\U0001F600", "a\"b\\c", "tab\t", "\u0001", "/", "<&>", "long string here")
	}
	return pick(g.r, "", "a", "b", "c", "ab", "abc")
}

func (g *generator) uuid(b *base) any {
	if !g.noNames && g.chance(15) {
		if g.alone && b.refTable != "" && g.chance(15) {
			f := namedRow{fmt.Sprintf("f%d", len(g.forward)), b.refTable}
			g.forward = append(g.forward, f)
			return array{"named-uuid", f.name}
		}
		// C mistakes a reference to another table's row of the row's own id for
		// one to itself, and does not know a name before the insert that gives
		// it an explicit uuid: see differences.txt.
		if g.alone && len(g.named) > 0 && !g.chance(10) {
			if n := pick(g.r, g.named...); b.refTable == "" || b.refTable == n.table {
				return array{"named-uuid", n.name}
			}
		}
		if g.chance(20) {
			return array{"named-uuid", fmt.Sprintf("nobody%d", g.r.IntN(4))}
		}
	}
	from := b.refTable
	if from == "" {
		from = pick(g.r, g.m.tables...).name
	}
	if alive := g.alive[from]; len(alive) > 0 && g.chance(90) {
		return array{"uuid", pick(g.r, alive...)}
	}
	return array{"uuid", pick(g.r, g.pools[from]...)}
}
