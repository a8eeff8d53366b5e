package ofproto

import (
	"fmt"
	"net"
	"testing"

	"govs/vswitchd/desired"
)

func TestNumbers(t *testing.T) {
	var n Numbers
	for _, test := range []struct {
		name            string
		local           bool
		request, before int
		want            int
	}{
		{"br0", true, 5, 0, desired.LocalPort}, // whatever it asks for
		{"a", false, 0, 0, 1},
		{"b", false, 7, 0, 7},
		{"c", false, 7, 9, 9}, // 7 is taken, 9 is what it had
		{"d", false, 7, 9, 2},
		{"d", false, 0, 2, 2}, // its own again
		{"e", false, 60000, 0, 60000},
	} {
		if got := n.Take(test.name, test.local, test.request, test.before); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
	n.Give(2)
	if got := n.Take("f", false, 0, 0); got != 3 {
		t.Errorf("a number that just became free was given: %d", got)
	}
	for i := range maxAuto {
		n.Take(fmt.Sprint("x", i), false, 0, 0)
	}
	if got := n.Take("last", false, 0, 0); got != 0 {
		t.Errorf("all numbers are taken, but %d was given", got)
	}
	n.Give(2)
	if got := n.TakeOther("last", 0, 2); got != 0 {
		t.Errorf("the number to avoid was given: %d", got)
	}
	if got := n.TakeOther("last", 0, 3); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

func TestAddress(t *testing.T) {
	devices := map[string]string{
		"bond-a": "00:10:00:00:00:09", "bond-b": "00:10:00:00:00:01", // only the first of a bond counts
		"group": "01:00:00:00:00:01", "zero": "00:00:00:00:00:00", "local": "02:00:00:00:00:01",
	}
	iface := func(name string) *desired.Interface { return &desired.Interface{Name: name} }
	b := &desired.Bridge{
		DefaultMAC: net.HardwareAddr{0x0a, 1, 2, 3, 4, 5},
		Ports: []*desired.Port{
			{Interfaces: []*desired.Interface{iface("group")}},
			{Interfaces: []*desired.Interface{iface("zero")}},
			{Interfaces: []*desired.Interface{iface("local")}},
			{Interfaces: []*desired.Interface{iface("gone")}},
		},
	}
	check := func(want, id string) {
		t.Helper()
		got := Address(b, func(name string) net.HardwareAddr { mac, _ := net.ParseMAC(devices[name]); return mac })
		if got.String() != want || DatapathID(b, got) != id {
			t.Errorf("got %s and %s, want %s and %s", got, DatapathID(b, got), want, id)
		}
	}
	check("0a:01:02:03:04:05", "00000a0102030405")
	b.Ports = append(b.Ports, &desired.Port{Interfaces: []*desired.Interface{iface("bond-a"), iface("bond-b")}})
	check("00:10:00:00:00:09", "0000001000000009")
	b.DatapathID = "00000000000000aa"
	b.HWAddr = net.HardwareAddr{2, 0, 0, 0, 0, 0x88}
	check("02:00:00:00:00:88", "00000000000000aa")
}
