package stream

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
)

// Relay leads those that open their connections by themselves, and know Unix
// sockets only, to where dial connects to: it listens on a private socket, and
// passes on the bytes of each connection to it. So certificates are treated as
// everywhere else: read anew when they change, bootstrapped where that is asked
// for. A connection that dial cannot make is closed. close ends it all; the
// socket's folder, whose name begins with name, goes with it.
func Relay(name string, dial func() (net.Conn, error)) (path string, close func(), err error) {
	dir, err := os.MkdirTemp("", name+"-")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "relay.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		os.RemoveAll(dir)
		return "", nil, err
	}
	r := &relay{open: make(map[net.Conn]bool)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go r.serve(client, dial)
		}
	}()
	var once sync.Once
	return path, func() {
		once.Do(func() {
			listener.Close()
			os.RemoveAll(dir)
			r.close()
		})
	}, nil
}

// A relay has the connections of Relay.
type relay struct {
	mu    sync.Mutex
	open  map[net.Conn]bool
	ended bool
}

// serve passes on what comes from a client, and what comes back.
func (r *relay) serve(client net.Conn, dial func() (net.Conn, error)) {
	defer r.end(client)
	if !r.begin(client) {
		return
	}
	server, err := dial()
	if err != nil {
		return
	}
	defer r.end(server)
	if !r.begin(server) {
		return
	}
	go pass(client, server)
	pass(server, client)
}

func (r *relay) begin(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open[c] = true
	return !r.ended
}

func (r *relay) end(c net.Conn) {
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
	c.Close()
}

func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	for c := range r.open {
		c.Close()
	}
}

// pass copies until either side ends, and then ends both.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	to.Close()
	from.Close()
}
