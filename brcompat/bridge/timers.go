package bridge

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// timerAge is how long an answer of stp/timers lasts: a program asks for the
// bridge and for each port.
const timerAge = 50 * time.Millisecond

// A timerTable has the times that are left of a spanning tree's timers, in
// hundredths of a second.
type timerTable struct {
	bridge map[string]uint32
	ports  map[string]map[string]uint32 // by the port's name
}

// parseTimers reads what the switch answers to stp/timers: a line for the bridge
// and one for each port, with the word bridge or port, a name, and pairs of a
// timer's name and the seconds that are left of it. What is anything else is
// passed over.
func parseTimers(text string) timerTable {
	t := timerTable{ports: make(map[string]map[string]uint32)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		left := make(map[string]uint32)
		for i := 2; i+1 < len(f); i += 2 {
			if v, err := strconv.ParseFloat(f[i+1], 64); err == nil && v >= 0 && v < 1e6 {
				left[f[i]] = uint32(v*100 + 0.5)
			}
		}
		switch f[0] {
		case "bridge":
			t.bridge = left
		case "port":
			t.ports[f[1]] = left
		}
	}
	return t
}

// timersOf asks the switch for the timers of a bridge that runs STP. They are
// zero where it does not answer.
func (s *Switch) timersOf(ctx context.Context, b *bridge) timerTable {
	text, err := s.timers.get(ctx, b.row.Name, timerAge)
	if err != nil {
		return timerTable{}
	}
	return parseTimers(text)
}
