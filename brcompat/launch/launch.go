// Package launch starts programs so that ovs-brcompatd answers their bridge
// ioctls: it installs the seccomp filter, hands its listener to the daemon, and
// becomes the program. It is the command brcompat, and under the name brctl a
// wrapper of the real one.
//
// How a program sees /sys/class/net is chosen with --sysfs:
//
//   - none leaves it alone. Where it shows a native bridge, brctl lists only
//     native ones, and never asks the daemon.
//   - hide mounts an empty file system over it, in a mount namespace of the
//     program's own, so that brctl always asks; the daemon adds the native
//     bridges to its answers. It needs CAP_SYS_ADMIN.
//   - fuse mounts a view of it that has our bridges beside all devices (package
//     sysfs), for scripts and programs that look there. It needs CAP_SYS_ADMIN
//     and /dev/fuse.
//   - auto is hide for a program called brctl, and fuse for all others, where
//     that is possible, and none where it is not.
//
// # Caveats
//
// A program under the launcher starts its children under it, too. There is no
// way out. Programs that use netlink (ip, bridge, systemd-networkd,
// NetworkManager, docker) are not concerned: they see and make native bridges.
package launch

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
	"govs/brcompat/notify"
	"govs/brcompat/seccomp"
)

// Options say how to start a program.
type Options struct {
	Socket string // of the daemon
	Sysfs  string // auto, none, hide or fuse
	// OrNative runs the program as it is where the daemon does not run.
	OrNative bool
}

// sysfsNet is what brctl looks at first.
const sysfsNet = "/sys/class/net"

const devFUSE = "/dev/fuse"

// check refuses modes that are not there.
func (o *Options) check() error {
	switch o.Sysfs {
	case "auto", "none", "hide", "fuse":
		return nil
	}
	return fmt.Errorf("--sysfs=%s: expected auto, none, hide or fuse", o.Sysfs)
}

// mode decides for a program's file.
func (o *Options) mode(file string) notify.Mode {
	switch {
	case o.Sysfs == "hide":
		return notify.Hide
	case o.Sysfs == "fuse":
		return notify.FUSE
	case o.Sysfs == "none" || !canMount():
		return notify.None
	case filepath.Base(file) == "brctl":
		return notify.Hide
	case canFUSE():
		return notify.FUSE
	}
	return notify.None
}

// canFUSE tells whether there is FUSE, and something to show by it.
func canFUSE() bool {
	if _, err := os.Stat(sysfsNet); err != nil {
		return false
	}
	return unix.Access(devFUSE, unix.R_OK|unix.W_OK) == nil
}

// canMount tells whether this process has CAP_SYS_ADMIN.
func canMount() bool {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&hdr, &data[0]) != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

// program replaces this process by a program. It returns only errors.
func program(file string, argv []string) error {
	err := syscall.Exec(file, argv, os.Environ())
	return &execError{fmt.Errorf("cannot run %s: %w", file, err), statusCannotRun}
}

// run replaces this process by a program whose bridge ioctls the daemon at the
// other end of c answers. A mode that was not asked for by name becomes none
// where it cannot be had. It returns only errors.
func run(c *net.UnixConn, mode notify.Mode, named bool, file string, argv []string) error {
	sock, err := c.File()
	if err != nil {
		return err
	}
	fd := int(sock.Fd()) // blocking from here on
	// The filter and the namespace are the thread's, until exec makes it the
	// whole process.
	runtime.LockOSThread()
	var view []int
	switch mode {
	case notify.Hide:
		err = hide()
	case notify.FUSE:
		view, err = show(fd)
	}
	if err != nil && named {
		return fmt.Errorf("--sysfs=%s: %w", mode, err)
	} else if err != nil {
		mode, view = notify.None, nil
	}
	// brctl asks for the name of each port. It need not wait for the daemon where
	// the kernel knows them all; it does not live long enough for that to change.
	cmds := ioctl.Commands()
	if filepath.Base(file) == "brctl" && mode != notify.FUSE {
		if virtual, err := notify.Names(fd); err == nil && !virtual {
			cmds = ioctl.BridgeCommands()
		}
	}
	listener, err := seccomp.Install(cmds)
	if err != nil {
		return err
	}
	err = notify.Hello(fd, listener, mode, view...)
	runtime.KeepAlive(sock)
	if err != nil {
		return err
	}
	return program(file, argv)
}

// hide gives this thread a mount namespace in which /sys/class/net is empty.
func hide() error {
	if _, err := os.Stat(sysfsNet); err != nil {
		return nil // empty enough
	}
	if err := separate(); err != nil {
		return err
	}
	err := unix.Mount("tmpfs", sysfsNet, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "size=0,mode=755")
	if err != nil {
		return fmt.Errorf("cannot mount over %s: %w", sysfsNet, err)
	}
	return nil
}

// show gives this thread a mount namespace in which a FUSE file system covers
// /sys/class/net: the one that the daemon at the other end of sock has for all
// launchers, or else, where it has none for this one, one of this launcher's own.
// Of that it returns the descriptors of the mount and of what it covers; until
// the daemon has them, whoever looks there waits.
func show(sock int) ([]int, error) {
	real, err := unix.Open(sysfsNet, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", sysfsNet, err)
	}
	if err := separate(); err != nil {
		return nil, err
	}
	if mount, err := notify.View(sock, real); err == nil {
		err = unix.MoveMount(mount, "", unix.AT_FDCWD, sysfsNet, unix.MOVE_MOUNT_F_EMPTY_PATH)
		unix.Close(mount)
		if err == nil {
			unix.Close(real)
			return nil, nil
		}
	}
	fuse, err := unix.Open(devFUSE, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s (is the kernel built with FUSE?): %w", devFUSE, err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40755,user_id=%d,group_id=%d,allow_other,default_permissions",
		fuse, os.Getuid(), os.Getgid())
	err = unix.Mount("brcompat", sysfsNet, "fuse.brcompat", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
	if err != nil {
		return nil, fmt.Errorf("cannot mount over %s: %w", sysfsNet, err)
	}
	return []int{fuse, real}, nil
}

// separate gives this thread a mount namespace of its own. Mounts that others
// make still appear in it; ours stay in it.
func separate() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot have a mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_SLAVE|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("cannot separate the mount namespace: %w", err)
	}
	return nil
}

// probe finds out whether this process runs under a launcher, and in which
// mode: only our daemon answers this ioctl.
func probe() (mode notify.Mode, under bool) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, false
	}
	defer unix.Close(fd)
	var answer [4]byte
	args := [3]uintptr{ioctl.Probe, uintptr(unsafe.Pointer(&answer)), uintptr(len(answer))}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), ioctl.SIOCGIFBR, uintptr(unsafe.Pointer(&args)))
	runtime.KeepAlive(&answer)
	if errno != 0 {
		return 0, false
	}
	return notify.Mode(binary.LittleEndian.Uint32(answer[:])), true
}

// elsewhere tells whether the daemon is in another network namespace than we.
func elsewhere(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	var cred *unix.Ucred
	cerr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err != nil || cerr != nil {
		return false
	}
	theirs, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", cred.Pid))
	if err != nil {
		return false
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	return err == nil && ours != theirs
}
