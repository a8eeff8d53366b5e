package jsonrpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/rpc2"

	"govs/internal/json"
)

// Limits bound what one peer can make a session hold. A zero field stands
// for its default.
type Limits struct {
	Depth   int // of nested arrays and objects; 1000
	Message int // bytes of one message; 256 MiB
	Backlog int // bytes that wait to be sent; 256 MiB. Nothing is read while more than a quarter waits; no more than that of notifications may
}

// Options are a session's settings.
type Options struct {
	Name   string       // the peer, as it is to stand in the log: unix#3
	Log    *slog.Logger // nil: nothing is logged
	Limits Limits
	Probe  time.Duration // idle time after which the peer is asked for a sign of life; 0: never
}

// ProbeError ends a session whose peer did not answer the inactivity probe.
type ProbeError struct{ After time.Duration }

func (e *ProbeError) Error() string {
	return fmt.Sprintf("no response to inactivity probe after %.4g seconds, disconnecting", e.After.Seconds())
}

// Error is the error member of an answer, raw.
type Error struct{ JSON []byte }

func (e *Error) Error() string { return string(e.JSON) }

// ErrClosed is what methods return after the session's end.
var ErrClosed = errors.New("connection closed")

// Handler handles one request or notification. It answers through the
// Request, now or later. Handlers of one session run one at a time.
type Handler func(*Request)

// handler is a registered Handler.
type handler struct {
	f       Handler
	method  string
	inPlace bool
}

// Session is one end of a connection. Its methods may be called from any
// goroutine, but Handle only before Run.
type Session struct {
	name   string
	conn   net.Conn
	log    *slog.Logger
	limits Limits
	out    *outbox
	rpc    *rpc2.Client
	probe  atomic.Int64 // a time.Duration; 0: never

	handlers map[string]handler
	onIdle   func()

	mu     sync.Mutex
	ended  bool
	reason error
	done   chan struct{}
}

// New makes a session of conn, which then belongs to it. Run starts reading.
func New(conn net.Conn, o Options) *Session {
	if o.Limits.Depth <= 0 {
		o.Limits.Depth = MaxDepth
	}
	if o.Limits.Message <= 0 {
		o.Limits.Message = 256 << 20
	}
	if o.Limits.Backlog <= 0 {
		o.Limits.Backlog = 256 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Session{name: o.Name, conn: conn, log: o.Log, limits: o.Limits, done: make(chan struct{}), handlers: make(map[string]handler)}
	s.out = newOutbox(conn, o.Limits.Backlog)
	s.rpc = rpc2.NewClientWithCodec(&codec{s: s, scan: Scanner{MaxDepth: o.Limits.Depth}})
	s.probe.Store(int64(o.Probe))
	go func() {
		s.end(s.out.run())
		conn.Close()
		close(s.done)
	}()
	return s
}

// Name is the peer's name for the log.
func (s *Session) Name() string { return s.name }

// Handle registers the handler of a method.
func (s *Session) Handle(method string, h Handler) { s.handlers[method] = handler{h, method, false} }

// HandleInPlace registers a handler that keeps nothing of the Request, nor the
// Request itself, when it returns: what it needs later it copies (Request.Keep).
func (s *Session) HandleInPlace(method string, h Handler) {
	s.handlers[method] = handler{h, method, true}
}

// OnIdle has f called, on the goroutine that handlers run on, before the session
// waits for its peer: when all messages that have come were handled. What
// handlers put off until then, so as to do it for many requests at once, is to
// be done now.
func (s *Session) OnIdle(f func()) { s.onIdle = f }

func (s *Session) idle() {
	if s.onIdle != nil {
		s.onIdle()
	}
}

// handle calls a handler. A fault of ours costs this request only.
func (s *Session) handle(h handler, r *Request) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error(fmt.Sprintf("%s: %s request failed: %v", s.name, r.Method, p), "stack", string(debug.Stack()))
			r.Fail(appendString(nil, "internal error"))
		}
	}()
	h.f(r)
}

// HandleEcho answers echo requests.
func (s *Session) HandleEcho() {
	s.HandleInPlace("echo", func(r *Request) { r.Reply(r.Params) })
}

// Run reads and handles messages until the connection ends, and says why it
// did: io.EOF when the peer closed it, a *SyntaxError or another error for
// what the peer did wrong. A peer that sent garbage is told before it is
// dropped.
func (s *Session) Run() error {
	s.rpc.Run()
	<-s.done
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// end lets what is queued go out and closes the connection. The first reason
// counts.
func (s *Session) end(reason error) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended = true
	if reason == nil {
		reason = ErrClosed
	}
	s.reason = reason
	s.mu.Unlock()
	var se *SyntaxError
	var me *MessageError
	if errors.As(reason, &se) || errors.As(reason, &me) {
		e := append([]byte(`{"details":`), appendString(nil, reason.Error())...)
		s.out.put(AppendError(nil, null, append(e, `,"error":"syntax error"}`...)))
	}
	wait := lastWords
	var pe *ProbeError
	if errors.Is(reason, errBacklog) || errors.As(reason, &pe) {
		wait = 0 // nobody listens
	}
	s.out.close(wait)
	// Wake the reader, which may wait for a peer that says nothing.
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines ends with Close
}

func (s *Session) closing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

// SetProbe changes Options.Probe.
func (s *Session) SetProbe(d time.Duration) {
	if s.probe.Swap(int64(d)) != int64(d) {
		// Wake the reader, which then waits as long as it should now.
		_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // a connection without deadlines has no probes
	}
}

// Close ends the session when what is queued has gone out, or after a second.
// It does not wait for that; Done does.
func (s *Session) Close() { s.end(nil) }

// Done is closed when the connection is.
func (s *Session) Done() <-chan struct{} { return s.done }

// Send queues encoded messages, in this order with none in between. They must
// not be changed afterwards, and may be shared between sessions.
func (s *Session) Send(msgs ...[]byte) error {
	if !s.out.put(msgs...) {
		s.end(errBacklog)
		return errBacklog
	}
	return nil
}

// answer is Send for the one message that answers a request.
func (s *Session) answer(msg []byte) {
	if !s.out.add(msg) {
		s.end(errBacklog)
		return
	}
	s.out.flush()
}

// QueueReply queues the answer to the request with an id. It goes out with the
// next Flush, or before. Both arguments are copied.
func (s *Session) QueueReply(id, result []byte) {
	ok, much := s.out.reply(id, result)
	switch {
	case !ok:
		s.end(errBacklog)
	case much:
		s.out.flush()
	}
}

// QueueError is QueueReply for an error.
func (s *Session) QueueError(id, err []byte) {
	if !s.out.add(AppendError(nil, id, err)) {
		s.end(errBacklog)
	}
}

// Queue is Send for messages that go out with the next Flush, or before.
func (s *Session) Queue(msgs ...[]byte) {
	if !s.out.later(msgs...) {
		s.end(errBacklog)
	}
}

// Flush sends what is queued, as far as the connection takes it at once; the
// rest follows from a goroutine of the session's.
func (s *Session) Flush() { s.out.flush() }

// DropEarly makes the session end already when more than n bytes of
// notifications wait and no answer does: for a peer that can come back and ask
// for what it missed.
func (s *Session) DropEarly(n int) {
	s.out.mu.Lock()
	s.out.soon = n
	s.out.mu.Unlock()
}

// Notify sends a notification; params is a JSON array.
func (s *Session) Notify(method string, params []byte) error {
	return s.Send(AppendNotify(make([]byte, 0, 40+len(method)+len(params)), method, params))
}

// Call sends a request and waits for its answer; params is a JSON array. The
// error is an *Error when the peer answered with one.
func (s *Session) Call(ctx context.Context, method string, params []byte) ([]byte, error) {
	result := new([]byte)
	if err := callError(s.rpc.CallWithContext(ctx, method, params, result)); err != nil {
		return nil, err // the answer may come yet, and be written there
	}
	return *result, nil
}

// Start sends a request and returns at once. The requests of one goroutine go
// out in its order. The function that Start returns waits for the answer, which
// is as from Call, or for the end of the session.
func (s *Session) Start(method string, params []byte) (wait func() ([]byte, error)) {
	var result []byte
	call := s.rpc.Go(method, params, &result, make(chan *rpc2.Call, 1))
	return func() ([]byte, error) {
		return result, callError((<-call.Done).Error)
	}
}

func callError(err error) error {
	var se rpc2.ServerError
	if errors.As(err, &se) {
		return &Error{JSON: []byte(se)}
	}
	return err
}

// Request is a request or notification that came in.
type Request struct {
	Session *Session
	ID      []byte // raw JSON; nil in a notification
	Method  string
	Params  []byte // raw JSON array

	parsed json.Value
}

// Parse returns the parameters as a value. It lives as long as the handler runs.
func (r *Request) Parse() (json.Value, error) {
	if r.parsed.Kind() != json.Invalid {
		return r.parsed, nil
	}
	return json.Parse(r.Params)
}

// Keep returns a copy of a Request that shares no memory with it.
func (r *Request) Keep() *Request {
	b := append(append(make([]byte, 0, len(r.ID)+len(r.Params)), r.ID...), r.Params...)
	k := &Request{Session: r.Session, Method: r.Method, Params: b[len(r.ID):]}
	if r.ID != nil {
		k.ID = b[:len(r.ID):len(r.ID)]
	}
	return k
}

// Reply answers with a result that is JSON. It does nothing for a notification.
func (r *Request) Reply(result []byte) {
	if r.ID != nil {
		r.Session.QueueReply(r.ID, result)
		r.Session.Flush()
	}
}

// ReplyPieces is Reply for a result in pieces, which must not be changed
// afterwards and may be shared between sessions.
func (r *Request) ReplyPieces(pieces ...[]byte) {
	if r.ID == nil {
		return
	}
	head := append(append([]byte(`{"id":`), r.ID...), `,"result":`...)
	msgs := append(append(make([][]byte, 0, len(pieces)+2), head), pieces...)
	if !r.Session.out.add(append(msgs, []byte(`,"error":null}`))...) {
		r.Session.end(errBacklog)
		return
	}
	r.Session.Flush()
}

// Fail answers with an error that is JSON.
func (r *Request) Fail(err []byte) {
	if r.ID != nil {
		r.Session.answer(AppendError(make([]byte, 0, 24+len(r.ID)+len(err)), r.ID, err))
	}
}
