package meter

import (
	"math"
	"sync"
	"testing"
	"time"
)

// start is some moment; tests move on from it.
var start = time.Unix(1_700_000_000, 0)

// offer sends packets of n bytes at the given rate for the given time and
// returns the bits that passed.
func offer(p *Policer, from time.Time, d time.Duration, n int, bps float64) (bits float64) {
	gap := time.Duration(float64(n) * 8 / bps * float64(time.Second))
	for t := from; t.Before(from.Add(d)); t = t.Add(gap) {
		if p.Admit(n, t) {
			bits += float64(n) * 8
		}
	}
	return bits
}

func TestRate(t *testing.T) {
	for _, c := range []Config{
		{RateKbps: 1000, BurstKb: 100},
		{RateKbps: 1, BurstKb: 1},
		{RateKbps: 10_000, BurstKb: 8000},
		{RateKbps: 1_000_000, BurstKb: 100},
		{RateKbps: 5000},
	} {
		for _, n := range []int{60, 1514, 9014, 65550} {
			rate := float64(c.RateKbps) * 1000
			// 20 s, or 200,000 packets.
			d := time.Duration(min(20, 200_000*float64(n)*8/(5*rate)) * float64(time.Second))
			burst := float64(c.BurstKb) * 1000
			if burst == 0 {
				burst = 8_000_000
			}
			got := offer(New(c), start, d, n, 5*rate)
			want := rate*d.Seconds() + burst
			// The last packet may go into debt, and one gap is lost.
			if diff := math.Abs(got - want); diff > 2*float64(n)*8+rate*0.001 {
				t.Errorf("%+v, packets of %d bytes: %.0f bits passed in %v, want %.0f", c, n, got, d, want)
			}
		}
	}
}

func TestBelowRate(t *testing.T) {
	p := New(Config{RateKbps: 1000, BurstKb: 100})
	if got := offer(p, start, 10*time.Second, 1000, 900_000); got < 8_990_000 {
		t.Errorf("of 9 Mbit offered at 90 %% of the rate %.0f passed", got)
	}
}

// TestBurst looks at what passes at one moment: the burst at first, and after
// a pause what came in it, but no more than 400 ms' worth.
func TestBurst(t *testing.T) {
	p := New(Config{RateKbps: 1000, BurstKb: 100})
	now := start
	moment := func(now time.Time) (bits float64) {
		for p.Admit(1250, now) {
			bits += 10_000
		}
		return bits
	}
	for _, step := range []struct {
		after time.Duration
		want  float64
	}{
		{0, 100_000}, {0, 0}, {10 * time.Millisecond, 10_000}, {200 * time.Millisecond, 200_000},
		{time.Hour, 400_000}, {time.Millisecond, 10_000}, // in debt by 9 ms
		{9 * time.Millisecond, 0}, {2 * time.Millisecond, 10_000},
	} {
		now = now.Add(step.after)
		if got := moment(now); got != step.want {
			t.Errorf("%v later %.0f bits pass at once, want %.0f", step.after, got, step.want)
		}
	}
}

func TestPackets(t *testing.T) {
	p := New(Config{RateKpkts: 1, BurstKpkts: 1})
	passed := 0
	for i := range 100_000 { // 10 s at 10 kpps
		if p.Admit(60+i%1400, start.Add(time.Duration(i)*100*time.Microsecond)) {
			passed++
		}
	}
	if passed < 10_990 || passed > 11_010 {
		t.Errorf("%d packets passed in 10 s at 1 kpps with a burst of 1 kpkt", passed)
	}
}

// TestBoth has both limits; what one refuses must not cost the other.
func TestBoth(t *testing.T) {
	p := New(Config{RateKbps: 1_000_000, BurstKb: 1_000_000, RateKpkts: 1, BurstKpkts: 1})
	for range 100_000 {
		p.Admit(1500, start)
	}
	if want := 1e9 - 1000*12_000; p.bits.tokens != want {
		t.Errorf("%.0f bits are left, want %.0f", p.bits.tokens, want)
	}
}

func TestSet(t *testing.T) {
	p := New(Config{})
	for range 1000 {
		if !p.Admit(65550, start) {
			t.Fatal("dropped without a limit")
		}
	}
	limit := Config{RateKbps: 8, BurstKb: 8}
	p.Set(limit)
	if !p.Admit(1000, start) || p.Admit(1000, start) {
		t.Error("the limit does not hold")
	}
	p.Set(limit)
	if p.Admit(1000, start) {
		t.Error("setting the same limits filled the bucket")
	}
	if p.Admit(1000, start.Add(-time.Hour)) {
		t.Error("time that ran backwards filled the bucket")
	}
	if p.Config() != limit || p.Config().Unlimited() {
		t.Errorf("%+v", p.Config())
	}
	p.Set(Config{})
	if !p.Admit(1000, start) {
		t.Error("the limit is still there")
	}
}

func TestConcurrentSet(t *testing.T) {
	p := New(Config{RateKbps: 1})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range uint64(1000) {
			p.Set(Config{RateKbps: i})
			p.Config()
		}
	})
	for range 1000 {
		p.Admit(100, start)
	}
	wg.Wait()
}

func TestAllocs(t *testing.T) {
	p := New(Config{RateKbps: 1000, RateKpkts: 1})
	now := start
	if n := testing.AllocsPerRun(1000, func() { now = now.Add(time.Microsecond); p.Admit(1000, now) }); n != 0 {
		t.Errorf("Admit allocates %v times", n)
	}
}

func BenchmarkAdmit(b *testing.B) {
	p := New(Config{RateKbps: 10_000_000, RateKpkts: 10_000})
	now := start
	for b.Loop() {
		now = now.Add(100 * time.Nanosecond)
		p.Admit(1514, now)
	}
}
