package mcast

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"govs/datapath/header"
)

var start = time.Unix(1e9, 0)

func group(s string) Group { return Group{VLAN: 5, Addr: netip.MustParseAddr(s)} }

// igmp is a message with its checksum.
func igmp(kind byte, body ...byte) []byte {
	b := append([]byte{kind, 0, 0, 0}, body...)
	binary.BigEndian.PutUint16(b[2:], header.Checksum(b, 0))
	return b
}

func TestIGMP(t *testing.T) {
	news := 0
	tb := New(Options{}, func() { news++ })
	from := netip.MustParseAddr("10.0.0.4")
	hear := func(port string, b []byte) string { return tb.IGMP(b, from, 5, port, start) }
	a := []byte{225, 1, 2, 3}
	for _, step := range []struct {
		port string
		msg  []byte
		want string
	}{
		{"p1", igmp(igmpReport2, a...), "multicast snooping learned that 225.1.2.3 is on port p1 in VLAN 5"},
		{"p1", igmp(igmpReport2, a...), ""},
		{"p2", igmp(igmpReport1, a...), "multicast snooping learned that 225.1.2.3 is on port p2 in VLAN 5"},
		{"p3", igmp(igmpQuery, 0, 0, 0, 0), "multicast snooping query from 10.0.0.4 is on port p3 in VLAN 5"},
		{"p3", igmp(igmpQuery, 0, 0, 0, 0), ""},
		{"p1", igmp(igmpLeave, a...), "multicast snooping leaving 225.1.2.3 is on port p1 in VLAN 5"},
		{"p1", igmp(igmpLeave, a...), ""},
		// Two records: exclude nothing, which joins, and include nothing, which leaves.
		{"p2", igmp(igmpReport3, 0, 0, 0, 2, 4, 0, 0, 0, 225, 1, 2, 4, 3, 0, 0, 0, 225, 1, 2, 3), "multicast snooping processed 2 addresses on port p2 in VLAN 5"},
		// Include one source, behind auxiliary data; and a record that is cut off.
		{"p2", igmp(igmpReport3, 0, 0, 0, 2, 1, 1, 0, 1, 225, 1, 2, 5, 1, 1, 1, 1, 9, 9, 9, 9, 4, 0, 0, 7, 225, 1, 2, 6), "multicast snooping processed 1 addresses on port p2 in VLAN 5"},
		{"p2", igmp(igmpReport2, 10, 0, 0, 1), ""},
		{"p2", []byte{igmpReport2, 0, 0, 0, 225, 1, 2, 9}, "multicast snooping received bad IGMP checksum on port p2 in VLAN 5"},
		{"p2", a, ""},
	} {
		if got := hear(step.port, step.msg); got != step.want {
			t.Errorf("% x by %s: %q, want %q", step.msg, step.port, got, step.want)
		}
	}
	if tb.IGMP(igmp(igmpQuery, 0, 0, 0, 0), netip.IPv4Unspecified(), 5, "p4", start) != "" {
		t.Error("a query from 0.0.0.0 made a router")
	}
	for addr, want := range map[string][]string{"225.1.2.3": nil, "225.1.2.4": {"p2"}, "225.1.2.5": {"p2"}, "225.1.2.6": nil} {
		if got, _ := tb.Ports(group(addr)); !slices.Equal(got, want) {
			t.Errorf("%s is heard on %v, want %v", addr, got, want)
		}
	}
	if got := tb.Routers(5); !slices.Equal(got, []string{"p3"}) {
		t.Errorf("routers %v", got)
	}
	if here, there := tb.Elsewhere(5), tb.Elsewhere(6); here != 0 || there != 1 {
		t.Errorf("%d routers elsewhere than in VLAN 5, %d than in 6", here, there)
	}
	if news != 7 {
		t.Errorf("told of %d changes", news)
	}
}

func mld(kind byte, body ...byte) ([]byte, netip.Addr, netip.Addr) {
	from, to := netip.MustParseAddr("fe80::4"), netip.MustParseAddr("ff02::16")
	b := append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, body...)
	if kind == mldReport2 {
		b[7] = byte(len(body) / 20)
	}
	binary.BigEndian.PutUint16(b[2:], header.Checksum(b, header.PseudoSum(from.AsSlice(), to.AsSlice(), 58, len(b))))
	return b, from, to
}

func TestMLD(t *testing.T) {
	tb := New(Options{}, nil)
	g := netip.MustParseAddr("ff0e::1").As16()
	other := netip.MustParseAddr("ff0e::2").As16()
	for _, step := range []struct {
		kind byte
		body []byte
		want string
	}{
		{mldReport, g[:], "multicast snooping processed 1 addresses on port p1 in VLAN 5"},
		{mldReport, g[:], ""},
		{mldReport2, slices.Concat([]byte{4, 0, 0, 0}, other[:], []byte{3, 0, 0, 0}, g[:]), "multicast snooping processed 2 addresses on port p1 in VLAN 5"},
		{mldDone, g[:], ""},
		{mldReport, g[:10], ""},
		{mldQuery, make([]byte, 16), "multicast snooping query on port p1 in VLAN 5"},
	} {
		b, from, to := mld(step.kind, step.body...)
		if got := tb.MLD(b, from, to, 5, "p1", start); got != step.want {
			t.Errorf("%d: %q, want %q", step.kind, got, step.want)
		}
	}
	b, from, to := mld(mldReport, g[:]...)
	b[2] ^= 1
	if got := tb.MLD(b, from, to, 5, "p1", start); got != "multicast snooping received bad MLD checksum on port p1 in VLAN 5" {
		t.Errorf("bad checksum: %q", got)
	}
	if _, known := tb.Ports(group("ff0e::1")); known {
		t.Error("who left still listens")
	}
}

func TestAgeAndSize(t *testing.T) {
	tb := New(Options{Aging: time.Second, Size: 1}, nil) // forced to 15 s and 10
	for i := range 12 {
		tb.Join(group(fmt.Sprintf("225.0.0.%d", i)), "p1", start.Add(time.Duration(i)*time.Second))
	}
	if n := len(tb.groups); n != MinSize {
		t.Errorf("%d groups, want %d", n, MinSize)
	}
	if _, known := tb.Ports(group("225.0.0.1")); known {
		t.Error("not the oldest one was evicted")
	}
	tb.Router(5, "p2", start.Add(3*time.Second))
	if n := tb.Expire(start.Add(18 * time.Second)); n != 3 {
		t.Errorf("%d expired, want 225.0.0.2, 225.0.0.3 and a router", n)
	}
	tb.Join(group("225.0.0.4"), "p2", start.Add(10*time.Second))
	tb.FlushPort("p1")
	want := " port  VLAN  GROUP                Age\n    ?     5  225.0.0.4          10\n"
	if got := tb.Show(func(string) (uint16, bool) { return 0, false }, start.Add(20*time.Second)); got != want {
		t.Errorf("table is\n%swant\n%s", got, want)
	}
	tb.Flush()
	if len(tb.groups)+len(tb.routers) != 0 {
		t.Error("Flush left something")
	}
	tb.Configure(Options{Quiet: true})
	if !tb.Quiet() {
		t.Error("not quiet")
	}
}

// FuzzMessages says that no message makes the table panic, or hold what is no
// group.
func FuzzMessages(f *testing.F) {
	f.Add(igmp(igmpReport3, 0, 0, 0, 1, 4, 0, 0, 0, 225, 1, 2, 4))
	b, _, _ := mld(mldReport2, slices.Concat([]byte{4, 0, 0, 0}, make([]byte, 16))...)
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		tb := New(Options{}, nil)
		from, to := netip.MustParseAddr("fe80::4"), netip.MustParseAddr("ff02::16")
		tb.IGMP(b, netip.MustParseAddr("10.0.0.4"), 1, "p1", start)
		if len(b) >= 8 { // with right checksums, too
			binary.BigEndian.PutUint16(b[2:], 0)
			binary.BigEndian.PutUint16(b[2:], header.Checksum(b, 0))
			tb.IGMP(b, netip.MustParseAddr("10.0.0.4"), 1, "p1", start)
			binary.BigEndian.PutUint16(b[2:], 0)
			binary.BigEndian.PutUint16(b[2:], header.Checksum(b, header.PseudoSum(from.AsSlice(), to.AsSlice(), 58, len(b))))
			tb.MLD(b, from, to, 1, "p1", start)
		}
		for g := range tb.groups {
			if !g.Addr.IsMulticast() {
				t.Errorf("%s is no group", g.Addr)
			}
		}
	})
}
