package netflow

import (
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

// Versions of NetFlow. The zero value of Settings.Version is Version5.
const (
	Version5 uint8 = 5
	Version9 uint8 = 9
)

// Settings are what records and their times depend on.
type Settings struct {
	Version          uint8
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
	out   [][]byte // encoded by settings that were changed since

	seq      uint32    // version 5: records so far; 9: datagrams so far
	told     time.Time // version 9: when the templates were sent
	since    int       // version 9: datagrams since then
	fresh    bool      // version 9: the collectors know no templates
	exported totals
}

// totals are what was told of so far.
type totals struct{ records, packets, bytes uint64 }

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
	return &Cache{boot: boot, set: s, flows: make(map[Flow]*entry), fresh: true}
}

// Configure changes the settings; the flows stay, unless the version changes:
// then they go out in the old one, with the next Run.
func (c *Cache) Configure(s Settings, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.version() != c.set.version() {
		c.flush()
		c.out = c.datagrams(now)
		c.seq, c.fresh = 0, true
	}
	if s.version() == Version9 && s.source() != c.set.source() {
		c.seq, c.fresh = 0, true // each source counts, and has templates, by itself
	}
	c.set = s
}

// Restart has the templates sent again, to collectors that do not know them.
func (c *Cache) Restart() {
	c.mu.Lock()
	c.fresh = true
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
	if f.IPv6 && c.set.version() == Version5 {
		return // of a translation from before the version changed
	}
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

// export puts what was not told of a flow among the due records.
func (c *Cache) export(f Flow, e *entry) {
	if e.packets > 0 {
		c.due = append(c.due, record{Flow: f, out: e.out, packets: e.packets, bytes: e.bytes, first: e.first, last: e.last, flags: e.flags})
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
	c.flush()
	return c.datagrams(now)
}

func (c *Cache) flush() {
	for f, e := range c.flows {
		c.export(f, e)
	}
	clear(c.flows)
}

// datagrams encodes the due records.
func (c *Cache) datagrams(now time.Time) [][]byte {
	out := c.out
	c.out = nil
	slices.SortStableFunc(c.due, record.compare)
	if c.set.version() == Version9 {
		out = append(out, c.version9(now)...)
	} else {
		out = append(out, c.version5(now)...)
	}
	clear(c.due)
	c.due = c.due[:0]
	if cap(c.due) > 4096 {
		c.due = nil
	}
	return out
}

const (
	etherIPv4   = 0x0800
	etherIPv6   = 0x86dd
	protoICMP   = 1
	protoTCP    = 6
	protoUDP    = 17
	protoICMPv6 = 58
	protoSCTP   = 132
	dscp        = 0xfc
)

// tells says whether the version has records for flows like this one, and
// what their ports are: transport ports, ICMP's type and code, or nothing.
func (c *Cache) tells(k *flow.Key) (yes, ports, icmp bool) {
	switch k.EthType {
	case etherIPv4:
		yes, icmp = true, k.Proto == protoICMP
	case etherIPv6:
		c.mu.Lock()
		yes, icmp = c.set.version() == Version9, k.Proto == protoICMPv6
		c.mu.Unlock()
	}
	return yes, k.Proto == protoTCP || k.Proto == protoUDP || k.Proto == protoSCTP, icmp
}

// Mask sets the bits by which flows like this one are told apart.
func (c *Cache) Mask(k *flow.Key, m *flow.Mask) {
	yes, ports, icmp := c.tells(k)
	if !yes {
		return
	}
	if k.EthType == etherIPv6 {
		m.Add(flow.Proto | flow.IPv6Src | flow.IPv6Dst)
	} else {
		m.Add(flow.Proto | flow.IPv4Src | flow.IPv4Dst)
	}
	m.TOS |= dscp
	if ports || icmp {
		m.Add(flow.TPSrc | flow.TPDst)
	}
}

// Creditor returns what counts a flow of the key's traffic, nil where the
// version has no records for such flows. in and out are OpenFlow port numbers,
// or 0xffff (flooded), 0xfffe (to several ports), 0xfffd (dropped).
func (c *Cache) Creditor(k *flow.Key, in, out uint16) engine.Creditor {
	yes, ports, icmp := c.tells(k)
	if !yes {
		return nil
	}
	f := Flow{IPv6: k.EthType == etherIPv6, In: in, Proto: k.Proto, TOS: k.TOS & dscp}
	if f.IPv6 {
		f.Src, f.Dst = k.IPSrc, k.IPDst
	} else {
		copy(f.Src[:], k.IPSrc[:4])
		copy(f.Dst[:], k.IPDst[:4])
	}
	switch {
	case icmp:
		f.DstPort = k.TPSrc<<8 | k.TPDst&0xff
	case ports:
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
