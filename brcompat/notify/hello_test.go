package notify

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/vlog"
)

// serve starts a Server that has no bridges: no test here gets that far.
func serve(t *testing.T) *Server {
	t.Helper()
	s, err := Listen(filepath.Join(t.TempDir(), SocketName), nil, vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(context.Background()) }()
	t.Cleanup(func() {
		s.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// Whatever a launcher says, it gets an answer, and the next one is served.
func TestRefusals(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, for a session")
	}
	s := serve(t)
	null, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	words := func(w ...uint32) []byte {
		var b []byte
		for _, v := range w {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		return b
	}
	fd := int(null.Fd())
	for _, tt := range []struct {
		what string
		msg  []byte
		fds  []int
		want unix.Errno
		text string
	}{
		{"nothing but a byte", []byte{1}, nil, unix.EPROTO, "different versions"},
		{"another protocol", words(99, 0), []int{fd}, unix.EPROTO, "different versions"},
		{"too long", words(Protocol, 0, 0, 0), []int{fd}, unix.EPROTO, "different versions"},
		{"no descriptor", words(Protocol, 0), nil, unix.EINVAL, "1 are expected, and 0 came"},
		{"too many descriptors", words(Protocol, 0), []int{fd, fd, fd}, unix.EINVAL, "1 are expected, and 3 came"},
		{"no listener", words(Protocol, 0), []int{fd}, unix.EINVAL, "/dev/null and no seccomp listener"},
		{"no mount", words(Protocol, 2), []int{fd}, unix.EINVAL, "3 are expected, and 1 came"},
		{"no file system", words(Protocol, 2), []int{fd, fd, fd}, unix.EINVAL, "not /dev/fuse"},
		{"a question with a descriptor", words(Protocol, 1<<31), []int{fd}, unix.EINVAL, "0 are expected, and 1 came"},
		{"unknown mode", words(Protocol, 77), []int{fd}, unix.EINVAL, "unknown mode 77"},
	} {
		c, err := Dial(s.Path())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.WriteMsgUnix(tt.msg, unix.UnixRights(tt.fds...), nil); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1000)
		c.SetDeadline(time.Now().Add(10 * time.Second))
		n, err := c.Read(b)
		c.Close()
		if err != nil || n < 4 {
			t.Errorf("%s: no answer: %d %v", tt.what, n, err)
			continue
		}
		if got := unix.Errno(binary.LittleEndian.Uint32(b)); got != tt.want || !strings.Contains(string(b[4:n]), tt.text) {
			t.Errorf("%s: %v %q, want %v %q", tt.what, got, b[4:n], tt.want, tt.text)
		}
	}
	if show := s.Show(); !strings.Contains(show, "sessions: 0 now, 0 in all") {
		t.Error(show)
	}
	// A launcher that hangs up is no trouble.
	c, err := Dial(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// A daemon that hangs does not hang its launchers.
func TestNoAnswer(t *testing.T) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	err = hello(pair[0], []int{pair[1]}, None, 50*time.Millisecond)
	if err == nil || err.Error() != "no answer from ovs-brcompatd in 50ms" {
		t.Errorf("a daemon that hangs: %v", err)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	// A dead daemon's socket is replaced, a living one's and a file are not.
	dead, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	s, err := Listen(path, nil, vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
	if _, err := Listen(path, nil, vlog.Discard()); err == nil || !strings.Contains(err.Error(), "another ovs-brcompatd") {
		t.Errorf("a second daemon: %v", err)
	}
	s.Close()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, nil, vlog.Discard()); err == nil {
		t.Error("a file was replaced")
	}
}
