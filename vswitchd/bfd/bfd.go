// Package bfd is Bidirectional Forwarding Detection (RFC 5880 in its
// asynchronous mode, RFC 5881), as interfaces of the switch use it: pure state
// machines, whose time is an argument.
//
// # Caveats
//
// There is neither authentication nor the Echo function nor demand mode, as in
// the C switch.
package bfd

import (
	"fmt"
	"strconv"
	"time"
)

// slow is the least time between two packets of a session that is not up
// (RFC 5880, section 6.8.3).
const slow = time.Second

// A Config is what the column Interface.bfd asks for.
type Config struct {
	MinTx, MinRx   time.Duration
	DecayMinRx     time.Duration // in place of MinRx while no data comes; 0 for never
	ForwardingIfRx bool          // data that comes shows that the interface forwards
	PathDown       bool          // what is behind us cannot be reached (cpath_down)
	Mult           uint8
	Src, Dst       [6]byte // of frames that are sent
	Check          [6]byte // destination of frames that are for us; zero for any
	ZeroKey        bool    // frames that came out of a tunnel with a key are not for us (check_tnl_key)
	OAM            bool    // tunnels that can say so say that our frames are of those that run the network
	SrcIP, DstIP   [4]byte
}

// String is the configuration in a few words.
func (c *Config) String() string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("min_tx %v min_rx %v mult %d", c.MinTx, c.MinRx, c.Mult)
}

// A Session watches one interface. It is not safe for concurrent use.
type Session struct {
	name   string
	disc   uint32
	source uint16 // UDP port
	random func() float64
	log    func(text string)

	c     Config
	set   bool
	state State
	diag  Diag

	minTx, minRx time.Duration // in force
	askTx, askRx time.Duration // that we ask for; in force when a poll has ended
	poll, final  bool

	sent, next time.Time // the last packet, and the next one
	detect     time.Time // when the session is down without a packet

	remote control

	override   *bool
	forwarding bool
	flaps      int
	told       found // what Changed compared with

	// Data that comes, by the interface's counter.
	rx           uint64
	heard        uint64    // control packets so far
	data, strict time.Time // data and control packets show until then that it forwards
	decayed      bool
	window       time.Time // when to look at the traffic again
	from         uint64    // data packets at its beginning
}

// New makes a session for an interface. disc is its discriminator, not 0 and
// like no other; nth spreads the sessions' UDP ports; random gives numbers from 0
// to below 1.
func New(name string, disc uint32, nth int, random func() float64, log func(text string)) *Session {
	s := &Session{name: name, disc: disc, source: uint16(firstSource + nth%(65536-firstSource)), random: random, log: log}
	s.forget()
	return s
}

// forget forgets the remote system.
func (s *Session) forget() {
	mult := s.remote.mult
	s.remote = control{state: Down, minRx: time.Millisecond, mult: mult}
}

// Configure changes what is asked for.
func (s *Session) Configure(c Config, now time.Time) {
	old := s.c
	s.c = c
	if !s.set {
		s.set = true
		s.become(Down, diagNone, now)
		s.next = now
	}
	if old.MinRx != c.MinRx || old.DecayMinRx != c.DecayMinRx {
		s.decayed, s.window = false, time.Time{}
	}
	s.ask(now)
	if old.PathDown != c.PathDown && s.state == Up || c.PathDown && s.diag == diagNone {
		diag := diagNone
		if c.PathDown {
			diag = diagConcatenated
		}
		s.become(s.state, diag, now)
		s.begin()
	}
}

// ask works out the intervals to ask for.
func (s *Session) ask(now time.Time) {
	tx, rx := s.c.MinTx, s.c.MinRx
	if s.state != Up {
		tx = max(tx, slow)
	}
	if s.decayed {
		rx = max(rx, s.c.DecayMinRx)
	}
	if tx == s.askTx && rx == s.askRx {
		return
	}
	s.askTx, s.askRx = tx, rx
	if s.state == Up {
		s.begin()
		// What makes us send more and expect less need not wait for the other end.
		s.minTx, s.minRx = min(s.minTx, tx), max(s.minRx, rx)
	} else {
		s.minTx, s.minRx = tx, rx
	}
	s.plan(now)
}

// begin begins a poll sequence (RFC 5880, section 6.5).
func (s *Session) begin() {
	if s.state == Up && !s.poll {
		s.poll = true
		s.log(s.name + ": Initiating poll sequence")
	}
}

// interval is the time between two of our packets, without jitter.
func (s *Session) interval() time.Duration { return max(s.minTx, s.remote.minRx) }

// rxInterval is that between two of the other end's.
func (s *Session) rxInterval() time.Duration { return max(s.minRx, s.remote.minTx) }

// plan sets when the next packet is to be sent: up to a quarter early, and at
// least a tenth where one lost packet is too many (section 6.8.7).
func (s *Session) plan(now time.Time) {
	least := 0.0
	if s.c.Mult == 1 {
		least = 0.10
	}
	early := least + s.random()*(0.25-least)
	s.next = s.sent.Add(time.Duration(float64(s.interval()) * (1 - early)))
	if s.next.Before(now) {
		s.next = now
	}
}

// become changes the state.
func (s *Session) become(state State, diag Diag, now time.Time) {
	if s.state == state && s.diag == diag {
		return
	}
	s.log(fmt.Sprintf("%s: BFD state change: %s->%s \"%s\"->\"%s\".", s.name, s.state, state, s.diag, diag))
	s.state, s.diag = state, diag
	if state != Up {
		s.poll = false
	}
	s.ask(now)
}

// Receive takes a frame that is for the session.
func (s *Session) Receive(f []byte, now time.Time) error {
	b, ttl := payload(f)
	if b == nil {
		return errShort
	}
	if ttl != TTL {
		return fmt.Errorf("TTL is %d, not %d", ttl, TTL)
	}
	c, err := parse(b)
	if err != nil {
		return err
	}
	if c.yours != 0 && c.yours != s.disc {
		return errYours
	}
	if s.remote.mult != c.mult {
		s.log(fmt.Sprintf("Interface %s remote mult value %d changed to %d", s.name, s.remote.mult, c.mult))
	}
	if s.remote.minRx != c.minRx {
		s.log(s.name + ": New remote min_rx.")
	}
	quicker := c.minRx < s.remote.minRx
	s.remote = c
	s.heard++
	s.strict = now.Add(100 * s.c.MinRx)
	if c.flags&flagFinal != 0 && s.poll {
		s.poll = false
		s.minTx, s.minRx = s.askTx, s.askRx
		s.log(s.name + ": Poll sequence terminated.")
		s.plan(now)
	}
	if c.flags&flagPoll != 0 {
		s.final = true
	}
	s.detect = now.Add(time.Duration(c.mult) * s.rxInterval())
	switch {
	case c.state == AdminDown:
		if s.state != Down {
			s.become(Down, diagNeighbor, now)
		}
	case s.state == Down && c.state == Down:
		s.become(Init, s.after(), now)
	case s.state == Down && c.state == Init, s.state == Init && c.state >= Init:
		s.become(Up, s.after(), now)
	case s.state == Up && c.state == Down:
		s.become(Down, diagNeighbor, now)
	}
	if quicker || s.final {
		s.plan(now)
	}
	return nil
}

// after is the diagnostic of a session that comes up.
func (s *Session) after() Diag {
	if s.c.PathDown {
		return diagConcatenated
	}
	if s.state == Down && s.remote.state == Down {
		return s.diag
	}
	return diagNone
}

// Traffic tells the session how many packets the interface has received.
func (s *Session) Traffic(packets uint64, now time.Time) {
	if packets != s.rx && s.c.ForwardingIfRx {
		if packets > s.rx+1 || s.heard == 0 {
			s.data = now.Add(time.Duration(s.c.Mult) * s.c.MinRx)
		}
	}
	s.rx = packets
	if s.c.DecayMinRx == 0 || s.c.DecayMinRx < s.c.MinRx || now.Before(s.window) {
		return
	}
	data := packets - min(packets, s.heard)
	if !s.window.IsZero() {
		s.decayed = data <= s.from+1
		s.ask(now)
	}
	s.from, s.window = data, now.Add(max(2*time.Second, s.c.DecayMinRx))
}

// Run does what is due, and returns the frame that is to be sent, nil for none.
func (s *Session) Run(now time.Time) []byte {
	if s.state >= Init && !now.Before(s.detect) {
		s.become(Down, diagExpired, now)
		s.forget()
	}
	s.count(now)
	if s.remote.minRx == 0 && !s.final { // the other end wants none
		return nil
	}
	if now.Before(s.next) && !s.final {
		return nil
	}
	c := control{diag: s.diag, state: s.state, mult: s.c.Mult, mine: s.disc, yours: s.remote.mine, minTx: s.askTx, minRx: s.askRx}
	switch {
	case s.final:
		c.flags, s.final = flagFinal, false
	case s.poll:
		c.flags = flagPoll
	}
	s.sent = now
	s.plan(now)
	return s.frame(&c)
}

// Next is when Run has something to do.
func (s *Session) Next() time.Time {
	next := s.next
	if s.remote.minRx == 0 {
		next = time.Time{}
	}
	for _, t := range []time.Time{s.detect, s.data, s.strict} {
		if (s.state >= Init || s.c.ForwardingIfRx) && t.After(s.sent) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	return next
}

// Override makes the session say that the interface forwards, or does not,
// whatever it has found; nil ends that.
func (s *Session) Override(forwards *bool, now time.Time) {
	s.override = forwards
	s.count(now)
}

// Forwards says whether the interface forwards packets, as far as is known.
func (s *Session) Forwards(now time.Time) bool {
	if s.override != nil {
		return *s.override
	}
	if s.remote.diag == diagConcatenated || s.remote.diag == diagReverse {
		return false
	}
	if s.c.ForwardingIfRx && now.Before(s.data) && now.Before(s.strict) {
		return true
	}
	return s.state == Up
}

// count counts how often that changes.
func (s *Session) count(now time.Time) {
	if f := s.Forwards(now); f != s.forwarding {
		s.forwarding = f
		s.flaps++
	}
}

// found is what a session has found out.
type found struct {
	state, remote State
	diag, theirs  Diag
	forwards      bool
}

// Changed says whether Status is different from when it was called before.
func (s *Session) Changed() bool {
	f := found{s.state, s.remote.state, s.diag, s.remote.diag, s.forwarding}
	changed := f != s.told
	s.told = f
	return changed
}

// Status is Interface.bfd_status.
func (s *Session) Status() map[string]string {
	return map[string]string{
		"state": s.state.String(), "forwarding": strconv.FormatBool(s.forwarding), "diagnostic": s.diag.String(),
		"remote_state": s.remote.state.String(), "remote_diagnostic": s.remote.diag.String(), "flap_count": strconv.Itoa(s.flaps),
	}
}
