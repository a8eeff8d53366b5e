// Package engine is the switch's packet engine: it moves packets from ports
// through caches and actions to other ports.
//
// Each port has one goroutine, which reads a batch, parses each packet to a
// key, finds the key's megaflow (in its own exact-match cache, else in the
// classifier that all share, else by asking the Translator and installing
// what it says), carries out the actions, and at the end of the batch sends
// what came together for each output port. A port with QoS has a second one,
// which sends what waits in its scheduler. Beside them runs one revalidator:
// about twice a second it credits traffic to where the megaflows came from,
// expires idle ones, and asks the Translator again after Changed.
//
// Large segments and partial checksums cross the engine as they are. They are
// completed in software only in front of a port that cannot take them, or of
// a policer, which is to see the frames that will be on the wire.
//
// # Caveats
//
// A change of configuration does not stop packets: between the new
// configuration and the end of the revalidation that Changed asked for, the
// old megaflows hold. Who needs to know that they are gone calls Revalidate.
//
// Revalidate, Flush, RemovePort, SetShaper and Close wait for a run of the
// revalidator, which calls the Translator and its Creditors: these must not wait
// for locks that a caller of those five holds.
//
// The time that back-off and the adaptive flow limit measure is real time,
// whatever Options.Clock says.
package engine

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/classifier"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/internal/clock"
)

// MaxPort is the highest port number that an engine takes.
const MaxPort flow.PortNo = 1<<16 - 1

// Defaults of Options.
const (
	DefaultFlowLimit = 200000
	DefaultMaxIdle   = 10 * time.Second
)

// Options say how an engine works.
type Options struct {
	Translator Translator
	Log        *slog.Logger  // nil discards
	Clock      clock.Clock   // nil is clock.Real
	Pool       *packet.Pool  // where copies come from; nil makes one
	FlowLimit  int           // the most megaflows (other_config:flow-limit); 0 is DefaultFlowLimit
	MaxIdle    time.Duration // a megaflow's life without packets (other_config:max-idle); 0 is DefaultMaxIdle
	VLANLimit  int           // VLAN tags that count (other_config:vlan-limit); 0 is all that a key has room for
	Events     Events
}

// Events are told of what happens in the engine. Each may be nil.
type Events struct {
	// PortFailed says that the port's Recv or Send returned port.ErrGone, or
	// another end that nobody asked for. It comes once for each port, in a
	// goroutine of its own; the port stays in the engine, mute, until
	// RemovePort, which the function may call.
	PortFailed func(no flow.PortNo, err error)
	// Missed comes from the packet path after a miss was translated, and
	// returns quickly. What it gets is valid during the call only.
	Missed func(req *Request, res *Result)
	// Dropped comes from the packet path for every packet that is dropped,
	// and returns quickly. The sample's Head is the whole frame, and valid
	// during the call only.
	Dropped func(drop.Sample)
}

// An Engine is one datapath. Its methods are safe for concurrent use.
type Engine struct {
	log        *slog.Logger
	clock      clock.Clock
	pool       *packet.Pool
	translator Translator
	events     Events

	ports   atomic.Pointer[[]*member] // by number; never changed in place
	bonds   atomic.Pointer[map[uint32]*Bond]
	table   classifier.Table[megaflow]
	meters  atomic.Pointer[map[uint32]*sharedMeter] // never changed in place
	drops   drop.Log
	sources atomic.Uint32 // SourcePorts: the first in the upper half
	seq     struct {
		sync.Mutex
		next map[sequel]uint32 // of tunnels whose packets have numbers
	}
	count [countShards]counters

	gen     atomic.Uint64 // counts Changed
	kick    chan struct{} // asks the revalidator for a run; capacity one
	maxIdle atomic.Int64  // time.Duration
	cap     atomic.Int64  // the configured flow limit
	exact   atomic.Bool   // megaflows match all that a packet has
	limit   atomic.Int64  // the present one
	tags    atomic.Int64  // VLAN tags that count
	rev     revalidator
	front   front

	mu      sync.Mutex // control calls that change ports; never taken on the packet path
	closed  bool
	stop    chan struct{}
	stopped chan struct{}

	hand struct { // the worker for Execute
		sync.Mutex
		w *worker
	}
}

// New starts an engine without ports.
func New(o Options) *Engine {
	e := &Engine{
		log: o.Log, clock: o.Clock, pool: o.Pool, translator: o.Translator, events: o.Events,
		kick: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.clock == nil {
		e.clock = clock.Real()
	}
	if e.pool == nil {
		e.pool = new(packet.Pool)
	}
	e.ports.Store(new([]*member))
	e.SetFlowLimit(o.FlowLimit)
	e.SetMaxIdle(o.MaxIdle)
	e.SetVLANLimit(o.VLANLimit)
	e.SetSourcePorts(FirstSource, LastSource)
	e.seq.next = make(map[sequel]uint32)
	e.hand.w = newWorker(e, nil)
	go e.revalidator()
	return e
}

// SetFlowLimit sets the most megaflows that there may be; 0 is
// DefaultFlowLimit. The limit in force starts at 10,000 and adapts to what
// the revalidator can look through in a second; a call that changes nothing
// leaves it where it is.
func (e *Engine) SetFlowLimit(n int) {
	if n <= 0 {
		n = DefaultFlowLimit
	}
	if e.cap.Swap(int64(n)) != int64(n) {
		e.limit.Store(min(int64(n), max(e.limit.Load(), firstLimit)))
	}
}

// SetMegaflows says whether megaflows are as wide as the translation allows, as
// they are to begin with, or match all that a packet has. There are none after
// either.
func (e *Engine) SetMegaflows(wide bool) {
	e.exact.Store(!wide)
	e.Flush()
}

// SetMaxIdle sets how long a megaflow lives without packets; 0 is
// DefaultMaxIdle.
func (e *Engine) SetMaxIdle(d time.Duration) {
	if d <= 0 {
		d = DefaultMaxIdle
	}
	e.maxIdle.Store(int64(d))
}

// SetVLANLimit sets how many VLAN tags of a packet count; the others are
// payload. 0 is as many as a key has room for, and more are not. A change
// flushes all megaflows, which have keys of the old kind.
func (e *Engine) SetVLANLimit(n int) {
	if n <= 0 || n > flow.MaxTags {
		n = flow.MaxTags
	}
	if old := e.tags.Swap(int64(n)); old != 0 && old != int64(n) {
		e.setFrontTags(n)
		e.Flush()
	}
}

// VLANLimit is how many VLAN tags count.
func (e *Engine) VLANLimit() int { return int(e.tags.Load()) }

// Close removes and closes all ports, drops all megaflows after crediting
// their traffic, and waits for the engine's goroutines. A second call does
// nothing.
func (e *Engine) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil
	}
	e.closed = true
	ports := *e.ports.Load()
	e.ports.Store(new([]*member))
	errs := make([]error, len(ports))
	// The kernel takes some ten milliseconds for each, most of which it waits.
	var closing sync.WaitGroup
	room := make(chan struct{}, 64)
	for no, m := range ports {
		if m != nil {
			room <- struct{}{}
			closing.Go(func() {
				errs[no] = e.end(m)
				<-room
			})
		}
	}
	closing.Wait()
	close(e.stop)
	<-e.stopped
	e.Flush()
	e.Revalidate() // credits what was on its way when the last run removed it
	return errors.Join(errs...)
}

// Drops are the engine's drops: all counters, and samples of what entered by no
// port. Those of the ports are PortDrops'.
func (e *Engine) Drops() *drop.Log { return &e.drops }

// PortDrops are the drops of what entered by the port, nil where it is not there.
func (e *Engine) PortDrops(no flow.PortNo) *drop.Log {
	if m := e.member(no); m != nil {
		return &m.drops
	}
	return nil
}

// DropSamples are the last drops of all ports, the oldest first.
func (e *Engine) DropSamples() []drop.Sample {
	all := e.drops.Samples()
	for _, m := range *e.ports.Load() {
		if m != nil {
			all = append(all, m.drops.Samples()...)
		}
	}
	slices.SortStableFunc(all, func(a, b drop.Sample) int { return a.Time.Compare(b.Time) })
	return all
}

// Ports goes through the ports in the order of their numbers.
func (e *Engine) Ports() iter.Seq2[flow.PortNo, port.Port] {
	return func(yield func(flow.PortNo, port.Port) bool) {
		for no, m := range *e.ports.Load() {
			if m != nil && !yield(flow.PortNo(no), m.port) {
				return
			}
		}
	}
}

func (e *Engine) member(no flow.PortNo) *member {
	if all := *e.ports.Load(); int(no) < len(all) {
		return all[no]
	}
	return nil
}

func noPort(no flow.PortNo) error { return fmt.Errorf("datapath has no port %d", no) }
