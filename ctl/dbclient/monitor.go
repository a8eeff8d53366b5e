package dbclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"govs/internal/daemon"
	"govs/internal/json"
	"govs/internal/table"
	"govs/ovsdb/query"
	"govs/schema"
	"govs/schema/atom"
)

// watch is a monitor in progress.
type watch struct {
	c      *client
	method string // monitor, monitor_cond, monitor_cond_since
	tables []*watched
	out    *table.Printer
}

// watched is a table that is monitored.
type watched struct {
	table   *schema.Table
	columns []*schema.Column // in the order of the command line
	request []byte           // the array of monitor requests
}

// monitor prints the rows of a table, or of all tables, and each change.
func (c *client) monitor(args []string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	w := c.newWatch("monitor")
	if len(args) == 1 && args[0] == "ALL" {
		for _, t := range s.Tables {
			wt, err := c.watched(s, t, nil, nil)
			if err != nil {
				return err
			}
			w.tables = append(w.tables, wt)
		}
		return w.run(atom.UUID{})
	}
	t := s.Table(args[0])
	if t == nil {
		return fmt.Errorf("%s: %s does not have a table named \"%s\"", c.target, c.db, args[0])
	}
	wt, err := c.watched(s, t, args[1:], nil)
	if err != nil {
		return err
	}
	w.tables = []*watched{wt}
	return w.run(atom.UUID{})
}

// start makes the process one that may detach. Standard output stays.
func (c *client) start() error {
	c.opts.KeepStdout = true
	c.opts.Modules = []string{"ovsdb_client", "reconnect"}
	p, err := daemon.Start(program, &c.opts)
	if err != nil {
		return err
	}
	c.proc, c.sys, c.ctx = p, p.Log, p.Context()
	return nil
}

func (c *client) newWatch(method string) *watch {
	return &watch{c: c, method: method, out: table.NewPrinter(c.out, c.style)}
}

// watched reads the groups of columns of a monitored table. where is nil in
// "monitor".
func (c *client) watched(s *schema.Schema, t *schema.Table, groups []string, where []byte) (*watched, error) {
	wt := &watched{table: t, request: []byte{'['}}
	seen := make(map[*schema.Column]bool)
	add := func(col *schema.Column) error {
		if seen[col] {
			return fmt.Errorf("%s: column \"%s\" mentioned multiple times", c.target, col.Name)
		}
		seen[col] = true
		wt.columns = append(wt.columns, col)
		return nil
	}
	if len(groups) == 0 {
		groups = []string{""}
	}
	for i, g := range groups {
		skip := make(map[string]bool)
		first := len(wt.columns)
		for _, name := range strings.Split(g, ",") {
			switch name {
			case "":
			case "!initial", "!insert", "!delete", "!modify":
				skip[name[1:]] = true
			default:
				col := t.Column(name)
				if col == nil {
					return nil, fmt.Errorf("%s: table \"%s\" in %s does not have a column named \"%s\"", c.target, t.Name, s.Name, name)
				}
				if err := add(col); err != nil {
					return nil, err
				}
			}
		}
		if len(wt.columns) == first {
			for _, col := range append(t.Columns[schema.FirstColumn:len(t.Columns):len(t.Columns)], t.Columns[schema.VersionColumn]) {
				if err := add(col); err != nil {
					return nil, err
				}
			}
		}
		b := wt.request
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"columns":[`...)
		for j, col := range wt.columns[first:] {
			if j > 0 {
				b = append(b, ',')
			}
			b = json.AppendString(b, col.Name)
		}
		b = append(b, ']')
		if where != nil {
			b = append(append(b, `,"where":`...), where...)
		}
		b = append(b, `,"select":{`...)
		for j, kind := range []string{"initial", "insert", "delete", "modify"} {
			if j > 0 {
				b = append(b, ',')
			}
			b = fmt.Appendf(b, "%q:%t", kind, !skip[kind])
		}
		wt.request = append(b, "}}"...)
	}
	wt.request = append(wt.request, ']')
	return wt, nil
}

// conditions reads the conditions of monitor-cond.
func (c *client) conditions(t *schema.Table, text string) ([]byte, error) {
	v, err := parse(text)
	if err != nil {
		return nil, err
	}
	if _, bad := query.ParseCondition(v, t, nil); bad != nil {
		return nil, bad
	}
	return v.AppendSorted(nil), nil
}

// params are a request's parameters: database, id and requests.
func (w *watch) params(more ...[]byte) []byte {
	b := []byte{'{'}
	for i, t := range w.tables {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(json.AppendString(b, t.table.Name), ':')
		b = append(b, t.request...)
	}
	return array(w.c.db, append([][]byte{array("monid", w.c.quoted()), append(b, '}')}, more...)...)
}

func (c *client) quoted() []byte { return json.AppendString(nil, c.db) }

// run asks for the monitor and prints what comes until the end.
func (w *watch) run(since atom.UUID) error {
	c := w.c
	hold := newHold(c.proc.Ctl)
	if w.method != "monitor" {
		w.registerChange(c.proc.Ctl)
	}
	if !c.unaware {
		if _, err := c.call("set_db_change_aware", []byte("[true]")); err != nil {
			select {
			case <-c.conn.done:
				return err
			default: // an old server does not know it
			}
		}
	}
	var more [][]byte
	if w.method == "monitor_cond_since" {
		more = append(more, json.AppendString(nil, since.String()))
	}
	reply, err := c.call(w.method, w.params(more...))
	if err != nil {
		return err
	}
	if err := w.first(reply); err != nil {
		return err
	}
	c.proc.Ready()
	return c.follow(hold, w.note)
}

// follow handles notifications until the connection or the process ends.
func (c *client) follow(h *hold, handle func(note) error) error {
	for {
		if h.wait(c.ctx) != nil {
			return nil
		}
		for _, n := range c.conn.notes() {
			if err := handle(n); err != nil {
				return err
			}
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-h.changed():
		case <-c.conn.more:
		case <-c.conn.done:
			for _, n := range c.conn.notes() {
				if err := handle(n); err != nil {
					return err
				}
			}
			if errors.Is(c.ctx.Err(), context.Canceled) {
				return nil
			}
			return fmt.Errorf("%s: receive failed (%s)", c.target, c.conn.lost())
		}
	}
}

// note handles a notification.
func (w *watch) note(n note) error {
	v, err := json.Parse(n.params)
	if err != nil {
		return err
	}
	switch n.method {
	case "update":
		return w.print(v.At(1), w.old)
	case "update2":
		return w.print(v.At(1), w.new)
	case "update3":
		fmt.Fprintf(w.c.out, "\nlast_id: %s", v.At(1).Str())
		return w.print(v.At(2), w.new)
	case "monitor_canceled":
		return fmt.Errorf("%s: %s database was removed", w.c.target, w.c.db)
	}
	return nil
}

// first prints the answer to the request for the monitor.
func (w *watch) first(reply json.Value) error {
	switch w.method {
	case "monitor":
		return w.print(reply, w.initial)
	case "monitor_cond":
		return w.print(reply, w.new)
	}
	found, _ := reply.At(0).Bool()
	fmt.Fprintf(w.c.out, "found: %t, last_id: %s\n", found, reply.At(1).Str())
	return w.print(reply.At(2), w.new)
}
