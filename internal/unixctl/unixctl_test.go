package unixctl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/internal/debs"
	"govs/internal/vlog"
)

func serve(t *testing.T) *Server {
	t.Helper()
	s, err := Listen(filepath.Join(debs.ShortTemp(t), "s.ctl"), vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	s.SetVersion("prog (Open vSwitch) 1.2.3\n")
	s.Register("echo", "[arg]...", 0, -1, func(_ context.Context, args []string) (string, error) {
		return strings.Join(args, "|"), nil
	})
	s.Register("fail", "why", 1, 1, func(_ context.Context, args []string) (string, error) { return "", errors.New(args[0]) })
	s.Register("panic", "", 0, 0, func(context.Context, []string) (string, error) { panic("boom") })
	s.Register("json", "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
		if JSON(ctx) {
			return `{"a": 1}`, nil
		}
		return "a=1", nil
	})
	go s.Serve()
	t.Cleanup(func() { s.Close() })
	return s
}

// raw sends bytes and returns all that comes until the server closes or half a
// second passes without more.
func raw(t *testing.T, path, text string) string {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		return "<EOF>"
	}
	_ = c.(*net.UnixConn).CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b, _ := io.ReadAll(c)
	return string(b) + "<EOF>"
}

func TestWire(t *testing.T) {
	s := serve(t)
	for _, c := range []struct{ in, out string }{
		{`{"method":"version","params":[],"id":0}`, `{"id":0,"result":"prog (Open vSwitch) 1.2.3\n","error":null}`},
		{`{"method":"echo","params":["<a>","b"],"id":{"x":[1]}} {"id":"2","method":"echo","params":[]}`,
			`{"id":{"x":[1]},"result":"<a>|b\n","error":null}{"id":"2","result":"","error":null}`},
		{`{"method":"version","params":[1],"id":1}`, `{"id":1,"error":"\"version\" command takes at most 0 arguments\n"}`},
		{`{"method":"echo","params":[1],"id":1}`, `{"id":1,"error":"\"echo\" command has non-string argument\n"}`},
		{`{"method":"echo","params":["x",null],"id":1}`, `{"id":1,"error":"\"echo\" command has non-string argument\n"}`},
		{`{"method":"fail","params":[],"id":1}`, `{"id":1,"error":"\"fail\" command requires at least 1 arguments\n"}`},
		{`{"method":"fail","params":["why"],"id":1}`, `{"id":1,"error":"why\n"}`},
		{`{"method":"nope","params":[3],"id":1}`, `{"id":1,"error":"\"nope\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n"}`},
		{`{"method":"panic","params":[],"id":1}{"method":"echo","params":["on"],"id":2}`,
			`{"id":1,"error":"\"panic\" command failed: internal error: boom\n"}{"id":2,"result":"on\n","error":null}`},
		// What is no request closes the connection without an answer.
		{`{"method":"echo","params":{},"id":1}`, ``},
		{`{"method":"echo","id":1}`, ``},
		{`{"method":"echo","params":[]}`, ``},
		{`{"method":"echo","params":[],"id":null}`, ``},
		{`{"method":5,"params":[],"id":0}`, ``},
		{`{"method":"echo","params":[],"id":0,"x":1}`, ``},
		{`{"id":1,"result":1,"error":null}`, ``},
		{`[1]`, ``}, {`garbage`, ``}, {`null`, ``}, {`{"method":"echo","par`, ``},
		{strings.Repeat("[", 5000), ``}, {strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1), ``},
	} {
		if got := raw(t, s.Path(), c.in); got != c.out+"<EOF>" {
			t.Errorf("%.80s\ngot  %s\nwant %s", c.in, got, c.out)
		}
	}
}

func TestRequestTooLong(t *testing.T) {
	r := newReader(io.MultiReader(strings.NewReader(`{"method":"echo","params":["`), zeros{}))
	if _, err := r.next(); !errors.Is(err, errTooLong) {
		t.Errorf("error %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = '0'
	}
	return len(b), nil
}

func TestSlowHandlerBlocksItsConnectionOnly(t *testing.T) {
	s := serve(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s.Register("slow", "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
		close(entered)
		<-release
		return "slow", nil
	})
	ctx := context.Background()
	result := make(chan string)
	go func() {
		out, err := Call(ctx, s.Path(), "slow", nil)
		result <- out + errText(err)
	}()
	<-entered
	if out, err := Call(ctx, s.Path(), "echo", []string{"fast"}); err != nil || out != "fast\n" {
		t.Errorf("%q %v", out, err)
	}
	close(release)
	if got := <-result; got != "slow\n" {
		t.Error(got)
	}
}

func TestHandlerContextEndsWithClient(t *testing.T) {
	s := serve(t)
	entered, ended := make(chan struct{}), make(chan struct{})
	s.Register("wait", "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
		close(entered)
		<-ctx.Done()
		close(ended)
		return "", ctx.Err()
	})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-entered
		cancel()
	}()
	if _, err := Call(ctx, s.Path(), "wait", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-ended
}

func TestCloseWithinHandler(t *testing.T) {
	s := serve(t)
	s.Register("exit", "", 0, 0, func(context.Context, []string) (string, error) {
		s.CloseLater()
		<-s.ctx.Done()
		return "bye", nil
	})
	out, err := Call(context.Background(), s.Path(), "exit", nil)
	if err != nil || out != "bye\n" {
		t.Errorf("%q %v", out, err)
	}
	s.Close()
	if _, err := os.Lstat(s.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("socket left behind: %v", err)
	}
	if _, err := Call(context.Background(), s.Path(), "echo", nil); err == nil {
		t.Error("a closed server answers")
	}
}

// tired is a listener that has no descriptors at first.
type tired struct {
	net.Listener
	errs []error
}

func (l *tired) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	return l.Listener.Accept()
}

func TestAcceptGoesOn(t *testing.T) {
	path := filepath.Join(debs.ShortTemp(t), "s.ctl")
	s, err := Listen(path, vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	s.ln = &tired{s.ln, []error{&net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}}}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	if _, err := Call(t.Context(), path, "list-commands", nil); err != nil {
		t.Error(err)
	}
	s.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}

	s = NewServer(vlog.Discard())
	s.ln = &tired{nil, []error{syscall.EINVAL}}
	if err := s.Serve(); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
}

func TestJSONFormat(t *testing.T) {
	s := serve(t)
	ctx := context.Background()
	c, err := Dial(ctx, s.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	call := func(want string, cmd string, args ...string) {
		t.Helper()
		got, err := c.CallRaw(ctx, cmd, args)
		if string(got)+errText(err) != want {
			t.Errorf("%s: %s%s, want %s", cmd, got, errText(err), want)
		}
	}
	call(`"a=1\n"`, "json")
	call(`{"reply":"","reply-format":"plain"}`, "set-options", "--format", "json")
	call(`{"a":1}`, "json")
	call(`{"reply":"x\n","reply-format":"plain"}`, "echo", "x")
	call(`""`, "set-options", "--format", "text")
	call(`"a=1\n"`, "json")
	if _, err := c.CallRaw(ctx, "set-options", []string{"--format", "xml"}); err == nil {
		t.Error("xml accepted")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return "error: " + err.Error()
}

func TestDebianClient(t *testing.T) {
	s := serve(t)
	appctl := debs.Bin(t, "ovs-appctl")
	dir := t.TempDir()
	for _, c := range []struct {
		args []string
		want debs.Result
	}{
		{[]string{"version"}, debs.Result{Stdout: "prog (Open vSwitch) 1.2.3\n"}},
		{[]string{"echo", "a b", "ü"}, debs.Result{Stdout: "a b|ü\n"}},
		{[]string{"fail", "no"}, debs.Result{Stderr: "no\novs-appctl: " + s.Path() + ": server returned an error\n", Code: 2}},
		{[]string{"list-commands"}, debs.Result{Stdout: "The available commands are:\n  echo                    [arg]...\n  fail                    why\n" +
			"  json                    \n  list-commands           \n  panic                   \n  version                 \n"}},
	} {
		if got := debs.Run(t, dir, appctl, append([]string{"-t", s.Path()}, c.args...)...); got != c.want {
			t.Errorf("%v: got %+v want %+v", c.args, got, c.want)
		}
	}
}

func TestDebianServer(t *testing.T) {
	path := filepath.Join(debs.OVSDBServer(t), "ctl")
	ctx := context.Background()
	out, err := Call(ctx, path, "version", nil)
	if err != nil || !strings.HasPrefix(out, "ovsdb-server (Open vSwitch) ") {
		t.Errorf("%q %v", out, err)
	}
	var ce *CommandError
	if _, err = Call(ctx, path, "nope", []string{"x"}); !errors.As(err, &ce) || !strings.Contains(ce.Text, "is not a valid command") {
		t.Errorf("error %v", err)
	}
}

func FuzzParseRequest(f *testing.F) {
	for _, seed := range []string{
		`{"method":"version","params":[],"id":0}`, `{"method":"a","params":["b",1],"id":{"c":null}}`, `[1]`, `null`, `{"id":1,"result":1}`,
		`{"method":"\ud800","params":["\u0000"],"id":1e999}`, strings.Repeat(`[`, 3000), `{"method":"a","params":[],"id":1,"id":2}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := newReader(bytes.NewReader(b))
		for {
			req, err := r.next()
			if err != nil {
				return
			}
			if len(req.id) == 0 || (req.argErr == "" && len(req.args) != req.nargs) {
				t.Fatalf("bad request %+v from %q", req, b)
			}
			if _, err := json.Marshal(success{ID: req.id, Result: "x"}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
