package ebpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
	"golang.org/x/sys/unix"

	"govs/datapath/action"
	"govs/datapath/engine"
	"govs/datapath/flow"
)

// Lease is how long flows hold after the last process that looked after them
// ended: after that everything counts as a miss.
const Lease = time.Minute

// limbo is how long a place in a map is kept from a new owner, so that
// programs which still hold it are done.
const limbo = 100 * time.Millisecond

// Options say how a Cache works.
type Options struct {
	Log *slog.Logger // nil discards
	// Pins is a folder in a BPF file system, made where it is missing, in which
	// the programs' attachments survive the process; "" for none.
	Pins string
}

// A Cache is the flow cache of one switch. It implements engine.FlowCache and
// port.Guard, and is safe for concurrent use.
type Cache struct {
	log   *slog.Logger
	pins  string
	maps  *maps
	progs programs

	ports, stats, conf memory
	stop               chan struct{}
	stopped            sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	keep      bool // what is pinned outlives the cache
	committed bool
	hooks     map[int]*hook // by ifindex
	members   map[flow.PortNo]*member
	places    places // in ports
	masks     [maxMasks]maskUse
	lists     map[list]*listUse
	listAt    places
	statAt    places
	entries   map[uint32]*entry // by place in stats
	collected time.Time

	samples  *ringbuf.Reader
	shows    map[uint32]*showUse // actions Show of lists, by number
	showAt   map[shown]uint32
	lastShow uint32
	fresh    []uint32 // numbers that are in no list yet
}

type maskUse struct {
	raw  raw
	refs int
}

// An entry is a megaflow in the maps.
type entry struct {
	c    *Cache
	at   uint32 // in stats
	raw  raw    // key in the map of flows
	mask int
	list *listUse
	in   *member
	gone bool // removed from the map of flows

	seen engine.Hits // read so far
}

var (
	_ engine.FlowCache  = (*Cache)(nil)
	_ engine.CachedFlow = (*entry)(nil)
)

// New loads the programs. The error says why they cannot be.
func New(o Options) (*Cache, error) {
	c := &Cache{
		log: o.Log, pins: o.Pins,
		stop:    make(chan struct{}),
		hooks:   make(map[int]*hook),
		members: make(map[flow.PortNo]*member),
		places:  places{limit: maxPorts},
		lists:   make(map[list]*listUse),
		listAt:  places{limit: maxLists},
		statAt:  places{limit: maxFlows},
		entries: make(map[uint32]*entry),
		shows:   make(map[uint32]*showUse),
		showAt:  make(map[shown]uint32),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if err := c.load(); err != nil {
		c.unload()
		return nil, reason(err)
	}
	c.conf.u32(0, coTags).Store(2)
	c.beat()
	c.stopped.Go(c.listen)
	c.stopped.Go(func() {
		t := time.NewTicker(Lease / 20)
		defer t.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-t.C:
				c.beat()
			}
		}
	})
	return c, nil
}

var errPrivilege = errors.New("no privilege to load eBPF programs (CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON in the first user namespace)")

// reason is the error in the words of somebody who has to do something about
// it.
func reason(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return errPrivilege
	case errors.Is(err, ebpf.ErrNotSupported):
		return fmt.Errorf("the kernel lacks what is needed (Linux 6.6 has it): %w", err)
	}
	return err
}

func (c *Cache) load() (err error) {
	if err := c.openPins(); err != nil {
		c.log.Info(fmt.Sprintf("a restart will interrupt traffic: %v", err))
		c.pins = ""
	}
	if c.maps, err = makeMaps(); err != nil {
		return err
	}
	if c.progs, err = load(c.maps); err != nil {
		return err
	}
	if c.samples, err = ringbuf.NewReader(c.maps.ring); err != nil {
		return err
	}
	for _, one := range []struct {
		to      *memory
		m       *ebpf.Map
		size, n int
	}{
		{&c.ports, c.maps.ports, portLen, maxPorts},
		{&c.stats, c.maps.stats, statLen, maxFlows},
		{&c.conf, c.maps.conf, confLen, 1},
	} {
		if *one.to, err = mapped(one.m, one.size, one.n); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) unload() {
	if c.samples != nil {
		_ = c.samples.Close()
	}
	c.ports.close()
	c.stats.close()
	c.conf.close()
	c.progs.close()
	if c.maps != nil {
		c.maps.close()
	}
}

// Keep says that what is pinned stays in place when the ports and the cache
// are closed: somebody else takes over.
func (c *Cache) Keep() {
	c.mu.Lock()
	c.keep = c.pins != ""
	c.mu.Unlock()
}

// Pinned says whether the attachments survive the process.
func (c *Cache) Pinned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pins != ""
}

// Close unloads the programs, but for those that are kept. The engine has
// given the cache up by then, and its ports are closed or have other guards.
func (c *Cache) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	for _, h := range c.hooks {
		c.unhook(h)
	}
	if c.pins != "" && !c.keep {
		_ = os.Remove(c.pins) // which fails where something is left
	}
	c.mu.Unlock()
	close(c.stop)
	_ = c.samples.Close()
	c.stopped.Wait()
	c.unload()
}

// beat extends the lease.
func (c *Cache) beat() { c.conf.u64(0, coUntil).Store(uint64(monotonic() + Lease)) }

// monotonic is the clock that the programs read.
func monotonic() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return time.Duration(t.Nano())
}

// SetTags implements engine.FlowCache, for 1 or 2.
func (c *Cache) SetTags(n int) { c.conf.u32(0, coTags).Store(uint32(n)) }

// Install implements engine.FlowCache.
func (c *Cache) Install(key *flow.Key, mask *flow.Mask, actions []action.Action) engine.CachedFlow {
	knows := known(key)
	if key.RecircID != 0 || !parses(key.EthType) || !knows.Covers(mask) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	in := c.members[key.InPort]
	if c.closed || in == nil || !in.live {
		return nil
	}
	defer c.forgetFresh()
	compiled, ok := c.compile(key, mask, actions)
	if !ok {
		return nil
	}
	e := &entry{c: c, in: in}
	var m raw
	m.fill((*flow.Key)(mask))
	if e.mask = c.mask(&m); e.mask < 0 {
		return nil
	}
	e.raw.fill(key)
	e.raw.and(&m)
	binary.NativeEndian.PutUint16(e.raw[kMask:], uint16(e.mask))
	if e.list = c.use(compiled); e.list == nil {
		c.unmask(e.mask)
		return nil
	}
	if e.at, ok = c.statAt.take(); ok {
		c.stats.clear(e.at)
		var v [8]byte
		binary.NativeEndian.PutUint32(v[0:], e.list.at)
		binary.NativeEndian.PutUint32(v[4:], e.at)
		if err := c.maps.flows.Update(e.raw[:], v[:], ebpf.UpdateNoExist); err == nil {
			c.entries[e.at] = e
			return e
		}
		c.statAt.give(e.at)
	}
	c.unuse(e.list)
	c.unmask(e.mask)
	return nil
}

// mask finds a mask among those in use, or makes it one; -1 where there is no
// room.
func (c *Cache) mask(m *raw) int {
	free := -1
	for i := range c.masks {
		switch use := &c.masks[i]; {
		case use.refs == 0:
			if free < 0 {
				free = i
			}
		case use.raw == *m:
			use.refs++
			return i
		}
	}
	if free < 0 {
		return -1
	}
	if err := c.maps.masks.Put(uint32(free), m[:]); err != nil {
		return -1
	}
	c.masks[free] = maskUse{*m, 1}
	c.countMasks()
	return free
}

func (c *Cache) unmask(i int) {
	if c.masks[i].refs--; c.masks[i].refs == 0 {
		_ = c.maps.masks.Put(uint32(i), make([]byte, rawLen))
		c.countMasks()
	}
}

func (c *Cache) countMasks() {
	n := maxMasks
	for n > 0 && c.masks[n-1].refs == 0 {
		n--
	}
	c.conf.u32(0, coMasks).Store(uint32(n))
}

// Remove implements engine.CachedFlow.
func (e *entry) Remove() {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	e.remove()
}

func (e *entry) remove() {
	if e.gone {
		return
	}
	e.gone = true
	if e.c.closed || e.c.keep {
		return
	}
	_ = e.c.maps.flows.Delete(e.raw[:])
	e.c.unmask(e.mask)
}

// Free implements engine.CachedFlow.
func (e *entry) Free() {
	c := e.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.keep || c.entries[e.at] != e {
		return
	}
	e.remove()
	c.count(e)
	delete(c.entries, e.at)
	c.statAt.give(e.at)
	c.unuse(e.list)
}

// Hits implements engine.CachedFlow.
func (e *entry) Hits() engine.Hits {
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	if !e.c.closed {
		e.c.count(e)
	}
	h := e.seen
	e.seen.First = time.Time{}
	return h
}

// count reads what an entry carried, and counts it for its ports.
func (c *Cache) count(e *entry) {
	s := func(at int) uint64 { return c.stats.u64(e.at, at).Load() }
	now := engine.Hits{
		Packets: s(stPackets), Bytes: s(stBytes), Segments: s(stSegs), SegmentBytes: s(stSegByte),
		TCPFlags: uint16(s(stFlags)), First: e.seen.First, Last: e.seen.Last,
	}
	packets, bytes := now.Segments-e.seen.Segments, now.SegmentBytes-e.seen.SegmentBytes
	if packets == 0 {
		return
	}
	wall := time.Now().Add(-monotonic())
	if at := c.stats.u64(e.at, stUsed).Load(); at != 0 {
		now.Last = wall.Add(time.Duration(at))
	}
	if at := c.stats.u64(e.at, stFirst).Swap(0); at != 0 && now.First.IsZero() {
		now.First = wall.Add(time.Duration(at))
	}
	e.in.rxPackets += packets
	e.in.rxBytes += bytes
	for _, out := range e.list.outputs {
		out.to.txPackets += packets
		out.to.txBytes += bytes + uint64(int64(out.grow)*int64(packets))
	}
	e.seen = now
}

// fresh is how old counters of ports may be.
const fresh = 10 * time.Millisecond

// collect reads all counters, unless that was a moment ago.
func (c *Cache) collect() {
	if c.closed || time.Since(c.collected) < fresh {
		return
	}
	for _, e := range c.entries {
		c.count(e)
	}
	c.collected = time.Now()
}

// Summary is how full the cache is.
type Summary struct {
	Flows, Masks, Lists, Ports int
}

// Summary counts what is in the maps.
func (c *Cache) Summary() Summary {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := Summary{Lists: len(c.lists)}
	for _, e := range c.entries {
		if !e.gone {
			s.Flows++
		}
	}
	for i := range c.masks {
		if c.masks[i].refs > 0 {
			s.Masks++
		}
	}
	for _, m := range c.members {
		if m.live {
			s.Ports++
		}
	}
	return s
}
