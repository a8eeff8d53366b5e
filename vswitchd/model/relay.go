package model

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// endpoint gives libovsdb, which opens its connection by itself, a remote that
// leads to the server. For "ssl:" that is a private socket behind which the
// bytes are passed on, so that certificates are treated as everywhere else in
// this project: read anew when they change, bootstrapped where that is asked
// for. The function returned ends what was begun for that.
func endpoint(ctx context.Context, o Options, remote string) (string, func(), error) {
	if !strings.HasPrefix(remote, "ssl:") {
		return remote, func() {}, nil
	}
	server, err := o.Dial(ctx, remote)
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "ovs-vswitchd-")
	if err != nil {
		server.Close()
		return "", nil, err
	}
	path := filepath.Join(dir, "db.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		server.Close()
		os.RemoveAll(dir)
		return "", nil, err
	}
	go func() {
		_ = listener.SetDeadline(time.Now().Add(10 * time.Second))
		client, err := listener.Accept()
		listener.Close()
		os.RemoveAll(dir)
		if err != nil {
			server.Close()
			return
		}
		go pass(client, server)
		pass(server, client)
	}()
	return "unix:" + path, func() { server.Close() }, nil
}

// pass copies until either side ends, and then ends both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
