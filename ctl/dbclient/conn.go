package dbclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"govs/internal/json"
	"govs/internal/stream"
	"govs/ovsdb/jsonrpc"
)

// conn is a connection to a server.
type conn struct {
	js   *jsonrpc.Session
	name string

	more chan struct{} // something was queued; holds at most one
	done chan struct{} // closed after the end
	err  error         // why it ended; set before done is closed

	mu    sync.Mutex
	queue []note
}

// note is a notification of the server.
type note struct {
	method string
	params []byte
}

var notifications = []string{"update", "update2", "update3", "locked", "stolen", "monitor_canceled"}

func newConn(nc net.Conn, name string) *conn {
	c := &conn{
		js: jsonrpc.New(nc, jsonrpc.Options{Name: name}), name: name,
		more: make(chan struct{}, 1), done: make(chan struct{}),
	}
	c.js.HandleEcho()
	for _, m := range notifications {
		c.js.Handle(m, func(r *jsonrpc.Request) {
			c.mu.Lock()
			c.queue = append(c.queue, note{r.Method, bytes.Clone(r.Params)})
			c.mu.Unlock()
			select {
			case c.more <- struct{}{}:
			default:
			}
		})
	}
	go func() {
		c.err = c.js.Run()
		close(c.done)
	}()
	return c
}

func (c *conn) close() {
	c.js.Close()
	<-c.done
}

// notes takes the notifications that have come.
func (c *conn) notes() []note {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.queue
	c.queue = nil
	return q
}

// lost says why the connection ended.
func (c *conn) lost() string {
	<-c.done
	return stream.ErrText(c.err)
}

// call asks the server for something.
func (c *conn) call(ctx context.Context, method string, params []byte) (json.Value, error) {
	b, err := c.js.Call(ctx, method, params)
	var refused *jsonrpc.Error
	switch {
	case errors.As(err, &refused):
		text := refused.JSON
		if v, err := json.Parse(text); err == nil {
			text = v.AppendSorted(nil)
		}
		return json.Value{}, fmt.Errorf("transaction returned error: %s", text)
	case errors.Is(err, jsonrpc.ErrClosed):
		return json.Value{}, fmt.Errorf("transaction failed (%s)", c.lost())
	case err != nil:
		return json.Value{}, fmt.Errorf("transaction failed (%s)", stream.ErrText(err))
	}
	return json.Parse(bytes.Clone(b))
}

func (c *client) call(method string, params []byte) (json.Value, error) {
	return c.conn.call(c.ctx, method, params)
}

// databases asks for the names of the server's databases.
func (c *client) databases() ([]string, error) {
	v, err := c.call("list_dbs", []byte("[]"))
	if err != nil {
		return nil, err
	}
	var names []string
	for n := range v.Elems() {
		names = append(names, n.Str())
	}
	return names, nil
}

// open connects to one server, or waits until it does.
func (c *client) open(target string) (net.Conn, error) {
	if stream.IsPassive(target) {
		l, err := stream.Listen(target, &c.opts.TLS)
		if err != nil {
			return nil, err
		}
		defer l.Close()
		stop := context.AfterFunc(c.ctx, func() { _ = l.Close() })
		defer stop()
		c.log.Info(target + ": waiting for connection...")
		return l.Accept()
	}
	return stream.Dial(c.ctx, target, &c.opts.TLS)
}

// connect connects to the server, or to one of several.
func (c *client) connect(v *verb) error {
	if strings.Contains(c.target, ",") {
		return c.connectOne(v, strings.Split(c.target, ","))
	}
	nc, err := c.open(c.target)
	if err != nil {
		verb := "connect to"
		switch {
		case stream.IsPassive(c.target):
			verb = "listen to"
		case !stream.IsActive(c.target):
			verb = "connect or listen to"
		}
		return fmt.Errorf("failed to %s \"%s\" (%s)", verb, c.target, stream.ErrText(err))
	}
	c.conn = newConn(nc, c.target)
	return nil
}

// connectOne connects to the first of several servers that will do: the leader,
// unless any is good enough.
func (c *client) connectOne(v *verb, targets []string) error {
	log := c.sys.Logger("reconnect")
	for _, t := range targets {
		if t = strings.TrimSpace(t); t == "" {
			continue
		}
		log.Info(t + ": connecting...")
		nc, err := c.open(t)
		if err != nil {
			log.Info(fmt.Sprintf("%s: connection attempt failed (%s)", t, stream.ErrText(err)))
			continue
		}
		log.Info(t + ": connected")
		c.conn = newConn(nc, t)
		if v.needs != database || c.anyone || c.leads() {
			return nil
		}
		c.log.Info(t + ": server is not the cluster's leader; trying another server")
		c.conn.close()
		c.conn = nil
	}
	return errors.New("no servers were available")
}

// leads reports whether the server is the leader of each database that it has. A
// server without the database _Server knows of no clusters.
func (c *client) leads() bool {
	v, err := c.call("transact", []byte(`["_Server",{"op":"select","table":"Database","where":[["leader","==",false]],"columns":["name"]}]`))
	return err != nil || v.At(0).Get("rows").Len() == 0
}
