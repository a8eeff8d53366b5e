package ipfix

import (
	"cmp"
	"container/list"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"govs/datapath/action"
	"govs/datapath/flow"
)

// Defaults of ovs-vswitchd.conf.db(5), and the port of RFC 7011, section 10.3.4.
const (
	DefaultSampling = 400
	DefaultPort     = 4739
)

// Interval is the time between two transmissions of the templates, and of the
// exporter's statistics, where none is configured: as long as the C switch's.
const Interval = 600 * time.Second

const (
	maxMessage = 1400 // bytes
	maxWaiting = 1024 // messages that wait to be sent
)

// Numbers of sets, and the template of the exporter's own statistics.
const (
	setTemplates  = 2
	setOptions    = 3
	statsTemplate = 462
)

// Numbers of exporting processes, as the C switch has them.
const (
	bridgeProcess = 1
	flowProcess   = 2
)

// Values of flowEndReason.
const (
	endedActive = 2
	endedForced = 4
	endedLack   = 5 // of resources
)

// Settings are what records depend on.
type Settings struct {
	Domain, Point uint32
	Virtual       string        // virtualObsID; "" leaves it out
	Tunnels       bool          // records tell of tunnels
	Active        time.Duration // 0 is no cache
	MaxFlows      uint32        // 0 is no cache
	Templates     time.Duration // between two transmissions; 0 is Interval
	Stats         time.Duration // likewise, of the statistics
	Ports         []Port
}

// A Port is an interface of the bridge.
type Port struct {
	No      flow.PortNo // in the engine
	Name    string
	Ifindex uint32 // 0 for none
	Type    uint32 // IANA's ifType; 0 where it is not known
}

// A Cache has the flows that are going on. It is safe for concurrent use.
type Cache struct {
	mu    sync.Mutex
	set   Settings
	ports map[flow.PortNo]Port
	flows map[id]*list.Element
	order list.List // of entries, the oldest first
	all   counters
	lost  *atomic.Uint64 // packets that were not told of
	// As what the exporter tells of itself (exportingProcessId); 0 is not at all.
	process uint32

	told      time.Time // when templates were sent last
	counted   time.Time // when statistics were
	fresh     bool      // none of the present ones was sent
	sequence  uint32    // data records of the domain so far
	sequence0 uint32    // of domain 0
	out       [][]byte

	// The message that is being filled.
	records []byte
	setAt   int // of the last set, in records
	setID   uint16
	count   uint32
}

type entry struct {
	id          id
	counters    counters
	first, last time.Time
}

// NewCache returns an empty cache.
func NewCache() *Cache {
	return &Cache{flows: make(map[id]*list.Element), fresh: true, lost: new(atomic.Uint64), process: bridgeProcess}
}

// Configure changes the settings. Flows stay unless there is no cache any
// more, or the records would be of another domain or point: then they go out
// first, with the next Run.
func (c *Cache) Configure(s Settings, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.set
	if old.Domain != s.Domain || old.Point != s.Point || old.Virtual != s.Virtual || s.Active == 0 || s.MaxFlows == 0 {
		c.flush(now, endedForced)
	}
	if old.Domain != s.Domain || old.Virtual != s.Virtual {
		c.fresh = true
	}
	if old.Domain != s.Domain {
		c.sequence = 0
	}
	c.set = s
	c.ports = make(map[flow.PortNo]Port, len(s.Ports))
	for _, p := range s.Ports {
		c.ports[p.No] = p
	}
	for uint64(c.order.Len()) > uint64(s.MaxFlows) {
		c.export(c.order.Front(), now, endedLack)
	}
	c.finish(now)
}

// Restart has the templates sent again, to collectors that do not know them.
func (c *Cache) Restart() {
	c.mu.Lock()
	c.fresh = true
	c.mu.Unlock()
}

// Len is the number of flows that are going on.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.order.Len()
}

// Packet counts a packet. It says true when there is something to send.
func (c *Cache) Packet(t *action.Taken) bool {
	cookie, ok := t.Cookie.(action.IPFIX)
	point := uint32(0)
	if s, is := t.Cookie.(action.FlowSample); is {
		ok, point = true, s.Point
		if cookie.Output = s.Output; s.Direction == "ingress" {
			cookie.Output = action.NoOutput
		}
	}
	if !ok {
		return false
	}
	var k flow.Key
	if !flow.Extract(t.Packet, t.In, &k) {
		return false
	}
	f, n := observe(t.Packet.Bytes(), &k, &cookie)
	f.point = point
	c.mu.Lock()
	defer c.mu.Unlock()
	f.tunnelled(&cookie, t.TunnelPort, c.set.Tunnels)
	c.all.add(&n)
	if c.set.Active == 0 || c.set.MaxFlows == 0 {
		if len(c.out) >= maxWaiting {
			c.lost.Add(1)
			return true
		}
		c.append(&entry{f, n, t.Now, t.Now}, t.Now, endedActive)
		c.finish(t.Now)
		return true
	}
	if at := c.flows[f]; at != nil {
		e := at.Value.(*entry)
		e.counters.add(&n)
		e.last = t.Now
		return false
	}
	full := uint64(c.order.Len()) >= uint64(c.set.MaxFlows)
	if full {
		if len(c.out) >= maxWaiting {
			c.lost.Add(1)
			return true
		}
		c.export(c.order.Front(), t.Now, endedLack)
		c.finish(t.Now)
	}
	c.flows[f] = c.order.PushBack(&entry{f, n, t.Now, t.Now})
	return full
}

// Run returns the messages that are due.
func (c *Cache) Run(now time.Time) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := c.order.Front(); at != nil && now.Sub(at.Value.(*entry).first) >= c.set.Active; at = c.order.Front() {
		c.export(at, now, endedActive)
	}
	return c.take(now)
}

// Flush returns the messages of all flows, and forgets them.
func (c *Cache) Flush(now time.Time) [][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flush(now, endedForced)
	return c.take(now)
}

func (c *Cache) flush(now time.Time, reason uint8) {
	for at := c.order.Front(); at != nil; at = c.order.Front() {
		c.export(at, now, reason)
	}
	c.finish(now)
}

func (c *Cache) export(at *list.Element, now time.Time, reason uint8) {
	e := c.order.Remove(at).(*entry)
	delete(c.flows, e.id)
	c.append(e, now, reason)
}

// take gives what is to be sent, behind the templates where these are due.
func (c *Cache) take(now time.Time) [][]byte {
	c.finish(now)
	out := c.out
	c.out = nil
	var first [][]byte
	if c.fresh || now.Sub(c.told) >= cmp.Or(c.set.Templates, Interval) {
		c.told, first = now, c.templates(now)
	}
	if c.process != 0 && (c.fresh || now.Sub(c.counted) >= cmp.Or(c.set.Stats, Interval)) {
		c.counted, first = now, append(first, c.stats(now))
	}
	c.fresh = false
	return append(first, out...)
}

// export time is in whole seconds, and not before any of the packets.
func ceil(now time.Time) time.Time {
	if t := now.Truncate(time.Second); t.Before(now) {
		return t.Add(time.Second)
	}
	return now
}

// message puts a header before sets (RFC 7011, section 3.1).
func message(sets []byte, now time.Time, sequence, domain uint32) []byte {
	be := binary.BigEndian
	b := be.AppendUint16(make([]byte, 0, 16+len(sets)), 10)
	b = be.AppendUint16(b, uint16(16+len(sets)))
	b = be.AppendUint32(b, uint32(ceil(now).Unix()))
	b = be.AppendUint32(b, sequence)
	b = be.AppendUint32(b, domain)
	return append(b, sets...)
}

// set begins a set (RFC 7011, section 3.3.2), of which length is written by
// closeSet.
func set(b []byte, id uint16) []byte {
	return binary.BigEndian.AppendUint32(b, uint32(id)<<16)
}

func closeSet(b []byte, at int) { binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at)) }

// append adds a record to the message that is being filled.
func (c *Cache) append(e *entry, now time.Time, reason uint8) {
	rec := c.appendRecord(nil, &e.id, &e.counters, &c.all, e.first, e.last, ceil(now), reason)
	if len(c.records)+len(rec)+20 > maxMessage {
		c.finish(now)
	}
	if n := e.id.template(); len(c.records) == 0 || c.setID != n {
		c.setAt, c.setID = len(c.records), n
		c.records = set(c.records, n)
	}
	c.records = append(c.records, rec...)
	closeSet(c.records, c.setAt)
	c.count++
}

// finish ends the message that is being filled.
func (c *Cache) finish(now time.Time) {
	if c.count == 0 {
		return
	}
	c.out = append(c.out, message(c.records, now, c.sequence, c.set.Domain))
	c.sequence += c.count
	c.records, c.count = c.records[:0], 0
}

// templates are the messages with all templates of records.
func (c *Cache) templates(now time.Time) (out [][]byte) {
	b := set(nil, setTemplates)
	end := func() {
		closeSet(b, 0)
		out = append(out, message(b, now, c.sequence, c.set.Domain))
	}
	for _, k := range kinds() {
		rec := k.appendTemplate(nil, c.set.Virtual != "")
		if 16+len(b)+len(rec) > maxMessage {
			end()
			b = set(nil, setTemplates)
		}
		b = append(b, rec...)
	}
	end()
	return out
}

// stats is the message with the exporter's own statistics, behind their
// template; they belong to no observation domain.
func (c *Cache) stats(now time.Time) []byte {
	be := binary.BigEndian
	b := set(nil, setOptions)
	for _, v := range []uint16{statsTemplate, 2, 1, 144, 4, 167, 8} { // exportingProcessId; notSentPacketTotalCount
		b = be.AppendUint16(b, v)
	}
	closeSet(b, 0)
	at := len(b)
	b = set(b, statsTemplate)
	b = be.AppendUint32(b, c.process)
	b = be.AppendUint64(b, c.lost.Load())
	closeSet(b, at)
	defer func() { c.sequence0++ }()
	return message(b, now, c.sequence0, 0)
}
