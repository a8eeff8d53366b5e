// Package seccomp traps the bridge ioctls of a process and its children with
// a seccomp filter, and talks to the kernel about the trapped calls (seccomp
// user notification, seccomp(2) and seccomp_unotify(2)). It decides nothing:
// the launcher installs the filter, the daemon answers.
//
// # Caveats
//
// The filter stays for the life of the process and of everything that it
// starts. When the listener is closed, the trapped calls fail with ENOSYS.
//
// There can be one listener in a chain of filters: Install fails with
// ErrListener under a program that has one, such as a container runtime.
package seccomp

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
)

// Errors of Install.
var (
	// ErrListener says that another program listens on this process already.
	ErrListener = errors.New("another seccomp listener watches this process already")
	// ErrKernel says that the kernel is too old, or was built without it.
	ErrKernel = errors.New("the kernel does not support seccomp user notification with WAIT_KILLABLE_RECV (Linux 5.19)")
)

// Offsets in struct seccomp_data.
const (
	dataNR   = 0
	dataArch = 4
	dataArg1 = 24 // low word of the second argument, little-endian
)

// Program returns the filter: a block for each known binary interface that
// sends the given ioctls to the listener, and lets all else pass.
//
// Each jump names its target by a distance of at most 255 instructions, which
// is far: a block has 4 instructions, and one for each ioctl.
func Program(cmds []uint32) []unix.SockFilter {
	load := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: k}
	}
	equal := func(k uint32, then, otherwise int) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: k, Jt: uint8(then), Jf: uint8(otherwise)}
	}
	ret := func(k uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: k}
	}
	prog := []unix.SockFilter{load(dataArch)}
	for _, abi := range ioctl.ABIs() {
		// The length of what follows the comparison: load, compare, load, the
		// commands, two returns.
		n := len(cmds)
		prog = append(prog, equal(abi.Audit, 0, n+5), load(dataNR), equal(abi.NR, 0, n+1), load(dataArg1))
		for i, c := range cmds {
			prog = append(prog, equal(c, n-i, 0))
		}
		prog = append(prog, ret(unix.SECCOMP_RET_ALLOW), ret(unix.SECCOMP_RET_USER_NOTIF))
	}
	return append(prog, ret(unix.SECCOMP_RET_ALLOW))
}

// Install puts the filter for the given ioctls on the calling thread and returns the listener,
// which closes on exec. The caller has locked itself to its thread and goes on
// to exec a program from it, or ends the process: other threads of this
// process are not filtered, and a trapped call of this thread waits for an
// answer.
//
// A caller without CAP_SYS_ADMIN gives up gaining privileges by exec for good
// (PR_SET_NO_NEW_PRIVS), as the kernel asks for; others keep it, so that
// sudo(8) goes on working.
func Install(cmds []uint32) (int, error) {
	prog := Program(cmds)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	try := func() (uintptr, unix.Errno) {
		fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
			unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			uintptr(unsafe.Pointer(&fprog)))
		return fd, errno
	}
	fd, errno := try()
	if errno == unix.EACCES {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("cannot give up gaining privileges: %w", err)
		}
		fd, errno = try()
	}
	runtime.KeepAlive(prog)
	switch errno {
	case 0:
		return int(fd), nil
	case unix.EBUSY:
		return -1, ErrListener
	case unix.EINVAL, unix.ENOSYS:
		return -1, ErrKernel
	}
	return -1, fmt.Errorf("cannot install the seccomp filter: %w", errno)
}
