package lldp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

var begin = time.Unix(1_700_000_000, 0)

func agent(mappings ...Mapping) *Agent {
	a := New("e1")
	a.Configure(Config{MAC: [6]byte{2, 0, 0, 0, 0, 0xe1}, Description: "openvswitch 3.1.0", Mappings: mappings})
	return a
}

// TestFrame compares with what Open vSwitch 3.1.0 sends.
func TestFrame(t *testing.T) {
	want := "0180c200000e" + "0200000000e1" + "88cc" + "0207040200000000e1" + "0403056531" + "06020078" + "0c11" + hex.EncodeToString([]byte("openvswitch 3.1.0")) + "0e0400040004" +
		"fe3200040d0b" + strings.Repeat("00", 32) + "38000000" + "0200000000e1" + "00000000" +
		"fe2e00040d0c" + strings.Repeat("00", 32) + "000a000064" + "00140000c8" + "0000"
	a := agent(Mapping{100, 10}, Mapping{200, 20})
	f := a.Run(begin)
	if got := hex.EncodeToString(f); got != want {
		t.Errorf("sends\n%s, want\n%s", got, want)
	}
	if f := a.Run(begin.Add(interval - 1)); f != nil || !a.Next().Equal(begin.Add(interval)) {
		t.Error("speaks too often")
	}
	if f := a.Run(begin.Add(interval)); f == nil {
		t.Error("does not speak again")
	}
	// Others' decoder has the same opinion.
	p := gopacket.NewPacket(f, layers.LayerTypeEthernet, gopacket.Default)
	d, _ := p.Layer(layers.LayerTypeLinkLayerDiscovery).(*layers.LinkLayerDiscovery)
	if d == nil || d.TTL != 120 || string(d.PortID.ID) != "e1" || d.PortID.Subtype != layers.LLDPPortIDSubtypeIfaceName || !bytes.Equal(d.ChassisID.ID, f[6:12]) {
		t.Errorf("%v", p)
	}
}

// TestSystem shows system ids as Open vSwitch 3.1.0 does.
func TestSystem(t *testing.T) {
	for id, want := range map[string]string{"abcdef12": "05:00:cd:03:ef:12", "12345678": "00:00:34:02:56:78", "0b0000e0": "00:00:00:03:00:e0"} {
		b, _ := hex.DecodeString("00000000" + "020000000001" + id)
		if got := (&message{element: b}).system(); got != "02:00:00:00:00:01:"+want {
			t.Errorf("%s: %s", id, got)
		}
	}
}

// said is a frame of a neighbour.
func said(t *testing.T, ttl uint16, port, descr string, assignments ...assignment) []byte {
	t.Helper()
	a := New(port)
	var m []Mapping
	for _, as := range assignments {
		m = append(m, as.Mapping)
	}
	a.Configure(Config{MAC: [6]byte{2, 0, 0, 0, 0, 0xf1}, Description: descr, Mappings: append(m, Mapping{0xffffff, 4095})})
	f := a.frame()
	at := bytes.Index(f, []byte{6, 2, 0, 120})
	f[at+2], f[at+3] = byte(ttl>>8), byte(ttl)
	list := bytes.Index(f, []byte{0, 4, 0x0d, aaAssignments}) + aaHead
	for n, as := range assignments {
		f[list+n*aaAssignment] |= as.status << 4
	}
	return f
}

// TestNeighbour has one come, answer, age, and say goodbye.
func TestNeighbour(t *testing.T) {
	a := agent(Mapping{100, 10}, Mapping{200, 20}, Mapping{300, 30})
	a.Run(begin)
	const head = "LLDP: e1\n"
	const known = head + "  Auto Attach Primary Server Id: 02:00:00:00:00:f1\n  Auto Attach Primary Server Descr: a server\n" +
		"  Auto Attach Primary Server System Id: 02:00:00:00:00:f1:00:00:00:00:00:00\n"
	check := func(what, want string) {
		t.Helper()
		if got := a.Status(); got != want {
			t.Errorf("%s:\n%swant\n%s", what, got, want)
		}
	}
	check("at first", head)
	if err := a.Receive(said(t, 10, "f1", "a server", assignment{2, Mapping{100, 10}}, assignment{3, Mapping{200, 20}}), begin); err != nil {
		t.Fatal(err)
	}
	check("heard", known)
	const table = "LLDP: e1\nI-SID    VLAN Source      Status  \n-------- ---- ----------- --------\n"
	if got, want := a.ShowISID(), table+"100      10   Switch      Active     \n200      20   Switch      Reject (Generic)\n300      30   Switch      Pending    \n"; got != want {
		t.Errorf("\n%swant\n%s", got, want)
	}
	a.Configure(Config{Mappings: []Mapping{{100, 10}, {200, 21}}})
	if got, want := a.ShowISID(), table+"100      10   Switch      Active     \n200      21   Switch      Pending    \n"; got != want {
		t.Errorf("\n%swant\n%s", got, want)
	}
	if next := a.Next(); !next.Equal(begin.Add(interval)) {
		t.Error(next)
	}
	a.Run(begin.Add(9 * time.Second))
	check("before its time", known)
	a.Run(begin.Add(10 * time.Second))
	check("aged", head)
	for _, ttl := range []uint16{100, 0} {
		if err := a.Receive(said(t, ttl, "f1", "a server"), begin.Add(11*time.Second)); err != nil {
			t.Error(err)
		}
	}
	check("said goodbye", head)
	for n := range most + 1 {
		if err := a.Receive(said(t, 100, "f"+string(rune('A'+n)), "one of many"), begin); (err != nil) != (n == most) {
			t.Errorf("neighbour %d: %v", n, err)
		}
	}
	if got, want := a.Stats(), (Stats{Tx: 2, Rx: 3 + most + 1, Ageouts: 1, Inserts: 2 + most, Deletes: 1, Drops: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestMalformed has frames that are cut off anywhere, or say what cannot be,
// change nothing.
func TestMalformed(t *testing.T) {
	whole := said(t, 100, "f1", "a server", assignment{2, Mapping{100, 10}})
	edit := func(at int, b byte) []byte {
		f := bytes.Clone(whole)
		f[at] = b
		return f
	}
	bad := map[string][]byte{
		"another type": edit(13, 0xcd), "chassis missing": edit(14, 4), "port missing": edit(23, 6), "unknown TLV": edit(32, 9<<1),
		"chassis of no length": edit(15, 0),
	}
	for n := range len(whole) - 1 {
		bad["the first "+string(rune('0'+n/100))+string(rune('0'+n/10%10))+string(rune('0'+n%10))] = whole[:n]
	}
	for name, f := range bad {
		a := agent(Mapping{100, 10})
		if err := a.Receive(f, begin); err == nil {
			t.Errorf("%s is understood", name)
		}
		if s := a.Stats(); a.Status() != "LLDP: e1\n" || s.Discarded != 1 || s.Inserts != 0 || strings.Contains(a.ShowISID(), "Active") {
			t.Errorf("%s changed something: %+v", name, s)
		}
	}
}

func FuzzReceive(f *testing.F) {
	a := agent(Mapping{100, 10}, Mapping{200, 20})
	f.Add(a.frame())
	f.Fuzz(func(t *testing.T, b []byte) {
		a := agent(Mapping{100, 10})
		err := a.Receive(b, begin)
		if err == nil && len(a.neighbours) == 0 && a.Stats().Rx != 1 {
			t.Error("neither taken nor counted")
		}
		_ = a.Status() + a.ShowISID() + a.Statistics()
		if err != nil && len(a.neighbours) > 0 {
			t.Errorf("%v, and a neighbour", err)
		}
	})
}
