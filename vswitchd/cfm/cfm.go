// Package cfm is connectivity fault management (IEEE 802.1ag-2007) as Open
// vSwitch does it on interfaces: a pure state machine, whose time is an argument.
// It sends continuity check messages, and finds a fault where none comes back.
//
// # Caveats
//
// There are no lists of the maintenance points that are expected: a fault is
// that none at all is heard. As in the C switch, a message at another interval
// than ours and one from more points than can be told apart are noted in the log
// and are no faults, whatever ovs-vswitchd.conf.db(5) says.
package cfm

import (
	"fmt"
	"net"
	"slices"
	"time"

	"govs/internal/chash"
)

const (
	points   = 256                    // that a session tells apart
	window   = 6                      // checks between two looks at the health: 21 intervals
	expected = 21                     // messages in that time
	slowest  = 65535                  // milliseconds, of extended mode
	demand   = 500 * time.Millisecond // in demand mode the least interval that checks go by
	patience = 100                    // intervals without any message that data may bridge in demand mode
)

// A Config is what an Interface's row asks for.
type Config struct {
	MPID       uint64        // not 0; 1 to 8191 without Extended
	Interval   time.Duration // between two messages; what is sent is rounded
	Extended   bool
	Demand     bool   // data that comes stands for messages
	Down       bool   // tell others that we are not operational (extended mode)
	VLAN       uint16 // of a tag, with PCP; where both are 0 there is none
	PCP        uint8
	RandomVLAN bool    // in place of VLAN
	Src        [6]byte // of frames that are sent
}

// String is the configuration in a few words.
func (c *Config) String() string {
	if c == nil {
		return "none"
	}
	s := fmt.Sprintf("mpid %d interval %v", c.MPID, c.Interval)
	for _, flag := range []struct {
		set  bool
		name string
	}{{c.Extended, " extended"}, {c.Demand, " demand"}, {c.Down, " down"}} {
		if flag.set {
			s += flag.name
		}
	}
	switch {
	case c.RandomVLAN:
		s += " vlan random"
	case c.VLAN != 0:
		s += fmt.Sprintf(" vlan %d", c.VLAN)
	}
	if c.PCP != 0 {
		s += fmt.Sprintf(" pcp %d", c.PCP)
	}
	return s
}

// Dst is where messages go to and come from.
func (c *Config) Dst() [6]byte {
	if c.Extended {
		return Extended
	}
	return Group
}

// interval is the one that is used: as it is in extended mode, else the nearest
// below it that has a code.
func (c *Config) interval() time.Duration {
	if c.Extended {
		return min(max(c.Interval, time.Millisecond), slowest*time.Millisecond)
	}
	for _, d := range slices.Backward(coded[:]) {
		if c.Interval >= d {
			return d
		}
	}
	return coded[0]
}

// A Fault is a reason for a fault, as a bit.
type Fault uint16

// The reasons, of which cfm_fault_status speaks.
const (
	FaultRecv     Fault = 1 << iota // no message comes
	FaultRDI                        // another point says that it gets none
	FaultMAID                       // a message of another maintenance association
	FaultLoopback                   // a message with our own id
	FaultOverride                   // cfm/set-fault
)

var faultNames = [...]string{"recv", "rdi", "maid", "loopback", "override"}

// Names are the reasons' names, in the order of the bits.
func (f Fault) Names() (names []string) {
	for n, name := range faultNames {
		if f&(1<<n) != 0 {
			names = append(names, name)
		}
	}
	return names
}

// A point is a remote maintenance point that is heard.
type point struct {
	heard    bool // since the last check
	down     bool
	last     time.Time // when it was heard
	sequence uint32    // of that message
	healthy  int       // messages in this window of the health
}

// A Session watches one interface. It is not safe for concurrent use.
type Session struct {
	name       string
	random     func(n int) int
	info, warn func(text string)

	c        Config
	set      bool
	sequence uint32

	send, check time.Time // when the next message, and the next check is due
	checks      int       // since the last look at the health; the first look comes one later, as with the C switch

	points  map[uint64]*point
	order   *chash.Table[uint64] // in which C shows them
	heard   time.Time            // any of them, the last time
	fault   Fault                // as of the last check
	sofar   Fault                // since then
	deaf    bool                 // nobody is heard since a check found that
	down    bool                 // a remote point is not operational
	health  int                  // percent, below 0 where it is not known
	known   []uint64             // points, as of the last check
	flaps   int
	stands  *bool // cfm/set-fault
	rx      uint64
	packets uint64 // data packets at the last check
	told    Status
}

// New makes a session for an interface. random gives numbers from 0 to below n.
func New(name string, random func(n int) int, info, warn func(text string)) *Session {
	return &Session{name: name, random: random, info: info, warn: warn, points: make(map[uint64]*point), order: chash.Numbers(), health: -1}
}

// Configure changes what is asked for.
func (s *Session) Configure(c Config, now time.Time) {
	old := s.c
	s.c = c
	if !s.set || old.interval() != c.interval() {
		s.send = now
		s.check = now.Add(s.patience())
	}
	s.set = true
}

// patience is the time between two checks: three and a half intervals.
func (s *Session) patience() time.Duration {
	d := s.c.interval()
	if s.c.Demand {
		d = max(d, demand)
	}
	return d * 7 / 2
}

// Receive takes a frame that is for the session.
func (s *Session) Receive(f []byte, now time.Time) error {
	b := payload(f)
	if b == nil {
		return errType
	}
	m, err := parse(b, s.c.Extended)
	if err != nil {
		return err
	}
	sender := net.HardwareAddr(f[6:12])
	if m.maid != maid {
		s.once(FaultMAID, "Received unexpected remote MAID from MAC %v", sender)
		return nil
	}
	s.deaf, s.heard = false, now
	if m.rdi {
		s.sofar |= FaultRDI
	}
	p := s.points[m.mpid]
	switch {
	case p == nil && len(s.points) >= points:
		s.warn(fmt.Sprintf("%s: dropped CCM with MPID %d from MAC %v", s.name, m.mpid, sender))
		return nil
	case p == nil:
		p = new(point)
		if !m.rdi {
			p.healthy = 1
		}
		s.points[m.mpid] = p
		s.order.Add(m.mpid)
		s.expected(&m)
	case m.mpid == s.c.MPID: // not its first message, as with the C switch
		s.once(FaultLoopback, "received CCM with local MPID %d", m.mpid)
	case !m.rdi:
		p.healthy++
	}
	if p.sequence != 0 && m.sequence != p.sequence+1 {
		s.warn(fmt.Sprintf("%s: (mpid %d) detected sequence numbers which indicate possible connectivity problems (previous %d) (current %d)",
			s.name, m.mpid, p.sequence, m.sequence))
	}
	p.sequence, p.last, p.heard, p.down = m.sequence, now, true, m.down
	return nil
}

// expected notes in the log that a point uses another interval than we do.
func (s *Session) expected(m *ccm) {
	interval := s.c.interval()
	if c := code(interval); m.code != c {
		s.warn(fmt.Sprintf("%s: received a CCM with an unexpected interval (%d) from RMP %d", s.name, m.code, m.mpid))
	}
	if s.c.Extended && time.Duration(m.interval)*time.Millisecond != interval {
		s.warn(fmt.Sprintf("%s: received a CCM with an unexpected extended interval (%dms) from RMP %d", s.name, m.interval, m.mpid))
	}
}

// once notes a fault, and tells of it once until the next check.
func (s *Session) once(f Fault, format string, args ...any) {
	if s.sofar&f == 0 {
		s.warn(s.name + ": " + fmt.Sprintf(format, args...))
	}
	s.sofar |= f
}

// Traffic tells the session how many packets the interface has received.
func (s *Session) Traffic(packets uint64) { s.rx = packets }

// Run does what is due, and returns the frame that is to be sent, nil for none.
func (s *Session) Run(now time.Time) []byte {
	if !now.Before(s.check) {
		s.look(now)
		// A little later each time, as the others': so that no message comes too
		// late to be counted in the window of the health that it was sent for.
		s.check = now.Add(s.patience())
	}
	if now.Before(s.send) {
		return nil
	}
	if s.send = s.send.Add(s.c.interval()); s.send.Before(now) {
		s.send = now.Add(s.c.interval())
	}
	s.sequence++
	interval := s.c.interval()
	m := ccm{code: code(interval), rdi: s.deaf, sequence: s.sequence, mpid: s.c.MPID, maid: maid, interval: uint16(interval.Milliseconds()), down: s.c.Down}
	vid := s.c.VLAN
	if s.c.RandomVLAN {
		vid = uint16(s.random(4096))
	}
	return frame(s.c.Dst(), s.c.Src, uint16(s.c.PCP)<<13|vid, s.c.RandomVLAN || s.c.VLAN != 0 || s.c.PCP != 0, m.bytes(s.c.Extended))
}

// look is the check: who has been heard since the last one?
func (s *Session) look(now time.Time) {
	s.bridge(now)
	if s.checks == window {
		s.checks = 0
		s.weigh()
	}
	s.checks++
	found, down := s.sofar, false
	for _, id := range slices.Collect(s.order.All()) {
		p := s.points[id]
		if !p.heard {
			s.info(fmt.Sprintf("%s: Received no CCM from RMP %d in the last %dms", s.name, id, now.Sub(p.last).Milliseconds()))
			delete(s.points, id)
			s.order.Delete(id)
			continue
		}
		p.heard = false
		down = down || p.down
	}
	s.known = slices.Sorted(s.order.All()) // as a set of the database is
	if len(s.points) == 0 {
		found |= FaultRecv
		s.deaf = true
	} else {
		s.down = down
	}
	if found != s.fault {
		s.info(fmt.Sprintf("%s: CFM faults changed from %v to %v.", s.name, s.fault.Names(), found.Names()))
	}
	if (found == 0) != (s.fault == 0) {
		s.flaps++
	}
	s.fault, s.sofar = found, 0
}

// bridge has data stand for messages in demand mode, where there is one other
// point, which has been heard from not too long ago.
func (s *Session) bridge(now time.Time) {
	came := s.rx != s.packets
	s.packets = s.rx
	if !s.c.Demand || !came || len(s.points) != 1 || now.Sub(s.heard) >= patience*s.c.interval() {
		return
	}
	for _, p := range s.points {
		p.heard = true
	}
}

// weigh works out the health: how many of the messages came that one other
// point should have sent. With several points their messages go on being counted,
// as by the C switch.
func (s *Session) weigh() {
	if s.health = -1; len(s.points) > 1 {
		return
	}
	s.health = 0
	for _, p := range s.points {
		s.health = min(p.healthy*100/expected, 100)
		p.healthy = 0
	}
}

// Next is when Run has something to do.
func (s *Session) Next() time.Time {
	if s.check.Before(s.send) {
		return s.check
	}
	return s.send
}

// Override makes the session say that there is a fault, or none, whatever it
// has found; nil ends that.
func (s *Session) Override(fault *bool) { s.stands = fault }

// Faults are the reasons for which there is a fault, none where there is none.
func (s *Session) Faults() Fault {
	switch {
	case s.stands == nil:
		return s.fault
	case *s.stands:
		return FaultOverride
	}
	return 0
}

// Forwards says whether the interface is to be used, as far as is known: there
// is no fault, and nobody at the other end says that it is not operational.
func (s *Session) Forwards() bool { return s.Faults() == 0 && !(s.c.Extended && s.down) }

// A Status is what Interface.cfm_* say.
type Status struct {
	Faults   Fault
	Flaps    int
	Extended bool // the next one is known
	Down     bool
	Health   int // percent, below 0 where it is not known
	Points   []uint64
}

// Equal compares.
func (s *Status) Equal(o *Status) bool {
	if s == nil || o == nil {
		return s == o
	}
	return s.Faults == o.Faults && s.Flaps == o.Flaps && s.Extended == o.Extended && s.Down == o.Down && s.Health == o.Health && slices.Equal(s.Points, o.Points)
}

// Status is what the session has found.
func (s *Session) Status() Status {
	return Status{Faults: s.Faults(), Flaps: s.flaps, Extended: s.c.Extended, Down: s.down, Health: s.health, Points: s.known}
}

// Changed says whether Status is different from when it was called before.
func (s *Session) Changed() bool {
	st := s.Status()
	changed := !st.Equal(&s.told)
	s.told = st
	return changed
}
