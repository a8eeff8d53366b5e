package daemon

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// verbsBFD adds bfd/show and bfd/set-forwarding.
func (s *Switch) verbsBFD(r Registrar) {
	r.Register("bfd/show", "[interface]", 0, 1, s.serving(func(args []string) (string, error) {
		now := s.o.Clock.Now()
		if len(args) == 1 {
			x := s.services.bfd[args[0]]
			if x == nil {
				return "", errors.New("no such bfd object")
			}
			return x.Show(now), nil
		}
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(s.services.bfd)) {
			b.WriteString("---- " + name + " ----\n" + s.services.bfd[name].Show(now))
		}
		return b.String(), nil
	}))
	r.Register("bfd/set-forwarding", "[interface] normal|false|true", 1, 2, s.serving(func(args []string) (string, error) {
		yes, no := true, false
		override, ok := map[string]*bool{"normal": nil, "true": &yes, "false": &no}[strings.ToLower(args[len(args)-1])]
		names := slices.Collect(maps.Keys(s.services.bfd))
		if len(args) == 2 {
			names = args[:1]
			if s.services.bfd[args[0]] == nil {
				return "", errors.New("no such BFD object")
			}
		}
		if !ok {
			return "", errors.New("unknown fault string")
		}
		for _, name := range names {
			s.services.bfd[name].Override(override, s.o.Clock.Now())
		}
		return "OK", nil
	}))
}
