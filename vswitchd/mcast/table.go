// Package mcast is the multicast snooping table of a bridge: on which ports
// hosts listen to which groups, and behind which ports multicast routers are
// (RFC 4541), found out from IGMP (RFC 1112, 2236, 3376) and MLD (RFC 2710,
// 3810).
//
// A port is known by its name, as in package mac. Time is an argument, and
// nothing here starts a goroutine: the owner calls Expire about once a second,
// and is told when answers have changed, so that megaflows are looked at again.
//
// # Caveats
//
// Sources are not told apart: a host that listens to a group from some sources
// only gets it from all. Who leaves is believed at once: several hosts behind
// one port say again what they listen to when the querier asks.
package mcast

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds and defaults of other_config:mcast-snooping-aging-time and
// mcast-snooping-table-size (ovs-vswitchd.conf.db(5), Bridge table).
const (
	DefaultAging = 300 * time.Second
	MinAging     = 15 * time.Second
	MaxAging     = 3600 * time.Second

	DefaultSize = 2048
	MinSize     = 10
	MaxSize     = 1_000_000
)

// Options are what a Table is made with and can be changed to.
type Options struct {
	Aging time.Duration // forced into MinAging to MaxAging; 0 is DefaultAging
	Size  int           // groups at the most, forced into MinSize to MaxSize; 0 is DefaultSize
	// Quiet says that groups nobody is known to listen to go to routers only
	// (mcast-snooping-disable-flood-unregistered).
	Quiet bool
}

func (o Options) bounded() Options {
	o.Aging = min(max(cmp.Or(o.Aging, DefaultAging), MinAging), MaxAging)
	o.Size = min(max(cmp.Or(o.Size, DefaultSize), MinSize), MaxSize)
	return o
}

// A Group is a multicast group in a VLAN.
type Group struct {
	VLAN uint16
	Addr netip.Addr
}

// A Member is a port behind which somebody listens, or a router is.
type Member struct {
	Port string
	Used time.Time // when that was said last
}

// A router is what routers are kept by.
type router struct {
	vlan uint16
	port string
}

// A Table is safe for concurrent use.
type Table struct {
	changed func()

	mu      sync.RWMutex
	opts    Options
	groups  map[Group][]Member // longest unheard first
	routers map[router]time.Time
}

// New returns an empty table. The function is called, without locks held,
// after each change of what Ports and Routers answer; it may be nil.
func New(o Options, changed func()) *Table {
	if changed == nil {
		changed = func() {}
	}
	return &Table{changed: changed, opts: o.bounded(), groups: make(map[Group][]Member), routers: make(map[router]time.Time)}
}

func (t *Table) notify(changed bool) {
	if changed {
		t.changed()
	}
}

// Configure changes the options. Groups that are too many are forgotten.
func (t *Table) Configure(o Options) {
	t.mu.Lock()
	o = o.bounded()
	changed := o.Quiet != t.opts.Quiet
	t.opts = o
	for len(t.groups) > o.Size {
		t.evict()
		changed = true
	}
	t.mu.Unlock()
	t.notify(changed)
}

// Quiet says whether groups without listeners go to routers only.
func (t *Table) Quiet() bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.opts.Quiet
}

// Join notes that somebody behind the port listens to the group, and says
// whether that is news. Groups of 224.0.0.0/24, and addresses of no group, are
// not noted.
func (t *Table) Join(g Group, port string, now time.Time) bool {
	if !g.Addr.IsMulticast() {
		return false
	}
	t.mu.Lock()
	members, known := t.groups[g]
	if !known && len(t.groups) >= t.opts.Size {
		t.evict()
	}
	at := slices.IndexFunc(members, func(m Member) bool { return m.Port == port })
	if at >= 0 {
		members = slices.Delete(members, at, at+1)
	}
	t.groups[g] = append(members, Member{port, now})
	t.mu.Unlock()
	t.notify(at < 0)
	return at < 0
}

// evict forgets the group that was unheard for longest.
func (t *Table) evict() {
	var oldest Group
	var at time.Time
	for g, members := range t.groups {
		if last := members[len(members)-1].Used; at.IsZero() || last.Before(at) {
			oldest, at = g, last
		}
	}
	delete(t.groups, oldest)
}

// Leave notes that nobody behind the port listens to the group any more, and
// says whether somebody did.
func (t *Table) Leave(g Group, port string) bool {
	t.mu.Lock()
	left := t.remove(g, func(m Member) bool { return m.Port == port })
	t.mu.Unlock()
	t.notify(left)
	return left
}

// remove takes members out of a group, and the group when none is left.
func (t *Table) remove(g Group, gone func(Member) bool) bool {
	members := t.groups[g]
	rest := slices.DeleteFunc(slices.Clone(members), gone)
	if len(rest) == len(members) {
		return false
	}
	if len(rest) == 0 {
		delete(t.groups, g)
	} else {
		t.groups[g] = rest
	}
	return true
}

// Router notes that there is a multicast router behind the port, and says
// whether that is news.
func (t *Table) Router(vlan uint16, port string, now time.Time) bool {
	t.mu.Lock()
	r := router{vlan, port}
	_, known := t.routers[r]
	t.routers[r] = now
	t.mu.Unlock()
	t.notify(!known)
	return !known
}

// Ports are the ports where somebody listens to the group, in order; known
// says whether there are any.
func (t *Table) Ports(g Group) (ports []string, known bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, m := range t.groups[g] {
		ports = append(ports, m.Port)
	}
	slices.Sort(ports)
	return ports, len(ports) > 0
}

// Routers are the ports behind which routers are in the VLAN, in order.
func (t *Table) Routers(vlan uint16) (ports []string) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for r := range t.routers {
		if r.vlan == vlan {
			ports = append(ports, r.port)
		}
	}
	slices.Sort(ports)
	return ports
}

// Elsewhere is how many routers there are in other VLANs.
func (t *Table) Elsewhere(vlan uint16) (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for r := range t.routers {
		if r.vlan != vlan {
			n++
		}
	}
	return n
}

// Expire forgets who was silent for the ageing time, and returns how many.
func (t *Table) Expire(now time.Time) int {
	t.mu.Lock()
	n := t.forget(func(_ string, used time.Time) bool { return now.Sub(used) >= t.opts.Aging })
	t.mu.Unlock()
	t.notify(n > 0)
	return n
}

// Flush forgets everything.
func (t *Table) Flush() {
	t.mu.Lock()
	n := t.forget(func(string, time.Time) bool { return true })
	t.mu.Unlock()
	t.notify(n > 0)
}

// FlushPort forgets what is known of a port.
func (t *Table) FlushPort(port string) {
	t.mu.Lock()
	n := t.forget(func(p string, _ time.Time) bool { return p == port })
	t.mu.Unlock()
	t.notify(n > 0)
}

func (t *Table) forget(gone func(port string, used time.Time) bool) (n int) {
	for g := range t.groups {
		t.remove(g, func(m Member) bool {
			if gone(m.Port, m.Used) {
				n++
				return true
			}
			return false
		})
	}
	for r, used := range t.routers {
		if gone(r.port, used) {
			delete(t.routers, r)
			n++
		}
	}
	return n
}
