// Package clients_test drives the server with clients of other projects: the C
// programs, the Python IDL and ovsdbapp, OVN and libovsdb. Where a client's
// output says what the server did, it is compared with what the same client
// prints at Debian's C server.
package clients_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/ovsdb/server/command"
	"govs/ovsdb/storage/file"
)

const asServer = "GOVS_TEST_OVSDB_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(daemon.Main(command.New()))
	}
	os.Exit(m.Run())
}

// limit is how long a client may take. It only ends tests that hang.
const limit = 2 * time.Minute

// running is a running ovsdb-server, ours or C's.
type running struct {
	dir     string
	program string
	files   []string
	cmd     *exec.Cmd
}

// both runs a test on each server, and returns what it gave for each.
func both[T any](t *testing.T, test func(t *testing.T, c bool) T) (ours, theirs T) {
	t.Run("govs", func(t *testing.T) { ours = test(t, false) })
	t.Run("C", func(t *testing.T) { theirs = test(t, true) })
	return ours, theirs
}

// serve starts a server, C's or ours, with a new database for each schema. It
// listens at db.sock in its directory.
func serve(t *testing.T, c bool, schemas ...[]byte) *running {
	t.Helper()
	s := &running{dir: debs.ShortTemp(t), program: os.Args[0]}
	if c {
		s.program = debs.Bin(t, "ovsdb-server")
	}
	for i, schema := range schemas {
		db := filepath.Join(s.dir, string(rune('a'+i))+".db")
		s.files = append(s.files, db)
		if !c {
			if err := file.Create(db, schema); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text := db + ".ovsschema"
		if err := os.WriteFile(text, schema, 0o600); err != nil {
			t.Fatal(err)
		}
		if r := debs.Run(t, s.dir, debs.Bin(t, "ovsdb-tool"), "create", db, text); r.Code != 0 {
			t.Fatal(r.Stderr)
		}
	}
	t.Cleanup(s.kill)
	s.start(t)
	return s
}

func (s *running) sock() string   { return filepath.Join(s.dir, "db.sock") }
func (s *running) target() string { return "unix:" + s.sock() }

// said is what the server has logged since it was started.
func (s *running) said() string {
	text, _ := os.ReadFile(s.logged())
	return string(text)
}

func (s *running) logged() string { return filepath.Join(s.dir, "server.log") }

// start starts the server, again after kill.
func (s *running) start(t *testing.T) {
	t.Helper()
	args := append([]string{"--remote=punix:" + s.sock(), "--unixctl=" + s.dir + "/ctl", "-vsyslog:off"}, s.files...)
	s.cmd = exec.Command(s.program, args...)
	s.cmd.Dir = s.dir
	s.cmd.Env = append(debs.Env(s.dir), asServer+"=1")
	log, err := os.Create(s.logged())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s.cmd.Stderr = log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	debs.Await(t, "the server's socket", func() bool {
		conn, err := net.Dial("unix", s.sock())
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// kill ends the server as a crash does.
func (s *running) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// run runs a program in the server's directory, which must succeed.
func (s *running) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	r := debs.Run(t, s.dir, debs.Bin(t, name), args...)
	if r.Code != 0 {
		t.Fatalf("%s %s: exit code %d\n%s%s\nserver: %s", name, strings.Join(args, " "), r.Code, r.Stdout, r.Stderr, s.said())
	}
	return r.Stdout
}

// sameLines compares two texts and shows the lines in which they differ.
func sameLines(t *testing.T, what, ours, theirs string) {
	t.Helper()
	if ours == theirs {
		return
	}
	count := map[string]int{}
	for l := range strings.Lines(ours) {
		count[l]++
	}
	for l := range strings.Lines(theirs) {
		count[l]--
	}
	var b strings.Builder
	for _, text := range []string{ours, theirs} {
		for l := range strings.Lines(text) {
			switch n := count[l]; {
			case n > 0:
				b.WriteString("ours: " + l)
			case n < 0:
				b.WriteString("C:    " + l)
			}
			delete(count, l)
		}
	}
	if b.Len() == 0 { // the order is all
		o, c := slices.Collect(strings.Lines(ours)), slices.Collect(strings.Lines(theirs))
		i := 0
		for o[i] == c[i] {
			i++
		}
		b.WriteString(strings.Join(o[max(0, i-2):i], "") + "ours: " + o[i] + "C:    " + c[i])
	}
	out := b.String()
	t.Errorf("%s differs:\n%s", what, out[:min(len(out), 8000)])
}
