package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The linearizability check: clients run transactions on the few rows of a
// table of names and numbers, and porcupine looks for an order of them that
// explains all answers and does not contradict the time in which they came.

const cells = 3 // names

// table is the state of the model: each name's number, absent where there is no row.
type table [cells]int

const absent = math.MinInt32

// step is one operation of a transaction.
type step struct {
	op   string // insert, update, add, delete, wait, select
	name int
	n    int // the value
}

// answer is what a transaction came to.
type answer struct {
	unknown bool   // the connection ended before it came
	err     string // of the first operation that failed, or of the commit
	results []string
}

// run executes a transaction on the model, in plain Go.
func (t table) run(steps []step) (table, answer) {
	now := t
	var a answer
	fail := func(tag string) (table, answer) { return t, answer{err: tag} }
	duplicate := false
	for _, s := range steps {
		v := &now[s.name]
		there := *v != absent
		count := map[bool]string{true: "1", false: "0"}[there]
		switch s.op {
		case "insert": // the index is looked at when the transaction commits
			duplicate = duplicate || there
			*v = s.n
			a.results = append(a.results, "new")
		case "update":
			if there {
				*v = s.n
			}
			a.results = append(a.results, count)
		case "add":
			if there {
				*v += s.n
			}
			a.results = append(a.results, count)
		case "delete":
			*v = absent
			a.results = append(a.results, count)
		case "wait":
			if *v != s.n {
				return fail("timed out")
			}
			a.results = append(a.results, "ok")
		case "select":
			a.results = append(a.results, fmt.Sprint(now))
		}
	}
	if duplicate {
		return fail("constraint violation")
	}
	return now, a
}

// request makes the operations of a transaction.
func request(steps []step) array {
	ops := array{dbName}
	for _, s := range steps {
		where := array{array{"client", "==", s.name}}
		op := object{"op": s.op, "table": "Client", "where": where}
		switch s.op {
		case "insert":
			op = object{"op": "insert", "table": "Client", "row": object{"client": s.name, "seq": s.n}}
		case "update":
			op["row"] = object{"seq": s.n}
		case "add":
			op["op"], op["mutations"] = "mutate", array{array{"seq", "+=", s.n}}
		case "wait":
			rows := array{}
			if s.n != absent {
				rows = append(rows, object{"seq": s.n})
			}
			op["columns"], op["until"], op["rows"], op["timeout"] = array{"seq"}, "==", rows, 0
		case "select":
			op["where"], op["columns"] = array{}, array{"client", "seq"}
		}
		ops = append(ops, op)
	}
	return ops
}

// understand reads the results of a transaction.
func understand(steps []step, results json.RawMessage) (answer, error) {
	if e, err := failure(results); err != nil || e != nil {
		if e != nil {
			return answer{err: e.Tag}, nil
		}
		return answer{}, err
	}
	var all []struct {
		Count *int
		UUID  any
		Rows  []struct{ Client, Seq int }
	}
	if err := json.Unmarshal(results, &all); err != nil {
		return answer{}, err
	}
	if len(all) != len(steps) {
		return answer{}, fmt.Errorf("%d results for %d operations: %s", len(all), len(steps), results)
	}
	var a answer
	for i, r := range all {
		switch {
		case r.Count != nil:
			a.results = append(a.results, fmt.Sprint(*r.Count))
		case r.UUID != nil:
			a.results = append(a.results, "new")
		case r.Rows != nil:
			t := table{absent, absent, absent}
			for _, row := range r.Rows {
				t[row.Client] = row.Seq
			}
			a.results = append(a.results, fmt.Sprint(t))
		case steps[i].op == "wait":
			a.results = append(a.results, "ok")
		default:
			return answer{}, fmt.Errorf("result %d is unknown: %s", i, results)
		}
	}
	return a, nil
}

// model is of several minds about a transaction whose answer never came: it was
// executed before the server was killed, or never will be.
var model = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{table{absent, absent, absent}} },
	Step: func(state, input, output any) []any {
		next, want := state.(table).run(input.([]step))
		switch got := output.(answer); {
		case got.unknown:
			return []any{state, next}
		case got.err == want.err && slices.Equal(got.results, want.results):
			return []any{next}
		}
		return nil
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v -> %+v", input, output) },
}).ToModel()

// randomSteps makes a transaction: one operation mostly.
func randomSteps(r *rand.Rand) []step {
	name := r.IntN(cells)
	one := func() step {
		ops := []string{"insert", "update", "add", "add", "delete", "select", "select"}
		return step{ops[r.IntN(len(ops))], name, 1 + r.IntN(5)}
	}
	switch r.IntN(5) {
	case 0: // compare and set
		n := 1 + r.IntN(5)
		if r.IntN(4) == 0 {
			return []step{{"wait", name, absent}, {"insert", name, n}}
		}
		return []step{{"wait", name, n}, {"update", name, 1 + r.IntN(5)}}
	case 1: // what is read and what is written are of one moment
		return []step{one(), {"select", 0, 0}, {"add", r.IntN(cells), 1}}
	}
	return []step{one()}
}

// history runs clients for a while, and kills the server when kill says so.
func history(t *testing.T, p *place, r *rand.Rand, writers, each, killsAt int) []porcupine.Operation {
	t.Helper()
	s, err := p.start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.kill() }()
	begin := time.Now()
	var mu sync.Mutex
	var all []porcupine.Operation
	for round := range killsAt + 1 {
		var wg sync.WaitGroup
		for c := range writers {
			own := rand.New(rand.NewPCG(r.Uint64(), uint64(c)))
			wg.Go(func() {
				sess, err := dial(p.sock())
				if err != nil {
					return // it was killed
				}
				defer sess.close()
				for i := range each {
					steps := randomSteps(own)
					op := porcupine.Operation{ClientId: round*writers + c, Input: steps, Call: time.Since(begin).Nanoseconds()}
					id := fmt.Sprint(c, ":", i)
					results, err := sess.transact(id, request(steps))
					op.Return = time.Since(begin).Nanoseconds()
					var a answer
					switch {
					case isWrong(err):
						t.Error(err)
						return
					case err != nil:
						a.unknown = true
					default:
						if a, err = understand(steps, results); err != nil {
							t.Error(err)
							return
						}
					}
					op.Output = a
					mu.Lock()
					all = append(all, op)
					mu.Unlock()
					if a.unknown {
						return
					}
				}
			})
		}
		if round < killsAt {
			time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			s.kill()
		}
		wg.Wait()
		if round < killsAt {
			if s, err = p.start(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

// TestLinear checks histories of a server that is left alone, and of one that is
// killed on the way.
func TestLinear(t *testing.T) {
	for _, f := range formats {
		for _, killsAt := range []int{0, 5} {
			t.Run(fmt.Sprintf("%s, %d kills", f, killsAt), func(t *testing.T) {
				p, err := newPlace(program(t), f)
				if err != nil {
					t.Fatal(err)
				}
				defer p.remove()
				ops := history(t, p, random(t), 8, 60, killsAt)
				unknown, failed := 0, 0
				for _, op := range ops {
					switch a := op.Output.(answer); {
					case a.unknown:
						unknown++
					case a.err != "":
						failed++
					}
				}
				t.Logf("%d transactions, %d of them failed, %d without an answer", len(ops), failed, unknown)
				switch result := porcupine.CheckOperationsTimeout(model, ops, time.Minute); result {
				case porcupine.Ok:
				case porcupine.Unknown:
					t.Error("the history could not be checked within a minute")
				default:
					for _, op := range ops {
						t.Log(op.ClientId, op.Call, op.Return, model.DescribeOperation(op.Input, op.Output))
					}
					t.Error("no order of these transactions explains their answers")
				}
			})
		}
	}
}

// TestLinearJudge: the check finds an answer that came too early, and one that
// tells of half a transaction.
func TestLinearJudge(t *testing.T) {
	set := []step{{"insert", 0, 1}}
	both := []step{{"insert", 0, 1}, {"insert", 1, 1}}
	look := []step{{"select", 0, 0}}
	saw := func(t table) answer { return answer{results: []string{fmt.Sprint(t)}} }
	done := answer{results: []string{"new"}}
	for i, c := range []struct {
		ops  []porcupine.Operation
		want bool
	}{
		{[]porcupine.Operation{{ClientId: 1, Input: set, Output: done, Call: 1, Return: 2}, {ClientId: 2, Input: look, Output: saw(table{absent, absent, absent}), Call: 3, Return: 4}}, false},
		{[]porcupine.Operation{{ClientId: 1, Input: set, Output: done, Call: 1, Return: 3}, {ClientId: 2, Input: look, Output: saw(table{absent, absent, absent}), Call: 2, Return: 4}}, true},
		{[]porcupine.Operation{{ClientId: 1, Input: both, Output: answer{unknown: true}, Call: 1, Return: 3}, {ClientId: 2, Input: look, Output: saw(table{1, absent, absent}), Call: 2, Return: 4}}, false},
		{[]porcupine.Operation{{ClientId: 1, Input: both, Output: answer{unknown: true}, Call: 1, Return: 3}, {ClientId: 2, Input: look, Output: saw(table{1, 1, absent}), Call: 2, Return: 4}}, true},
	} {
		if got := porcupine.CheckOperations(model, c.ops); got != c.want {
			t.Errorf("history %d: linearizable is %v", i, got)
		}
	}
}
