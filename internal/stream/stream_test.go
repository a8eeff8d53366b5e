package stream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"govs/internal/debs"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]Target{
		"unix:db.sock":      {Kind: "unix", Path: "db.sock", Port: 6640},
		"punix:/a:b":        {Kind: "punix", Path: "/a:b", Port: 6640, Passive: true},
		"tcp:h":             {Kind: "tcp", Host: "h", Port: 6640},
		"tcp:h:1":           {Kind: "tcp", Host: "h", Port: 1},
		"ssl:[::1]:6641":    {Kind: "ssl", Host: "::1", Port: 6641},
		"ssl:[fe80::1%lo]":  {Kind: "ssl", Host: "fe80::1%lo", Port: 6640},
		"ptcp:":             {Kind: "ptcp", Port: 6640, Passive: true},
		"ptcp:0":            {Kind: "ptcp", Passive: true},
		"ptcp:7:[::1]":      {Kind: "ptcp", Host: "::1", Port: 7, Passive: true},
		"pssl::127.0.0.1":   {Kind: "pssl", Host: "127.0.0.1", Port: 6640, Passive: true},
		"pssl:6:127.0.0.1":  {Kind: "pssl", Host: "127.0.0.1", Port: 6, Passive: true},
		"ptcp:6:fe80::1%lo": {Kind: "ptcp", Host: "fe80::1%lo", Port: 6, Passive: true},
	} {
		if got, err := Parse(in, 0); err != nil || got != want {
			t.Errorf("%s: %+v %v", in, got, err)
		}
	}
	for _, bad := range []string{"", "foo", "foo:bar", "punix:", "tcp:", "tcp::1", "tcp:::1", "tcp:[::1", "tcp:[::1]x", "tcp:h:", "tcp:h:0",
		"tcp:h:65536", "tcp:h:-1", "ptcp:x", "ptcp:99999", "ptcp:0:1.2.3", "ptcp:0:127.0.0.1:5", "ptcp:0:[::1"} {
		_, err := Parse(bad, 0)
		var te *TargetError
		if bad == "tcp:h:" {
			continue // an empty port is the default
		}
		if !errors.As(err, &te) || ErrText(err) != "Address family not supported by protocol" {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if got, _ := Parse("tcp:h", PortOpenFlow); got.Port != 6653 {
		t.Errorf("OpenFlow port %d", got.Port)
	}
	if !IsActive("tcp:x") || IsActive("ptcp:x") || IsActive("tcp") || !IsPassive("punix:x") || IsPassive("unix:x") {
		t.Error("IsActive, IsPassive")
	}
}

// echo answers each line with itself, on every connection, until l closes.
func echo(t *testing.T, l net.Listener) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
}

func roundTrip(t *testing.T, c net.Conn) error {
	t.Helper()
	defer c.Close()
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = fmt.Errorf("got %q", line)
	}
	return err
}

func dial(t *testing.T, target string, o *TLSOptions) error {
	t.Helper()
	c, err := Dial(t.Context(), target, o)
	if err != nil {
		return err
	}
	return roundTrip(t, c)
}

func TestTCP(t *testing.T) {
	for _, c := range []struct{ listen, host string }{{"ptcp:0:127.0.0.1", "127.0.0.1"}, {"ptcp:0:[::1]", "[::1]"}, {"ptcp:0", "localhost"}} {
		l, err := Listen(c.listen, nil)
		if err != nil {
			if strings.Contains(c.listen, "::1") {
				t.Logf("no IPv6: %v", err)
				continue
			}
			t.Fatal(err)
		}
		echo(t, l)
		if err := dial(t, fmt.Sprintf("tcp:%s:%d", c.host, l.Addr().(*net.TCPAddr).Port), nil); err != nil {
			t.Errorf("%s: %v", c.listen, err)
		}
	}
	l, _ := Listen("ptcp:0:127.0.0.1", nil)
	addr := l.Addr().String()
	l.Close()
	if err := dial(t, "tcp:"+addr, nil); ErrText(err) != "Connection refused" {
		t.Errorf("closed port: %v", err)
	}
	for _, bad := range []string{"punix:x", "foo:bar"} {
		if _, err := Dial(t.Context(), bad, nil); err == nil {
			t.Errorf("connected to %s", bad)
		}
	}
	if _, err := Listen("tcp:127.0.0.1:1", nil); err == nil {
		t.Error("listening on an active target")
	}
}

func TestUnixSockets(t *testing.T) {
	dir := debs.ShortTemp(t)
	t.Setenv("OVS_RUNDIR", dir)
	deep := filepath.Join(dir, strings.Repeat("d", 60), strings.Repeat("e", 60))
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db.sock", filepath.Join(dir, "abs"), filepath.Join(deep, "long.sock")} {
		l, err := Listen("punix:"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		if err := dial(t, "unix:"+name, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		path := ResolvePath(name)
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o750 || l.Addr().String() != path {
			t.Errorf("%s: %v %v", path, fi, err)
		}
	}
	// Nothing but the sockets is there, no temporary names.
	names, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(names) != 0 {
		t.Errorf("left behind: %v", names)
	}
	if err := dial(t, "unix:nope", nil); ErrText(err) != "No such file or directory" {
		t.Errorf("missing socket: %v", err)
	}
	if _, err := Listen("punix:/nonexistent/x", nil); err == nil || err.Error() != "/nonexistent/x: binding failed: No such file or directory" {
		t.Errorf("missing directory: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("data"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("punix:file", nil); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a file was replaced: %v", err)
	}
}

func TestSocketIsReplacedAtomically(t *testing.T) {
	dir := debs.ShortTemp(t)
	target := "punix:" + filepath.Join(dir, "s")
	stop, clients := make(chan struct{}), sync.WaitGroup{}
	first, err := Listen(target, nil)
	if err != nil {
		t.Fatal(err)
	}
	echo(t, first)
	clients.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			c, err := Dial(context.Background(), "unix:"+filepath.Join(dir, "s"), nil)
			if err != nil {
				t.Errorf("connection %d: %v", n, err)
				return
			}
			c.Close()
		}
	})
	var ls []net.Listener
	for range 50 {
		l, err := Listen(target, nil)
		if err != nil {
			t.Fatal(err)
		}
		echo(t, l)
		ls = append(ls, l)
	}
	close(stop)
	clients.Wait()
	for _, l := range ls[:49] { // closing an old one leaves the newest alone
		l.Close()
	}
	if err := dial(t, "unix:"+filepath.Join(dir, "s"), nil); err != nil {
		t.Error(err)
	}
	ls[49].Close()
	if _, err := os.Lstat(filepath.Join(dir, "s")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket left behind: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"unix:x", "tcp:[::1]:6640", "ptcp:1:[::1%lo]", "ssl:a:b:c", "pssl:[", "tcp:]:["} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := Parse(s, 0); err == nil && (got.Port < 0 || got.Port > 65535 || got.Kind == "") {
			t.Errorf("%q: %+v", s, got)
		}
	})
}
