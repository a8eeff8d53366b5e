package daemon

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"govs/vswitchd/lacp"
)

// verbsLACP adds lacp/show and lacp/show-stats.
func (s *Switch) verbsLACP(r Registrar) {
	show := func(verb string, text func(*lacp.Aggregator) string) {
		r.Register(verb, "[port]", 0, 1, s.serving(func(args []string) (string, error) {
			names := slices.Sorted(maps.Keys(s.services.lacp))
			if len(args) == 1 {
				if s.services.lacp[args[0]] == nil {
					return "", errors.New("no such lacp object")
				}
				names = args
			}
			var b strings.Builder
			for _, name := range names {
				b.WriteString(text(s.services.lacp[name]))
			}
			return b.String(), nil
		}))
	}
	show("lacp/show", (*lacp.Aggregator).Show)
	show("lacp/show-stats", (*lacp.Aggregator).ShowStats)
	show("lacp/stats-show", (*lacp.Aggregator).ShowStats) // the manual's name for it
	hide(r, "lacp/stats-show")
}
