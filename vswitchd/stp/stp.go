// Package stp keeps a bridge's ports from forming a loop: the Spanning Tree
// Protocol of IEEE 802.1D-1998, clause 8. Package rstp is its successor.
//
// A Bridge owns no goroutine and no clock: its owner hands it what was
// received and what became of the links, calls Run when Next says so, sends
// what Run returns, and lets packets pass as PortState says. The names of
// variables and procedures are those of the standard (procedures.go).
//
// # Caveats
//
// Messages of RSTP are passed over, as bridges of that time do; a bridge that
// speaks both hears the old protocol and falls back to it. A topology change
// flushes what was learned at once, where the standard has it age faster for a
// while. The port id in the column status has four hexadecimal digits, as the
// manual says; the C switch writes it in decimal.
package stp

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"govs/vswitchd/bpdu"
)

// Defaults (tables 8-3 to 8-5).
const (
	DefaultPriority     = 0x8000
	DefaultHello        = 2
	DefaultMaxAge       = 20
	DefaultForwardDelay = 15
	DefaultPortPriority = 0x80

	holdTime     = time.Second
	ageIncrement = time.Second
)

// A State is that of a port (8.4).
type State uint8

// The states.
const (
	Disabled State = iota
	Blocking
	Listening
	Learning
	Forwarding
)

func (s State) String() string {
	return [...]string{"disabled", "blocking", "listening", "learning", "forwarding"}[s]
}

// A Config is what a bridge is to be like.
type Config struct {
	Address                     [6]byte
	Priority                    uint16
	Hello, MaxAge, ForwardDelay int // seconds
	Ports                       []Port
}

// A Port is what a port is to be like.
type Port struct {
	Name     string
	Number   int // 1 to 255; 0 is any
	Priority int // 0 to 255
	Cost     uint32
	Up       bool
}

// port has the variables of 8.5.5 and the timers of 8.5.6; a timer that does
// not run is zero, else it is when it ends.
type port struct {
	Port
	number int
	id     uint16

	state                 State
	designated            bpdu.Vector
	topologyChangeAck     bool
	configPending         bool
	messageAge, fwd, hold time.Time
	heard                 time.Time     // when the information came
	age                   time.Duration // that it had then
	changed               time.Time     // of state
	tx, rx, bad           uint64
}

// A Bridge is one bridge, with the variables of 8.5.3. It is not safe for
// concurrent use.
type Bridge struct {
	name   string
	config Config
	ports  []*port // by number
	byName map[string]*port
	events func(string)

	id                            bpdu.ID
	root                          bpdu.ID
	rootCost                      uint32
	rootPort                      *port
	maxAge, hello, fwd            time.Duration // in use
	ownMaxAge, ownHello, ownFwd   time.Duration
	topologyChange, detected      bool
	helloTimer, tcnTimer, tcTimer time.Time

	started bool
	now     time.Time
	out     []Message
	flush   bool
}

// New returns a bridge that Configure makes work. events, which may be nil, is
// told what is worth a line of the log.
func New(name string, events func(string)) *Bridge {
	if events == nil {
		events = func(string) {}
	}
	return &Bridge{name: name, events: events}
}

// Configure changes the configuration.
func (b *Bridge) Configure(c Config, now time.Time) {
	b.now = now
	sec := func(n int) time.Duration { return time.Duration(n) * time.Second }
	b.ownHello, b.ownMaxAge, b.ownFwd = sec(c.Hello), sec(c.MaxAge), sec(c.ForwardDelay)
	id := bpdu.MakeID(c.Priority, c.Address)
	old := b.ports
	b.config, b.ports = c, nil
	var fresh []*port
	for _, w := range c.Ports {
		n := slices.IndexFunc(old, func(p *port) bool { return p.Name == w.Name })
		p := &port{changed: now}
		if n >= 0 {
			p = old[n]
			if p.Up != w.Up || p.Cost != w.Cost {
				defer b.SetLink(w.Name, w.Up, w.Cost, now)
				w.Up, w.Cost = p.Up, p.Cost
			}
		} else {
			fresh = append(fresh, p)
		}
		p.Port = w
		b.ports = append(b.ports, p)
	}
	b.byName = make(map[string]*port, len(b.ports))
	for _, p := range b.ports {
		b.byName[p.Name] = p
	}
	changed := b.numberPorts()
	slices.SortFunc(b.ports, func(x, y *port) int { return cmp.Compare(x.number, y.number) })
	if !b.started {
		b.initialize(id)
		return
	}
	gone := !slices.Contains(b.ports, b.rootPort) && b.rootPort != nil
	if gone {
		b.rootPort = nil
	}
	for _, p := range fresh {
		b.initializePort(p)
	}
	if id != b.id {
		b.setBridgeID(id)
		changed = true
	}
	if changed || gone || len(fresh) > 0 || len(old) != len(b.ports) {
		was := b.isRoot()
		b.configurationUpdate()
		b.portStateSelection()
		b.becomeRoot(was)
	}
	if b.isRoot() {
		b.useOwnTimes()
	}
}

// numberPorts gives ports their numbers, those that ask for one first, and
// says whether one that was at work has another identifier now.
func (b *Bridge) numberPorts() (changed bool) {
	used := make(map[int]bool)
	rank := func(p *port) int {
		switch {
		case p.Number != 0:
			return 0
		case p.number != 0:
			return 1
		}
		return 2
	}
	list := slices.Clone(b.ports)
	slices.SortStableFunc(list, func(x, y *port) int { return cmp.Compare(rank(x), rank(y)) })
	for _, p := range list {
		no := cmp.Or(p.Number, p.number)
		if no == 0 || used[no] {
			for no = 1; used[no]; no++ {
			}
		}
		used[no] = true
		id := uint16(p.Priority)<<8 | uint16(no&0xff)
		if p.id != 0 && p.id != id {
			changed = true
			if b.isDesignated(p) {
				p.designated.Port = id
			}
		}
		p.number, p.id = no, id
	}
	return changed
}

func (b *Bridge) find(name string) *port { return b.byName[name] }

// SetLink tells whether a port's link is there, and what it costs.
func (b *Bridge) SetLink(name string, up bool, cost uint32, now time.Time) {
	b.now = now
	p := b.find(name)
	if p == nil || p.Up == up && p.Cost == cost {
		return
	}
	p.Cost = cost
	if p.Up == up {
		b.configurationUpdate()
		b.portStateSelection()
		return
	}
	p.Up = up
	if up {
		b.initializePort(p)
		b.portStateSelection()
	} else {
		b.disablePort(p)
	}
}

// errUnknown says that a port is not there any more.
var errUnknown = errors.New("no such port")

// Receive takes a BPDU, behind its LLC header, that came in by the port. It
// returns why it was not understood.
func (b *Bridge) Receive(name string, frame []byte, now time.Time) error {
	b.now = now
	p := b.find(name)
	if p == nil {
		return errUnknown
	}
	m, err := bpdu.Parse(frame)
	if err != nil {
		p.bad++
		return err
	}
	p.rx++
	switch {
	case p.state == Disabled, m.Kind == bpdu.RST:
	case m.Kind == bpdu.TCN:
		b.receivedTCN(p)
	case m.Bridge == b.id && m.Port == p.id: // our own, come back
	default:
		b.receivedConfig(p, &m)
	}
	return nil
}

// A Message is to be sent out of a port, with bpdu.Group as its destination
// and bpdu.LLC in front.
type Message struct {
	Port  string
	Bytes []byte
}

// Run does what time has come for, and returns what is to be sent. flush says
// that no station is known any more.
func (b *Bridge) Run(now time.Time) (out []Message, flush bool) {
	for b.started {
		at, do := b.earliest()
		if do == nil || now.Before(at) {
			break
		}
		b.now = at
		do()
	}
	b.now = now
	out, flush = b.out, b.flush
	b.out, b.flush = nil, false
	return out, flush
}

// Next is when Run has something to do; zero is never.
func (b *Bridge) Next(now time.Time) time.Time {
	if len(b.out) > 0 || b.flush {
		return now
	}
	at, _ := b.earliest()
	return at
}

// earliest is the timer that ends first, and what is done then.
func (b *Bridge) earliest() (at time.Time, do func()) {
	timer := func(t time.Time, f func()) {
		if !t.IsZero() && (do == nil || t.Before(at)) {
			at, do = t, f
		}
	}
	timer(b.helloTimer, b.helloExpired)
	timer(b.tcnTimer, b.tcnExpired)
	timer(b.tcTimer, b.topologyChangeExpired)
	for _, p := range b.ports {
		timer(p.messageAge, func() { b.messageAgeExpired(p) })
		timer(p.fwd, func() { b.forwardDelayExpired(p) })
		timer(p.hold, func() { b.holdExpired(p) })
	}
	return at, do
}

// TopologyChange has the bridge tell of a topology change.
func (b *Bridge) TopologyChange(now time.Time) {
	b.now = now
	b.topologyChangeDetection()
}

// PortState says whether a port may learn and forward. Who takes no part in
// the tree may.
func (b *Bridge) PortState(name string) (learn, forward bool) {
	p := b.find(name)
	if p == nil {
		return true, true
	}
	return p.state >= Learning, p.state == Forwarding
}
