package engine

import (
	"slices"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/classifier"
	"govs/datapath/drop"
	"govs/datapath/flow"
	"govs/datapath/packet"
)

// A megaflow is what the engine keeps for packets that are alike.
type megaflow struct {
	actions []action.Action
	created time.Time

	packets, bytes atomic.Uint64 // of packets that hit
	flags          atomic.Uint32 // TCP flags, or-ed
	used           atomic.Int64  // last hit, Unix time in nanoseconds; 0 is never

	// What the revalidator has not credited yet, beside hits.
	missPackets, missBytes atomic.Uint64
	missFlags              atomic.Uint32
	first                  atomic.Int64 // first packet since the last credit; 0 is none

	offered atomic.Uint64 // to the flow cache, in this epoch
	cached  atomic.Pointer[CachedFlow]

	// The revalidator's own, under Engine.rev.mu.
	front    Hits // by the flow cache, of those in packets and bytes
	gen      uint64
	credit   []Creditor
	credited Traffic // so far, hits only
}

// hit counts packets.
func (f *megaflow) hit(packets, bytes uint64, flags uint16, now time.Time) {
	f.packets.Add(packets)
	f.bytes.Add(bytes)
	if fl := uint32(flags); f.flags.Load()&fl != fl {
		f.flags.Or(fl)
	}
	at := now.UnixNano()
	f.used.Store(at)
	if f.first.Load() == 0 {
		f.first.Store(at)
	}
}

// always are the fields that each megaflow matches.
const always = flow.InPort | flow.RecircID | flow.EthType |
	flow.VLANTPID | flow.VLANHas | flow.CVLANTPID | flow.CVLANHas

// normalize adds to a mask what each megaflow matches, and takes away what
// the key's packets cannot have.
func normalize(m *flow.Mask, k *flow.Key) {
	m.Add(always)
	if k.EthType == 0x0800 || k.EthType == 0x86dd {
		m.Frag = flow.FragAny | flow.FragLater
	}
}

// translate asks the Translator. It says false where there is none.
func (e *Engine) translate(req *Request, res *Result) bool {
	clear(res.Actions)
	clear(res.Credit)
	*res = Result{Actions: res.Actions[:0], Credit: res.Credit[:0]}
	if e.translator == nil {
		return false
	}
	e.translator.Translate(req, res)
	normalize(&res.Mask, req.Key)
	if e.exact.Load() {
		res.Mask = flow.Exact
	}
	return true
}

// slowPath is what the megaflow of a Slow result does.
var slowPath = []action.Action{action.Userspace{}}

// lasting are the actions for the packets that follow.
func (r *Result) lasting() []action.Action {
	if r.Slow {
		return slowPath
	}
	return r.Actions
}

// slow has the translator look at a packet for which there is a megaflow.
func (w *worker) slow(p *packet.Packet) {
	key := w.key
	res := &w.results[w.pass]
	if !w.e.translate(&Request{Key: &key, Packet: p, Now: w.now}, res) {
		w.drop(drop.UpcallError, p, nil)
		return
	}
	if !res.Taken || len(res.Actions) > 0 {
		w.execute(p, res.Actions)
	}
}

// Ask translates a packet that is not there, for people who want to know what
// would become of it: no megaflow is installed and no packet sent. Where
// req.Packet is not nil, the translator learns from it all the same. It says
// false where there is no Translator.
func (e *Engine) Ask(req *Request, res *Result) bool { return e.translate(req, res) }

// miss translates a packet that no megaflow covers, installs a megaflow for
// those that follow, and handles the packet.
func (w *worker) miss(p *packet.Packet) {
	e := w.e
	c := &e.count[uint(w.shard)%countShards]
	c.missed.Add(1)
	w.account(nil)
	key := w.key
	req := Request{Key: &key, Packet: p, Now: w.now}
	res := &w.results[w.pass]
	gen := e.gen.Load()
	if !e.translate(&req, res) {
		c.lost.Add(1)
		w.drop(drop.UpcallError, p, nil)
		return
	}
	if e.events.Missed != nil {
		e.events.Missed(&req, res)
	}
	frames, bytes := wire(p)
	switch {
	case !res.Uncacheable && int64(e.table.Len()) < e.limit.Load():
		f := classifier.New[megaflow](&key, &res.Mask)
		f.Value.actions = slices.Clone(res.lasting())
		f.Value.credit = slices.Clone(res.Credit)
		f.Value.created, f.Value.gen = w.now, gen
		f, _ = e.table.Insert(f)
		w.mask = f.Mask()
		f.Value.missPackets.Add(frames)
		f.Value.missBytes.Add(bytes)
		f.Value.missFlags.Or(uint32(key.TCPFlags))
		f.Value.first.CompareAndSwap(0, w.now.UnixNano())
		if e.gen.Load() != gen {
			e.wake()
		}
	default:
		t := Traffic{Packets: frames, Bytes: bytes, TCPFlags: key.TCPFlags, First: w.now, Last: w.now}
		for _, to := range res.Credit {
			to.Credit(&key, t)
		}
	}
	if !res.Taken || len(res.Actions) > 0 {
		w.execute(p, res.Actions)
	}
}
