// Package link is what the bridge daemon knows of the network devices of its
// own network namespace: their names and indexes, which of them are kernel
// bridges, and when one vanishes (rtnetlink(7)).
//
// # Caveats
//
// Everything is asked of the kernel at the time: an answer is as old as it
// takes to read it.
package link

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"unsafe"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// ErrNone says that there is no such device.
var ErrNone = errors.New("no such network device")

// A Link is a network device.
type Link struct {
	Name     string
	Index    int
	MAC      net.HardwareAddr
	Up       bool   // administratively
	Running  bool   // has a carrier
	Loopback bool   // is lo
	Kind     string // "bridge", "veth", "tun", ...; "" for hardware
	Master   int    // index of the device that it belongs to, or 0
	Ethernet bool
}

// A Table answers questions about devices.
type Table struct {
	sock int
}

// Open opens a Table on the present network namespace.
func Open() (*Table, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket: %w", err)
	}
	return &Table{sock: fd}, nil
}

// Close closes the Table.
func (t *Table) Close() error { return unix.Close(t.sock) }

// Index returns the index of the device with the given name, or 0.
func (t *Table) Index(name string) int {
	req, err := unix.NewIfreq(name)
	if err != nil || name == "" {
		return 0
	}
	if unix.IoctlIfreq(t.sock, unix.SIOCGIFINDEX, req) != nil {
		return 0
	}
	return int(req.Uint32())
}

// MAC returns the address of the Ethernet device with the given name, or nil.
func (t *Table) MAC(name string) net.HardwareAddr {
	if name == "" || len(name) >= unix.IFNAMSIZ {
		return nil
	}
	// A struct ifreq: the name, and a struct sockaddr with family and address.
	var req [40]byte
	copy(req[:], name)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(t.sock), unix.SIOCGIFHWADDR, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return nil
	}
	if binary.NativeEndian.Uint16(req[unix.IFNAMSIZ:]) != unix.ARPHRD_ETHER {
		return nil
	}
	return net.HardwareAddr(req[unix.IFNAMSIZ+2 : unix.IFNAMSIZ+8])
}

// ByName returns the device with the given name, or ErrNone.
func (t *Table) ByName(name string) (*Link, error) {
	// An unknown name is a common question, and cheaper to ask this way.
	if t.Index(name) == 0 {
		return nil, ErrNone
	}
	l, err := netlink.LinkByName(name)
	return convert(l, err)
}

// ByIndex returns the device with the given index, or ErrNone.
func (t *Table) ByIndex(index int) (*Link, error) {
	if index <= 0 {
		return nil, ErrNone
	}
	l, err := netlink.LinkByIndex(index)
	return convert(l, err)
}

func convert(l netlink.Link, err error) (*Link, error) {
	if err != nil {
		if errors.As(err, &netlink.LinkNotFoundError{}) || errors.Is(err, unix.ENODEV) {
			return nil, ErrNone
		}
		return nil, fmt.Errorf("cannot ask the kernel about a device: %w", err)
	}
	a := l.Attrs()
	r := &Link{
		Name: a.Name, Index: a.Index, MAC: a.HardwareAddr, Kind: l.Type(), Master: a.MasterIndex,
		Up: a.RawFlags&unix.IFF_UP != 0, Running: a.RawFlags&unix.IFF_RUNNING != 0,
		Loopback: a.RawFlags&unix.IFF_LOOPBACK != 0,
		Ethernet: a.EncapType == "ether",
	}
	if r.Kind == "device" {
		r.Kind = ""
	}
	return r, nil
}

// Bridges returns the kernel's own bridges: their indexes by name.
func (t *Table) Bridges() (map[string]int, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	// The kernel sends only bridges then, unless it knows none at all.
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	req.AddData(info)
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, fmt.Errorf("cannot list the kernel's bridges: %w", err)
	}
	found := map[string]int{}
	for _, m := range msgs {
		l, err := netlink.LinkDeserialize(&unix.NlMsghdr{Type: unix.RTM_NEWLINK}, m)
		if err == nil && l.Type() == "bridge" {
			found[l.Attrs().Name] = l.Attrs().Index
		}
	}
	return found, nil
}

// The attributes of a bridge that BridgeInfo reads (IFLA_BR_ in linux/if_link.h).
const (
	brForwardDelay        = 1
	brHelloTime           = 2
	brMaxAge              = 3
	brAgeingTime          = 4
	brSTPState            = 5
	brRootID              = 10
	brBridgeID            = 11
	brRootPort            = 12
	brRootPathCost        = 13
	brTopologyChange      = 14
	brTopologyChangeFound = 15
	brHelloTimer          = 16
	brTCNTimer            = 17
	brTopologyChangeTimer = 18
	brGCTimer             = 19
)

// BridgeInfo describes a bridge of the kernel's, or gives ErrNone. The kernel's
// own answer to the old ioctl has some of the times in other units.
func (t *Table) BridgeInfo(name string) (*ioctl.BridgeInfo, error) {
	index := t.Index(name)
	if index == 0 {
		return nil, ErrNone
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil || len(msgs) != 1 || len(msgs[0]) < unix.SizeofIfInfomsg {
		return nil, ErrNone
	}
	info := attribute(attribute(msgs[0][unix.SizeofIfInfomsg:], unix.IFLA_LINKINFO), nl.IFLA_INFO_DATA)
	if info == nil {
		return nil, ErrNone
	}
	number := func(attr uint16) uint32 {
		var b [8]byte // little-endian, whatever its length is
		copy(b[:], attribute(info, attr))
		return uint32(binary.LittleEndian.Uint64(b[:]))
	}
	id := func(attr uint16) ioctl.BridgeID {
		b := attribute(info, attr)
		if len(b) != 8 {
			return ioctl.BridgeID{}
		}
		return ioctl.ID(binary.BigEndian.Uint16(b), net.HardwareAddr(b[2:]))
	}
	i := &ioctl.BridgeInfo{
		Root: id(brRootID), Bridge: id(brBridgeID), RootPathCost: number(brRootPathCost), RootPort: uint8(number(brRootPort)),
		MaxAge: number(brMaxAge), HelloTime: number(brHelloTime), ForwardDelay: number(brForwardDelay),
		TopologyChange: number(brTopologyChange) != 0, TopologyChangeDetected: number(brTopologyChangeFound) != 0,
		STP: number(brSTPState) != 0, AgeingTime: number(brAgeingTime), HelloTimer: number(brHelloTimer),
		TCNTimer: number(brTCNTimer), TopologyChangeTimer: number(brTopologyChangeTimer), GarbageTimer: number(brGCTimer),
	}
	i.BridgeMaxAge, i.BridgeHelloTime, i.BridgeForwardDelay = i.MaxAge, i.HelloTime, i.ForwardDelay
	return i, nil
}

// attributes reads attributes up to the first that does not fit: Go's own
// reader does not stand all that can come.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= unix.SizeofRtAttr {
			n := int(binary.NativeEndian.Uint16(b))
			if n < unix.SizeofRtAttr || n > len(b) {
				return
			}
			if !yield(binary.NativeEndian.Uint16(b[2:])&^unix.NLA_F_NESTED, b[unix.SizeofRtAttr:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// attribute finds an attribute among others, or gives nil.
func attribute(b []byte, which uint16) []byte {
	for what, value := range attributes(b) {
		if what == which {
			return value
		}
	}
	return nil
}

// Namespace returns what tells a namespace of this process from others, as
// seccomp.Caller.Namespace does.
func Namespace(kind string) (string, error) { return os.Readlink("/proc/self/ns/" + kind) }
