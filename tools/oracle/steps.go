package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A step is one message of a client, and what its reply means to the model.
type step struct {
	kind    string
	client  int
	message object
	ops     array // of a transaction
	waits   bool  // it may be set aside
	timeout bool  // for a short time
	version int   // of a monitor
	before  func()
	replied func(side int, result any) error // after success
}

// next makes a step.
func (g *generator) next(r *runner) *step {
	for _, w := range g.watches {
		w.alias = nil
	}
	g.requests++
	client := g.r.IntN(2)
	var s *step
	waiting := len(r.waiting[0]) + len(r.waiting[1])
	switch n := g.r.IntN(100); {
	case waiting > 2 || waiting > 0 && n < 4:
		s = g.cancel(r)
	case n < 10:
		s = g.monitor(client)
	case n < 17 && len(g.watches) > 0:
		s = g.condChange()
	case n < 19 && len(g.watches) > 0:
		s = g.monitorCancel()
	case n < 24:
		s = g.lock(client)
	case n < 29:
		s = g.wait(client)
	case n < 32:
		s = g.junk(client)
	default:
		s = &step{kind: "transact", client: client, message: g.request("transact", g.transact())}
		s.ops = s.message["params"].(array)[1:]
		if g.chance(2) {
			// Of several mistakes C names any: the rest is to be right.
			g.flawless = true
			s.message["params"] = g.transact()
			g.flawless = false
			params, _ := g.mutilate(s.message["params"]).(array)
			if len(params) > 0 && params[0] == "Oracle" {
				s.kind = "malformed transactions"
				s.message["params"], s.ops = params, params[1:]
			}
		}
		s.waits = slices.ContainsFunc(s.ops, func(op any) bool { o, ok := op.(object); return ok && o["op"] == "wait" })
	}
	return s
}

func (g *generator) request(method string, params any) object {
	return object{"id": g.requests, "method": method, "params": params}
}

// lock asks for a lock or gives it back.
func (g *generator) lock(client int) *step {
	name := pick[any](g.r, "somelock", "somelock", "other")
	if g.chance(3) {
		name = pick[any](g.r, "", "4x", 3, nil, "a b")
	}
	return &step{kind: "locks", client: client, message: g.request(pick(g.r, "lock", "lock", "steal", "unlock", "unlock"), array{name})}
}

// junk is a request that is wrong, or odd.
func (g *generator) junk(client int) *step {
	method := pick(g.r, "list_dbs", "get_schema", "monitor_cancel", "monitor_cond_change", "monitor", "monitor_cond", "monitor_cond_since",
		"lock", "unlock", "set_db_change_aware", "echo", "cancel", "convert", "nope", "")
	var params any = array{}
	for range g.r.IntN(4) {
		params = append(params.(array), pick[any](g.r, "Oracle", "nope", nil, 3, true, object{}, array{}, object{"T0": object{}}, noUUID))
	}
	s := &step{kind: "malformed requests", client: client, message: g.request(method, params)}
	if strings.HasPrefix(method, "monitor") {
		s.before, s.replied = g.follow(client, method, params.(array))
	}
	return s
}

// follow has the watches follow a request about monitors that may be done,
// though it is odd.
func (g *generator) follow(client int, method string, params array) (before func(), replied func(side int, _ any) error) {
	before = func() {}
	find := func(at int) int {
		return slices.IndexFunc(g.watches, func(w *watch) bool { return len(params) > at && w.client == client && text(w.id) == text(params[at]) })
	}
	switch method {
	case "monitor_cancel":
		return before, func(side int, _ any) error {
			if i := find(0); side == 1 && i >= 0 {
				g.watches = slices.Delete(g.watches, i, i+1)
			}
			return nil
		}
	case "monitor_cond_change":
		i := find(0)
		if i < 0 || len(params) < 2 {
			return before, nil
		}
		w := g.watches[i]
		return func() { w.alias = &params[1] }, func(side int, _ any) error {
			if side == 1 {
				w.id, w.exact = params[1], false
			}
			return nil
		}
	}
	if len(params) < 2 {
		return before, nil
	}
	version := map[string]int{"monitor": 1, "monitor_cond": 2, "monitor_cond_since": 3}[method]
	return before, func(side int, _ any) error {
		if side == 0 {
			w := &watch{client: client, id: params[1], version: version, tables: map[string]*watched{}}
			w.clear()
			g.watches = append(g.watches, w)
		}
		return nil
	}
}

// wait is a transaction that waits for what other ones do.
func (g *generator) wait(client int) *step {
	t := pick(g.r, g.m.tables...)
	g.named, g.alone, g.forward = nil, true, nil
	op := object{"op": "wait", "table": t.name, "where": array{}}
	s := &step{kind: "waits", client: client, waits: true}
	switch g.r.IntN(5) {
	case 0:
		op["timeout"] = 1 + g.r.IntN(10)
		s.timeout = true
	case 1, 2:
		op["timeout"] = 60000
	}
	columns := array{}
	for _, c := range t.columns {
		if g.chance(40) {
			columns = append(columns, c.name)
		}
	}
	op["columns"] = columns
	rows := g.contents[t.name]
	if alive := g.alive[t.name]; len(alive) > 0 && g.chance(30) {
		// Until a row is gone, or there.
		op["where"] = array{array{"_uuid", "==", array{"uuid", pick(g.r, alive...)}}}
		op["until"], op["rows"] = pick(g.r, "==", "!="), array{}
	} else {
		// Until anything in these columns changes.
		now := array{}
		for _, row := range rows {
			some := object{}
			for _, c := range columns {
				some[c.(string)] = row.(object)[c.(string)]
			}
			now = append(now, some)
		}
		op["until"], op["rows"] = "!=", now
	}
	for range g.r.IntN(2) {
		s.ops = append(s.ops, g.operation())
	}
	s.ops = append(s.ops, op)
	for range g.r.IntN(3) {
		s.ops = append(s.ops, g.operation())
	}
	s.message = g.request("transact", append(array{"Oracle"}, s.ops...))
	return s
}

// cancel ends a transaction that waits.
func (g *generator) cancel(r *runner) *step {
	client := 0
	if len(r.waiting[0]) == 0 {
		client = 1
	}
	ids := slices.Sorted(maps.Keys(r.waiting[client]))
	return &step{kind: "cancel", client: client, message: object{"id": nil, "method": "cancel", "params": array{decode(pick(g.r, ids...))}}}
}

func (g *generator) monitorID() any {
	return pick[any](g.r, "m1", "m2", 3, nil, array{"a", 1}, object{"k": "v"})
}

// monitor starts a monitor.
func (g *generator) monitor(client int) *step {
	version := 1 + g.r.IntN(3)
	broken := g.chance(6) // and then without another mistake
	w := &watch{client: client, id: g.monitorID(), version: version, tables: map[string]*watched{}, exact: true}
	requests := object{}
	for _, t := range g.m.tables {
		if !g.chance(60) {
			continue
		}
		wt := &watched{table: t}
		list := array{}
		rest := slices.Clone(t.columns)
		g.r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
		n := pick(g.r, 1, 1, 1, 2, 3)
		for i := range n {
			req := object{}
			if i > 0 || g.chance(60) {
				names := array{}
				some := g.r.IntN(len(rest) + 1)
				for _, c := range rest[:some] {
					names = append(names, c.name)
				}
				wt.columns = append(wt.columns, rest[:some]...)
				rest = rest[some:]
				if g.chance(5) && !broken {
					names = append(names, pick(g.r, "_uuid", "_version"))
				}
				req["columns"] = names
			} else {
				wt.columns, rest = append(wt.columns, rest...), nil
			}
			if g.chance(25) {
				sel := object{}
				for _, kind := range []string{"initial", "insert", "delete", "modify"} {
					if g.chance(40) {
						sel[kind] = g.chance(60)
						w.exact = w.exact && sel[kind] == true
					}
				}
				req["select"] = sel
			}
			// Of several requests' conditions C takes any: see differences.txt.
			if version > 1 && n == 1 && g.chance(60) {
				g.flawless = broken
				where := g.monitorWhere(t)
				g.flawless = false
				req["where"] = where
				if i == 0 && len(where) > 0 {
					wt.where = where
				}
			}
			list = append(list, req)
		}
		requests[t.name] = list
		if len(list) == 1 && g.chance(50) {
			requests[t.name] = list[0]
		}
		w.tables[t.name] = wt
	}
	if equal := g.equal(w); len(equal) > 0 && slices.ContainsFunc(append(equal, w), (*watch).looksBeyond) {
		return g.lock(client)
	}
	params := array{"Oracle", w.id, requests}
	method := "monitor"
	switch version {
	case 2:
		method = "monitor_cond"
	case 3:
		method = "monitor_cond_since"
		params = append(params, pick(g.r, noUUID, noUUID, "11111111-1111-1111-1111-111111111111"))
	}
	s := &step{kind: method, client: client, version: version, message: g.request(method, params)}
	if broken {
		s.kind, w.exact = "malformed monitors", false
		s.message["params"] = g.mutilate(params)
		if p, ok := s.message["params"].(array); ok && len(p) > 1 {
			w.id = p[1]
		}
		if p, ok := s.message["params"].(array); ok && len(p) > 2 {
			asked, _ := p[2].(object)
			maps.DeleteFunc(w.tables, func(name string, _ *watched) bool { return asked[name] == nil })
		}
	}
	s.replied = func(side int, result any) error {
		if side == 0 {
			w.clear()
			g.watches = append(g.watches, w)
		}
		if version == 3 {
			p, _ := result.(array)
			if len(p) != 3 {
				return fmt.Errorf("%s", text(result))
			}
			result = p[2]
		}
		if !w.exact {
			return nil
		}
		return w.apply(side, result)
	}
	return s
}

// monitorWhere makes a monitor's condition, of which any part suffices.
func (g *generator) monitorWhere(t *table) array {
	g.noNames = true
	defer func() { g.noNames = false }()
	where := array{}
	for range g.r.IntN(4) {
		if g.chance(10) {
			where = append(where, pick[any](g.r, true, false))
			continue
		}
		if more, ok := g.where(t).(array); ok {
			where = append(where, more...)
		}
	}
	if slices.Contains(where, any(true)) {
		// Of true and two times false C makes false: see differences.txt.
		where = slices.DeleteFunc(where, func(v any) bool { return v == false })
	}
	return where
}

// condChange changes a monitor's conditions.
func (g *generator) condChange() *step {
	w := pick(g.r, g.watches...)
	requests := object{}
	changed := map[string]array{}
	var tables []*table
	for _, t := range g.m.tables {
		if w.tables[t.name] != nil && g.chance(60) || g.chance(2) {
			tables = append(tables, t)
		}
	}
	// Of a request that fails C does what comes before the mistake: see
	// differences.txt.
	alone := len(tables) == 1 && g.chance(40)
	if !alone {
		tables = slices.DeleteFunc(tables, func(t *table) bool { return w.tables[t.name] == nil })
	}
	// Of several mistakes C names any: see differences.txt.
	broken := alone && g.chance(30)
	for _, t := range tables {
		g.flawless = !alone || broken
		n := 1
		if !alone && g.chance(20) {
			n = 2
		}
		list := array{}
		for range n {
			// Without a "where" C's server dies: see differences.txt.
			where := g.monitorWhere(t)
			if wt := w.tables[t.name]; wt != nil && len(g.equal(w)) > 0 {
				where = slices.DeleteFunc(where, wt.looksBeyond)
			}
			list = append(list, object{"where": where})
			changed[t.name] = where // the last one counts
		}
		g.flawless = false
		requests[t.name] = list
		if alone && g.chance(10) {
			requests[t.name] = list[0]
		}
	}
	id, newID := w.id, w.id
	if g.chance(50) {
		newID = g.monitorID()
	}
	if alone && g.chance(10) {
		id = g.monitorID()
	}
	params := array{id, newID, requests}
	s := &step{kind: "monitor_cond_change", client: w.client, message: g.request("monitor_cond_change", params)}
	exact := text(id) == text(w.id)
	if !exact { // it may be another one's id
		for _, o := range g.watches {
			if o.client == w.client && text(o.id) == text(id) {
				w = o
			}
		}
	}
	if broken {
		p, _ := g.mutilate(params).(array)
		if len(p) > 1 && text(p[0]) == text(id) && wheres(p) == wheres(params) {
			s.kind, exact = "malformed monitors", false
			newID, s.message["params"] = p[1], p
		}
	}
	s.before = func() { w.alias = &newID }
	s.replied = func(side int, _ any) error {
		if side == 0 {
			return nil
		}
		w.id, w.exact = newID, w.exact && exact
		for name, where := range changed {
			if wt := w.tables[name]; wt != nil && w.version > 1 {
				if wt.where = where; len(where) == 0 {
					wt.where = nil
				}
			}
		}
		return nil
	}
	return s
}

// equal lists the other monitors of the same columns: C keeps one for all, and
// goes wrong when one of them has a condition on another column (see
// differences.txt).
func (g *generator) equal(w *watch) []*watch {
	columns := func(w *watch) string {
		all := []string{}
		for name, wt := range w.tables {
			all = append(all, name)
			for _, c := range wt.columns {
				all = append(all, name+"."+c.name)
			}
		}
		slices.Sort(all)
		return strings.Join(all, " ")
	}
	var list []*watch
	for _, o := range g.watches {
		if o != w && columns(o) == columns(w) {
			list = append(list, o)
		}
	}
	return list
}

// looksBeyond reports whether a condition is on a column that is not monitored.
func (w *watch) looksBeyond() bool {
	for _, wt := range w.tables {
		if slices.ContainsFunc(wt.where, wt.looksBeyond) {
			return true
		}
	}
	return false
}

// looksBeyond reports whether a clause is of a column that is not monitored.
func (wt *watched) looksBeyond(clause any) bool {
	a, ok := clause.(array)
	return ok && !slices.ContainsFunc(wt.columns, func(c *column) bool { return len(a) > 0 && a[0] == c.name })
}

// wheres counts the conditions of a monitor_cond_change, and what is to hold them.
func wheres(params any) int {
	s := text(params)
	return strings.Count(s, `"where":[`) - 1000*(strings.Count(s, "{")-strings.Count(s, "}"))
}

// monitorCancel ends a monitor.
func (g *generator) monitorCancel() *step {
	w := pick(g.r, g.watches...)
	s := &step{kind: "monitor_cancel", client: w.client, message: g.request("monitor_cancel", array{w.id})}
	s.replied = func(side int, _ any) error {
		if side == 1 {
			g.watches = slices.DeleteFunc(g.watches, func(o *watch) bool { return o == w })
		}
		return nil
	}
	return s
}

// update has a monitor's model follow an update.
func (g *generator) update(client, side int, m object) error {
	p, _ := m["params"].(array)
	if len(p) < 2 {
		return fmt.Errorf("%s", text(m))
	}
	id := text(p[0])
	for _, w := range g.watches {
		if w.client != client || text(w.id) != id && (w.alias == nil || text(*w.alias) != id) {
			continue
		}
		if want := map[int]string{1: "update", 2: "update2", 3: "update3"}[w.version]; m["method"] != want {
			return fmt.Errorf("%s for monitor %s", m["method"], w)
		}
		if !w.exact {
			return nil
		}
		err := w.apply(side, p[len(p)-1])
		if errors.Is(err, errUnknown) {
			w.exact, err = false, nil
		}
		return err
	}
	return fmt.Errorf("%s: there is no such monitor", text(m))
}

// inserted takes note of a row whose UUID the servers chose.
func (g *generator) inserted(op object, name string) {
	t, _ := op["table"].(string)
	g.born = append(g.born, namedRow{name, t})
}

// mutilate makes JSON wrong in one place.
func (g *generator) mutilate(v any) any {
	v = clone(v)
	type place struct {
		set    func(any)
		remove func()
		now    any
	}
	var places []place
	var walk func(v any, p place)
	walk = func(v any, p place) {
		p.now = v
		places = append(places, p)
		switch v := v.(type) {
		case object:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], place{set: func(x any) { v[k] = x }, remove: func() { delete(v, k) }})
			}
		case array:
			for i := range v {
				walk(v[i], place{set: func(x any) { v[i] = x }})
			}
		}
	}
	walk(v, place{set: func(any) {}})
	p := pick(g.r, places[1:]...)
	junk := pick[any](g.r, nil, true, 7, -1, 1.5, "x", "", array{}, object{}, array{"set", array{}}, array{"uuid", "x"}, array{array{}})
	switch o, isObject := p.now.(object); {
	case isObject && g.chance(30):
		o["zzz"] = junk
	case p.remove != nil && g.chance(30):
		p.remove()
	default:
		p.set(junk)
	}
	return v
}
