// Package underlay knows the networks that tunnels go through: the host's
// routes and addresses, routes that were added by hand, and the link layer
// addresses of neighbours on the bridges. It opens nothing: who watches the
// host tells it (SetHost), and so does who sees packets (Heard).
//
// # Caveats
//
// Neighbours are those that packets of the bridges told of, or that were set by
// hand; the host's own table of neighbours is not looked at.
package underlay

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultAging is how long a neighbour is known without being heard of.
const DefaultAging = 15 * time.Minute

// askEvery is the time between two requests for one neighbour.
const askEvery = time.Second

// A Route says by which device, and by which router, packets travel.
type Route struct {
	Prefix  netip.Prefix
	Device  string
	Gateway netip.Addr // not valid where the destination is on the link
	Source  netip.Addr // that packets get
	User    bool       // added by hand
	Mark    uint32     // it is for packets with that mark alone
	Local   bool       // to the host itself
}

// String is the route as ovs/route/show prints it.
func (r Route) String() string {
	kind := "Cached"
	if r.User {
		kind = "User"
	}
	s := fmt.Sprintf("%s: %s", kind, r.Prefix)
	if r.Mark != 0 {
		s += fmt.Sprintf(" MARK %d", r.Mark)
	}
	s += " dev " + r.Device
	if r.Gateway.IsValid() {
		s += " GW " + r.Gateway.String()
	}
	if r.Source.IsValid() {
		s += " SRC " + r.Source.String()
	}
	if r.Local {
		s += " local"
	}
	return s
}

// A Net is the networks below one switch. It is safe for concurrent use.
type Net struct {
	changed func()

	mu         sync.RWMutex
	user, host []Route
	addresses  map[string][]netip.Prefix // by device
	neighbours map[place]*neighbour
	asked      map[place]time.Time
	aging      time.Duration
}

// A place is an address in the network of a bridge.
type place struct {
	bridge string
	ip     netip.Addr
}

type neighbour struct {
	mac   [6]byte
	until time.Time
}

// New returns a Net that knows nothing. changed is called, by any goroutine
// and without locks held, when answers are different from before.
func New(changed func()) *Net {
	return &Net{changed: changed, neighbours: make(map[place]*neighbour), asked: make(map[place]time.Time), aging: DefaultAging}
}

// SetHost sets what the host's routes and its devices' addresses are.
func (n *Net) SetHost(routes []Route, addresses map[string][]netip.Prefix) {
	slices.SortFunc(routes, order)
	n.mu.Lock()
	same := slices.Equal(n.host, routes) && len(n.addresses) == len(addresses)
	for dev, list := range addresses {
		same = same && slices.Equal(n.addresses[dev], list)
	}
	n.host, n.addresses = routes, addresses
	n.mu.Unlock()
	if !same {
		n.changed()
	}
}

// priority says which of two routes counts, the higher one, as in the C switch:
// those to the host itself, then long prefixes (as of IPv6, so that all of IPv4
// are long), where those that were added by hand have the better of 64 bits.
func (r Route) priority() int {
	n := r.Prefix.Bits()
	if r.Prefix.Addr().Is4() {
		n += 96
	}
	switch {
	case r.Local:
		n += 1000
	case r.User:
		n += 64
	}
	return n
}

// order puts what is looked at first in front.
func order(a, b Route) int {
	return cmp.Or(cmp.Compare(b.priority(), a.priority()), a.Prefix.Addr().Compare(b.Prefix.Addr()), strings.Compare(a.Device, b.Device))
}

// Add adds a route by hand, in place of one to the same network. It says false
// where the device has no address for packets to come from.
func (n *Net) Add(prefix netip.Prefix, device string, gateway netip.Addr, mark uint32) bool {
	r := Route{Prefix: prefix.Masked(), Device: device, Gateway: gateway, User: true, Mark: mark}
	next := gateway
	if !next.IsValid() {
		next = prefix.Addr()
	}
	n.mu.Lock()
	r.Source = SourceFor(n.addresses[device], prefix.Addr(), next)
	if r.Source.IsValid() {
		n.user = slices.DeleteFunc(n.user, func(old Route) bool { return old.Prefix == r.Prefix && old.Mark == mark })
		n.user = append(n.user, r)
		slices.SortFunc(n.user, order)
	}
	n.mu.Unlock()
	if r.Source.IsValid() {
		n.changed()
	}
	return r.Source.IsValid()
}

// SourceFor is the address that packets to a destination have, which go to the
// next hop on a device with these addresses: one in the next hop's network, which
// must be there. Where that is valid on the link alone and the destination is
// not, it is another one, if there is one.
func SourceFor(addresses []netip.Prefix, to, next netip.Addr) (source netip.Addr) {
	for _, a := range addresses {
		if a.Contains(next) {
			source = a.Addr()
			break
		}
	}
	if source.IsLinkLocalUnicast() && !to.IsLinkLocalUnicast() {
		for _, a := range addresses {
			if a.Addr().Is4() == source.Is4() && !a.Addr().IsLinkLocalUnicast() {
				return a.Addr()
			}
		}
	}
	return source
}

// Delete takes a route away that was added by hand, and says whether there was
// one.
func (n *Net) Delete(prefix netip.Prefix, mark uint32) bool {
	n.mu.Lock()
	before := len(n.user)
	n.user = slices.DeleteFunc(n.user, func(r Route) bool { return r.Prefix == prefix.Masked() && r.Mark == mark })
	gone := len(n.user) < before
	n.mu.Unlock()
	if gone {
		n.changed()
	}
	return gone
}

// Routes are all routes, those that count first in front.
func (n *Net) Routes() []Route {
	n.mu.RLock()
	all := slices.Concat(n.user, n.host)
	n.mu.RUnlock()
	slices.SortStableFunc(all, order)
	return all
}

// Route is the one by which packets with a mark reach an address. Routes that
// are for a mark go before others.
func (n *Net) Route(to netip.Addr, mark uint32) (Route, bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if mark != 0 {
		if at := slices.IndexFunc(n.user, func(r Route) bool { return r.Mark == mark && r.Prefix.Contains(to) }); at >= 0 {
			return n.user[at], true
		}
	}
	best, found := Route{}, false
	for _, list := range [][]Route{n.user, n.host} {
		at := slices.IndexFunc(list, func(r Route) bool { return r.Mark == 0 && r.Prefix.Contains(to) })
		if at >= 0 && (!found || list[at].priority() > best.priority()) {
			best, found = list[at], true
		}
	}
	return best, found
}

// Addresses are those of a device.
func (n *Net) Addresses(device string) []netip.Prefix {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.addresses[device]
}

// Has says whether a device has the address.
func (n *Net) Has(device string, ip netip.Addr) bool {
	return slices.ContainsFunc(n.Addresses(device), func(p netip.Prefix) bool { return p.Addr() == ip })
}

// Heard notes where a neighbour on a bridge is, at the time now.
func (n *Net) Heard(bridge string, ip netip.Addr, mac [6]byte, now time.Time) {
	at := place{bridge, ip}
	n.mu.Lock()
	old := n.neighbours[at]
	changed := old == nil || old.mac != mac
	if changed {
		old = &neighbour{mac: mac}
		n.neighbours[at] = old
	}
	old.until = now.Add(n.aging)
	delete(n.asked, at)
	n.mu.Unlock()
	if changed {
		n.changed()
	}
}

// Neighbour is the link layer address of a neighbour on a bridge.
func (n *Net) Neighbour(bridge string, ip netip.Addr) (mac [6]byte, ok bool) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if e := n.neighbours[place{bridge, ip}]; e != nil {
		return e.mac, true
	}
	return mac, false
}

// Ask says whether a neighbour that is not known is to be asked for now: at
// most once in a while.
func (n *Net) Ask(bridge string, ip netip.Addr, now time.Time) bool {
	at := place{bridge, ip}
	n.mu.Lock()
	defer n.mu.Unlock()
	if last, ok := n.asked[at]; ok && now.Sub(last) < askEvery {
		return false
	}
	n.asked[at] = now
	return true
}

// Expire forgets neighbours that were not heard of for too long.
func (n *Net) Expire(now time.Time) {
	n.forget(func(e *neighbour) bool { return !e.until.After(now) })
	n.mu.Lock()
	for at, last := range n.asked {
		if now.Sub(last) >= askEvery {
			delete(n.asked, at)
		}
	}
	n.mu.Unlock()
}

// Flush forgets all neighbours.
func (n *Net) Flush() { n.forget(func(*neighbour) bool { return true }) }

func (n *Net) forget(which func(*neighbour) bool) {
	n.mu.Lock()
	before := len(n.neighbours)
	for at, e := range n.neighbours {
		if which(e) {
			delete(n.neighbours, at)
		}
	}
	gone := len(n.neighbours) < before
	n.mu.Unlock()
	if gone {
		n.changed()
	}
}

// Aging is how long neighbours are known without being heard of.
func (n *Net) Aging() time.Duration {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.aging
}

// SetAging changes that; what is known already keeps the old time until it is
// heard of again.
func (n *Net) SetAging(d time.Duration) {
	n.mu.Lock()
	n.aging = d
	n.mu.Unlock()
}

// A Neighbour is one line of tnl/neigh/show.
type Neighbour struct {
	Bridge string
	IP     netip.Addr
	MAC    [6]byte
}

// Neighbours are all that are known, by bridge and address.
func (n *Net) Neighbours() (list []Neighbour) {
	n.mu.RLock()
	for at, e := range n.neighbours {
		list = append(list, Neighbour{at.bridge, at.ip, e.mac})
	}
	n.mu.RUnlock()
	slices.SortFunc(list, func(a, b Neighbour) int {
		return cmp.Or(strings.Compare(a.Bridge, b.Bridge), a.IP.Compare(b.IP))
	})
	return list
}
