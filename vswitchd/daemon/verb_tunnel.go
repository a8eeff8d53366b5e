package daemon

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/datapath/tunnel"
	"govs/vswitchd/apply"
	"govs/vswitchd/desired"
)

// verbsTunnel adds ovs/route/*, tnl/neigh/* with their older names tnl/arp/*,
// and tnl/ports/show.
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
		if len(args) > 1 {
			return "", answer("pkt_mark not supported")
		}
		if !s.net.Delete(prefix) {
			return "", answer("Not found")
		}
		return "OK", nil
	}))
	r.Register("ovs/route/lookup", "ip_addr [pkt_mark=mark]", 1, 2, s.reading(func(args []string) (string, error) {
		ip, err := netip.ParseAddr(args[0])
		if err != nil {
			return "", answer("Invalid parameters")
		}
		if len(args) > 1 {
			return "", answer("pkt_mark not supported")
		}
		s.loadRoutes()
		route, ok := s.net.Route(ip)
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
	r.Register("tnl/ports/show", "-v", 0, 1, s.reading(s.tunnelPorts))
}

func (s *Switch) routeAdd(args []string) (string, error) {
	prefix, err := netip.ParsePrefix(args[0])
	if err != nil {
		return "", answer("Invalid parameters")
	}
	var gateway netip.Addr
	if len(args) > 2 {
		if strings.HasPrefix(args[2], "pkt_mark=") || len(args) > 3 {
			return "", answer("pkt_mark not supported")
		}
		if gateway, err = netip.ParseAddr(args[2]); err != nil || gateway.Is4() != prefix.Addr().Is4() {
			return "", answer("Invalid pkt_mark or gateway")
		}
	}
	s.loadRoutes()
	if !s.net.Add(prefix, args[1], gateway) {
		return "", answer("Error while inserting route.")
	}
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
				fmt.Fprintf(&b, "%s (%d) : eth(dst=%s),eth_type(0x0800),ipv4(dst=%s,proto=%d,frag=no)", p.Name, p.No, br.MAC, a.Addr(), p.Kind.Proto())
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

// sharedText is a shared port in brackets, as dpctl/show has it.
func sharedText(p *apply.Shared) string {
	options := "packet_type=ptap"
	if p.Kind == tunnel.VXLAN && p.Port != tunnel.VXLANPort || p.Kind == tunnel.Geneve && p.Port != tunnel.GenevePort {
		options = fmt.Sprintf("dst_port=%d, ", p.Port) + options
	}
	if p.Kind == tunnel.ERSPAN {
		options = "erspan_ver=0, " + options
	}
	return fmt.Sprintf("%s: %s", p.Kind, options)
}

// tunnelText are a tunnel's options as dpif/show has them.
func tunnelText(i *desired.Interface) string {
	options := maps.Clone(i.Options)
	if c := i.Tunnel; c.Kind == tunnel.ERSPAN {
		maps.DeleteFunc(options, func(name, _ string) bool { return strings.HasPrefix(name, "erspan_") })
		options["erspan_ver"] = fmt.Sprint(c.Version)
		if c.Version == 1 {
			options["erspan_idx"] = fmt.Sprintf("%#x", c.Index)
		} else {
			options["erspan_dir"], options["erspan_hwid"] = "0", fmt.Sprintf("%#x", c.Hardware)
			if c.Egress {
				options["erspan_dir"] = "1"
			}
		}
	}
	var words []string
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if desired.TunnelOption(name) {
			words = append(words, name+"="+options[name])
		}
	}
	return strings.Join(words, ", ")
}
