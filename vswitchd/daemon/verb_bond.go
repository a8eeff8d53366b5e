package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"govs/vswitchd/bond"
)

var errNoBond = errors.New("no such bond")

// verbsBond adds bond/list, bond/show, bond/migrate, bond/set-active-member,
// bond/enable-member, bond/disable-member and bond/hash, and the names that
// they had before members were called so.
func (s *Switch) verbsBond(r Registrar) {
	r.Register("bond/list", "", 0, 0, s.serving(func([]string) (string, error) {
		lines := []string{"bond\ttype\trecircID\tmembers"}
		for _, name := range slices.Sorted(maps.Keys(s.services.bonds)) {
			b := s.services.bonds[name]
			lines = append(lines, fmt.Sprintf("%s\t%s\t%d\t%s", name, b.View().Mode, 0, b.Members()))
		}
		return strings.Join(lines, "\n"), nil
	}))
	r.Register("bond/show", "[port]", 0, 1, s.serving(func(args []string) (string, error) {
		names := slices.Sorted(maps.Keys(s.services.bonds))
		if len(args) == 1 {
			if s.services.bonds[args[0]] == nil {
				return "", errNoBond
			}
			names = args
		}
		var b strings.Builder
		for _, name := range names {
			b.WriteString(s.services.bonds[name].Show(s.o.Clock.Now()) + "\n")
		}
		return b.String(), nil
	}))
	change := func(verb, usage string, do func(b *bonded, args []string) (string, error)) {
		n := len(strings.Fields(usage))
		r.Register(verb, usage, n, n, s.serving(func(args []string) (string, error) {
			b := s.services.bonds[args[0]]
			if b == nil {
				return "", errNoBond
			}
			return do(b, args[1:])
		}))
	}
	change("bond/migrate", "port hash member", func(b *bonded, args []string) (string, error) {
		return "migrated", b.Migrate(args[0], args[1])
	})
	for _, word := range []string{"member", "slave"} {
		change("bond/set-active-"+word, "port "+word, func(b *bonded, args []string) (string, error) { return b.SetActive(args[0]) })
		change("bond/enable-"+word, "port "+word, func(b *bonded, args []string) (string, error) { return b.Force(args[0], true) })
		change("bond/disable-"+word, "port "+word, func(b *bonded, args []string) (string, error) { return b.Force(args[0], false) })
	}
	r.Register("dpif-netdev/bond-show", "[dp]", 0, 1, s.serving(func([]string) (string, error) {
		all := s.engine.Bonds()
		if len(all) == 0 {
			return "", nil
		}
		var b strings.Builder
		b.WriteString("Bonds:\n")
		for _, id := range slices.Sorted(maps.Keys(all)) {
			fmt.Fprintf(&b, "  bond-id %d:\n", id)
			for h, no := range all[id].Ports {
				fmt.Fprintf(&b, "    bucket %d - member %d\n", h, no)
			}
		}
		return b.String(), nil
	}))
	hide(r, "bond/set-active-slave", "bond/enable-slave", "bond/disable-slave")
	r.Register("bond/hash", "mac [vlan] [basis]", 1, 3, func(_ context.Context, args []string) (string, error) {
		args = append(args, "", "")
		return bond.HashText(args[0], args[1], args[2])
	})
}
