package daemon

import (
	"fmt"
	"strings"

	"govs/datapath/engine"
)

// verbsPMD adds dpif-netdev/pmd-stats-show, pmd-stats-clear, pmd-perf-show,
// pmd-rxq-show and pmd-rxq-rebalance. What the C daemon tells of its threads is told of the engine
// as a whole, its "main thread": each port has a goroutine of its own, and none
// of them polls.
func (s *Switch) verbsPMD(r Registrar) {
	r.Register("dpif-netdev/pmd-stats-show", "[-pmd core] [dp]", 0, 3, s.reading(s.pmdStats))
	r.Register("dpif-netdev/pmd-stats-clear", "[-pmd core] [dp]", 0, 3, s.reading(func([]string) (string, error) {
		s.cleared = s.engine.Status()
		return "", nil
	}))
	r.Register("dpif-netdev/pmd-rxq-rebalance", "[dp]", 0, 1, s.reading(func(args []string) (string, error) {
		if _, err := s.datapathArgs(args); err != nil || len(args)+len(s.datapaths()) == 0 {
			return "", answer("please specify an existing datapath")
		}
		return "pmd rxq rebalance requested.\n", nil
	}))
	// There are no polling threads to tell of.
	r.Register("dpif-netdev/pmd-perf-show", "[-nh] [-it iter-history-len] [-ms ms-history-len] [-pmd core] [dp]", 0, 8,
		s.reading(func([]string) (string, error) { return "", nil }))
	r.Register("dpif-netdev/pmd-rxq-show", "[-pmd core] [-secs secs] [dp]", 0, 5,
		s.reading(func([]string) (string, error) { return "Displaying last 60 seconds pmd usage %", nil }))
}

// since is what was counted after the last pmd-stats-clear.
func since(now, then engine.Status) engine.Status {
	now.Cached -= then.Cached
	now.Matched -= then.Matched
	now.Missed -= then.Missed
	now.Lost -= then.Lost
	now.Recirculated -= then.Recirculated
	now.Probed -= then.Probed
	now.Sends -= then.Sends
	now.Sent -= then.Sent
	return now
}

func ratio(a, b uint64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

func (s *Switch) pmdStats([]string) (string, error) {
	if len(s.datapaths()) == 0 {
		return "", nil
	}
	st := since(s.engine.Status(), s.cleared)
	passes := st.Cached + st.Matched + st.Missed
	packets := passes - st.Recirculated
	var b strings.Builder
	b.WriteString("main thread:\n")
	fmt.Fprintf(&b, "  packets received: %d\n", packets)
	fmt.Fprintf(&b, "  packet recirculations: %d\n", st.Recirculated)
	fmt.Fprintf(&b, "  avg. datapath passes per packet: %.2f\n", ratio(passes, packets))
	b.WriteString("  phwol hits: 0\n  mfex opt hits: 0\n  simple match hits: 0\n")
	fmt.Fprintf(&b, "  emc hits: %d\n  smc hits: 0\n  megaflow hits: %d\n", st.Cached, st.Matched)
	fmt.Fprintf(&b, "  avg. subtable lookups per megaflow hit: %.2f\n", ratio(st.Probed, st.Matched))
	fmt.Fprintf(&b, "  miss with success upcall: %d\n  miss with failed upcall: %d\n", st.Missed-st.Lost, st.Lost)
	fmt.Fprintf(&b, "  avg. packets per output batch: %.2f\n", ratio(st.Sent, st.Sends))
	return b.String(), nil
}
