package seccomp

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A Caller is the thread that made a call. What is read of it is the truth
// only if Listener.Valid says so afterwards: the thread may have been killed,
// and its number given to another.
type Caller struct{ TID int }

// ReadAt reads the caller's memory. All of p is read, or it is an error.
func (c Caller) ReadAt(p []byte, addr uint64) error {
	if len(p) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMReadv(c.TID, local, remote, 0)
	if err == nil && n != len(p) {
		err = unix.EFAULT
	}
	return err
}

// WriteAt writes into the caller's memory.
func (c Caller) WriteAt(p []byte, addr uint64) error {
	if len(p) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &p[0], Len: uint64(len(p))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}
	n, err := unix.ProcessVMWritev(c.TID, local, remote, 0)
	if err == nil && n != len(p) {
		err = unix.EFAULT
	}
	return err
}

// Namespace returns what tells the caller's namespace of a kind ("net",
// "user") from others.
func (c Caller) Namespace(kind string) (string, error) {
	return os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", c.TID, kind))
}

// Capable tells whether a capability (unix.CAP_...) is among the caller's
// effective ones. In which user namespace, Namespace says.
func (c Caller) Capable(capability int) (bool, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.TID))
	if err != nil {
		return false, err
	}
	_, rest, ok := strings.Cut(string(b), "\nCapEff:")
	line, _, _ := strings.Cut(rest, "\n")
	caps, err := strconv.ParseUint(strings.TrimSpace(line), 16, 64)
	if !ok || err != nil {
		return false, fmt.Errorf("/proc/%d/status has no CapEff", c.TID)
	}
	return caps&(1<<capability) != 0, nil
}

// Socket tells whether the caller's descriptor is a socket.
func (c Caller) Socket(fd int32) bool {
	what, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", c.TID, fd))
	return err == nil && strings.HasPrefix(what, "socket:")
}
