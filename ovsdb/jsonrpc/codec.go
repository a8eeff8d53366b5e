package jsonrpc

import (
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/cenkalti/rpc2"

	"govs/internal/json"
)

// codec is the rpc2.Codec of a session. The reading methods are called by
// rpc2's read loop only.
type codec struct {
	s    *Session
	scan Scanner
	buf  []byte // what was read, from off on not yet handled
	off  int
	doc  json.Doc
	part int // bytes of a message that quick found to be a part only
	cur  Message

	timed bool  // reads have a deadline
	ended error // why there is no more to read, where ReadHeader found that out
}

var _ rpc2.Codec = (*codec)(nil)

// probeID is the id of the echo requests that look whether the peer is alive.
var probeID = []byte(`"echo"`)

var errUnknownMethod = []byte(`"unknown method"`)

// quick takes the next message, where it is a request as they mostly are and was
// read to its end: it is parsed once, where it lies. Everything else is left to
// readMessage.
func (c *codec) quick(r *Request) (handler, bool) {
	rest := c.buf[c.off:]
	if len(rest) == 0 || c.scan.started || c.s.limits.Depth < json.MaxDepth {
		return handler{}, false
	}
	if len(rest) < c.part+c.part/4 {
		return handler{}, false
	}
	v, n, err := c.doc.ParseNext(rest, 0)
	if err != nil && n == len(rest) && c.part == 0 && n < c.s.limits.Message {
		c.part = n
	}
	if err != nil || v.Kind() != json.Object || v.Len() != 3 {
		return handler{}, false
	}
	var id, method, params json.Value
	for name, val := range v.Members() {
		switch string(name.Bytes()) {
		case "id":
			id = val
		case "method":
			method = val
		case "params":
			params = val
		}
	}
	if k := id.Kind(); k == json.Invalid || k == json.Null || method.Kind() != json.String || params.Kind() != json.Array {
		return handler{}, false
	}
	h, ok := c.s.handlers[string(method.Bytes())]
	if !ok {
		return handler{}, false
	}
	c.off += n
	c.part = 0
	*r = Request{Session: c.s, ID: id.Raw(), Method: h.method, Params: params.Raw(), parsed: params}
	return h, true
}

// readMessage returns the next message.
func (c *codec) readMessage() (Message, error) {
	limit := c.s.limits.Message
	for {
		if rest := c.buf[c.off:]; len(rest) > 0 {
			n, err := c.scan.Scan(rest)
			if err != nil {
				return Message{}, err
			}
			if n > 0 {
				msg := c.take(n)
				m, err := parse(msg, c.scan.members)
				c.scan.Reset()
				return m, err
			}
			if len(rest) > limit {
				return Message{}, bad("message is longer than " + strconv.Itoa(limit) + " bytes")
			}
		}
		c.s.idle()
		err := c.ended
		if err == nil {
			err = c.fill()
		}
		if err != nil {
			if err == io.EOF && c.scan.started {
				err = io.ErrUnexpectedEOF
			}
			return Message{}, err
		}
	}
}

// take takes the next n bytes: a copy, or the buffer itself where they are many.
func (c *codec) take(n int) []byte {
	if n < 1<<20 || c.off > 0 {
		c.off += n
		return append(make([]byte, 0, n), c.buf[c.off-n:c.off]...)
	}
	msg := c.buf[:n:n]
	c.buf = append([]byte(nil), c.buf[n:]...)
	return msg
}

// fill reads more bytes, and probes a silent peer.
func (c *codec) fill() error {
	const least = 4 << 10
	full := len(c.buf) == cap(c.buf)
	if c.off > 0 {
		c.buf = c.buf[:copy(c.buf, c.buf[c.off:])]
		c.off = 0
	}
	if len(c.buf) == 0 && cap(c.buf) > 1<<20 {
		c.buf = nil // what one large message took
	}
	if cap(c.buf)-len(c.buf) < least || full && cap(c.buf) < 256<<10 {
		grown := make([]byte, len(c.buf), max(2*cap(c.buf), 4*least))
		copy(grown, c.buf)
		c.buf = grown
	}
	probing := false
	waits, written := c.s.out.progress()
	for {
		probe := time.Duration(c.s.probe.Load())
		if probe > 0 || c.timed {
			c.timed = probe > 0
			var deadline time.Time
			if c.timed {
				deadline = time.Now().Add(probe)
			}
			err := c.s.conn.SetReadDeadline(deadline)
			if err != nil && !errors.Is(err, os.ErrNoDeadline) {
				return err
			}
		}
		n, err := c.s.conn.Read(c.buf[len(c.buf):cap(c.buf)])
		c.buf = c.buf[:len(c.buf)+n]
		if n > 0 {
			return nil
		}
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() || c.s.closing() {
			if err == nil {
				err = io.ErrNoProgress
			}
			return err
		}
		c.timed = true // there is a deadline, whoever set it
		had, before := waits, written
		if waits, written = c.s.out.progress(); had > 0 && written > before {
			probing = false // the peer takes what waits, and may have to take much before the echo
			continue
		}
		if probing && probe > 0 {
			return &ProbeError{probe}
		}
		c.timed = true
		probing = true
		c.s.Send(AppendRequest(nil, probeID, "echo", []byte("[]")))
	}
}

// ReadHeader handles messages until there is one that is rpc2's business: the
// answer to a call.
func (c *codec) ReadHeader(_ *rpc2.Request, resp *rpc2.Response) error {
	var quick Request
	for {
		probe := time.Duration(c.s.probe.Load())
		if !c.s.out.await(c.s.limits.Backlog/4, 2*probe) {
			err := &ProbeError{probe}
			c.s.idle()
			c.s.end(err)
			return err
		}
		if c.off == len(c.buf) && c.ended == nil {
			c.s.idle()
			c.ended = c.fill() // readMessage tells
		}
		whole := c.part == 0
		if h, ok := c.quick(&quick); ok {
			r := &quick
			if !h.inPlace {
				r = quick.Keep()
			}
			c.s.handle(h, r)
			continue
		}
		if whole && c.part > 0 {
			// The rest of the message may come at once.
			c.s.idle()
			if c.ended = c.fill(); c.ended == nil {
				continue
			}
			// The scanner looks at what there is first.
		}
		c.part = 0
		m, err := c.readMessage()
		if err != nil {
			c.s.idle()
			c.s.end(err)
			return err
		}
		switch m.Kind {
		case KindRequest, KindNotify:
			if h, ok := c.s.handlers[m.Method]; ok {
				c.s.handle(h, &Request{Session: c.s, ID: m.ID, Method: h.method, Params: m.Params})
			} else if m.Kind == KindRequest {
				c.s.idle()
				c.s.answer(AppendError(nil, m.ID, errUnknownMethod))
			}
		case KindReply, KindError:
			seq, err := strconv.ParseUint(string(m.ID), 10, 64)
			if err != nil {
				if m.Kind == KindError {
					c.s.log.Warn(c.s.name + ": received unexpected error message")
				}
				continue // the answer to a probe, or to nothing
			}
			c.cur = m
			resp.Seq = seq
			if m.Kind == KindError {
				resp.Error = string(m.Error)
			}
			return nil
		}
	}
}

// ReadRequestBody is not called: ReadHeader lets no request through.
func (c *codec) ReadRequestBody(any) error { return errNoRequest }

var errNoRequest = errors.New("jsonrpc: requests are not rpc2's business")

// ReadResponseBody gives a caller the raw result.
func (c *codec) ReadResponseBody(x any) error {
	if b, ok := x.(*[]byte); ok {
		*b = c.cur.Result
	}
	return nil
}

// WriteRequest sends a call, or with Seq 0 a notification.
func (c *codec) WriteRequest(r *rpc2.Request, x any) error {
	params, ok := x.([]byte)
	if !ok {
		return errors.New("jsonrpc: parameters are not encoded")
	}
	id := null
	if r.Seq != 0 {
		id = strconv.AppendUint(nil, r.Seq, 10)
	}
	return c.s.Send(AppendRequest(make([]byte, 0, 48+len(params)), id, r.Method, params))
}

// WriteResponse is not called: handlers answer for themselves.
func (c *codec) WriteResponse(*rpc2.Response, any) error { return errNoRequest }

// Close ends the session.
func (c *codec) Close() error {
	c.s.end(nil)
	return nil
}
