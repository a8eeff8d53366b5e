package vlog

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// fixed is a System with a console in memory and a clock that stands.
func fixed(t *testing.T) (*System, *bytes.Buffer) {
	t.Helper()
	s := New("ovsdb-server")
	s.now = func() time.Time { return noon }
	s.start = noon.Add(-1500 * time.Millisecond)
	s.host, s.pid = "host1", 4321
	var b bytes.Buffer
	s.SetConsole(&b)
	t.Cleanup(s.Close)
	return s, &b
}

// say logs with the System's time.
func say(l *slog.Logger, level slog.Level, text string, attrs ...slog.Attr) {
	if l.Enabled(context.Background(), level) {
		r := slog.NewRecord(noon, level, text, 0)
		r.AddAttrs(attrs...)
		_ = l.Handler().Handle(context.Background(), r)
	}
}

func TestFileLine(t *testing.T) {
	s, _ := fixed(t)
	path := filepath.Join(t.TempDir(), "x.log")
	if err := s.OpenFile(path); err != nil {
		t.Fatal(err)
	}
	l := s.Logger("bridge").With("br", "br0")
	say(l, LevelInfo, "text", slog.Int("port", 3), slog.String("why", "a b"), slog.Group("g", slog.Bool("x", true)))
	say(l.WithGroup("q"), LevelEmer, "over", slog.String("k", ""))
	say(l, LevelDbg, "unseen")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(b), "\n")
	if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|00001\|vlog\|INFO\|opened log file ` + path + `$`).MatchString(lines[0]) {
		t.Errorf("first line %q", lines[0])
	}
	want := []string{
		`2026-01-02T03:04:05.678Z|00002|bridge|INFO|text br=br0 port=3 why="a b" g.x=true`,
		`2026-01-02T03:04:05.678Z|00003|bridge|EMER|over br=br0 q.k=""`, "",
	}
	if got := strings.Join(lines[1:], "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestReopenAfterRotation(t *testing.T) {
	s, _ := fixed(t)
	if err := s.Reopen(); err == nil || err.Error() != "Logging to file not configured" {
		t.Errorf("reopen without a file: %v", err)
	}
	path := filepath.Join(t.TempDir(), "x.log")
	if err := s.OpenFile(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	say(s.Logger("a"), LevelInfo, "old")
	if err := s.Reopen(); err != nil {
		t.Fatal(err)
	}
	say(s.Logger("a"), LevelInfo, "new")
	s.CloseFile()
	say(s.Logger("a"), LevelInfo, "nowhere")
	old, _ := os.ReadFile(path + ".1")
	fresh, _ := os.ReadFile(path)
	if !bytes.Contains(old, []byte("|a|INFO|old\n")) || !bytes.Contains(fresh, []byte("|a|INFO|new\n")) || bytes.Contains(fresh, []byte("nowhere")) {
		t.Errorf("old %q\nnew %q", old, fresh)
	}
	if err := s.OpenFile("/nonexistent/x.log"); err == nil || !strings.HasPrefix(err.Error(), "failed to open /nonexistent/x.log for logging: ") {
		t.Errorf("open error: %v", err)
	}
}

func TestPatterns(t *testing.T) {
	s, b := fixed(t)
	local := noon.Local().Format("2006-01-02 15:04:05")
	for _, c := range []struct{ pattern, want string }{
		{"%A|%B|%c|%E|%m|%N|%p|%P|%r|%t|%T|%%", "ovsdb-server|3|mod|host1|hi|N|ERR|4321|1500|main||%"},
		{"%D", "2026-01-02 03:04:05"},
		{"%d", local},
		{"%D{%H:%M:%S.###}", "03:04:05.678"},
		{"%D{%h %e %T %j %u %y %%x}", "Jan  2 03:04:05 002 5 26 %x"},
		{"[%-8c][%8c][%08c][%2c]", "[mod     ][     mod][00000mod][mod]"},
		{"%Q%m%", "%Qhi"},
		{"a%nb", "a\nb"},
	} {
		b.Reset()
		if err := s.SetLevels("PATTERN:console:" + c.pattern); err != nil {
			t.Fatal(err)
		}
		s.seq.Store(0)
		say(s.Logger("mod"), LevelErr, "hi")
		got := strings.TrimSuffix(b.String(), "\n")
		if want := strings.Replace(c.want, "|N|", "|1|", 1); got != want {
			t.Errorf("%s: got %q want %q", c.pattern, got, want)
		}
	}
	s.SetSubprogram("monitor")
	s.SetPattern(Console, "%t%T")
	b.Reset()
	say(s.Logger("mod"), LevelErr, "")
	if b.String() != "monitor(monitor)\n" {
		t.Errorf("subprogram printed as %q", b)
	}
}

func TestSetLevelsErrors(t *testing.T) {
	s, _ := fixed(t)
	for spec, want := range map[string]string{
		"foo":                   `no destination, level, or module "foo"`,
		"file:console:dbg":      "cannot specify multiple destinations",
		"jsonrpc:file:dbg:info": "cannot specify multiple levels",
		"jsonrpc:timeval:off":   "cannot specify multiple modules",
		"PATTERN":               "missing destination",
		"PATTERN:foo:bar":       `unknown destination "foo"`,
		"FACILITY":              "invalid facility",
		"FACILITY:xx":           "invalid facility",
	} {
		if err := s.SetLevels(spec); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", spec, err, want)
		}
	}
	for _, good := range []string{"", "ANY:console:EMER", "any any warn", "jsonrpc,file,dbg", "FACILITY:local0", "off", "console", "Socket_Util:err"} {
		if err := s.SetLevels(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestLevelsPerModuleAndDestination(t *testing.T) {
	s, b := fixed(t)
	s.SetPattern(Console, "%c|%p|%m")
	for _, spec := range []string{"console:off", "bridge:console:dbg"} {
		if err := s.SetLevels(spec); err != nil {
			t.Fatal(err)
		}
	}
	say(s.Logger("bridge"), LevelDbg, "seen")
	say(s.Logger("other"), LevelEmer, "unseen")
	if b.String() != "bridge|DBG|seen\n" {
		t.Errorf("console: %q", b)
	}
	if s.Logger("newer").Enabled(context.Background(), LevelDbg) {
		t.Error("a new module does not take the defaults")
	}
}

func TestSyslog(t *testing.T) {
	dir := t.TempDir()
	addr := &net.UnixAddr{Name: filepath.Join(dir, "log"), Net: "unixgram"}
	l, err := net.ListenUnixgram("unixgram", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	s, _ := fixed(t)
	if err := s.SetSyslogMethod("unix:" + addr.Name); err != nil {
		t.Fatal(err)
	}
	if err := s.SetSyslogTarget(udp.LocalAddr().String()); err != nil {
		t.Fatal(err)
	}
	say(s.Logger("mod"), LevelWarn, "hello")
	read := func(c net.Conn) string {
		buf := make([]byte, 1000)
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		return string(buf[:n])
	}
	if got, want := read(l), "<28> Jan  2 03:04:05 host1 ovsdb-server: ovs|00001|mod|WARN|hello"; got != want {
		t.Errorf("unix: %q want %q", got, want)
	}
	if got, want := read(udp), "<132> Jan  2 03:04:05 host1 ovsdb-server: ovs|00001|mod|WARN|hello"; got != want {
		t.Errorf("udp: %q want %q", got, want)
	}
	for _, bad := range []string{"carrier-pigeon", "udp:host:5", "udp:1.2.3.4"} {
		if s.SetSyslogMethod(bad) == nil {
			t.Errorf("method %s accepted", bad)
		}
	}
	if err := s.SetSyslogMethod("unix:/nonexistent/socket"); err != nil {
		t.Error(err)
	}
	say(s.Logger("mod"), LevelWarn, "lost, and nobody waits")
}

func TestLimit(t *testing.T) {
	s, b := fixed(t)
	s.SetPattern(Console, "%p|%m")
	now := noon
	s.now = func() time.Time { return now }
	l := Limit(s.Logger("mod"), 60, 2).With("a", 1)
	for i := range 5 {
		say(l, LevelWarn, fmt.Sprint(i))
		now = now.Add(100 * time.Millisecond)
	}
	now = now.Add(3 * time.Second)
	say(l, LevelErr, "again")
	want := "WARN|0 a=1\nWARN|1 a=1\nERR|Dropped 3 log messages in last 3 seconds (most recently, 3 seconds ago) due to excessive rate\nERR|again a=1\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b, want)
	}
	b.Reset()
	if _, err := s.cmdRate(true)(context.Background(), []string{"mod"}); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		say(l, LevelWarn, "x")
	}
	if n := strings.Count(b.String(), "\n"); n != 10 {
		t.Errorf("%d messages under vlog/disable-rate-limit", n)
	}
}

func TestDiscard(t *testing.T) { Discard().Error("unheard") }

func FuzzSetLevels(f *testing.F) {
	for _, seed := range []string{"", "ANY:console:EMER", "PATTERN:file:%-05D{%H.###}%m", "FACILITY:daemon", "jsonrpc:dbg", "PATTERN:console:%999999999999c", "PATTERN:console:%D{", "::,, "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		s := New("fuzz")
		var b bytes.Buffer
		s.SetConsole(&b)
		if err := s.SetLevels(spec); err != nil && err.Error() == "" {
			t.Error("empty error text")
		}
		s.Logger("mod").Error("text")
		if b.Len() > len(spec)*(maxWidth+100)+1000 {
			t.Errorf("%d bytes for one message", b.Len())
		}
	})
}

func BenchmarkDisabled(b *testing.B) {
	l := New("bench").Logger("mod")
	b.ReportAllocs()
	for b.Loop() {
		l.Debug("nothing")
	}
}
