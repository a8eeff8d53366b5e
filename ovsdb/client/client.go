// Package client talks to a database server for commands and tools: requests
// and monitors in raw JSON, with the server's schema at hand. It has no cache
// and no structs for tables.
//
// # Caveats
//
// A Client does not reconnect: what it lost is for its caller to know.
package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"govs/internal/dberr"
	"govs/internal/json"
	"govs/internal/stream"
	"govs/ovsdb/jsonrpc"
	"govs/schema"
)

// Options are a client's settings.
type Options struct {
	TLS   *stream.TLSOptions // for ssl: only
	Log   *slog.Logger       // nil: nothing is logged
	Probe time.Duration      // idle time after which the server is probed; 0: never
	// Notify is called for each notification, in order, on the goroutine that
	// reads: method and raw params.
	Notify func(method string, params []byte)
}

// Client is a connection to a server. Its methods may be called from any
// goroutine.
type Client struct {
	js *jsonrpc.Session

	ended chan struct{}
	err   error // set before ended is closed

	mu      sync.Mutex
	schemas map[string]*schema.Schema
}

// notifications are the methods that a server calls.
var notifications = []string{"update", "update2", "update3", "locked", "stolen", "monitor_canceled"}

// Dial connects to an active target such as unix:FILE or tcp:HOST:PORT.
func Dial(ctx context.Context, target string, o Options) (*Client, error) {
	conn, err := stream.Dial(ctx, target, o.TLS)
	if err != nil {
		return nil, err
	}
	return New(conn, target, o), nil
}

// New makes a client of a connection, which then belongs to it.
func New(conn net.Conn, name string, o Options) *Client {
	c := &Client{schemas: make(map[string]*schema.Schema), ended: make(chan struct{})}
	c.js = jsonrpc.New(conn, jsonrpc.Options{Name: name, Log: o.Log, Probe: o.Probe})
	c.js.HandleEcho()
	for _, m := range notifications {
		c.js.Handle(m, func(r *jsonrpc.Request) {
			if o.Notify != nil {
				o.Notify(r.Method, r.Params)
			}
		})
	}
	go func() {
		c.err = c.js.Run()
		close(c.ended)
	}()
	return c
}

// SetProbe changes Options.Probe.
func (c *Client) SetProbe(d time.Duration) { c.js.SetProbe(d) }

// Close ends the connection.
func (c *Client) Close() { c.js.Close() }

// Done is closed when the connection has ended.
func (c *Client) Done() <-chan struct{} { return c.js.Done() }

// Err waits for the end of the connection and says what ended it.
func (c *Client) Err() error {
	<-c.ended
	return c.err
}

// Call sends a request, params a JSON array, and returns its result. An error
// that the server answered is a *jsonrpc.Error.
func (c *Client) Call(ctx context.Context, method string, params []byte) ([]byte, error) {
	return c.js.Call(ctx, method, params)
}

// Start is Call in two steps: it sends the request, in the order in which it is
// called, and the function that it returns waits for the answer.
func (c *Client) Start(method string, params []byte) (wait func() ([]byte, error)) {
	return c.js.Start(method, params)
}

// Notify sends a notification.
func (c *Client) Notify(method string, params []byte) error { return c.js.Notify(method, params) }

// Databases lists the server's databases.
func (c *Client) Databases(ctx context.Context) ([]string, error) {
	b, err := c.Call(ctx, "list_dbs", []byte("[]"))
	if err != nil {
		return nil, err
	}
	v, err := json.Parse(b)
	if err != nil {
		return nil, err
	}
	var names []string
	for n := range v.Elems() {
		names = append(names, n.Str())
	}
	return names, nil
}

// Schema returns a database's schema, which is asked for once.
func (c *Client) Schema(ctx context.Context, db string) (*schema.Schema, error) {
	c.mu.Lock()
	s := c.schemas[db]
	c.mu.Unlock()
	if s != nil {
		return s, nil
	}
	b, err := c.Call(ctx, "get_schema", params(db))
	if err != nil {
		return nil, err
	}
	if s, err = schema.Parse(b); err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.schemas[db] = s
	c.mu.Unlock()
	return s, nil
}

// params makes a JSON array of a string and raw values.
func params(first string, more ...[]byte) []byte {
	b := json.AppendString([]byte{'['}, first)
	for _, m := range more {
		b = append(append(b, ','), m...)
	}
	return append(b, ']')
}

// Transact executes operations, raw JSON objects. The result holds one value
// for each; the error is the first one that an operation or the commit met, a
// *dberr.Error, or one of the request or the connection.
func (c *Client) Transact(ctx context.Context, db string, ops ...[]byte) (json.Value, error) {
	b, err := c.Call(ctx, "transact", params(db, ops...))
	if err != nil {
		return json.Value{}, err
	}
	v, err := json.Parse(b)
	if err != nil {
		return json.Value{}, err
	}
	if v.Kind() != json.Array {
		return v, errors.New("the server's answer to transact is not an array")
	}
	for r := range v.Elems() {
		if tag := r.Get("error"); tag.Kind() == json.String {
			return v, &dberr.Error{Tag: tag.Str(), Details: r.Get("details").Str()}
		}
	}
	return v, nil
}

// Monitor starts a monitor by a method (monitor, monitor_cond or
// monitor_cond_since); id and requests are raw JSON, since the raw JSON of the
// last transaction's id, for monitor_cond_since. It returns the raw result.
func (c *Client) Monitor(ctx context.Context, method, db string, id, requests, since []byte) ([]byte, error) {
	more := [][]byte{id, requests}
	if method == "monitor_cond_since" {
		more = append(more, since)
	}
	b, err := c.Call(ctx, method, params(db, more...))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return b, nil
}
