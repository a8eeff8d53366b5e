package daemon

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// verbsCFM adds cfm/show and cfm/set-fault.
func (s *Switch) verbsCFM(r Registrar) {
	sessions := func(args []string) ([]string, error) {
		if len(args) == 0 {
			return slices.Sorted(maps.Keys(s.services.cfm)), nil
		}
		if s.services.cfm[args[0]] == nil {
			return nil, errors.New("no such CFM object")
		}
		return args, nil
	}
	r.Register("cfm/show", "[interface]", 0, 1, s.serving(func(args []string) (string, error) {
		names, err := sessions(args)
		if err != nil {
			return "", err
		}
		var b strings.Builder
		for _, name := range names {
			b.WriteString("---- " + name + " ----\n" + s.services.cfm[name].Show(s.o.Clock.Now()))
		}
		return b.String(), nil
	}))
	r.Register("cfm/set-fault", "[interface] normal|false|true", 1, 2, s.serving(func(args []string) (string, error) {
		yes, no := true, false
		last := len(args) - 1
		override, ok := map[string]*bool{"normal": nil, "true": &yes, "false": &no}[strings.ToLower(args[last])]
		if !ok {
			return "", errors.New("unknown fault string")
		}
		names, err := sessions(args[:last])
		if err != nil {
			return "", err
		}
		for _, name := range names {
			s.services.cfm[name].Override(override)
		}
		return "OK", nil
	}))
}
