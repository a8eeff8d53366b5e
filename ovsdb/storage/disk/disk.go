// Package disk is what engines that keep a database in a file share: the lock
// that the C programs take too, errors in their words, and the flush of a folder.
//
// # Caveats
//
// A lock file stays behind when the lock is given back, as the C programs' does:
// removing it would let two writers in.
package disk

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"govs/ovsdb/storage"
)

// Real is the file that a path leads to: behind symbolic links, where there are some.
func Real(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// Lock takes the lock of a database file: a lock on .NAME.~lock~ beside the
// file that the path leads to. It belongs to the open file, so that two servers
// in one process keep each other out as well; closing the file gives it back.
// The error is storage.ErrLocked where somebody else has it.
func Lock(path string) (*os.File, error) {
	path = Real(path)
	f, err := os.OpenFile(LockName(path), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to lock lockfile (%w)", cause(err))
	}
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &l); err != nil {
		f.Close()
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
			return nil, storage.ErrLocked
		}
		return nil, fmt.Errorf("failed to lock lockfile (%w)", err)
	}
	return f, nil
}

// Holder is the process that keeps Lock from succeeding, -1 where the kernel does
// not tell: it knows no process of locks that belong to open files.
func Holder(path string) int {
	f, err := os.OpenFile(LockName(Real(path)), os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer f.Close()
	l := unix.Flock_t{Type: unix.F_WRLCK, Whence: 0}
	if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &l); err != nil || l.Type == unix.F_UNLCK {
		return -1
	}
	return int(l.Pid)
}

// LockName is the name of a file's lock file.
func LockName(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".~lock~")
}

// cause is what a *PathError or *LinkError wraps.
func cause(err error) error {
	var pe *os.PathError
	var le *os.LinkError
	switch {
	case errors.As(err, &pe):
		return pe.Err
	case errors.As(err, &le):
		return le.Err
	}
	return err
}

// Failure is an error with the file's name, in the words of the C programs.
// what says what failed ("open failed"); it may be empty, and is "write failed"
// then for a write.
func Failure(path, what string, err error) error {
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case errors.Is(err, storage.ErrFormat), errors.Is(err, storage.ErrCorrupt):
		return fmt.Errorf("ovsdb error: %s: %w", path, err)
	case errors.Is(err, storage.ErrLocked), errors.Is(err, storage.ErrClosed):
		return fmt.Errorf("I/O error: %s: %w", path, err)
	case errors.As(err, &errno):
		if pe := (*os.PathError)(nil); what == "" && errors.As(err, &pe) && pe.Op == "write" {
			what = "write failed"
		}
		text := errno.Error()
		return &Error{Path: path, What: what, Text: strings.ToUpper(text[:1]) + text[1:], Err: err}
	}
	return fmt.Errorf("I/O error: %s: %w", path, cause(err))
}

// Error is a system call's error about a database file.
type Error struct {
	Path, What, Text string
	Err              error
}

func (e *Error) Error() string {
	if e.What == "" {
		return fmt.Sprintf("I/O error: %s: %s", e.Path, e.Text)
	}
	return fmt.Sprintf("I/O error: %s: %s (%s)", e.Path, e.What, e.Text)
}

func (e *Error) Unwrap() error { return e.Err }

// SyncDir flushes the folder that a file stands in: its name survives a power cut.
func SyncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}
