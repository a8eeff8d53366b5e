package bfd

import (
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
}

func config() Config {
	return Config{MinTx: 100 * time.Millisecond, MinRx: time.Second, Mult: 3, Dst: [6]byte{0, 0x23, 0x20, 0, 0, 1},
		Src: [6]byte{2, 0, 0, 0, 0, 1}, SrcIP: [4]byte{169, 254, 1, 1}, DstIP: [4]byte{169, 254, 1, 0}}
}

func newWire(t *testing.T, a, b Config) *wire {
	w := &wire{t: t, now: time.Unix(1000, 0)}
	r := rand.New(rand.NewPCG(1, 2))
	for i, c := range []Config{a, b} {
		w.end[i] = New([]string{"a", "b"}[i], uint32(i+1), i, r.Float64, func(text string) { w.log[i] = append(w.log[i], text) })
		w.end[i].Configure(c, w.now)
	}
	return w
}

// pass lets time pass.
func (w *wire) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); ; {
		for busy := true; busy; {
			busy = false
			for i, s := range w.end {
				f := s.Run(w.now)
				if f == nil {
					continue
				}
				busy = true
				w.n[i]++
				if !w.cut[i] {
					if err := w.end[1-i].Receive(f, w.now); err != nil {
						w.t.Fatal(err)
					}
				}
			}
		}
		next := end
		for _, s := range w.end {
			if t := s.Next(); !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		if !next.After(w.now) {
			if w.now.Equal(end) {
				return
			}
			if next = w.now.Add(time.Millisecond); next.After(end) {
				next = end
			}
		}
		w.now = next
	}
}

// is compares bfd_status with what is expected of some of its keys.
func (w *wire) is(i int, want ...string) {
	w.t.Helper()
	got := w.end[i].Status()
	for _, pair := range want {
		k, v, _ := strings.Cut(pair, "=")
		if got[k] != v {
			w.t.Errorf("%s: %s is %q, want %q: %v", w.end[i].name, k, got[k], v, got)
		}
	}
}

func TestUpAndDown(t *testing.T) {
	w := newWire(t, config(), config())
	w.is(0, "state=down", "forwarding=false", "flap_count=0", "remote_state=down", "diagnostic=No Diagnostic")
	w.pass(3 * time.Second)
	for i := range 2 {
		w.is(i, "state=up", "forwarding=true", "flap_count=1", "remote_state=up", "diagnostic=No Diagnostic")
	}
	// Once they agree each sends once a second, which is as often as the other takes.
	w.n = [2]int{}
	w.pass(100 * time.Second)
	if w.n[0] < 100 || w.n[0] > 140 || w.n[1] < 100 || w.n[1] > 140 {
		t.Errorf("%v frames in 100 s", w.n)
	}
	// What a sends is lost: b finds out, and says so.
	w.cut[0] = true
	w.pass(4 * time.Second)
	w.is(1, "state=down", "diagnostic=Control Detection Time Expired", "forwarding=false", "remote_state=down", "flap_count=2")
	w.is(0, "state=init", "diagnostic=Neighbor Signaled Session Down", "forwarding=false") // it hears b
	w.cut[0] = false
	w.pass(4 * time.Second)
	w.is(0, "state=up", "flap_count=3")
	w.is(1, "state=up", "flap_count=3")
	// Both ways.
	w.cut = [2]bool{true, true}
	w.pass(4 * time.Second)
	w.is(0, "state=down", "diagnostic=Control Detection Time Expired")
	if !slices.Contains(w.log[0], `a: BFD state change: up->down "No Diagnostic"->"Control Detection Time Expired".`) {
		t.Errorf("%q", w.log[0])
	}
}

// TestIntervals says that faster packets come as soon as both agree, and are
// missed sooner.
func TestIntervals(t *testing.T) {
	a, b := config(), config()
	w := newWire(t, a, b)
	w.pass(5 * time.Second)
	a.MinRx, b.MinRx = 200*time.Millisecond, 300*time.Millisecond
	w.end[0].Configure(a, w.now)
	w.end[1].Configure(b, w.now)
	w.pass(3 * time.Second)
	if w.end[0].poll || w.end[1].poll {
		t.Error("a poll sequence does not end")
	}
	w.n = [2]int{}
	w.pass(30 * time.Second)
	if w.n[0] < 100 || w.n[0] > 140 || w.n[1] < 150 || w.n[1] > 210 {
		t.Errorf("%v frames in 30 s", w.n)
	}
	w.is(0, "state=up", "flap_count=1")
	w.cut[1] = true
	w.pass(700 * time.Millisecond)
	w.is(0, "state=down")
	if s := w.end[1].Show(w.now); !strings.Contains(s, "  Local Minimum RX Interval: 300ms\n") || !strings.Contains(s, "  Remote Discriminator: 0x1\n") {
		t.Error(s)
	}
	// Slower again.
	w.cut[1] = false
	w.pass(5 * time.Second)
	a.MinRx, a.MinTx = 2*time.Second, 2*time.Second
	w.end[0].Configure(a, w.now)
	w.pass(60 * time.Second)
	w.is(0, "state=up")
	w.is(1, "state=up")
	if got := w.end[1].rxInterval(); got != 2*time.Second {
		t.Errorf("b expects a packet each %v", got)
	}
}

func TestForwarding(t *testing.T) {
	a, b := config(), config()
	w := newWire(t, a, b)
	w.pass(5 * time.Second)
	b.PathDown = true
	w.end[1].Configure(b, w.now)
	w.pass(2 * time.Second)
	w.is(0, "state=up", "forwarding=false", "remote_diagnostic=Concatenated Path Down", "diagnostic=No Diagnostic")
	w.is(1, "state=up", "forwarding=true", "diagnostic=Concatenated Path Down")
	b.PathDown = false
	w.end[1].Configure(b, w.now)
	w.pass(2 * time.Second)
	w.is(0, "state=up", "forwarding=true", "flap_count=3")
	no := false
	w.end[0].Override(&no, w.now)
	w.is(0, "state=up", "forwarding=false")
	w.end[0].Override(nil, w.now)
	w.is(0, "forwarding=true")

	// Data that comes is as good as control packets, for a time.
	a.ForwardingIfRx = true
	w.end[0].Configure(a, w.now)
	w.cut[1] = true
	for n := range uint64(100) {
		w.end[0].Traffic(1000*(n+1), w.now)
		w.pass(500 * time.Millisecond)
	}
	w.is(0, "state=down", "forwarding=true")
	w.pass(10 * time.Second)
	w.is(0, "state=down", "forwarding=false")
}

func TestDecay(t *testing.T) {
	a, b := config(), config()
	a.DecayMinRx, b.MinTx = 3*time.Second, 100*time.Millisecond
	w := newWire(t, a, b)
	busy := func(n int, each uint64) {
		for range n {
			s := w.end[0]
			s.Traffic(s.rx+each+(s.heard-min(s.heard, s.rx)), w.now)
			w.pass(time.Second)
		}
	}
	busy(20, 0)
	if got := w.end[0].askRx; got != 3*time.Second {
		t.Errorf("idle: asks for %v", got)
	}
	busy(20, 1000)
	if got := w.end[0].askRx; got != time.Second {
		t.Errorf("busy: asks for %v", got)
	}
	w.is(0, "state=up", "flap_count=1")
}

// TestMalformed gives a session that is up frames that are not in order: none
// changes anything.
func TestMalformed(t *testing.T) {
	w := newWire(t, config(), config())
	w.pass(5 * time.Second)
	s := w.end[0]
	good := w.end[1].frame(&control{state: Down, mult: 3, mine: 2, yours: 1, minTx: time.Second, minRx: time.Second})
	before := s.Status()
	for n := range good {
		if s.Receive(good[:n], w.now) == nil {
			t.Errorf("%d bytes of a frame are taken", n)
		}
	}
	const at = 42 // of the control packet
	for what, change := range map[string]func(f []byte){
		"TTL":           func(f []byte) { f[22] = 254 },
		"version":       func(f []byte) { f[at] = 2 << 5 },
		"length":        func(f []byte) { f[at+3] = 23 },
		"long":          func(f []byte) { f[at+3] = 25 },
		"mult":          func(f []byte) { f[at+2] = 0 },
		"multipoint":    func(f []byte) { f[at+1] |= 1 },
		"auth":          func(f []byte) { f[at+1] |= 4 },
		"no one":        func(f []byte) { clear(f[at+4 : at+8]) },
		"to others":     func(f []byte) { f[at+8] = 9 },
		"up to nobody":  func(f []byte) { f[at+1] = byte(Up) << 6; clear(f[at+8 : at+12]) },
		"another port":  func(f []byte) { f[37]++ },
		"another proto": func(f []byte) { f[23] = 6 },
	} {
		f := slices.Clone(good)
		change(f)
		if s.Receive(f, w.now) == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
	for k, v := range s.Status() {
		if before[k] != v {
			t.Errorf("%s was %q and is %q", k, before[k], v)
		}
	}
	if err := s.Receive(good, w.now); err != nil {
		t.Fatal(err)
	}
	w.is(0, "state=down", "diagnostic=Neighbor Signaled Session Down")
}

func FuzzReceive(f *testing.F) {
	w := newWire(&testing.T{}, config(), config())
	f.Add(w.end[1].frame(&control{state: Init, mult: 3, mine: 2, yours: 1, minTx: time.Second, minRx: time.Second}))
	f.Add(w.end[1].frame(&control{state: Up, flags: flagPoll, mult: 3, mine: 2, yours: 1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := New("a", 1, 0, rand.Float64, func(string) {})
		now := time.Unix(1000, 0)
		s.Configure(config(), now)
		before := s.Status()
		if err := s.Receive(b, now); err != nil {
			for k, v := range s.Status() {
				if before[k] != v {
					t.Errorf("%v, and %s changed", err, k)
				}
			}
		}
		s.Run(now)
		s.Show(now)
	})
}
