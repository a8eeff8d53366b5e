// Package lldp is the Link Layer Discovery Protocol (IEEE 802.1AB-2009) on one
// interface, with auto attachment to networks of shortest path bridging
// (draft-unbehagen-lldp-spb): a pure state machine, whose time is an argument.
//
// # Caveats
//
// Neighbours are those that tell of auto attachment in a way that is shown, and
// all others count alike. A neighbour is forgotten when its time to live is
// over, or when it says goodbye (a time to live of 0); the C switch keeps it.
// The digests of auto attachment are zeros and are not looked at, as with the C
// switch, and no frame says goodbye.
package lldp

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	interval = 5 * time.Second   // between two frames
	ttl      = 120 * time.Second // that neighbours keep what we say
	most     = 32                // neighbours
)

// A Mapping has an I-SID be carried by a VLAN.
type Mapping struct {
	ISID uint32 // 24 bits
	VLAN uint16
}

// A Config is what the agent says of the switch.
type Config struct {
	MAC         [6]byte // of the interface
	Description string  // of the system, at most 255 bytes
	Mappings    []Mapping
}

// String is the configuration in a few words.
func (c *Config) String() string {
	if c == nil {
		return "none"
	}
	return fmt.Sprintf("mappings %v", c.Mappings)
}

// Stats count what happened, in the terms of autoattach/statistics.
type Stats struct {
	Tx, Rx, Discarded, Unrecognized, Ageouts, Inserts, Deletes, Drops uint64
}

// A neighbour is one that was heard.
type neighbour struct {
	message
	until time.Time
}

// A wanted is a mapping, and what the other end made of it.
type wanted struct {
	Mapping
	answered bool
	status   uint8
}

// An Agent speaks on one interface. It is not safe for concurrent use.
type Agent struct {
	name       string
	c          Config
	mappings   []wanted // by I-SID
	neighbours map[string]*neighbour
	next       time.Time
	stats      Stats
}

// New makes an agent for the interface, which speaks at once.
func New(name string) *Agent { return &Agent{name: name, neighbours: make(map[string]*neighbour)} }

// Configure changes what is said. Mappings that stay keep their status.
func (a *Agent) Configure(c Config) {
	old := a.mappings
	a.c, a.mappings = c, nil
	if len(c.Description) > 255 {
		a.c.Description = c.Description[:255]
	}
	for _, m := range c.Mappings {
		w := wanted{Mapping: m}
		if i := slices.IndexFunc(old, func(o wanted) bool { return o.Mapping == m }); i >= 0 {
			w = old[i]
		}
		a.mappings = append(a.mappings, w)
	}
	slices.SortFunc(a.mappings, func(x, y wanted) int { return cmp.Compare(x.ISID, y.ISID) })
}

// Receive takes a frame.
func (a *Agent) Receive(f []byte, now time.Time) error {
	a.stats.Rx++
	m, err := parse(f)
	a.stats.Unrecognized += uint64(m.unknown)
	if err != nil {
		a.stats.Discarded++
		return err
	}
	id := m.chassis + "\x00" + m.port
	_, known := a.neighbours[id]
	switch {
	case m.ttl == 0:
		if known {
			delete(a.neighbours, id)
			a.stats.Deletes++
		}
		return nil
	case !known && len(a.neighbours) >= most:
		a.stats.Drops++
		return errors.New("too many neighbours")
	case !known:
		a.stats.Inserts++
	}
	m.element = slices.Clone(m.element)
	a.neighbours[id] = &neighbour{m, now.Add(time.Duration(m.ttl) * time.Second)}
	for _, as := range m.assignments {
		for i := range a.mappings {
			if a.mappings[i].ISID == as.ISID {
				a.mappings[i].answered, a.mappings[i].status = true, as.status
			}
		}
	}
	return nil
}

// Run does what is due, and returns the frame that is to be sent, nil for none.
func (a *Agent) Run(now time.Time) []byte {
	for id, n := range a.neighbours {
		if !now.Before(n.until) {
			delete(a.neighbours, id)
			a.stats.Ageouts++
		}
	}
	if now.Before(a.next) {
		return nil
	}
	a.next = now.Add(interval)
	a.stats.Tx++
	return a.frame()
}

// Next is when Run has something to do.
func (a *Agent) Next() time.Time {
	next := a.next
	for _, n := range a.neighbours {
		if n.until.Before(next) {
			next = n.until
		}
	}
	return next
}

// Status is the interface's part of autoattach/status.
func (a *Agent) Status() string {
	var b strings.Builder
	fmt.Fprintf(&b, "LLDP: %s\n", a.name)
	for _, id := range slices.Sorted(maps.Keys(a.neighbours)) {
		n := a.neighbours[id]
		if n.element == nil {
			continue
		}
		fmt.Fprintf(&b, "  Auto Attach Primary Server Id: %s\n  Auto Attach Primary Server Descr: %s\n  Auto Attach Primary Server System Id: %s\n",
			shown(n.chassis), cmp.Or(n.descr, "<None>"), n.system())
	}
	return b.String()
}

// statuses are what the other end makes of an assignment.
var statuses = map[uint8]string{
	2: "Active", 3: "Reject (Generic)", 4: "Reject (AA resources unavailable)", 6: "Reject (Invalid)",
	8: "Reject (VLAN resources unavailable)", 9: "Reject (Application interaction issue)",
}

// ShowISID is the interface's part of autoattach/show-isid.
func (a *Agent) ShowISID() string {
	var b strings.Builder
	fmt.Fprintf(&b, "LLDP: %s\n%-8s %-4s %-11s %-8s\n%s %s %s %s\n", a.name, "I-SID", "VLAN", "Source", "Status",
		strings.Repeat("-", 8), strings.Repeat("-", 4), strings.Repeat("-", 11), strings.Repeat("-", 8))
	for _, m := range a.mappings {
		status := "Pending"
		if m.answered {
			status = cmp.Or(statuses[m.status], "Undefined")
		}
		fmt.Fprintf(&b, "%-8d %-4d %-11s %-11s\n", m.ISID, m.VLAN, "Switch", status)
	}
	return b.String()
}

// Statistics are the interface's part of autoattach/statistics.
func (a *Agent) Statistics() string {
	s := &a.stats
	return fmt.Sprintf("Statistics: %s\n  tx cnt: %d\n  rx cnt: %d\n  rx discarded cnt: %d\n  rx unrecognized cnt: %d\n  ageout cnt: %d\n  insert cnt: %d\n  delete cnt: %d\n  drop cnt: %d\n",
		a.name, s.Tx, s.Rx, s.Discarded, s.Unrecognized, s.Ageouts, s.Inserts, s.Deletes, s.Drops)
}

// Stats are the counters.
func (a *Agent) Stats() Stats { return a.stats }
