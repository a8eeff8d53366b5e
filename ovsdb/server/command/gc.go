package command

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// How much garbage the heap may hold before a collection, whose work depends on
// what lives: so that a server with little in it does not do one every few
// megabytes, and one with many rows spends its time on transactions. Under load it
// takes less than the C server for the same rows even so; what it does not need
// goes back to the system when it is idle.
const (
	heapRoom = 64 << 20  // at least
	heapMore = 3         // times what lives,
	heapMost = 512 << 20 // but no more than this, or what lives
)

// quiet is how long there was no collection when memory goes back to the system.
const quiet = 10 * time.Second

// tuneGC lets the heap grow by these rules between collections, and calls free when there
// was none for some time. $GOGC and $GOMEMLIMIT go before.
func tuneGC(free func()) {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		(&collector{free: free}).after(new(sentinel))
	}
}

// sentinel is garbage from the beginning: its finalizer runs after each collection.
type sentinel struct{ _ [16]byte }

// A collector is told of each collection.
type collector struct {
	free func()

	mu      sync.Mutex
	timer   *time.Timer // to the end of the quiet time
	freeing bool
}

func (c *collector) after(s *sentinel) {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetGCPercent(gcPercent(live[0].Value.Uint64()))
	c.collected()
	runtime.SetFinalizer(s, c.after)
}

// collected begins the quiet time anew.
func (c *collector) collected() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.freeing: // that is a collection, too
		c.freeing = false
	case c.timer == nil:
		c.timer = time.AfterFunc(quiet, c.run)
	default:
		c.timer.Reset(quiet)
	}
}

func (c *collector) run() {
	c.mu.Lock()
	c.freeing = true
	c.mu.Unlock()
	c.free()
}

// gcPercent is the percentage for a live heap.
func gcPercent(live uint64) int {
	live = max(live, 1<<20)
	room := max(heapRoom, min(heapMore*live, heapMost), live)
	return int(min(100*room/live, 3200))
}

// A returner gives memory back to the system some time after much of it was used
// for a moment: by a start, or by the first replies to monitors. A collection by
// itself would come late, as little is allocated afterwards.
type returner struct {
	free func() // debug.FreeOSMemory

	mu    sync.Mutex
	timer *time.Timer
	bytes int // used since the last time
}

const (
	returnLeast = 4 << 20                // bytes that are worth the work
	returnAfter = 400 * time.Millisecond // since they were used
	returnAgain = 5 * time.Second        // since the first time
	returnShare = 20                     // of the time passes between two, as a multiple of what one takes
)

// used notes that about n bytes were used for a moment.
func (r *returner) used(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes += n
	if r.bytes >= returnLeast && r.timer == nil {
		r.timer = time.AfterFunc(returnAfter, r.run)
	}
}

// run gives memory back, and once more later, when clients have read what they had
// not read yet.
func (r *returner) run() {
	r.mu.Lock()
	first := r.bytes >= returnLeast
	r.bytes = 0
	r.mu.Unlock()
	began := time.Now()
	r.free()
	took := time.Since(began)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.bytes >= returnLeast:
		r.timer.Reset(max(returnAfter, returnShare*took))
	case first:
		r.timer.Reset(max(returnAgain, returnShare*took))
	default:
		r.timer = nil
	}
}
