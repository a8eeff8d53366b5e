package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/classifier"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

const countShards = 8

// counters are one shard of what Status sums up.
type counters struct {
	cached, matched, missed, lost     atomic.Uint64
	recirculated, probed, sends, sent atomic.Uint64
	front                             atomic.Uint64
	_                                 [56]byte
}

// A worker carries packets through the engine, for one goroutine.
type worker struct {
	e     *Engine
	in    *member // nil for packets that the switch itself makes
	shard int

	busy  sync.Mutex  // held while a batch is carried; else the revalidator may sweep the cache
	stale atomic.Bool // the cache is to be swept
	cache classifier.Cache[megaflow]

	now  time.Time
	tags int        // VLAN tags that count
	key  flow.Key   // of the packet in hand
	mask *flow.Mask // of its megaflow, nil where it has none yet

	tunnelPort uint16 // of UDP, from which the packet came through a tunnel

	queueID uint32 // that was selected for the packet, or noQueue

	// Hits of the megaflow that the last packets had in common.
	flow    *classifier.Entry[megaflow]
	packets uint64
	bytes   uint64
	flags   uint16

	tally struct { // since the last batch
		cached, matched, recirculated, probed, sends, sent uint64
	}

	queues []*queue     // for output ports; the first active ones are in use
	active int          //
	slot   []uint32     // by port number: its queue's place, if it is in use
	pieces packet.Batch // segments, while they are cut
	extra  packet.Batch // copies and segments, freed at the end of the batch
	ready  packet.Batch // what goes to a port when something had to be completed
	chunk  packet.Batch // a part of ready
	merged packet.Batch // a queue with large segments put together

	mine []*packet.Packet // of a stage: what it sends

	pass    int // through the megaflows, from 0 on
	results [maxPasses]Result
}

// A queue is what a batch has for one output port.
type queue struct {
	to    *member
	class uint32 // of the device's queues
	batch packet.Batch
	from  []flow.PortNo // of a stage: where the packets entered
}

func newWorker(e *Engine, in *member) *worker {
	w := &worker{e: e, in: in}
	if in != nil {
		w.shard = int(in.no)
	}
	return w
}

// run takes packets from the port to where they go. The caller frees them.
func (w *worker) run(packets []*packet.Packet) {
	w.busy.Lock()
	defer w.busy.Unlock()
	w.now, w.tags = w.e.clock.Now(), int(w.e.tags.Load())
	if pol := w.in.policy.Load(); pol != nil {
		for _, p := range packets {
			w.police(p, pol)
		}
	} else {
		for _, p := range packets {
			w.one(p)
		}
	}
	w.finish()
	if w.stale.Load() {
		w.sweep()
	}
}

// sweep makes the cache forget megaflows that are gone.
func (w *worker) sweep() {
	w.stale.Store(false)
	w.cache.Sweep()
}

// finish ends a batch: counters, output, and buffers.
func (w *worker) finish() {
	w.account(nil)
	c := &w.e.count[uint(w.shard)%countShards]
	w.flush()
	w.extra.FreeAll()
	t := &w.tally
	for _, n := range [...]struct {
		to   *atomic.Uint64
		from *uint64
	}{
		{&c.cached, &t.cached}, {&c.matched, &t.matched}, {&c.recirculated, &t.recirculated},
		{&c.probed, &t.probed}, {&c.sends, &t.sends}, {&c.sent, &t.sent},
	} {
		if *n.from > 0 {
			n.to.Add(*n.from)
			*n.from = 0
		}
	}
}

// police charges the packet, or the frames that it becomes on the wire, and
// lets pass what conforms.
func (w *worker) police(p *packet.Packet, pol *policy) {
	if p.Offload.GSO == packet.GSONone {
		if !pol.Admit(p.Len(), w.now) {
			w.dropPoliced(p)
			return
		}
		w.one(p)
		return
	}
	w.pieces.Reset()
	if err := packet.Segment(p, w.e.pool, &w.pieces); err != nil {
		flow.ExtractTags(p, w.in.no, w.tags, &w.key)
		w.drop(drop.Segment, p, nil)
		return
	}
	for _, piece := range w.pieces.Packets {
		w.extra.Add(piece)
		if pol.Admit(piece.Len(), w.now) {
			w.one(piece)
		} else {
			w.dropPoliced(piece)
		}
	}
}

func (w *worker) dropPoliced(p *packet.Packet) {
	w.mask = nil
	flow.ExtractTags(p, w.in.no, w.tags, &w.key)
	w.in.rxDropped.Add(1)
	w.drop(drop.Policed, p, nil)
}

// one finds the packet's megaflow and does what it says.
func (w *worker) one(p *packet.Packet) {
	w.mask, w.queueID = nil, noQueue
	if !flow.ExtractTags(p, w.in.no, w.tags, &w.key) {
		w.drop(drop.Invalid, p, nil)
		return
	}
	w.look(p)
}

// look finds the megaflow for w.key, and does with the packet what it says.
func (w *worker) look(p *packet.Packet) {
	k := &w.key
	hash := k.Hash()
	f := w.cache.Lookup(k, hash)
	if f != nil {
		w.tally.cached++
	} else if entry, probes := w.e.table.Probe(k); entry != nil {
		f = entry
		w.tally.matched++
		w.tally.probed += uint64(probes)
		w.cache.Put(hash, f)
	} else {
		w.miss(p)
		return
	}
	if f != w.flow {
		w.account(f)
	}
	w.mask = f.Mask()
	frames, bytes := wire(p)
	w.packets += frames
	w.bytes += bytes
	w.flags |= k.TCPFlags
	w.execute(p, f.Value.actions)
}

// account adds the traffic of the megaflow in hand to it, and takes the next.
func (w *worker) account(next *classifier.Entry[megaflow]) {
	if w.flow != nil {
		w.flow.Value.hit(w.packets, w.bytes, w.flags, w.now)
		if epoch := w.e.front.epoch.Load(); epoch != 0 {
			w.e.offer(w.flow, epoch)
		}
	}
	w.flow, w.packets, w.bytes, w.flags = next, 0, 0, 0
}

// drop counts and samples a packet that ends, on its way to out if that is
// not nil. w.key is the packet's.
func (w *worker) drop(r drop.Reason, p *packet.Packet, out *member) {
	log := &w.e.drops
	log.Count(w.shard, r, 1)
	if w.in != nil {
		log = &w.in.drops
		log.Count(w.shard, r, 1)
	}
	s := drop.Sample{Time: w.now, Reason: r, Port: w.key.InPort, Key: w.key, Mask: w.mask, Len: p.Len(), Head: p.Bytes()}
	if out != nil {
		s.Out = out.no
		out.txDropped.Add(1)
	}
	log.Sample(&s)
	if w.e.events.Dropped != nil {
		w.e.events.Dropped(s)
	}
}

// Execute carries out actions on a packet of the switch's own making, as if
// it had entered at port in (0: none). It borrows the packet, which the
// actions may change, until it returns; by then what was to be sent is sent.
func (e *Engine) Execute(p *packet.Packet, in flow.PortNo, actions []action.Action) {
	e.hand.Lock()
	defer e.hand.Unlock()
	w := e.hand.w
	w.now, w.tags = e.clock.Now(), int(e.tags.Load())
	flow.ExtractTags(p, in, w.tags, &w.key)
	w.queueID = noQueue
	w.execute(p, actions)
	w.finish()
}
