package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"govs/internal/stream"
)

// pidFile is a locked file with the process id in it. The lock (fcntl, as the C
// programs take it) lasts as long as f is open.
type pidFile struct {
	path string
	f    *os.File
}

// makePidFile makes the file under a temporary name, locks it and puts it at
// path. A file there that another process holds locked is an error unless
// overwrite is set; a stale one is replaced.
func makePidFile(path string, overwrite bool) (*pidFile, error) {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("%s: create failed (%w)", tmp, errnoOf(err))
	}
	fail := func(what string, err error) (*pidFile, error) {
		_ = f.Close()
		return nil, fmt.Errorf("%s: %s (%w)", tmp, what, errnoOf(err))
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); err != nil {
		return fail("fcntl(F_SETLK) failed", err)
	}
	if err := f.Truncate(0); err != nil {
		return fail("truncate failed", err)
	}
	if _, err := fmt.Fprintf(f, "%d\n", os.Getpid()); err != nil {
		return fail("write failed", err)
	}
	if !overwrite {
		if pid, err := lockOwner(path); err == nil && pid != 0 {
			_ = os.Remove(tmp)
			_ = f.Close()
			return nil, fmt.Errorf("%s: already running as pid %d, aborting", path, pid)
		}
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return fail("rename failed", err)
	}
	return &pidFile{path, f}, nil
}

// remove deletes the file if it is still the one that was made.
func (p *pidFile) remove() {
	mine, err1 := p.f.Stat()
	there, err2 := os.Lstat(p.path)
	if err1 == nil && err2 == nil && os.SameFile(mine, there) {
		_ = os.Remove(p.path)
	}
	_ = p.f.Close()
}

// lockOwner returns the process that holds the lock of a pid file, 0 if none.
func lockOwner(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrPermission) {
		f, err = os.Open(path)
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
		// Without write permission only a read lock can be asked for.
		lock = unix.Flock_t{Type: unix.F_RDLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_GETLK, &lock); err != nil {
			return 0, err
		}
	}
	if lock.Type == unix.F_UNLCK {
		return 0, nil
	}
	return int(lock.Pid), nil
}

// ReadPidFile returns the pid of the running daemon that holds the pid file at
// path. A file that nobody holds is ESRCH ("No such process").
func ReadPidFile(path string) (int, error) {
	owner, err := lockOwner(path)
	if err != nil {
		return 0, errnoOf(err)
	}
	if owner == 0 {
		return 0, unix.ESRCH
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, errnoOf(err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	pid, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil || pid <= 0 {
		return 0, unix.EINVAL
	}
	if owner > 0 && pid != owner {
		return 0, unix.ESRCH
	}
	return pid, nil
}

// PidFilePath is where the daemon of a name keeps its pid file, unless it was
// told another place.
func PidFilePath(program string) string { return In(RunDir(), program+".pid") }

// ControlSocket finds the control socket of the daemon of a name by its pid
// file: RUNDIR/PROGRAM.PID.ctl. The errors are those of [ReadPidFile].
func ControlSocket(program string) (string, error) {
	pid, err := ReadPidFile(PidFilePath(program))
	if err != nil {
		return "", err
	}
	return In(RunDir(), fmt.Sprintf("%s.%d.ctl", program, pid)), nil
}

// errnoOf returns the error number within err, whose text C prints, or err.
// The kernel's texts start with a capital letter there.
func errnoOf(err error) error {
	var e unix.Errno
	if errors.As(err, &e) {
		return Errno(e)
	}
	return err
}

// Errno is an error number that prints as strerror(3) does.
type Errno unix.Errno

func (e Errno) Error() string { return Strerror(unix.Errno(e)) }

// Is makes errors.Is see the number.
func (e Errno) Is(target error) bool {
	return unix.Errno(e) == target || unix.Errno(e).Is(target)
}

// Strerror returns the text of C's strerror for e.
func Strerror(e unix.Errno) string { return stream.Strerror(e) }
