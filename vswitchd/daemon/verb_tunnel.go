package daemon

import (
	"cmp"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/vswitchd/apply"
)

// verbsTunnel adds ovs/route/*, tnl/neigh/* with their older names tnl/arp/*,
// tnl/ports/show and ofproto/list-tunnels.
func (s *Switch) verbsTunnel(r Registrar) {
	r.Register("ovs/route/add", "ip_addr/prefix_len out_br_name [gw] [pkt_mark=mark]", 2, 4, s.reading(s.routeAdd))
	r.Register("ovs/route/show", "", 0, 0, s.reading(func([]string) (string, error) {
		s.loadRoutes()
		var b strings.Builder
		b.WriteString("Route Table:\n")
		for _, route := range s.net.Routes() {
			b.WriteString(route.String() + "\n")
		}
		return b.String(), nil
	}))
	r.Register("ovs/route/del", "ip_addr/prefix_len [pkt_mark=mark]", 1, 2, s.reading(func(args []string) (string, error) {
		prefix, err := netip.ParsePrefix(args[0])
		if err != nil {
			return "", answer("Invalid parameters")
		}
		mark, ok := packetMark(args[1:])
		if !ok {
			return "", answer("Invalid pkt_mark")
		}
		if !s.net.Delete(prefix, mark) {
			return "", answer("Not found")
		}
		return "OK", nil
	}))
	r.Register("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, s.reading(func(args []string) (string, error) {
		ip, err := netip.ParseAddr(args[0])
		if err != nil {
			return "", answer("Invalid parameters")
		}
		mark, ok := packetMark(args[1:])
		if !ok {
			return "", answer("Invalid pkt_mark")
		}
		s.loadRoutes()
		route, ok := s.net.Route(ip, mark)
		if !ok {
			return "", answer("Not found")
		}
		gateway := "::"
		if route.Gateway.IsValid() {
			gateway = route.Gateway.String()
		}
		return fmt.Sprintf("src %s\ngateway %s\ndev %s\n", route.Source, gateway, route.Device), nil
	}))
	for _, name := range []string{"tnl/neigh", "tnl/arp"} {
		r.Register(name+"/show", "", 0, 0, s.reading(s.neighbours))
		r.Register(name+"/flush", "", 0, 0, s.reading(func([]string) (string, error) {
			s.net.Flush()
			return "OK", nil
		}))
		r.Register(name+"/set", "BRIDGE IP MAC", 3, 3, s.reading(s.setNeighbour))
		r.Register(name+"/aging", "[SECS]", 0, 1, s.reading(func(args []string) (string, error) {
			if len(args) == 0 {
				return fmt.Sprint(int(s.net.Aging() / time.Second)), nil
			}
			n, err := strconv.ParseUint(args[0], 10, 31)
			if err != nil || n == 0 || n > 3600 {
				return "", answer("bad aging value")
			}
			s.net.SetAging(time.Duration(n) * time.Second)
			return "OK", nil
		}))
	}
	r.Register("tnl/egress_port_range", "min max", 0, 2, s.reading(s.sourcePorts))
	r.Register("tnl/ports/show", "-v", 0, 1, s.reading(s.tunnelPorts))
	r.Register("ofproto/list-tunnels", "", 0, 0, s.reading(s.listTunnels))
}

func (s *Switch) routeAdd(args []string) (string, error) {
	prefix, err := netip.ParsePrefix(args[0])
	if err != nil {
		return "", answer("Invalid parameters")
	}
	var gateway netip.Addr
	words := args[2:]
	if len(words) == 2 {
		if _, ok := packetMark(words[1:]); !ok {
			return "", answer("Invalid pkt_mark")
		}
	}
	if len(words) > 0 && !strings.HasPrefix(words[0], "pkt_mark=") {
		if gateway, err = netip.ParseAddr(words[0]); err != nil || gateway.Is4() != prefix.Addr().Is4() {
			if prefix.Addr().Is6() {
				return "", answer("Invalid pkt_mark or IPv6 gateway")
			}
			return "", answer("Invalid pkt_mark or gateway")
		}
		words = words[1:]
	}
	mark, ok := packetMark(words)
	if !ok {
		return "", answer("Invalid pkt_mark")
	}
	s.loadRoutes()
	if !s.net.Add(prefix, args[1], gateway, mark) {
		return "", answer("Error while inserting route.")
	}
	return "OK", nil
}

// packetMark is the mark that pkt_mark=N names; 0 where there are no words.
func packetMark(words []string) (mark uint32, ok bool) {
	if len(words) == 0 {
		return 0, true
	}
	text, ok := strings.CutPrefix(words[0], "pkt_mark=")
	n, err := strconv.ParseUint(text, 0, 32)
	return uint32(n), ok && err == nil && len(words) == 1
}

// sourcePorts shows or sets the source ports of tunnels over UDP.
func (s *Switch) sourcePorts(args []string) (string, error) {
	if len(args) < 2 {
		first, last := s.engine.SourcePorts()
		return fmt.Sprintf("Tunnel UDP source port range: %d-%d\n", first, last), nil
	}
	var ports [2]uint16
	for i, name := range []string{"min", "max"} {
		n, err := strconv.ParseUint(args[i], 10, 16)
		if err != nil || n == 0 {
			return "", answer("Invalid " + name + ".")
		}
		ports[i] = uint16(n)
	}
	s.engine.SetSourcePorts(min(ports[0], ports[1]), max(ports[0], ports[1]))
	return "OK", nil
}

func (s *Switch) neighbours([]string) (string, error) {
	var b strings.Builder
	b.WriteString("IP                                            MAC                 Bridge\n")
	b.WriteString(strings.Repeat("=", 74) + "\n")
	for _, n := range s.net.Neighbours() {
		fmt.Fprintf(&b, "%-45s %s   %s\n", n.IP, net.HardwareAddr(n.MAC[:]), n.Bridge)
	}
	return b.String(), nil
}

func (s *Switch) setNeighbour(args []string) (string, error) {
	ip, err := netip.ParseAddr(args[1])
	if err != nil {
		return "", answer("bad IP address")
	}
	mac, err := net.ParseMAC(args[2])
	if err != nil || len(mac) != 6 {
		return "", answer("bad MAC address")
	}
	s.net.Heard(args[0], ip, [6]byte(mac), s.o.Clock.Now())
	return "OK", nil
}

// tunnelPorts tells of the ports that tunnels share, and with -v of the packets
// that are for them.
func (s *Switch) tunnelPorts(args []string) (string, error) {
	var b strings.Builder
	b.WriteString("Listening ports:\n")
	s.loadRoutes()
	for _, p := range s.sharedPorts() {
		if len(args) == 0 {
			fmt.Fprintf(&b, "%s (%d) ref_cnt=%d\n", p.Name, p.No, p.Users)
			continue
		}
		for _, br := range s.applier.Switch.Sorted() {
			for _, a := range s.net.Addresses(br.Want.Name) {
				typ, ip := "0x0800", "ipv4"
				if a.Addr().Is6() {
					typ, ip = "0x86dd", "ipv6"
				}
				fmt.Fprintf(&b, "%s (%d) : eth(dst=%s),eth_type(%s),%s(dst=%s,proto=%d,frag=no)", p.Name, p.No, br.MAC, typ, ip, a.Addr(), p.Kind.Proto())
				if p.Port != 0 {
					fmt.Fprintf(&b, ",udp(dst=%d)", p.Port)
				}
				b.WriteString("\n")
			}
		}
	}
	return b.String(), nil
}

// sharedPorts are the ports that tunnels share, by number.
func (s *Switch) sharedPorts() (list []*apply.Shared) {
	for _, p := range s.applier.Tunnels {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *apply.Shared) int { return cmp.Compare(a.No, b.No) })
	return list
}
