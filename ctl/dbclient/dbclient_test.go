package dbclient

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/ctl/dbtool"
	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/internal/unixctl"
	"govs/ovsdb/server/command"
)

var rewrite = flag.Bool("rewrite", false, "write the transcripts anew")

// role makes the test's own executable one of the programs: those that go to the
// background start themselves again.
const role = "GOVS_DBCLIENT_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "client":
		os.Exit(daemon.Main(New()))
	case "server":
		os.Exit(daemon.Main(command.New()))
	case "tool":
		os.Exit(daemon.Main(dbtool.New()))
	}
	os.Exit(m.Run())
}

// environ is the environment of a program in a role. The race detector need not
// wait at its end.
func environ(dir, as string) []string {
	return append(debs.Env(dir), role+"="+as, "GORACE=atexit_sleep_ms=0")
}

// run runs a program in a directory; as is "" for Debian's, whose path is argv[0].
func run(t *testing.T, dir, as string, stdin []byte, argv ...string) debs.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	path := argv[0]
	if as != "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		path = self
	}
	cmd := exec.CommandContext(ctx, path, argv[1:]...)
	cmd.Dir, cmd.Env = dir, environ(dir, as)
	cmd.Stdin = bytes.NewReader(stdin)
	// Files, not pipes: a process in the background keeps them open.
	var files [2]*os.File
	for i := range files {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	cmd.Stdout, cmd.Stderr = files[0], files[1]
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%q hangs", argv)
	}
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	code := cmd.ProcessState.ExitCode()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		code = 128 + int(ws.Signal())
	}
	var out [2]string
	for i, f := range files {
		text, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(text)
	}
	return debs.Result{Stdout: out[0], Stderr: out[1], Code: code}
}

// serve starts our server on the database Test in a directory.
func serve(t *testing.T, dir string) {
	t.Helper()
	text, err := os.ReadFile("testdata/test.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "test.ovsschema"), text, 0o644); err != nil {
		t.Fatal(err)
	}
	ok := func(r debs.Result) {
		t.Helper()
		if r.Code != 0 {
			t.Fatal(r)
		}
	}
	ok(run(t, dir, "tool", nil, "ovsdb-tool", "create", dir+"/test.db", "test.ovsschema"))
	ok(run(t, dir, "server", nil, "ovsdb-server", "--detach", "--no-chdir", "--pidfile", "--unixctl=ctl", "--remote=punix:"+dir+"/db.sock", dir+"/test.db"))
	t.Cleanup(func() { finish(t, dir+"/ovsdb-server.pid", dir+"/ctl") })
}

// finish ends a daemon through its control socket and waits until it is gone.
func finish(t *testing.T, pidfile, ctl string) {
	t.Helper()
	if _, err := unixctl.Call(context.Background(), ctl, "exit", nil); err != nil {
		t.Error(err)
		return
	}
	debs.Await(t, pidfile+" to go", func() bool {
		_, err := os.Stat(pidfile)
		return os.IsNotExist(err)
	})
}

var (
	uuidRE  = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	timeRE  = regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`)
	dateRE  = regexp.MustCompile(`"_date":\d+`)
	countRE = regexp.MustCompile(`OVSDB JSON \d+ [0-9a-f]{40}`)
)

// background is a monitor of a transcript.
type background struct{ out, pidfile string }

func (b *background) ctl(t *testing.T, dir string) string {
	pid, err := os.ReadFile(b.pidfile)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, fmt.Sprintf("ovsdb-client.%s.ctl", strings.TrimSpace(string(pid))))
}

// TestTranscripts runs the commands of testdata/*.txt: "> ARGS" runs the client,
// its arguments split at blanks outside of '..'; "& NAME ARGS" starts it in the
// background; "@ NAME VERB.." sends a verb to one in the background, and
// "= NAME TEXT" waits until its output has TEXT, ends it and shows all its output.
// What follows is the output, standard error behind it, and the exit status where
// it is not 0. UUIDs are numbered in the order in which they are seen.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := debs.ShortTemp(t)
			serve(t, dir)
			got := play(t, dir, string(text))
			if *rewrite {
				if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func play(t *testing.T, dir, text string) string {
	var got strings.Builder
	ids := map[string]string{}
	tidy := func(s string) string {
		s = strings.ReplaceAll(s, dir, "DIR")
		s = timeRE.ReplaceAllString(s, "TIME")
		s = dateRE.ReplaceAllString(s, `"_date":DATE`)
		s = countRE.ReplaceAllString(s, "OVSDB JSON SIZE SUM")
		return uuidRE.ReplaceAllStringFunc(s, func(id string) string {
			if strings.Trim(id, "0-") == "" {
				return id
			}
			if ids[id] == "" { // of the same width, so that tables keep their shape
				ids[id] = fmt.Sprintf("%08x-....-....-....-............", len(ids)+1)
			}
			return ids[id]
		})
	}
	show := func(r debs.Result) {
		got.WriteString(tidy(r.Stdout + r.Stderr))
		if r.Code != 0 {
			fmt.Fprintf(&got, "exit %d\n", r.Code)
		}
	}
	running := map[string]*background{}
	for line := range strings.Lines(text) {
		if len(line) < 2 || !strings.ContainsRune(">&@=#", rune(line[0])) {
			continue
		}
		args := split(line[1:])
		if line[0] == '>' || line[0] == '&' || line[0] == '#' {
			got.WriteString(line)
		}
		switch line[0] {
		case '>':
			var stdin []byte
			if n := len(args); n > 2 && args[n-2] == "<" {
				var err error
				if stdin, err = os.ReadFile(filepath.Join(dir, args[n-1])); err != nil {
					t.Fatal(err)
				}
				args = args[:n-2]
			}
			out := ""
			if n := len(args); n > 2 && args[n-2] == ">" {
				out, args = args[n-1], args[:n-2]
			}
			r := run(t, dir, "client", stdin, append([]string{"ovsdb-client"}, args...)...)
			if out != "" {
				if err := os.WriteFile(filepath.Join(dir, out), []byte(r.Stdout), 0o600); err != nil {
					t.Fatal(err)
				}
				r.Stdout = ""
			}
			show(r)
		case '&':
			b := &background{filepath.Join(dir, args[0]+".out"), filepath.Join(dir, args[0]+".pid")}
			running[args[0]] = b
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			f, err := os.Create(b.out)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(self, append([]string{"--detach", "--pidfile=" + b.pidfile}, args[1:]...)...)
			cmd.Dir, cmd.Env, cmd.Stdout = dir, environ(dir, "client"), f
			err = cmd.Run()
			_ = f.Close()
			if err != nil {
				t.Fatal(line, err)
			}
		case '@':
			got.WriteString(line)
			res, err := unixctl.Call(context.Background(), running[args[0]].ctl(t, dir), args[1], args[2:])
			if err != nil {
				res = err.Error()
			}
			got.WriteString(strings.TrimSuffix(res, "\n") + "\n")
		case '=':
			got.WriteString(line)
			b := running[args[0]]
			var out []byte
			debs.Await(t, line, func() bool {
				var err error
				out, err = os.ReadFile(b.out)
				return err != nil || strings.Contains(string(out), strings.Join(args[1:], " "))
			})
			finish(t, b.pidfile, b.ctl(t, dir))
			out, err := os.ReadFile(b.out)
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(tidy(string(out)))
		}
	}
	return got.String()
}

func split(line string) []string {
	var args []string
	for i, part := range strings.Split(strings.TrimSpace(line), "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}
