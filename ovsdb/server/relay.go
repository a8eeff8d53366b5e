package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"govs/internal/dberr"
	"govs/ovsdb/client"
	"govs/ovsdb/monitor"
	"govs/ovsdb/storage"
	"govs/ovsdb/store"
	"govs/schema"
	"govs/schema/atom"
)

// relayPrefix begins the description of a relay database: relay:NAME:REMOTES.
const relayPrefix = "relay:"

// relayGrace is for how long a relay whose source is away still counts as
// connected (ovsdb-server(5), Database table), as in the C server.
const relayGrace = 30 * time.Second

// relay keeps a database that lives in another server, its source: it follows
// the contents, and sends the source what clients want to change.
type relay struct {
	srv  *Server
	log  *slog.Logger
	name string
	feed *feed // of the database
	stop context.CancelFunc
	done chan struct{}
	news chan struct{} // holds one element when something is to be looked at
	forwards

	mu        sync.Mutex
	db        *Database      // nil as long as the schema is not known
	next      *schema.Schema // that the feed's next contents have
	connected bool
	grace     *time.Timer     // nil where the source is there
	source    *store.Snapshot // the source's _Server; nil where it has none
	servers   *feed           // of it
	fault     error           // of a notification
}

// AddRelay adds a database that another server keeps, as relay:NAME:REMOTES says,
// where REMOTES are active targets separated by commas. The database is served
// once a source has told its schema.
func (s *Server) AddRelay(spec string) error {
	name, remotes, ok := strings.Cut(strings.TrimPrefix(spec, relayPrefix), ":")
	if !ok || name == "" {
		return dberr.New(dberr.OVSDBError, "%s: invalid syntax", spec)
	}
	return s.Relay(name, sources(remotes))
}

// Relay is AddRelay with sources of which more is known. There has to be one.
func (s *Server) Relay(name string, from []Source) error {
	if name == "" || name[0] == '_' {
		return dberr.New(dberr.OVSDBError, `%s: names beginning with "_" are reserved`, name)
	}
	r := &relay{srv: s, log: s.cfg.Log("relay"), name: name, done: make(chan struct{}), news: make(chan struct{}, 1)}
	r.feed = &feed{name: name, whole: r.whole, change: r.change}
	ctx, stop := context.WithCancel(context.Background())
	r.stop = stop
	s.mu.Lock()
	var err error
	switch {
	case s.closed:
		err = net.ErrClosed
	case s.dbs[name] != nil || s.relays[name] != nil:
		err = dberr.New(dberr.OVSDBError, "%s: duplicate database name", name)
	default:
		s.relays[name] = r
	}
	s.mu.Unlock()
	if err != nil {
		stop()
		return err
	}
	s.setRow(name, nil, r)
	p := &peer{
		srv: s, log: s.cfg.Log("reconnect"), sources: from, session: r.session, notify: r.notify,
		probe: func() time.Duration { return peerProbe },
	}
	go func() {
		defer close(r.done)
		_ = p.run(ctx) // it ends with ctx only
	}()
	return nil
}

// close ends the relay; what waits for the source is canceled.
func (r *relay) close() {
	r.stop()
	<-r.done
	r.forwards.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.grace != nil {
		r.grace.Stop()
	}
}

func (r *relay) isConnected() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.connected
}

func (r *relay) setConnected(on bool) {
	r.mu.Lock()
	changed := r.connected != on
	r.connected = on
	db := r.db
	r.mu.Unlock()
	if changed && db != nil {
		r.srv.setRow(r.name, db.text, r)
	}
}

// session follows the source over one connection.
func (r *relay) session(ctx context.Context, c *client.Client) error {
	r.mu.Lock()
	r.source, r.servers, r.fault = nil, nil, nil
	r.mu.Unlock()
	r.feed.stop()
	err := r.follow(ctx, c)
	r.forwards.hold()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.connected && r.grace == nil {
		r.grace = time.AfterFunc(r.srv.cfg.RelayGrace, func() { r.setConnected(false) })
	}
	if r.fault != nil {
		err = r.fault
	}
	return err
}

// follow follows the source until the connection ends, or is of no use.
func (r *relay) follow(ctx context.Context, c *client.Client) error {
	if err := r.watch(ctx, c); err != nil {
		return err
	}
	for {
		sch, err := r.wanted(ctx, c)
		if err != nil {
			return err
		}
		if r.feed.idle() || r.differs(sch) {
			if err := r.begin(ctx, c, sch); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.Done():
			return errors.New("connection closed")
		case <-r.news:
		}
	}
}

// begin takes the database's contents and lets clients write.
func (r *relay) begin(ctx context.Context, c *client.Client, sch *schema.Schema) error {
	r.forwards.hold()
	if r.differs(sch) {
		r.feed.forget()
	}
	r.mu.Lock()
	r.next = sch
	r.mu.Unlock()
	if err := r.feed.start(ctx, c, sch, everyTable); err != nil {
		return err
	}
	r.mu.Lock()
	if r.grace != nil {
		r.grace.Stop()
		r.grace = nil
	}
	r.mu.Unlock()
	r.setConnected(true)
	r.forwards.release(c)
	return nil
}

func everyTable(*schema.Table) bool { return true }

// differs reports whether a schema is not the one that is served.
func (r *relay) differs(sch *schema.Schema) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.db == nil || string(sch.AppendJSON(nil)) != string(r.db.text)
}

// watch monitors the source's _Server database, where it has one, for databases
// come, go, and are converted.
func (r *relay) watch(ctx context.Context, c *client.Client) error {
	sch, err := c.Schema(ctx, serverDB)
	if err != nil {
		if ctx.Err() != nil || isDone(c.Done()) {
			return err
		}
		return nil // an old server
	}
	if t := sch.Table("Database"); t == nil || t.Column("name") == nil || t.Column("schema") == nil {
		return nil
	}
	if _, err := c.Call(ctx, "set_db_change_aware", []byte("[true]")); err != nil && !unknownMethod(err) {
		return err
	}
	set := func(snap *store.Snapshot, v monitor.Version, updates []byte) error {
		d, err := monitor.Decode(snap, v, updates)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.source = snap.Apply(d)
		r.mu.Unlock()
		r.look()
		return nil
	}
	f := &feed{name: serverDB}
	f.whole = func(v monitor.Version, updates []byte) error { return set(store.NewSnapshot(sch), v, updates) }
	f.change = func(v monitor.Version, updates []byte) error {
		r.mu.Lock()
		snap := r.source
		r.mu.Unlock()
		return set(snap, v, updates)
	}
	r.mu.Lock()
	r.servers = f
	r.mu.Unlock()
	return f.start(ctx, c, sch, everyTable)
}

// look has follow look at what has changed.
func (r *relay) look() {
	select {
	case r.news <- struct{}{}:
	default:
	}
}

// wanted gives the schema that the source has, or says why it will not do. It is
// asked for each time: the C server (3.1) does not change the schema in its
// _Server database when a database is converted.
func (r *relay) wanted(ctx context.Context, c *client.Client) (*schema.Schema, error) {
	r.mu.Lock()
	source := r.source
	r.mu.Unlock()
	if source != nil {
		if err := r.ready(source); err != nil {
			return nil, err
		}
	}
	b, err := c.Call(ctx, "get_schema", append(append([]byte{'['}, quote(r.name)...), ']'))
	if err != nil {
		return nil, err
	}
	sch, err := schema.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("schema of %s: %w", r.name, err)
	}
	if sch.Name != r.name {
		return nil, fmt.Errorf("schema of %s has the name %s", r.name, sch.Name)
	}
	return sch, nil
}

// ready looks whether a source serves the database now.
func (r *relay) ready(source *store.Snapshot) error {
	t := source.Schema().Table("Database")
	for row := range source.Rows(t) {
		if text(t, row, "name") != r.name {
			continue
		}
		if connected, ok := field(t, row, "connected", atom.Boolean); text(t, row, "schema") == "" || ok && !connected.Bool() {
			return fmt.Errorf("the source of %s is not connected; trying another server", r.name)
		}
		return nil
	}
	return fmt.Errorf("the source has no database %s; trying another server", r.name)
}

// notify takes what the source tells. What is no good ends the connection.
func (r *relay) notify(c *client.Client, method string, params []byte) {
	r.mu.Lock()
	servers := r.servers
	r.mu.Unlock()
	mine, err := r.feed.notify(method, params)
	if err == nil && !mine && servers != nil {
		_, err = servers.notify(method, params)
	}
	if err != nil {
		r.mu.Lock()
		r.fault = err
		r.mu.Unlock()
		c.Close()
	}
	if method == "monitor_canceled" {
		r.look()
	}
}

// whole takes the database's contents, under a schema that may be new.
func (r *relay) whole(v monitor.Version, updates []byte) error {
	r.mu.Lock()
	db, sch := r.db, r.next
	r.mu.Unlock()
	if db != nil && string(sch.AppendJSON(nil)) == string(db.text) {
		return db.feed(everyTable).whole(v, updates)
	}
	empty := store.NewSnapshot(sch)
	contents, err := monitor.Decode(empty, v, updates)
	if err != nil {
		return err
	}
	next := newDatabase(r.srv, relayPrefix+r.name, unkept(sch.AppendJSON(nil)), sch)
	next.relay = r
	next.startWith(atom.New())
	next.ring.Reset(next.last)
	next.mem.Publish(empty.Apply(contents))
	return r.replace(db, next)
}

// change takes an update.
func (r *relay) change(v monitor.Version, updates []byte) error {
	r.mu.Lock()
	db := r.db
	r.mu.Unlock()
	if db == nil {
		return errors.New("an update without contents")
	}
	return db.feed(everyTable).change(v, updates)
}

// replace serves next in the place of db, where there is one.
func (r *relay) replace(db, next *Database) error {
	s := r.srv
	served := false
	put := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed || s.relays[r.name] != r {
			return
		}
		s.dbs[r.name] = next
		next.start()
		served = true
	}
	if db == nil {
		put()
	} else {
		db.Do(func() {
			if put(); served {
				db.mu.Lock()
				db.replaced, db.stopped = true, true
				db.mu.Unlock()
			}
		})
	}
	if !served {
		return fmt.Errorf("%s is no longer served", r.name)
	}
	r.mu.Lock()
	r.db = next
	r.mu.Unlock()
	if db != nil {
		<-db.done
		db.cancelMonitors()
	}
	s.setServerRow(next)
	s.databasesChanged(r.name)
	s.kick()
	return nil
}

// unkept is the engine of a database that lives elsewhere. Its value is the
// schema.
type unkept []byte

func (e unkept) Schema() ([]byte, error) { return e, nil }
func (unkept) Load() iter.Seq2[storage.Record, error] {
	return func(func(storage.Record, error) bool) {}
}
func (unkept) Append([]storage.Record, bool) (uint64, error) { return 0, nil }
func (unkept) Compact([]byte, storage.Record, uint64) error  { return nil }
func (unkept) Size() int64                                   { return 0 }
func (unkept) Close() error                                  { return nil }

// hasRelay reports whether a database is kept elsewhere, known already or not.
func (s *Server) hasRelay(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.relays[name] != nil
}

// allDatabases lists the databases, also those whose schema is not known yet.
func (s *Server) allDatabases() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Collect(maps.Keys(s.dbs))
	for name := range s.relays {
		if s.dbs[name] == nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
