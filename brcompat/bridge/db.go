package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/ovn-kubernetes/libovsdb/cache"
	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"govs/internal/stream"
	"govs/schema/vswitch"
)

// errNoDatabase says that the database cannot be reached.
var errNoDatabase = errors.New("no connection to the database")

// A db is the connection to the database, with a copy of the rows that matter
// which the server keeps up to date.
type db struct {
	log    *slog.Logger
	client client.Client
	ready  chan struct{} // closed once the copy is complete

	watched bool   // try: changes of the copy are told to event
	told    func() // is told of them, or nil
	relay   func() // ends the relay, if there is one

	mu      sync.Mutex
	changed chan struct{} // closed at the next change of the table Open_vSwitch
	last    *view         // what look read last, or nil after a change
	read    *view         // the same, change or not
	synced  time.Time     // when the copy was known to be complete, for last
}

// endpoint makes of an active connection method what libovsdb takes: for ssl
// that is a relay to what dial connects to. The function returned ends it.
func endpoint(remote string, dial func() (net.Conn, error)) (string, func(), error) {
	scheme, rest, _ := strings.Cut(remote, ":")
	switch scheme {
	case "unix":
		if rest == "" {
			return "", nil, fmt.Errorf("%s: no path given", remote)
		}
		return "unix:" + stream.ResolvePath(rest), func() {}, nil
	case "tcp":
		return remote, func() {}, nil
	case "ssl":
		path, stop, err := stream.Relay("ovs-brcompatd", dial)
		return "unix:" + path, stop, err
	}
	return "", nil, fmt.Errorf("%s: bad database, not unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT", remote)
}

// constant waits the same time before each attempt to reconnect.
type constant time.Duration

func (c constant) NextBackOff() time.Duration { return time.Duration(c) }
func (constant) Reset()                       {}

// newDB prepares a connection; run makes it.
func newDB(remote string, dial func() (net.Conn, error), log *slog.Logger) (*db, error) {
	where, stop, err := endpoint(remote, dial)
	if err != nil {
		return nil, err
	}
	dbm, err := model.NewClientDBModel(vswitch.Name, map[string]model.Model{
		vswitch.OpenvSwitchTable: &vswitch.OpenvSwitch{},
		vswitch.BridgeTable:      &vswitch.Bridge{},
		vswitch.PortTable:        &vswitch.Port{},
		vswitch.InterfaceTable:   &vswitch.Interface{},
	})
	if err != nil {
		return nil, err
	}
	c, err := client.NewOVSDBClient(dbm, client.WithEndpoint(where),
		client.WithReconnect(5*time.Second, constant(200*time.Millisecond)))
	if err != nil {
		stop()
		return nil, err
	}
	return &db{log: log, client: c, relay: stop, ready: make(chan struct{}), changed: make(chan struct{})}, nil
}

// connect tries to connect until it succeeds or ctx ends. Later losses of the
// connection are libovsdb's to mend.
func (d *db) connect(ctx context.Context) error {
	for said := false; ; said = true {
		err := d.try(ctx)
		if err == nil {
			close(d.ready)
			return nil
		}
		if !said {
			d.log.Warn(fmt.Sprintf("cannot reach the database, trying on: %v", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (d *db) try(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := d.client.Connect(ctx); err != nil && !errors.Is(err, client.ErrAlreadyConnected) {
		return err
	}
	if !d.watched {
		d.watched = true
		d.client.Cache().AddEventHandler(&cache.EventHandlerFuncs{
			AddFunc:    func(t string, _ model.Model) { d.event(t) },
			UpdateFunc: func(t string, _, _ model.Model) { d.event(t) },
			DeleteFunc: func(t string, _ model.Model) { d.event(t) },
		})
	}
	var (
		o vswitch.OpenvSwitch
		b vswitch.Bridge
		p vswitch.Port
		i vswitch.Interface
	)
	_, err := d.client.Monitor(ctx, d.client.NewMonitor(
		client.WithTable(&o, &o.Bridges, &o.CurCfg, &o.NextCfg),
		client.WithTable(&b, &b.Name, &b.Ports, &b.OtherConfig, &b.Status, &b.STPEnable),
		client.WithTable(&p, &p.Name, &p.Interfaces, &p.Tag, &p.FakeBridge, &p.OtherConfig, &p.ExternalIDs, &p.Status),
		client.WithTable(&i, &i.Name, &i.Type, &i.Ofport, &i.Error, &i.MAC, &i.MACInUse, &i.LinkState, &i.AdminState, &i.LinkSpeed),
	))
	if err != nil {
		d.client.Disconnect()
	}
	return err
}

func (d *db) close() {
	d.client.Close()
	d.relay()
}

func (d *db) event(table string) {
	d.mu.Lock()
	d.last = nil
	if table == vswitch.OpenvSwitchTable {
		close(d.changed)
		d.changed = make(chan struct{})
	}
	d.mu.Unlock()
	if d.told != nil && table != vswitch.OpenvSwitchTable {
		d.told()
	}
}

// fresh is how old the answer to a question may be. A program asks several
// questions in a row, and takes longer than this to start.
const fresh = 3 * time.Millisecond

// recent returns the view that was read a moment ago, or nil.
func (d *db) recent() *view {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil || time.Since(d.synced) > fresh {
		return nil
	}
	return d.last
}

// look waits until the copy holds everything that was committed when it was
// called, and reads it.
func (d *db) look(ctx context.Context) (*view, error) {
	at := time.Now()
	if err := d.sync(ctx); err != nil {
		return nil, err
	}
	v := d.view()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last, d.read, d.synced = v, v, at
	return v, nil
}

// view reads the copy, or gives the view that was read last where all rows are
// the same: the copy never changes a row, but puts another one in its place.
func (d *db) view() *view {
	now := tables{d.rows(vswitch.InterfaceTable), d.rows(vswitch.PortTable), d.rows(vswitch.BridgeTable)}
	d.mu.Lock()
	old := d.read
	d.mu.Unlock()
	if old != nil && old.rows.same(&now) {
		return old
	}
	return newView(&now)
}

// tables are the rows that a view is made of: interfaces, ports, bridges.
type tables [3]map[string]model.Model

func (t *tables) same(other *tables) bool {
	for i := range t {
		if !maps.Equal(t[i], other[i]) {
			return false
		}
	}
	return true
}

// sync waits until the copy holds everything that was committed when it was
// called: the server sends a client's updates before its answers.
func (d *db) sync(ctx context.Context) error {
	select {
	case <-d.ready:
	case <-ctx.Done():
		return errNoDatabase
	}
	for {
		if d.client.Connected() && d.client.Echo(ctx) == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errNoDatabase
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// forget makes the next question read the database.
func (d *db) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = nil
}

// rows returns the rows of a table by their UUIDs. They are the copy itself, and
// for reading only.
func (d *db) rows(table string) map[string]model.Model {
	c := d.client.Cache()
	if c == nil {
		return nil
	}
	t := c.Table(table)
	if t == nil {
		return nil
	}
	return t.RowsShallow()
}

// root returns the row of the table Open_vSwitch, or nil.
func (d *db) root() *vswitch.OpenvSwitch {
	var root *vswitch.OpenvSwitch
	for _, m := range d.rows(vswitch.OpenvSwitchTable) {
		root = m.(*vswitch.OpenvSwitch)
	}
	return root
}

// initialize gives a new database the one row of the table Open_vSwitch, as
// ovs-vsctl does before it does anything else.
func (d *db) initialize(ctx context.Context) error {
	if d.root() != nil {
		return nil
	}
	results, err := d.client.Transact(ctx, ovsdb.Operation{
		Op: ovsdb.OperationInsert, Table: vswitch.OpenvSwitchTable,
		Row: ovsdb.Row{"next_cfg": 0}}) // libovsdb leaves an empty row out
	if err != nil {
		return fmt.Errorf("%w: %v", errNoDatabase, err)
	}
	for _, r := range results {
		// A second row violates a constraint: somebody was quicker.
		if r.Error != "" && r.Error != "constraint violation" {
			return fmt.Errorf("the database refused: %s: %s", r.Error, r.Details)
		}
	}
	return d.sync(ctx)
}

// A constraintError says that a transaction would have made the database
// inconsistent, such as by a second row of one name.
type constraintError struct{ text string }

func (e *constraintError) Error() string { return e.text }

// answerTime is how long the database may take to answer a transaction.
const answerTime = 5 * time.Second

// transact commits the operations with the comment, and increments next_cfg
// with them. It returns next_cfg's new value.
func (d *db) transact(ctx context.Context, comment string, ops ...ovsdb.Operation) (int, error) {
	root := d.root()
	if root == nil {
		return 0, errors.New("the table Open_vSwitch has no row")
	}
	comment = "ovs-brcompatd: " + comment
	where := byUUID(root.UUID)
	ops = append(ops,
		ovsdb.Operation{Op: ovsdb.OperationMutate, Table: vswitch.OpenvSwitchTable, Where: where,
			Mutations: []ovsdb.Mutation{*ovsdb.NewMutation("next_cfg", ovsdb.MutateOperationAdd, 1)}},
		ovsdb.Operation{Op: ovsdb.OperationSelect, Table: vswitch.OpenvSwitchTable, Where: where,
			Columns: []string{"next_cfg"}},
		ovsdb.Operation{Op: ovsdb.OperationComment, Comment: &comment})
	defer d.forget()
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("%w: %v", errNoDatabase, err)
	}
	// The answer alone tells what became of the operations: it is waited for
	// although ctx ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerTime)
	defer cancel()
	results, err := d.client.Transact(ctx, ops...)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", errNoDatabase, err)
	}
	for _, r := range results {
		if r.Error == "constraint violation" {
			return 0, &constraintError{r.Details}
		}
		if r.Error != "" {
			return 0, fmt.Errorf("the database refused: %s: %s", r.Error, r.Details)
		}
	}
	if len(results) < len(ops) || len(results[len(ops)-2].Rows) != 1 {
		return 0, errors.New("the database's answer is too short")
	}
	switch v := results[len(ops)-2].Rows[0]["next_cfg"].(type) {
	case float64:
		return int(v), nil
	case int:
		return v, nil
	}
	return 0, errors.New("the database's answer has no next_cfg")
}

// commit is transact, and waits until the switch has taken the change over.
func (d *db) commit(ctx context.Context, comment string, ops ...ovsdb.Operation) error {
	cfg, err := d.transact(ctx, comment, ops...)
	if err != nil {
		return err
	}
	return d.applied(ctx, cfg)
}

// applied waits until the switch has taken over the configuration with the
// given number.
func (d *db) applied(ctx context.Context, cfg int) error {
	for {
		d.mu.Lock()
		changed := d.changed
		d.mu.Unlock()
		if root := d.root(); root != nil && root.CurCfg >= cfg {
			d.forget()
			return nil
		}
		// The timer is for a connection that was lost and came back.
		timer := time.NewTimer(100 * time.Millisecond)
		select {
		case <-changed:
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		timer.Stop()
	}
}

func byUUID(uuid string) []ovsdb.Condition {
	return []ovsdb.Condition{ovsdb.NewCondition("_uuid", ovsdb.ConditionEqual, ovsdb.UUID{GoUUID: uuid})}
}

func uuidSet(uuids ...string) ovsdb.OvsSet {
	set := ovsdb.OvsSet{GoSet: []any{}}
	for _, u := range uuids {
		set.GoSet = append(set.GoSet, ovsdb.UUID{GoUUID: u})
	}
	return set
}
