// Package lacp negotiates which links of a port go to the same partner, and
// so may be used as one: the Link Aggregation Control Protocol of IEEE
// 802.1AX-2014, clause 6.4 (once IEEE 802.3, clause 43).
//
// An Aggregator is one port's side of it, with a member for each interface.
// It owns no goroutine and no clock: its owner hands it what was received and
// what became of the carriers, calls Run when Next says so, and sends what
// Run returns.
//
// # Caveats
//
// As in the C switch the port is one aggregator: members whose partner is not
// that of the lead member stay detached, and do not form a port of their own.
// The machines of the standard for mux and selection are therefore one
// function (selectMembers), which attaches all members that fit at once.
//
// Collector delays are neither asked for nor kept. Markers are answered.
package lacp

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Times of IEEE 802.1AX-2014, 6.4.4.
const (
	fastPeriod = time.Second
	slowPeriod = 30 * time.Second
	timeoutBy  = 3 // periods
	mostInFast = 3 // LACPDUs of a member in a fast period
)

// Status is how far a port has come with its partner.
type Status uint8

// The statuses.
const (
	Off        Status = iota // does not speak LACP
	Configured               // speaks it, and has heard no partner
	Negotiated               // has a partner
)

func (s Status) String() string { return [...]string{"off", "configured", "negotiated"}[s] }

// A Config is what a port is to be like (ovs-vswitchd.conf.db(5), Port table,
// "LACP Configuration").
type Config struct {
	Active         bool // begins to talk
	Fast           bool // wants to hear the partner each second
	FallbackAB     bool // members without a partner may be used, one at a time
	SystemID       [6]byte
	SystemPriority uint16
	Members        []Member
}

// A Member is one interface's configuration.
type Member struct {
	Name         string
	PortID       uint16
	PortPriority uint16
	Key          uint16 // 0 is the port's
}

// receive is the state of a member's receive machine.
type receive uint8

const (
	current receive = iota
	expired
	defaulted
)

func (r receive) String() string { return [...]string{"current", "expired", "defaulted"}[r] }

// Stats count what happened to a member.
type Stats struct {
	TxPDUs, RxPDUs, BadPDUs, Markers  uint64
	Expired, Defaulted, CarrierChange uint64
}

type member struct {
	Member
	carrier  bool
	linked   bool // the carrier was told
	receive  receive
	until    time.Time // when receive changes by itself; zero is never
	attached bool
	partner  Info
	told     Info      // what the partner last said, or was told, of us
	next     time.Time // when to send without a reason
	burst    int       // sent since burstAt
	burstAt  time.Time
	answers  [][]byte // to markers
	stats    Stats
}

// An Aggregator is one port. It is not safe for concurrent use.
type Aggregator struct {
	name       string
	config     Config
	members    []*member // by name
	negotiated bool
	looped     bool // some partner is ourselves; told once
	events     func(string)
}

// New returns a port that Configure makes work. events, which may be nil, is
// told what is worth a line of the log.
func New(name string, events func(string)) *Aggregator {
	if events == nil {
		events = func(string) {}
	}
	return &Aggregator{name: name, events: events}
}

// Configure changes the configuration. Members that stay, by name, keep what
// they have heard unless the port itself is another one now.
func (a *Aggregator) Configure(c Config, now time.Time) {
	before, old := a.config, a.members
	a.config, a.members = c, nil
	for _, m := range c.Members {
		at := slices.IndexFunc(old, func(o *member) bool { return o.Name == m.Name })
		var is *member
		if at < 0 {
			is = &member{receive: defaulted}
		} else {
			is = old[at]
		}
		again := at >= 0 && (is.PortID != m.PortID || is.Key != m.Key || is.PortPriority != m.PortPriority ||
			before.SystemID != c.SystemID || before.SystemPriority != c.SystemPriority || before.Active != c.Active)
		is.Member = m
		if again && is.carrier {
			a.wait(is, now)
		}
		a.members = append(a.members, is)
	}
	slices.SortFunc(a.members, func(x, y *member) int { return cmp.Compare(x.Name, y.Name) })
	a.selectMembers()
}

func (a *Aggregator) find(name string) *member {
	for _, m := range a.members {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// SetCarrier tells that a member's link is there or not. What was heard over
// another link is old.
func (a *Aggregator) SetCarrier(name string, up bool, now time.Time) {
	m := a.find(name)
	if m == nil {
		return
	}
	first := !m.linked
	m.linked = true
	if m.carrier == up {
		return
	}
	m.carrier = up
	if !first { // what a new member has is no change
		m.stats.CarrierChange++
	}
	if up {
		a.wait(m, now)
		m.next = now
	} else if m.receive == current || a.config.Active {
		m.expire(now)
	}
	a.selectMembers()
}

// wait makes a member wait for its partner. As in the C switch a passive port
// that knows none waits without end.
func (a *Aggregator) wait(m *member, now time.Time) {
	if a.config.Active || a.negotiated {
		m.expire(now)
	} else {
		m.setDefaulted()
	}
}

// expire says that the partner's information is old, and waits for new.
func (m *member) expire(now time.Time) {
	m.receive, m.until = expired, now.Add(timeoutBy*fastPeriod)
	m.partner.State = m.partner.State&^Synchronized | Timeout
}

func (m *member) setDefaulted() {
	m.receive, m.until = defaulted, time.Time{}
	m.partner = Info{}
}

// errUnknown says that a member is not there any more.
var errUnknown = errors.New("no such member")

// Receive takes a slow protocol's message, behind its Ethernet header, that
// came in by the member. It returns why it was not understood.
func (a *Aggregator) Receive(name string, b []byte, now time.Time) error {
	m := a.find(name)
	if m == nil {
		return errUnknown
	}
	pdu, err := Parse(b)
	if errors.Is(err, errMarker) {
		m.stats.Markers++
		if r := replyMarker(b); r != nil && len(m.answers) < mostInFast {
			m.answers = append(m.answers, r)
		}
		return nil
	}
	if err != nil {
		m.stats.BadPDUs++
		return err
	}
	m.stats.RxPDUs++
	m.receive, m.until = current, now.Add(timeoutBy*a.period())
	m.told = pdu.Partner
	m.partner = pdu.Actor
	a.selectMembers()
	return nil
}

func (a *Aggregator) period() time.Duration {
	if a.config.Fast {
		return fastPeriod
	}
	return slowPeriod
}

// A rank says which of two members leads: the lower one.
type rank struct {
	group    uint8 // who has been heard goes first, then who is in use already, then a partner that cannot aggregate, alone
	priority uint16
	system   [6]byte
	port     uint16
	id       uint16
}

func (r rank) compare(s rank) int {
	return cmp.Or(cmp.Compare(r.group, s.group), cmp.Compare(r.priority, s.priority), bytes.Compare(r.system[:], s.system[:]),
		cmp.Compare(r.port, s.port), cmp.Compare(r.id, s.id))
}

// rankOf ranks by the numbers of the system with the better priority, so that
// both ends come to the same order.
func (a *Aggregator) rankOf(m *member) rank {
	actor := a.actor(m)
	ours := rank{0, actor.SystemPriority, actor.SystemID, actor.PortPriority, actor.PortID}
	p := &m.partner
	theirs := rank{0, p.SystemPriority, p.SystemID, p.PortPriority, p.PortID}
	r := ours
	if cmp.Or(cmp.Compare(p.SystemPriority, actor.SystemPriority), bytes.Compare(p.SystemID[:], actor.SystemID[:])) < 0 {
		r = theirs
	}
	if p.State&Aggregation != 0 {
		r.group = 1
	}
	if p.State&Synchronized == 0 {
		r.group += 2
	}
	if m.receive != current {
		r.group += 4
	}
	return r
}

// selectMembers decides which members belong to the port: those that have the
// lead member's partner.
func (a *Aggregator) selectMembers() {
	var lead *member
	var best rank
	looped := false
	for _, m := range a.members {
		m.attached = false
		switch {
		case m.receive == defaulted:
			m.attached = a.config.FallbackAB
			continue
		case m.partner.SystemID == a.config.SystemID:
			looped = true
			if !a.looped {
				a.events(fmt.Sprintf("member %s: Loopback detected. Interface is connected to its own bond", m.Name))
			}
			continue
		}
		m.attached = true
		if r := a.rankOf(m); lead == nil || r.compare(best) < 0 {
			lead, best = m, r
		}
	}
	a.looped = looped
	a.negotiated = lead != nil
	if lead == nil {
		return
	}
	key := a.actor(lead).Key
	for _, m := range a.members {
		if m == lead || !m.attached {
			continue
		}
		if m.receive == defaulted || m.partner.Key != lead.partner.Key || m.partner.SystemID != lead.partner.SystemID ||
			a.actor(m).Key != key || m.partner.State&lead.partner.State&Aggregation == 0 {
			m.attached = false
		}
	}
}

// actor is what we say of a member.
func (a *Aggregator) actor(m *member) Info {
	i := Info{
		SystemPriority: a.config.SystemPriority, SystemID: a.config.SystemID,
		Key: m.Key, PortPriority: m.PortPriority, PortID: m.PortID,
	}
	if i.Key == 0 {
		i.Key = a.key()
	}
	set := func(bits State, on bool) {
		if on {
			i.State |= bits
		}
	}
	set(Activity, a.config.Active)
	set(Timeout, a.config.Fast)
	set(Aggregation, len(a.members) > 1)
	set(Synchronized, m.attached)
	set(Collecting|Distributing, m.attached || !a.negotiated)
	set(Expired, m.receive == expired)
	set(Defaulted, m.receive == defaulted)
	return i
}

// key is the port's key: its lowest port id.
func (a *Aggregator) key() uint16 {
	if m := a.first(); m != nil {
		return m.PortID
	}
	return 0
}

// first is the member with the lowest port id; nil where there is none.
func (a *Aggregator) first() (first *member) {
	for _, m := range a.members {
		if first == nil || m.PortID < first.PortID {
			first = m
		}
	}
	return first
}

// A Message is to be sent out of a member, with Group as its destination and
// EtherType in front.
type Message struct {
	Member string
	Bytes  []byte
}

// Run does what time has come for, and returns what is to be sent.
func (a *Aggregator) Run(now time.Time) (out []Message) {
	stale := false
	for _, m := range a.members {
		if m.until.IsZero() || now.Before(m.until) {
			continue
		}
		stale = true
		if m.receive == current {
			m.stats.Expired++
			m.expire(now)
		} else {
			m.stats.Defaulted++
			m.setDefaulted()
		}
	}
	if stale {
		a.selectMembers()
	}
	for _, m := range a.members {
		for _, b := range m.answers {
			out = append(out, Message{m.Name, b})
		}
		m.answers = nil
		if !a.talks(m) {
			continue
		}
		actor := a.actor(m)
		if now.Before(m.next) && actor == m.told || !m.mayBurst(now) {
			continue
		}
		pdu := PDU{Actor: actor, Partner: m.partner}
		out = append(out, Message{m.Name, pdu.Append(nil)})
		m.stats.TxPDUs++
		m.told = actor
		m.burst++
		period := slowPeriod
		if m.partner.State&Timeout != 0 {
			period = fastPeriod
		}
		m.next = now.Add(period)
	}
	return out
}

// talks says whether LACPDUs go out of the member.
func (a *Aggregator) talks(m *member) bool {
	return m.carrier && (a.config.Active || m.receive != defaulted && m.partner.State&Activity != 0)
}

// mayBurst says whether the member has not sent too much yet.
func (m *member) mayBurst(now time.Time) bool {
	if now.Sub(m.burstAt) >= fastPeriod {
		m.burst, m.burstAt = 0, now
	}
	return m.burst < mostInFast
}

// Next is when Run has something to do, as far as is known; zero is never.
func (a *Aggregator) Next(now time.Time) (next time.Time) {
	earlier := func(t time.Time) {
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	for _, m := range a.members {
		if !m.until.IsZero() {
			earlier(m.until)
		}
		if len(m.answers) > 0 {
			earlier(now)
		}
		if !a.talks(m) {
			continue
		}
		at := m.next
		if a.actor(m) != m.told {
			at = now
		}
		if m.burst >= mostInFast && at.Before(m.burstAt.Add(fastPeriod)) {
			at = m.burstAt.Add(fastPeriod)
		}
		earlier(at)
	}
	return next
}

// Status is how far the port has come.
func (a *Aggregator) Status() Status {
	if a.negotiated {
		return Negotiated
	}
	return Configured
}

// MayEnable says whether packets may go through the member.
func (a *Aggregator) MayEnable(name string) bool {
	m := a.find(name)
	return m != nil && a.mayEnable(m)
}

func (a *Aggregator) mayEnable(m *member) bool {
	return m.attached && (m.partner.State&Synchronized != 0 || a.config.FallbackAB && m.receive == defaulted)
}

// Current says whether the member has a partner's information
// (Interface.lacp_current).
func (a *Aggregator) Current(name string) bool {
	m := a.find(name)
	return m != nil && m.receive != defaulted
}

// Stats are a member's counters.
func (a *Aggregator) Stats(name string) (s Stats, ok bool) {
	m := a.find(name)
	if m == nil {
		return s, false
	}
	return m.stats, true
}
