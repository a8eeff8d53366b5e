package model

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	libmodel "github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"govs/internal/stream"
	"govs/schema/vswitch"
)

// Lock is the name of the lock that whoever configures the switches holds.
const Lock = "ovs_vswitchd"

// Errors that end a DB, to be tested with errors.Is.
var (
	// ErrDisconnected says that the server went away.
	ErrDisconnected = errors.New("connection to the database lost")
	// ErrStolen says that another process took the lock by force.
	ErrStolen = errors.New("lock " + Lock + " was stolen")
)

// Options say how to reach the database.
type Options struct {
	// Remote is the server: "unix:FILE", "tcp:HOST:PORT" or "ssl:HOST:PORT",
	// or several of them separated by commas, which are tried in order.
	Remote string
	// RunDir is where a relative FILE stands.
	RunDir string
	// Dial opens a connection to one remote.
	Dial func(ctx context.Context, remote string) (net.Conn, error)
	// Probe is how long a server may be silent before it is asked for a sign
	// of life, and how long it has for that. 0 is 5 seconds, below 0 never.
	Probe time.Duration
	Log   *slog.Logger
}

// A DB is one session with the database server, from connect to the end of
// the connection. Its methods may be called by many goroutines.
type DB struct {
	client  client.Client
	lock    *lock
	changed chan struct{}
	done    chan struct{}
	stop    sync.Once
	err     error // set before done is closed
	remote  string
	relay   func() // ends it, if there is one

	last    *Snapshot // of the last call
	lastRaw raw
}

// Open connects to the first remote that answers, takes the lock and fetches
// the rows. While another process holds the lock, Open waits for it, and
// calls waiting once.
func Open(ctx context.Context, o Options, waiting func()) (*DB, error) {
	var failed []error
	for remote := range strings.SplitSeq(o.Remote, ",") {
		db, err := open(ctx, o, strings.TrimSpace(remote), waiting)
		if err == nil {
			return db, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}

func open(ctx context.Context, o Options, remote string, waiting func()) (*DB, error) {
	remote, err := absolute(remote, o.RunDir)
	if err != nil {
		return nil, err
	}
	if o.Probe == 0 {
		o.Probe = 5 * time.Second
	}
	db := &DB{remote: remote, changed: make(chan struct{}, 1), done: make(chan struct{})}

	dialing, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := o.Dial(dialing, remote)
	if err != nil {
		return nil, fmt.Errorf("%s: connection attempt failed (%w)", remote, err)
	}
	db.lock, err = takeLock(dialing, conn, Lock)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", remote, err)
	}
	if db.lock.waits && waiting != nil {
		waiting()
	}
	select {
	case <-db.lock.got:
	case <-db.lock.done():
		return nil, fmt.Errorf("%s: %w", remote, ErrDisconnected)
	case <-ctx.Done():
		db.lock.close()
		return nil, ctx.Err()
	}
	if err := db.connect(ctx, o); err != nil {
		db.lock.close()
		return nil, fmt.Errorf("%s: %w", remote, err)
	}
	go db.watch(o.Probe)
	return db, nil
}

// CheckRemote says what is wrong with the Remote of Options.
func CheckRemote(remotes string) error {
	for remote := range strings.SplitSeq(remotes, ",") {
		if _, err := absolute(strings.TrimSpace(remote), "/"); err != nil {
			return err
		}
	}
	return nil
}

// absolute gives libovsdb the form of a remote that it understands.
func absolute(remote, dir string) (string, error) {
	method, rest, ok := strings.Cut(remote, ":")
	switch {
	case !ok || rest == "":
		return "", fmt.Errorf("%s: not a database remote (unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT)", remote)
	case method == "unix" && !filepath.IsAbs(rest):
		return "unix:" + filepath.Join(dir, rest), nil
	case method == "unix", method == "tcp", method == "ssl":
		return remote, nil
	case method == "punix", method == "ptcp", method == "pssl":
		return "", fmt.Errorf("%s: passive database connections are not supported", remote)
	}
	return "", fmt.Errorf("%s: unknown connection method %q", remote, method)
}

// connect starts libovsdb's client. It opens its own connection.
func (db *DB) connect(ctx context.Context, o Options) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	full, err := vswitch.FullDatabaseModel()
	if err != nil {
		return err
	}
	remote, stop, err := endpoint(ctx, o, db.remote)
	if err != nil {
		return err
	}
	db.client, err = client.NewOVSDBClient(full, client.WithEndpoint(remote))
	if err == nil {
		err = db.client.Connect(ctx)
	}
	if err != nil {
		stop()
		return err
	}
	db.relay = stop
	poke := func() {
		select {
		case db.changed <- struct{}{}:
		default:
		}
	}
	db.client.Cache().AddEventHandler(&cache.EventHandlerFuncs{
		AddFunc:    func(string, libmodel.Model) { poke() },
		UpdateFunc: func(string, libmodel.Model, libmodel.Model) { poke() },
		DeleteFunc: func(string, libmodel.Model) { poke() },
	})
	monitor := db.client.NewMonitor()
	for _, t := range columns {
		monitor.Tables = append(monitor.Tables, client.TableMonitor{Table: t.table, Fields: t.columns})
	}
	if _, err := db.client.Monitor(ctx, monitor); err != nil {
		db.client.Close()
		stop()
		return fmt.Errorf("monitor: %w", err)
	}
	poke()
	return nil
}

// endpoint gives libovsdb, which opens its connection by itself, a remote that
// leads to the server: for "ssl:" that is a relay. The function returned ends
// what was begun for that.
func endpoint(ctx context.Context, o Options, remote string) (string, func(), error) {
	if !strings.HasPrefix(remote, "ssl:") {
		return remote, func() {}, nil
	}
	server, err := o.Dial(ctx, remote)
	if err != nil {
		return "", nil, err
	}
	first := make(chan net.Conn, 1)
	first <- server
	path, stop, err := stream.Relay("ovs-vswitchd", func() (net.Conn, error) {
		select {
		case c := <-first:
			return c, nil
		default:
			return nil, ErrDisconnected // a session has one connection
		}
	})
	if err != nil {
		server.Close()
		return "", nil, err
	}
	return "unix:" + path, func() { server.Close(); stop() }, nil
}

// watch ends the DB when one of its sessions ends.
func (db *DB) watch(probe time.Duration) {
	var tick <-chan time.Time
	if probe > 0 {
		t := time.NewTicker(probe)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case <-db.client.DisconnectNotify():
			db.end(ErrDisconnected)
		case <-db.lock.done():
			db.end(ErrDisconnected)
		case <-db.lock.lost:
			db.end(ErrStolen)
		case <-db.done:
		case <-tick:
			ctx, cancel := context.WithTimeout(context.Background(), probe)
			err := errors.Join(db.client.Echo(ctx), db.lock.probe(ctx))
			cancel()
			if err == nil {
				continue
			}
			db.end(fmt.Errorf("no response to inactivity probe after %v: %w", probe, ErrDisconnected))
		}
		return
	}
}

func (db *DB) end(err error) {
	db.stop.Do(func() {
		db.err = err
		close(db.done)
		db.client.Close()
		db.relay()
		db.lock.close()
	})
}

// Remote is the server that answered, with an absolute path.
func (db *DB) Remote() string { return db.remote }

// Changed gets a value when rows may have changed since the last Snapshot,
// and one in the beginning.
func (db *DB) Changed() <-chan struct{} { return db.changed }

// Done is closed when the session is over; Err tells why.
func (db *DB) Done() <-chan struct{} { return db.done }

// Err is why the session ended: nil before that, and after Close.
func (db *DB) Err() error {
	select {
	case <-db.done:
		return db.err
	default:
		return nil
	}
}

// Close ends the session. The lock is free from then on.
func (db *DB) Close() { db.end(nil) }

// Snapshot returns the rows as they are. All of them belong to the same
// moment: libovsdb's cache hands out one table after the other, so that they
// are read until two readings in a row are the same. It is the Snapshot of the
// last call itself where nothing has changed since but what the switch itself
// writes (ofport, bond_active_slave): Changed tells of each row of a
// transaction, and the first call after the first of them has all. One goroutine
// at a time may call it.
func (db *DB) Snapshot() (*Snapshot, error) {
	before, err := db.read()
	for err == nil {
		if db.last != nil && before.equal(db.lastRaw) {
			return db.last, nil
		}
		var now raw
		if now, err = db.read(); err == nil {
			if now.equal(before) {
				if db.last == nil || !now.same(db.lastRaw) {
					db.last = now.snapshot()
				}
				db.lastRaw = now
				return db.last, nil
			}
			before = now
		}
	}
	return nil, err
}

func (db *DB) read() (raw, error) {
	c := db.client.Cache()
	if c == nil {
		return nil, ErrDisconnected
	}
	r := make(raw, len(columns))
	for i, t := range columns {
		// Table waits for an update that is under way to be in the cache whole.
		table := c.Table(t.table)
		if table == nil {
			return nil, ErrDisconnected
		}
		r[i] = table.RowsShallow()
	}
	return r, nil
}

// Transact runs the operations as one transaction. The error tells the first
// operation that failed; then nothing was changed.
func (db *DB) Transact(ctx context.Context, ops ...ovsdb.Operation) ([]ovsdb.OperationResult, error) {
	if len(ops) == 0 {
		return nil, nil
	}
	results, err := db.client.Transact(ctx, ops...)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if r.Error != "" {
			what := "commit"
			if i < len(ops) {
				what = ops[i].Op + " " + ops[i].Table
			}
			return results, fmt.Errorf("%s: %s: %s", what, r.Error, r.Details)
		}
	}
	return results, nil
}
