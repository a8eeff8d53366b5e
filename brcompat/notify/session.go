package notify

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"govs/brcompat/ioctl"
	"govs/brcompat/seccomp"
	"govs/brcompat/sysfs"
)

// Bridges is what a Server answers from; bridge.Switch has it. Errors are of
// type unix.Errno.
type Bridges interface {
	Has(ctx context.Context, name string) (bool, error)
	Bridges(ctx context.Context, native bool) ([]int32, error)
	Ports(ctx context.Context, name string) ([]int32, error)
	Index(ctx context.Context, name string) (int32, error)
	Name(index int32) string
	Virtual(ctx context.Context) (bool, error)
	Native(name string) (*ioctl.BridgeInfo, error)
	Member(ctx context.Context, kernelBridge string, index int32) (unix.Errno, error)
	Changer
	sysfs.Bridges
}

// A Changer carries changes out.
type Changer interface {
	AddBridge(ctx context.Context, name string) error
	DelBridge(ctx context.Context, name string) error
	AddPort(ctx context.Context, bridge string, index int32) error
	DelPort(ctx context.Context, bridge string, index int32) error
}

const (
	maxCalls     = 64              // of one session, that are worked on at a time
	questionTime = 2 * time.Second // how long a question may take
	repeatTime   = time.Second     // how soon a program tries again by an older ioctl
)

// A session is a program under a launcher, with its children.
type session struct {
	server   *Server
	listener *seccomp.Listener
	view     *sysfs.FS // in the mode FUSE, where it does not share the server's
	mode     Mode
	pid      int
	since    time.Time
	slots    chan struct{}
	counts   counts

	mu   sync.Mutex
	last failure
}

// A failure is a change that timed out.
type failure struct {
	tid  int
	what string
	at   time.Time
}

// serve answers calls until nobody is left to call.
func (s *session) serve(ctx context.Context) {
	defer s.close()
	var calls sync.WaitGroup
	defer calls.Wait()
	bad := 0
	for {
		s.slots <- struct{}{}
		c, err := s.listener.Recv()
		if err == seccomp.ErrClosed {
			return
		}
		if err != nil {
			<-s.slots
			// ENOENT: the caller was killed before its call was read.
			if bad++; err != unix.ENOENT && bad > 100 {
				s.server.log.Error(fmt.Sprintf("session of pid %d: %v", s.pid, err))
				return
			}
			continue
		}
		bad = 0
		if uint32(c.Args[1]) == ioctl.SIOCGIFNAME {
			// The most common question, and its answer waits for nothing.
			s.handle(ctx, c)
			<-s.slots
			continue
		}
		calls.Go(func() {
			defer func() { <-s.slots }()
			s.handle(ctx, c)
		})
	}
}

// close ends the session: its callers get errors.
func (s *session) close() {
	if s.listener != nil {
		s.listener.Close()
	}
	if s.view != nil {
		s.view.Close()
	}
}

// handle answers a call, come what may.
func (s *session) handle(ctx context.Context, c *seccomp.Call) {
	v := verdict{errno: unix.EIO}
	defer func() {
		if p := recover(); p != nil {
			s.server.log.Error(fmt.Sprintf("session of pid %d: %v\n%s", s.pid, p, debug.Stack()))
			v = verdict{errno: unix.EIO}
		}
		s.finish(c, v)
	}()
	v = s.judge(ctx, c)
}

// A verdict is how a call ends.
type verdict struct {
	native bool // the kernel carries it out
	value  int
	errno  unix.Errno
}

var native = verdict{native: true}

func (s *session) finish(c *seccomp.Call, v verdict) {
	var err error
	s.count(v)
	if v.native {
		err = s.listener.Continue(c.ID)
	} else {
		err = s.listener.Answer(c.ID, v.value, v.errno)
	}
	if err != nil && err != seccomp.ErrClosed {
		s.server.log.Warn(fmt.Sprintf("cannot answer thread %d: %v", c.TID, err))
	}
}

func (s *session) count(v verdict) {
	s.counts.add(v)
	s.server.counts.add(v)
}

// wrote counts a change that came through the session's own view.
func (s *session) wrote(what string, err error) { s.server.wrote(what, err, &s.counts) }

// judge decodes a call, checks its caller, and carries it out.
func (s *session) judge(ctx context.Context, c *seccomp.Call) verdict {
	abi := ioctl.ByAudit(c.Arch)
	if abi == nil || c.NR != int(abi.NR) || c.TID <= 0 {
		return native
	}
	caller := seccomp.Caller{TID: c.TID}
	if uint32(c.Args[1]) == ioctl.SIOCGIFNAME {
		return s.name(c, abi, caller)
	}
	switch ns, err := caller.Namespace("net"); {
	case err != nil:
		// Not to know is no reason to change the kernel's bridges.
		s.server.log.Warn(fmt.Sprintf("cannot look at thread %d: %v", c.TID, err))
		return verdict{errno: unix.EIO}
	case ns != s.server.netns:
		return native
	}
	if !caller.Socket(int32(c.Args[0])) {
		return native
	}
	cmd, arg := uint32(c.Args[1]), c.Args[2]
	question, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	foreign := cmd == ioctl.SIOCGIFINDEX
	if cmd == ioctl.SIOCDEVPRIVATE {
		name, err := ioctl.Device(abi, caller, arg)
		if err != nil {
			return native
		}
		ours, err := s.server.bridges.Has(question, name)
		foreign = err != nil || !ours
	}
	r, err := ioctl.Decode(abi, caller, cmd, arg)
	if err != nil {
		if foreign {
			return native
		}
		return verdict{errno: errnoOf(err)}
	}
	if foreign && cmd == ioctl.SIOCDEVPRIVATE && r.Op != ioctl.OpAddPort {
		return s.native(c, caller, r)
	}
	allowed := !r.Changes() || mayChange(c.TID, s.server.userns)
	// What was read so far is true only if the caller is still there.
	if !s.listener.Valid(c.ID) {
		return verdict{errno: unix.EINTR}
	}
	mem := checked{caller, s.listener, c.ID}
	if r.Changes() {
		return s.change(ctx, c, r, allowed)
	}
	return s.answer(question, r, mem)
}

// name answers SIOCGIFNAME for the indexes that no kernel device has, whoever
// asks: a list of ports makes a program ask for each of them.
func (s *session) name(c *seccomp.Call, abi *ioctl.ABI, caller seccomp.Caller) verdict {
	r, err := ioctl.Decode(abi, caller, ioctl.SIOCGIFNAME, c.Args[2])
	if err != nil {
		return native
	}
	name := s.server.bridges.Name(r.Ifindex)
	if name == "" {
		return native
	}
	if err := r.PutName(checked{caller, s.listener, c.ID}, name); err != nil {
		return verdict{errno: errnoOf(err)}
	}
	return verdict{}
}

// change carries a change out.
func (s *session) change(ctx context.Context, c *seccomp.Call, r *ioctl.Request, allowed bool) verdict {
	b := s.server.bridges
	if r.Op != ioctl.OpAddBridge {
		ours, err := b.Has(ctx, r.Bridge)
		if err != nil {
			return verdict{errno: errnoOf(err)}
		}
		if !ours {
			return s.foreign(ctx, r, allowed)
		}
	}
	if !allowed {
		s.server.log.Warn(fmt.Sprintf("%s refused: thread %d (%s) has no CAP_NET_ADMIN", r, c.TID, command(c.TID)))
		return verdict{errno: unix.EPERM}
	}
	if s.repeated(c.TID, r) {
		return verdict{errno: unix.ETIMEDOUT}
	}
	var err error
	switch r.Op {
	case ioctl.OpAddBridge:
		err = b.AddBridge(ctx, r.Bridge)
	case ioctl.OpDelBridge:
		err = b.DelBridge(ctx, r.Bridge)
	case ioctl.OpAddPort:
		err = b.AddPort(ctx, r.Bridge, r.Ifindex)
	case ioctl.OpDelPort:
		err = b.DelPort(ctx, r.Bridge, r.Ifindex)
	case ioctl.OpSet:
		err = b.Set(ctx, r.Bridge, r.Setting, r.Port, r.Value)
	}
	s.server.Changed(ctx)
	if err != nil {
		errno := errnoOf(err)
		s.server.log.Info(fmt.Sprintf("%s: %s", r, errno.Error()))
		if errno == unix.ETIMEDOUT {
			s.mu.Lock()
			s.last = failure{c.TID, r.String(), time.Now()}
			s.mu.Unlock()
		}
		return verdict{errno: errno}
	}
	s.server.log.Info(r.String())
	return verdict{}
}

// foreign is a change of a bridge that is not ours. The kernel carries it out,
// but for one: it does not know that a device is a bridge or a port of ours, and
// cannot be another bridge's port.
func (s *session) foreign(ctx context.Context, r *ioctl.Request, allowed bool) verdict {
	if r.Op == ioctl.OpAddPort && allowed {
		if errno, err := s.server.bridges.Member(ctx, r.Bridge, r.Ifindex); err == nil && errno != 0 {
			return verdict{errno: errno}
		}
	}
	return native
}

// native is a question about a device that is none of ours. The kernel answers
// it, but for one: what it says about its bridges here has some of the times in
// other units than sysfs, which is hidden.
func (s *session) native(c *seccomp.Call, caller seccomp.Caller, r *ioctl.Request) verdict {
	if r.Op != ioctl.OpBridgeInfo || s.mode != Hide {
		return native
	}
	i, err := s.server.bridges.Native(r.Bridge)
	if err != nil {
		return native
	}
	if err := r.PutBridgeInfo(checked{caller, s.listener, c.ID}, i); err != nil {
		return verdict{errno: errnoOf(err)}
	}
	return verdict{}
}

// repeated tells whether this is brctl's second attempt, by an older ioctl, at
// something that has just timed out.
func (s *session) repeated(tid int, r *ioctl.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.Old() && s.last.tid == tid && s.last.what == r.String() && time.Since(s.last.at) < repeatTime
}

// answer answers a question.
func (s *session) answer(ctx context.Context, r *ioctl.Request, mem ioctl.Memory) verdict {
	b := s.server.bridges
	var (
		n   int
		err error
	)
	switch r.Op {
	case ioctl.OpProbe:
		err = r.PutWord(mem, uint32(s.mode))
	case ioctl.OpVersion:
		n = ioctl.Version
	case ioctl.OpBridges:
		var list []int32
		if list, err = b.Bridges(ctx, true); err == nil {
			n, err = r.PutIndexes(mem, list)
		}
	case ioctl.OpBridgeInfo:
		var i *ioctl.BridgeInfo
		if i, err = b.Info(ctx, r.Bridge); err == nil {
			err = r.PutBridgeInfo(mem, i)
		}
	case ioctl.OpPorts:
		var list []int32
		if list, err = b.Ports(ctx, r.Bridge); err == nil {
			n, err = r.PutIndexes(mem, list)
		}
	case ioctl.OpPortInfo:
		var i *ioctl.PortInfo
		if i, err = b.PortInfo(ctx, r.Bridge, r.Port); err == nil {
			err = r.PutPortInfo(mem, i)
		}
	case ioctl.OpFDB:
		var list []ioctl.FDBEntry
		if list, err = b.FDB(ctx, r.Bridge, r.Offset > 0); err == nil {
			n, err = r.PutFDB(mem, list)
		}
	case ioctl.OpIndex:
		i, err := b.Index(ctx, r.Name)
		if err != nil || i == 0 {
			return native
		}
		if err := r.PutIndex(mem, i); err != nil {
			return verdict{errno: errnoOf(err)}
		}
	default:
		err = unix.EOPNOTSUPP
	}
	if err != nil {
		return verdict{errno: errnoOf(err)}
	}
	return verdict{value: n}
}

// checked is a caller's memory that is written only while the caller waits.
type checked struct {
	seccomp.Caller
	listener *seccomp.Listener
	id       uint64
}

func (c checked) WriteAt(p []byte, addr uint64) error {
	if !c.listener.Valid(c.id) {
		return unix.EFAULT
	}
	return c.Caller.WriteAt(p, addr)
}
