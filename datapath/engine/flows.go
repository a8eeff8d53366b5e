package engine

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"govs/datapath/action"
	"govs/datapath/flow"
)

// A Flow is a megaflow as it stood when it was listed.
type Flow struct {
	Key      flow.Key // that of the first packet; Mask says what of it matters
	Mask     flow.Mask
	Actions  []action.Action // to be read only
	Packets  uint64          // without the packet that missed
	Bytes    uint64
	Used     time.Time // of the last packet; zero is never
	TCPFlags uint16
	Front    bool // the flow cache has it
}

// Flows goes through the megaflows, without order.
func (e *Engine) Flows() iter.Seq[Flow] {
	return func(yield func(Flow) bool) {
		e.rev.mu.Lock()
		for f := range e.table.All() {
			e.collect(f)
		}
		e.rev.mu.Unlock()
		for f := range e.table.All() {
			if !yield(f.Value.describe(f)) {
				return
			}
		}
	}
}

func (v *megaflow) describe(f *entry) Flow {
	out := Flow{
		Key: *f.Key(), Mask: *f.Mask(), Actions: v.actions,
		Packets: v.packets.Load(), Bytes: v.bytes.Load(), TCPFlags: uint16(v.flags.Load()),
		Front: v.cached.Load() != nil,
	}
	if at := v.used.Load(); at != 0 {
		out.Used = time.Unix(0, at)
	}
	return out
}

// UFID is the megaflow's identifier in the form of a UUID: the same for the
// same key and mask.
func (f *Flow) UFID() string {
	k := f.Mask.And(&f.Key)
	var h [2]uint64
	m, w := f.Mask.Words(), k.Words()
	for i := range w {
		h[0] = flow.Mix(h[0], w[i], m[i])
		h[1] = flow.Mix(^h[1], m[i], w[i])
	}
	return fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", h[0]>>32, h[0]>>16&0xffff, h[0]&0xffff, h[1]>>48, h[1]&(1<<48-1))
}

// Stats are the counters as dpctl/dump-flows prints them: "packets:2,
// bytes:108, used:1.209s, flags:S".
func (f *Flow) Stats(now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "packets:%d, bytes:%d, used:", f.Packets, f.Bytes)
	if f.Used.IsZero() {
		b.WriteString("never")
	} else {
		fmt.Fprintf(&b, "%.3fs", max(now.Sub(f.Used), 0).Seconds())
	}
	if f.TCPFlags != 0 {
		b.WriteString(", flags:" + flow.TCPFlagLetters(f.TCPFlags))
	}
	return b.String()
}

// Status is how the engine is doing.
type Status struct {
	Front   uint64 // packets that the flow cache took, as far as they were collected
	Cached  uint64 // lookups that the exact-match caches answered
	Matched uint64 // lookups that the classifier answered
	Missed  uint64 // lookups that were translated
	Lost    uint64 // misses without an answer

	Recirculated uint64 // lookups of packets that came back by a Recirc
	Probed       uint64 // masks that the classifier tried for the lookups it answered
	Sends, Sent  uint64 // batches that were given to ports, and the packets in them

	Flows     int           // megaflows at present
	Masks     int           // different masks among them
	MeanFlows int           // on average
	MostFlows int           // at most
	FlowLimit int           // at present
	DumpTook  time.Duration // the last run of the revalidator
}

// Status sums the counters up.
func (e *Engine) Status() Status {
	var s Status
	for i := range e.count {
		c := &e.count[i]
		s.Front += c.front.Load()
		s.Cached += c.cached.Load()
		s.Matched += c.matched.Load()
		s.Missed += c.missed.Load()
		s.Lost += c.lost.Load()
		s.Recirculated += c.recirculated.Load()
		s.Probed += c.probed.Load()
		s.Sends += c.sends.Load()
		s.Sent += c.sent.Load()
	}
	s.Flows, s.Masks, s.FlowLimit = e.table.Len(), e.table.Masks(), int(e.limit.Load())
	st := &e.rev.stats
	st.Lock()
	defer st.Unlock()
	s.MeanFlows, s.MostFlows, s.DumpTook = int(st.mean), max(st.most, s.Flows), st.took
	return s
}
