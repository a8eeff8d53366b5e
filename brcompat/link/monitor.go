package link

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// News is what happened to devices.
type News struct {
	Gone      []string  // devices that were deleted, or moved to another namespace
	Addresses []Address // what devices said of their addresses, in order
	Lost      bool      // the kernel dropped messages: anything may have happened
}

// An Address is what a device had at some time.
type Address struct {
	Name string
	MAC  net.HardwareAddr
}

// A Monitor tells what happens to devices. One goroutine may Wait while another
// calls Drain.
type Monitor struct {
	file *os.File
	raw  syscall.RawConn
}

// Watch begins to watch the present network namespace.
func Watch() (*Monitor, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("cannot watch network devices: %w", err)
	}
	// A burst of changes is no reason to lose some: but it is only a wish.
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK})
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("cannot watch network devices: %w", err)
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Monitor{file: file, raw: raw}, nil
}

// Close ends the watching, and wakes Wait.
func (m *Monitor) Close() error { return m.file.Close() }

// Wait returns nil when there is something to drain, and an error when the
// Monitor was closed.
func (m *Monitor) Wait() error {
	return m.raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0
	})
}

// Drain returns what happened since it was called last, without waiting.
func (m *Monitor) Drain() (news News, err error) {
	cerr := m.raw.Control(func(fd uintptr) {
		buf := make([]byte, 64<<10)
		for {
			n, from, e := unix.Recvfrom(int(fd), buf, unix.MSG_DONTWAIT)
			switch {
			case e == unix.EINTR:
				continue
			case e == unix.EAGAIN:
				return
			case e == unix.ENOBUFS:
				news.Lost = true
				continue
			case e != nil:
				err = fmt.Errorf("cannot watch network devices: %w", e)
				return
			}
			if a, ok := from.(*unix.SockaddrNetlink); !ok || a.Pid != 0 {
				continue // not the kernel
			}
			news.read(buf[:n])
		}
	})
	return news, errors.Join(err, cerr)
}

// read takes the news out of messages.
func (n *News) read(b []byte) {
	msgs, err := syscall.ParseNetlinkMessage(b)
	if err != nil {
		return
	}
	for i := range msgs {
		m := &msgs[i]
		// A bridge tells with its own family that a port came or left.
		if len(m.Data) < unix.SizeofIfInfomsg || m.Data[0] == unix.AF_BRIDGE {
			continue
		}
		var a Address
		for what, value := range attributes(m.Data[unix.SizeofIfInfomsg:]) {
			switch what {
			case unix.IFLA_IFNAME:
				a.Name = unix.ByteSliceToString(value)
			case unix.IFLA_ADDRESS:
				a.MAC = slices.Clone(value)
			}
		}
		switch {
		case a.Name == "":
		case m.Header.Type == unix.RTM_DELLINK:
			n.Gone = append(n.Gone, a.Name)
		case m.Header.Type == unix.RTM_NEWLINK && len(a.MAC) == 6:
			n.Addresses = append(n.Addresses, a)
		}
	}
}
