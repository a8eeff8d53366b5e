package unixctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/stream"
)

// Handler carries out one verb. The text of its error goes to the client.
type Handler = func(ctx context.Context, args []string) (string, error)

type command struct {
	name, usage string
	min, max    int // max < 0: no limit
	hidden      bool
	fn          Handler
}

// Server answers control requests. Make it with NewServer or Listen.
type Server struct {
	log *slog.Logger

	mu       sync.Mutex
	commands map[string]*command
	version  string
	ln       net.Listener
	path     string
	conns    map[net.Conn]struct{}
	closed   bool
	serving  bool

	received atomic.Uint64

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Received is how many requests have come.
func (s *Server) Received() uint64 { return s.received.Load() }

// NewServer returns a server that knows list-commands, help and version, and
// has no socket yet: see Bind and ServeConn.
func NewServer(log *slog.Logger) *Server {
	s := &Server{log: log, commands: map[string]*command{}, conns: map[net.Conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.Register("list-commands", "", 0, 0, s.listCommands)
	s.Register("version", "", 0, 0, func(context.Context, []string) (string, error) { return s.Version(), nil })
	s.Register("help", "", 0, 0, s.listCommands)
	s.commands["help"].hidden = true
	s.Register("set-options", "[--format text|json]", 0, 2, setOptions)
	s.commands["set-options"].hidden = true
	return s
}

// Listen returns a server bound to a Unix socket at path. Connections wait
// until Serve is called, so verbs can be registered in between.
func Listen(path string, log *slog.Logger) (*Server, error) {
	s := NewServer(log)
	if err := s.Bind(path); err != nil {
		return nil, err
	}
	return s, nil
}

// Bind makes the socket at path, replacing a stale one.
func (s *Server) Bind(path string) error {
	ln, err := stream.Listen("punix:"+path, nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ln != nil || s.closed {
		_ = ln.Close()
		return errors.New("unixctl: server is bound or closed already")
	}
	s.ln, s.path = ln, path
	return nil
}

// Path returns the path of the socket, or "" for a server without one.
func (s *Server) Path() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path
}

// SetVersion sets the text that the verb version answers.
func (s *Server) SetVersion(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version = text
}

// Version returns the text of SetVersion.
func (s *Server) Version() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

// Register adds a verb, or replaces it. usage is the text behind the name in
// list-commands; the number of arguments is checked before fn is called
// (maxArgs < 0: no limit). A result or error text that does not end in a
// newline gets one unless it is empty.
func (s *Server) Register(name, usage string, minArgs, maxArgs int, fn func(ctx context.Context, args []string) (string, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands[name] = &command{name: name, usage: usage, min: minArgs, max: maxArgs, fn: fn}
}

// Hide keeps verbs out of list-commands, such as names that others once had.
func (s *Server) Hide(names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if c := s.commands[name]; c != nil {
			c.hidden = true
		}
	}
}

func (s *Server) listCommands(context.Context, []string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.commands))
	for n, c := range s.commands {
		if !c.hidden {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("The available commands are:\n")
	for _, n := range names {
		fmt.Fprintf(&b, "  %-23s %s\n", n, s.commands[n].usage)
	}
	return b.String(), nil
}

// Serve accepts connections on the bound socket until Close; it returns nil
// then. Calling it again while it runs, or on a server without a socket,
// waits for Close.
func (s *Server) Serve() error {
	s.mu.Lock()
	ln, already := s.ln, s.serving
	s.serving = true
	s.mu.Unlock()
	if ln == nil || already {
		<-s.ctx.Done()
		return nil
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			if !passing(err) {
				return err
			}
			s.log.Warn("accepting control connections: " + err.Error())
			select {
			case <-time.After(acceptPause):
			case <-s.ctx.Done():
			}
			continue
		}
		if !s.start(c) {
			_ = c.Close()
			return nil
		}
	}
}

// acceptPause is the time after which a socket is asked again that could not
// accept for want of descriptors or memory.
const acceptPause = 100 * time.Millisecond

// passing says whether accept may work again later.
func passing(err error) bool {
	for _, e := range []error{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.ECONNABORTED, unix.EINTR} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// start serves a connection in a goroutine that Close waits for. It says false
// where Close was called.
func (s *Server) start(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Go(func() { s.ServeConn(c) })
	return true
}

// ServeConn answers requests on one connection until it ends, and closes it.
func (s *Server) ServeConn(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	ctx = context.WithValue(ctx, formatKey{}, new(format))

	reqs := make(chan *request)
	go func() { // reading on tells when the client has gone
		defer close(reqs)
		defer cancel()
		r := newReader(c)
		for {
			req, err := r.next()
			if err != nil {
				if !errors.Is(err, io.EOF) && ctx.Err() == nil && !errors.Is(err, net.ErrClosed) {
					s.log.Warn("control connection dropped: " + err.Error())
				}
				return
			}
			select {
			case reqs <- req:
			case <-s.ctx.Done():
				return
			}
		}
	}()
	defer func() { // let the reader finish
		_ = c.Close()
		for range reqs {
		}
	}()
	for req := range reqs {
		s.received.Add(1)
		b, err := encode(s.answer(ctx, req))
		if err != nil {
			s.log.Error("cannot encode a reply: " + err.Error())
			return
		}
		if _, err := c.Write(b); err != nil {
			return
		}
		if s.ctx.Err() != nil {
			return
		}
	}
}

// Invoke carries out a verb as if a client had sent it.
func (s *Server) Invoke(ctx context.Context, name string, args ...string) (string, error) {
	s.mu.Lock()
	c := s.commands[name]
	s.mu.Unlock()
	switch {
	case c == nil:
		return "", fmt.Errorf("%q is not a valid command (use \"list-commands\" to see a list of valid commands)", name)
	case len(args) < c.min:
		return "", fmt.Errorf("%q command requires at least %d arguments", name, c.min)
	case c.max >= 0 && len(args) > c.max:
		return "", fmt.Errorf("%q command takes at most %d arguments", name, c.max)
	}
	return c.fn(ctx, args)
}

// answer carries out a request. A panic of a handler is reported to the
// client and logged; the daemon goes on.
func (s *Server) answer(ctx context.Context, req *request) (rep any) {
	s.log.Debug(fmt.Sprintf("received request %s%q", req.method, req.args))
	defer func() {
		if p := recover(); p != nil {
			s.log.Error(fmt.Sprintf("command %q failed: %v", req.method, p))
			rep = failure{req.id, fmt.Sprintf("%q command failed: internal error: %v\n", req.method, p)}
		}
	}()
	if req.argErr != "" {
		// The C programs check the verb and the number of arguments first.
		s.mu.Lock()
		c := s.commands[req.method]
		s.mu.Unlock()
		if c != nil && req.nargs >= c.min && (c.max < 0 || req.nargs <= c.max) {
			return failure{req.id, req.argErr + "\n"}
		}
		req.args = make([]string, req.nargs)
	}
	text, err := s.Invoke(ctx, req.method, req.args...)
	if err != nil {
		s.log.Debug("replying with error: " + err.Error())
		return failure{req.id, endLine(err.Error())}
	}
	s.log.Debug("replying with success")
	return success{ID: req.id, Result: formatted(ctx, text)}
}

func endLine(s string) string {
	if s != "" && !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	return s
}

// Close stops the server: the socket's file is removed, handlers' contexts
// end, connections are closed after the answer in progress. It waits for
// the handlers unless it is called by one (see CloseLater).
func (s *Server) Close() error {
	s.stop()
	s.mu.Lock()
	for c := range s.conns {
		closeRead(c)
	}
	s.mu.Unlock()
	s.wg.Wait()
	return nil
}

// CloseLater is Close for use within a handler: it does not wait.
func (s *Server) CloseLater() { go s.Close() }

func (s *Server) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.cancel()
	if s.ln != nil {
		_ = s.ln.Close()
	}
}

// closeRead makes the reader of c see the end, while an answer can still go out.
func closeRead(c net.Conn) {
	if u, ok := c.(interface{ CloseRead() error }); ok {
		_ = u.CloseRead()
		return
	}
	_ = c.Close()
}
