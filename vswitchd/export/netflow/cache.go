package netflow

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"sync"
	"time"

	"govs/datapath/engine"
	"govs/datapath/flow"
)

// DefaultActive is the active timeout where none is configured.
const DefaultActive = 600 * time.Second

// Passive is how long a flow is silent before its record goes out: as long as
// the engine keeps a megaflow that is not used.
const Passive = 10 * time.Second

// maxFlows bounds the cache. The engine's own limit of megaflows is lower.
const maxFlows = 1 << 20

// Settings are what records and their times depend on.
type Settings struct {
	EngineType       uint8
	EngineID         uint8
	AddIDToInterface bool          // the engine id's low 7 bits become the interface numbers' high ones
	Active           time.Duration // 0 is DefaultActive; negative is none
}

// A Cache has the flows that are going on. It is safe for concurrent use.
type Cache struct {
	boot time.Time

	mu    sync.Mutex
	set   Settings
	flows map[Flow]*entry
	due   []record // to go out with the next datagrams
	seq   uint32
}

type entry struct {
	out         uint16
	packets     uint64
	bytes       uint64
	first, last time.Time // of what was not told yet; zero where there is nothing
	since       time.Time // when the active timeout began
	flags       uint8
}

// NewCache returns an empty cache. Times in records count from boot.
func NewCache(s Settings, boot time.Time) *Cache {
	return &Cache{boot: boot, set: s, flows: make(map[Flow]*entry)}
}

// Configure changes the settings; the flows stay.
func (c *Cache) Configure(s Settings) {
	c.mu.Lock()
	c.set = s
	c.mu.Unlock()
}

// Len is the number of flows.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flows)
}

// Credit counts a flow's traffic, which left by the OpenFlow port out.
func (c *Cache) Credit(f Flow, out uint16, t engine.Traffic) {
	if t.Packets == 0 {
		return
	}
	if t.First.IsZero() {
		t.First = t.Last
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.flows[f]
	switch {
	case e == nil:
		e = &entry{out: out, since: t.First}
		if len(c.flows) < maxFlows {
			c.flows[f] = e
		} else {
			defer c.export(f, e) // told at once and forgotten
		}
	case e.out != out:
		c.export(f, e)
		e.out = out
	}
	if e.packets == 0 || t.First.Before(e.first) {
		e.first = t.First
	}
	if t.Last.After(e.last) {
		e.last = t.Last
	}
	e.packets += t.Packets
	e.bytes += t.Bytes
	e.flags |= uint8(t.TCPFlags)
}

// export puts what was not told of a flow among the due records, in several
// where 32 bits do not hold the counters. Packets and bytes are spread so that
// each record shows about the mean size.
func (c *Cache) export(f Flow, e *entry) {
	const most = math.MaxUint32
	for n := max((e.packets+most-1)/most, (e.bytes+most-1)/most); n > 0; n-- {
		packets, bytes := e.packets/n, e.bytes/n
		c.due = append(c.due, record{
			Flow: f, out: e.out, packets: uint32(packets), bytes: uint32(bytes),
			first: e.first, last: e.last, flags: e.flags,
		})
		e.packets -= packets
		e.bytes -= bytes
	}
	e.packets, e.bytes, e.flags = 0, 0, 0
}

// Run returns the datagrams that are due: of flows that fell silent or have
// gone on for the active timeout.
func (c *Cache) Run(now time.Time) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	active := c.set.Active
	if active == 0 {
		active = DefaultActive
	}
	for f, e := range c.flows {
		switch {
		case now.Sub(e.last) >= Passive:
			c.export(f, e)
			delete(c.flows, f)
		case active > 0 && now.Sub(e.since) >= active:
			c.export(f, e)
			e.since = now
		}
	}
	return c.datagrams(now)
}

// Flush returns the datagrams of all flows, and forgets them.
func (c *Cache) Flush(now time.Time) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f, e := range c.flows {
		c.export(f, e)
	}
	clear(c.flows)
	return c.datagrams(now)
}

func (c *Cache) datagrams(now time.Time) (out [][]byte) {
	slices.SortStableFunc(c.due, func(a, b record) int {
		return cmp.Or(a.last.Compare(b.last), bytes.Compare(a.Src[:], b.Src[:]), bytes.Compare(a.Dst[:], b.Dst[:]),
			cmp.Compare(a.SrcPort, b.SrcPort), cmp.Compare(a.DstPort, b.DstPort))
	})
	for recs := range slices.Chunk(c.due, maxRecords) {
		out = append(out, c.set.append(nil, recs, c.seq, c.boot, now))
		c.seq += uint32(len(recs))
	}
	clear(c.due)
	c.due = c.due[:0]
	if cap(c.due) > 4096 {
		c.due = nil
	}
	return out
}

const (
	etherIPv4 = 0x0800
	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
	protoSCTP = 132
	dscp      = 0xfc
)

// Mask sets the bits by which flows like this one are told apart.
func (c *Cache) Mask(k *flow.Key, m *flow.Mask) {
	if k.EthType != etherIPv4 {
		return
	}
	m.Add(flow.Proto | flow.IPv4Src | flow.IPv4Dst)
	m.TOS |= dscp
	switch k.Proto {
	case protoICMP, protoTCP, protoUDP, protoSCTP:
		m.Add(flow.TPSrc | flow.TPDst)
	}
}

// Creditor returns what counts a flow of the key's traffic, nil where the key
// is not of IPv4. in and out are OpenFlow port numbers, or 0xffff (flooded),
// 0xfffe (to several ports), 0xfffd (dropped).
func (c *Cache) Creditor(k *flow.Key, in, out uint16) engine.Creditor {
	if k.EthType != etherIPv4 {
		return nil
	}
	f := Flow{
		In: in, Src: [4]byte(k.IPSrc[:4]), Dst: [4]byte(k.IPDst[:4]),
		Proto: k.Proto, TOS: k.TOS & dscp,
	}
	switch k.Proto {
	case protoICMP:
		f.DstPort = k.TPSrc<<8 | k.TPDst&0xff
	case protoTCP, protoUDP, protoSCTP:
		f.SrcPort, f.DstPort = k.TPSrc, k.TPDst
	}
	return &creditor{c, f, out}
}

type creditor struct {
	cache *Cache
	flow  Flow
	out   uint16
}

// Credit implements engine.Creditor.
func (c *creditor) Credit(_ *flow.Key, t engine.Traffic) { c.cache.Credit(c.flow, c.out, t) }
