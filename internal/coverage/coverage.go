// Package coverage tells how fast counters grow, in the form of the C daemons'
// coverage/show.
package coverage

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// History remembers counters, to tell how fast they grew during the last five
// seconds, minute and hour. It is not safe for concurrent use.
type History struct {
	samples []sample // oldest first
}

type sample struct {
	at     time.Time
	counts map[string]uint64
}

const (
	sampleEvery = 5 * time.Second
	sampleFor   = time.Hour
)

// Sample takes note of the counters when it is time to, every five seconds. The
// map is not changed afterwards.
func (h *History) Sample(now time.Time, counts map[string]uint64) {
	if n := len(h.samples); n > 0 && now.Sub(h.samples[n-1].at) < sampleEvery {
		return
	}
	h.samples = append(h.samples, sample{now, counts})
	old := 0
	for old < len(h.samples)-1 && now.Sub(h.samples[old+1].at) >= sampleFor {
		old++
	}
	h.samples = slices.Delete(h.samples, 0, old)
}

// rate is how much the counter grew a second during the time before now.
func (h *History) rate(name string, now time.Time, total uint64, during time.Duration) float64 {
	for _, s := range slices.Backward(h.samples) {
		if now.Sub(s.at) >= during {
			return float64(total-s.counts[name]) / now.Sub(s.at).Seconds()
		}
	}
	return float64(total) / during.Seconds() // everything came since then
}

// Show is the counters as coverage/show prints them.
func (h *History) Show(now time.Time, counts map[string]uint64) string {
	var b strings.Builder
	b.WriteString("Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=00000000:\n")
	never := 0
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		total := counts[name]
		if total == 0 {
			never++
			continue
		}
		fmt.Fprintf(&b, "%-24s %5.1f/sec %9.3f/sec %13.4f/sec   total: %d\n", name,
			h.rate(name, now, total, sampleEvery), h.rate(name, now, total, time.Minute),
			h.rate(name, now, total, time.Hour), total)
	}
	fmt.Fprintf(&b, "%d events never hit\n", never)
	return b.String()
}
