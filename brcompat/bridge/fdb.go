package bridge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/brcompat/ioctl"
)

// A learned is one line of fdb/show.
type learned struct {
	ofport int // 0 for the local port
	vlan   int
	mac    [6]byte
	age    int // in seconds, 0 for a static entry
}

// parseFDB reads what the switch answers to fdb/show (ovs-vswitchd(8)): a line
// of headings, and then for each address its port (a number, or LOCAL), its
// VLAN, the address, and its age in seconds or the word static. Lines that are
// anything else are passed over.
func parseFDB(text string) []learned {
	var list []learned
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		var e learned
		port, err := strconv.ParseUint(f[0], 10, 32)
		if err != nil && f[0] != "LOCAL" {
			continue
		}
		if port != 65534 {
			e.ofport = int(port)
		}
		vlan, err := strconv.ParseUint(f[1], 10, 12)
		if err != nil {
			continue
		}
		e.vlan = int(vlan)
		mac, err := net.ParseMAC(f[2])
		if err != nil || len(mac) != 6 {
			continue
		}
		copy(e.mac[:], mac)
		if age, err := strconv.ParseUint(f[3], 10, 31); err == nil {
			e.age = int(age)
		} else if f[3] != "static" {
			continue
		}
		list = append(list, e)
	}
	return list
}

// fdbAge is how long an answer of fdb/show lasts for those that want the rest of a table.
const fdbAge = 2 * time.Second

// table asks the switch for a MAC table, or takes the last answer where the
// rest of a table is wanted.
func (s *Switch) table(ctx context.Context, name string, rest bool) string {
	age := time.Duration(0)
	if rest {
		age = fdbAge
	}
	text, err := s.fdb.get(ctx, name, age)
	if err != nil {
		s.log.Warn(fmt.Sprintf("cannot get the MAC table of %s: %v", name, err))
	}
	return text
}

// FDB returns the MAC table of a bridge, sorted by address: the addresses of
// its ports and its own, which are local, and those that the switch learned,
// in its VLAN in the case of a fake bridge. rest says that the caller has the
// first part of the table already. The error is ENODEV where there is no such
// bridge; a switch that does not answer has learned nothing.
func (s *Switch) FDB(ctx context.Context, name string, rest bool) ([]ioctl.FDBEntry, error) {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return nil, err
	}
	all := map[[6]byte]ioctl.FDBEntry{}
	nos := s.numbers.of(b)
	byOF := map[int]int{}
	for _, p := range b.ports {
		for _, i := range p.ifaces {
			if i.Ofport != nil && *i.Ofport > 0 {
				byOF[*i.Ofport] = nos[p.name]
			}
			if i.MACInUse != nil {
				s.local(all, *i.MACInUse, nos[p.name])
			}
		}
	}
	if a := s.mac(b); a != nil {
		s.local(all, a.String(), 0)
	}
	others := map[int]bool{}
	for _, f := range b.fakes {
		others[f.vlan] = true
	}
	for _, e := range parseFDB(s.table(ctx, b.row.Name, rest)) {
		if b.parent != nil && e.vlan != b.vlan || others[e.vlan] {
			continue
		}
		entry := ioctl.FDBEntry{MAC: e.mac, Port: uint16(byOF[e.ofport]), Local: e.ofport == 0,
			Age: uint32(min(e.age, (1<<31-1)/100)) * 100}
		if old, ok := all[e.mac]; ok && (old.Local || old.Age <= entry.Age) {
			continue
		}
		all[e.mac] = entry
	}
	list := make([]ioctl.FDBEntry, 0, len(all))
	for _, e := range all {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b ioctl.FDBEntry) int { return bytes.Compare(a.MAC[:], b.MAC[:]) })
	return list, nil
}

// local adds an address of the bridge's own. The first port that has it keeps
// it, for a bridge takes over the address of one of its ports.
func (s *Switch) local(all map[[6]byte]ioctl.FDBEntry, text string, no int) {
	a, err := net.ParseMAC(text)
	if err != nil || len(a) != 6 {
		return
	}
	e := ioctl.FDBEntry{Port: uint16(no), Local: true}
	copy(e.MAC[:], a)
	if _, ok := all[e.MAC]; !ok {
		all[e.MAC] = e
	}
}
