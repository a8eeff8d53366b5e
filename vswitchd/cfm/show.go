package cfm

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// upDown is the operational state of a maintenance point in words.
func upDown(down bool) string {
	if down {
		return "down"
	}
	return "up"
}

// Show is the text of cfm/show, without the line with the interface's name.
func (s *Session) Show(now time.Time) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "  "+format+"\n", args...) }
	fmt.Fprintf(&b, "MPID %d:", s.c.MPID)
	if s.c.Extended {
		b.WriteString(" extended")
	}
	if s.stands != nil {
		b.WriteString(" fault_override")
	}
	b.WriteString("\n")
	if f := s.Faults(); f != 0 {
		line("fault: %s", strings.Join(f.Names(), " "))
	}
	health := "undefined"
	if s.health >= 0 {
		health = strconv.Itoa(s.health)
	}
	line("average health: %s", health)
	line("opstate: %s", upDown(s.c.Down))
	line("remote_opstate: %s", upDown(s.down))
	line("interval: %dms", s.c.interval().Milliseconds())
	line("next CCM tx: %dms", s.send.Sub(now).Milliseconds())
	line("next fault check: %dms", s.check.Sub(now).Milliseconds())
	for id := range s.order.All() {
		p := s.points[id]
		fmt.Fprintf(&b, "Remote MPID %d\n", id)
		line("recv since check: %t", p.heard)
		line("opstate: %s", upDown(p.down))
	}
	return b.String()
}
