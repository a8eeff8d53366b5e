package underlay

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

var (
	begin = time.Unix(1e9, 0)
	ip    = netip.MustParseAddr
	net   = netip.MustParsePrefix
)

func newNet(t *testing.T) (*Net, func(want int)) {
	changes := 0
	n := New(func() { changes++ })
	return n, func(want int) {
		t.Helper()
		if changes != want {
			t.Errorf("%d changes, want %d", changes, want)
		}
	}
}

func TestRoutes(t *testing.T) {
	n, changes := newNet(t)
	host := func() {
		n.SetHost([]Route{
			{Prefix: net("0.0.0.0/0"), Device: "br0", Gateway: ip("1.1.2.1"), Source: ip("1.1.2.88")},
			{Prefix: net("1.1.2.0/24"), Device: "br0", Source: ip("1.1.2.88")},
			{Prefix: net("1.1.2.88/32"), Device: "br0", Source: ip("1.1.2.88"), Local: true},
		}, map[string][]netip.Prefix{"br0": {net("1.1.2.88/24"), net("5.0.0.1/8")}})
	}
	host()
	host()
	changes(1)
	for text, want := range map[string]string{
		"1.1.2.92": "Cached: 1.1.2.0/24 dev br0 SRC 1.1.2.88",
		"9.9.9.9":  "Cached: 0.0.0.0/0 dev br0 GW 1.1.2.1 SRC 1.1.2.88",
		"1.1.2.88": "Cached: 1.1.2.88/32 dev br0 SRC 1.1.2.88 local",
	} {
		if r, ok := n.Route(ip(text), 0); !ok || r.String() != want {
			t.Errorf("%s: %s, %v", text, r, ok)
		}
	}
	if _, ok := n.Route(ip("::1"), 0); ok {
		t.Error("a route to ::1")
	}
	for _, c := range []struct {
		prefix, dev, gateway string
		want                 bool
	}{
		{"1.1.2.92/24", "br0", "", true}, {"9.0.0.0/8", "br0", "5.0.0.9", true}, {"9.0.0.0/8", "brx", "", false}, {"fc00::/8", "br0", "", false},
		{"9.0.0.0/8", "br0", "1.1.2.92", true}, // in place of the other
	} {
		var gw netip.Addr
		if c.gateway != "" {
			gw = ip(c.gateway)
		}
		if n.Add(net(c.prefix), c.dev, gw, 0) != c.want {
			t.Errorf("%+v", c)
		}
	}
	changes(4)
	var all []string
	for _, r := range n.Routes() {
		all = append(all, r.String())
	}
	if want := []string{"Cached: 1.1.2.88/32 dev br0 SRC 1.1.2.88 local", "User: 1.1.2.0/24 dev br0 SRC 1.1.2.88",
		"User: 9.0.0.0/8 dev br0 GW 1.1.2.92 SRC 1.1.2.88", "Cached: 1.1.2.0/24 dev br0 SRC 1.1.2.88", "Cached: 0.0.0.0/0 dev br0 GW 1.1.2.1 SRC 1.1.2.88"}; !slices.Equal(all, want) {
		t.Errorf("%q", all)
	}
	// Routes for a mark are for packets that have it.
	if !n.Add(net("9.9.0.0/16"), "br0", ip("1.1.2.7"), 5) {
		t.Error("a route for a mark cannot be")
	}
	for mark, want := range map[uint32]string{0: "1.1.2.92", 4: "1.1.2.92", 5: "1.1.2.7"} {
		if r, _ := n.Route(ip("9.9.1.1"), mark); r.Gateway.String() != want {
			t.Errorf("mark %d: %s", mark, r)
		}
	}
	if n.Delete(net("9.9.0.0/16"), 4) || !n.Delete(net("9.9.0.0/16"), 5) {
		t.Error("Delete by mark")
	}
	changes(6)
	if n.Delete(net("1.1.3.0/24"), 0) || !n.Delete(net("9.0.0.0/8"), 0) || n.Delete(net("9.0.0.0/8"), 0) {
		t.Error("Delete")
	}
	changes(7)
	if !n.Has("br0", ip("5.0.0.1")) || n.Has("br0", ip("5.0.0.2")) || n.Has("br1", ip("5.0.0.1")) {
		t.Error("Has")
	}
}

func TestNeighbours(t *testing.T) {
	n, changes := newNet(t)
	a, b := [6]byte{2, 1}, [6]byte{2, 2}
	n.Heard("br0", ip("1.1.1.1"), a, begin)
	n.Heard("br0", ip("1.1.1.1"), a, begin.Add(time.Minute))
	changes(1)
	n.Heard("br0", ip("1.1.1.1"), b, begin.Add(time.Minute))
	n.Heard("br1", ip("1.1.1.1"), a, begin)
	changes(3)
	if mac, ok := n.Neighbour("br0", ip("1.1.1.1")); !ok || mac != b {
		t.Error(mac, ok)
	}
	if got := n.Neighbours(); !slices.Equal(got, []Neighbour{{"br0", ip("1.1.1.1"), b}, {"br1", ip("1.1.1.1"), a}}) {
		t.Error(got)
	}
	n.Expire(begin.Add(DefaultAging))
	changes(4)
	if got := n.Neighbours(); len(got) != 1 {
		t.Error(got)
	}
	n.SetAging(time.Second)
	n.Heard("br0", ip("1.1.1.1"), b, begin)
	n.Expire(begin.Add(2 * time.Second))
	if got := n.Neighbours(); len(got) != 0 || n.Aging() != time.Second {
		t.Error(got)
	}
	n.Heard("br0", ip("1.1.1.1"), b, begin)
	n.Flush()
	n.Flush()
	changes(7)
}

func TestAsk(t *testing.T) {
	n, _ := newNet(t)
	ask := func(after time.Duration, want bool) {
		t.Helper()
		if n.Ask("br0", ip("1.1.1.1"), begin.Add(after)) != want {
			t.Errorf("after %v: want %v", after, want)
		}
	}
	ask(0, true)
	ask(time.Second-1, false)
	ask(time.Second, true)
	n.Heard("br0", ip("1.1.1.1"), [6]byte{2}, begin)
	ask(time.Second+1, true)
	n.Expire(begin.Add(5 * time.Second))
	if len(n.asked) != 0 {
		t.Error("requests are remembered for ever")
	}
}

// Packets that leave the link do not come from an address of the link.
func TestSourceFor(t *testing.T) {
	addresses := []netip.Prefix{netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("fd00::1/64"), netip.MustParsePrefix("10.0.0.1/24")}
	for _, c := range []struct{ to, next, want string }{
		{"fe80::2", "fe80::2", "fe80::1"}, {"fd00::2", "fd00::2", "fd00::1"}, {"fd01::2", "fe80::9", "fd00::1"}, {"fd01::2", "fd00::9", "fd00::1"},
		{"fd01::2", "fd01::2", "invalid IP"}, {"10.0.0.2", "10.0.0.2", "10.0.0.1"}, {"11.0.0.2", "11.0.0.2", "invalid IP"}, {"11.0.0.2", "10.0.0.9", "10.0.0.1"},
	} {
		if got := SourceFor(addresses, netip.MustParseAddr(c.to), netip.MustParseAddr(c.next)); got.String() != c.want {
			t.Errorf("to %s by %s: %s, want %s", c.to, c.next, got, c.want)
		}
	}
}
