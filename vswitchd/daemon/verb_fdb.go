package daemon

import (
	"errors"
	"fmt"
	"net"
	"strconv"

	"govs/vswitchd/ofproto"
)

// verbsFDB adds fdb/show, fdb/flush, fdb/stats-show, fdb/stats-clear, fdb/add
// and fdb/del.
func (s *Switch) verbsFDB(r Registrar) {
	r.Register("fdb/show", "bridge", 1, 1, s.reading(func(args []string) (string, error) {
		b, err := s.bridge(args[0])
		if err != nil {
			return "", err
		}
		return b.MACs.Show(func(port string) (uint16, bool) { return portNumber(b, port) }, s.o.Clock.Now()), nil
	}))
	r.Register("fdb/flush", "[bridge]", 0, 1, s.reading(func(args []string) (string, error) {
		err := s.eachBridge(args, func(b *ofproto.Bridge) { b.MACs.Flush(s.o.Clock.Now()) })
		return "table successfully flushed", err
	}))
	r.Register("fdb/stats-show", "bridge", 1, 1, s.reading(func(args []string) (string, error) {
		b, err := s.bridge(args[0])
		if err != nil {
			return "", err
		}
		return b.MACs.Stats().Show(b.Want.Name), nil
	}))
	r.Register("fdb/stats-clear", "[bridge]", 0, 1, s.reading(func(args []string) (string, error) {
		err := s.eachBridge(args, func(b *ofproto.Bridge) { b.MACs.ClearStats() })
		return "statistics successfully cleared", err
	}))
	r.Register("fdb/add", "bridge port vlan mac", 4, 4, s.reading(s.fdbAdd))
	r.Register("fdb/del", "bridge vlan mac", 3, 3, s.reading(s.fdbDel))
}

// eachBridge does something with the named bridge, or with all.
func (s *Switch) eachBridge(names []string, do func(*ofproto.Bridge)) error {
	if len(names) == 1 {
		b, err := s.bridge(names[0])
		if err == nil {
			do(b)
		}
		return err
	}
	for _, b := range s.applier.Switch.Sorted() {
		do(b)
	}
	return nil
}

// portNumber is the OpenFlow number of a port's first interface.
func portNumber(b *ofproto.Bridge, port string) (uint16, bool) {
	for _, p := range b.Want.Ports {
		if p.Name == port && len(p.Interfaces) > 0 {
			return b.Number(p.Interfaces[0].Name)
		}
	}
	return 0, false
}

func (s *Switch) fdbAdd(args []string) (string, error) {
	b, err := s.bridge(args[0])
	if err != nil {
		return "", err
	}
	if _, ok := portNumber(b, args[1]); !ok {
		return "", errors.New("software error, odp port is present but no ofp port")
	}
	vlan, mac, err := station(args[2], args[3])
	if err != nil {
		return "", err
	}
	was, replaced, err := b.MACs.AddStatic(vlan, mac, args[1], s.o.Clock.Now())
	if err != nil {
		return "", err
	}
	if !replaced || was.Static && was.Port == args[1] {
		return "", nil
	}
	kind := "dynamic"
	if was.Static {
		kind = "static"
	}
	no, _ := portNumber(b, was.Port)
	return fmt.Sprintf("Overriding already existing %s entry on %d", kind, no), nil
}

func (s *Switch) fdbDel(args []string) (string, error) {
	b, err := s.bridge(args[0])
	if err != nil {
		return "", err
	}
	vlan, mac, err := station(args[1], args[2])
	if err != nil {
		return "", err
	}
	if !b.MACs.RemoveStatic(vlan, mac) {
		return "", errors.New("could not find static mac entry")
	}
	return "", nil
}

func station(vlan, addr string) (uint16, [6]byte, error) {
	n, err := strconv.ParseUint(vlan, 10, 16)
	if err != nil || n > 4095 {
		return 0, [6]byte{}, fmt.Errorf("%s: invalid VLAN", vlan)
	}
	mac, err := net.ParseMAC(addr)
	if err != nil || len(mac) != 6 {
		return 0, [6]byte{}, errors.New("bad MAC address")
	}
	return uint16(n), [6]byte(mac), nil
}
