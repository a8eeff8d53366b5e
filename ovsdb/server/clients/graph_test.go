package clients_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"govs/ovsdb/client"
)

// A graph is the contents of databases whose rows refer to one another. Its text
// is the same for contents that differ in their UUIDs alone.
type graph struct {
	names map[string]string         // what a row is called, by its UUID
	rows  map[string]map[string]any // by UUID, "table" among the columns
}

func newGraph() *graph {
	return &graph{names: map[string]string{}, rows: map[string]map[string]any{}}
}

// add reads all rows of a database.
func (g *graph) add(t *testing.T, target, db string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := client.Dial(ctx, target, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.Schema(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range s.Tables {
		op := fmt.Appendf(nil, `{"op":"select","table":%q,"where":[]}`, table.Name)
		v, err := c.Transact(ctx, db, op)
		if err != nil {
			t.Fatal(err)
		}
		var res []struct{ Rows []map[string]any }
		if err := json.Unmarshal(v.Raw(), &res); err != nil {
			t.Fatal(err)
		}
		for _, row := range res[0].Rows {
			id := row["_uuid"].([]any)[1].(string)
			delete(row, "_uuid")
			delete(row, "_version")
			row["table"] = db + "." + table.Name
			g.rows[id] = row
		}
	}
}

var (
	uuidText = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	hintText = regexp.MustCompile(`"stage-hint","([0-9a-f]{8})"`)
)

// line is a row with the names of other rows in place of their UUIDs. Sets and
// maps are sorted by what stands in them then.
func (g *graph) line(row map[string]any) string {
	prefix := func(short string) string {
		for id, name := range g.names {
			if strings.HasPrefix(id, short) {
				return name
			}
		}
		return short
	}
	var out []string
	for _, column := range slices.Sorted(maps.Keys(row)) {
		text := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				panic(err)
			}
			s := uuidText.ReplaceAllStringFunc(string(b), func(id string) string {
				if name, ok := g.names[id]; ok {
					return name
				}
				return id
			})
			if m := hintText.FindStringSubmatch("," + s); m != nil {
				return `["stage-hint","` + prefix(m[1]) + `"]`
			}
			return s
		}
		v := row[column]
		if pair, ok := v.([]any); ok && len(pair) == 2 && (pair[0] == "set" || pair[0] == "map") {
			var members []string
			for _, m := range pair[1].([]any) {
				members = append(members, text(m))
			}
			slices.Sort(members)
			out = append(out, column+"="+pair[0].(string)+"("+strings.Join(members, " ")+")")
			continue
		}
		out = append(out, column+"="+text(v))
	}
	return strings.Join(out, " ")
}

// text gives every row a name made of its contents, then of that of the rows
// it refers to, and so on, and returns a line for each row of a database.
func (g *graph) text(db string) string {
	for id := range g.rows {
		g.names[id] = "?"
	}
	for range 4 {
		next := map[string]string{}
		for id, row := range g.rows {
			h := sha256.Sum256([]byte(g.line(row)))
			next[id] = "row-" + hex.EncodeToString(h[:4])
		}
		g.names = next
	}
	var lines []string
	for _, row := range g.rows {
		if strings.HasPrefix(row["table"].(string), db+".") {
			lines = append(lines, row["table"].(string)+": "+g.line(row)+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
