package daemon

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"
)

// verbsSTP adds stp/show, stp/timers, stp/tcn, rstp/show and rstp/tcn.
func (s *Switch) verbsSTP(r Registrar) {
	add := func(verb string, none error, do func(x *tree, now time.Time) (string, bool)) {
		r.Register(verb, "[bridge]", 0, 1, s.serving(func(args []string) (string, error) {
			names := slices.Sorted(maps.Keys(s.services.trees))
			if len(args) == 1 {
				names = args
			}
			var b strings.Builder
			for _, name := range names {
				x := s.services.trees[name]
				if x == nil {
					return "", none
				}
				text, ok := do(x, s.o.Clock.Now())
				if !ok && len(args) == 1 {
					return "", none
				}
				b.WriteString(text)
			}
			if strings.HasSuffix(verb, "/tcn") {
				return "OK", nil
			}
			return b.String(), nil
		}))
	}
	noSTP, noRSTP := errors.New("no such stp object"), errors.New("No such RSTP object")
	add("stp/show", noSTP, func(x *tree, _ time.Time) (string, bool) {
		if x.stp == nil {
			return "", false
		}
		return x.stp.Show() + "\n", true
	})
	add("rstp/show", noRSTP, func(x *tree, _ time.Time) (string, bool) {
		if x.rstp == nil {
			return "", false
		}
		return x.rstp.Show() + "\n", true
	})
	add("stp/timers", noSTP, func(x *tree, now time.Time) (string, bool) {
		if x.stp == nil {
			return "", false
		}
		return x.stp.Timers(now), true
	})
	add("stp/tcn", noSTP, func(x *tree, now time.Time) (string, bool) {
		if x.stp == nil {
			return "", false
		}
		x.stp.TopologyChange(now)
		return "", true
	})
	add("rstp/tcn", noRSTP, func(x *tree, _ time.Time) (string, bool) {
		if x.rstp == nil {
			return "", false
		}
		x.rstp.TopologyChange()
		return "", true
	})
}
