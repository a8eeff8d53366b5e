// Package afpacket is the port on a network device that exists already: one
// end of a veth pair, a physical NIC, a tunnel or VLAN device of the kernel.
//
// It is an AF_PACKET socket with virtio-net headers both ways: hosts' large
// segments and partial checksums enter whole and leave whole. Batches are read
// and written with recvmmsg and sendmmsg. VLAN tags that the kernel took off
// are put back. While the port is open the device is promiscuous, and a TCX
// program drops at its ingress what the port has received, so that the host's
// own stack does not answer what belongs to the switch.
//
// # Caveats
//
// TCX came with Linux 6.6. On older kernels, or without the privilege to load
// programs, the host's stack sees the frames too; Port.HostSees tells.
// Open belongs to the network namespace of the calling thread.
//
// Large UDP segments (UDP_SEGMENT of udp(7)) came to virtio-net headers with
// Linux 6.2. Before, the kernel refuses to hand them over: they count as
// rx_errors, and hosts must not make them.
//
// The kernel sends frames of 4 bytes beyond the MTU where their outer tag is
// 802.1Q's; with 802.1ad's, or two tags, the device needs a larger MTU, as it
// does with a bridge of the kernel's. Large segments are exempt.
package afpacket

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"govs/datapath/packet"
	"govs/datapath/port"
	"govs/datapath/port/ready"
	"govs/datapath/port/rtnl"
	"govs/datapath/port/vnet"
)

// socketBuffer is how many bytes may wait in the socket, before the kernel
// doubles it: about a hundred large segments, charged at some 70 KiB each, or
// ten thousand small packets. More of it moved no more, and made longer queues.
const socketBuffer = 4 << 20

// buffers are shared by the ports of a process. They hold no state.
var buffers vnet.Cache

// Options are what Open needs beside the device's name.
type Options struct {
	Pool *packet.Pool // where received packets come from; required
	Log  *slog.Logger // nil for none
	// Links follows the device. It belongs to the namespace that Open is
	// called in. Where it is nil the port has a monitor of its own.
	Links *rtnl.Monitor
	// KeepHost leaves the host's stack its share: no TCX program.
	KeepHost bool
	// Guard, where it is not nil and takes the device, stands in for the TCX
	// program that drops everything.
	Guard port.Guard
}

// A Port is an AF_PACKET socket on one device. It implements port.Port,
// port.Admin and port.Notifier.
type Port struct {
	*rtnl.Device
	log  *slog.Logger
	pool *packet.Pool

	file *os.File // not watched by the runtime: wait is
	conn syscall.RawConn
	wait *ready.Waiter

	guard   sync.Mutex // the next two, and what is done about them
	release func()     // ends the guard, nil where there is none
	why     error      // why there is none

	rx receiver
	tx sender

	queueing queueing

	closed  atomic.Bool
	mu      sync.Mutex // dropped
	dropped uint64     // by the socket, so far
}

// Open makes a port of the device called name. The error wraps
// rtnl.ErrNotFound where there is none.
func Open(name string, o Options) (*Port, error) {
	p := &Port{log: o.Log, pool: o.Pool}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	if p.pool == nil {
		return nil, errors.New("afpacket: Options.Pool is required")
	}
	if err := p.open(name, o); err != nil {
		return nil, fmt.Errorf("could not open network device %s (%w)", name, err)
	}
	return p, nil
}

func (p *Port) open(name string, o Options) error {
	// Without a protocol nothing arrives until the options are set.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("AF_PACKET socket: %w", err)
	}
	p.file = os.NewFile(uintptr(fd), name)
	if p.conn, err = p.file.SyscallConn(); err != nil {
		p.file.Close()
		return err
	}
	if p.wait, err = ready.New(fd); err != nil {
		p.file.Close()
		return err
	}
	if p.Device, err = rtnl.Follow(name, o.Links, p.log, offloads(), p.wait.Wake); err != nil {
		p.wait.Close()
		p.file.Close()
		return err
	}
	_ = p.Unqueue() // what a process before has left
	p.rx.init(p)
	p.tx.init(p)
	if o.Guard != nil {
		if err := p.SetGuard(o.Guard); err != nil {
			p.log.Debug(fmt.Sprintf("%s: %v", name, err))
		}
	}
	if err := p.setup(fd); err != nil {
		p.Close()
		return err
	}
	if !o.KeepHost && p.release == nil {
		_ = p.SetGuard(nil) // HostSees tells of the error
	}
	return nil
}

// SetGuard implements port.Guarded. The port's own guard drops everything at
// the device's TCX ingress. Where the new guard does not take the device, the
// old one stays.
func (p *Port) SetGuard(g port.Guard) error {
	p.guard.Lock()
	defer p.guard.Unlock()
	if p.closed.Load() {
		return port.ErrClosed
	}
	old := p.release
	if g != nil {
		release, err := g.Guard(p.Index(), p.conn)
		if err != nil {
			return err
		}
		p.release, p.why = release, nil
	} else {
		drop, err := dropIngress(p.Index())
		p.release, p.why = nil, err
		if err != nil {
			p.log.Warn(fmt.Sprintf("%s: the host's network stack sees the packets of this port too: %v", p.Name(), err))
		} else {
			p.release = func() { _ = drop.Close() }
		}
		_ = p.conn.Control(func(fd uintptr) {
			// ENOENT where there is no filter.
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
		})
	}
	if old != nil {
		old()
	}
	return p.why
}

func (p *Port) setup(fd int) error {
	for _, opt := range []struct {
		name       string
		level, opt int
		value      int
		must       bool
	}{
		{"PACKET_VNET_HDR", unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1, true},
		{"PACKET_AUXDATA", unix.SOL_PACKET, unix.PACKET_AUXDATA, 1, true},
		{"PACKET_IGNORE_OUTGOING (Linux 4.20)", unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1, true},
		{"PACKET_QDISC_BYPASS", unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1, false},
		{"SO_RCVBUFFORCE", unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer, false},
		{"SO_SNDBUFFORCE", unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer, false},
	} {
		err := unix.SetsockoptInt(fd, opt.level, opt.opt, opt.value)
		switch {
		case err != nil && opt.must:
			return fmt.Errorf("%s: %w", opt.name, err)
		case err != nil:
			p.log.Debug(fmt.Sprintf("%s: %s: %v", p.Name(), opt.name, err))
		}
	}
	all := htons(unix.ETH_P_ALL)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: p.Index()}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	mreq := unix.PacketMreq{Ifindex: int32(p.Index()), Type: unix.PACKET_MR_PROMISC}
	if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &mreq); err != nil {
		return fmt.Errorf("promiscuous mode: %w", err)
	}
	return nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// HostSees is nil while the host's stack is kept from the port's packets, or
// says why it is not.
func (p *Port) HostSees() error {
	p.guard.Lock()
	defer p.guard.Unlock()
	if p.release == nil && p.why == nil {
		return errors.New("left to the host on request")
	}
	return p.why
}

// Close implements port.Port.
func (p *Port) Close() error {
	if p.closed.Swap(true) {
		return nil
	}
	p.Release()
	p.guard.Lock()
	defer p.guard.Unlock()
	err := errors.Join(p.wait.Close(), p.file.Close())
	if p.release != nil {
		p.release()
		p.release = nil
	}
	return err
}
