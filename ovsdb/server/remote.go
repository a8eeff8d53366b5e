package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"govs/internal/stream"
	"govs/ovsdb/jsonrpc"
)

// RemoteOptions are what configuration may say of a remote. The zero value is
// that of one on the command line.
type RemoteOptions struct {
	Probe      *time.Duration // idle time after which a peer is probed, 0 never; nil: the default
	MaxBackoff time.Duration  // longest time between attempts to connect; 0: the default, 8 s
	ReadOnly   bool           // its sessions may not change databases
	Role       string         // of its clients, "" where access is not controlled
}

func (o RemoteOptions) equal(p RemoteOptions) bool {
	if (o.Probe == nil) != (p.Probe == nil) || o.Probe != nil && *o.Probe != *p.Probe {
		return false
	}
	o.Probe, p.Probe = nil, nil
	return o == p
}

// remote is a way to reach clients: it listens, or connects to one.
type remote struct {
	srv    *Server
	target string
	opts   atomic.Pointer[RemoteOptions]
	log    *slog.Logger
	tls    *stream.TLSOptions
	ctx    context.Context
	stop   context.CancelFunc
	wg     sync.WaitGroup
	lis    net.Listener // nil where it connects
	retry  bool         // it could not listen: only a name for configure

	mu         sync.Mutex
	sessions   map[*session]struct{}
	state      string // of an active one: BACKOFF, CONNECTING, ACTIVE
	lastErr    string
	connected  time.Time
	disconnect time.Time
}

// openRemote starts a remote. One that listens does so when openRemote returns.
func (s *Server) openRemote(target string, o RemoteOptions) (*remote, error) {
	r := &remote{
		srv: s, target: target,
		log:      s.cfg.Log("reconnect"),
		tls:      s.tls.options(s),
		sessions: make(map[*session]struct{}),
	}
	r.opts.Store(&o)
	r.ctx, r.stop = context.WithCancel(context.Background())
	so := stream.Options{DefaultPort: stream.PortOVSDB, RunDir: s.cfg.RunDir}
	if stream.IsPassive(target) {
		lis, err := so.Listen(target, r.tls)
		if err != nil {
			r.stop()
			return nil, fmt.Errorf("listen failed: %w", err)
		}
		r.lis = lis
		r.wg.Add(1)
		go r.accept()
		return r, nil
	}
	if !stream.IsActive(target) {
		r.stop()
		return nil, errors.New("not a connection method")
	}
	r.wg.Add(1)
	go r.connect(so)
	return r, nil
}

// accept runs a session for each connection.
func (r *remote) accept() {
	defer r.wg.Done()
	delay := 5 * time.Millisecond
	for {
		conn, err := r.lis.Accept()
		if err != nil {
			if r.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: others may go away.
			r.srv.rpcLog.Warn(r.target + ": accept failed: " + err.Error())
			select {
			case <-time.After(delay):
			case <-r.ctx.Done():
				return
			}
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		r.wg.Add(1)
		go func() {
			defer r.wg.Done()
			_ = r.srv.serve(conn, "", r) // it is logged
		}()
	}
}

// connect connects again and again, and runs a session on each connection.
func (r *remote) connect(so stream.Options) {
	defer r.wg.Done()
	const least = time.Second
	backoff := time.Duration(0)
	for r.ctx.Err() == nil {
		top := r.options().MaxBackoff
		if top <= 0 {
			top = 8 * time.Second
		}
		r.set("CONNECTING", nil)
		r.log.Info(r.target + ": connecting...")
		ctx, cancel := context.WithTimeout(r.ctx, max(backoff, least))
		conn, err := so.Dial(ctx, r.target, r.tls)
		cancel()
		if err == nil {
			r.log.Info(r.target + ": connected")
			began := time.Now()
			err = r.srv.serve(conn, r.target, r)
			if time.Since(began) > top {
				backoff = 0
			}
		} else if r.ctx.Err() == nil {
			r.log.Info(r.target + ": connection attempt failed (" + err.Error() + ")")
		}
		r.set("BACKOFF", err)
		backoff = min(max(2*backoff, least), top)
		select {
		case <-time.After(backoff):
		case <-r.ctx.Done():
		}
	}
}

// options are the remote's options now.
func (r *remote) options() RemoteOptions {
	if o := r.opts.Load(); o != nil {
		return *o
	}
	return RemoteOptions{}
}

// setOptions changes the options, also for the sessions that there are.
func (r *remote) setOptions(o RemoteOptions) {
	r.opts.Store(&o)
	r.mu.Lock()
	defer r.mu.Unlock()
	for sess := range r.sessions {
		sess.js.SetProbe(r.srv.probeOf(sess.conn, r))
	}
}

func (r *remote) set(state string, err error) {
	r.mu.Lock()
	r.state = state
	if err != nil && !errors.Is(err, jsonrpc.ErrClosed) {
		r.lastErr = stream.ErrText(err)
	}
	r.mu.Unlock()
}

func (r *remote) joined(sess *session) {
	r.mu.Lock()
	r.sessions[sess] = struct{}{}
	r.state, r.connected = "ACTIVE", time.Now()
	r.mu.Unlock()
	r.srv.kick()
	if r.ctx.Err() != nil {
		sess.js.Close()
	}
}

func (r *remote) left(sess *session, err error) {
	r.mu.Lock()
	delete(r.sessions, sess)
	r.disconnect = time.Now()
	r.mu.Unlock()
	r.srv.kick()
}

// close ends the remote and its sessions.
func (r *remote) close() {
	r.stop()
	if r.lis != nil {
		r.lis.Close()
	}
	r.mu.Lock()
	for sess := range r.sessions {
		sess.js.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}

// AddRemote adds a connection method: an active or passive target, or
// db:DB,TABLE,COLUMN. One that listens does so when AddRemote returns without
// an error. A target that is there already is left alone.
func (s *Server) AddRemote(target string) error { return s.addRemote(target, RemoteOptions{}) }

func (s *Server) addRemote(target string, o RemoteOptions) error {
	s.mu.Lock()
	_, dup := s.remotes[target]
	s.mu.Unlock()
	if dup {
		return nil
	}
	var r *remote
	if isDBRef(target) {
		if _, err := s.resolve(target); err != nil {
			return err
		}
		r = &remote{srv: s, target: target, stop: func() {}} // a name for configure
	} else {
		var err error
		if r, err = s.openRemote(target, o); err != nil {
			return fmt.Errorf("%s: %w", target, err)
		}
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.remotes[target] = r
	}
	s.mu.Unlock()
	if closed {
		r.close()
		return net.ErrClosed
	}
	if isDBRef(target) {
		s.reconfigure() // so that it listens when this returns
	}
	return nil
}

// AddListener adds a listening socket that was made elsewhere, by a service
// manager say, as the remote that would have made it (punix:PATH, ptcp:PORT:IP).
// Closing it is the server's then. A Unix socket's file stays where it is.
func (s *Server) AddListener(lis net.Listener) error {
	target := "p" + lis.Addr().Network() + ":" + lis.Addr().String()
	switch a := lis.Addr().(type) {
	case *net.TCPAddr:
		target = fmt.Sprintf("ptcp:%d:%s", a.Port, a.IP)
		if a.IP.To4() == nil {
			target = fmt.Sprintf("ptcp:%d:[%s]", a.Port, a.IP)
		}
	case *net.UnixAddr:
		lis.(*net.UnixListener).SetUnlinkOnClose(false)
	}
	r := &remote{
		srv: s, target: target, lis: lis,
		log:      s.cfg.Log("reconnect"),
		tls:      s.tls.options(s),
		sessions: make(map[*session]struct{}),
	}
	r.ctx, r.stop = context.WithCancel(context.Background())
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return net.ErrClosed
	case s.remotes[target] != nil:
		return fmt.Errorf("%s: there is such a remote already", target)
	}
	s.remotes[target] = r
	r.wg.Add(1)
	go r.accept()
	return nil
}

// KeepRemote is AddRemote for remotes that may come to work later: one that
// cannot listen now is logged and tried again every few seconds. What db:
// refers to must exist.
func (s *Server) KeepRemote(target string) error { return s.SetRemote(target, RemoteOptions{}) }

// SetRemote is KeepRemote with options. A target that is there already gets the
// options; those of db:DB,TABLE,COLUMN stand in the database.
func (s *Server) SetRemote(target string, o RemoteOptions) error {
	s.mu.Lock()
	there := s.remotes[target]
	s.mu.Unlock()
	if there != nil {
		there.setOptions(o)
		return nil
	}
	err := s.addRemote(target, o)
	if err == nil || isDBRef(target) {
		return err
	}
	s.cfg.Log("ovsdb_jsonrpc_server").Error(err.Error())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.remotes[target] = s.later(target, o)
	return nil
}

// later is a remote that configure opens when it can.
func (s *Server) later(target string, o RemoteOptions) *remote {
	r := &remote{srv: s, target: target, stop: func() {}, retry: true}
	r.opts.Store(&o)
	return r
}

// RemoveRemote undoes AddRemote.
func (s *Server) RemoveRemote(target string) error {
	s.mu.Lock()
	r := s.remotes[target]
	delete(s.remotes, target)
	s.mu.Unlock()
	if r == nil {
		return errors.New("no such remote")
	}
	r.close()
	s.cfg.Log("ovsdb_jsonrpc_server").Info(target + ": remote deconfigured")
	s.kick()
	return nil
}

// Addr is the address that a passive remote listens on, nil where there is none.
func (s *Server) Addr(target string) net.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range []map[string]*remote{s.remotes, s.derived} {
		if r := m[target]; r != nil && r.lis != nil {
			return r.lis.Addr()
		}
	}
	return nil
}
