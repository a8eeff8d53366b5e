// Package bond is the logic of bonded ports: which members may be used, which
// one is the active one, and which carries which flows
// (ovs-vswitchd.conf.db(5), Port table, "Bonding Configuration").
//
// A Bond owns no goroutine and no clock: its owner tells it about links, calls
// Run when Next says so, and hands View, which does not change any more, to
// the translator of packets.
//
// Flows are told apart by a hash of eight bits. All 256 hashes have a member
// at any time. What a member loses when it is disabled goes to those with the
// least to do; a member that comes up gets the hashes that carry nothing, and
// more as rebalancing finds that the load is uneven.
//
// # Caveats
//
// The C switch chooses a hash's member by chance when the first packet asks
// for it, this one in turn and in advance. What bond/enable-member and
// bond/disable-member do holds until the link changes, as the manual says; in
// the C switch until the delay has passed.
package bond

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A Mode is how flows are spread.
type Mode uint8

// The modes.
const (
	ActiveBackup Mode = iota
	BalanceSLB        // by source address and VLAN
	BalanceTCP        // by addresses and ports; needs LACP
)

func (m Mode) String() string { return [...]string{"active-backup", "balance-slb", "balance-tcp"}[m] }

// Hashes is the number of values that a hash of a flow has.
const Hashes = 256

// Rebalancing moves flows when the most loaded member has so much more than
// the least loaded one.
const (
	leastOverload = 100_000 // bytes
	leastRatio    = 32      // and more than this part of its load
)

// A LACP is what a bond knows of its negotiation.
type LACP uint8

// How far LACP came.
const (
	NoLACP     LACP = iota
	Configured      // no partner yet
	Negotiated
)

func (l LACP) String() string { return [...]string{"off", "configured", "negotiated"}[l] }

// A Config is what a bond is to be like.
type Config struct {
	Mode       Mode
	UpDelay    time.Duration
	DownDelay  time.Duration
	Rebalance  time.Duration // between two attempts; 0 is never
	Basis      uint32        // hashed along
	Primary    string
	AllActive  bool   // all-members-active
	FallbackAB bool   // lacp-fallback-ab
	ID         uint32 // of lb-output-action, for balance-tcp; 0 is none
	Members    []Member
}

// A Member is an interface of a bond.
type Member struct {
	Name string
	MAC  net.HardwareAddr
}

type member struct {
	Member
	link      bool // carrier, and what LACP says
	enabled   bool
	changing  bool // to what link says, at due
	due       time.Time
	mayEnable bool
}

// Load is what each hash has sent. Packets are added to it while the bond
// reads it.
type Load [Hashes]atomic.Uint64

// A Bond is one bonded port. It is not safe for concurrent use.
type Bond struct {
	name    string
	config  Config
	members []*member // by name
	lacp    LACP
	active  *member
	hint    net.HardwareAddr // of the member that was active before a restart
	buckets [Hashes]*member
	load    *Load
	sent    [Hashes]uint64 // of load, as of the last time
	weight  [Hashes]uint64 // load that counts now: half of it is forgotten at each rebalancing
	next    time.Time      // rebalancing
	changed bool
	moved   bool // the active member is another one
	events  func(string)
}

// New returns a bond without members. events, which may be nil, is told what
// is worth a line of the log. active is the address of the member that is to
// be active when it can, nil for none.
func New(name string, active net.HardwareAddr, events func(string)) *Bond {
	if events == nil {
		events = func(string) {}
	}
	return &Bond{name: name, hint: active, events: events, load: new(Load)}
}

// Configure changes the configuration.
func (b *Bond) Configure(c Config, now time.Time) {
	if c.Mode == ActiveBackup {
		c.Rebalance = 0
	} else if c.Rebalance > 0 {
		c.Rebalance = max(c.Rebalance, time.Second)
	}
	if b.next.IsZero() || c.Rebalance != b.config.Rebalance || c.Mode != b.config.Mode {
		b.next = now.Add(c.Rebalance)
	}
	if c.Mode != b.config.Mode || c.Basis != b.config.Basis {
		b.weight = [Hashes]uint64{} // they stand for other flows now
	}
	old := b.members
	b.config, b.members = c, nil
	for _, m := range c.Members {
		at := slices.IndexFunc(old, func(o *member) bool { return o.Name == m.Name })
		is := &member{}
		if at >= 0 {
			is = old[at]
		}
		is.Member = m
		b.members = append(b.members, is)
	}
	slices.SortFunc(b.members, func(x, y *member) int { return cmp.Compare(x.Name, y.Name) })
	if !slices.Contains(b.members, b.active) {
		b.active = nil
	}
	if !slices.Equal(old, b.members) {
		b.spread()
	}
	b.changed = true
}

func (b *Bond) find(name string) *member {
	for _, m := range b.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// SetLACP tells how far LACP has come.
func (b *Bond) SetLACP(l LACP) {
	if b.lacp != l {
		b.lacp, b.changed = l, true
	}
}

// SetLink tells whether a member's link can be used: its carrier, and what
// LACP says of it.
func (b *Bond) SetLink(name string, up bool) {
	if m := b.find(name); m != nil && m.mayEnable != up {
		m.link, m.mayEnable = up, up
	}
}

// Run does what time has come for. changed says that View gives something
// else than before, moved that another member became the active one, of which
// the other end should learn.
func (b *Bond) Run(now time.Time) (changed, moved bool) {
	for _, m := range b.members {
		b.follow(m, now)
	}
	b.choose(now)
	if b.config.Rebalance > 0 && !now.Before(b.next) {
		b.rebalance()
		b.next = now.Add(b.config.Rebalance)
	}
	changed, moved = b.changed, b.moved
	b.changed, b.moved = false, false
	return changed, moved
}

// Next is when Run has something to do, as far as is known; zero is never.
func (b *Bond) Next() (next time.Time) {
	if b.config.Rebalance > 0 {
		next = b.next
	}
	for _, m := range b.members {
		if m.changing && (next.IsZero() || m.due.Before(next)) {
			next = m.due
		}
	}
	return next
}

// follow enables or disables a member as its link asks for, after the delay.
func (b *Bond) follow(m *member, now time.Time) {
	if (m.link != m.enabled) != m.changing {
		b.events(fmt.Sprintf("member %s: link state %s", m.Name, word(m.link, "up", "down")))
		if m.changing = m.link != m.enabled; !m.changing {
			b.events(fmt.Sprintf("member %s: will not be %s", m.Name, word(m.link, "disabled", "enabled")))
		} else {
			delay := b.config.DownDelay
			if m.link {
				delay = b.config.UpDelay
			}
			m.due = now.Add(delay)
			if delay > 0 {
				b.events(fmt.Sprintf("member %s: will be %s if it stays %s for %d ms", m.Name,
					word(m.link, "enabled", "disabled"), word(m.link, "up", "down"), delay.Milliseconds()))
			}
		}
	}
	if m.changing && !now.Before(m.due) {
		b.enable(m, m.link)
	}
}

func word(which bool, yes, no string) string {
	if which {
		return yes
	}
	return no
}

// enable makes a member count or not.
func (b *Bond) enable(m *member, on bool) {
	m.changing = false
	if m.enabled == on {
		return
	}
	m.enabled, b.changed = on, true
	b.events(fmt.Sprintf("member %s: %s", m.Name, word(on, "enabled", "disabled")))
	b.spread()
}

// choose picks the active member: the primary one where it can be, else the
// one that is, else the first that can, else the one that will be able first.
func (b *Bond) choose(now time.Time) {
	var best *member
	if m := b.find(b.config.Primary); m != nil && m.enabled && b.config.Mode != BalanceSLB {
		best = m
	}
	if best == nil && b.active != nil && b.active.enabled {
		return
	}
	for _, m := range b.members {
		if best == nil && m.enabled && b.hint != nil && slices.Equal(m.MAC, b.hint) {
			best = m
		}
	}
	for _, m := range b.members {
		if best == nil && m.enabled {
			best = m
		}
	}
	early := ""
	if best == nil {
		for _, m := range b.members {
			if m.changing && m.link && (best == nil || m.due.Before(best.due)) {
				best = m
			}
		}
		if best != nil {
			early = fmt.Sprintf(", skipping remaining %d ms updelay (since no member was enabled)", best.due.Sub(now).Milliseconds())
		}
	}
	if best == b.active {
		return
	}
	b.active, b.changed = best, true
	if best == nil {
		b.events(fmt.Sprintf("bond %s: all members disabled", b.name))
		return
	}
	b.hint, b.moved = nil, true
	b.events(fmt.Sprintf("bond %s: active member is now %s%s", b.name, best.Name, early))
	if early != "" {
		b.enable(best, true)
	}
}

// usable are the members that may carry flows.
func (b *Bond) usable() (list []*member) {
	for _, m := range b.members {
		if m.enabled {
			list = append(list, m)
		}
	}
	return list
}

// spread gives every hash a member: those whose member cannot be used any
// more, and, so that a new member is not idle, those that carry nothing.
func (b *Bond) spread() {
	usable := b.usable()
	if len(usable) == 0 {
		b.buckets = [Hashes]*member{}
		return
	}
	b.gather()
	count := make(map[*member]int)
	for h, m := range b.buckets {
		if m == nil || !m.enabled || b.weight[h] == 0 || !slices.Contains(b.members, m) {
			b.buckets[h] = nil
		} else {
			count[m]++
		}
	}
	for h, m := range b.buckets {
		if m != nil {
			continue
		}
		m = slices.MinFunc(usable, func(x, y *member) int { return cmp.Compare(count[x], count[y]) })
		b.buckets[h] = m
		count[m]++
	}
}

// gather adds what was sent since the last time to the weights.
func (b *Bond) gather() {
	for h := range b.load {
		sum := b.load[h].Load()
		b.weight[h] += sum - b.sent[h]
		b.sent[h] = sum
	}
}

// rebalance moves hashes from the member with the highest load to the one
// with the lowest, as long as that makes them more alike.
func (b *Bond) rebalance() {
	b.gather()
	defer func() {
		for h := range b.weight {
			b.weight[h] /= 2
		}
	}()
	usable := b.usable()
	if len(usable) < 2 {
		return
	}
	load := make(map[*member]uint64)
	for h, m := range b.buckets {
		load[m] += b.weight[h]
	}
	byLoad := func(x, y *member) int { return cmp.Compare(load[x], load[y]) }
	for range Hashes {
		from, to := slices.MaxFunc(usable, byLoad), slices.MinFunc(usable, byLoad)
		over := load[from] - load[to]
		if over < leastOverload || over < load[to]/leastRatio {
			return
		}
		// The hash that comes closest to half of the difference. One of more
		// than nine tenths would only turn it around.
		best := -1
		for h, m := range b.buckets {
			w := b.weight[h]
			if m != from || w == 0 || w > over/10*9 {
				continue
			}
			if best < 0 || distance(w, over/2) < distance(b.weight[best], over/2) {
				best = h
			}
		}
		if best < 0 || b.weight[best] < over/32 {
			return
		}
		w := b.weight[best]
		b.events(fmt.Sprintf("bond %s: shift %dkB of load (with hash %d) from %s to %s (now carrying %dkB and %dkB load, respectively)",
			b.name, w/1024, best, from.Name, to.Name, (load[from]-w)/1024, (load[to]+w)/1024))
		b.buckets[best] = to
		load[from] -= w
		load[to] += w
		b.changed = true
	}
}

func distance(a, b uint64) uint64 { return max(a, b) - min(a, b) }

// A View is what translation needs of a bond. It does not change.
type View struct {
	Mode       Mode
	Basis      uint32
	LACP       LACP
	FallbackAB bool
	AllActive  bool
	Active     string          // "" is none
	Enabled    map[string]bool // members that are
	MayEnable  map[string]bool // members that will be, at the latest
	Buckets    *[Hashes]string // members by hash; "" where there is none
	Load       *Load           // to be added to
	ID         uint32          // where the engine places flows (lb-output-action); 0 where it does not
}

// View is the bond as it is now.
func (b *Bond) View() *View {
	v := &View{
		Mode: b.config.Mode, Basis: b.config.Basis, LACP: b.lacp, FallbackAB: b.config.FallbackAB,
		AllActive: b.config.AllActive, ID: b.config.ID,
		Enabled: make(map[string]bool), MayEnable: make(map[string]bool),
		Buckets: new([Hashes]string), Load: b.load,
	}
	if b.active != nil {
		v.Active = b.active.Name
	}
	for _, m := range b.members {
		v.Enabled[m.Name], v.MayEnable[m.Name] = m.enabled, m.mayEnable
	}
	for h, m := range b.buckets {
		if m != nil {
			v.Buckets[h] = m.Name
		}
	}
	return v
}

// ActiveMAC is the active member's address (Port.bond_active_slave): zeros
// where there is none.
func (b *Bond) ActiveMAC() net.HardwareAddr {
	if b.active == nil || len(b.active.MAC) != 6 {
		return make(net.HardwareAddr, 6)
	}
	return b.active.MAC
}

// Members are the names of the members, with ", " between them.
func (b *Bond) Members() string {
	var names []string
	for _, m := range b.members {
		names = append(names, m.Name)
	}
	return strings.Join(names, ", ")
}
