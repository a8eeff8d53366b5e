package mac

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entries returns all entries, those longest unheard first.
func (t *Table) Entries() []Entry {
	t.mu.RLock()
	out := make([]Entry, 0, len(t.entries))
	for _, e := range t.entries {
		out = append(out, e.entry())
	}
	t.mu.RUnlock()
	slices.SortFunc(out, func(a, b Entry) int {
		return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.VLAN, b.VLAN), bytes.Compare(a.MAC[:], b.MAC[:]))
	})
	return out
}

func (e *entry) entry() Entry {
	return Entry{
		VLAN: e.vlan, MAC: e.mac, Port: e.port.name, Static: e.static,
		Used: time.Unix(0, e.used.Load()),
	}
}

// Len is the number of entries.
func (t *Table) Len() int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.entries)
}

// Stats returns the counters.
func (t *Table) Stats() Stats {
	t.mu.RLock()
	defer t.mu.RUnlock()
	s := t.stats
	s.Entries, s.Max, s.Static = len(t.entries), t.opts.Size, t.static
	return s
}

// ClearStats sets the counters to zero.
func (t *Table) ClearStats() {
	t.mu.Lock()
	t.stats = Stats{}
	t.mu.Unlock()
}

// Local is the OpenFlow number of a bridge's local port.
const Local = 65534

// Show is the table as `ovs-appctl fdb/show` prints it. The function gives a
// port's OpenFlow number, that of its first interface for a bond, and false
// where the port is not known.
func (t *Table) Show(ofport func(port string) (uint16, bool), now time.Time) string {
	var b strings.Builder
	b.WriteString(" port  VLAN  MAC                Age\n")
	for _, e := range t.Entries() {
		no := "?"
		switch n, ok := ofport(e.Port); {
		case ok && n == Local:
			no = "LOCAL"
		case ok:
			no = fmt.Sprint(n)
		}
		age := "static"
		if !e.Static {
			age = fmt.Sprintf("%3d", e.Age(now)/time.Second)
		}
		fmt.Fprintf(&b, "%5s  %4d  %s  %s\n", no, e.VLAN, Text(e.MAC), age)
	}
	return b.String()
}

// Text is the address in colon-separated hexadecimal.
func Text(a Addr) string {
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5])
}

// Show is the counters as `ovs-appctl fdb/stats-show` prints them.
func (s Stats) Show(bridge string) string {
	return fmt.Sprintf("Statistics for bridge %q:\n"+
		"  Current/maximum MAC entries in the table: %d/%d\n"+
		"  Current static MAC entries in the table : %d\n"+
		"  Total number of learned MAC entries     : %d\n"+
		"  Total number of expired MAC entries     : %d\n"+
		"  Total number of evicted MAC entries     : %d\n"+
		"  Total number of port moved MAC entries  : %d\n",
		bridge, s.Entries, s.Max, s.Static, s.Learned, s.Expired, s.Evicted, s.Moved)
}
