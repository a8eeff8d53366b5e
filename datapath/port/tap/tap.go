// Package tap is the port on a TAP device: the host's stack, or a virtual
// machine, holds the device, and the switch holds what stands behind it.
//
// Open makes the device where there is none, with large segments (TCP, and
// UDP where the kernel has it) and partial checksums both ways, and Close
// removes it. A persistent TAP device that exists already is taken as it is
// and left in place.
//
// # Caveats
//
// Reads and writes are one system call a packet: /dev/net/tun has no batches.
// Open belongs to the network namespace of the calling thread. A device that
// is moved to another one goes on carrying packets, but what becomes of its
// state, address and MTU there is not known: it counts as up.
package tap

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/ready"
	"govs/datapath/port/rtnl"
	"govs/datapath/port/vnet"
)

// Offload bits of TUNSETOFFLOAD, with the kernel that brought them.
const (
	offCsum = 0x01
	offTSO4 = 0x02
	offTSO6 = 0x04
	offECN  = 0x08
	offUSO4 = 0x20 // 6.2
	offUSO6 = 0x40 // 6.2
)

// buffers are shared by the ports of a process. They hold no state.
var buffers vnet.Cache

// Options are what Open needs beside the device's name.
type Options struct {
	Pool *packet.Pool // where received packets come from; required
	Log  *slog.Logger // nil for none
	// Links follows the device. It belongs to the namespace that Open is
	// called in. Where it is nil the port has a monitor of its own.
	Links *rtnl.Monitor
	// MAC, where it is not nil, and MTU, where it is not 0, are given to the
	// device before it comes up.
	MAC net.HardwareAddr
	MTU int
	// Up brings the device up.
	Up bool
	// New refuses a device that exists already.
	New bool
}

// A Port is a TAP device. It implements port.Port, port.Admin and
// port.Notifier.
type Port struct {
	*rtnl.Device
	log  *slog.Logger
	pool *packet.Pool

	file     *os.File // not watched by the runtime: wait is
	conn     syscall.RawConn
	wait     *ready.Waiter
	offloads port.Offloads

	rx receiver
	tx sender

	closed atomic.Bool
}

// Open makes a port of the TAP device called name.
func Open(name string, o Options) (*Port, error) {
	p := &Port{log: o.Log, pool: o.Pool}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.pool == nil {
		return nil, errors.New("tap: Options.Pool is required")
	}
	if err := p.open(name, o); err != nil {
		return nil, fmt.Errorf("could not create tap device %s (%w)", name, err)
	}
	return p, nil
}

func (p *Port) open(name string, o Options) error {
	if len(name) == 0 || len(name) >= unix.IFNAMSIZ {
		return fmt.Errorf("the name must have 1 to %d characters", unix.IFNAMSIZ-1)
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	if err := p.attach(fd, name, o.New); err != nil {
		unix.Close(fd)
		return err
	}
	p.file = os.NewFile(uintptr(fd), name)
	if p.conn, err = p.file.SyscallConn(); err == nil {
		err = unix.SetNonblock(fd, true) // after NewFile, which leaves it alone so
	}
	if err != nil {
		p.file.Close()
		return err
	}
	if p.wait, err = ready.New(fd); err != nil { // it has its device by now
		p.file.Close()
		return err
	}
	if p.Device, err = rtnl.Follow(name, o.Links, p.log, p.offloads, p.wait.Wake); err != nil {
		p.wait.Close()
		p.file.Close()
		return err
	}
	p.KeepWhile(p.attached)
	p.rx.init(p)
	p.tx.init(p)
	if err := p.setup(o); err != nil {
		p.Close()
		return err
	}
	return nil
}

// setup gives the device what Options ask for.
func (p *Port) setup(o Options) error {
	if o.MAC != nil {
		if err := p.SetMAC(o.MAC); err != nil {
			return fmt.Errorf("MAC address %v: %w", o.MAC, err)
		}
	}
	if o.MTU != 0 {
		if err := p.SetMTU(o.MTU); err != nil {
			return fmt.Errorf("MTU %d: %w", o.MTU, err)
		}
	}
	if o.Up {
		if err := p.SetUp(true); err != nil {
			return fmt.Errorf("bringing it up: %w", err)
		}
	}
	p.Refresh()
	return nil
}

// HostSide says that the host's stack has the device: what the switch sends,
// the device receives.
func (p *Port) HostSide() {}

// attached says whether the file still has its device, wherever that is.
func (p *Port) attached() bool {
	err := errors.ErrUnsupported
	cerr := p.conn.Control(func(fd uintptr) {
		err = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, new(unix.Ifreq))
	})
	return err == nil && cerr == nil
}

// attach makes or finds the device, and tells the kernel what we take.
func (p *Port) attach(fd int, name string, fresh bool) error {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	flags := uint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)
	if fresh {
		flags |= unix.IFF_TUN_EXCL
	}
	req.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		if fresh && errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("there is a device of that name already: %w", err)
		}
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("there is a device of that name that is no TAP device: %w", err)
		}
		return err
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TUNSETVNETHDRSZ, vnet.HeaderLen); err != nil {
		return fmt.Errorf("TUNSETVNETHDRSZ: %w", err)
	}
	const tso = offCsum | offTSO4 | offTSO6 | offECN
	for _, o := range []struct {
		bits int
		has  port.Offloads
	}{
		{tso | offUSO4 | offUSO6, port.Offloads{Csum: true, TSO4: true, TSO6: true, USO: true}},
		{tso, port.Offloads{Csum: true, TSO4: true, TSO6: true}},
		{offCsum, port.Offloads{Csum: true}},
	} {
		if err = unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, o.bits); err == nil {
			p.offloads = o.has
			return nil
		}
	}
	return fmt.Errorf("TUNSETOFFLOAD: %w", err)
}

// Close implements port.Port. A device that Open made goes with it.
func (p *Port) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.Release()
	return errors.Join(p.wait.Close(), p.file.Close())
}
