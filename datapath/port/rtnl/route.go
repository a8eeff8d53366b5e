package rtnl

import (
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A Route is one in the kernel's main or local table.
type Route struct {
	Prefix  netip.Prefix
	Device  string
	Gateway netip.Addr // not valid where there is none
	Source  netip.Addr // that the kernel prefers; not valid where it names none
	Local   bool       // to the host itself
	Metric  int
}

// WatchRoutes has fn called, by the monitor's goroutine, whenever routes or
// addresses may have changed. It replaces the function of an earlier call.
func (m *Monitor) WatchRoutes(fn func()) {
	m.mu.Lock()
	m.routes = fn
	m.mu.Unlock()
}

func (m *Monitor) rerouted() {
	m.mu.Lock()
	fn := m.routes
	m.mu.Unlock()
	if fn != nil {
		fn()
	}
}

// Routes are the unicast and local routes that lead through one device.
func (m *Monitor) Routes() (out []Route, err error) {
	err = m.use(func(h *netlink.Handle) error {
		names, err := deviceNames(h)
		if err != nil {
			return err
		}
		all, err := h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
		if err != nil {
			return err
		}
		for i := range all {
			r := &all[i]
			local := r.Type == unix.RTN_LOCAL
			if r.Table != unix.RT_TABLE_MAIN && r.Table != unix.RT_TABLE_LOCAL || !local && r.Type != unix.RTN_UNICAST || names[r.LinkIndex] == "" {
				continue
			}
			any := netip.IPv4Unspecified()
			if r.Family == netlink.FAMILY_V6 {
				any = netip.IPv6Unspecified()
			}
			route := Route{Device: names[r.LinkIndex], Local: local, Metric: r.Priority, Prefix: netip.PrefixFrom(any, 0)}
			if r.Dst != nil {
				ip, _ := netip.AddrFromSlice(r.Dst.IP)
				bits, _ := r.Dst.Mask.Size()
				route.Prefix = netip.PrefixFrom(ip.Unmap(), bits)
			}
			if ip, ok := netip.AddrFromSlice(r.Gw); ok {
				route.Gateway = ip.Unmap()
			}
			if ip, ok := netip.AddrFromSlice(r.Src); ok {
				route.Source = ip.Unmap()
			}
			out = append(out, route)
		}
		return nil
	})
	return out, err
}

// Addresses are those that devices have, by name.
func (m *Monitor) Addresses() (map[string][]netip.Prefix, error) {
	out := make(map[string][]netip.Prefix)
	err := m.use(func(h *netlink.Handle) error {
		names, err := deviceNames(h)
		if err != nil {
			return err
		}
		all, err := h.AddrList(nil, netlink.FAMILY_ALL)
		if err != nil {
			return err
		}
		for _, a := range all {
			ip, ok := netip.AddrFromSlice(a.IP)
			if name := names[a.LinkIndex]; ok && name != "" {
				bits, _ := a.Mask.Size()
				out[name] = append(out[name], netip.PrefixFrom(ip.Unmap(), bits))
			}
		}
		return nil
	})
	return out, err
}

func deviceNames(h *netlink.Handle) (map[int]string, error) {
	links, err := h.LinkList()
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names, nil
}
