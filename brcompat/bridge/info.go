package bridge

import (
	"context"
	"encoding/hex"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// What a bridge has where its row says nothing, in hundredths of a second.
const (
	defMaxAge       = 2000
	defHelloTime    = 200
	defForwardDelay = 1500
	defAgeingTime   = 30000
	defPriority     = 0x8000
	defPortPriority = 0x80
)

// Info describes a bridge. The error is ENODEV where there is no such bridge.
func (s *Switch) Info(ctx context.Context, name string) (*ioctl.BridgeInfo, error) {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return nil, err
	}
	i := s.info(b)
	if i.STP {
		t := s.timersOf(ctx, b).bridge
		i.HelloTimer, i.TCNTimer, i.TopologyChangeTimer = t["hello"], t["tcn"], t["topology-change"]
	}
	return i, nil
}

func (s *Switch) info(b *bridge) *ioctl.BridgeInfo {
	o := b.row.OtherConfig
	i := &ioctl.BridgeInfo{
		Bridge:             ioctl.ID(uint16(number(o, "stp-priority", defPriority, 0xffff)), s.mac(b)),
		BridgeMaxAge:       seconds(o, "stp-max-age", defMaxAge),
		BridgeHelloTime:    seconds(o, "stp-hello-time", defHelloTime),
		BridgeForwardDelay: seconds(o, "stp-forward-delay", defForwardDelay),
		AgeingTime:         seconds(o, "mac-aging-time", defAgeingTime),
		STP:                b.row.STPEnable && b.parent == nil,
	}
	i.MaxAge, i.HelloTime, i.ForwardDelay = i.BridgeMaxAge, i.BridgeHelloTime, i.BridgeForwardDelay
	i.Root = i.Bridge
	if !i.STP {
		return i
	}
	if id, ok := parseID(b.row.Status["stp_bridge_id"]); ok {
		i.Bridge, i.Root = id, id
	}
	if id, ok := parseID(b.row.Status["stp_designated_root"]); ok {
		i.Root = id
	}
	i.RootPathCost = uint32(number(b.row.Status, "stp_root_path_cost", 0, 1<<32-1))
	nos := s.numbers.of(b)
	for _, p := range b.ports {
		if strings.EqualFold(p.row.Status["stp_role"], "root") {
			i.RootPort = uint8(nos[p.name])
		}
	}
	return i
}

// PortInfo describes the port of a bridge with the given number. The error is
// ENODEV where there is no such bridge, and EINVAL where it has no such port.
func (s *Switch) PortInfo(ctx context.Context, name string, no uint32) (*ioctl.PortInfo, error) {
	b, err := s.bridge(ctx, name)
	if err != nil {
		return nil, err
	}
	p := s.byNumber(b, no)
	if p == nil {
		return nil, unix.EINVAL
	}
	br := s.info(b)
	prio := number(p.row.OtherConfig, "stp-port-priority", defPortPriority, 0xff)
	i := &ioctl.PortInfo{
		Root: br.Root, DesignatedBridge: br.Bridge,
		ID:       uint16(prio>>2)<<10 | uint16(no),
		PathCost: uint32(number(p.row.OtherConfig, "stp-path-cost", defaultCost(p), 1<<32-1)),
		State:    s.state(p),
	}
	if br.STP {
		st := p.row.Status
		if v, ok := states[strings.ToLower(st["stp_state"])]; ok {
			i.State = v
		}
		i.DesignatedCost = br.RootPathCost
		t := s.timersOf(ctx, b).ports[p.name]
		i.MessageTimer, i.ForwardTimer, i.HoldTime = t["message-age"], t["forward-delay"], t["hold"]
	}
	i.DesignatedPort = i.ID
	return i, nil
}

var states = map[string]uint8{
	"disabled": ioctl.StateDisabled, "listening": ioctl.StateListening, "learning": ioctl.StateLearning,
	"forwarding": ioctl.StateForwarding, "blocking": ioctl.StateBlocking,
}

// state is a port's state where no spanning tree decides it: it forwards when
// any of its interfaces can. The kernel knows about a device at once, the
// database some time later.
func (s *Switch) state(p *port) uint8 {
	if len(p.ifaces) == 1 {
		if l, err := s.links.ByName(p.device()); err == nil {
			if l.Up && l.Running {
				return ioctl.StateForwarding
			}
			return ioctl.StateDisabled
		}
	}
	for _, i := range p.ifaces {
		if i.LinkState != nil && *i.LinkState == "up" && (i.AdminState == nil || *i.AdminState == "up") {
			return ioctl.StateForwarding
		}
	}
	return ioctl.StateDisabled
}

// defaultCost is the cost that IEEE 802.1D gives a link of the port's speed.
func defaultCost(p *port) uint64 {
	var speed int
	for _, i := range p.ifaces {
		if i.LinkSpeed != nil {
			speed += *i.LinkSpeed
		}
	}
	switch {
	case speed >= 10e9:
		return 2
	case speed >= 1e9:
		return 4
	case speed >= 100e6 || speed == 0:
		return 19
	}
	return 100
}

// mac is the address of a bridge's local port.
func (s *Switch) mac(b *bridge) net.HardwareAddr {
	if a := s.links.MAC(b.name); a != nil {
		return a
	}
	if b.local != nil && b.local.MACInUse != nil {
		if a, err := net.ParseMAC(*b.local.MACInUse); err == nil {
			return a
		}
	}
	return nil
}

// byNumber finds a port of a bridge, or gives nil.
func (s *Switch) byNumber(b *bridge, no uint32) *port {
	nos := s.numbers.of(b)
	for _, p := range b.ports {
		if n := nos[p.name]; n != 0 && uint32(n) == no {
			return p
		}
	}
	return nil
}

// number reads a number of a map, or gives def.
func number(m map[string]string, key string, def, highest uint64) uint64 {
	v, err := strconv.ParseUint(strings.TrimSpace(m[key]), 0, 64)
	if err != nil || v > highest {
		return def
	}
	return v
}

// seconds reads a time in seconds, and gives hundredths.
func seconds(m map[string]string, key string, def uint32) uint32 {
	return uint32(number(m, key, uint64(def)/100, (1<<32-1)/100)) * 100
}

// parseID reads a bridge's identifier such as 8000.0023209ef6f9.
func parseID(text string) (ioctl.BridgeID, bool) {
	prio, mac, ok := strings.Cut(text, ".")
	p, err := strconv.ParseUint(prio, 16, 16)
	m, err2 := hex.DecodeString(mac)
	if !ok || err != nil || err2 != nil || len(m) != 6 {
		return ioctl.BridgeID{}, false
	}
	return ioctl.ID(uint16(p), m), true
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
