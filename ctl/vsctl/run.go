package vsctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"govs/internal/daemon"
	"govs/internal/json"
	"govs/internal/table"
	"govs/ovsdb/data"
	"govs/schema"
	"govs/schema/atom"
)

// errLater says that the commands cannot be done yet: begin anew after the next
// change of the database.
var errLater = errors.New("not yet")

// fetch collects the tables and columns that the commands need. Of a table that
// is not needed whole only the rows with certain names are.
type fetch struct {
	names   *names
	warn    func(module, text string)
	columns map[string]map[string]bool
	whole   map[string]bool
	rows    map[string]map[string]bool // by table and name
}

// need asks for columns of all rows of a table.
func (f *fetch) need(table string, columns ...string) {
	f.whole[table] = true
	f.column(table, columns...)
}

// column asks for columns of those rows that are needed otherwise.
func (f *fetch) column(table string, columns ...string) {
	m := f.columns[table]
	if m == nil {
		m = make(map[string]bool)
		f.columns[table] = m
	}
	for _, c := range columns {
		m[c] = true
	}
}

func (f *fetch) needColumns(table string, words []string) error {
	for _, w := range words {
		c, err := f.names.column(table, w)
		if err != nil {
			return err
		}
		f.column(table, c)
	}
	return nil
}

// needExprs looks only at the columns; the rest of an argument is judged once its
// record is found.
func (f *fetch) needExprs(table string, args, ops []string) error {
	for _, a := range args {
		if ops == nil && a == "_uuid" {
			continue
		}
		e, err := parseColumn(f.names, table, a)
		if err != nil {
			return err
		}
		f.column(table, e.column)
	}
	return nil
}

// prepare goes over the commands before the database is read.
func (f *fetch) prepare(commands []*command) error {
	f.columns = make(map[string]map[string]bool)
	f.whole, f.rows = make(map[string]bool), make(map[string]map[string]bool)
	f.need("Open_vSwitch", "cur_cfg")
	for _, c := range commands {
		if c.verb.need != nil {
			if err := c.verb.need(f, c); err != nil {
				return err
			}
		}
	}
	f.widen()
	return nil
}

// monitorRequest is the parameter of monitor that gets what is needed, but for
// rows by their names: of those it tells what becomes of them.
func (f *fetch) monitorRequest(s *schema.Schema) []byte {
	b := []byte{'{'}
	for name, columns := range f.columns {
		t := s.Table(name)
		if t == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(json.AppendString(b, name), `:{"columns":[`...)
		n := 0
		for _, c := range t.Columns[schema.FirstColumn:] {
			if columns[c.Name] {
				if n++; n > 1 {
					b = append(b, ',')
				}
				b = json.AppendString(b, c.Name)
			}
		}
		b = append(b, ']')
		if !f.whole[name] {
			b = append(b, `,"select":{"initial":false}`...)
		}
		b = append(b, '}')
	}
	return append(b, '}')
}

// run is one attempt at the commands, on the database as it is now.
type run struct {
	m     *mirror
	names *names
	warn  func(module, text string)

	order       []*row // rows that were touched, in order
	fresh       map[atom.UUID]*row
	given       map[atom.UUID]bool // UUIDs of new rows that the user chose
	symbols     map[string]*symbol
	symbolNames []string
	at          int    // the command that runs, counted
	last        bool   // it is the last one
	expected    []*row // new interfaces, which the switch should set up

	edits  int
	view   *tree
	viewAt int
}

func newRun(m *mirror, n *names, warn func(module, text string)) *run {
	return &run{m: m, names: n, warn: warn, fresh: make(map[atom.UUID]*row), given: make(map[atom.UUID]bool), symbols: make(map[string]*symbol), viewAt: -1}
}

// undo forgets what the run did to the rows of the mirror.
func (r *run) undo() {
	for _, x := range r.order {
		if !x.isNew() {
			*x = row{t: x.t, id: x.id, base: x.base}
		}
	}
}

// execute does the commands.
func (r *run) execute(commands []*command) error {
	r.ovs()
	for i, c := range commands {
		r.at, r.last = i, i == len(commands)-1
		c.out.Reset()
		c.table, c.made = nil, nil
		if err := c.verb.run(r, c); err != nil {
			return err
		}
		for _, x := range r.order {
			if x.isNew() && x.t.Name == "Interface" && x.gone {
				r.expected = slices.DeleteFunc(r.expected, func(y *row) bool { return x == y })
			}
		}
	}
	return r.checkSymbols()
}

// outcome is what became of a transaction.
type outcome struct {
	changed bool
	nextCfg int64
	uuids   map[*row]atom.UUID
}

// commit sends the transaction. It returns errLater where somebody else changed
// what the run relied on.
func (s *session) commit(ctx context.Context, r *run) (outcome, error) {
	ops, made, changed := r.ops()
	o := outcome{changed: changed, uuids: make(map[*row]atom.UUID)}
	if !changed {
		return o, nil
	}
	at := -1
	if !s.o.noWait {
		ops = append(ops, r.incrementOps(r.ovs())...)
		at = len(ops) - 1
	}
	ops = append(ops, commentOp(s.argv))
	if s.o.dryRun { // the server judges, and forgets
		ops = append(ops, []byte(`{"op":"abort"}`))
		at = -1
	}
	reply, err := s.client.Transact(ctx, dbName, ops...)
	if err != nil {
		return o, s.judge(reply, err)
	}
	for x, i := range made {
		if id, ok := atom.Parse(reply.At(i).Get("uuid").At(1).Str()); ok {
			o.uuids[x] = id
		}
	}
	if at >= 0 {
		if n, _ := reply.At(at - 1).Get("count").Int(); n != 1 { // somebody destroyed the row of Open_vSwitch
			s.warn("ovsdb_idl", fmt.Sprintf("\"mutate\" reply \"count\" is %d instead of 1", n))
			return o, errors.New("transaction error: no error details available")
		}
		o.nextCfg, _ = reply.At(at).Get("rows").At(0).Get("next_cfg").Int()
	}
	return o, nil
}

// judge tells a race from an error.
func (s *session) judge(reply json.Value, err error) error {
	if reply.Kind() != json.Array {
		return fmt.Errorf("transaction error: %w", err)
	}
	for e := range reply.Elems() {
		tag := e.Get("error")
		if tag.Kind() != json.String {
			continue
		}
		if tag.Is("aborted") && s.o.dryRun {
			return nil
		}
		if tag.Is("timed out") || s.stale() {
			return errLater
		}
		s.warn("ovsdb_idl", "transaction error: "+errorText(e))
		return errors.New("transaction error: " + errorText(e))
	}
	return fmt.Errorf("transaction error: %w", err)
}

// print writes the output of the commands.
func (s *session) print(w io.Writer, commands []*command, o outcome) error {
	p := table.NewPrinter(w, s.o.style)
	for _, c := range commands {
		if c.made != nil {
			id, ok := o.uuids[c.made]
			if !ok {
				id = c.made.id
			}
			c.printf("%s\n", id)
		}
		var err error
		switch {
		case c.table != nil:
			err = p.Print(c.table)
		case s.o.oneline:
			_, err = io.WriteString(w, oneline(c.out.String())+"\n")
		default:
			_, err = w.Write(c.out.Bytes())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// oneline makes one line of a text: the newline at its end goes, others become \n.
func oneline(s string) string {
	var b []byte
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n' && i == len(s)-1:
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\\':
			b = append(b, `\\`...)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// reloaded reports whether the switch has taken a configuration in.
func (m *mirror) reloaded(nextCfg int64) bool {
	for _, x := range m.rows["Open_vSwitch"] {
		if d := x.val("cur_cfg"); d.Len() == 1 && d.Key(0).Int() >= nextCfg {
			return true
		}
	}
	return false
}

// reportInterfaces tells what went wrong with the new interfaces.
func (s *session) reportInterfaces(w io.Writer, r *run, o outcome) {
	bad := false
	for _, made := range r.expected {
		x := s.m.rows["Interface"][o.uuids[made]]
		if x == nil {
			continue
		}
		if d := x.val("ofport"); d.Len() == 1 && !d.Equal(data.One(atom.Int(-1))) {
			continue
		}
		bad = true
		reason := ""
		if e := x.str("error"); e != "" {
			reason = ": " + e
		}
		fmt.Fprintf(w, "%s: Error detected while setting up '%s'%s.  See ovs-vswitchd log for details.\n", program, x.str("name"), reason)
	}
	if bad {
		fmt.Fprintf(w, "%s: The default log directory is \"%s\".\n", program, daemon.LogDir())
	}
}
