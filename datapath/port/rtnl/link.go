package rtnl

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ByName looks a device up. The error is ErrNotFound where there is none.
func (m *Monitor) ByName(name string) (l Link, err error) {
	err = m.use(func(h *netlink.Handle) error {
		link, err := h.LinkByName(name)
		if err == nil {
			l = describe(link)
		}
		return err
	})
	return l, err
}

// ByIndex looks a device up. The error is ErrNotFound where there is none.
func (m *Monitor) ByIndex(index int) (l Link, err error) {
	err = m.use(func(h *netlink.Handle) error {
		link, err := h.LinkByIndex(index)
		if err == nil {
			l = describe(link)
		}
		return err
	})
	return l, err
}

// Links lists the namespace's devices.
func (m *Monitor) Links() (out []Link, err error) {
	err = m.use(func(h *netlink.Handle) error {
		links, err := h.LinkList()
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return err
		}
		for _, l := range links {
			out = append(out, describe(l))
		}
		return nil
	})
	return out, err
}

// lookupError makes one error of the kinds that say that a device is not
// there.
func lookupError(err error) error {
	var missing netlink.LinkNotFoundError
	if errors.As(err, &missing) || errors.Is(err, unix.ENODEV) {
		return ErrNotFound
	}
	return err
}

// Counters are the kernel's own counters of a device, as in struct
// rtnl_link_stats64, seen from the host.
type Counters = netlink.LinkStatistics64

// Counters reads the kernel's counters of a device.
func (m *Monitor) Counters(index int) (c Counters, err error) {
	err = m.use(func(h *netlink.Handle) error {
		link, err := h.LinkByIndex(index)
		if err != nil {
			return err
		}
		s := link.Attrs().Statistics
		if s == nil {
			return fmt.Errorf("%s: the kernel gives no statistics", link.Attrs().Name)
		}
		c = Counters(*s)
		return nil
	})
	return c, err
}

// SetMAC sets the device's Ethernet address.
func (m *Monitor) SetMAC(index int, mac net.HardwareAddr) error {
	return m.use(func(h *netlink.Handle) error { return h.LinkSetHardwareAddr(byIndex(index), mac) })
}

// SetMTU sets the device's MTU in bytes.
func (m *Monitor) SetMTU(index, mtu int) error {
	return m.use(func(h *netlink.Handle) error { return h.LinkSetMTU(byIndex(index), mtu) })
}

// SetUp brings the device up, or down.
func (m *Monitor) SetUp(index int, up bool) error {
	return m.use(func(h *netlink.Handle) error {
		if up {
			return h.LinkSetUp(byIndex(index))
		}
		return h.LinkSetDown(byIndex(index))
	})
}

func byIndex(index int) netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}
}

// Hardware is what ethtool tells of a device.
type Hardware struct {
	Driver            string // "" where not known
	Version, Firmware string // of the driver and of the device
	Speed             uint64 // bits a second, 0 where not known
	Duplex            string // "full", "half" or ""
}

// ethtoolCmd is struct ethtool_cmd of linux/ethtool.h.
type ethtoolCmd struct {
	cmd                     uint32
	supported, advertising  uint32
	speed                   uint16
	duplex, port, phy       uint8
	transceiver, autoneg, m uint8
	maxtx, maxrx            uint32
	speedHi                 uint16
	rest                    [2]uint8
	lp                      uint32
	reserved                [2]uint32
}

// Hardware asks the named device's driver what it is and how fast.
func (m *Monitor) Hardware(name string) Hardware {
	var h Hardware
	m.inUse.RLock()
	defer m.inUse.RUnlock()
	if m.handle == nil {
		return h
	}
	if info, err := unix.IoctlGetEthtoolDrvinfo(m.ioctl, name); err == nil {
		h.Driver = unix.ByteSliceToString(info.Driver[:])
		h.Version = unix.ByteSliceToString(info.Version[:])
		h.Firmware = unix.ByteSliceToString(info.Fw_version[:])
	}
	cmd := ethtoolCmd{cmd: unix.ETHTOOL_GSET}
	if ethtool(m.ioctl, name, &cmd) == nil {
		mbit := uint32(cmd.speedHi)<<16 | uint32(cmd.speed)
		if mbit != 0 && mbit != 0xffff && mbit != 0xffffffff {
			h.Speed = uint64(mbit) * 1000 * 1000
		}
		switch cmd.duplex {
		case 0:
			h.Duplex = "half"
		case 1:
			h.Duplex = "full"
		}
	}
	return h
}

func errnoOrNil(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}
