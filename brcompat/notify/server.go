package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"govs/brcompat/link"
	"govs/brcompat/seccomp"
	"govs/brcompat/sysfs"
)

// A Server listens for launchers, and serves their sessions.
type Server struct {
	path     string
	listener *net.UnixListener
	bridges  Bridges
	log      *slog.Logger
	netns    string
	userns   string

	mounting sync.Mutex // while the shared view is made

	mu       sync.Mutex
	view     *view // of launchers that share it, once one has asked
	sessions map[*session]bool
	total    uint64
	closed   bool
	counts   counts
	running  sync.WaitGroup
}

// counts count what became of calls.
type counts struct {
	answered atomic.Uint64 // with success
	passed   atomic.Uint64 // left to the kernel
	refused  atomic.Uint64 // for want of CAP_NET_ADMIN
	errors   atomic.Uint64 // answered with another error
}

func (c *counts) String() string {
	return fmt.Sprintf("answered %d, passed to the kernel %d, refused %d, errors %d",
		c.answered.Load(), c.passed.Load(), c.refused.Load(), c.errors.Load())
}

// add counts what became of a call.
func (c *counts) add(v verdict) {
	switch {
	case v.native:
		c.passed.Add(1)
	case v.errno == 0:
		c.answered.Add(1)
	case v.errno == unix.EPERM:
		c.refused.Add(1)
	default:
		c.errors.Add(1)
	}
}

// questions is how many questions a launcher may ask.
const questions = 4

// Listen makes a Server on the socket path, which only its owner may use. A
// socket that a dead daemon left is replaced; a living one's is an error.
func Listen(path string, b Bridges, log *slog.Logger) (*Server, error) {
	s := &Server{path: path, bridges: b, log: log, sessions: map[*session]bool{}}
	var err error
	if s.netns, err = link.Namespace("net"); err != nil {
		return nil, err
	}
	if s.userns, err = link.Namespace("user"); err != nil {
		return nil, err
	}
	if c, err := Dial(path); err == nil {
		c.Close()
		return nil, fmt.Errorf("%s: another ovs-brcompatd listens there", path)
	} else if st, serr := os.Lstat(path); errors.Is(err, ErrNoDaemon) && serr == nil && st.Mode().Type() == os.ModeSocket {
		os.Remove(path)
	}
	s.listener, err = net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		s.listener.Close()
		return nil, err
	}
	return s, nil
}

// Path is the path of the socket.
func (s *Server) Path() string { return s.path }

// Serve accepts launchers until Close.
func (s *Server) Serve(ctx context.Context) error {
	for {
		c, err := s.listener.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			// Out of descriptors or memory: it may pass.
			s.log.Warn(fmt.Sprintf("cannot accept a launcher: %v", err))
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		go s.greet(ctx, c)
	}
}

// greet hears what a launcher wants, and serves its session.
func (s *Server) greet(ctx context.Context, c *net.UnixConn) {
	defer c.Close()
	ses, err := s.open(c)
	if err != nil {
		level := slog.LevelWarn
		if errors.Is(err, io.EOF) {
			level = slog.LevelDebug // another daemon that looks whether we are here
		}
		s.log.Log(ctx, level, fmt.Sprintf("a launcher got no session: %v", err))
		answer(c, err)
		return
	}
	answer(c, nil)
	c.Close()
	defer s.running.Done()
	s.log.Debug(fmt.Sprintf("session of pid %d begins", ses.pid))
	ses.serve(ctx)
	s.mu.Lock()
	delete(s.sessions, ses)
	s.mu.Unlock()
	s.log.Debug(fmt.Sprintf("session of pid %d ends: %s", ses.pid, &ses.counts))
}

// open makes a session, which is to be served.
func (s *Server) open(c *net.UnixConn) (*session, error) {
	pid, err := peer(c, s.userns)
	if err != nil {
		return nil, err
	}
	var view *view // that the launcher was given a mount of
	fds, mode, err := receive(c, false)
	for range questions {
		if err != nil || mode != ask && mode != askView {
			break
		}
		if mode == ask {
			s.tell(c)
		} else {
			view = s.give(c, pid, fds[0])
		}
		fds, mode, err = receive(c, view != nil)
	}
	if err == nil && (mode == ask || mode == askView) {
		for _, fd := range fds {
			unix.Close(fd)
		}
		err = errors.New("it asks and asks")
	}
	if err != nil {
		return nil, fmt.Errorf("pid %d: %w", pid, err)
	}
	ses := &session{server: s, mode: mode, pid: pid, since: time.Now(), slots: make(chan struct{}, maxCalls)}
	if mode == FUSE && len(fds) > 1 {
		view = nil // it could not attach the mount, and made one
		if ns, err := (seccomp.Caller{TID: pid}).Namespace("net"); err != nil || ns != s.netns {
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, fmt.Errorf("pid %d: %w", pid, &refusal{unix.EXDEV, "--sysfs=fuse: this daemon is in another network namespace"})
		}
		if ses.view, err = s.show(ses, fds[1], fds[2]); err != nil {
			unix.Close(fds[0])
			return nil, fmt.Errorf("pid %d: %w", pid, err)
		}
	}
	if ses.listener, err = seccomp.NewListener(fds[0]); err != nil {
		ses.close()
		return nil, fmt.Errorf("pid %d: %w", pid, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		ses.close()
		return nil, errors.New("the daemon is about to end")
	}
	s.running.Add(1)
	s.sessions[ses] = true
	s.total++
	return ses, nil
}

// tell answers a launcher's question.
func (s *Server) tell(c *net.UnixConn) {
	ctx, cancel := context.WithTimeout(context.Background(), questionTime)
	defer cancel()
	msg := make([]byte, 8)
	if virtual, err := s.bridges.Virtual(ctx); err != nil || virtual {
		msg[4] = 1
	}
	c.Write(msg)
}

// show begins to serve a session's view of /sys/class/net.
func (s *Server) show(ses *session, fd, real int) (*sysfs.FS, error) {
	view, err := sysfs.New(fd, real, sysfs.Options{Bridges: s.bridges, Log: s.log, Permit: s.permit, Done: ses.wrote}, func() {})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), questionTime)
	defer cancel()
	view.Changed(ctx)
	return view, nil
}

// wrote counts and logs a change that came through a view.
func (s *Server) wrote(what string, err error, both ...*counts) {
	v := verdict{}
	if err != nil {
		v.errno = errnoOf(err)
		what += ": " + v.errno.Error()
	}
	for _, c := range append(both, &s.counts) {
		c.add(v)
	}
	s.log.Info(what)
}

// permit tells whether a thread may write to a view: the same that may change
// something by ioctl.
func (s *Server) permit(tid int) error {
	ns, err := seccomp.Caller{TID: tid}.Namespace("net")
	if tid <= 0 || err != nil || ns != s.netns || !mayChange(tid, s.userns) {
		s.log.Warn(fmt.Sprintf("a write refused: thread %d (%s) has no CAP_NET_ADMIN here", tid, command(tid)))
		return unix.EPERM
	}
	return nil
}

// Changed tells the views that bridges or ports may have changed, and returns
// when no program sees the old ones any more.
func (s *Server) Changed(ctx context.Context) {
	s.mu.Lock()
	var views []*sysfs.FS
	for ses := range s.sessions {
		if ses.view != nil {
			views = append(views, ses.view)
		}
	}
	if s.view != nil {
		views = append(views, s.view.fs)
	}
	s.mu.Unlock()
	for _, v := range views {
		v.Changed(ctx)
	}
}

// Close stops listening and ends all sessions: their callers get ENOSYS. It
// waits for changes that are being carried out, or taken back: the end of
// Serve's context makes them short.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for ses := range s.sessions {
		ses.close()
	}
	if s.view != nil {
		s.view.close()
	}
	s.mu.Unlock()
	err := s.listener.Close()
	s.running.Wait()
	return err
}

// Counters are what became of calls, for coverage/show.
func (s *Server) Counters() map[string]uint64 {
	c := &s.counts
	return map[string]uint64{
		"brcompat_answered": c.answered.Load(), "brcompat_passed": c.passed.Load(),
		"brcompat_refused": c.refused.Load(), "brcompat_errors": c.errors.Load(),
	}
}

// Show describes the sessions and what became of their calls.
func (s *Server) Show() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "socket: %s\n", s.path)
	fmt.Fprintf(&b, "calls: %s\n", &s.counts)
	fmt.Fprintf(&b, "sessions: %d now, %d in all\n", len(s.sessions), s.total)
	list := make([]*session, 0, len(s.sessions))
	for ses := range s.sessions {
		list = append(list, ses)
	}
	slices.SortFunc(list, func(a, b *session) int { return a.since.Compare(b.since) })
	for _, ses := range list {
		fmt.Fprintf(&b, "  pid %d (%s), sysfs=%s: %s\n", ses.pid, command(ses.pid), ses.mode, &ses.counts)
	}
	return b.String()
}

// mayChange tells whether a thread has CAP_NET_ADMIN in a user namespace.
func mayChange(tid int, userns string) bool {
	c := seccomp.Caller{TID: tid}
	ok, err := c.Capable(unix.CAP_NET_ADMIN)
	if err != nil || !ok {
		return false
	}
	ns, err := c.Namespace("user")
	return err == nil && ns == userns
}

// errnoOf is the errno of an error that came from Bridges.
func errnoOf(err error) unix.Errno {
	var errno unix.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return unix.EIO
}
