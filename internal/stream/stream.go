package stream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Default ports.
const (
	PortOVSDB    = 6640
	PortOpenFlow = 6653
)

// Options refine Dial and Listen.
type Options struct {
	// DefaultPort is used where the target names none; 0 means PortOVSDB.
	DefaultPort int
	// RunDir is the base of relative paths; "" means RunDir().
	RunDir string
	// SocketMode is the permission of a punix: socket; 0 means 0o770
	// less the umask, as in C.
	SocketMode os.FileMode
}

// RunDir returns $OVS_RUNDIR, or /run/openvswitch.
func RunDir() string {
	if d := os.Getenv("OVS_RUNDIR"); d != "" {
		return d
	}
	return "/run/openvswitch"
}

// ResolvePath returns path itself where it is absolute, and otherwise the path
// below the run directory.
func ResolvePath(path string) string { return resolve(path, "") }

func resolve(path, dir string) string {
	if filepath.IsAbs(path) {
		return path
	}
	if dir == "" {
		dir = RunDir()
	}
	if !filepath.IsAbs(dir) {
		if abs, err := filepath.Abs(dir); err == nil {
			dir = abs
		}
	}
	return filepath.Join(dir, path)
}

// Target is a parsed target string.
type Target struct {
	Kind    string // unix tcp ssl punix ptcp pssl
	Path    string // unix, punix: as written
	Host    string // tcp, ssl: name or address; ptcp, pssl: address or ""
	Port    int
	Passive bool
}

// Parse takes a target apart; its error is a *TargetError.
func Parse(target string, defaultPort int) (Target, error) {
	if defaultPort == 0 {
		defaultPort = PortOVSDB
	}
	kind, rest, ok := strings.Cut(target, ":")
	if !ok {
		return Target{}, &TargetError{target, "unknown connection method"}
	}
	t := Target{Kind: kind, Port: defaultPort}
	switch kind {
	case "unix", "punix":
		t.Path, t.Passive = rest, kind == "punix"
		if rest == "" && t.Passive { // "unix:" is the run directory, where nobody listens
			return Target{}, &TargetError{target, "path is missing"}
		}
		return t, nil
	case "tcp", "ssl":
		host, port, err := splitHost(rest)
		if err != nil {
			return Target{}, &TargetError{target, err.Error()}
		}
		if host == "" {
			return Target{}, &TargetError{target, "host must be specified"}
		}
		t.Host = host
		return t, setPort(&t, port, target, false)
	case "ptcp", "pssl":
		t.Passive = true
		port, host, err := splitListen(rest)
		if err != nil {
			return Target{}, &TargetError{target, err.Error()}
		}
		t.Host = host
		return t, setPort(&t, port, target, true)
	}
	return Target{}, &TargetError{target, "unknown connection method"}
}

func setPort(t *Target, port, target string, zeroOK bool) error {
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || (n == 0 && !zeroOK) {
		return &TargetError{target, fmt.Sprintf("bad port number %q", port)}
	}
	t.Port = int(n)
	return nil
}

// splitHost splits HOST[:PORT] with IPv6 in brackets.
func splitHost(s string) (host, port string, err error) {
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", "", errors.New("unmatched [")
		}
		host, rest := s[1:end], s[end+1:]
		if rest == "" {
			return host, "", nil
		}
		if rest[0] != ':' {
			return "", "", errors.New("garbage after ]")
		}
		return host, rest[1:], nil
	}
	if strings.Count(s, ":") > 1 {
		return "", "", errors.New("IPv6 addresses must be in brackets")
	}
	host, port, _ = strings.Cut(s, ":")
	return host, port, nil
}

// splitListen splits [PORT][:IP].
func splitListen(s string) (port, host string, err error) {
	port, host, _ = strings.Cut(s, ":")
	if strings.HasPrefix(host, "[") {
		if !strings.HasSuffix(host, "]") {
			return "", "", errors.New("unmatched [")
		}
		host = host[1 : len(host)-1]
	}
	if ip, _, _ := strings.Cut(host, "%"); host != "" && net.ParseIP(ip) == nil {
		return "", "", fmt.Errorf("bad IP address %q", host)
	}
	return port, host, nil
}

// Dial connects to an active target; tls is needed for ssl: only.
func Dial(ctx context.Context, target string, tls *TLSOptions) (net.Conn, error) {
	return Options{}.Dial(ctx, target, tls)
}

// Listen opens a passive target; tls is needed for pssl: only.
func Listen(target string, tls *TLSOptions) (net.Listener, error) {
	return Options{}.Listen(target, tls)
}

// Dial connects to an active target.
func (o Options) Dial(ctx context.Context, target string, tls *TLSOptions) (net.Conn, error) {
	t, err := Parse(target, o.DefaultPort)
	if err != nil {
		return nil, err
	}
	if t.Passive {
		return nil, &TargetError{target, "cannot connect to a passive target"}
	}
	if t.Kind == "unix" {
		return dialUnix(ctx, resolve(t.Path, o.RunDir))
	}
	addr := net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	var d net.Dialer
	if t.Kind == "tcp" {
		return d.DialContext(ctx, "tcp", addr)
	}
	return dialTLS(ctx, &d, t.Host, addr, tls)
}

// Listen opens a passive target. That a TLS target's files are missing or wrong
// shows in its connections only, as with the C programs.
func (o Options) Listen(target string, tls *TLSOptions) (net.Listener, error) {
	t, err := Parse(target, o.DefaultPort)
	if err != nil {
		return nil, err
	}
	if !t.Passive {
		return nil, &TargetError{target, "cannot listen on an active target"}
	}
	if t.Kind == "punix" {
		return listenUnix(resolve(t.Path, o.RunDir), o.SocketMode)
	}
	addr := net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	if t.Kind == "pssl" {
		return listenTLS(addr, tls)
	}
	return net.Listen("tcp", addr)
}

// IsActive reports whether target has the form of one to connect to, and
// IsPassive of one to listen on.
func IsActive(target string) bool {
	kind, _, ok := strings.Cut(target, ":")
	return ok && (kind == "unix" || kind == "tcp" || kind == "ssl")
}

// IsPassive reports whether target has the form of one to listen on.
func IsPassive(target string) bool {
	kind, _, ok := strings.Cut(target, ":")
	return ok && (kind == "punix" || kind == "ptcp" || kind == "pssl")
}
