package command

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestReturner uses memory and sees when it is given back.
func TestReturner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var mu sync.Mutex
		var all []time.Duration
		r := returner{free: func() {
			mu.Lock()
			all = append(all, time.Since(began))
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
		}}
		times := func() []time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(all)
		}
		r.used(returnLeast - 1)
		time.Sleep(time.Minute)
		if at := times(); len(at) > 0 {
			t.Fatal("little was given back after", at)
		}
		r.used(1)
		r.used(returnLeast)
		time.Sleep(time.Second)
		if at := times(); len(at) != 1 || at[0] != time.Minute+returnAfter {
			t.Fatal("given back after", at)
		}
		r.used(returnLeast)
		time.Sleep(time.Minute)
		if at := times(); len(at) != 3 {
			t.Error("given back after", at, "in all")
		}
		for range 1000 { // often: it must not be done all the time
			r.used(returnLeast)
			time.Sleep(10 * time.Millisecond)
		}
		if n := len(times()) - 3; n < 5 || n > 11 {
			t.Error("in ten seconds", n, "times")
		}
		time.Sleep(time.Minute)
	})
}

func TestGCPercent(t *testing.T) {
	for _, c := range []struct {
		live uint64
		want int
	}{{0, 3200}, {1 << 20, 3200}, {16 << 20, 400}, {64 << 20, 300}, {256 << 20, 200}, {1 << 30, 100}} {
		if got := gcPercent(c.live); got != c.want {
			t.Errorf("%d bytes live: %d %%, want %d", c.live, got, c.want)
		}
	}
}

// TestCollector frees when there was no collection for some time, once.
func TestCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		c := &collector{}
		c.free = func() {
			at = append(at, time.Since(began))
			c.collected()
		}
		for range 5 {
			c.collected()
			time.Sleep(quiet / 2)
		}
		time.Sleep(10 * quiet)
		synctest.Wait()
		if want := []time.Duration{2*quiet + quiet}; !slices.Equal(at, want) {
			t.Errorf("freed after %v, want %v", at, want)
		}
		c.collected()
		time.Sleep(10 * quiet)
		synctest.Wait()
		if len(at) != 2 {
			t.Errorf("freed after %v", at)
		}
	})
}
