package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

type options struct {
	limit        time.Duration // how long to go on; 0 is until cases are done
	cases        int           // how many messages at the most; 0 is no limit
	seed         uint64
	ours, theirs string // programs
	history      int    // how many of the last messages to print with a difference
	say          func(format string, args ...any)
}

// perSchema is how many messages one generated schema serves.
const perSchema = 400

// A report counts what a run saw.
type report struct {
	schemas, cases, failed, meant, died int
	kinds                               map[string]int // of messages
	updates, checks                     int
	errors                              map[string]int // errors on which both agree
	found                               []string
}

func (r *report) bad() bool { return len(r.found) > 0 }

func (r *report) String() string {
	var b strings.Builder
	for _, f := range r.found {
		fmt.Fprintln(&b, f)
	}
	for _, e := range slices.Sorted(maps.Keys(r.errors)) {
		fmt.Fprintf(&b, "%7d times both: %s\n", r.errors[e], e)
	}
	for _, k := range slices.Sorted(maps.Keys(r.kinds)) {
		fmt.Fprintf(&b, "%7d cases of %s\n", r.kinds[k], k)
	}
	if r.died > 0 {
		fmt.Fprintf(&b, "%7d times the C server died of a request that ours answered\n", r.died)
	}
	fmt.Fprintf(&b, "oracle: %d cases on %d schemas (%d transactions failed on both sides alike), %d updates, %d times a monitor's updates added up to its tables; %d meant differences, %d others\n",
		r.cases, r.schemas, r.failed, r.updates, r.checks, r.meant, len(r.found))
	return b.String()
}

// run compares until the options' limits are reached, or a difference is found.
func run(o options) (*report, error) {
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if o.ours, err = filepath.Abs(o.ours); err != nil {
		return nil, err
	}
	rep := &report{errors: map[string]int{}, kinds: map[string]int{}}
	begin := time.Now()
	o.say("seed %d", o.seed)
	for n := uint64(0); ; n++ {
		if o.limit > 0 && time.Since(begin) > o.limit || o.cases > 0 && rep.cases >= o.cases || rep.bad() {
			return rep, nil
		}
		r := &runner{rep: rep, rand: rand.New(rand.NewPCG(o.seed, n)), alike: o.ours == o.theirs, keep: max(4, o.history)}
		if err := r.schema(o, filepath.Join(dir, fmt.Sprint(n))); err != nil {
			return rep, fmt.Errorf("schema %d of seed %d: %w", n, o.seed, err)
		}
	}
}

// A runner runs both servers on one schema.
type runner struct {
	rep          *report
	rand         *rand.Rand
	model        *model
	gen          *generator
	canon        canon
	text         []byte // the schema
	ours, theirs *side
	waiting      [2]map[string]array // operations of transactions that wait, by client and id
	alike        bool                // both servers are C's
	history      []string            // the messages so far
	keep         int                 // how many of them are printed
}

func (r *runner) sides() [2]*side { return [2]*side{r.ours, r.theirs} }

func (r *runner) schema(o options, dir string) error {
	r.model = newModel(r.rand)
	r.gen = newGenerator(r.rand, r.model)
	r.canon.chosen = map[string]bool{}
	r.waiting = [2]map[string]array{{}, {}}
	var err error
	if r.text, err = json.Marshal(r.model.json()); err != nil {
		return err
	}
	known := map[string]bool{noUUID: true}
	for _, pool := range r.gen.pools {
		for _, id := range pool {
			known[id] = true
		}
	}
	defer os.RemoveAll(dir)
	if r.ours, err = startSide(o.ours, filepath.Join(dir, "ours"), r.text, known); err != nil {
		return err
	}
	defer r.ours.stop()
	if r.theirs, err = startSide(o.theirs, filepath.Join(dir, "theirs"), r.text, known); err != nil {
		return err
	}
	defer r.theirs.stop()
	r.rep.schemas++
	for range perSchema {
		diff, err := r.step()
		if errors.Is(err, errDied) {
			r.rep.died++ // its asserts end it: the next schema has a new one
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w\nschema: %s\n%s", err, r.text, strings.Join(r.history[max(0, len(r.history)-3):], "\n"))
		}
		if diff == diverged {
			return nil
		}
		if diff != "" {
			r.rep.found = append(r.rep.found, r.transcript(diff))
			return nil
		}
	}
	return nil
}

var errDied = errors.New("the C server died")

// both does something on both sides at once.
func both[T any](r *runner, do func(sd *side) (T, error)) (a, b T, err error) {
	var errA, errB error
	done := make(chan struct{})
	go func() {
		defer close(done)
		a, errA = do(r.ours)
	}()
	b, errB = do(r.theirs)
	<-done
	died := func(err error) bool {
		return errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
	}
	if died(errB) && (errA == nil || r.alike && died(errA)) {
		return a, b, errDied
	}
	return a, b, errors.Join(errA, errB)
}

// step sends one message, and compares what comes of it.
func (r *runner) step() (string, error) {
	if r.gen.chance(4) {
		return r.stranger()
	}
	s := r.gen.next(r)
	r.rep.cases++
	r.rep.kinds[s.kind]++
	r.history = append(r.history, fmt.Sprintf("client %d: %s", s.client, text(s.message)))
	if s.before != nil {
		s.before()
	}
	pending := len(r.waiting[0])+len(r.waiting[1]) > 0
	id := text(s.message["id"])
	if s.waits {
		r.waiting[s.client][id] = s.ops
	}
	a, b, err := both(r, func(sd *side) (told, error) { return sd.do(s.client, s.message, pending || s.waits) })
	if err != nil {
		return "", err
	}
	if s.kind == "cancel" {
		// Only our server says so, as RFC 7047, section 4.1.4 has it: see differences.txt.
		id := text(s.message["params"].(array)[0])
		delete(r.waiting[s.client], id)
		answer := `{"id":` + id + `,"error":"canceled"}`
		is := func(m json.RawMessage) bool { return string(m) == answer }
		for end := time.Now().Add(3 * time.Second); !r.alike && !slices.ContainsFunc(a[s.client], is); {
			if time.Now().After(end) {
				return "no answer to the transaction that was canceled", nil
			}
			more, err := r.ours.clients[s.client].sync()
			if err != nil {
				return "", err
			}
			a[s.client] = append(a[s.client], more...)
		}
		a[s.client] = slices.DeleteFunc(a[s.client], is)
		b[s.client] = slices.DeleteFunc(b[s.client], is) // it does sometimes
	}
	if err := r.evenOut(s, &a, &b); err != nil {
		return "", err
	}
	if diff, err := r.compare(s, a, b); diff != "" || err != nil {
		return diff, err
	}
	return r.look(s)
}

// evenOut waits for messages that one server has not sent yet: what ends
// another session's wait, or moves a lock, is told to it in its own time. Where
// the message itself waits for a time, it waits for that to pass.
func (r *runner) evenOut(s *step, a, b *told) error {
	end := time.Now().Add(3 * time.Second)
	for k := range a {
		for len(a[k]) != len(b[k]) || s.timeout && k == s.client && len(a[k]) == 0 {
			if time.Now().After(end) {
				return nil
			}
			time.Sleep(time.Millisecond)
			for i, t := range []*told{a, b} {
				more, err := r.sides()[i].clients[k].sync()
				if err != nil {
					return err
				}
				t[k] = append(t[k], more...)
			}
		}
	}
	return nil
}

// compare compares what both servers said in a step, and has the models of the
// monitors follow.
func (r *runner) compare(s *step, a, b told) (string, error) {
	woken := false
	var heard [2][2][]object // by side and client
	for k := range 2 {
		for i, raw := range [2][]json.RawMessage{a[k], b[k]} {
			for _, m := range raw {
				heard[i][k] = append(heard[i][k], r.sides()[i].hear(m))
			}
		}
	}
	// The UUIDs that the servers chose come first: the updates speak of them.
	for k := range 2 {
		for _, x := range heard[0][k] {
			for _, y := range heard[1][k] {
				if x["method"] == nil && y["method"] == nil && text(x["id"]) == text(y["id"]) {
					ops, waited := r.waiting[k][text(x["id"])]
					if k == s.client && text(x["id"]) == text(s.message["id"]) {
						ops = s.ops
					} else if waited {
						woken = true
					}
					r.learn(k, ops, a[k], b[k], text(x["id"]))
				}
			}
		}
	}
	for k := range 2 { // again, with the names
		heard[0][k], heard[1][k] = nil, nil
		for i, raw := range [2][]json.RawMessage{a[k], b[k]} {
			for _, m := range raw {
				heard[i][k] = append(heard[i][k], r.sides()[i].hear(m))
			}
		}
	}
	for k := range 2 {
		if diff, err := r.sequence(s, k, heard[0][k], heard[1][k], woken); diff != "" || err != nil {
			if diff != diverged && diff != "" {
				diff = fmt.Sprintf("client %d: %s\nours:   %s\ntheirs: %s", k, diff, lines(heard[0][k]), lines(heard[1][k]))
			}
			return diff, err
		}
	}
	return "", nil
}

func lines(messages []object) string {
	var out []string
	for _, m := range messages {
		out = append(out, text(m))
	}
	return strings.Join(out, "\n        ")
}

// learn gives rows whose UUIDs both servers chose a common name.
func (r *runner) learn(client int, ops array, a, b []json.RawMessage, id string) {
	pick := func(raw []json.RawMessage) array {
		for _, m := range raw {
			o, _ := decode(string(m)).(object)
			if o["method"] == nil && text(o["id"]) == id {
				res, _ := o["result"].(array)
				return res
			}
		}
		return nil
	}
	ra, rb := pick(a), pick(b)
	for i := range min(len(ra), len(rb), len(ops)) {
		op, _ := ops[i].(object)
		if op["op"] != "insert" {
			continue
		}
		x, y := insertedID(ra[i]), insertedID(rb[i])
		if x == "" || y == "" || r.ours.known[x] || r.ours.name[x] != "" || r.theirs.name[y] != "" {
			continue
		}
		name := r.gen.newUUID()
		for sd, real := range map[*side]string{r.ours: x, r.theirs: y} {
			sd.name[real], sd.real[name] = name, real
		}
		r.canon.chosen[name] = true
		r.ours.known[name] = true
		r.gen.inserted(op, name)
	}
}

func insertedID(result any) string {
	o, _ := result.(object)
	u, _ := o["uuid"].(array)
	if len(u) != 2 {
		return ""
	}
	s, _ := u[1].(string)
	return s
}

// sequence compares what two sessions were sent. The updates of several monitors
// that follow one another have no order. Where a transaction that waited was
// done, C may put its changes in one update with those that ended the wait: then
// the models have to be alike.
func (r *runner) sequence(s *step, client int, a, b []object, woken bool) (string, error) {
	var said [2][]string
	var replies [2]map[string]object
	for i, list := range [2][]object{a, b} {
		replies[i] = map[string]object{}
		var updates []string
		flush := func() {
			slices.Sort(updates)
			said[i] = append(said[i], updates...)
			updates = nil
		}
		for _, m := range list {
			method, _ := m["method"].(string)
			switch {
			case strings.HasPrefix(method, "update"):
				if err := r.gen.update(client, i, m); err != nil {
					return "the updates of side " + fmt.Sprint(i) + ": " + err.Error(), nil
				}
				r.rep.updates++
				if !woken {
					p, _ := m["params"].(array)
					if method == "update3" && len(p) == 3 {
						p[1] = nil // C has no ids for transactions
					}
					if changes(p[len(p)-1]) {
						r.canon.value(m)
						updates = append(updates, text(m))
					}
				}
			case method != "":
				flush()
				said[i] = append(said[i], text(m))
			default:
				flush()
				said[i] = append(said[i], "reply "+text(m["id"]))
				replies[i][text(m["id"])] = m
			}
		}
		flush()
	}
	if woken {
		slices.Sort(said[0])
		slices.Sort(said[1])
	}
	if !slices.Equal(said[0], said[1]) {
		// What one of them did and the other one refused, as is meant, has more consequences.
		for id, x := range replies[0] {
			ra, _ := x["result"].(array)
			rb, _ := replies[1][id]["result"].(array)
			if ra != nil && rb != nil && r.meantResults(ra, rb) {
				return diverged, nil
			}
		}
		isUpdate := func(m string) bool { return strings.HasPrefix(m, `{"id":null,"method":"update`) }
		if slices.Equal(slices.DeleteFunc(slices.Clone(said[0]), isUpdate), slices.DeleteFunc(slices.Clone(said[1]), isUpdate)) {
			// C does not tell of references that it lost sight of.
			if diff, err := r.tables(); diff == diverged || err != nil {
				return diff, err
			}
		}
		return fmt.Sprintf("messages:\n%s\nand\n%s", strings.Join(said[0], "\n"), strings.Join(said[1], "\n")), nil
	}
	for _, id := range slices.Sorted(maps.Keys(replies[0])) {
		x, y := replies[0][id], replies[1][id]
		ops, waited := r.waiting[client][id]
		own := client == s.client && id == text(s.message["id"])
		if own {
			ops = s.ops
		}
		if waited {
			delete(r.waiting[client], id)
		}
		if diff, err := r.reply(s, own, ops, x, y); diff != "" || err != nil {
			return diff, err
		}
	}
	return "", nil
}

// reply compares two replies.
func (r *runner) reply(s *step, own bool, ops array, x, y object) (string, error) {
	if errorText(x["error"]) != errorText(y["error"]) {
		return "the request's error", nil
	}
	ra, ok1 := x["result"].(array)
	rb, ok2 := y["result"].(array)
	if ops != nil && ok1 && ok2 {
		done := succeeded(y["result"], ops)
		diff, err := r.results(ra, rb, ops)
		if diff == "" && err == nil && done {
			r.gen.committed(ops)
		}
		return diff, err
	}
	if own && s.replied != nil && y["error"] == nil {
		if s.version == 3 && len(ra) == 3 && len(rb) == 3 {
			ra[1], rb[1] = nil, nil
		}
		for i, res := range []any{x["result"], y["result"]} {
			if err := s.replied(i, clone(res)); err != nil {
				return fmt.Sprintf("reply of side %d: %v", i, err), nil
			}
		}
	}
	for _, m := range []object{x, y} {
		r.canon.value(m["result"])
	}
	if text(x["result"]) != text(y["result"]) {
		return "result", nil
	}
	return "", nil
}

// look compares the tables, and now and then the monitors with them.
func (r *runner) look(s *step) (string, error) {
	if s.ops != nil || s.kind == "cancel" {
		if diff, err := r.tables(); diff != "" || err != nil {
			return diff, err
		}
	}
	for _, w := range r.gen.watches {
		if !w.exact {
			continue
		}
		if a, b := text(*w.held[0]), text(*w.held[1]); a != b {
			return fmt.Sprintf("monitor %s holds\nours:   %s\ntheirs: %s", w, a, b), nil
		}
		if !r.gen.chance(5) {
			continue
		}
		r.rep.checks++
		for i, sd := range r.sides() {
			if diff, err := w.check(i, sd); err != nil {
				return "", err
			} else if diff != "" {
				return fmt.Sprintf("side %d: %s", i, diff), nil
			}
		}
	}
	return "", nil
}

// tables compares the whole contents of both servers: "" where they do not
// differ, diverged where only in dangling weak references that C left (see
// differences.txt).
func (r *runner) tables() (string, error) {
	ops := array{}
	for _, t := range r.model.tables {
		ops = append(ops, object{"op": "select", "table": t.name, "where": array{}})
	}
	ra, rb, err := both(r, func(sd *side) (array, error) { return sd.call(ops...) })
	if err != nil {
		return "", err
	}
	a, b := map[string]object{}, map[string]object{}
	for i, t := range r.model.tables {
		for which, into := range []map[string]object{a, b} {
			into[t.name], _ = [2]array{ra, rb}[which][i].(object)
			rows, _ := into[t.name]["rows"].(array)
			for _, row := range rows {
				delete(row.(object), "_version")
			}
		}
	}
	contents := map[string]array{}
	for name, c := range b {
		contents[name], _ = clone(c["rows"]).(array)
	}
	r.gen.saw(contents)
	dangling := prune(r.model, b)
	for _, t := range r.model.tables {
		ca, cb := r.canon.result(a[t.name], nil), r.canon.result(b[t.name], nil)
		if ca != cb {
			return fmt.Sprintf("table %s:\nours:   %s\ntheirs: %s", t.name, ca, cb), nil
		}
	}
	if dangling {
		r.rep.meant++
		return diverged, nil
	}
	return "", nil
}

// transcript is a difference as text: what to keep when it is mended.
func (r *runner) transcript(diff string) string {
	var s strings.Builder
	fmt.Fprintf(&s, "schema: %s\n", r.text)
	for _, w := range r.gen.watches {
		fmt.Fprintf(&s, "monitor %s\n", w)
	}
	for _, h := range r.history[max(0, len(r.history)-r.keep):] {
		fmt.Fprintln(&s, h)
	}
	fmt.Fprintf(&s, "DIFFERENCE: %s", diff)
	return s.String()
}
