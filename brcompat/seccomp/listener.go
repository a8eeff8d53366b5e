package seccomp

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrClosed says that nobody is left whom the filter could trap, or that the
// listener was closed.
var ErrClosed = errors.New("seccomp listener is closed")

// A Call is a trapped system call. Its caller waits until it is answered.
type Call struct {
	ID   uint64    // of the notification
	TID  int       // thread that called
	Arch uint32    // AUDIT_ARCH_ value of its binary interface
	NR   int       // number of the system call
	Args [6]uint64 // its arguments
}

// The kernel's structures. Their layout is the same on all machines.
type (
	data struct {
		nr                 int32
		arch               uint32
		instructionPointer uint64
		args               [6]uint64
	}
	notif struct {
		id    uint64
		pid   uint32
		flags uint32
		data  data
	}
	notifResp struct {
		id    uint64
		val   int64
		error int32
		flags uint32
	}
)

// The ioctls of a listener, and the flag of an answer that lets the kernel
// carry the call out.
const (
	ioctlRecv    = 0xc0502100
	ioctlSend    = 0xc0182101
	ioctlIDValid = 0x40082102
	ioctlFlags   = 0x40082104
	flagContinue = 1
	flagSyncWake = 1
)

// A Listener receives trapped calls. Its methods may run at the same time as
// each other.
type Listener struct {
	file *os.File
	raw  syscall.RawConn
}

// NewListener makes a Listener of a descriptor, which it owns from then on,
// also when it fails: an error says that it is no seccomp listener.
func NewListener(fd int) (*Listener, error) {
	what, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err == nil && what != "anon_inode:seccomp notify" {
		err = fmt.Errorf("descriptor is %s and no seccomp listener", what)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	// The caller waits for us and we for it: let the kernel keep both on one
	// processor (Linux 6.6), where it can.
	unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctlFlags, flagSyncWake)
	file := os.NewFile(uintptr(fd), "seccomp listener")
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &Listener{file: file, raw: raw}, nil
}

// Recv waits for the next call. ErrClosed is for good, other errors concern
// one call and the next may be waited for.
func (l *Listener) Recv() (*Call, error) {
	var n notif
	var result error
	err := l.raw.Read(func(fd uintptr) bool {
		// The kernel blocks in the ioctl whatever the descriptor's mode is,
		// and does not wake when the last caller goes: so it is asked first.
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		switch _, err := unix.Poll(poll, 0); {
		case err == unix.EINTR:
			return false
		case err != nil:
			result = err
			return true
		}
		if poll[0].Revents&unix.POLLIN == 0 {
			if poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0 {
				result = ErrClosed
				return true
			}
			return false
		}
		for {
			n = notif{}
			errno := call(fd, ioctlRecv, unsafe.Pointer(&n))
			if errno == unix.EINTR {
				continue
			}
			if errno != 0 {
				result = errno
			}
			return true
		}
	})
	if err != nil {
		return nil, ErrClosed
	}
	if result != nil {
		return nil, result
	}
	return &Call{ID: n.id, TID: int(n.pid), Arch: n.data.arch, NR: int(n.data.nr), Args: n.data.args}, nil
}

// Valid tells whether the caller still waits: that its thread is the one that
// called, and has not been killed and its number given to another.
func (l *Listener) Valid(id uint64) bool {
	return l.control(ioctlIDValid, unsafe.Pointer(&id)) == nil
}

// Answer ends the call with the given return value, or with errno where it is
// not 0. A caller who is gone is not an error.
func (l *Listener) Answer(id uint64, value int, errno unix.Errno) error {
	r := notifResp{id: id, val: int64(value), error: -int32(errno)}
	if errno != 0 {
		r.val = 0
	}
	return l.send(&r)
}

// Continue lets the kernel carry the call out, as if there were no filter. The
// kernel reads the arguments anew.
func (l *Listener) Continue(id uint64) error {
	return l.send(&notifResp{id: id, flags: flagContinue})
}

func (l *Listener) send(r *notifResp) error {
	err := l.control(ioctlSend, unsafe.Pointer(r))
	if err == unix.ENOENT {
		return nil
	}
	return err
}

// Close ends the listening. Calls that wait, and all later ones, fail with
// ENOSYS. A Recv that waits returns.
func (l *Listener) Close() error { return l.file.Close() }

func (l *Listener) control(req uintptr, arg unsafe.Pointer) error {
	var errno unix.Errno
	if err := l.raw.Control(func(fd uintptr) {
		for {
			if errno = call(fd, req, arg); errno != unix.EINTR {
				return
			}
		}
	}); err != nil {
		return ErrClosed
	}
	if errno != 0 {
		return errno
	}
	return nil
}

func call(fd, req uintptr, arg unsafe.Pointer) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, req, uintptr(arg))
	return errno
}
