package query

import (
	"strings"
	"testing"

	"govs/internal/json"
	"govs/ovsdb/data"
	"govs/schema"
)

// row is a row of the test's table, by column names.
type row map[string]data.Datum

func (r row) Get(c *schema.Column) data.Datum {
	if d, ok := r[c.Name]; ok {
		return d
	}
	return data.Default(&c.Type)
}

func table(t *testing.T) *schema.Table {
	t.Helper()
	s, err := schema.Parse([]byte(`{"name":"Q","version":"1.0.0","tables":{"T":{"columns":{
		"i":{"type":"integer"},"r":{"type":"real"},"b":{"type":"boolean"},"s":{"type":"string"},
		"oi":{"type":{"key":"integer","min":0,"max":1}},
		"is":{"type":{"key":"integer","min":0,"max":"unlimited"}},
		"one":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":99},"min":1,"max":2}},
		"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
		"fix":{"mutable":false,"type":"integer"}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return s.Table("T")
}

func value(t *testing.T, text string) json.Value {
	t.Helper()
	v, err := json.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return v
}

func datum(t *testing.T, tab *schema.Table, col, text string) data.Datum {
	t.Helper()
	d, err := data.ParseJSON(value(t, text), &tab.Column(col).Type, nil)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return d
}

// TestConditions: what a clause says of one value, in each case those that hold
// and those that do not.
func TestConditions(t *testing.T) {
	tab := table(t)
	for _, c := range []struct{ col, val, clauses string }{
		{"i", `5`, `["i","==",5] ["i","!=",4] ["i","<",6] ["i","<=",5] ["i",">",4] ["i",">=",5] ["i","includes",5] ["i","excludes",4] true` +
			` | ["i","==",4] ["i","!=",5] ["i","<",5] ["i","<=",4] ["i",">",5] ["i",">=",6] ["i","includes",4] ["i","excludes",5] false`},
		{"r", `1.5`, `["r","<",2] ["r",">=",1.5] ["r","==",1.5] | ["r",">",1.5] ["r","==",1]`},
		{"b", `true`, `["b","==",true] ["b","includes",true] | ["b","!=",true] ["b","excludes",true]`},
		{"s", `"x"`, `["s","==","x"] ["s","excludes","y"] | ["s","==","y"] ["s","!=","x"]`},
		{"oi", `["set",[]]`, `["oi","==",["set",[]]] ["oi","includes",["set",[]]] ["oi","excludes",3] | ["oi","<",3] ["oi",">",3] ["oi","==",3] ["oi","includes",3]`},
		{"oi", `3`, `["oi","<",4] ["oi","<=",3] ["oi","includes",3] ["oi","includes",["set",[]]] ["oi","excludes",["set",[1,2]]] | ["oi",">",3] ["oi","==",["set",[]]]`},
		{"is", `["set",[1,2,3]]`, `["is","==",["set",[3,2,1]]] ["is","includes",["set",[1,3]]] ["is","includes",["set",[]]] ["is","excludes",["set",[4,5]]]` +
			` | ["is","==",["set",[1,2]]] ["is","includes",["set",[1,4]]] ["is","excludes",["set",[3,4]]]`},
		{"m", `["map",[["a",1],["b",2]]]`, `["m","includes",["map",[["a",1]]]] ["m","excludes",["map",[["a",2]]]] ["m","==",["map",[["b",2],["a",1]]]]` +
			` | ["m","includes",["map",[["a",2]]]] ["m","excludes",["map",[["a",1],["c",3]]]] ["m","!=",["map",[["a",1],["b",2]]]]`},
	} {
		r := row{c.col: datum(t, tab, c.col, c.val)}
		yes, no, _ := strings.Cut(c.clauses, " | ")
		for i, list := range []string{yes, no} {
			for _, clause := range strings.Fields(list) {
				cond, err := ParseCondition(value(t, "["+clause+"]"), tab, nil)
				if err != nil {
					t.Errorf("%s: %v", clause, err)
					continue
				}
				if got := cond.All(r); got != (i == 0) || cond.Any(r) != got {
					t.Errorf("%s on %s: %v", clause, c.val, got)
				}
			}
		}
	}
}

// TestLists: an operation wants all clauses, a monitor one of them; none of
// them is every row for both.
func TestLists(t *testing.T) {
	tab := table(t)
	r := row{"i": datum(t, tab, "i", "5")}
	for _, c := range []struct {
		where    string
		all, any bool
	}{
		{`[]`, true, true},
		{`[["i","==",5],["i","==",6]]`, false, true},
		{`[["i","==",5],true]`, true, true},
		{`[["i","==",6],false]`, false, false},
	} {
		cond, err := ParseCondition(value(t, c.where), tab, nil)
		if err != nil {
			t.Fatal(err)
		}
		if cond.All(r) != c.all || cond.Any(r) != c.any {
			t.Errorf("%s: %v, %v", c.where, cond.All(r), cond.Any(r))
		}
	}
}

// TestErrors: the texts are those of the C server.
func TestErrors(t *testing.T) {
	tab := table(t)
	for _, c := range []struct{ kind, in, want string }{
		{"where", `{}`, `syntax "{}": syntax error: array expected`},
		{"where", `[3]`, `syntax "3": syntax error: Parse error in condition.`},
		{"where", `[["i","=="]]`, `syntax "["i","=="]": syntax error: Parse error in condition.`},
		{"where", `[["z","==",1]]`, `syntax "["z","==",1]": unknown column: No column z in table T.`},
		{"where", `[["i","~",1]]`, `unknown function: No function named ~.`},
		{"where", `[["s","<","x"]]`, `syntax "["s","<","x"]": syntax error: Type mismatch: "<" operator may not be applied to column s of type string.`},
		{"where", `[["i","==","x"]]`, `syntax ""x"": syntax error: expected integer`},
		{"mutations", `{}`, `syntax "{}": syntax error: array expected`},
		{"mutations", `[["i","+="]]`, `syntax "["i","+="]": syntax error: Parse error in mutation.`},
		{"mutations", `[["z","+=",1]]`, `syntax "["z","+=",1]": unknown column: No column z in table T.`},
		{"mutations", `[["i","~",1]]`, `unknown mutator: No mutator named ~.`},
		{"mutations", `[["r","%=",1]]`, `syntax "["r","%=",1]": syntax error: Type mismatch: "%=" operator may not be applied to column r of type real.`},
		{"mutations", `[["i","insert",1]]`, `syntax "["i","insert",1]": syntax error: Type mismatch: "insert" operator may not be applied to column i of type integer.`},
		{"mutations", `[["fix","+=",1]]`, `syntax "["fix","+=",1]": constraint violation: Cannot mutate immutable column fix in table T.`},
	} {
		var err error
		if c.kind == "where" {
			if _, e := ParseCondition(value(t, c.in), tab, nil); e != nil {
				err = e
			}
		} else if _, e := ParseMutations(value(t, c.in), tab, nil); e != nil {
			err = e
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\n got  %v\n want %s", c.in, err, c.want)
		}
	}
}

// TestMutations: what a mutation makes of a value, or the error.
func TestMutations(t *testing.T) {
	tab := table(t)
	const (
		top    = "9223372036854775807"
		bottom = "-9223372036854775808"
	)
	for _, c := range []struct{ col, val, op, arg, want string }{
		{"i", "7", "+=", "3", "10"},
		{"i", "7", "-=", "9", "-2"},
		{"i", "7", "*=", "-3", "-21"},
		{"i", "-7", "/=", "2", "-3"},
		{"i", "-7", "%=", "2", "-1"},
		{"i", top, "+=", "1", "range error"},
		{"i", bottom, "-=", "1", "range error"},
		{"i", top, "+=", "0", top},
		{"i", bottom, "-=", "0", bottom},
		{"i", "4611686018427387904", "*=", "2", "range error"},
		{"i", "-4611686018427387904", "*=", "2", bottom},
		{"i", bottom, "*=", "-1", "range error"},
		{"i", "-1", "*=", bottom, "range error"},
		{"i", bottom, "/=", "-1", "range error"},
		{"i", "1", "/=", "0", "domain error"},
		{"i", "1", "%=", "0", "domain error"},
		{"r", "1.5", "*=", "3", "4.5"},
		{"r", "1.5", "/=", "0", "domain error"},
		{"r", "1e308", "*=", "10", "range error"},
		{"oi", `["set",[]]`, "+=", "1", `["set",[]]`},
		{"is", `["set",[1,2,3]]`, "*=", "2", `["set",[2,4,6]]`},
		{"is", `["set",[1,2,3]]`, "/=", "2", "constraint violation"},
		{"is", `["set",[1,2]]`, "insert", `["set",[2,5]]`, `["set",[1,2,5]]`},
		{"is", `["set",[1,2]]`, "delete", `["set",[2,5]]`, `1`},
		{"one", `["set",[1,2]]`, "insert", `3`, "constraint violation"},
		{"one", `1`, "delete", `1`, "constraint violation"},
		{"one", `["set",[1,98]]`, "+=", `2`, "constraint violation"},
		{"m", `["map",[["a",1]]]`, "insert", `["map",[["a",9],["b",2]]]`, `["map",[["a",1],["b",2]]]`},
		{"m", `["map",[["a",1],["b",2]]]`, "delete", `["map",[["a",9],["b",2]]]`, `["map",[["a",1]]]`},
		{"m", `["map",[["a",1],["b",2]]]`, "delete", `["set",["a","c"]]`, `["map",[["b",2]]]`},
	} {
		list, err := ParseMutations(value(t, `[["`+c.col+`","`+c.op+`",`+c.arg+`]]`), tab, nil)
		if err != nil {
			t.Fatalf("%s %s: %v", c.op, c.arg, err)
		}
		d, err := list[0].Apply(datum(t, tab, c.col, c.val))
		got := string(d.AppendJSON(nil, &tab.Column(c.col).Type))
		if err != nil {
			got = err.Tag
		}
		if got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.val, c.op, c.arg, got, c.want)
		}
	}
}
