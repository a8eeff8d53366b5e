package apply

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"

	"govs/datapath/port"
	"govs/datapath/port/rtnl"
	"govs/vswitchd/desired"
	"govs/vswitchd/ofproto"
)

// address gives the bridge the MAC address and the datapath id that follow
// from its ports, and its internal devices their MTU. It says whether the MAC
// address is another one than before.
func (a *Applier) address(b *ofproto.Bridge) (changed bool) {
	addr := a.bridgeAddress(b)
	if !bytes.Equal(addr, b.MAC) {
		b.MAC, changed = addr, true
	}
	if local := b.Ifaces[b.Want.Name]; local != nil && local.Port != nil && !bytes.Equal(local.Port.State().MAC, addr) {
		a.set(local, "MAC", func(p port.Admin) error { return p.SetMAC(addr) })
	}
	if id := ofproto.DatapathID(b.Want, addr); id != b.DatapathID {
		b.DatapathID = id
		a.o.Log.Info(fmt.Sprintf("bridge %s: using datapath ID %s", b.Want.Name, id))
	}
	// Only a change is handed on: an MTU that the administrator set stays.
	mtu := b.MTU()
	if mtu == b.InternalMTU {
		return changed
	}
	b.InternalMTU = mtu
	for _, i := range b.Ifaces {
		if i.Port == nil || i.Want.Kind != desired.Internal || i.Want.MTU != 0 {
			continue
		}
		if i.Port.State().MTU != mtu {
			a.set(i, "MTU", func(p port.Admin) error { return p.SetMTU(mtu) })
		}
	}
	return changed
}

// bridgeAddress picks the bridge's address from the devices that are open.
func (a *Applier) bridgeAddress(b *ofproto.Bridge) net.HardwareAddr {
	return ofproto.Address(b.Want, func(name string) net.HardwareAddr {
		if i := b.Ifaces[name]; i != nil && i.Port != nil {
			return i.Port.State().MAC
		}
		return nil
	})
}

// reason is an error as the C daemon words it: the text of the error number,
// where there is one.
func reason(err error) string {
	if errors.Is(err, rtnl.ErrNotFound) {
		err = syscall.ENODEV
	}
	var number syscall.Errno
	if !errors.As(err, &number) {
		return err.Error()
	}
	text := number.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
