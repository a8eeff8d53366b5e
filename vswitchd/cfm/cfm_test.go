package cfm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// A wire is two sessions that hear each other, and the time.
type wire struct {
	t   *testing.T
	now time.Time
	end [2]*Session
	log [2][]string
	cut [2]bool // what the one and the other send is lost
	n   [2]int  // frames sent
	f   [2][]byte
}

func config(id uint64) Config {
	return Config{MPID: id, Interval: time.Second, Src: [6]byte{2, 0, 0, 0, 0, byte(id)}}
}

func newWire(t *testing.T, a, b Config) *wire {
	w := &wire{t: t, now: time.Unix(1000, 0)}
	r := rand.New(rand.NewPCG(1, 2))
	for i, c := range []Config{a, b} {
		log := func(text string) { w.log[i] = append(w.log[i], text) }
		w.end[i] = New([]string{"a", "b"}[i], r.IntN, log, log)
		w.end[i].Configure(c, w.now)
	}
	return w
}

// pass lets time pass.
func (w *wire) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); ; {
		for i, s := range w.end {
			f := s.Run(w.now)
			if f == nil {
				continue
			}
			w.n[i]++
			w.f[i] = f
			if !w.cut[i] {
				if err := w.end[1-i].Receive(f, w.now); err != nil {
					w.t.Fatal(err)
				}
			}
		}
		next := w.end[0].Next()
		if t := w.end[1].Next(); t.Before(next) {
			next = t
		}
		if next.After(end) {
			w.now = end
			return
		}
		if !next.After(w.now) {
			w.t.Fatal("Run does not do what is due")
		}
		w.now = next
	}
}

// is compares what a session says with what is expected.
func (w *wire) is(i int, want string) {
	w.t.Helper()
	s := w.end[i].Status()
	got := fmt.Sprintf("faults %v flaps %d down %t health %d points %d", s.Faults.Names(), s.Flaps, s.Down, s.Health, s.Points)
	if got != want {
		w.t.Errorf("%s: %s, want %s", w.end[i].name, got, want)
	}
}

func TestUpAndDown(t *testing.T) {
	w := newWire(t, config(7), config(9))
	w.is(0, "faults [] flaps 0 down false health -1 points []")
	w.pass(4 * time.Second)
	w.is(0, "faults [] flaps 0 down false health -1 points [9]")
	w.pass(40 * time.Second)
	w.is(0, "faults [] flaps 0 down false health 100 points [9]")
	w.is(1, "faults [] flaps 0 down false health 100 points [7]")
	w.n = [2]int{}
	w.pass(100 * time.Second)
	if w.n != [2]int{100, 100} {
		t.Errorf("%v messages in 100 s", w.n)
	}
	// What a sends is lost: b hears nobody, and says so.
	w.cut[0] = true
	w.pass(14 * time.Second)
	w.pass(35 * time.Second)
	w.is(0, "faults [rdi] flaps 1 down false health 0 points [9]")
	w.is(1, "faults [recv] flaps 1 down false health 0 points []")
	w.cut[0] = false
	w.pass(8 * time.Second)
	w.pass(42 * time.Second)
	w.is(0, "faults [] flaps 2 down false health 100 points [9]")
	w.is(1, "faults [] flaps 2 down false health 100 points [7]")
	w.cut = [2]bool{true, true}
	w.pass(8 * time.Second)
	for i := range 2 {
		if s := w.end[i].Status(); s.Faults != FaultRecv || s.Flaps != 3 || w.end[i].Forwards() {
			t.Errorf("%+v", s)
		}
	}
	if !slices.Contains(w.log[0], "a: CFM faults changed from [] to [rdi].") || !slices.ContainsFunc(w.log[1], func(text string) bool {
		return strings.HasPrefix(text, "b: Received no CCM from RMP 7 in the last ")
	}) {
		t.Errorf("%q", w.log)
	}
}

// TestDefect has the RDI bit end with the first message that comes, not with the
// fault.
func TestDefect(t *testing.T) {
	w := newWire(t, config(7), config(9))
	w.cut[1] = true
	w.pass(3 * time.Second)
	rdi := func() bool { return w.f[0][14+atFlags]&flagRDI != 0 }
	if rdi() {
		t.Error("it is too early to say that nobody is there")
	}
	w.pass(time.Second)
	if !rdi() {
		t.Error("nobody is there, and it does not say so")
	}
	w.cut[1] = false
	w.pass(time.Second) // b's message
	w.pass(time.Second) // a's next one
	if rdi() || w.end[0].Faults() != FaultRecv {
		t.Errorf("rdi %t, faults %v", rdi(), w.end[0].Faults().Names())
	}
}

// TestMessages says what becomes of messages: the frame, and what a session
// finds at its next checks.
func TestMessages(t *testing.T) {
	other := maid
	other[4] = 't'
	for _, test := range []struct {
		what     string
		extended bool
		ccm      ccm
		want     string // after one check
		log      string
	}{
		{"good", false, ccm{code: 4, mpid: 9, maid: maid}, "faults [] flaps 0 down false health -1 points [9]", ""},
		{"extended", true, ccm{code: 4, mpid: 1 << 40, maid: maid, interval: 1000}, "faults [] flaps 0 down false health -1 points [1099511627776]", ""},
		{"defect", false, ccm{code: 4, mpid: 9, maid: maid, rdi: true}, "faults [rdi] flaps 1 down false health -1 points [9]", "a: CFM faults changed from [] to [rdi]."},
		{"association", false, ccm{code: 4, mpid: 9, maid: other}, "faults [recv maid] flaps 1 down false health -1 points []",
			"a: Received unexpected remote MAID from MAC 02:00:00:00:00:09"},
		{"ours", false, ccm{code: 4, mpid: 7, maid: maid}, "faults [] flaps 0 down false health -1 points [7]", ""}, // TestLoop has more of them
		{"interval", false, ccm{code: 3, mpid: 9, maid: maid}, "faults [] flaps 0 down false health -1 points [9]",
			"a: received a CCM with an unexpected interval (3) from RMP 9"},
		{"extended interval", true, ccm{code: 4, mpid: 9, maid: maid, interval: 1001}, "faults [] flaps 0 down false health -1 points [9]",
			"a: received a CCM with an unexpected extended interval (1001ms) from RMP 9"},
		{"down", true, ccm{code: 4, mpid: 9, maid: maid, interval: 1000, down: true}, "faults [] flaps 0 down true health -1 points [9]", ""},
	} {
		c := config(7)
		c.Extended = test.extended
		w := newWire(t, c, config(8))
		if err := w.end[0].Receive(frame(c.Dst(), [6]byte{2, 0, 0, 0, 0, 9}, 0, false, test.ccm.bytes(test.extended)), w.now); err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		w.end[0].Run(w.now.Add(3500 * time.Millisecond))
		t.Run(test.what, func(t *testing.T) {
			w.t = t
			w.is(0, test.want)
			if test.log != "" && !slices.Contains(w.log[0], test.log) {
				t.Errorf("log %q", w.log[0])
			}
			if forwards := w.end[0].Status().Faults == 0 && !test.ccm.down; w.end[0].Forwards() != forwards {
				t.Errorf("forwards: %t", !forwards)
			}
		})
	}
}

// TestLoop has an end hear itself: the first message alone is no fault.
func TestLoop(t *testing.T) {
	a := config(7)
	w := newWire(t, a, a)
	w.pass(8 * time.Second)
	for i, s := range w.end {
		w.is(i, "faults [loopback] flaps 1 down false health -1 points [7]")
		if s.Forwards() || !slices.Contains(w.log[i], s.name+": received CCM with local MPID 7") {
			t.Errorf("%q", w.log[i])
		}
	}
	w.pass(70 * time.Second)
	w.is(0, "faults [loopback] flaps 1 down false health 0 points [7]")
}

// TestHealth follows the health from one look to the next, as observed of the C
// switch.
func TestHealth(t *testing.T) {
	w := newWire(t, config(7), config(8))
	s := w.end[0]
	good := ccm{code: 4, mpid: 9, maid: maid}
	defect, second := good, good
	defect.rdi, second.mpid = true, 10
	next := func(want int, list ...ccm) {
		t.Helper()
		for n := range list {
			if err := s.Receive(frame(Group, [6]byte{2}, 0, false, list[n].bytes(false)), w.now); err != nil {
				t.Fatal(err)
			}
		}
		w.now = s.check
		s.Run(w.now)
		if got := s.Status().Health; got != want {
			t.Errorf("health %d, want %d", got, want)
		}
	}
	next(-1, defect) // does not count
	for range 5 {
		next(-1, good)
	}
	next(28, good)
	for range 5 {
		next(28, good, defect)
	}
	next(-1, good, second) // is undefined, but they are counted on
	for range 5 {
		next(-1, good)
	}
	next(57, good)
	for range 5 {
		next(57, good)
	}
	next(23)
	for range 5 {
		next(23)
	}
	next(0)
	for range 5 {
		next(0, good, good, good, good)
	}
	next(100, good, good, good, good)
}

// TestOperation has an end say that it is not operational, which is no fault.
func TestOperation(t *testing.T) {
	a, b := config(7), config(9)
	a.Extended, b.Extended = true, true
	a.Interval, b.Interval = 123*time.Millisecond, 123*time.Millisecond
	w := newWire(t, a, b)
	w.pass(time.Second)
	b.Down = true
	w.end[1].Configure(b, w.now)
	w.pass(time.Second)
	w.is(0, "faults [] flaps 0 down true health -1 points [9]")
	if w.end[0].Forwards() || !w.end[1].Forwards() {
		t.Error("forwards")
	}
	if s := w.end[0].Show(w.now); !strings.Contains(s, "MPID 7: extended\n") || !strings.Contains(s, "  remote_opstate: down\n") {
		t.Error(s)
	}
	b.Down = false
	w.end[1].Configure(b, w.now)
	w.pass(time.Second)
	if !w.end[0].Forwards() {
		t.Error("forwards")
	}
}

// TestOverride is cfm/set-fault: it hides what is found, and counts no flap.
func TestOverride(t *testing.T) {
	w := newWire(t, config(7), config(9))
	w.pass(10 * time.Second)
	yes, no := true, false
	w.end[0].Override(&yes)
	w.is(0, "faults [override] flaps 0 down false health -1 points [9]")
	if !w.end[0].Changed() || w.end[0].Changed() {
		t.Error("a change is told once")
	}
	w.end[0].Override(&no)
	w.cut = [2]bool{true, true}
	w.pass(10 * time.Second)
	w.is(0, "faults [] flaps 1 down false health -1 points []")
	w.end[0].Override(nil)
	w.is(0, "faults [recv] flaps 1 down false health -1 points []")
}

// TestIntervals says what is used of what is asked for.
func TestIntervals(t *testing.T) {
	for _, test := range []struct{ ask, standard, extended int }{
		{1, 3, 1}, {3, 3, 3}, {9, 3, 9}, {10, 10, 10}, {99, 10, 99}, {100, 100, 100}, {999, 100, 999}, {1000, 1000, 1000}, {59_999, 10_000, 59_999},
		{60_000, 60_000, 60_000}, {100_000, 60_000, 65_535}, {600_000, 600_000, 65_535}, {2_000_000, 600_000, 65_535},
	} {
		c := Config{Interval: time.Duration(test.ask) * time.Millisecond}
		if got := c.interval().Milliseconds(); got != int64(test.standard) {
			t.Errorf("%d ms: %d, want %d", test.ask, got, test.standard)
		}
		c.Extended = true
		if got := c.interval().Milliseconds(); got != int64(test.extended) {
			t.Errorf("%d ms in extended mode: %d, want %d", test.ask, got, test.extended)
		}
	}
	// Changing it begins anew; anything else does not.
	w := newWire(t, config(7), config(9))
	w.pass(2500 * time.Millisecond)
	c := config(7)
	c.PCP = 3
	w.end[0].Configure(c, w.now)
	if got := w.end[0].check.Sub(w.now); got != time.Second {
		t.Errorf("check in %v", got)
	}
	c.Interval = 100 * time.Millisecond
	w.end[0].Configure(c, w.now)
	if got := w.end[0].check.Sub(w.now); got != 350*time.Millisecond || w.end[0].send.After(w.now) {
		t.Errorf("check in %v", got)
	}
	// A switch that stood still does not make up for what it has not sent.
	w.now = w.now.Add(time.Minute)
	w.end[0].Run(w.now)
	if f := w.end[0].Run(w.now); f != nil {
		t.Error("two messages at once")
	}
}

// TestDemand has data stand for messages, but not for all of them.
func TestDemand(t *testing.T) {
	a, b := config(7), config(9)
	a.Extended, b.Extended, a.Demand = true, true, true
	a.Interval, b.Interval = 100*time.Millisecond, 100*time.Millisecond
	w := newWire(t, a, b)
	if got := w.end[0].check.Sub(w.now); got != 1750*time.Millisecond {
		t.Errorf("check in %v", got)
	}
	w.pass(4 * time.Second)
	w.cut[1] = true
	rx := uint64(0)
	for range 9 {
		rx++
		w.end[0].Traffic(rx)
		w.pass(time.Second)
	}
	w.is(0, "faults [] flaps 0 down false health 100 points [9]")
	for range 4 {
		rx++
		w.end[0].Traffic(rx)
		w.pass(time.Second)
	}
	if f := w.end[0].Faults(); f != FaultRecv {
		t.Errorf("faults %v after 13 s without a message", f.Names())
	}
}

// TestPoints has more points than can be told apart.
func TestPoints(t *testing.T) {
	w := newWire(t, config(7), config(8))
	for id := range uint64(300) {
		m := ccm{code: 4, mpid: 100 + id, maid: maid}
		if err := w.end[0].Receive(frame(Group, [6]byte{2}, 0, false, m.bytes(false)), w.now); err != nil {
			t.Fatal(err)
		}
	}
	w.end[0].Run(w.now.Add(4 * time.Second))
	if s := w.end[0].Status(); len(s.Points) != points || s.Faults != 0 || !slices.Contains(w.log[0], "a: dropped CCM with MPID 356 from MAC 02:00:00:00:00:00") {
		t.Errorf("%+v %q", s, w.log[0])
	}
}

// TestFrame is what stands on the wire, as the C switch sends it.
func TestFrame(t *testing.T) {
	const standard = "0180c2000030020000000007" + "8902" + "00010446" + "00000001" + "0007" + "04036f7673" + "02036f7673"
	c := config(7)
	for _, test := range []struct {
		what string
		set  func(*Config)
		want string
	}{
		{"standard", func(*Config) {}, standard + strings.Repeat("00", 38+16+1)},
		{"extended", func(c *Config) {
			c.Extended, c.Interval, c.Down, c.MPID = true, 200*time.Millisecond, true, 0x0000_0001_0000_0009
		},
			"012320000030020000000007" + "8902" + "00010046" + "00000001" + "0008" + "04036f7673" + "02036f7673" + strings.Repeat("00", 38) +
				"00c8" + "0000000100000009" + "01" + "000000000000"},
		{"tag", func(c *Config) { c.VLAN, c.PCP = 100, 3 }, "0180c2000030020000000007" + "81006064" + standard[24:] + strings.Repeat("00", 38+16+1)},
		{"priority", func(c *Config) { c.PCP = 7 }, "0180c2000030020000000007" + "8100e000" + standard[24:] + strings.Repeat("00", 38+16+1)},
	} {
		c := c
		test.set(&c)
		w := newWire(t, c, config(9))
		if got := fmt.Sprintf("%x", w.end[0].Run(w.now)); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.what, got, test.want)
		}
	}
	// Each message has a VLAN of its own.
	c.RandomVLAN = true
	w := newWire(t, c, config(9))
	seen := make(map[string]bool)
	for range 20 {
		w.pass(time.Second)
		seen[fmt.Sprintf("%x", w.f[0][12:16])] = true
	}
	if len(seen) < 10 {
		t.Errorf("VLANs: %v", seen)
	}
}

// TestTruncated cuts a frame everywhere: only the end TLV may be missing, as with
// the C switch, and nothing comes of the rest.
func TestTruncated(t *testing.T) {
	for _, extended := range []bool{false, true} {
		c := config(7)
		c.Extended = extended
		w := newWire(t, c, config(9))
		m := ccm{code: 4, mpid: 9, maid: maid, interval: 1000}
		whole := frame(c.Dst(), [6]byte{2}, 0x6064, true, m.bytes(extended))
		before := w.end[0].Show(w.now)
		for n := range len(whole) - 1 {
			if err := w.end[0].Receive(whole[:n], w.now); err == nil {
				t.Errorf("%d bytes are a message", n)
			}
		}
		wrong := bytes.Clone(whole)
		wrong[18+atOpcode] = 2
		if err := w.end[0].Receive(wrong, w.now); err != errOpcode {
			t.Error(err)
		}
		if after := w.end[0].Show(w.now); after != before {
			t.Errorf("something came of them: %s", after)
		}
		for _, end := range []int{1, 0} {
			if err := w.end[0].Receive(whole[:len(whole)-end], w.now); err != nil {
				t.Error(err)
			}
		}
		if len(w.end[0].points) != 1 {
			t.Error("nothing came of the message")
		}
	}
}

func FuzzReceive(f *testing.F) {
	c := config(7)
	m := ccm{code: 4, mpid: 9, maid: maid, interval: 1000, rdi: true}
	f.Add(frame(c.Dst(), [6]byte{2}, 0, false, m.bytes(false)), false)
	f.Add(frame(Extended, [6]byte{2}, 0x6064, true, m.bytes(true)), true)
	f.Add([]byte{1, 2, 3}, true)
	f.Fuzz(func(t *testing.T, b []byte, extended bool) {
		c := config(7)
		c.Extended = extended
		w := newWire(t, c, config(9))
		_ = Ours(b)
		if err := w.end[0].Receive(b, w.now); err == nil {
			m, err := parse(payload(b), extended)
			if err != nil {
				t.Fatal(err)
			}
			again, err := parse(m.bytes(extended), extended)
			if extended && (err != nil || again != m) {
				t.Errorf("%+v, %v, want %+v", again, err, m)
			}
		} else if w.end[0].heard != (time.Time{}) || w.end[0].sofar != 0 {
			t.Error("what is refused changes something")
		}
		w.end[0].Run(w.now.Add(time.Hour))
		_ = w.end[0].Show(w.now)
	})
}
