package vsctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"govs/internal/json"
	"govs/internal/stream"
	"govs/internal/vlog"
	"govs/ovsdb/client"
)

const dbName = "Open_vSwitch"

// session is a connection to the server with the mirror that its monitor feeds.
type session struct {
	o      *options
	argv   []string
	client *client.Client
	m      *mirror
	warn   func(module, text string)

	mu      sync.Mutex
	pending [][]byte // parameters of update
	news    chan struct{}
}

// connect opens the first of the servers that answers. A passive target waits
// for the server to connect.
func (s *session) connect(ctx context.Context, log *vlog.System) error {
	targets := strings.Split(s.o.db, ",")
	for {
		var err error
		for _, target := range targets {
			if err = s.dial(ctx, log, target); err == nil {
				return nil
			}
		}
		if !s.o.retry || ctx.Err() != nil {
			var te *stream.TargetError
			if errors.As(err, &te) {
				log.Logger("stream").Info(te.Error())
			}
			return fmt.Errorf("%s: database connection failed (%s)", s.o.db, stream.ErrText(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *session) dial(ctx context.Context, log *vlog.System, target string) error {
	opts := client.Options{TLS: &s.o.tls, Log: log.Logger("jsonrpc"), Notify: s.notify}
	if t, err := stream.Parse(target, 0); err == nil && t.Passive {
		l, err := stream.Listen(target, &s.o.tls)
		if err != nil {
			return err
		}
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		s.client = client.New(conn, target, opts)
		return nil
	}
	log.Logger("reconnect").Info(target + ": connecting...")
	c, err := client.Dial(ctx, target, opts)
	if err == nil {
		log.Logger("reconnect").Info(target + ": connected")
		s.client = c
	}
	return err
}

func (s *session) notify(method string, params []byte) {
	if method != "update" {
		return
	}
	s.mu.Lock()
	s.pending = append(s.pending, append([]byte(nil), params...))
	s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// stale reports whether the database changed since the mirror was brought up to date.
func (s *session) stale() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.pending) > 0
}

// refresh takes all updates in that have come.
func (s *session) refresh() error {
	s.mu.Lock()
	list := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, params := range list {
		v, err := json.Parse(params)
		if err != nil {
			return err
		}
		if err := s.m.apply(v.At(1)); err != nil {
			return err
		}
	}
	return nil
}

// await waits for updates and takes them in.
func (s *session) await(ctx context.Context) error {
	for !s.stale() {
		select {
		case <-s.news:
		case <-s.client.Done():
			return fmt.Errorf("%s: database connection failed (End of file)", s.o.db)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return s.refresh()
}

// perform does the commands, as often as it takes.
func (s *session) perform(ctx context.Context, commands []*command, stdout, stderr io.Writer) error {
	sch, err := s.client.Schema(ctx, dbName)
	if err != nil {
		return s.lost(err)
	}
	f := &fetch{names: namesOf(sch), warn: s.warn}
	if err := f.prepare(commands); err != nil {
		return err
	}
	s.m = newMirror(sch)
	initial, err := s.client.Monitor(ctx, "monitor", dbName, []byte(`["vsctl"]`), f.monitorRequest(sch), nil)
	if err != nil {
		return s.lost(err)
	}
	v, err := json.Parse(initial)
	if err == nil {
		err = s.m.apply(v)
	}
	if err == nil {
		err = s.named(ctx, f)
	}
	if err != nil {
		return err
	}
	for {
		r := newRun(s.m, f.names, s.warn)
		var o outcome
		err := r.execute(commands)
		if err == nil {
			o, err = s.commit(ctx, r)
		}
		if errors.Is(err, errLater) {
			r.undo()
			if err := s.await(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := s.print(stdout, commands, o); err != nil {
			return err
		}
		if s.o.plan {
			return s.printPlan(ctx, r, stdout)
		}
		if o.changed && !s.o.noWait && !s.o.dryRun {
			for !s.m.reloaded(o.nextCfg) {
				if err := s.await(ctx); err != nil {
					return err
				}
			}
			s.reportInterfaces(stderr, r, o)
		}
		return nil
	}
}

func (s *session) lost(err error) error {
	select {
	case <-s.client.Done():
		return fmt.Errorf("%s: database connection failed (End of file)", s.o.db)
	default:
		return err
	}
}
