package data

import (
	"math/rand/v2"
	"testing"

	"govs/internal/json"
	"govs/schema"
	"govs/schema/atom"
)

func typ(t testing.TB, text string) *schema.Type {
	t.Helper()
	ty, err := schema.ParseType([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return ty
}

func value(t testing.TB, text string, ty *schema.Type) Datum {
	t.Helper()
	v, err := json.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d, e := ParseJSON(v, ty, nil)
	if e != nil {
		t.Fatalf("%s: %v", text, e)
	}
	return d
}

func TestWireForm(t *testing.T) {
	const set = `{"key":"integer","min":0,"max":"unlimited"}`
	const mapping = `{"key":"string","value":"real","min":0,"max":"unlimited"}`
	for _, c := range []struct{ typ, in, want string }{
		{`"integer"`, `3`, `3`}, {`"integer"`, `["set",[3]]`, `3`}, {`"boolean"`, `true`, `true`}, {`"real"`, `3`, `3`}, {`"string"`, `"a\"b"`, `"a\"b"`},
		{`"uuid"`, `["uuid","ABCDEF00-0000-0000-0000-000000000001"]`, `["uuid","abcdef00-0000-0000-0000-000000000001"]`},
		{set, `["set",[]]`, `["set",[]]`}, {set, `5`, `5`}, {set, `["set",[3,-1,2]]`, `["set",[-1,2,3]]`},
		{mapping, `["map",[]]`, `["map",[]]`}, {mapping, `["map",[["b",1.5],["a",2]]]`, `["map",[["a",2],["b",1.5]]]`},
	} {
		ty := typ(t, c.typ)
		if got := string(value(t, c.in, ty).AppendJSON(nil, ty)); got != c.want {
			t.Errorf("%s of %s: got %s, want %s", c.in, c.typ, got, c.want)
		}
	}
}

func TestDefault(t *testing.T) {
	for _, c := range []struct{ typ, want string }{
		{`"integer"`, `0`}, {`"real"`, `0`}, {`"boolean"`, `false`}, {`"string"`, `""`}, {`"uuid"`, `["uuid","00000000-0000-0000-0000-000000000000"]`},
		{`{"key":"integer","min":0}`, `["set",[]]`}, {`{"key":"integer","max":3}`, `0`}, {`{"key":"integer","value":"string","min":0}`, `["map",[]]`},
		{`{"key":"integer","value":"string"}`, `["map",[[0,""]]]`},
	} {
		ty := typ(t, c.typ)
		if got := string(Default(ty).AppendJSON(nil, ty)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.typ, got, c.want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { Default(typeInt) }); n != 0 {
		t.Errorf("a default value takes %v allocations", n)
	}
}

var typeInt = &schema.Type{Key: schema.NewBaseType(atom.Integer), Value: schema.NewBaseType(atom.Void), Min: 1, Max: 1}

func TestDiff(t *testing.T) {
	const set = `{"key":"integer","min":0,"max":"unlimited"}`
	const mapping = `{"key":"string","value":"integer","min":0,"max":"unlimited"}`
	for _, c := range []struct{ typ, old, new, want string }{
		{`"integer"`, `1`, `2`, `2`},
		{`{"key":"integer","min":0}`, `1`, `["set",[]]`, `["set",[]]`},
		{set, `["set",[1,2,3]]`, `["set",[2,3,4]]`, `["set",[1,4]]`},
		{set, `["set",[]]`, `["set",[2,3]]`, `["set",[2,3]]`},
		{set, `["set",[2,3]]`, `["set",[]]`, `["set",[2,3]]`},
		{mapping, `["map",[["a",1],["b",2],["c",3]]]`, `["map",[["b",5],["c",3],["d",4]]]`, `["map",[["a",1],["b",5],["d",4]]]`},
	} {
		ty := typ(t, c.typ)
		a, b := value(t, c.old, ty), value(t, c.new, ty)
		d := Diff(a, b, ty)
		if got := string(d.AppendJSON(nil, ty)); got != c.want {
			t.Errorf("%s to %s: got %s, want %s", c.old, c.new, got, c.want)
		}
		if back, err := ApplyDiff(a, d, ty); err != nil || !back.Equal(b) {
			t.Errorf("%s and %s: got %s, %v", c.old, c.want, back.AppendJSON(nil, ty), err)
		}
	}
}

// TestSetAlgebra compares the operations on sets of UUIDs, large ones among them,
// with sets made the slow way.
func TestSetAlgebra(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 2))
	ty := typ(t, `{"key":"uuid","min":0,"max":"unlimited"}`)
	pick := func(n, of int) map[byte]bool {
		m := map[byte]bool{}
		for range n {
			m[byte(g.IntN(of))] = true
		}
		return m
	}
	datum := func(m map[byte]bool) Datum {
		var a []atom.Atom
		for b := range m {
			a = append(a, atom.ID(atom.UUID{3: b}))
		}
		return Set(a...)
	}
	for range 2000 {
		of := 1 + g.IntN(250)
		x, y := pick(g.IntN(120), of), pick(g.IntN(6), of)
		union, minus, diff, added := map[byte]bool{}, map[byte]bool{}, map[byte]bool{}, map[byte]bool{}
		includes, excludes := true, true
		for b := range x {
			union[b] = true
			if !y[b] {
				minus[b], diff[b] = true, true
			}
		}
		for b := range y {
			union[b] = true
			if !x[b] {
				diff[b], added[b] = true, true
				includes = false
			} else {
				excludes = false
			}
		}
		a, b := datum(x), datum(y)
		for what, d := range map[string][2]Datum{
			"union": {Union(a, b, false), datum(union)}, "difference": {Subtract(a, b, false, false), datum(minus)},
			"diff": {Diff(a, b, ty), datum(diff)}, "added": {Added(a, b), datum(added)},
		} {
			if !d[0].Equal(d[1]) || d[0].Compare(d[1]) != 0 {
				t.Fatalf("%s of %d and %d elements: got %s, want %s", what, len(x), len(y), d[0].AppendJSON(nil, ty), d[1].AppendJSON(nil, ty))
			}
		}
		if Includes(a, b) != includes || Excludes(a, b) != excludes {
			t.Fatal("includes or excludes")
		}
		if back, _ := ApplyDiff(a, Diff(a, b, ty), ty); !back.Equal(b) {
			t.Fatal("a diff does not lead to the new value")
		}
	}
}

func FuzzParse(f *testing.F) {
	types := []*schema.Type{}
	for _, text := range []string{`"integer"`, `"real"`, `"boolean"`, `"string"`, `"uuid"`, `{"key":"integer","min":0,"max":"unlimited"}`,
		`{"key":"uuid","min":0,"max":3}`, `{"key":"string","value":"integer","min":0,"max":"unlimited"}`,
		`{"key":{"type":"string","enum":["set",["a","b"]]},"value":{"type":"real","maxReal":4},"min":0,"max":2}`,
		`{"key":{"type":"string","minLength":1,"maxLength":2},"min":0,"max":1}`} {
		types = append(types, typ(f, text))
	}
	for i, s := range []string{`1`, `2.5`, `true`, `"a"`, `["uuid","00000000-0000-0000-0000-000000000001"]`, `["set",[3,1]]`,
		`["set",[["uuid","00000000-0000-0000-0000-000000000001"]]]`, `["map",[["x",1],["a",2]]]`, `["map",[["a",1.5]]]`, `"ab"`, `["named-uuid","x"]`} {
		f.Add([]byte(s), uint8(i))
	}
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		v, err := json.Parse(in)
		if err != nil {
			return
		}
		ty := types[int(which)%len(types)]
		d, fault := ParseJSON(v, ty, func(string) (atom.UUID, bool) { return atom.UUID{1}, true })
		if fault != nil {
			return
		}
		if err := Check(d, ty); err != nil {
			t.Fatalf("%s was accepted: %v", in, err)
		}
		out := d.AppendJSON(nil, ty)
		again := value(t, string(out), ty)
		if ty.Key.Type == atom.Real || ty.Value.Type == atom.Real {
			return // printed with 15 digits
		}
		if !again.Equal(d) {
			t.Fatalf("%s became %s", in, out)
		}
	})
}

// TestKnownKeys reads maps whose keys were read before, by themselves or in
// another column.
func TestKnownKeys(t *testing.T) {
	const (
		ints = `{"key":"string","value":{"type":"integer","minInteger":0},"min":0,"max":"unlimited"}`
		strs = `{"key":"string","value":"string","min":0,"max":3}`
		enum = `{"key":{"type":"string","enum":["set",["a","b"]]},"value":"string","min":0,"max":"unlimited"}`
	)
	for range 2 {
		for _, c := range []struct{ typ, in, want string }{
			{ints, `["map",[["a",1],["b",2]]]`, `["map",[["a",1],["b",2]]]`},
			{ints, `["map",[["b",1],["a",2]]]`, `["map",[["a",2],["b",1]]]`},
			{ints, `["map",[["a",1]]]`, `["map",[["a",1]]]`},
			{ints, `["map",[["a\u0062",1]]]`, `["map",[["ab",1]]]`},
			{ints, `["map",[["a",1],["b",-2]]]`, ``},
			{ints, `["map",[["a",1],["b","2"]]]`, ``},
			{ints, `["map",[["a",1],["b",2,3]]]`, ``},
			{ints, `["map",[["a",1],["a",1]]]`, ``},
			{strs, `["map",[["a","x"],["b","y"]]]`, `["map",[["a","x"],["b","y"]]]`},
			{strs, `["map",[["a","x"],["b","y"],["c",""],["d",""]]]`, ``},
			{strs, `["map",[["a",1],["b","y"]]]`, ``},
			{enum, `["map",[["a","x"],["b","y"]]]`, `["map",[["a","x"],["b","y"]]]`},
			{enum, `["map",[["a","x"],["c","y"]]]`, ``},
		} {
			ty := typ(t, c.typ)
			v, err := json.Parse([]byte(c.in))
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			d, e := ParseJSON(v, ty, nil)
			if e == nil {
				got = string(d.AppendJSON(nil, ty))
			}
			if got != c.want {
				t.Errorf("%s: got %s, %v, want %s", c.in, got, e, c.want)
			}
		}
	}
	ty := typ(t, strs)
	a, b := value(t, `["map",[["k","x"],["l","y"]]]`, ty), value(t, `["map",[["k","p"],["l","q"]]]`, ty)
	if x, y := a.r.(*mapping).keys.(manyStr), b.r.(*mapping).keys.(manyStr); &x[0] != &y[0] {
		t.Error("two maps with the same keys do not share them")
	}
}
