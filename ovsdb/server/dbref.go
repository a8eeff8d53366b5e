package server

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"govs/internal/json"
	"govs/internal/stream"
	"govs/ovsdb/data"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// statusEvery is how often the status columns of remotes are written.
const statusEvery = 2500 * time.Millisecond

// dbRef is db:DB,TABLE,COLUMN: configuration that stands in a database.
type dbRef struct {
	db     *Database
	table  *schema.Table
	column *schema.Column
}

func isDBRef(s string) bool { return strings.HasPrefix(s, "db:") }

// resolve finds what a reference names, in the words of the C server where it
// does not exist.
func (s *Server) resolve(name string) (dbRef, error) {
	parts := strings.Split(strings.TrimPrefix(name, "db:"), ",")
	if len(parts) != 3 {
		return dbRef{}, fmt.Errorf("%q: invalid syntax", name)
	}
	db := s.Database(parts[0])
	if db == nil {
		return dbRef{}, fmt.Errorf("%q: no database named %s", name, parts[0])
	}
	t := db.schema.Table(parts[1])
	if t == nil {
		return dbRef{}, fmt.Errorf("%q: no table named %s", name, parts[1])
	}
	c := t.Column(parts[2])
	if c == nil {
		return dbRef{}, fmt.Errorf("%q: table %q has no column %q", name, parts[1], parts[2])
	}
	return dbRef{db, t, c}, nil
}

// resolveString is resolve for a file name.
func (s *Server) resolveString(name string) (dbRef, error) {
	ref, err := s.resolve(name)
	if err != nil {
		return ref, err
	}
	if ty := &ref.column.Type; ty.Key.Type != atom.String || ty.Map() {
		return ref, fmt.Errorf("%q: table %q column %q is not string or string set", name, ref.table.Name, ref.column.Name)
	}
	return ref, nil
}

// wanted is a remote that a row asks for.
type wanted struct {
	opts  RemoteOptions
	db    *Database
	table *schema.Table // nil where the target is a plain string
	row   *store.Row
}

// remotes reads the targets that a reference gives: the column holds strings,
// or references to rows. One of another type gives none, as in the C server.
func (ref dbRef) remotes(into map[string]wanted) {
	snap := ref.db.Snapshot()
	key := &ref.column.Type.Key
	target := key.RefTable
	if ref.column.Type.Map() || key.Type != atom.String && target == nil {
		return
	}
	for row := range snap.Rows(ref.table) {
		for a := range row.Get(ref.column).Keys() {
			if target == nil {
				if t := a.Str(); t != "" {
					into[t] = wanted{db: ref.db}
				}
				continue
			}
			r := snap.Row(target, a.UUID())
			if r == nil {
				continue
			}
			if t := text(target, r, "target"); t != "" {
				into[t] = wanted{opts: rowOptions(target, r), db: ref.db, table: target, row: r}
			}
		}
	}
}

// field returns a row's column of a type, where there is one with a value.
func field(t *schema.Table, r *store.Row, name string, ty atom.Type) (atom.Atom, bool) {
	c := t.Column(name)
	if c == nil || c.Type.Key.Type != ty || c.Type.Map() {
		return atom.Atom{}, false
	}
	d := r.Get(c)
	if d.Len() == 0 {
		return atom.Atom{}, false
	}
	return d.Key(0), true
}

func text(t *schema.Table, r *store.Row, name string) string {
	a, ok := field(t, r, name, atom.String)
	if !ok {
		return ""
	}
	return a.Str()
}

func rowOptions(t *schema.Table, r *store.Row) RemoteOptions {
	var o RemoteOptions
	if a, ok := field(t, r, "inactivity_probe", atom.Integer); ok {
		d := time.Duration(max(a.Int(), 0)) * time.Millisecond
		o.Probe = &d
	}
	if a, ok := field(t, r, "max_backoff", atom.Integer); ok {
		o.MaxBackoff = time.Duration(max(a.Int(), 1000)) * time.Millisecond
	}
	if a, ok := field(t, r, "read_only", atom.Boolean); ok {
		o.ReadOnly = a.Bool()
	}
	o.Role = text(t, r, "role")
	return o
}

// kick has the configuration in databases read again soon.
func (s *Server) kick() {
	select {
	case s.reconfig <- struct{}{}:
	default:
	}
}

// changed looks whether a delta touches configuration.
func (s *Server) changed(db *Database, d *store.Delta) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	for _, td := range d.Tables {
		if s.watch.tables[watchKey{db.schema.Name, td.Table.Name}] {
			s.kick()
			return
		}
	}
}

type watchKey struct{ db, table string }

// watchList is the tables that hold configuration.
type watchList struct {
	mu     sync.Mutex
	tables map[watchKey]bool
}

// configure keeps remotes as the databases want them.
func (s *Server) configure() {
	defer s.wg.Done()
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-s.reconfig:
			s.reconfigure()
			s.writeStatus(false)
		case now := <-tick.C:
			s.cover.Sample(now)
			s.reconfigure()
			s.writeStatus(true)
		}
	}
}

// reconfigure opens and closes the remotes that stand in databases.
func (s *Server) reconfigure() {
	s.configuring.Lock()
	defer s.configuring.Unlock()
	want := make(map[string]wanted)
	tables := make(map[watchKey]bool)
	note := func(ref dbRef) {
		tables[watchKey{ref.db.schema.Name, ref.table.Name}] = true
		if t := ref.column.Type.Key.RefTable; t != nil {
			tables[watchKey{ref.db.schema.Name, t.Name}] = true
		}
	}
	for _, name := range s.Remotes() {
		if isDBRef(name) {
			if ref, err := s.resolve(name); err == nil {
				note(ref)
				ref.remotes(want)
			}
		}
	}
	for _, name := range s.tls.refs() {
		if ref, err := s.resolveString(name); err == nil {
			note(ref)
		}
	}
	s.watch.mu.Lock()
	s.watch.tables = tables
	s.watch.mu.Unlock()

	tls := s.tls.options(s)
	s.mu.Lock()
	closed := s.closed
	var drop []*remote
	restart := make(map[string]RemoteOptions)
	for target, r := range s.remotes {
		delete(want, target) // it is there already
		if r.retry {
			restart[target] = r.options()
			continue
		}
		if r.tls != nil && usesTLS(target) && *r.tls != *tls {
			drop = append(drop, r)
			s.remotes[target] = s.later(target, r.options())
			restart[target] = r.options()
		}
	}
	for target, r := range s.derived {
		w, ok := want[target]
		if ok && !w.opts.equal(r.options()) {
			defer r.setOptions(w.opts)
		}
		if !ok || usesTLS(target) && *r.tls != *tls {
			drop = append(drop, r)
			delete(s.derived, target)
			if !ok {
				s.cfg.Log("ovsdb_jsonrpc_server").Info(target + ": remote deconfigured")
			}
		}
	}
	var open []string
	for target := range want {
		if s.derived[target] == nil {
			open = append(open, target)
		}
	}
	s.mu.Unlock()
	for _, r := range drop {
		r.close()
	}
	if closed {
		return
	}
	slices.Sort(open)
	for _, target := range open {
		s.install(s.derived, target, want[target].opts)
	}
	for target, o := range restart {
		s.install(s.remotes, target, o)
	}
}

func usesTLS(target string) bool {
	return strings.HasPrefix(target, "pssl:") || strings.HasPrefix(target, "ssl:")
}

// install opens a remote that configuration asks for. One that fails is tried
// again with the next look.
func (s *Server) install(into map[string]*remote, target string, o RemoteOptions) {
	r, err := s.openRemote(target, o)
	if err != nil {
		s.remoteLog.Warn(target + ": " + err.Error())
		return
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		r.close()
		return
	}
	into[target] = r
	s.mu.Unlock()
}

// Remotes lists the remotes as they were named, in order.
func (s *Server) Remotes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.remotes))
	for name := range s.remotes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// writeStatus writes how remotes fare to the rows that configure them: what
// changed, and with always the times, too.
func (s *Server) writeStatus(always bool) {
	want := make(map[string]wanted)
	for _, name := range s.Remotes() {
		if isDBRef(name) {
			if ref, err := s.resolve(name); err == nil {
				ref.remotes(want)
			}
		}
	}
	now := time.Now()
	ops := make(map[*Database][]byte)
	for target, w := range want {
		if w.table == nil {
			continue
		}
		s.mu.Lock()
		r := s.derived[target]
		s.mu.Unlock()
		connected, status := r.status(target, now)
		row, differs := statusRow(w.table, w.row, connected, status, always)
		if !differs {
			continue
		}
		b := ops[w.db]
		if b == nil {
			b = append([]byte{'['}, quote(w.db.schema.Name)...)
		}
		b = append(b, `,{"op":"update","table":`...)
		b = json.AppendString(b, w.table.Name)
		b = append(b, `,"where":[["_uuid","==",`...)
		b = w.row.UUID.AppendJSON(b)
		b = append(b, `]],"row":`...)
		b = append(b, row...)
		ops[w.db] = append(b, '}')
	}
	for db, b := range ops {
		if db.relay != nil || db.backup.Load() || s.repl.backup.Load() {
			continue // it is another server's
		}
		if _, err := db.Transact(append(b, ']')); err != nil {
			s.log.Warn(db.schema.Name + ": writing the status of remotes: " + err.Error())
		}
	}
}

// statusRow makes the row of an update, and reports whether it is worth one.
func statusRow(t *schema.Table, r *store.Row, connected bool, status map[string]string, always bool) ([]byte, bool) {
	b := []byte{'{'}
	differs := false
	if c := t.Column("is_connected"); c != nil && c.Type.Key.Type == atom.Boolean && c.Type.Scalar() {
		b = append(b, `"is_connected":`...)
		v := data.One(atom.Bool(connected))
		b = v.AppendJSON(b, &c.Type)
		differs = !r.Get(c).Equal(v)
	}
	if c := t.Column("status"); c != nil && c.Type.Map() && c.Type.Key.Type == atom.String && c.Type.Value.Type == atom.String {
		if len(b) > 1 {
			b = append(b, ',')
		}
		pairs := make([]data.Pair, 0, len(status))
		for k, v := range status {
			pairs = append(pairs, data.Pair{Key: atom.Str(k), Value: atom.Str(v)})
		}
		v := data.Map(pairs...)
		b = append(b, `"status":`...)
		b = v.AppendJSON(b, &c.Type)
		old := r.Get(c)
		if always {
			differs = differs || !old.Equal(v)
		} else {
			for _, key := range []string{"state", "bound_port", "n_connections", "last_error", "locks_held", "locks_waiting", "locks_lost"} {
				was, _ := old.Get(atom.Str(key))
				is, _ := v.Get(atom.Str(key))
				differs = differs || was != is
			}
		}
	}
	return append(b, '}'), differs
}

// tlsSource holds the TLS options as they were given.
type tlsSource struct {
	mu    sync.Mutex
	given stream.TLSOptions
}

// SetTLS sets the options for pssl: and ssl: remotes. The file names may be of
// the form db:DB,TABLE,COLUMN: the first string in that column is the name.
func (s *Server) SetTLS(o stream.TLSOptions) error {
	s.tls.mu.Lock()
	s.tls.given = o
	s.tls.mu.Unlock()
	for _, name := range s.tls.refs() {
		if _, err := s.resolveString(name); err != nil {
			return err
		}
	}
	s.reconfigure()
	return nil
}

func (t *tlsSource) refs() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []string
	for _, name := range []string{t.given.PrivateKey, t.given.Certificate, t.given.CACert, t.given.PeerCACert} {
		if isDBRef(name) {
			out = append(out, name)
		}
	}
	return out
}

// options are the options as the databases have them now.
func (t *tlsSource) options(s *Server) *stream.TLSOptions {
	t.mu.Lock()
	o := t.given
	t.mu.Unlock()
	for _, name := range []*string{&o.PrivateKey, &o.Certificate, &o.CACert, &o.PeerCACert} {
		if !isDBRef(*name) {
			continue
		}
		value := ""
		if ref, err := s.resolveString(*name); err == nil {
			for row := range ref.db.Snapshot().Rows(ref.table) {
				for a := range row.Get(ref.column).Keys() {
					if value == "" {
						value = a.Str()
					}
				}
			}
		}
		*name = value
	}
	return &o
}
