// Package shape decides in which order and when frames leave a port: queues
// with guaranteed and highest rates under a rate of the port (Tree, as the
// qdisc htb of Linux has it), a policer, fair queueing, controlled delay, and
// the emulation of a slow or lossy network.
//
// A Scheduler is pure: it holds frames, does no I/O, and takes the time as an
// argument, which is the time since any moment that stays the same. Its owner
// pushes frames into it, pops those whose time has come, and is told when to
// come again.
//
// Rates count the bytes of a frame from its Ethernet header on, without FCS;
// a large segment counts as the frames that it becomes on the wire.
//
// # Caveats
//
// Schedulers are not safe for concurrent use. Queues are bounded, and allocate
// while they grow to their bounds; afterwards nothing is allocated. A Tree's Pop
// looks at every queue that has frames: hundreds are fine.
//
// A frame passes when a bucket is not in debt, whatever its length, so that a
// large segment is never too long for a small bucket; the debt is paid before
// the next one. Config.Whole says what should be cut first, so that nobody
// waits long for such a debt.
package shape

import (
	"cmp"
	"math"
	"slices"
	"time"

	"govs/datapath/drop"
	"govs/datapath/packet"
)

// Never is a time that does not come.
const Never = time.Duration(math.MaxInt64)

// A Frame is what waits in a scheduler.
type Frame struct {
	Packet *packet.Packet
	Bytes  int    // on the wire
	Queue  uint32 // where it is to wait; a queue that is not there is queue 0
	Hash   uint32 // frames of a flow have the same
	In     uint32 // of no meaning here: where it came from
}

// A Scheduler says which frame leaves next.
type Scheduler interface {
	// Push takes a frame, or loses it or another one. It says whether Pop may
	// have something earlier than it said last.
	Push(f Frame, now time.Duration) bool
	// Pop gives the frame that is to leave now. Where there is none, it says
	// when to ask again: Never, while nothing is pushed.
	Pop(now time.Duration) (f Frame, ok bool, next time.Duration)
	// Drain gives any frame, until there is none.
	Drain() (f Frame, ok bool)
	// Stats are the counters of the queues, in the order of Config.Queues;
	// there is one where those do not count.
	Stats() []Stats
}

// Stats are a queue's counters.
type Stats struct {
	Queue          uint32
	Packets, Bytes uint64 // that left
	Dropped        uint64 // that did not
	Waiting        int    // frames that are there now
}

// Lost is told of frames that a scheduler drops, from within its methods. The
// frame is the receiver's.
type Lost func(f Frame, why drop.Reason)

// A Kind is a discipline.
type Kind uint8

// The disciplines.
const (
	HTB     Kind = iota // queues with rates; linux-hfsc has them, too
	Policer             // what is more than the rate is dropped, nothing waits
	SFQ                 // flows take turns
	CoDel               // what waits too long is dropped (RFC 8289)
	FQCoDel             // both (RFC 8290)
	Netem               // delay and loss

	External // none: whoever has configured the port's device does it
)

// Config is what a scheduler does. Fields that its kind does not name are of
// no meaning. The zero value of the others is a default.
type Config struct {
	Kind Kind
	MTU  int // bytes of a usual frame

	Rate   uint64 // HTB, Policer: bits a second that all queues share; 0 is no limit
	Burst  int    // Policer: bytes
	Header int    // Policer: bytes of each frame that do not count

	Queues []Queue // HTB: by ID; the first one has ID 0

	Limit    int           // frames that may wait; for HTB, in each queue
	Perturb  time.Duration // SFQ: between two changes of the hash; 0 is never
	Quantum  int           // SFQ, FQCoDel: bytes of a turn
	Flows    int           // FQCoDel: that are told apart
	Target   time.Duration // CoDel, FQCoDel: how long a frame may wait,
	Interval time.Duration // and for how long that may be exceeded

	Latency time.Duration // Netem
	Jitter  time.Duration // Netem: that latency may be more or less
	Loss    float64       // Netem: 0 to 1
	Seed    uint64        // of what is random
}

// A Queue is one of those that share a port's rate.
type Queue struct {
	ID       uint32
	Min, Max uint64 // bits a second: guaranteed, and at the most; a Max of 0 is the port's
	Burst    int    // bytes that may leave at once after a pause
	Priority uint32 // the lower, the sooner it gets what is left over
	DSCP     int8   // that its packets are to be marked with, by the owner; below 0 is none
}

// New makes a scheduler without frames. lost may be nil: then what is lost is
// freed.
func New(c Config, lost Lost) Scheduler {
	if lost == nil {
		lost = func(f Frame, _ drop.Reason) { f.Packet.Free() }
	}
	if c.MTU <= 0 {
		c.MTU = 1514
	}
	switch c.Kind {
	case Policer:
		return newPolicer(c, lost)
	case SFQ, CoDel, FQCoDel:
		return newFair(c, lost)
	case Netem:
		return newNetem(c, lost)
	}
	return newTree(c, lost)
}

// stretch is how long a large segment may keep a port busy.
const stretch = 2 * time.Millisecond

// Whole is how many bytes on the wire a large segment of the queue may have
// and not be cut: 2 ms of the queue's highest rate, or its burst. Where there
// is no rate, any number. A queue that is not there is the first one.
func (c *Config) Whole(queue uint32) int {
	switch c.Kind {
	case HTB:
	case Policer:
		return 0 // the burst is a promise
	default:
		return math.MaxInt
	}
	if len(c.Queues) == 0 {
		return new(Queue).whole(c.Rate)
	}
	i, ok := slices.BinarySearchFunc(c.Queues, queue, func(q Queue, id uint32) int { return cmp.Compare(q.ID, id) })
	if !ok {
		i = 0
	}
	return c.Queues[i].whole(c.Rate)
}

// whole is Config.Whole, at a port of that rate.
func (q *Queue) whole(port uint64) int {
	rate := q.most(port)
	if rate == 0 {
		return math.MaxInt
	}
	return max(q.Burst, int(perSecond(rate)*stretch.Seconds()))
}

// Light says whether a large segment of any length keeps no queue busy for
// long, so that none would be cut.
func (c *Config) Light() bool {
	for i := range c.Queues {
		if c.Queues[i].whole(c.Rate) < packet.MaxFrame {
			return false
		}
	}
	return c.Kind == HTB && len(c.Queues) > 0
}

// perSecond is a rate in bytes.
func perSecond(bits uint64) float64 { return float64(bits) / 8 }

// A fifo is a queue that keeps its room.
type fifo struct {
	buf   []waiting
	head  int
	n     int
	bytes int
}

type waiting struct {
	Frame
	since time.Duration
}

func (q *fifo) push(f Frame, now time.Duration) {
	if q.n == len(q.buf) {
		buf := make([]waiting, max(16, 2*len(q.buf)))
		n := copy(buf, q.buf[q.head:])
		copy(buf[n:], q.buf[:q.head])
		q.buf, q.head = buf, 0
	}
	at := q.head + q.n
	if at >= len(q.buf) {
		at -= len(q.buf)
	}
	q.buf[at] = waiting{f, now}
	q.n++
	q.bytes += f.Bytes
}

func (q *fifo) pop() waiting {
	w := q.buf[q.head]
	q.buf[q.head].Packet = nil
	if q.head++; q.head == len(q.buf) {
		q.head = 0
	}
	q.n--
	q.bytes -= w.Bytes
	return w
}

// A bucket is a token bucket of bytes. One with rate 0 is never empty.
type bucket struct {
	rate   float64 // bytes a second
	depth  float64 // that an idle bucket holds
	tokens float64
	at     time.Duration
	begun  bool
}

// grace is how long a bucket with frames waiting for it goes on filling beyond
// its depth: its owner may be late to come for them, and no rate is to be lost
// by that.
const grace = 50 * time.Millisecond

// fill brings the bucket to the present. busy says that frames have been
// waiting for it.
func (b *bucket) fill(now time.Duration, busy bool) {
	if b.rate == 0 {
		return
	}
	if !b.begun {
		b.begun, b.tokens, b.at = true, b.depth, now
		return
	}
	if now <= b.at {
		return
	}
	b.tokens += b.rate * (now - b.at).Seconds()
	b.at = now
	depth := b.depth
	if busy {
		depth = max(depth, b.rate*grace.Seconds())
	}
	b.tokens = min(b.tokens, depth)
}

// open says whether a frame may pass.
func (b *bucket) open() bool { return b.rate == 0 || b.tokens >= 0 }

// ready is when a frame may pass, of a bucket that was filled.
func (b *bucket) ready() time.Duration {
	if b.open() {
		return b.at
	}
	return b.at + time.Duration(math.Ceil(-b.tokens/b.rate*float64(time.Second)))
}

func (b *bucket) take(bytes int) {
	if b.rate != 0 {
		b.tokens -= float64(bytes)
	}
}
