package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

const envUser = "GOVS_DAEMON_USER"

// credentials are what --user asks for.
type credentials struct {
	uid, gid int
	groups   []int
}

// parseUser reads "user", "user:group" or ":group".
func parseUser(spec string) (credentials, error) {
	name, group, hasGroup := strings.Cut(spec, ":")
	c := credentials{uid: os.Getuid(), gid: os.Getgid()}
	if name != "" {
		u, err := user.Lookup(name)
		if err != nil {
			if u, err = user.LookupId(name); err != nil {
				return c, fmt.Errorf("user %s not found, aborting.", name)
			}
		}
		c.uid, _ = strconv.Atoi(u.Uid)
		c.gid, _ = strconv.Atoi(u.Gid)
		ids, err := u.GroupIds()
		if err != nil {
			return c, fmt.Errorf("groups of user %s: %w", name, err)
		}
		for _, id := range ids {
			if n, err := strconv.Atoi(id); err == nil {
				c.groups = append(c.groups, n)
			}
		}
	}
	if hasGroup && group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return c, fmt.Errorf("group %s not found, aborting.", group)
		}
		c.gid, _ = strconv.Atoi(g.Gid)
		if len(c.groups) > 0 && !slices.Contains(c.groups, c.gid) {
			return c, fmt.Errorf("Invalid --user option %s (user %s is not in group %s), aborting.", spec, name, group)
		}
	}
	if name == "" && group == "" {
		return c, errors.New("--user: user or group is missing")
	}
	return c, nil
}

// dropPrivileges executes the program once more as the user of --user, with
// the capabilities that the daemon keeps and no others. Called again there, it
// returns nil. ready, the pipe to a waiting parent, is passed on.
func dropPrivileges(program string, o *Options, ready *os.File) error {
	if o.User == "" {
		return nil
	}
	if o.Embedded {
		return errors.New("--user is not supported for a daemon within another process")
	}
	if os.Getenv(envUser) == o.User {
		return os.Unsetenv(envUser)
	}
	if os.Geteuid() != 0 {
		return errors.New("only root can use the --user option")
	}
	cred, err := parseUser(o.User)
	if err != nil {
		if o.PidFile.Set { // as the C daemons have it
			err = fmt.Errorf("%s: %w", o.pidPath(program), err)
		}
		return err
	}
	if o.LogFile.Set { // root may make files where the user may not
		f, err := os.OpenFile(o.logPath(program), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
		if err == nil { // otherwise the worker tells
			err = f.Chown(cred.uid, cred.gid)
			_ = f.Close()
			if err != nil {
				return fmt.Errorf("log file for user %s: %w", o.User, err)
			}
		}
	}
	self, err := executable()
	if err != nil {
		return err
	}
	env := append(os.Environ(), envRole+"="+roleWorker, envUser+"="+o.User)
	if ready != nil {
		fd, err := unix.Dup(int(ready.Fd())) // without close-on-exec
		if err != nil {
			return err
		}
		env = append(env, envReady+"="+strconv.Itoa(fd))
	}
	caps := append([]int{unix.CAP_IPC_LOCK, unix.CAP_NET_BIND_SERVICE}, o.Capabilities...)
	// Credentials belong to a thread; exec gives those of the calling thread
	// to the whole new program.
	runtime.LockOSThread()
	if err := become(cred, caps); err != nil {
		return fmt.Errorf("could not become user %s: %w", o.User, err)
	}
	return fmt.Errorf("could not execute %s as user %s: %w", self, o.User, syscall.Exec(self, os.Args, env))
}

// become changes the credentials of the calling thread.
func become(c credentials, caps []int) error {
	for n := 0; n <= unix.CAP_LAST_CAP; n++ {
		if !slices.Contains(caps, n) && n != unix.CAP_SETUID && n != unix.CAP_SETGID && n != unix.CAP_SETPCAP {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
				return err
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	groups := make([]uint32, 0, len(c.groups)+1)
	for _, g := range c.groups {
		groups = append(groups, uint32(g))
	}
	if len(groups) == 0 {
		groups = append(groups, uint32(c.gid))
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(&groups[0])), 0); e != 0 {
		return e
	}
	gid, uid := uintptr(c.gid), uintptr(c.uid)
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); e != 0 {
		return e
	}
	if _, _, e := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); e != 0 {
		return e
	}
	for _, n := range []int{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_SETPCAP} {
		if c.uid == 0 && !slices.Contains(caps, n) {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(n), 0, 0, 0); err != nil {
				return err
			}
		}
	}
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	for _, n := range caps {
		bit := uint32(1) << (n % 32)
		data[n/32].Effective |= bit
		data[n/32].Permitted |= bit
		data[n/32].Inheritable |= bit
	}
	if err := unix.Capset(&hdr, &data[0]); err != nil {
		return err
	}
	for _, n := range caps {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(n), 0, 0); err != nil {
			return err
		}
	}
	return nil
}
