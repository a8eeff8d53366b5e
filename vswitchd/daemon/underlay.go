package daemon

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"

	"govs/datapath/header"
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
			if b := v.s.applier.Switch.Bridges[w.bridge]; b != nil && len(b.MAC) == 6 && w.ip.Is4() == w.source.Is4() {
				v.out = append(v.out, saying{frame: request(b.MAC, w.source, w.ip), enters: w.bridge})
			}
		default:
			return
		}
	}
}

// request asks for the link layer address of an address.
func request(mac []byte, source, ip netip.Addr) []byte {
	if ip.Is4() {
		return arpRequest(mac, source, ip)
	}
	return solicitation(mac, source, ip)
}

// solicitation is the same for IPv6 (RFC 4861, section 4.3).
func solicitation(mac []byte, source, ip netip.Addr) []byte {
	target := ip.As16()
	group := [16]byte{0xff, 2, 11: 1, 12: 0xff, 13: target[13], 14: target[14], 15: target[15]}
	f := slices.Concat([]byte{0x33, 0x33, 0xff, target[13], target[14], target[15]}, mac)
	f = binary.BigEndian.AppendUint16(f, header.TypeIPv6)
	const length = 32
	at := len(f)
	f = append(f, make([]byte, header.IPv6Len+length)...)
	h := header.IPv6(f[at:])
	h.SetVersion(0, 0)
	h.SetPayloadLen(length)
	h.SetNext(header.ProtoICMPv6)
	h.SetHopLimit(255)
	copy(h.Src(), source.AsSlice())
	copy(h.Dst(), group[:])
	icmp := f[at+header.IPv6Len:]
	icmp[0] = 135
	copy(icmp[8:], target[:])
	icmp[24], icmp[25] = 1, 1 // the source's link layer address, in units of 8 bytes
	copy(icmp[26:], mac)
	header.ICMP(icmp).SetChecksum(header.Checksum(icmp, header.PseudoSum(h.Src(), h.Dst(), header.ProtoICMPv6, length)))
	return f
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
		// The lowest metric counts, and of link-local networks, which are the same on
		// all devices, that of a bridge.
		other := func(r rtnl.Route) int {
			if s.applier.Switch.Bridges[r.Device] != nil {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(all, func(a, b rtnl.Route) int { return cmp.Or(a.Metric-b.Metric, other(a)-other(b)) })
		for _, r := range all {
			u := underlay.Route{Prefix: r.Prefix, Device: r.Device, Gateway: r.Gateway, Source: r.Source, Local: r.Local}
			next := r.Gateway
			if !next.IsValid() {
				next = r.Prefix.Addr()
			}
			if !u.Source.IsValid() {
				u.Source = underlay.SourceFor(addresses[r.Device], r.Prefix.Addr(), next)
			}
			if !slices.ContainsFunc(routes, func(o underlay.Route) bool { return o.Prefix == u.Prefix }) {
				routes = append(routes, u)
			}
		}
	}
	for _, b := range s.applier.Switch.Bridges {
		for _, i := range b.Ifaces {
			if p, ok := i.Port.(*dummy.Port); ok && len(p.Addresses()) > 0 {
				addresses[i.Want.Name] = p.Addresses()
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
	r, ok := s.net.Route(i.Want.Tunnel.Remote, i.Want.Tunnel.Mark)
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
