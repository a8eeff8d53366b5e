package appctl

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/internal/unixctl"
	"govs/internal/vlog"
)

const envMain = "GOVS_TEST_APPCTL"

func TestMain(m *testing.M) {
	if os.Getenv(envMain) != "" {
		os.Exit(daemon.Main(New()))
	}
	os.Exit(m.Run())
}

// ours runs our ovs-appctl as a process of its own.
func ours(t *testing.T, dir string, args ...string) debs.Result {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, args...)
	cmd.Args[0] = "ovs-appctl"
	cmd.Dir, cmd.Env = dir, append(debs.Env(dir), envMain+"=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	code := cmd.ProcessState.ExitCode()
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	return debs.Result{Stdout: out.String(), Stderr: errs.String(), Code: code}
}

var (
	stampRE = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\|`)
	argv0RE = regexp.MustCompile(`(?m)^/\S+/ovs-appctl: `)
)

func normal(r debs.Result) debs.Result {
	r.Stderr = argv0RE.ReplaceAllString(stampRE.ReplaceAllString(r.Stderr, "TIME|"), "ovs-appctl: ")
	return r
}

func TestAgainstDebian(t *testing.T) {
	theirs := debs.Bin(t, "ovs-appctl")
	dir := debs.OVSDBServer(t)
	ctl := filepath.Join(dir, "ctl")
	// By name needs the default socket's name, which --unixctl overrides.
	pid, err := daemon.ReadPidFile(filepath.Join(dir, "ovsdb-server.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(ctl, filepath.Join(dir, "ovsdb-server."+strconv.Itoa(pid)+".ctl")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"stale.pid": "1\n", "empty.pid": "", "word.pid": "abc\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"-t", "ovsdb-server", "version"}, {"--target=ovsdb-server", "version"}, {"--targ", "ovsdb-server", "version"}, {"-t" + ctl, "--", "version"},
		{"-t", ctl, "list-commands"}, {"-t", ctl, "vlog/list"}, {"-t", ctl, "nope"}, {"-t", ctl, "version", "x"}, {"-t", ctl, "vlog/set", "-vx"},
		{"-t", ctl, "vlog/set", "foo bar"}, {"-t", ctl, "-T", "5", "version"}, {"-t", ctl, "ovsdb-server/list-dbs"}, {"-t", ctl, "exit", "now"},
		{}, {"-t"}, {"--target"}, {"--foo"}, {"-z"}, {"--t=x", "version"}, {"--version=3"}, {"version"}, {"version", "-t", ctl},
		{"-t", "nope", "version"}, {"-t", "/nope", "version"}, {"-t", "stale", "version"}, {"-t", "empty", "version"}, {"-t", "word", "version"}, {"-t", "", "version"},
		{"-t", dir, "version"}, {"-t", filepath.Join(dir, "stale.pid"), "version"},
		{"-T", "x", "version"}, {"-T", "", "version"}, {"-T0", "-t", ctl, "version"}, {"-T", "-1", "-t", ctl, "version"}, {"-T", "5x", "version"},
		{"-v", "-t", "nope", "version"}, {"-vconsole:off", "-t", "nope", "version"}, {"-vfoo", "version"},
	} {
		got, want := normal(ours(t, dir, args...)), normal(debs.Run(t, dir, theirs, args...))
		if got != want {
			t.Errorf("%q:\ngot  %+v\nwant %+v", args, got, want)
		}
	}
}

func TestTimeoutDiesOfSIGALRM(t *testing.T) {
	dir := debs.ShortTemp(t)
	l, err := net.Listen("unix", filepath.Join(dir, "s")) // accepts nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := normal(ours(t, dir, "-T", "1", "-t", filepath.Join(dir, "s"), "version"))
	if want := (debs.Result{Stderr: "TIME|00001|fatal_signal|WARN|terminating with signal 14 (Alarm clock)\n", Code: 142}); r != want {
		t.Errorf("%+v", r)
	}
}

func TestAgainstOurServer(t *testing.T) {
	dir := debs.ShortTemp(t)
	path := filepath.Join(dir, "s")
	s, err := unixctl.Listen(path, vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	s.SetVersion("prog (Open vSwitch) 1\n")
	s.Register("obj", "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
		if unixctl.JSON(ctx) {
			return `{"a":[1,"x"],"b":{}}`, nil
		}
		return "a=1", nil
	})
	s.Register("fail", "", 0, 0, func(context.Context, []string) (string, error) { return "", errors.New("no") })
	go s.Serve()
	for _, c := range []struct {
		args string
		want debs.Result
	}{
		{"obj", debs.Result{Stdout: "a=1\n"}},
		{"-f json obj", debs.Result{Stdout: `{"a":[1,"x"],"b":{}}` + "\n"}},
		{"-f json --pretty obj", debs.Result{Stdout: "{\n  \"a\": [\n    1,\n    \"x\"],\n  \"b\": {\n    }}\n"}},
		{"-f json version", debs.Result{Stdout: `{"reply":"prog (Open vSwitch) 1\n","reply-format":"plain"}` + "\n"}},
		{"-f json fail", debs.Result{Stderr: "no\novs-appctl: " + path + ": server returned an error\n", Code: ExitCommand}},
		{"-f xml obj", debs.Result{Stderr: "ovs-appctl: value xml on -f or --format is invalid\n", Code: ExitUsage}},
		{"--pretty obj", debs.Result{Stderr: "ovs-appctl: --pretty is supported with --format json only\n", Code: ExitUsage}},
	} {
		var out, errs bytes.Buffer
		code := daemon.Execute(New(), append([]string{"ovs-appctl", "-t", path}, strings.Fields(c.args)...), &out, &errs)
		if got := (debs.Result{Stdout: out.String(), Stderr: errs.String(), Code: code}); got != c.want {
			t.Errorf("%s:\ngot  %+v\nwant %+v", c.args, got, c.want)
		}
	}
}

func TestHelpAndVersion(t *testing.T) {
	for arg, want := range map[string]string{"-h": "usage: ovs-appctl", "-V": "ovs-appctl (Open vSwitch) " + daemon.Version + "\n", "-o": "--target=ARG\n-t ARG\n"} {
		var out, errs bytes.Buffer
		if code := daemon.Execute(New(), []string{"ovs-appctl", arg}, &out, &errs); code != 0 || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %d %q %q", arg, code, &out, &errs)
		}
	}
}
