package daemon

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"govs/datapath/port/dummy"
	"govs/datapath/port/rtnl"
	"govs/vswitchd/ofproto"
	"govs/vswitchd/underlay"
	"govs/vswitchd/xlate"
)

// A wanted is a neighbour whose link layer address is to be asked for.
type wanted struct {
	bridge     string
	ip, source netip.Addr
}

// solicit is xlate.Underlay.Solicit.
func (v *services) solicit(bridge string, ip, source netip.Addr) {
	select {
	case v.asked <- wanted{bridge, ip, source}:
		v.s.nudge()
	default: // the next packet asks again
	}
}

// ask asks for neighbours.
func (v *services) ask() {
	for {
		select {
		case w := <-v.asked:
			if b := v.s.applier.Switch.Bridges[w.bridge]; b != nil && len(b.MAC) == 6 && w.ip.Is4() && w.source.Is4() {
				v.out = append(v.out, saying{frame: arpRequest(b.MAC, w.source, w.ip), enters: w.bridge})
			}
		default:
			return
		}
	}
}

// arpRequest is a request for the link layer address of an address of IPv4 (RFC 826).
func arpRequest(mac []byte, source, ip netip.Addr) []byte {
	f := slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac)
	f = binary.BigEndian.AppendUint16(f, 0x0806)
	f = append(f, 0, 1, 8, 0, 6, 4, 0, 1)
	f = append(append(f, mac...), source.AsSlice()...)
	f = append(append(f, make([]byte, 6)...), ip.AsSlice()...)
	return append(f, make([]byte, 60-len(f))...)
}

// underlay is xlate.Config.Underlay.
func (s *Switch) underlay() *xlate.Underlay {
	if len(s.applier.Tunnels) == 0 {
		return nil
	}
	return &xlate.Underlay{Net: s.net, Solicit: s.services.solicit}
}

// routesChanged is told by rtnetlink.
func (s *Switch) routesChanged() {
	s.news.Lock()
	s.rerouted = true
	s.news.Unlock()
	if s.tunnels.Load() {
		s.poke()
	}
}

// reroute learns the host's routes and addresses anew, where there are tunnels
// that they matter to and they may have changed. The caller holds s.mu.
func (s *Switch) reroute() {
	if len(s.applier.Tunnels) == 0 {
		return
	}
	s.news.Lock()
	due := s.rerouted
	s.rerouted = false
	s.news.Unlock()
	if due {
		s.loadRoutes()
	}
}

// loadRoutes learns the host's routes and addresses. The caller holds s.mu.
func (s *Switch) loadRoutes() {
	addresses := make(map[string][]netip.Prefix)
	var routes []underlay.Route
	if s.links != nil {
		var err error
		if addresses, err = s.links.Addresses(); err != nil {
			s.log.Warn("reading addresses: " + err.Error())
			return
		}
		all, err := s.links.Routes()
		if err != nil {
			s.log.Warn("reading routes: " + err.Error())
			return
		}
		slices.SortStableFunc(all, func(a, b rtnl.Route) int { return a.Metric - b.Metric })
		for _, r := range all {
			u := underlay.Route{Prefix: r.Prefix, Device: r.Device, Gateway: r.Gateway, Source: r.Source, Local: r.Local}
			next := r.Gateway
			if !next.IsValid() {
				next = r.Prefix.Addr()
			}
			for _, a := range addresses[r.Device] {
				if !u.Source.IsValid() && a.Contains(next) {
					u.Source = a.Addr()
				}
			}
			if !slices.ContainsFunc(routes, func(o underlay.Route) bool { return o.Prefix == u.Prefix }) { // the lowest metric counts
				routes = append(routes, u)
			}
		}
	}
	for _, b := range s.applier.Switch.Bridges {
		for _, i := range b.Ifaces {
			if p, ok := i.Port.(*dummy.Port); ok && p.Address().IsValid() && p.Address().Addr().Is4() {
				addresses[i.Want.Name] = []netip.Prefix{p.Address()}
			}
		}
	}
	s.net.SetHost(routes, addresses)
}

// egress is the device that a tunnel's packets leave by, "" where there is none,
// and whether it has a carrier. The caller holds s.mu.
func (s *Switch) egress(i *ofproto.Iface) (device string, carrier bool) {
	if i.Want.Tunnel == nil || !i.Want.Tunnel.Remote.IsValid() {
		return "", false
	}
	r, ok := s.net.Route(i.Want.Tunnel.Remote)
	if !ok {
		return "", false
	}
	if _, j := s.applier.Switch.Find(r.Device); j != nil && j.Port != nil {
		return r.Device, j.Port.State().Link
	}
	if s.links != nil {
		if l, err := s.links.ByName(r.Device); err == nil {
			return r.Device, l.Carrier
		}
	}
	return r.Device, false
}
