package bfd

import (
	"fmt"
	"strings"
	"time"
)

// flags are those of a control packet, as bfd/show names them.
func flags(f uint8) string {
	var names []string
	for _, flag := range []struct {
		bit  uint8
		name string
	}{{flagControl, "cpi"}, {flagPoll, "poll"}, {flagFinal, "final"}, {flagAuth, "auth"}, {flagDemand, "demand"}, {flagMultipoint, "multipoint"}} {
		if f&flag.bit != 0 {
			names = append(names, flag.name)
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, " ")
}

// Show is the text of bfd/show.
func (s *Session) Show(now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	ms := func(d time.Duration) int64 { return d.Milliseconds() }
	at := func(t time.Time) string {
		if t.IsZero() {
			t = now
		}
		return fmt.Sprintf("now %+dms", ms(t.Sub(now)))
	}
	mine := uint8(0)
	if s.poll {
		mine = flagPoll
	}
	line("Forwarding: %t", s.Forwards(now))
	line("Detect Multiplier: %d", s.c.Mult)
	line("Concatenated Path Down: %t", s.c.PathDown)
	line("TX Interval: Approx %dms", ms(s.interval()))
	line("RX Interval: Approx %dms", ms(s.rxInterval()))
	line("Detect Time: %s", at(s.detect))
	line("Next TX Time: %s", at(s.next))
	line("Last TX Time: %s", at(s.sent))
	b.WriteString("\n")
	line("Local Flags: %s", flags(mine))
	line("Local Session State: %s", s.state)
	line("Local Diagnostic: %s", s.diag)
	line("Local Discriminator: %#x", s.disc)
	line("Local Minimum TX Interval: %dms", ms(s.minTx))
	line("Local Minimum RX Interval: %dms", ms(s.minRx))
	b.WriteString("\n")
	line("Remote Flags: %s", flags(s.remote.flags))
	line("Remote Session State: %s", s.remote.state)
	line("Remote Diagnostic: %s", s.remote.diag)
	line("Remote Discriminator: 0x%x", s.remote.mine)
	line("Remote Minimum TX Interval: %dms", ms(s.remote.minTx))
	line("Remote Minimum RX Interval: %dms", ms(s.remote.minRx))
	line("Remote Detect Multiplier: %d", s.remote.mult)
	return b.String()
}
