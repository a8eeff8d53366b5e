package mac

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

var start = time.Unix(1e9, 0)

func at(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }

func station(n int) Addr { return Addr{0x02, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)} }

func heard(n int, port string) Sighting { return Sighting{VLAN: 10, MAC: station(n), Port: port} }

func TestLearn(t *testing.T) {
	changes := 0
	tab := New(Options{}, func() { changes++ })
	learn := func(want bool, s Sighting, now time.Time) {
		t.Helper()
		if got := tab.Learn(s, now); got != want {
			t.Errorf("Learn(%+v) = %v", s, got)
		}
	}
	learn(true, heard(1, "a"), at(0))
	learn(false, heard(1, "a"), at(1))
	learn(true, heard(1, "b"), at(2)) // moves
	learn(false, heard(1, "a"), at(1.5))
	learn(false, Sighting{VLAN: 10, MAC: Addr{1, 2, 3, 4, 5, 6}, Port: "a"}, at(2)) // a group
	learn(true, Sighting{VLAN: 11, MAC: station(1), Port: "c"}, at(3))
	if p, ok := tab.Lookup(10, station(1)); p != "b" || !ok {
		t.Errorf("Lookup = %q, %v", p, ok)
	}
	if _, ok := tab.Lookup(12, station(1)); ok {
		t.Error("found in a VLAN where it was not heard")
	}
	if s := tab.Stats(); s.Learned != 2 || s.Moved != 1 || s.Entries != 2 {
		t.Errorf("stats %+v", s)
	}
	if changes != 3 || tab.Generation() != 3 {
		t.Errorf("%d changes, generation %d", changes, tab.Generation())
	}
}

func TestExpire(t *testing.T) {
	tab := New(Options{Aging: 20 * time.Second}, nil)
	tab.Learn(heard(1, "a"), at(0))
	tab.Learn(heard(2, "a"), at(0))
	tab.AddStatic(10, station(3), "a", at(0))
	tab.Learn(heard(2, "a"), at(5))
	for _, c := range []struct {
		at   float64
		want int
	}{{19, 0}, {20, 1}, {24, 0}, {25, 1}, {1000, 0}} {
		if n := tab.Expire(at(c.at)); n != c.want {
			t.Errorf("after %v s: %d expired, want %d", c.at, n, c.want)
		}
	}
	if s := tab.Stats(); s.Expired != 2 || s.Entries != 1 || s.Static != 1 {
		t.Errorf("stats %+v", s)
	}
	if o := New(Options{Aging: 1, Size: 1}, nil).Options(); o != (Options{MinAging, MinSize}) {
		t.Errorf("options %+v", o)
	}
}

// A port that is flooded with addresses loses its own, not the others'.
func TestEviction(t *testing.T) {
	tab := New(Options{Size: 10}, nil)
	tab.AddStatic(10, station(1000), "greedy", at(0))
	tab.Learn(heard(1, "quiet"), at(0))
	tab.Learn(heard(2, "quiet"), at(0))
	for n := range 100 {
		tab.Learn(heard(100+n, "greedy"), at(float64(n)))
		tab.Learn(heard(100, "greedy"), at(float64(n))) // the first one goes on talking
	}
	for _, n := range []int{1, 2, 100, 199, 198, 1000} {
		if _, ok := tab.Lookup(10, station(n)); !ok {
			t.Errorf("%d is gone", n)
		}
	}
	if s := tab.Stats(); s.Entries != 10 || s.Evicted != 93 {
		t.Errorf("stats %+v", s)
	}
	tab.Configure(Options{Size: 20})
	for n := range 20 {
		tab.AddStatic(11, station(n), "s", at(200))
	}
	if _, _, err := tab.AddStatic(11, station(77), "s", at(200)); err != ErrFull {
		t.Errorf("a table full of static entries: %v", err)
	}
	if tab.Learn(heard(500, "quiet"), at(201)) {
		t.Error("learned in a table full of static entries")
	}
	tab.Configure(Options{Size: 10}) // fewer than there are static ones: they stay
	if n := tab.Len(); n != 20 {
		t.Errorf("%d entries", n)
	}
}

func TestStatic(t *testing.T) {
	tab := New(Options{}, nil)
	tab.Learn(heard(1, "a"), at(0))
	was, replaced, err := tab.AddStatic(10, station(1), "b", at(1))
	if err != nil || !replaced || was.Port != "a" || was.Static {
		t.Errorf("AddStatic: %+v %v %v", was, replaced, err)
	}
	tab.Learn(heard(1, "a"), at(2))
	if p, _ := tab.Lookup(10, station(1)); p != "b" {
		t.Errorf("a static entry moved to %q", p)
	}
	tab.Learn(heard(2, "a"), at(2))
	if tab.RemoveStatic(10, station(2)) || !tab.RemoveStatic(10, station(1)) || tab.Len() != 1 {
		t.Error("RemoveStatic")
	}
}

func TestFlush(t *testing.T) {
	tab := New(Options{}, nil)
	for n := range 10 {
		tab.Learn(heard(n, fmt.Sprint("p", n%2)), at(0))
	}
	tab.Learn(Sighting{VLAN: 11, MAC: station(1), Port: "p0"}, at(0))
	tab.AddStatic(10, station(99), "p0", at(0))
	if n := tab.FlushVLAN(11); n != 1 {
		t.Errorf("FlushVLAN: %d", n)
	}
	if n := tab.FlushPort("p1", true); n != 5 {
		t.Errorf("FlushPort: %d", n)
	}
	if n := tab.Flush(at(1)); n != 5 || tab.Len() != 1 {
		t.Errorf("Flush: %d, %d left", n, tab.Len())
	}
	if tab.Learn(heard(1, "p0"), at(0.5)) {
		t.Error("learned from before the flush")
	}
	if !tab.Learn(heard(1, "p0"), at(1.5)) {
		t.Error("not learned after the flush")
	}
	if n := tab.FlushPort("p0", true); n != 2 || tab.Len() != 0 {
		t.Errorf("FlushPort: %d", n)
	}
}

// What a bond reflects does not undo what was said through another port.
func TestGratuitous(t *testing.T) {
	tab := New(Options{}, nil)
	said := heard(1, "a")
	said.Gratuitous = true
	back := heard(1, "bond")
	back.Gratuitous, back.Bond = true, true
	tab.Learn(said, at(0))
	if tab.Learn(back, at(4.9)) {
		t.Error("moved while locked")
	}
	tab.Learn(said, at(4.95)) // again
	if tab.Learn(back, at(9.9)) {
		t.Error("moved while locked anew")
	}
	plain := back
	plain.Gratuitous = false
	if !tab.Learn(plain, at(9.91)) {
		t.Error("plain packets move a station")
	}
	tab.Learn(said, at(9.92))
	if !tab.Learn(back, at(15)) {
		t.Error("did not move after the lock")
	}
}

// The text is that of Debian's ovs-appctl fdb/show and fdb/stats-show.
func TestShow(t *testing.T) {
	tab := New(Options{}, nil)
	tab.Learn(Sighting{VLAN: 10, MAC: Addr{5: 1}, Port: "p1"}, at(0))
	tab.Learn(Sighting{VLAN: 10, MAC: Addr{5: 3}, Port: "p3"}, at(2))
	tab.Learn(Sighting{MAC: Addr{5: 0xf}, Port: "br0"}, at(2.5))
	tab.AddStatic(20, Addr{5: 0x44}, "p4", at(2.6))
	tab.Learn(Sighting{MAC: Addr{5: 0x45}, Port: "gone"}, at(2.7))
	got := tab.Show(func(port string) (uint16, bool) {
		n, ok := map[string]uint16{"p1": 1, "p3": 3, "p4": 4, "br0": Local}[port]
		return n, ok
	}, at(3))
	want := ` port  VLAN  MAC                Age
    1    10  00:00:00:00:00:01    3
    3    10  00:00:00:00:00:03    1
LOCAL     0  00:00:00:00:00:0f    0
    4    20  00:00:00:00:00:44  static
    ?     0  00:00:00:00:00:45    0
`
	if got != want {
		t.Errorf("got\n%s", got)
	}
	want = `Statistics for bridge "br0":
  Current/maximum MAC entries in the table: 5/8192
  Current static MAC entries in the table : 1
  Total number of learned MAC entries     : 4
  Total number of expired MAC entries     : 0
  Total number of evicted MAC entries     : 0
  Total number of port moved MAC entries  : 0
`
	if got := tab.Stats().Show("br0"); got != want {
		t.Errorf("got\n%s", got)
	}
	tab.ClearStats()
	if s := tab.Stats(); s.Learned != 0 || s.Static != 1 {
		t.Errorf("cleared: %+v", s)
	}
}

// TestModel compares with a map that is searched from end to end.
func TestModel(t *testing.T) {
	type line struct {
		port   string
		used   time.Time
		static bool
	}
	r := rand.New(rand.NewPCG(1, 2))
	tab := New(Options{Size: 12, Aging: 20 * time.Second}, nil)
	model := map[int]*line{}
	now := start
	evict := func() {
		count := map[string]int{}
		for _, l := range model {
			if !l.static {
				count[l.port]++
			}
		}
		most := 0
		for _, n := range count {
			most = max(most, n)
		}
		// Where several ports have the most, the table says which.
		var gone []int
		for n, l := range model {
			if _, ok := tab.Lookup(10, station(n)); !ok {
				if l.static || count[l.port] != most {
					t.Fatalf("evicted %d of %s with %d of %d entries", n, l.port, count[l.port], most)
				}
				for _, other := range model {
					if other.port == l.port && !other.static && other.used.Before(l.used) {
						t.Fatalf("evicted %d, which was not the oldest", n)
					}
				}
				gone = append(gone, n)
			}
		}
		if len(gone) != 1 {
			t.Fatalf("evicted %v", gone)
		}
		delete(model, gone[0])
	}
	for range 20000 {
		now = now.Add(time.Duration(r.IntN(2000)+1) * time.Millisecond)
		n, port := r.IntN(30), fmt.Sprint("p", r.IntN(4))
		switch r.IntN(20) {
		case 0:
			tab.Expire(now)
			for n, l := range model {
				if !l.static && now.Sub(l.used) >= 20*time.Second {
					delete(model, n)
				}
			}
		case 1:
			static := r.IntN(2) == 0
			tab.FlushPort(port, static)
			for n, l := range model {
				if l.port == port && (static || !l.static) {
					delete(model, n)
				}
			}
		case 2:
			full := len(model) >= 12 && model[n] == nil
			if r.IntN(2) == 0 || n > 3 {
				l := model[n]
				if tab.RemoveStatic(10, station(n)) != (l != nil && l.static) {
					t.Fatal("RemoveStatic")
				}
				if l != nil && l.static {
					delete(model, n)
				}
				break
			}
			if _, _, err := tab.AddStatic(10, station(n), port, now); err != nil {
				t.Fatal(err)
			}
			if full {
				evict()
			}
			model[n] = &line{port, now, true}
		default:
			tab.Learn(heard(n, port), now)
			switch l := model[n]; {
			case l == nil:
				if len(model) >= 12 {
					evict()
				}
				model[n] = &line{port, now, false}
			case !l.static:
				l.port, l.used = port, now
			}
		}
		if tab.Len() != len(model) {
			t.Fatalf("%d entries, want %d", tab.Len(), len(model))
		}
		for n, l := range model {
			if p, ok := tab.Lookup(10, station(n)); !ok || p != l.port {
				t.Fatalf("%d is on %q, want %q", n, p, l.port)
			}
		}
		for _, e := range tab.Entries() {
			l := model[int(e.MAC[5])]
			if !e.Used.Equal(l.used) || e.Static != l.static {
				t.Fatalf("%+v, want %+v", e, *l)
			}
		}
	}
}

func TestConcurrent(t *testing.T) {
	tab := New(Options{Size: 50}, func() {})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 0))
			for i := range 3000 {
				now := at(float64(i) / 10)
				tab.Learn(heard(r.IntN(80), fmt.Sprint(r.IntN(5))), now)
				tab.Lookup(10, station(r.IntN(80)))
				switch r.IntN(100) {
				case 0:
					tab.Flush(now)
				case 1:
					tab.Expire(now)
				case 2:
					tab.Entries()
				case 3:
					tab.FlushPort("1", true)
				}
			}
		})
	}
	wg.Wait()
	if n := tab.Len(); n > 50 {
		t.Errorf("%d entries", n)
	}
}

func BenchmarkRefresh(b *testing.B) {
	tab := New(Options{}, nil)
	for n := range 1000 {
		tab.Learn(heard(n, "a"), start)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		tab.Learn(Sighting{VLAN: 10, MAC: station(n % 1000), Port: "a"}, start.Add(time.Duration(n)))
	}
}

func BenchmarkLookup(b *testing.B) {
	tab := New(Options{}, nil)
	for n := range 1000 {
		tab.Learn(heard(n, "a"), start)
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		tab.Lookup(10, station(n%1000))
	}
}

// BenchmarkChurn learns ever new addresses in a full table.
func BenchmarkChurn(b *testing.B) {
	tab := New(Options{}, nil)
	for n := 0; b.Loop(); n++ {
		tab.Learn(heard(n, "a"), start.Add(time.Duration(n)))
	}
}
