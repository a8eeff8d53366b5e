package daemon

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// verbsUpcall adds upcall/show, upcall/set-flow-limit, upcall/disable-megaflows,
// upcall/enable-megaflows, upcall/disable-ufid, upcall/enable-ufid,
// revalidator/wait and revalidator/purge.
func (s *Switch) verbsUpcall(r Registrar) {
	r.Register("upcall/show", "", 0, 0, s.reading(func([]string) (string, error) {
		var b strings.Builder
		st := s.engine.Status()
		for _, dp := range s.datapaths() {
			fmt.Fprintf(&b, "%s:\n", dp)
			fmt.Fprintf(&b, "  flows         : (current %d) (avg %d) (max %d) (limit %d)\n",
				st.Flows, st.MeanFlows, st.MostFlows, st.FlowLimit)
			fmt.Fprintf(&b, "  dump duration : %dms\n", max(st.DumpTook.Milliseconds(), 1))
			fmt.Fprintf(&b, "  ufid enabled : %t\n\n  0: (keys %d)\n", !s.noUFID.Load(), st.Flows)
		}
		return b.String(), nil
	}))
	r.Register("upcall/set-flow-limit", "flow-limit-number", 1, 1, func(_ context.Context, args []string) (string, error) {
		n, err := strconv.ParseUint(args[0], 10, 31)
		if err != nil {
			return "", errors.New("invalid flow limit")
		}
		s.engine.SetFlowLimit(int(n))
		return fmt.Sprintf("set flow_limit to %d", n), nil
	})
	for _, on := range []bool{true, false} {
		r.Register("upcall/"+enabling(on, "%s-megaflows"), "", 0, 0, func(context.Context, []string) (string, error) {
			s.engine.SetMegaflows(on)
			return enabling(on, "megaflows %sd"), nil
		})
		// Megaflows are told apart by their keys here: there is nothing that a
		// UFID would spare, and only upcall/show can tell the difference.
		r.Register("upcall/"+enabling(on, "%s-ufid"), "", 0, 0, func(context.Context, []string) (string, error) {
			s.noUFID.Store(!on)
			text := enabling(on, "Datapath dumping tersely using UFID %sd")
			if on {
				text += " for supported datapaths"
			}
			return text, nil
		})
	}
	r.Register("revalidator/wait", "", 0, 0, func(context.Context, []string) (string, error) {
		s.engine.Revalidate()
		return "", nil
	})
	r.Register("revalidator/purge", "", 0, 0, func(context.Context, []string) (string, error) {
		s.engine.Flush()
		return "", nil
	})
}

// enabling puts enable or disable into a text.
func enabling(on bool, format string) string {
	if on {
		return fmt.Sprintf(format, "enable")
	}
	return fmt.Sprintf(format, "disable")
}

// Settle lets the services, the engine and the tables see that time has moved.
// It is what clock.Dummy.Register asks for.
func (s *Switch) Settle(context.Context) {
	s.tick()
	s.serve()
	s.engine.Revalidate()
}
