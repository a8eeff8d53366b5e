package ofproto

import (
	"bytes"
	"fmt"
	"net"

	"govs/vswitchd/desired"
)

// Address picks the bridge's MAC address: the one configured for the bridge
// or for its local port, else the lowest of its ports' addresses, else one
// made from the bridge's UUID. Of a bond counts the first interface by name.
// As with the C daemon, internal ports do not count, nor do addresses that
// are for groups, all zeros or locally administered.
func Address(want *desired.Bridge, device func(name string) net.HardwareAddr) net.HardwareAddr {
	if want.HWAddr != nil {
		return want.HWAddr
	}
	var lowest net.HardwareAddr
	for _, p := range want.Ports {
		for n, i := range p.Interfaces {
			if i.Local && i.MAC != nil {
				return i.MAC
			}
			if n > 0 || i.Local || i.Kind == desired.Internal {
				continue
			}
			addr := device(i.Name)
			if len(addr) != 6 || addr[0]&3 != 0 || reserved(addr) {
				continue
			}
			if lowest == nil || bytes.Compare(addr, lowest) < 0 {
				lowest = addr
			}
		}
	}
	if lowest != nil {
		return lowest
	}
	return want.DefaultMAC
}

func reserved(addr net.HardwareAddr) bool {
	return bytes.Equal(addr, make([]byte, 6))
}

// DatapathID is the bridge's OpenFlow datapath id: the configured one, else
// the bridge's address.
func DatapathID(want *desired.Bridge, addr net.HardwareAddr) string {
	if want.DatapathID != "" {
		return want.DatapathID
	}
	return fmt.Sprintf("0000%x", []byte(addr))
}

// MTU is what internal interfaces without a requested MTU get: the lowest of
// the bridge's other ports, 1500 where there are none (ovs-vswitchd.conf.db(5),
// mtu_request).
func (b *Bridge) MTU() int {
	lowest := 0
	for _, i := range b.Ifaces {
		if i.Port == nil || (i.Want.Kind == desired.Internal && i.Want.MTU == 0) {
			continue
		}
		if mtu := i.Port.State().MTU; mtu > 0 && (lowest == 0 || mtu < lowest) {
			lowest = mtu
		}
	}
	if lowest == 0 {
		return 1500
	}
	return lowest
}
