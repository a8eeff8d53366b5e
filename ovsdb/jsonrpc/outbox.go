package jsonrpc

import (
	"errors"
	"net"
	"sync"
	"syscall"
	"time"
)

// errBacklog ends a session whose peer does not read.
var errBacklog = errors.New("too much output waits for a peer that does not read")

// smallMessage is up to which size a message is copied to others.
const smallMessage = 4 << 10

// coalesce is up to how many bytes small messages are copied together.
const coalesce = 64 << 10

// piece is how much is written at once of a large message, so that a peer that
// takes it slowly is seen to take it.
const piece = 256 << 10

// lastWords is how long a session that ends waits for its peer to take what
// is queued.
const lastWords = time.Second

// outbox is a session's queue of encoded messages and the goroutine that
// writes them. Small messages are copied together as they come. A flush writes
// them at once, as far as the socket takes it without waiting: that saves a
// change of goroutines.
type outbox struct {
	conn  net.Conn
	raw   syscall.RawConn // nil where the connection is no socket
	limit int             // of what waits before an answer

	mu     sync.Mutex
	ready  sync.Cond // something is queued, or closed
	room   sync.Cond // something was written, or closed
	queue  [][]byte  // what waits, before tail
	tail   []byte    // small messages; the outbox's own memory
	spare  []byte    // room for the next tail
	busy   bool      // somebody writes
	closed bool

	// In bytes since the beginning: what was queued, that as far as the last
	// answer, and what was written.
	queued, answered, written int
	soon                      int // of what waits that is no answer, where no answer waits; 0: a quarter of limit

	// Of the attempt to write at once.
	attempt func(fd uintptr) bool
	now     []byte
	took    int
}

func newOutbox(conn net.Conn, limit int) *outbox {
	o := &outbox{conn: conn, limit: limit}
	o.ready.L, o.room.L = &o.mu, &o.mu
	if sc, ok := conn.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			o.raw = raw
		}
	}
	o.attempt = func(fd uintptr) bool {
		// An error comes again when the goroutine writes what is left.
		o.took, _ = syscall.Write(int(fd), o.now)
		return true
	}
	return o
}

// put queues messages, which must not change afterwards, and sees that they are
// written. They answer nothing. It reports false when more of that kind waits
// than may: a single message of any size goes through, if less waits before it.
func (o *outbox) put(msgs ...[]byte) bool {
	ok := o.later(msgs...)
	o.ready.Signal()
	return ok
}

// later is put for messages that the next flush writes.
func (o *outbox) later(msgs ...[]byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	may := o.limit / 4
	if o.soon > 0 && o.written >= o.answered {
		may = o.soon
	}
	if !o.closed && o.queued-max(o.written, o.answered) > may {
		return false
	}
	o.take(msgs...)
	return true
}

// add is put for an answer, which may be in pieces, and which the next flush
// writes.
func (o *outbox) add(msg ...[]byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.closed && o.queued-o.written > o.limit {
		return false
	}
	o.take(msg...)
	o.answered = o.queued
	return true
}

func (o *outbox) take(msgs ...[]byte) {
	if o.closed {
		return
	}
	for _, m := range msgs {
		o.queued += len(m)
		if len(m) > smallMessage {
			o.seal()
			o.queue = append(o.queue, m)
			continue
		}
		o.makeRoom(len(m))
		o.tail = append(o.tail, m...)
	}
}

// reply is add for an answer; much tells that a flush is due.
func (o *outbox) reply(id, result []byte) (ok, much bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.closed:
		return true, false
	case o.queued-o.written > o.limit:
		return false, false
	}
	o.makeRoom(32 + len(id) + len(result))
	before := len(o.tail)
	o.tail = AppendReply(o.tail, id, result)
	o.queued += len(o.tail) - before
	o.answered = o.queued
	return true, len(o.tail) >= coalesce || len(o.queue) > 0
}

// makeRoom makes room in the tail for n bytes more: it takes a new one rather than
// a larger one.
func (o *outbox) makeRoom(n int) {
	if len(o.tail)+n > cap(o.tail) && len(o.tail) >= coalesce {
		o.seal()
	}
	if o.tail == nil {
		o.tail, o.spare = o.spare, nil
	}
}

// seal queues the tail.
func (o *outbox) seal() {
	if len(o.tail) > 0 {
		o.queue = append(o.queue, o.tail)
		o.tail = nil
	}
}

// flush sees that what is queued is written: at once, where nobody writes and
// it is little.
func (o *outbox) flush() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.busy && len(o.tail) > 0 {
		if o.raw == nil || o.closed || len(o.queue) > 0 {
			o.ready.Signal()
			return
		}
		b := o.tail
		o.tail, o.busy = nil, true
		o.mu.Unlock()
		o.now, o.took = b, 0
		_ = o.raw.Write(o.attempt) // as for an error of the attempt
		o.now = nil
		took := max(o.took, 0)
		o.mu.Lock()
		o.busy = false
		o.written += took
		o.room.Broadcast()
		if took < len(b) {
			// The rest goes before what came meanwhile.
			o.queue = append([][]byte{b[took:]}, o.queue...)
			o.ready.Signal()
			return
		}
		if o.spare == nil && cap(b) <= 2*coalesce {
			o.spare = b[:0]
		}
		if o.closed {
			o.ready.Broadcast() // run may have waited for this
		}
	}
	if !o.busy && len(o.queue) > 0 {
		o.ready.Signal()
	}
}

// progress is how much waits, and how much was written since the beginning.
func (o *outbox) progress() (waits, written int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.queued - o.written, o.written
}

// await returns when less than n bytes wait, or the outbox is closed. It
// reports false when nothing was written for as long as patience, where that is
// not 0.
func (o *outbox) await(n int, patience time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.queued-o.written > n && !o.closed {
		if patience <= 0 {
			o.room.Wait()
			continue
		}
		late, before := false, o.written
		t := time.AfterFunc(patience, func() {
			o.mu.Lock()
			late = true
			o.room.Broadcast()
			o.mu.Unlock()
		})
		for !late && o.written == before && !o.closed {
			o.room.Wait()
		}
		t.Stop()
		if late && o.written == before && !o.closed {
			return false
		}
	}
	return true
}

// close lets the writer write what is queued for so long, and end.
func (o *outbox) close(wait time.Duration) {
	o.mu.Lock()
	if !o.closed {
		o.closed = true
		_ = o.conn.SetWriteDeadline(time.Now().Add(wait)) // a connection without deadlines is closed by its owner
		o.ready.Broadcast()
		o.room.Broadcast()
	}
	o.mu.Unlock()
}

// run writes until the outbox is closed and empty, or writing fails.
func (o *outbox) run() error {
	var batch [][]byte
	for {
		o.mu.Lock()
		for o.busy || len(o.queue) == 0 && len(o.tail) == 0 && !o.closed {
			o.ready.Wait()
		}
		o.seal()
		if len(o.queue) == 0 {
			o.mu.Unlock()
			return nil
		}
		batch, o.queue = o.queue, batch[:0]
		o.busy = true
		o.mu.Unlock()

		for rest := batch; len(rest) > 0; {
			n, err := o.writeSome(rest)
			if err != nil {
				return err
			}
			clear(rest[:n])
			rest = rest[n:]
		}
		o.mu.Lock()
		o.busy = false
		o.mu.Unlock()
	}
}

// writeSome writes about a piece, as one or some of the messages, and returns how
// many it has written to their ends.
func (o *outbox) writeSome(msgs [][]byte) (n int, err error) {
	size := 0
	for n < len(msgs) && size+len(msgs[n]) <= piece {
		size += len(msgs[n])
		n++
	}
	if n == 0 {
		return 1, o.write(msgs[0])
	}
	together := append(net.Buffers(nil), msgs[:n]...) // which writing changes
	wrote, err := together.WriteTo(o.conn)
	o.wrote(int(wrote))
	return n, err
}

// write writes b in pieces.
func (o *outbox) write(b []byte) error {
	for len(b) > 0 {
		n, err := o.conn.Write(b[:min(len(b), piece)])
		o.wrote(n)
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// wrote counts what was written.
func (o *outbox) wrote(n int) {
	o.mu.Lock()
	o.written += n
	o.room.Broadcast()
	o.mu.Unlock()
}
