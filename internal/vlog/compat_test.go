package vlog_test

import (
	"path/filepath"
	"strings"
	"testing"

	"govs/internal/debs"
	"govs/internal/unixctl"
	"govs/internal/vlog"
)

// TestVerbsAgainstDebian asks Debian's ovsdb-server and our verbs the same, by
// Debian's ovs-appctl, and compares stdout, stderr and the exit status.
func TestVerbsAgainstDebian(t *testing.T) {
	appctl := debs.Bin(t, "ovs-appctl")
	dir := debs.OVSDBServer(t)
	theirs := filepath.Join(dir, "ctl")
	list := debs.Run(t, dir, appctl, "-t", theirs, "vlog/list").Stdout
	var modules []string
	for _, line := range strings.Split(list, "\n")[2:] {
		if f := strings.Fields(line); len(f) > 0 {
			modules = append(modules, f[0])
		}
	}
	sys := vlog.New("ovsdb-server")
	sys.SetConsole(nil)
	sys.Declare(modules...)
	if err := sys.SetSyslogMethod("null"); err != nil {
		t.Fatal(err)
	}
	ours := filepath.Join(dir, "ours")
	ctl, err := unixctl.Listen(ours, vlog.Discard())
	if err != nil {
		t.Fatal(err)
	}
	sys.Register(ctl)
	go ctl.Serve()
	t.Cleanup(func() { ctl.Close() })
	if err := sys.OpenFile(filepath.Join(dir, "ours.log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sys.Close)
	for _, line := range []string{
		"vlog/list", "vlog/list-pattern", "vlog/set foo", "vlog/set info bar", "vlog/list",
		"vlog/set file:warn syslog:err jsonrpc:console:dbg", "vlog/list", "vlog/set", "vlog/list", "vlog/set off", "vlog/list",
		"vlog/set stream-unix:console:info", "vlog/set STREAM_SSL:err", "vlog/list",
		"vlog/set PATTERN", "vlog/set PATTERN:", "vlog/set PATTERN:foo", "vlog/set PATTERN:foo:bar", "vlog/set PATTERN:file",
		"vlog/set PATTERN:console:%m", "vlog/set pattern:ANY:%p%m", "vlog/list-pattern", "vlog/set PATTERN:file:a:b,c", "vlog/list-pattern",
		"vlog/set FACILITY", "vlog/set FACILITY:xx", "vlog/set FACILITY:local3", "vlog/set facility:DAEMON",
		"vlog/set file:console:dbg", "vlog/set any:any:dbg", "vlog/set any:file:any:dbg:off",
		"vlog/disable-rate-limit", "vlog/list", "vlog/enable-rate-limit any", "vlog/disable-rate-limit jsonrpc vlog", "vlog/list",
		"vlog/enable-rate-limit nope", "vlog/close", "vlog/close", "vlog/reopen", "vlog/close x", "vlog/list x",
	} {
		args := strings.Fields(line)
		want := debs.Run(t, dir, appctl, append([]string{"-t", theirs}, args...)...)
		got := debs.Run(t, dir, appctl, append([]string{"-t", ours}, args...)...)
		got.Stderr = strings.ReplaceAll(got.Stderr, ours, theirs)
		if got != want {
			t.Errorf("%s: got %d %q, want %d %q; stdout differs in\n%s", line, got.Code, got.Stderr, want.Code, want.Stderr,
				diff(got.Stdout, want.Stdout))
		}
	}
}

// diff shows the lines of two texts that are not equal.
func diff(got, want string) string {
	var b strings.Builder
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var x, y string
		if i < len(g) {
			x = g[i]
		}
		if i < len(w) {
			y = w[i]
		}
		if x != y {
			b.WriteString("got  " + x + "\nwant " + y + "\n")
		}
	}
	return b.String()
}
