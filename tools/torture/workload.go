package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// The database that is tortured. Transaction number n of a client finds its
// Client row at n-1 and leaves it at n; it inserts that transaction's items,
// deletes those of the transaction n-window, and counts the Total. So what the
// tables hold follows from the clients' numbers alone: half a transaction, or
// one that is missing among others, cannot go unseen.
const schemaText = `{"name":"Torture","version":"1.0.0","tables":{
"Total":{"columns":{"n":{"type":"integer"}},"isRoot":true,"maxRows":1},
"Client":{"columns":{"client":{"type":"integer"},"seq":{"type":"integer"}},"indexes":[["client"]],"isRoot":true},
"Item":{"columns":{"client":{"type":"integer"},"seq":{"type":"integer"},"part":{"type":"integer"},"pad":{"type":"string"}},
"indexes":[["client","seq","part"]],"isRoot":true}}}`

const (
	dbName = "Torture"
	window = 4 // the last transactions of a client whose items are kept
)

type (
	object = map[string]any
	array  = []any
)

// item names a row of table Item.
type item struct{ client, seq, part int }

// setup makes the rows that transactions find.
func setup(clients int) array {
	ops := array{dbName, object{"op": "insert", "table": "Total", "row": object{}}}
	for c := range clients {
		ops = append(ops, object{"op": "insert", "table": "Client", "row": object{"client": c}})
	}
	return append(ops, object{"op": "commit", "durable": true})
}

// transaction is number seq of a client.
func transaction(client, seq int, durable bool) array {
	own := array{array{"client", "==", client}}
	ops := array{
		dbName,
		object{"op": "wait", "table": "Client", "where": own, "columns": array{"seq"}, "until": "==", "rows": array{object{"seq": seq - 1}}, "timeout": 0},
		object{"op": "update", "table": "Client", "where": own, "row": object{"seq": seq}},
		object{"op": "mutate", "table": "Total", "where": array{}, "mutations": array{array{"n", "+=", 1}}},
		object{"op": "delete", "table": "Item", "where": append(slices.Clone(own), array{"seq", "<=", seq - window})},
	}
	for it, pad := range items(client, seq) {
		ops = append(ops, object{"op": "insert", "table": "Item", "row": object{"client": client, "seq": seq, "part": it.part, "pad": pad}})
	}
	if durable {
		ops = append(ops, object{"op": "commit", "durable": true})
	}
	return ops
}

// items are what a transaction inserts: mostly little, now and then many rows
// or large ones.
func items(client, seq int) map[item]string {
	h := fnv.New64a()
	fmt.Fprint(h, client, ":", seq)
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	parts, length := 1+r.IntN(3), r.IntN(200)
	switch r.IntN(60) {
	case 0, 1, 2:
		parts = 20 + r.IntN(40)
	case 3:
		length = 50_000 + r.IntN(250_000)
	}
	all := map[item]string{}
	for p := range parts {
		all[item{client, seq, p}] = padding(r, length)
	}
	return all
}

func padding(r *rand.Rand, length int) string {
	word := fmt.Sprintf("%x-", r.Uint64())
	return strings.Repeat(word, length/len(word)+1)[:length]
}

// contents is what the tables hold.
type contents struct {
	total int
	seq   map[int]int // of each client
	items map[item]string
}

// everything selects it.
func everything() array {
	return array{
		dbName,
		object{"op": "select", "table": "Total", "where": array{}, "columns": array{"n"}},
		object{"op": "select", "table": "Client", "where": array{}, "columns": array{"client", "seq"}},
		object{"op": "select", "table": "Item", "where": array{}, "columns": array{"client", "seq", "part", "pad"}},
	}
}

// parse reads the answer to everything.
func parse(result []byte) (*contents, error) {
	var tables []struct {
		Error string
		Rows  []struct {
			N, Client, Seq, Part int
			Pad                  string
		}
	}
	if err := json.Unmarshal(result, &tables); err != nil {
		return nil, err
	}
	if len(tables) != 3 || len(tables[0].Rows) > 1 {
		return nil, fmt.Errorf("unexpected answer: %.500s", result)
	}
	c := &contents{seq: map[int]int{}, items: map[item]string{}}
	for _, r := range tables[0].Rows {
		c.total = r.N
	}
	for _, r := range tables[1].Rows {
		c.seq[r.Client] = r.Seq
	}
	for _, r := range tables[2].Rows {
		c.items[item{r.Client, r.Seq, r.Part}] = r.Pad
	}
	return c, nil
}

// whole says what of some transaction is half there.
func (c *contents) whole() error {
	sum := 0
	want := map[item]string{}
	for client, seq := range c.seq {
		sum += seq
		for n := max(1, seq-window+1); n <= seq; n++ {
			maps.Copy(want, items(client, n))
		}
	}
	if c.total != sum {
		return fmt.Errorf("%d transactions are counted, and the clients' numbers make %d", c.total, sum)
	}
	for it, pad := range want {
		if got, ok := c.items[it]; !ok || got != pad {
			return fmt.Errorf("client %d is at transaction %d, but item %d of its transaction %d is %.80q (%v), want %.80q",
				it.client, c.seq[it.client], it.part, it.seq, got, ok, pad)
		}
	}
	for it := range c.items {
		if _, ok := want[it]; !ok {
			return fmt.Errorf("client %d is at transaction %d, but item %d of its transaction %d is there", it.client, c.seq[it.client], it.part, it.seq)
		}
	}
	return nil
}
