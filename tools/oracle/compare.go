package main

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed differences.txt
var differencesText string

// A difference is one that is meant: for an error of theirs, what ours is.
type difference struct{ ours, theirs, reason string }

func meant() []difference {
	var list []difference
	for line := range strings.Lines(differencesText) {
		line = strings.TrimSpace(line)
		if line == "" || strings.ContainsRune("#$%", rune(line[0])) { // $: the commands, see ctl; %: brctl
			continue
		}
		f := strings.SplitN(line, "|", 3)
		if len(f) != 3 {
			panic("differences.txt: " + line)
		}
		list = append(list, difference{strings.TrimSpace(f[0]), strings.TrimSpace(f[1]), strings.TrimSpace(f[2])})
	}
	return list
}

// diverged is the word for a difference that is meant: the databases are no
// longer alike.
const diverged = "meant"

// byHash are details in which the C server names what its hash order meets
// first: of several rows, columns, members or pairs any may be named; and those that name
// a time. They are compared as what stands beside them.
var byHash = []struct {
	details *regexp.Regexp
	as      string
}{
	{regexp.MustCompile(`^Transaction causes multiple rows in "\w+" table to have identical values.*`), "an index has a value twice"},
	{regexp.MustCompile(`^(Deletion of \d+ weak reference|Weak reference column ).*`), "a weak reference goes"},
	{regexp.MustCompile(`^cannot delete \w+ row .*`), "cannot delete a row"},
	{regexp.MustCompile(`^("wait" timed out after \d+ ms|"where" clause test failed)$`), "a wait is over"}, // the same within a millisecond
	{regexp.MustCompile(`^transaction causes "\w+" table to contain .*`), "a table has too many rows"},
	{regexp.MustCompile(`^Table \w+ column \w+ row .*`), "a reference to no row"},
	{regexp.MustCompile(`^column \w+ mentioned more than once$`), "a column is mentioned more than once"}, // of several; C has them in the order of their addresses
}

// errorText is an error as it is compared.
func errorText(v any) string {
	o, ok := v.(object)
	if !ok {
		return text(v)
	}
	if d, ok := o["details"].(string); ok {
		for _, h := range byHash {
			d = h.details.ReplaceAllString(d, h.as)
		}
		o["details"] = d
	}
	return text(o)
}

// results says how the results of two transactions differ: "" where they do
// not, diverged where that is meant.
func (r *runner) results(a, b array, ops array) (string, error) {
	failed := false
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) {
			if r.isMeant(a, b, i) {
				return diverged, nil
			}
			return fmt.Sprintf("number of results: %d and %d", len(a), len(b)), nil
		}
		ea, eb := errorAt(a, i), errorAt(b, i)
		if ea == "" && eb == "" {
			var op any
			if i < len(ops) {
				op = ops[i]
			}
			if r.canon.result(a[i], op) != r.canon.result(b[i], op) {
				return fmt.Sprintf("result of operation %d", i), nil
			}
			continue
		}
		failed = true
		r.rep.errors[eb]++
		if errorText(a[i]) == errorText(b[i]) {
			continue
		}
		if r.isMeant(a, b, i) {
			return diverged, nil
		}
		either, err := r.eitherRow(a, b, i, ops)
		if err != nil {
			return "", err
		}
		if !either {
			return fmt.Sprintf("error of operation %d: %s and %s", i, errorText(a[i]), errorText(b[i])), nil
		}
		r.rep.meant++
	}
	if failed {
		r.rep.failed++
	}
	return "", nil
}

// meantResults reports whether the first error that differs in two transactions'
// results is one that is meant.
func (r *runner) meantResults(a, b array) bool {
	for i := range max(len(a), len(b)) {
		if errorAt(a, i) != errorAt(b, i) {
			return r.isMeant(a, b, i)
		}
	}
	return false
}

func (r *runner) isMeant(a, b array, i int) bool {
	for _, d := range meant() {
		if matches(d.ours, a, i) && matches(d.theirs, b, i) {
			r.rep.meant++
			return true
		}
	}
	return false
}

// matches says whether result i is the error of a line in differences.txt, whose
// details begin as it says behind a colon.
func matches(line string, results array, i int) bool {
	error, details, _ := strings.Cut(line, ": ")
	return error == errorAt(results, i) && strings.HasPrefix(detailsAt(results, i), details)
}

// eitherRow says whether a mutate that meets several rows fails at our server
// for one of them, and at C's for another: the rows have no order. Both errors
// must come when the C server is asked to mutate the rows one by one.
func (r *runner) eitherRow(a, b array, i int, ops array) (bool, error) {
	if i >= len(ops) {
		return false, nil
	}
	op, ok := ops[i].(object)
	if !ok || op["op"] != "mutate" {
		return false, nil
	}
	before := array{}
	for _, o := range ops[:i] {
		o, _ := clone(o).(object)
		switch {
		case o["op"] == "wait", o["op"] == "assert":
			continue // it was satisfied; it may not be any more, and the judge has no lock
		case o["op"] == "insert" && o["uuid"] == nil: // the same each time
			o["uuid"] = r.gen.newUUID()
			r.theirs.known[o["uuid"].(string)] = true
		}
		before = append(before, o)
	}
	find := object{"op": "select", "table": op["table"], "where": op["where"], "columns": array{"_uuid"}}
	results, err := r.theirs.call(append(append(array{}, before...), find, object{"op": "abort"})...)
	if err != nil || len(results) <= len(before) {
		return false, err
	}
	found, _ := results[len(before)].(object)
	rows, _ := found["rows"].(array)
	seen := map[string]bool{}
	for _, row := range rows {
		one := object{}
		for k, v := range op {
			one[k] = v
		}
		one["where"] = array{array{"_uuid", "==", row.(object)["_uuid"]}}
		results, err := r.theirs.call(append(append(array{}, before...), one, object{"op": "abort"})...)
		if err != nil {
			return false, err
		}
		if len(results) > len(before) {
			seen[errorText(results[len(before)])] = true
		}
	}
	return seen[errorText(a[i])] && seen[errorText(b[i])], nil
}

// prune takes weak references to rows that do not exist out of the tables'
// contents, and says whether there were any.
func prune(m *model, contents map[string]object) bool {
	alive := map[string]map[any]bool{}
	for name, c := range contents {
		alive[name] = map[any]bool{}
		for _, row := range c["rows"].(array) {
			alive[name][row.(object)["_uuid"].(array)[1]] = true
		}
	}
	found := false
	for _, t := range m.tables {
		for _, c := range t.columns {
			dead := func(b *base, v any) bool {
				return b != nil && b.refType == "weak" && !alive[b.refTable][v.(array)[1]]
			}
			if c.key.refType != "weak" && (c.value == nil || c.value.refType != "weak") {
				continue
			}
			for _, row := range contents[t.name]["rows"].(array) {
				row := row.(object)
				v := row[c.name].(array)
				if v[0] == "uuid" {
					v = array{"set", array{v}}
				}
				members := v[1].(array)
				kept := array{}
				for _, e := range members {
					key, value := e, any(nil)
					if c.value != nil {
						key, value = e.(array)[0], e.(array)[1]
					}
					if !dead(c.key, key) && !dead(c.value, value) {
						kept = append(kept, e)
					}
				}
				if len(kept) == len(members) {
					continue
				}
				found = true
				row[c.name] = array{v[0], kept}
				if v[0] == "set" && len(kept) == 1 {
					row[c.name] = kept[0]
				}
			}
		}
	}
	return found
}
