package notify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"govs/brcompat/seccomp"
	"govs/brcompat/sysfs"
)

// A view is the file system that launchers share, so that the kernel still knows
// for the next one what it found out for the last: those in the daemon's network
// and user namespaces, that see the devices which the daemon sees.
type view struct {
	fs    *sysfs.FS
	mount int // a descriptor of it, attached nowhere; launchers get clones
	ended bool
}

// close makes all later requests fail.
func (v *view) close() {
	v.fs.Close()
	if v.mount >= 0 {
		unix.Close(v.mount)
		v.mount = -1
	}
}

// give answers a launcher that asks for a mount of the shared view, over the
// folder with the descriptor real. It returns the view where it has given one.
func (s *Server) give(c *net.UnixConn, pid, real int) *view {
	v, mount, err := s.clone(pid, real)
	unix.Close(real)
	if err != nil {
		s.log.Debug(fmt.Sprintf("pid %d has a view of its own: %v", pid, err))
		answer(c, &refusal{unix.EOPNOTSUPP, err.Error()})
		return nil
	}
	defer unix.Close(mount)
	if _, _, err := c.WriteMsgUnix(binary.LittleEndian.AppendUint32(nil, 0), unix.UnixRights(mount), nil); err != nil {
		return nil
	}
	return v
}

// clone makes a mount of the shared view for a process, which sees real as
// /sys/class/net.
func (s *Server) clone(pid, real int) (*view, int, error) {
	p := seccomp.Caller{TID: pid}
	for _, ns := range []struct{ kind, ours string }{{"net", s.netns}, {"user", s.userns}} {
		if theirs, err := p.Namespace(ns.kind); err != nil || theirs != ns.ours {
			return nil, -1, fmt.Errorf("it is in another %s namespace", ns.kind)
		}
	}
	if err := sysfs.Ours(real); err != nil {
		return nil, -1, err
	}
	v, err := s.shared()
	if err != nil {
		return nil, -1, err
	}
	s.mu.Lock() // or the descriptor could be closed meanwhile, and be another one
	defer s.mu.Unlock()
	if s.view != v {
		return nil, -1, errors.New("the file system has ended")
	}
	// Before Linux 6.15 only what is attached somewhere can be cloned.
	mount, err := unix.OpenTree(v.mount, "", unix.AT_EMPTY_PATH|unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, -1, fmt.Errorf("cannot clone the mount: %w", err)
	}
	return v, mount, nil
}

// shared is the shared view, which is mounted when it is asked for first.
func (s *Server) shared() (*view, error) {
	s.mounting.Lock()
	defer s.mounting.Unlock()
	s.mu.Lock()
	v := s.view
	s.mu.Unlock()
	if v != nil {
		return v, nil
	}
	v = new(view)
	var err error
	v.fs, v.mount, err = sysfs.Mount(sysfs.Options{Bridges: s.bridges, Log: s.log, Permit: s.permit,
		Done: func(what string, err error) { s.wrote(what, err) }}, func() { s.forget(v) })
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), questionTime)
	defer cancel()
	v.fs.Changed(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || v.ended {
		v.close()
		return nil, errors.New("the file system has ended already")
	}
	s.view = v
	return v, nil
}

// forget is told that the shared view has ended: somebody aborted it.
func (s *Server) forget(v *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v.ended = true
	if s.view == v && !s.closed {
		s.view = nil
		v.close()
	}
}
