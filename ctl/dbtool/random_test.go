package dbtool

import (
	"fmt"
	"math/rand/v2"
)

// mixed is a schema with each kind of column, references and rows that go when
// nothing refers to them.
const mixed = `{"name":"D","version":"1.2.3","cksum":"1 2","tables":{
"T":{"isRoot":true,"columns":{
 "name":{"type":"string"},"n":{"type":"integer"},"r":{"type":"real"},"b":{"type":"boolean"},
 "o":{"type":{"key":"string","min":0,"max":1}},
 "s":{"type":{"key":"string","min":0,"max":"unlimited"}},
 "i":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":9},"min":1,"max":4}},
 "m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
 "e":{"type":"string","ephemeral":true},
 "w":{"type":{"key":{"type":"uuid","refTable":"T","refType":"weak"},"min":0,"max":"unlimited"}},
 "u":{"type":{"key":{"type":"uuid","refTable":"U"},"min":0,"max":"unlimited"}},
 "k":{"type":{"key":"string","value":{"type":"uuid","refTable":"U"},"min":0,"max":"unlimited"}}}},
"U":{"columns":{"name":{"type":"string"},"ids":{"type":{"key":"uuid","min":0,"max":"unlimited"}}}}}}`

// chance makes random transactions for the schema.
type chance struct {
	*rand.Rand
	named int
}

func (c *chance) word() string {
	words := []string{"", "a", "b b", "c\"\\", "d\n\te", "é€", "\U0001f600", "_date", "OVSDB JSON 5", "\x01", "true", "00"}
	return words[c.IntN(len(words))]
}

func (c *chance) set(most int, f func() any) any {
	seen := map[string]bool{}
	list := []any{}
	for range c.IntN(most + 1) {
		v := f()
		if key := fmt.Sprint(v); !seen[key] {
			seen[key] = true
			list = append(list, v)
		}
	}
	return []any{"set", list}
}

func (c *chance) row() map[string]any {
	row := map[string]any{}
	put := func(col string, f func() any) {
		if c.IntN(3) == 0 {
			row[col] = f()
		}
	}
	put("name", func() any { return c.word() })
	put("n", func() any { return c.Int64() >> c.IntN(60) })
	put("r", func() any { return []float64{0, 0.5, -1e300, 3, 1.0 / 3}[c.IntN(5)] })
	put("b", func() any { return c.IntN(2) == 0 })
	put("o", func() any { return c.set(1, func() any { return c.word() }) })
	put("s", func() any { return c.set(6, func() any { return c.word() }) })
	put("m", c.pairs)
	put("e", func() any { return c.word() })
	put("i", func() any {
		return []any{"set", []any{c.IntN(5), 5 + c.IntN(5)}}
	})
	return row
}

func (c *chance) pairs() any {
	seen := map[string]bool{}
	list := []any{}
	for range c.IntN(5) {
		if w := c.word(); !seen[w] {
			seen[w] = true
			list = append(list, []any{w, c.IntN(100)})
		}
	}
	return []any{"map", list}
}

// transaction makes some operations; rows are those of table T.
func (c *chance) transaction(rows []string) []any {
	ops := []any{"D"}
	one := func() any {
		if len(rows) == 0 {
			return []any{}
		}
		return []any{[]any{"_uuid", "==", []any{"uuid", rows[c.IntN(len(rows))]}}}
	}
	for range 1 + c.IntN(3) {
		c.named++
		id := fmt.Sprint("row", c.named)
		switch k := c.IntN(10); {
		case k < 3 || len(rows) == 0:
			row := c.row()
			// The C server misreads what it writes about such a column when it
			// had its default value (3.1).
			row["i"] = c.IntN(5) + 5
			if c.IntN(2) == 0 {
				u := id + "u"
				ops = append(ops, map[string]any{"op": "insert", "table": "U", "uuid-name": u, "row": map[string]any{"name": c.word()}})
				row["u"] = []any{"named-uuid", u}
				row["k"] = []any{"map", []any{[]any{c.word(), []any{"named-uuid", u}}}}
			}
			ops = append(ops, map[string]any{"op": "insert", "table": "T", "uuid-name": id, "row": row})
		case k < 5:
			ops = append(ops, map[string]any{"op": "update", "table": "T", "where": one(), "row": c.row()})
		case k < 6:
			ops = append(ops, map[string]any{"op": "mutate", "table": "T", "where": one(), "mutations": []any{
				[]any{"s", []string{"insert", "delete"}[c.IntN(2)], c.set(3, func() any { return c.word() })},
				[]any{"m", "insert", c.pairs()},
			}})
		case k < 7:
			ops = append(ops, map[string]any{"op": "mutate", "table": "T", "where": one(), "mutations": []any{
				[]any{"w", []string{"insert", "delete"}[c.IntN(2)], c.set(3, func() any { return []any{"uuid", rows[c.IntN(len(rows))]} })},
			}})
		case k < 8:
			ops = append(ops, map[string]any{"op": "update", "table": "T", "where": one(), "row": map[string]any{"u": []any{"set", []any{}}}})
		case k < 9:
			// Beside others the C program may leave references to the row (3.1).
			return append(ops[:1], map[string]any{"op": "delete", "table": "T", "where": one()})
		default:
			ops = append(ops, map[string]any{"op": "comment", "comment": c.word()})
		}
	}
	return ops
}
