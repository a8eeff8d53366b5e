package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxSun is how long a path in a Unix socket address may be, less its NUL.
const maxSun = len(unix.RawSockaddrUnix{}.Path) - 1

// shortPath returns a name of path that fits into a socket address, by way of
// an open descriptor of its directory. done releases the descriptor.
func shortPath(path string) (short string, done func(), err error) {
	if len(path) <= maxSun {
		return path, func() {}, nil
	}
	dir, base := filepath.Split(path)
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, err
	}
	short = fmt.Sprintf("/proc/self/fd/%d/%s", fd, base)
	if len(short) > maxSun {
		_ = unix.Close(fd)
		return "", nil, unix.ENAMETOOLONG
	}
	return short, func() { _ = unix.Close(fd) }, nil
}

func dialUnix(ctx context.Context, path string) (net.Conn, error) {
	short, done, err := shortPath(path)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: err}
	}
	defer done()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// defaultMode is the permission of a socket before the umask is taken off.
const defaultMode os.FileMode = 0o770

// unixListener removes its socket at the end if it is still its own.
type unixListener struct {
	*net.UnixListener
	path string
	id   fileID
	once sync.Once
}

type fileID struct{ dev, ino uint64 }

func statID(path string) (fileID, bool) {
	var st unix.Stat_t
	if unix.Lstat(path, &st) != nil {
		return fileID{}, false
	}
	return fileID{uint64(st.Dev), st.Ino}, true
}

func (l *unixListener) Close() error {
	l.once.Do(func() {
		if id, ok := statID(l.path); ok && id == l.id {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// Addr is the path under which clients find the socket.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// errnoError prints an error number as C does.
type errnoError struct{ errno unix.Errno }

func (e *errnoError) Error() string { return Strerror(e.errno) }
func (e *errnoError) Unwrap() error { return e.errno }

func listenUnix(path string, mode os.FileMode) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		var e unix.Errno
		if errors.As(err, &e) {
			err = &errnoError{e}
		}
		return nil, fmt.Errorf("%s: binding failed: %w", path, err)
	}
	if fi, err := os.Lstat(path); err == nil && fi.Mode()&os.ModeSocket == 0 {
		return fail(unix.EADDRINUSE) // never replace a file that is no socket
	}
	// The temporary name must be short: it is beside the final one.
	dir, base := filepath.Split(path)
	tmp := filepath.Join(dir, fmt.Sprintf(".%.20s.%d.%x", base, os.Getpid(), nonce()))
	short, done, err := shortPath(tmp)
	if err != nil {
		return fail(err)
	}
	defer done()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		// The file gets the mode of the socket, less the umask, as bind makes it.
		e := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), uint32(defaultMode)) })
		return errors.Join(e, err)
	}}
	any, err := lc.Listen(context.Background(), "unix", short)
	if err != nil {
		return fail(err)
	}
	l := any.(*net.UnixListener)
	l.SetUnlinkOnClose(false)
	id, ok := statID(tmp)
	if mode != 0 {
		err = os.Chmod(tmp, mode)
	}
	if err == nil && ok {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = l.Close()
		_ = os.Remove(tmp)
		return fail(err)
	}
	return &unixListener{UnixListener: l, path: path, id: id}, nil
}
