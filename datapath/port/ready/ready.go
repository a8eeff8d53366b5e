// Package ready waits for descriptors to become readable, without a price for
// those that are.
//
// A descriptor that Go's own poller watches tells it of each packet that comes
// in, and of each one that is sent and freed, also while its goroutine is busy
// with the ones before: an idle thread wakes, finds nobody waiting, and goes to
// sleep again, on the processor that the sender or the receiver could use. With
// small packets that was a sixth of the switch's time, and as much of the
// sender's. So the descriptor stands in an epoll instance of its own, where it
// is armed for one event (EPOLLONESHOT of epoll_ctl(2)) when somebody waits,
// and Go's poller watches that instance.
package ready

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Waiter waits for one descriptor. One goroutine at a time calls Wait; the
// other methods may be called at any time.
type Waiter struct {
	fd    int // of whom is waited for
	file  *os.File
	conn  syscall.RawConn
	check func(fd uintptr) bool

	// Of the goroutine that waits:
	armed bool
	err   error
	event [1]unix.EpollEvent
}

// New makes a Waiter for a descriptor, which must not be watched by the runtime:
// for an os.File that was made before the descriptor became non-blocking.
func New(fd int) (*Waiter, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.EpollCtl(ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLONESHOT}); err != nil {
		unix.Close(ep)
		return nil, fmt.Errorf("epoll_ctl: %w", err)
	}
	if err := unix.SetNonblock(ep, true); err != nil { // so that the runtime watches it
		unix.Close(ep)
		return nil, err
	}
	w := &Waiter{fd: fd, file: os.NewFile(uintptr(ep), "epoll")}
	w.check = w.ready
	if w.conn, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	return w, nil
}

// Wait returns when the descriptor is readable or has an error to tell. It
// fails after Wake and Close, and where the descriptor is closed.
func (w *Waiter) Wait() error {
	w.armed, w.err = false, nil
	if err := w.conn.Read(w.check); err != nil {
		return err
	}
	return w.err
}

// ready is asked before the first wait, and after each one.
func (w *Waiter) ready(ep uintptr) bool {
	if !w.armed {
		// Tells at once of what is there already.
		w.err = unix.EpollCtl(int(ep), unix.EPOLL_CTL_MOD, w.fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT})
		w.armed = true
		return w.err != nil
	}
	n, err := unix.EpollWait(int(ep), w.event[:], 0)
	return n > 0 || err != nil && err != unix.EINTR
}

// Wake makes a Wait return now, and all that follow.
func (w *Waiter) Wake() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) }

// Close releases the Waiter, and wakes who waits. The descriptor stays open.
func (w *Waiter) Close() error { return w.file.Close() }
