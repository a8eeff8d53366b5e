package shape

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"govs/datapath/drop"
	"govs/datapath/packet"
)

const mbit = 1000 * 1000

// A source pushes frames of a size into a queue, so that some always wait, or
// at a rate.
type source struct {
	queue uint32
	size  int
	hash  uint32
	rate  float64 // bits a second; 0 is as much as there can be
	from  time.Duration
	to    time.Duration // 0 is the end

	sent int // bytes pushed
}

// A run is a scheduler with sources in simulated time.
type run struct {
	s       Scheduler
	now     time.Duration
	late    func() time.Duration // by which its owner wakes too late
	sources []*source
	bytes   map[uint32]int // that left, by hash
	lost    map[drop.Reason]int
	popped  func(f *Frame, now time.Duration)
}

var (
	pool packet.Pool
	dull = pool.From(make([]byte, 60))
)

func newRun(c Config, sources ...*source) *run {
	r := &run{sources: sources, bytes: make(map[uint32]int), lost: make(map[drop.Reason]int)}
	r.s = New(c, func(f Frame, why drop.Reason) { r.lost[why]++ })
	return r
}

// feed pushes what the sources have by now.
func (r *run) feed() {
	for _, src := range r.sources {
		if r.now < src.from || src.to > 0 && r.now >= src.to {
			continue
		}
		if src.rate == 0 {
			for n := r.waiting(src.queue); n < 8; n++ {
				r.s.Push(Frame{Packet: dull, Bytes: src.size, Queue: src.queue, Hash: src.hash}, r.now)
			}
			continue
		}
		for float64(src.sent+src.size)*8 <= src.rate*(r.now-src.from).Seconds() {
			src.sent += src.size
			r.s.Push(Frame{Packet: dull, Bytes: src.size, Queue: src.queue, Hash: src.hash}, r.now)
		}
	}
}

func (r *run) waiting(queue uint32) int {
	for _, s := range r.s.Stats() {
		if s.Queue == queue {
			return s.Waiting
		}
	}
	return r.s.Stats()[0].Waiting
}

// for_ runs for a time, and has the sources push at least every tick.
func (r *run) advance(d, tick time.Duration) {
	end := r.now + d
	for r.now < end {
		r.feed()
		f, ok, next := r.s.Pop(r.now)
		if ok {
			r.bytes[f.Hash] += f.Bytes
			if r.popped != nil {
				r.popped(&f, r.now)
			}
			continue
		}
		if next < Never && next <= r.now {
			panic(fmt.Sprint("told to come again at ", next, " when it is ", r.now))
		}
		if r.late != nil && next < Never {
			next += r.late()
		}
		r.now = min(next, r.now+tick, end)
	}
}

// share is what left with the hash, in Mbit/s over the time.
func (r *run) share(hash uint32, d time.Duration) float64 {
	return float64(r.bytes[hash]) * 8 / d.Seconds() / mbit
}

func near(got, want, part float64) bool { return math.Abs(got-want) <= want*part }

// TestShares is what queues get, to a hundredth, in ten seconds.
func TestShares(t *testing.T) {
	const frame, segment = 1514, 65226
	queue := func(id uint32, min, max uint64, priority uint32) Queue {
		return Queue{ID: id, Min: min, Max: max, Burst: 1564, Priority: priority, DSCP: -1}
	}
	for _, test := range []struct {
		name    string
		rate    uint64
		queues  []Queue
		sources []*source
		want    []float64 // Mbit/s by hash, from 0 on
	}{
		{
			"one queue has the port's rate", 50 * mbit, []Queue{queue(0, 12000, 0, 0)},
			[]*source{{size: frame}}, []float64{50},
		},
		{
			"two guests of 10 and 40", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 12000, 10*mbit, 0), queue(2, 12000, 40*mbit, 0)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{10, 40},
		},
		{
			"the same in large segments", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 12000, 10*mbit, 0), queue(2, 12000, 40*mbit, 0)},
			[]*source{{size: segment, queue: 1}, {size: segment, queue: 2, hash: 1}}, []float64{10, 40},
		},
		{
			"guaranteed rates add up to the port's", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 10*mbit, 0, 0), queue(2, 40*mbit, 0, 0)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{10, 40},
		},
		{
			"a queue borrows what another does not use", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 10*mbit, 0, 0), queue(2, 40*mbit, 0, 0)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1, rate: 15 * mbit}}, []float64{35, 15},
		},
		{
			"and no more than its highest rate", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 10*mbit, 20*mbit, 0), queue(2, 40*mbit, 0, 0)},
			[]*source{{size: frame, queue: 1}}, []float64{20},
		},
		{
			"the rest in proportion to guaranteed rates", 80 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 10*mbit, 0, 0), queue(2, 30*mbit, 0, 0)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{20, 60},
		},
		{
			"a frame's length is no advantage", 80 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 10*mbit, 0, 0), queue(2, 10*mbit, 0, 0)},
			[]*source{{size: segment, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{40, 40},
		},
		{
			"the rest goes to the lowest priority number", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 5*mbit, 0, 7), queue(2, 5*mbit, 0, 3)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{5, 45},
		},
		{
			"what it leaves goes to the next", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 5*mbit, 0, 7), queue(2, 5*mbit, 20*mbit, 3)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{30, 20},
		},
		{
			"guarantees beyond the port's rate do not make it faster", 50 * mbit, []Queue{queue(0, 12000, 0, 0), queue(1, 50*mbit, 0, 0), queue(2, 50*mbit, 0, 0)},
			[]*source{{size: frame, queue: 1}, {size: frame, queue: 2, hash: 1}}, []float64{25, 25},
		},
		{
			"a queue that is not there is the default", 50 * mbit, []Queue{queue(0, 12000, 20*mbit, 0), queue(1, 12000, 0, 0)},
			[]*source{{size: frame, queue: 9, rate: 60 * mbit}, {size: frame, queue: 1, hash: 1}}, []float64{20, 30},
		},
		{
			"without queues there is one", 10 * mbit, nil,
			[]*source{{size: frame, queue: 3}}, []float64{10},
		},
	} {
		for _, lateness := range []time.Duration{0, 20 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s, woken %v late", test.name, lateness), func(t *testing.T) {
				var sources []*source
				for _, s := range test.sources {
					one := *s
					sources = append(sources, &one)
				}
				r := newRun(Config{MTU: frame, Rate: test.rate, Queues: test.queues}, sources...)
				random := rand.New(rand.NewPCG(1, 2))
				if lateness > 0 {
					r.late = func() time.Duration { return time.Duration(random.Int64N(int64(lateness))) }
				}
				const d = 10 * time.Second
				r.advance(d, 50*time.Millisecond)
				for hash, want := range test.want {
					if got := r.share(uint32(hash), d); !near(got, want, 0.01) {
						t.Errorf("flow %d got %.2f Mbit/s, want %.2f", hash, got, want)
					}
				}
			})
		}
	}
}

// TestBurst is what passes at once after a pause: the burst, and the frame that
// goes into debt.
func TestBurst(t *testing.T) {
	const burst = 30000
	r := newRun(Config{MTU: 1514, Queues: []Queue{{Max: 8 * mbit, Burst: burst}}}, &source{size: 1500})
	at := func(now time.Duration) (n int) {
		r.now = now
		r.feed()
		for {
			f, ok, _ := r.s.Pop(now)
			if !ok {
				return n
			}
			n += f.Bytes
			r.feed()
		}
	}
	if n := at(0); n <= burst || n > burst+1500 {
		t.Errorf("%d bytes at once at first, want the burst of %d", n, burst)
	}
	if n := at(10 * time.Millisecond); n > 10000+1500 {
		t.Errorf("%d bytes after 10 ms, want 10000", n)
	}
	for _, ok := r.s.Drain(); ok; _, ok = r.s.Drain() {
	}
	if n := at(time.Hour); n <= burst || n > burst+1500 {
		t.Errorf("%d bytes at once after an hour, want the burst of %d", n, burst)
	}
}

// TestBounds says that queues are bounded in bytes and frames, and that each
// frame too many is told of.
func TestBounds(t *testing.T) {
	for _, size := range []int{60, 1514, 65226} {
		r := newRun(Config{Rate: 10 * mbit, Queues: []Queue{{ID: 0}, {ID: 1}}})
		for range 10000 {
			r.s.Push(Frame{Packet: dull, Bytes: size, Queue: 1}, 0)
		}
		s := r.s.Stats()[1]
		if s.Waiting+r.lost[drop.QueueFull] != 10000 || s.Waiting*size > 125000+size || s.Waiting == 0 || int(s.Dropped) != r.lost[drop.QueueFull] {
			t.Errorf("of frames of %d bytes wait %d, lost are %v", size, s.Waiting, r.lost)
		}
		for range s.Waiting {
			if _, ok := r.s.Drain(); !ok {
				t.Fatal("nothing to drain")
			}
		}
		if _, ok := r.s.Drain(); ok || r.waiting(1) != 0 {
			t.Error("more drained than there was")
		}
	}
}

// TestFlowsOfAQueue has three flows in one queue, one of which pushes ten times
// what there is, and one hardly anything: the first two have the same part, and
// the third one does not wait behind them.
func TestFlowsOfAQueue(t *testing.T) {
	r := newRun(Config{MTU: 1514, Rate: 20 * mbit}, &source{size: 1514, hash: 1, rate: 200 * mbit}, &source{size: 700, hash: 2, rate: 15 * mbit},
		&source{size: 100, hash: 3, rate: 80000})
	var worst time.Duration
	n := 0
	r.popped = func(f *Frame, now time.Duration) {
		if f.Hash == 3 {
			n++
			worst = max(worst, now-time.Duration(n)*10*time.Millisecond)
		}
	}
	const d = 10 * time.Second
	r.advance(d, 100*time.Microsecond)
	if a, b := r.share(1, d), r.share(2, d); !near(a, b, 0.01) || !near(a+b+0.08, 20, 0.01) {
		t.Errorf("the flows got %.2f and %.2f Mbit/s, want half of 20 each", a, b)
	}
	if n < 990 || worst > 3*time.Millisecond {
		t.Errorf("of 1000 frames %d left, the slowest after %v", n, worst)
	}
	if r.lost[drop.QueueFull] == 0 {
		t.Error("nothing was too much")
	}
}

// TestLatency is how long a frame of a high class waits while others have full
// queues: no longer than those take for what may travel whole.
func TestLatency(t *testing.T) {
	c := Config{MTU: 1514, Rate: 50 * mbit, Queues: []Queue{{}, {ID: 1, Min: 40 * mbit, Priority: 5}, {ID: 2, Min: 1 * mbit}}}
	whole := c.Whole(1)
	if whole != 12500 {
		t.Errorf("%d bytes may travel whole, want 2 ms of the rate", whole)
	}
	r := newRun(c, &source{size: whole, queue: 1}, &source{size: 100, queue: 2, hash: 1, rate: 80000})
	var worst time.Duration
	left := 0
	r.popped = func(f *Frame, now time.Duration) {
		if f.Hash == 1 {
			left++
			due := time.Duration(float64(left*100*8) / 80000 * 1e9)
			worst = max(worst, now-due)
		}
	}
	r.advance(5*time.Second, time.Millisecond)
	if left < 490 || worst > 4*time.Millisecond {
		t.Errorf("of 500 frames %d left, the slowest after %v", left, worst)
	}
}

func TestWhole(t *testing.T) {
	for _, test := range []struct {
		c     Config
		queue uint32
		want  int
	}{
		{Config{Rate: 1000 * mbit}, 0, 250000},
		{Config{Rate: 8 * mbit, Queues: []Queue{{Max: 4 * mbit}, {ID: 1, Burst: 60000}}}, 0, 1000},
		{Config{Rate: 8 * mbit, Queues: []Queue{{Max: 4 * mbit}, {ID: 1, Burst: 60000}}}, 1, 60000},
		{Config{Rate: 8 * mbit, Queues: []Queue{{Max: 4 * mbit}, {ID: 1, Burst: 60000}}}, 2, 1000},
		{Config{}, 0, math.MaxInt},
		{Config{Kind: Policer, Rate: 8}, 0, 0},
		{Config{Kind: Netem}, 0, math.MaxInt},
	} {
		if got := test.c.Whole(test.queue); got != test.want {
			t.Errorf("%+v queue %d: %d, want %d", test.c, test.queue, got, test.want)
		}
	}
}

func TestPolicer(t *testing.T) {
	// 1 Mbyte/s of what follows the Ethernet header.
	r := newRun(Config{Kind: Policer, Rate: 8 * mbit, Burst: 3000, Header: 14}, &source{size: 1014, rate: 20 * mbit})
	r.advance(10*time.Second, time.Millisecond)
	if got := r.share(0, 10*time.Second) * 1000 / 1014; !near(got, 8, 0.01) {
		t.Errorf("%.2f Mbit/s passed, want 8", got)
	}
	s := r.s.Stats()[0]
	if r.lost[drop.Shaped] == 0 || int(s.Dropped) != r.lost[drop.Shaped] || s.Waiting != 0 {
		t.Errorf("lost %v, %+v", r.lost, s)
	}
	// What is longer than the burst never passes.
	if r.s.Push(Frame{Packet: dull, Bytes: 3015}, time.Hour) {
		t.Error("a frame longer than the burst passed")
	}
	if !r.s.Push(Frame{Packet: dull, Bytes: 3014}, time.Hour) {
		t.Error("a frame as long as the burst did not pass")
	}
}

func TestNetem(t *testing.T) {
	r := newRun(Config{Kind: Netem, Latency: 30 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.1, Limit: 100, Seed: 1})
	pushed := make(map[uint32]time.Duration)
	var least, most time.Duration = time.Hour, 0
	pop := func() {
		for {
			f, ok, _ := r.s.Pop(r.now)
			if !ok {
				return
			}
			d := r.now - pushed[f.In]
			least, most = min(least, d), max(most, d)
			delete(pushed, f.In)
		}
	}
	for n := range uint32(10000) {
		r.now += time.Millisecond
		pushed[n] = r.now
		r.s.Push(Frame{Packet: dull, Bytes: 100, In: n}, r.now)
		pop()
	}
	if least < 20*time.Millisecond || least > 22*time.Millisecond || most < 38*time.Millisecond || most > 41*time.Millisecond {
		t.Errorf("frames waited %v to %v, want 20 to 40 ms", least, most)
	}
	if n := r.lost[drop.Shaped]; n < 900 || n > 1100 {
		t.Errorf("%d of 10000 frames lost, want a tenth", n)
	}
	for range 1000 {
		r.s.Push(Frame{Packet: dull, Bytes: 100}, r.now)
	}
	if n := r.s.Stats()[0].Waiting; n != 100 || r.lost[drop.QueueFull] == 0 {
		t.Errorf("%d wait, want the limit of 100; lost %v", n, r.lost)
	}
	n := 0
	for _, ok := r.s.Drain(); ok; _, ok = r.s.Drain() {
		n++
	}
	if n != 100 {
		t.Errorf("%d drained", n)
	}
	// Without jitter frames keep their order.
	r = newRun(Config{Kind: Netem, Latency: time.Millisecond})
	for n := range uint32(100) {
		r.s.Push(Frame{Packet: dull, In: n}, 0)
	}
	for n := range uint32(100) {
		if f, ok, _ := r.s.Pop(time.Millisecond); !ok || f.In != n {
			t.Fatalf("frame %d is %d, %v", n, f.In, ok)
		}
	}
	if _, ok, next := r.s.Pop(time.Second); ok || next != Never {
		t.Error("something is left")
	}
}

// drainAt pops at a rate, as a slow device does.
func (r *run) drainAt(rate float64, d time.Duration) {
	end := r.now + d
	for r.now < end {
		r.feed()
		f, ok, _ := r.s.Pop(r.now)
		if !ok {
			r.now += time.Millisecond
			continue
		}
		r.bytes[f.Hash] += f.Bytes
		if r.popped != nil {
			r.popped(&f, r.now)
		}
		r.now += time.Duration(float64(f.Bytes*8) / rate * 1e9)
	}
}

// TestFair has three flows at a slow device: each gets a third, whatever its
// frames' length and however much it pushes.
func TestFair(t *testing.T) {
	for _, kind := range []Kind{SFQ, FQCoDel} {
		r := newRun(Config{Kind: kind, MTU: 1514}, &source{size: 1514, hash: 1, rate: 30 * mbit},
			&source{size: 300, hash: 2, rate: 8 * mbit}, &source{size: 1514, hash: 3, rate: 5 * mbit})
		const d = 10 * time.Second
		r.drainAt(9*mbit, d)
		for hash := uint32(1); hash <= 3; hash++ {
			if got := r.share(hash, d); !near(got, 3, 0.03) {
				t.Errorf("kind %d: flow %d got %.2f Mbit/s, want 3", kind, hash, got)
			}
		}
	}
}

// TestCoDel has a device twice as slow as what comes, from sources that do not
// slow down: the queue's delay is brought down all the same, if slowly, and a
// queue that is no longer than a frame is left alone.
func TestCoDel(t *testing.T) {
	r := newRun(Config{Kind: CoDel, MTU: 1514}, &source{size: 1514, rate: 11 * mbit, to: 60 * time.Second})
	r.drainAt(10*mbit, 60*time.Second)
	if got := r.share(0, 60*time.Second); !near(got, 10, 0.01) {
		t.Errorf("%.2f Mbit/s, want all of 10", got)
	}
	n := r.lost[drop.Shaped]
	// A tail drop queue of 1000 frames would be full: 1.2 s.
	if delay := time.Duration(r.waiting(0)) * 1211 * time.Microsecond; n == 0 || delay > 50*time.Millisecond {
		t.Errorf("%d frames dropped, the last ones wait %v", n, delay)
	}
	r = newRun(Config{Kind: CoDel, MTU: 1514}, &source{size: 1514, rate: 9 * mbit})
	r.drainAt(10*mbit, 10*time.Second)
	if len(r.lost) != 0 {
		t.Errorf("lost %v of what the device can take", r.lost)
	}
}

// TestSparse says that FQCoDel lets a flow that sends little pass those that
// send much.
func TestSparse(t *testing.T) {
	r := newRun(Config{Kind: FQCoDel, MTU: 1514}, &source{size: 1514, hash: 1, rate: 20 * mbit}, &source{size: 100, hash: 2, rate: 80000})
	var worst time.Duration
	n := 0
	r.popped = func(f *Frame, now time.Duration) {
		if f.Hash == 2 {
			n++
			worst = max(worst, now-time.Duration(n)*10*time.Millisecond)
		}
	}
	r.drainAt(10*mbit, 5*time.Second)
	if n < 490 || worst > 4*time.Millisecond {
		t.Errorf("of 500 frames %d left, the slowest after %v", n, worst)
	}
}

// TestNothingGetsLost pushes and pops at random: every frame leaves once, or is
// told of as lost, or waits; and no more leaves than the rate allows.
func TestNothingGetsLost(t *testing.T) {
	for _, kind := range []Kind{HTB, Policer, SFQ, CoDel, FQCoDel, Netem} {
		for seed := range uint64(30) {
			check(t, kind, seed, 3000)
		}
	}
}

func check(t *testing.T, kind Kind, seed uint64, steps int) {
	random := rand.New(rand.NewPCG(seed, uint64(kind)))
	c := Config{
		Kind: kind, Rate: uint64(random.IntN(100)) * mbit, Burst: random.IntN(10000), Limit: random.IntN(50), Perturb: time.Duration(random.IntN(2)) * time.Second,
		Latency: time.Duration(random.IntN(1e7)), Jitter: time.Duration(random.IntN(1e7)), Loss: random.Float64() / 2, Flows: random.IntN(20),
	}
	for id := range uint32(random.IntN(5)) {
		c.Queues = append(c.Queues, Queue{ID: id, Min: uint64(random.IntN(50)) * mbit, Max: uint64(random.IntN(60)) * mbit, Burst: random.IntN(5000), Priority: uint32(random.IntN(3))})
	}
	there := make(map[uint32]bool)
	s := New(c, func(f Frame, _ drop.Reason) {
		if !there[f.In] {
			t.Errorf("kind %d seed %d: frame %d lost twice, or never pushed", kind, seed, f.In)
		}
		delete(there, f.In)
	})
	var now, next time.Duration
	left, longest := 0, 0
	for n := range uint32(steps) {
		if random.IntN(2) == 0 {
			now += time.Duration(random.IntN(2e6))
		}
		if random.IntN(3) > 0 {
			f := Frame{Packet: dull, Bytes: 14 + random.IntN(3000), Queue: uint32(random.IntN(7)), Hash: uint32(random.IntN(9)), In: n}
			longest = max(longest, f.Bytes)
			there[n] = true
			if s.Push(f, now) {
				next = now
			}
		}
		for range random.IntN(4) {
			f, ok, at := s.Pop(now)
			if ok {
				if now < next {
					t.Fatalf("kind %d seed %d: a frame at %v, said was %v", kind, seed, now, next)
				}
				if !there[f.In] {
					t.Fatalf("kind %d seed %d: frame %d twice", kind, seed, f.In)
				}
				delete(there, f.In)
				left += f.Bytes
				continue
			}
			if at <= now {
				t.Fatalf("kind %d seed %d: come again at %v, says it at %v", kind, seed, at, now)
			}
			next = at
			break
		}
		bound := float64(c.Rate)/8*(now.Seconds()+grace.Seconds()) + 1514 + float64(longest)
		if kind == HTB && c.Rate > 0 && float64(left) > bound {
			t.Fatalf("kind %d seed %d: %d bytes in %v at %d bit/s", kind, seed, left, now, c.Rate)
		}
	}
	waiting := 0
	for _, st := range s.Stats() {
		waiting += st.Waiting
	}
	if waiting != len(there) {
		t.Errorf("kind %d seed %d: %d wait, %d are there", kind, seed, waiting, len(there))
	}
	for f, ok := s.Drain(); ok; f, ok = s.Drain() {
		if !there[f.In] {
			t.Fatalf("kind %d seed %d: frame %d drained twice", kind, seed, f.In)
		}
		delete(there, f.In)
	}
	if len(there) != 0 {
		t.Errorf("kind %d seed %d: %d frames stayed behind", kind, seed, len(there))
	}
}

func FuzzScheduler(f *testing.F) {
	f.Add(uint8(0), uint64(1))
	f.Add(uint8(4), uint64(2))
	f.Fuzz(func(t *testing.T, kind uint8, seed uint64) { check(t, Kind(kind%6), seed, 500) })
}

func TestNoAllocations(t *testing.T) {
	for _, kind := range []Kind{HTB, Policer, SFQ, CoDel, FQCoDel, Netem} {
		s := New(Config{Kind: kind, Rate: 8000 * mbit, Burst: 1 << 20, Queues: []Queue{{}, {ID: 1, Min: mbit}, {ID: 2, Priority: 3}}}, func(Frame, drop.Reason) {})
		now := time.Duration(0)
		step := func() {
			for n := range uint32(64) {
				s.Push(Frame{Packet: dull, Bytes: 1514, Queue: n % 3, Hash: n}, now)
			}
			for ok := true; ok; now += 2 * time.Microsecond {
				_, ok, _ = s.Pop(now)
			}
		}
		for range 100 {
			step()
		}
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("kind %d: %v allocations for 64 frames", kind, n)
		}
	}
}

func BenchmarkPushPop(b *testing.B) {
	for name, c := range map[string]Config{
		"htb/1":    {Rate: 1e12},
		"htb/8":    {Rate: 1e12, Queues: []Queue{{}, {ID: 1, Min: mbit}, {ID: 2}, {ID: 3}, {ID: 4, Priority: 1}, {ID: 5, Priority: 1}, {ID: 6, Priority: 2}, {ID: 7}}},
		"sfq":      {Kind: SFQ},
		"fq_codel": {Kind: FQCoDel},
		"netem":    {Kind: Netem},
		"policer":  {Kind: Policer, Rate: 1e12, Burst: 1 << 20},
	} {
		b.Run(name, func(b *testing.B) {
			s := New(c, func(Frame, drop.Reason) {})
			b.ReportAllocs()
			now, n := time.Duration(0), uint32(0)
			for b.Loop() {
				n++
				now += time.Microsecond
				s.Push(Frame{Packet: dull, Bytes: 1514, Queue: n & 7, Hash: n}, now)
				if n&31 == 0 {
					for ok := true; ok; {
						_, ok, _ = s.Pop(now)
					}
				}
			}
		})
	}
}
