package mcast

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"govs/vswitchd/mac"
)

// Show is the table as `ovs-appctl mdb/show` prints it: groups, then routers.
// The function gives a port's OpenFlow number, that of its first interface for
// a bond, and false where the port is not known.
func (t *Table) Show(ofport func(port string) (uint16, bool), now time.Time) string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	number := func(port string) string {
		switch n, ok := ofport(port); {
		case !ok:
			return "?"
		case n == mac.Local:
			return "LOCAL"
		default:
			return fmt.Sprint(n)
		}
	}
	age := func(used time.Time) int { return int(max(now.Sub(used), 0) / time.Second) }
	var b strings.Builder
	b.WriteString(" port  VLAN  GROUP                Age\n")
	for _, g := range slices.SortedFunc(maps.Keys(t.groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(a.VLAN, b.VLAN), a.Addr.Compare(b.Addr))
	}) {
		for _, m := range t.groups[g] {
			fmt.Fprintf(&b, "%5s  %4d  %s         %3d\n", number(m.Port), g.VLAN, g.Addr, age(m.Used))
		}
	}
	for _, r := range slices.SortedFunc(maps.Keys(t.routers), func(a, b router) int {
		return cmp.Or(cmp.Compare(a.vlan, b.vlan), cmp.Compare(a.port, b.port))
	}) {
		fmt.Fprintf(&b, "%5s  %4d  querier             %3d\n", number(r.port), r.vlan, age(t.routers[r]))
	}
	return b.String()
}
