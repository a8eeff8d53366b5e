package server

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"govs/internal/json"
	"govs/internal/stream"
	"govs/ovsdb/jsonrpc"
)

// maxInFlight is how many transactions of one session may wait in sequencers.
const maxInFlight = 1024

// session is one client.
type session struct {
	srv         *Server
	js          *jsonrpc.Session
	conn        net.Conn
	remote      *remote // nil: the connection was made elsewhere
	started     time.Time
	changeAware atomic.Bool
	batch       []*request // parsed, not yet submitted; of the session's goroutine

	mu        sync.Mutex
	settled   sync.Cond
	inFlight  int       // transactions that are neither answered nor set aside
	where     *Database // of which database
	forwarded int       // requests that a relay's source is to answer
	pending   map[string]*request
	monitors  map[string]*subscription
	locks     map[string]*lockWaiter
	ended     bool
}

// serve runs a session until it ends.
func (s *Server) serve(conn net.Conn, peer string, r *remote) error {
	if peer == "" {
		peer = s.peerName(conn)
	}
	sess := &session{
		srv:      s,
		conn:     conn,
		remote:   r,
		started:  time.Now(),
		pending:  make(map[string]*request),
		monitors: make(map[string]*subscription),
		locks:    make(map[string]*lockWaiter),
	}
	sess.settled.L = &sess.mu
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		conn.Close()
		return net.ErrClosed
	}
	sess.js = jsonrpc.New(conn, jsonrpc.Options{Name: peer, Log: s.rpcLog, Limits: s.cfg.Limits, Probe: s.probeOf(conn, r)})
	s.sessions[sess] = struct{}{}
	s.sessionWG.Add(1)
	s.mu.Unlock()
	defer s.sessionWG.Done()
	sess.handlers()
	if r != nil {
		r.joined(sess)
	}
	if f := s.cfg.Events.Connected; f != nil {
		f(peer)
	}
	err := sess.js.Run()
	sess.end()
	if r != nil {
		r.left(sess, err)
	}
	s.logEnd(peer, err)
	if f := s.cfg.Events.Disconnected; f != nil {
		f(peer, err)
	}
	return err
}

func (s *Server) logEnd(peer string, err error) {
	var se *jsonrpc.SyntaxError
	var me *jsonrpc.MessageError
	var pe *jsonrpc.ProbeError
	switch {
	case errors.As(err, &se), errors.As(err, &me):
		s.rpcLog.Warn(peer + ": " + err.Error())
		s.cfg.Log("reconnect").Warn(peer + ": connection dropped (Protocol error)")
	case errors.As(err, &pe):
		s.cfg.Log("reconnect").Error(peer + ": " + err.Error())
	case errors.Is(err, io.EOF), errors.Is(err, jsonrpc.ErrClosed):
		s.cfg.Log("reconnect").Debug(peer + ": connection closed")
	default:
		s.cfg.Log("reconnect").Info(peer + ": connection dropped (" + stream.ErrText(err) + ")")
	}
}

// probeOf is after how much idle time a connection is probed.
func (s *Server) probeOf(conn net.Conn, r *remote) time.Duration {
	if r != nil {
		if probe := r.options().Probe; probe != nil {
			return *probe
		}
	}
	if s.cfg.Probe != 0 {
		return max(s.cfg.Probe, 0)
	}
	if conn.RemoteAddr().Network() == "tcp" {
		return 5 * time.Second
	}
	return 0
}

// end gives back what the session holds.
func (sess *session) end() {
	s := sess.srv
	s.mu.Lock()
	delete(s.sessions, sess)
	s.mu.Unlock()
	sess.mu.Lock()
	sess.ended = true
	subs, pending := sess.monitors, sess.pending
	sess.monitors, sess.pending = nil, nil
	sess.settled.Broadcast()
	sess.mu.Unlock()
	for _, sub := range subs {
		sub.db.unsubscribe(sub)
	}
	for _, r := range pending {
		r.db.cancel(r)
	}
	s.locks.releaseAll(sess)
}

// settle waits until every transaction before is answered or set aside, so
// that answers go out in the order of the requests.
func (sess *session) settle() {
	sess.submit()
	sess.mu.Lock()
	if sess.inFlight > 0 {
		sess.js.Flush()
	}
	for sess.inFlight > 0 && !sess.ended {
		sess.settled.Wait()
	}
	sess.mu.Unlock()
}

// enter counts a transaction that goes to db's sequencer.
func (sess *session) enter(db *Database) {
	sess.mu.Lock()
	if sess.inFlight >= maxInFlight || sess.inFlight > 0 && sess.where != db {
		sess.mu.Unlock()
		sess.idle()
		sess.mu.Lock()
	}
	for !sess.ended && (sess.inFlight >= maxInFlight || sess.inFlight > 0 && sess.where != db) {
		sess.settled.Wait()
	}
	sess.inFlight++
	sess.where = db
	sess.mu.Unlock()
}

// leave counts one that was answered or set aside.
func (sess *session) leave() {
	sess.mu.Lock()
	if sess.inFlight--; sess.inFlight == 0 || sess.inFlight == maxInFlight-1 {
		sess.settled.Broadcast()
	}
	sess.mu.Unlock()
}

// idKey makes a key of an id that is any JSON: equal values have equal keys.
func idKey(raw []byte) string {
	if plainID(raw) {
		return string(raw)
	}
	v, err := json.Parse(raw)
	if err != nil {
		return string(raw)
	}
	return string(v.AppendSorted(nil))
}

// plainID reports whether an id is its own key: a string without escapes, or an
// integer as one writes it.
func plainID(raw []byte) bool {
	if raw[0] == '"' {
		return bytes.IndexByte(raw, '\\') < 0
	}
	if len(raw) > 18 || raw[0] == '0' {
		return false
	}
	for _, c := range raw {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
