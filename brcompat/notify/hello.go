package notify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A Mode is what a launcher did to the view of /sys/class/net.
type Mode uint32

// The modes.
const (
	None Mode = iota // nothing
	Hide             // it is empty
	FUSE             // it is a view with our bridges in it
)

func (m Mode) String() string {
	switch m {
	case None:
		return "none"
	case Hide:
		return "hide"
	case FUSE:
		return "fuse"
	}
	return fmt.Sprintf("mode %d", uint32(m))
}

// SocketName is the name of the daemon's socket in the run directory.
const SocketName = "brcompat.sock"

// Protocol is the number of the protocol on the socket: one message with two
// 32-bit words, the protocol and the mode, and the listener beside it, in the
// mode FUSE with the descriptors of the mount and of the folder that it covers;
// and one answer with a 32-bit error number (0 for success) and a text that
// explains it. Before that message two questions may come. One has the mode ask
// and no descriptor; the answer to it has a second word, 1 where some bridge or
// port has no device of its name. The other one has the mode askView and the
// descriptor of the folder to be covered; beside the answer to it is the
// descriptor of a mount, and the listener comes alone then, or it is an error
// number and the launcher makes a mount. Words are little-endian.
const Protocol = 3

// What stands in a question in the place of the mode.
const (
	ask     Mode = 1 << 31
	askView Mode = 1 << 30
)

// helloTime is how long a launcher may take to say what it wants.
const helloTime = 5 * time.Second

// ErrNoDaemon says that no daemon listens on the socket.
var ErrNoDaemon = errors.New("ovs-brcompatd is not running")

// Dial connects to the daemon. The error is ErrNoDaemon where there is none.
func Dial(path string) (*net.UnixConn, error) {
	c, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: path, Net: "unixpacket"})
	switch {
	case err == nil:
		return c, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ECONNREFUSED):
		return nil, fmt.Errorf("%w (nothing listens on %s)", ErrNoDaemon, path)
	}
	return nil, fmt.Errorf("cannot connect to ovs-brcompatd: %w", err)
}

// answerTime is how long a launcher waits for the daemon's answer.
const answerTime = 2 * helloTime

// Hello hands the listener to the daemon, on the blocking socket sock, and in
// the mode FUSE the descriptors of the mount and of the folder that it covers,
// unless the mount is View's.
// It uses no system calls that are trapped, so that it can be called by a thread
// that is filtered already. A daemon that does not answer is an error after a
// time.
func Hello(sock, listener int, mode Mode, view ...int) error {
	return hello(sock, append([]int{listener}, view...), mode, answerTime)
}

// Names asks the daemon whether it has to answer for names of devices: whether
// there are bridges or ports that have none. On an error it may have to.
func Names(sock int) (bool, error) {
	answer, _, err := talk(sock, nil, ask, answerTime)
	return err != nil || len(answer) != 4 || binary.LittleEndian.Uint32(answer) != 0, err
}

// View asks the daemon for a mount of the view that launchers share, for those
// that see real as /sys/class/net. It is attached nowhere. Where there is none,
// for whatever reason, that is an error.
func View(sock, real int) (mount int, err error) {
	_, fds, err := talk(sock, []int{real}, askView, answerTime)
	if err != nil {
		return -1, err
	}
	if len(fds) != 1 {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return -1, errors.New("no mount came from ovs-brcompatd")
	}
	return fds[0], nil
}

func hello(sock int, fds []int, mode Mode, patience time.Duration) error {
	_, _, err := talk(sock, fds, mode, patience)
	return err
}

// talk sends a message and returns what the answer to it has beside its error
// number, and the descriptors that came with it.
func talk(sock int, fds []int, mode Mode, patience time.Duration) (rest []byte, got []int, err error) {
	wait := unix.NsecToTimeval(int64(patience))
	for _, opt := range []int{unix.SO_SNDTIMEO, unix.SO_RCVTIMEO} {
		if err := unix.SetsockoptTimeval(sock, unix.SOL_SOCKET, opt, &wait); err != nil {
			return nil, nil, fmt.Errorf("cannot limit the time that ovs-brcompatd has: %w", err)
		}
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
	}
	msg := binary.LittleEndian.AppendUint32(nil, Protocol)
	msg = binary.LittleEndian.AppendUint32(msg, uint32(mode))
	if err := retry(func() error { return unix.Sendmsg(sock, msg, rights, nil, unix.MSG_NOSIGNAL) }); err != nil {
		return nil, nil, fmt.Errorf("cannot talk to ovs-brcompatd: %w", err)
	}
	var n, oobn int
	answer, oob := make([]byte, 1024), make([]byte, unix.CmsgSpace(4))
	if err := retry(func() (err error) {
		n, oobn, _, _, err = unix.Recvmsg(sock, answer, oob, unix.MSG_CMSG_CLOEXEC)
		return err
	}); err == unix.EAGAIN {
		return nil, nil, fmt.Errorf("no answer from ovs-brcompatd in %v", patience)
	} else if err != nil {
		return nil, nil, fmt.Errorf("no answer from ovs-brcompatd: %w", err)
	}
	got = parseRights(oob[:oobn])
	if n < 4 {
		return nil, nil, errors.New("ovs-brcompatd hung up")
	}
	if errno := binary.LittleEndian.Uint32(answer); errno != 0 {
		return nil, nil, fmt.Errorf("ovs-brcompatd refused: %s", answer[4:n])
	}
	return answer[4:n], got, nil
}

func retry(fn func() error) error {
	for {
		if err := fn(); err != unix.EINTR {
			return err
		}
	}
}

// A refusal is an answer to a launcher that got no session.
type refusal struct {
	errno unix.Errno
	text  string
}

func (r *refusal) Error() string { return r.text }

// receive reads a launcher's message. The descriptors are the caller's: the
// listener's, and two more in the mode FUSE, where those of a launcher that was
// given a mount are of one of its own: it could not attach what it was given.
func receive(c *net.UnixConn, given bool) (fds []int, mode Mode, err error) {
	c.SetDeadline(time.Now().Add(helloTime))
	msg := make([]byte, 64)
	oob := make([]byte, unix.CmsgSpace(4*8))
	n, oobn, flags, _, err := c.ReadMsgUnix(msg, oob)
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read its message: %w", err)
	}
	fds = parseRights(oob[:oobn])
	fail := func(errno unix.Errno, format string, args ...any) ([]int, Mode, error) {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, 0, &refusal{errno, fmt.Sprintf(format, args...)}
	}
	if flags&unix.MSG_CTRUNC != 0 && len(fds) < 3 {
		return fail(unix.EMFILE, "too many open descriptors")
	}
	if n != 8 || binary.LittleEndian.Uint32(msg) != Protocol {
		return fail(unix.EPROTO, "this daemon and the launcher are of different versions")
	}
	mode = Mode(binary.LittleEndian.Uint32(msg[4:]))
	want := 1
	switch {
	case mode == ask:
		want = 0
	case mode == askView:
	case mode > FUSE:
		return fail(unix.EINVAL, "unknown %s", mode)
	case mode == FUSE && (!given || len(fds) > 1):
		want = 3
	}
	if len(fds) != want {
		return fail(unix.EINVAL, "wrong number of descriptors: %d are expected, and %d came", want, len(fds))
	}
	return fds, mode, nil
}

// parseRights takes the descriptors out of a control message.
func parseRights(oob []byte) []int {
	var fds []int
	msgs, _ := unix.ParseSocketControlMessage(oob)
	for i := range msgs {
		got, err := unix.ParseUnixRights(&msgs[i])
		if err == nil {
			fds = append(fds, got...)
		}
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return fds
}

// answer ends the talk with a launcher.
func answer(c *net.UnixConn, err error) {
	var r *refusal
	msg := make([]byte, 4)
	if err != nil {
		if !errors.As(err, &r) {
			r = &refusal{unix.EINVAL, err.Error()}
		}
		binary.LittleEndian.PutUint32(msg, uint32(r.errno))
		msg = append(msg, r.text...)
	}
	c.Write(msg)
}

// peer returns the process at the other end, and an error unless it may have a
// session: it is root's, or has CAP_NET_ADMIN in our user namespace.
func peer(c *net.UnixConn, userns string) (pid int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	cerr := raw.Control(func(fd uintptr) { pid, err = checkPeer(int(fd), userns) })
	return pid, errors.Join(err, cerr)
}

func checkPeer(fd int, userns string) (int, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, err
	}
	pid := int(cred.Pid)
	if cred.Uid == 0 {
		return pid, nil
	}
	denied := &refusal{unix.EPERM, "this needs CAP_NET_ADMIN"}
	if !mayChange(pid, userns) {
		return pid, denied
	}
	// Was that the process that connected, or has its number gone to another?
	// Linux 6.5 has a descriptor that knows.
	pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err != nil {
		return pid, denied
	}
	defer unix.Close(pidfd)
	p := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	if n, err := unix.Poll(p, 0); err != nil || n != 0 {
		return pid, denied
	}
	return pid, nil
}

// command is the name of a process, for messages.
func command(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "?"
	}
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return string(b)
}
