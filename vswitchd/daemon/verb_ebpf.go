package daemon

import (
	"fmt"
	"strings"
)

// verbsEBPF adds ebpf/show: the flow cache, and which way each port takes.
func (s *Switch) verbsEBPF(r Registrar) {
	r.Register("ebpf/show", "", 0, 0, s.reading(func([]string) (string, error) {
		var b strings.Builder
		fmt.Fprintf(&b, "ebpf-offload: %s\n", s.offload.mode)
		switch c := s.offload.cache; {
		case c != nil:
			sum := c.Summary()
			fmt.Fprintf(&b, "cache: %d flows, %d masks, %d lists of actions, %d ports\n", sum.Flows, sum.Masks, sum.Lists, sum.Ports)
			fmt.Fprintf(&b, "packets: %d\n", s.engine.Status().Front)
			if c.Pinned() {
				fmt.Fprintf(&b, "pinned: %s\n", s.o.Pins)
			} else {
				b.WriteString("pinned: no, a restart interrupts traffic\n")
			}
		case s.offload.why != nil:
			fmt.Fprintf(&b, "cache: none (%v)\n", s.offload.why)
		default:
			b.WriteString("cache: none\n")
		}
		for _, br := range s.applier.Switch.Sorted() {
			for _, i := range br.Sorted() {
				way, why := s.way(i)
				if way == "" {
					continue
				}
				fmt.Fprintf(&b, "port %s: %s", i.Want.Name, way)
				if why != "" {
					fmt.Fprintf(&b, " (%s)", why)
				}
				b.WriteString("\n")
			}
		}
		return b.String(), nil
	}))
}
