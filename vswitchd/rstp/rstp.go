// Package rstp keeps a bridge's ports from forming a loop: the Rapid Spanning
// Tree Protocol of IEEE 802.1D-2004, clause 17, with its way of talking to
// bridges of 802.1D-1998 (17.4).
//
// A Bridge owns no goroutine and no clock: its owner hands it what was
// received and what became of the links, calls Run when Next says so, sends
// what Run returns, and lets packets pass as PortState says. The names of
// variables, conditions, procedures and states are those of the standard, and
// each machine is a function of its own (machines.go). Timers count seconds,
// as in the standard.
//
// # Caveats
//
// What the standard lets a management system read beyond the columns of
// ovs-vswitchd.conf.db(5) is not kept. Topology changes flush what was learned
// at once, also in STP compatibility mode, where the standard has it age
// faster for a while. Hello time is two seconds.
package rstp

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"govs/vswitchd/bpdu"
)

// Bounds and defaults (table 17-1).
const (
	migrateTime = 3
	helloTime   = 2

	DefaultPriority     = 0x8000
	DefaultMaxAge       = 20
	DefaultForwardDelay = 15
	DefaultHoldCount    = 6
	DefaultPortPriority = 128
)

// A Role is what a port is for the tree (17.7).
type Role uint8

// The roles.
const (
	Disabled Role = iota
	Root
	Designated
	Alternate
	Backup
)

func (r Role) String() string {
	return [...]string{"Disabled", "Root", "Designated", "Alternate", "Backup"}[r]
}

// A Config is what a bridge is to be like.
type Config struct {
	Address      [6]byte
	Priority     uint16 // a multiple of 4096
	MaxAge       int    // seconds
	ForwardDelay int    // seconds
	HoldCount    int
	STP          bool // force protocol version 0
	Ports        []Port
}

// A Port is what a port is to be like.
type Port struct {
	Name         string
	Number       int // 1 to 4095; 0 is any
	Priority     int // 0 to 240
	Cost         uint32
	AdminEdge    bool
	AutoEdge     bool
	MCheck       bool // from false to true: looks anew for bridges that speak STP
	Up           bool
	PointToPoint bool
}

type infoIs uint8

const (
	infoDisabled infoIs = iota
	infoAged
	infoMine
	infoReceived
)

// vector is a Vector as a port has it: with the port that it came by.
type vector struct {
	bpdu.Vector
	by uint16
}

func compare(a, b vector) int {
	return cmp.Or(cmp.Compare(a.Root, b.Root), cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Bridge, b.Bridge),
		cmp.Compare(a.Port, b.Port), cmp.Compare(a.by, b.by))
}

// port has the variables of 17.19 and the timers of 17.17.
type port struct {
	Port
	id     uint16
	number int

	agree, agreed, disputed, forward, forwarding, learn, learning bool
	mcheck, newInfo, operEdge, proposed, proposing                bool
	rcvdBPDU, rcvdMsg, rcvdRSTP, rcvdSTP                          bool
	rcvdTc, rcvdTcAck, rcvdTcn                                    bool
	reRoot, reselect, selected, sendRSTP, sync, synced            bool
	tcAck, tcProp, updtInfo, fdbFlush                             bool
	infoIs                                                        infoIs
	role, selectedRole                                            Role
	msg                                                           bpdu.Message
	portPriority, designatedPriority                              vector
	portTimes, designatedTimes                                    bpdu.Times
	txCount                                                       int

	edgeDelayWhile, fdWhile, helloWhen, mdelayWhile, rbWhile, rcvdInfoWhile, rrWhile, tcWhile int

	receive, migration, detection, transmit, information, transition, topology state

	tx, rx, bad uint64
	since       time.Time // that these counters stand for
}

// A Bridge is one bridge. It is not safe for concurrent use.
type Bridge struct {
	name   string
	config Config
	ports  []*port // by number
	byName map[string]*port
	events func(string)

	id           bpdu.ID
	rootPriority vector
	rootTimes    bpdu.Times
	rootPort     *port
	bridgeTimes  bpdu.Times

	started bool
	tick    time.Time
	out     []Message
	flush   []string
}

// New returns a bridge that Configure makes work. events, which may be nil, is
// told what is worth a line of the log.
func New(name string, events func(string)) *Bridge {
	if events == nil {
		events = func(string) {}
	}
	return &Bridge{name: name, events: events}
}

// Configure changes the configuration. Ports that stay, by name, keep their
// state where they keep their identifier.
func (b *Bridge) Configure(c Config, now time.Time) {
	old := b.ports
	id := bpdu.MakeID(c.Priority&0xf000, c.Address)
	times := bpdu.Times{MaxAge: uint16(c.MaxAge * bpdu.Second), Hello: helloTime * bpdu.Second, ForwardDelay: uint16(c.ForwardDelay * bpdu.Second)}
	again := !b.started || id != b.id || c.STP != b.config.STP
	if !b.started {
		b.tick = now.Add(time.Second)
	}
	changed := again || times != b.bridgeTimes
	b.started, b.config, b.id, b.bridgeTimes = true, c, id, times
	b.ports = nil
	var begin []*port
	for _, w := range c.Ports {
		var p *port
		if n := slices.IndexFunc(old, func(p *port) bool { return p.Name == w.Name }); n >= 0 {
			p = old[n]
		} else {
			p = &port{since: now}
			begin = append(begin, p)
		}
		if w.MCheck && !p.MCheck {
			p.mcheck = !c.STP
		}
		if p.Cost != w.Cost {
			p.reselect = true
		}
		p.Port = w
		b.ports = append(b.ports, p)
	}
	b.byName = make(map[string]*port, len(b.ports))
	for _, p := range b.ports {
		b.byName[p.Name] = p
	}
	for _, p := range b.number() {
		if !slices.Contains(begin, p) {
			begin = append(begin, p)
		}
	}
	slices.SortFunc(b.ports, func(x, y *port) int { return cmp.Compare(x.number, y.number) })
	if again {
		begin = b.ports
	}
	if !slices.Contains(b.ports, b.rootPort) {
		b.rootPort = nil
	}
	changed = changed || len(old) != len(b.ports)
	for _, p := range b.ports {
		p.reselect = p.reselect || changed
	}
	for _, p := range begin {
		b.begin(p)
	}
	b.machines()
}

// number gives ports their numbers: those that ask for one first. It returns
// those whose identifier is another one than before.
func (b *Bridge) number() (renumbered []*port) {
	used := make(map[int]bool)
	list := slices.Clone(b.ports)
	// Who asks, who has one, who has none.
	rank := func(p *port) int {
		switch {
		case p.Number != 0:
			return 0
		case p.number != 0:
			return 1
		}
		return 2
	}
	slices.SortStableFunc(list, func(x, y *port) int { return cmp.Compare(rank(x), rank(y)) })
	for _, p := range list {
		no := cmp.Or(p.Number, p.number)
		if no == 0 || used[no] {
			for no = 1; used[no]; no++ {
			}
		}
		used[no] = true
		id := uint16(p.Priority&0xf0)<<8 | uint16(no&0xfff)
		if p.number != 0 && id != p.id {
			renumbered = append(renumbered, p)
		}
		p.number, p.id = no, id
	}
	return renumbered
}

func (b *Bridge) find(name string) *port { return b.byName[name] }

// SetLink tells whether a port's link is there, what it costs, and whether
// there is but one bridge at its other end.
func (b *Bridge) SetLink(name string, up bool, cost uint32, pointToPoint bool) {
	p := b.find(name)
	if p == nil || p.Up == up && p.Cost == cost && p.PointToPoint == pointToPoint {
		return
	}
	p.reselect = p.reselect || p.Cost != cost
	p.Up, p.Cost, p.PointToPoint = up, cost, pointToPoint
	b.machines()
}

// errUnknown says that a port is not there any more.
var errUnknown = errors.New("no such port")

// Receive takes a BPDU, behind its LLC header, that came in by the port. It
// returns why it was not understood.
func (b *Bridge) Receive(name string, frame []byte) error {
	p := b.find(name)
	if p == nil {
		return errUnknown
	}
	msg, err := bpdu.Parse(frame)
	if err != nil {
		p.bad++
		return err
	}
	if msg.Kind != bpdu.TCN && msg.Bridge == b.id && msg.Port == p.id {
		return nil // our own, come back (9.3.4)
	}
	p.rx++
	p.msg, p.rcvdBPDU = msg, true
	b.machines()
	return nil
}

// A Message is to be sent out of a port, with bpdu.Group as its destination and
// bpdu.LLC in front.
type Message struct {
	Port  string
	Bytes []byte
}

// Run lets time pass, and returns what is to be sent and the ports behind
// which no station is known any more.
func (b *Bridge) Run(now time.Time) (out []Message, flush []string) {
	for b.started && !now.Before(b.tick) {
		b.tick = b.tick.Add(time.Second)
		for _, p := range b.ports {
			p.second()
		}
		b.machines()
	}
	out, flush = b.out, b.flush
	b.out, b.flush = nil, nil
	return out, flush
}

// Next is when Run has something to do.
func (b *Bridge) Next(now time.Time) time.Time {
	if len(b.out) > 0 || len(b.flush) > 0 {
		return now
	}
	return b.tick
}

// second is the port timers machine (17.22).
func (p *port) second() {
	for _, t := range []*int{
		&p.edgeDelayWhile, &p.fdWhile, &p.helloWhen, &p.mdelayWhile, &p.rbWhile, &p.rcvdInfoWhile, &p.rrWhile, &p.tcWhile, &p.txCount,
	} {
		if *t > 0 {
			*t--
		}
	}
}

// TopologyChange has the bridge tell of a topology change.
func (b *Bridge) TopologyChange() {
	for _, p := range b.ports {
		if p.topology == topologyActive {
			b.newTcWhile(p)
			p.fdbFlush = true
			p.newInfo = true
		}
	}
	b.machines()
}

// PortState says whether a port may learn and forward. Who takes no part in
// the tree may.
func (b *Bridge) PortState(name string) (learn, forward bool) {
	p := b.find(name)
	if p == nil {
		return true, true
	}
	return p.learning, p.forwarding
}
