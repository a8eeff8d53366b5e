// Package rtnl follows the network devices of one network namespace by
// rtnetlink: what they are like, when that changes, and when they vanish.
//
// One Monitor serves all ports of a process in a namespace: it has one
// goroutine and two sockets, however many devices are watched. It belongs to
// the namespace of the thread that called New, whatever that thread does
// afterwards.
//
// # Caveats
//
// Functions given to Watch run on the monitor's goroutine, in the order of the
// kernel's messages. They return quickly and may cancel watches, their own
// too; a watch that was cancelled meanwhile may still be called once.
package rtnl

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The library finds out the byte order when it is first asked, in whatever
// goroutine that is. Asked here, none of them writes it.
var _ = nl.NativeEndian()

// ErrClosed says that the monitor was closed.
var ErrClosed = errors.New("rtnetlink monitor is closed")

// ErrNotFound says that there is no such device in the monitor's namespace.
var ErrNotFound = errors.New("no such network device")

// A Link is what a device is like. A Link with Gone set tells no more than
// the Index and Name of a device that was deleted or moved elsewhere.
type Link struct {
	Index   int
	Name    string
	Kind    string // "veth", "tun" and so on, "" for physical devices
	MAC     net.HardwareAddr
	MTU     int  // bytes of Ethernet payload
	Up      bool // administratively up
	Carrier bool // IFF_LOWER_UP
	Gone    bool
	Across  bool // a pair whose other end is in another namespace
}

// A Monitor watches the devices of one namespace. It is safe for concurrent
// use.
type Monitor struct {
	log    *slog.Logger
	events *nl.NetlinkSocket

	// inUse is held for reading while handle or ioctl is used, so that Close
	// takes neither away: a closed handle would open a socket in whatever
	// namespace the thread is in.
	inUse  sync.RWMutex
	handle *netlink.Handle // nil after Close
	ioctl  int             // socket for ethtool requests

	mu      sync.Mutex
	watches map[int][]*watch // by ifindex, 0 for every device
	routes  func()           // of WatchRoutes; may be nil
	closed  bool
}

type watch struct {
	fn func(Link)
}

// New starts a monitor of the namespace that the calling thread is in.
// Close releases it.
func New(log *slog.Logger) (*Monitor, error) {
	events, err := nl.Subscribe(unix.NETLINK_ROUTE, unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	if err := nlBuffer(events); err != nil {
		log.Debug(fmt.Sprintf("rtnetlink: receive buffer: %v", err))
	}
	handle, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		events.Close()
		return nil, fmt.Errorf("rtnetlink: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		events.Close()
		handle.Close()
		return nil, fmt.Errorf("socket: %w", err)
	}
	m := &Monitor{log: log, handle: handle, events: events, ioctl: fd, watches: map[int][]*watch{}}
	go m.run()
	return m, nil
}

// nlBuffer makes room for the messages of a thousand devices made at once.
func nlBuffer(s *nl.NetlinkSocket) error {
	return unix.SetsockoptInt(s.GetFd(), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
}

// Close stops the monitor. Watches are not called any more, save one that
// runs at the moment. A second call does nothing.
func (m *Monitor) Close() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return nil
	}
	m.closed = true
	m.watches = nil
	m.events.Close()
	m.mu.Unlock()

	m.inUse.Lock()
	defer m.inUse.Unlock()
	m.handle.Close()
	m.handle = nil
	return unix.Close(m.ioctl)
}

// use runs fn with the handle, which stays open meanwhile.
func (m *Monitor) use(fn func(h *netlink.Handle) error) error {
	m.inUse.RLock()
	defer m.inUse.RUnlock()
	if m.handle == nil {
		return ErrClosed
	}
	return lookupError(fn(m.handle))
}

// Watch calls fn after each change of the device with the given ifindex,
// and once with Gone set when it vanishes; with index 0 for every device of
// the namespace. The first call comes with the first change. cancel ends it.
func (m *Monitor) Watch(index int, fn func(Link)) (cancel func()) {
	w := &watch{fn: fn}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return func() {}
	}
	// A new slice each time: dispatch goes through the old one unlocked.
	m.watches[index] = append(append([]*watch(nil), m.watches[index]...), w)
	return func() { m.cancel(index, w) }
}

func (m *Monitor) cancel(index int, w *watch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return
	}
	var rest []*watch
	for _, o := range m.watches[index] {
		if o != w {
			rest = append(rest, o)
		}
	}
	if len(rest) == 0 {
		delete(m.watches, index)
		return
	}
	m.watches[index] = rest
}

func (m *Monitor) run() {
	for {
		msgs, _, err := m.events.Receive()
		if err != nil {
			m.mu.Lock()
			closed := m.closed
			m.mu.Unlock()
			if closed {
				return
			}
			switch {
			case errors.Is(err, unix.ENOBUFS):
				m.resync()
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			default:
				m.log.Error(fmt.Sprintf("rtnetlink: %v; device changes are not followed any more", err))
				return
			}
			continue
		}
		for i := range msgs {
			m.message(&msgs[i])
		}
	}
}

func (m *Monitor) message(msg *syscall.NetlinkMessage) {
	switch msg.Header.Type {
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE, unix.RTM_NEWADDR, unix.RTM_DELADDR:
		m.rerouted()
		return
	}
	if msg.Header.Type != unix.RTM_NEWLINK && msg.Header.Type != unix.RTM_DELLINK {
		return
	}
	// Bridges report their ports with family AF_BRIDGE: a DELLINK of that
	// kind means that the port left the bridge, not that it is gone.
	if len(msg.Data) < unix.SizeofIfInfomsg || msg.Data[0] != unix.AF_UNSPEC {
		return
	}
	link, err := netlink.LinkDeserialize((*unix.NlMsghdr)(&msg.Header), msg.Data)
	if err != nil {
		m.log.Debug(fmt.Sprintf("rtnetlink: %v", err))
		return
	}
	l := describe(link)
	if msg.Header.Type == unix.RTM_DELLINK {
		l = Link{Index: l.Index, Name: l.Name, Gone: true}
	}
	m.dispatch(l)
}

func (m *Monitor) dispatch(l Link) {
	m.mu.Lock()
	one, all := m.watches[l.Index], m.watches[0]
	m.mu.Unlock()
	for _, w := range one {
		w.fn(l)
	}
	for _, w := range all {
		w.fn(l)
	}
}

// resync tells every watch the present state after messages were lost.
func (m *Monitor) resync() {
	m.rerouted()
	m.mu.Lock()
	var watched []int
	for index := range m.watches {
		if index != 0 {
			watched = append(watched, index)
		}
	}
	m.mu.Unlock()
	links, err := m.Links()
	if err != nil {
		m.log.Warn(fmt.Sprintf("rtnetlink: listing devices: %v", err))
		return
	}
	there := make(map[int]bool, len(links))
	for _, l := range links {
		there[l.Index] = true
		m.dispatch(l)
	}
	for _, index := range watched {
		if !there[index] {
			m.dispatch(Link{Index: index, Gone: true})
		}
	}
}

func describe(link netlink.Link) Link {
	a := link.Attrs()
	l := Link{
		Index:   a.Index,
		Name:    a.Name,
		Kind:    link.Type(),
		MAC:     a.HardwareAddr,
		MTU:     a.MTU,
		Up:      a.RawFlags&unix.IFF_UP != 0,
		Carrier: a.RawFlags&unix.IFF_LOWER_UP != 0,
	}
	l.Across = (l.Kind == "veth" || l.Kind == "netkit") && a.NetNsID >= 0
	if l.Kind == "device" {
		l.Kind = ""
	}
	return l
}
