package daemon

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// Notify tells the service manager a state such as "READY=1"
// (sd_notify(3)). Without $NOTIFY_SOCKET it does nothing.
func Notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if path[0] == '@' {
		path = "\x00" + path[1:]
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write([]byte(state))
	return err
}

// ListenFDs returns the listening sockets that the service manager handed over
// (sd_listen_fds(3)), by name where they have one. It takes them once: the
// environment variables are removed.
func ListenFDs() ([]net.Listener, []string, error) {
	pid, n := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(v)
	}
	if n == "" || !handedOver(pid) {
		return nil, nil, nil
	}
	count, err := strconv.Atoi(n)
	if err != nil || count < 0 || count > 1024 {
		return nil, nil, fmt.Errorf("bad LISTEN_FDS %q", n)
	}
	var ls []net.Listener
	out := make([]string, count)
	for i := range count {
		f := os.NewFile(uintptr(3+i), "listen-"+strconv.Itoa(i))
		l, err := net.FileListener(f)
		_ = f.Close()
		if err != nil {
			for _, l := range ls {
				_ = l.Close()
			}
			return nil, nil, fmt.Errorf("handed-over socket %d: %w", 3+i, err)
		}
		ls = append(ls, l)
		if i < len(names) {
			out[i] = names[i]
		}
	}
	return ls, out, nil
}

// handedOver tells whether LISTEN_PID means this process; "self" is what a
// parent of ours says, which does not know the pid of its child beforehand.
func handedOver(pid string) bool { return pid == "self" || pid == strconv.Itoa(os.Getpid()) }
