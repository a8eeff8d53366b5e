package mac

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds and defaults of other_config:mac-aging-time and mac-table-size
// (ovs-vswitchd.conf.db(5), Bridge table).
const (
	DefaultAging = 300 * time.Second
	MinAging     = 15 * time.Second
	MaxAging     = 3600 * time.Second

	DefaultSize = 8192
	MinSize     = 10
	MaxSize     = 1_000_000
)

// LockTime is how long a gratuitous ARP that came through a port that is no
// bond keeps those that a bond reflects from moving the address.
const LockTime = 5 * time.Second

// An Addr is a station's MAC address as on the wire.
type Addr = [6]byte

// Options are what a Table is made with and can be changed to.
type Options struct {
	Aging time.Duration // forced into MinAging to MaxAging; 0 is DefaultAging
	Size  int           // entries at the most, forced into MinSize to MaxSize; 0 is DefaultSize
}

func (o Options) bounded() Options {
	if o.Aging == 0 {
		o.Aging = DefaultAging
	}
	if o.Size == 0 {
		o.Size = DefaultSize
	}
	o.Aging = min(max(o.Aging, MinAging), MaxAging)
	o.Size = min(max(o.Size, MinSize), MaxSize)
	return o
}

// Stats count what happened to a table since it was made or ClearStats.
type Stats struct {
	Entries, Max int // now
	Static       int // now; they are in Entries too
	Learned      uint64
	Expired      uint64
	Evicted      uint64
	Moved        uint64
}

// An Entry is one line of the table.
type Entry struct {
	VLAN   uint16
	MAC    Addr
	Port   string
	Static bool
	Used   time.Time // when the station was last heard; for a static entry, when it was added
}

// Age is how long the station has been silent, never negative.
func (e *Entry) Age(now time.Time) time.Duration { return max(now.Sub(e.Used), 0) }

// A Sighting is a packet's source, as Learn is told of it.
type Sighting struct {
	VLAN uint16
	MAC  Addr
	Port string
	// Gratuitous says that the packet is a gratuitous ARP, and Bond that the
	// port is a bond.
	Gratuitous, Bond bool
}

// A Table is safe for concurrent use.
type Table struct {
	changed func()
	gen     atomic.Uint64

	mu      sync.RWMutex
	opts    Options
	entries map[where]*entry
	all     queue // learned entries
	ports   map[string]*portList
	big     portHeap // ports by number of learned entries, most first
	static  int
	flushed time.Time // nothing heard before counts
	stats   Stats
}

type where struct {
	vlan uint16
	mac  Addr
}

// An entry's fields are guarded by Table.mu, but for used, which a reader may
// push forward.
type entry struct {
	where
	port   *portList
	static bool
	used   atomic.Int64 // Unix nanoseconds
	queued int64        // the value of used that its place in the queues stands for
	moved  int64        // when it was learned on this port
	lock   int64        // gratuitous ARPs off a bond do not move it until then
	index  [2]int       // in the queues: inAll, inPort
}

// New returns an empty table. The function is called, without locks held,
// after each change of what Lookup answers: an entry learned, moved, expired,
// evicted or flushed. It may be nil.
func New(o Options, changed func()) *Table {
	if changed == nil {
		changed = func() {}
	}
	t := &Table{
		changed: changed,
		opts:    o.bounded(),
		entries: make(map[where]*entry),
		ports:   make(map[string]*portList),
	}
	return t
}

// Generation is a number that grows with every change that the changed
// function is called for.
func (t *Table) Generation() uint64 { return t.gen.Load() }

func (t *Table) notify(changed bool) {
	if changed {
		t.gen.Add(1)
		t.changed()
	}
}

// Configure changes the ageing time and the size. Entries that are too many
// are evicted.
func (t *Table) Configure(o Options) {
	t.mu.Lock()
	t.opts = o.bounded()
	n := 0
	for len(t.entries) > t.opts.Size && t.evict() {
		n++
	}
	t.mu.Unlock()
	t.notify(n > 0)
}

// Options returns what the table works with.
func (t *Table) Options() Options {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.opts
}

// Lookup returns the name of the port that the address was learned on.
func (t *Table) Lookup(vlan uint16, mac Addr) (port string, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e := t.entries[where{vlan, mac}]; e != nil {
		return e.port.name, true
	}
	return "", false
}

// Find is Lookup that also says whether gratuitous ARPs that a bond reflects
// may not move the address at that time.
func (t *Table) Find(vlan uint16, mac Addr, now time.Time) (port string, locked, ok bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if e := t.entries[where{vlan, mac}]; e != nil {
		return e.port.name, now.UnixNano() < e.lock, true
	}
	return "", false, false
}

// Learn takes note of a station that was heard at the given time: the entry
// is made, moved or refreshed, and changed says that it was made or moved.
// Group addresses are not learned, static entries stay as they are, and news
// that are older than the entry's last move or than a flush do not count.
func (t *Table) Learn(s Sighting, now time.Time) (changed bool) {
	if s.MAC[0]&1 != 0 {
		return false
	}
	at := now.UnixNano()
	if t.refresh(&s, at) {
		return false
	}
	t.mu.Lock()
	changed = t.learn(&s, at)
	t.mu.Unlock()
	t.notify(changed)
	return changed
}

// refresh does the common case: the entry is there, and on that port.
func (t *Table) refresh(s *Sighting, at int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.entries[where{s.VLAN, s.MAC}]
	switch {
	case e == nil:
		return false
	case e.static:
		return true
	case e.port.name != s.Port || s.Gratuitous && !s.Bond:
		return false
	}
	e.touch(at)
	return true
}

func (e *entry) touch(at int64) {
	for {
		old := e.used.Load()
		if old >= at || e.used.CompareAndSwap(old, at) {
			return
		}
	}
}

func (t *Table) learn(s *Sighting, at int64) bool {
	if !t.flushed.IsZero() && at < t.flushed.UnixNano() {
		return false
	}
	e := t.entries[where{s.VLAN, s.MAC}]
	lock := s.Gratuitous && !s.Bond
	switch {
	case e == nil:
		if len(t.entries) >= t.opts.Size && !t.evict() {
			return false // nothing but static entries
		}
		e = t.insert(where{s.VLAN, s.MAC}, s.Port, at, false)
		t.stats.Learned++
	case e.static:
		return false
	case e.port.name == s.Port:
		if lock {
			e.lock = max(e.lock, at+int64(LockTime))
		}
		e.touch(at)
		return false
	case at < e.moved, s.Gratuitous && s.Bond && at < e.lock:
		return false
	default:
		t.move(e, s.Port, at)
		t.stats.Moved++
	}
	if lock {
		e.lock = at + int64(LockTime)
	}
	return true
}

// ErrFull says that the table has no room but for what may not be evicted.
var ErrFull = errors.New("MAC table is full of static entries")

// AddStatic makes an entry that neither ages nor moves nor is evicted. It
// takes the place of an entry for the same address, which is returned.
func (t *Table) AddStatic(vlan uint16, mac Addr, port string, now time.Time) (was Entry, replaced bool, err error) {
	t.mu.Lock()
	w := where{vlan, mac}
	e := t.entries[w]
	if e != nil {
		was, replaced = e.entry(), true
		t.remove(e)
	} else if len(t.entries) >= t.opts.Size && !t.evict() {
		t.mu.Unlock()
		return was, false, ErrFull
	}
	t.insert(w, port, now.UnixNano(), true)
	t.mu.Unlock()
	t.notify(true)
	return was, replaced, nil
}

// RemoveStatic takes a static entry away, and says whether it was there.
func (t *Table) RemoveStatic(vlan uint16, mac Addr) bool {
	t.mu.Lock()
	e := t.entries[where{vlan, mac}]
	found := e != nil && e.static
	if found {
		t.remove(e)
	}
	t.mu.Unlock()
	t.notify(found)
	return found
}

// Expire removes the learned entries that were silent for the ageing time,
// and returns how many.
func (t *Table) Expire(now time.Time) int {
	t.mu.Lock()
	limit := now.Add(-t.opts.Aging).UnixNano()
	n := 0
	for len(t.all.entries) > 0 && t.all.entries[0].queued <= limit {
		if e := t.all.entries[0]; e.used.Load() == e.queued {
			t.remove(e)
			n++
		} else {
			t.requeue(e)
		}
	}
	t.stats.Expired += uint64(n)
	t.mu.Unlock()
	t.notify(n > 0)
	return n
}

// Flush removes all learned entries, and returns how many. What was heard
// before now is not learned any more.
func (t *Table) Flush(now time.Time) int {
	t.mu.Lock()
	t.flushed = now
	n := t.removeIf(func(e *entry) bool { return !e.static })
	t.mu.Unlock()
	t.notify(n > 0)
	return n
}

// FlushPort removes the entries of one port, static ones too where the port
// itself goes, and returns how many.
func (t *Table) FlushPort(port string, static bool) int {
	t.mu.Lock()
	n := t.removeIf(func(e *entry) bool { return e.port.name == port && (static || !e.static) })
	t.mu.Unlock()
	t.notify(n > 0)
	return n
}

// FlushVLAN removes the learned entries of one VLAN, and returns how many.
func (t *Table) FlushVLAN(vlan uint16) int {
	t.mu.Lock()
	n := t.removeIf(func(e *entry) bool { return e.vlan == vlan && !e.static })
	t.mu.Unlock()
	t.notify(n > 0)
	return n
}

func (t *Table) removeIf(f func(*entry) bool) (n int) {
	for _, e := range t.entries {
		if f(e) {
			t.remove(e)
			n++
		}
	}
	return n
}
