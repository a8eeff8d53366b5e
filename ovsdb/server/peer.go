package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"govs/internal/stream"
	"govs/ovsdb/client"
	"govs/ovsdb/jsonrpc"
)

// How long is waited before a peer is tried again, doubling from the least to
// the most, and how long it may be silent before it is asked for a sign of life.
const (
	leastBackoff = 100 * time.Millisecond
	mostBackoff  = 8 * time.Second
	peerProbe    = time.Minute
)

// A Source is one way to another server, which a backup or a relay follows.
type Source struct {
	Target     string         // an active one
	Probe      *time.Duration // idle time after which it is probed, 0: never; nil: a minute, or as SetActiveProbe has it
	MaxBackoff time.Duration  // the most that is waited before it is tried again; 0: 8 s
}

// peer is another server that this one is a client of.
type peer struct {
	srv     *Server
	log     *slog.Logger
	sources []Source             // tried in turn
	probe   func() time.Duration // of sources that do not say
	// session uses a connection until there is no more to do with it. It says
	// by a fatalError that the peer is not to be tried again.
	session func(ctx context.Context, c *client.Client) error
	// notify is called for each notification, in order.
	notify func(c *client.Client, method string, params []byte)

	mu   sync.Mutex
	now  *client.Client // nil where there is no connection
	with Source         // what it was made with
}

// probed has the connection probed as the peer's probe says now.
func (p *peer) probed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil && p.with.Probe == nil {
		p.now.SetProbe(p.probe())
	}
}

// use notes the connection, nil where it ended. What the probe is it has to look
// for once more: it may have changed meanwhile.
func (p *peer) use(c *client.Client, with Source) {
	p.mu.Lock()
	p.now, p.with = c, with
	p.mu.Unlock()
	p.probed()
}

// fatalError is one that another connection will not mend.
type fatalError struct{ error }

// run connects again and again until ctx ends, when it returns nil, or a session
// ends fatally.
func (p *peer) run(ctx context.Context) error {
	sources := append([]Source(nil), p.sources...)
	rand.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
	backoff := time.Duration(0)
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		source := sources[i%len(sources)]
		most := cmp.Or(source.MaxBackoff, mostBackoff)
		err := p.once(ctx, source)
		var fatal fatalError
		if errors.As(err, &fatal) {
			return fatal.error
		}
		if time.Since(began) > most {
			backoff = 0
		}
		if (i+1)%len(sources) > 0 {
			continue
		}
		backoff = min(max(2*backoff, leastBackoff), most)
		select {
		case <-time.After(backoff):
		case <-ctx.Done():
		}
	}
	return nil
}

// once connects once.
func (p *peer) once(ctx context.Context, source Source) error {
	target := source.Target
	p.log.Info(target + ": connecting...")
	so := stream.Options{DefaultPort: stream.PortOVSDB, RunDir: p.srv.cfg.RunDir}
	dialing, cancel := context.WithTimeout(ctx, mostBackoff)
	conn, err := so.Dial(dialing, target, p.srv.tls.options(p.srv))
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			p.log.Info(target + ": connection attempt failed (" + err.Error() + ")")
		}
		return err
	}
	p.log.Info(target + ": connected")
	var c *client.Client
	ready := make(chan struct{})
	probe := source.Probe
	if probe == nil {
		d := p.probe()
		probe = &d
	}
	c = client.New(conn, target, client.Options{Log: p.srv.rpcLog, Probe: *probe, Notify: func(method string, params []byte) {
		<-ready
		p.notify(c, method, params)
	}})
	close(ready)
	p.use(c, source)
	defer p.use(nil, Source{})
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, c.Close)()
	err = p.session(ctx, c)
	lost := isDone(c.Done())
	c.Close()
	<-c.Done()
	switch {
	case ctx.Err() != nil:
	case err != nil && !lost:
		p.log.Warn(target + ": connection dropped (" + err.Error() + ")")
	default:
		p.srv.logEnd(target, c.Err())
	}
	return err
}

func isDone(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// unknownMethod reports whether a peer answered that it lacks a method.
func unknownMethod(err error) bool {
	var e *jsonrpc.Error
	return errors.As(err, &e) && string(e.JSON) == `"unknown method"`
}

// until waits for the end of a connection.
func until(ctx context.Context, c *client.Client) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.Done():
		return fmt.Errorf("connection closed")
	}
}
