package clients_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/debs"
	"govs/schema/vswitch"
)

// python is Debian's own: the modules are made for it.
const python = "/usr/bin/python3"

// script runs a script of testdata with the server's socket and the schema as
// arguments, and returns what it printed. A line "ask restart" has the server
// killed and started again.
func (s *running) script(t *testing.T, name string) string {
	t.Helper()
	if _, err := os.Stat(python); err != nil {
		t.Skipf("Debian's python3 is not at hand: %v", err)
	}
	schema := filepath.Join(s.dir, "schema")
	if err := os.WriteFile(schema, vswitch.JSON(), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, filepath.Join("testdata", name), s.target(), schema)
	cmd.Env = append(debs.Env(s.dir), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+filepath.Join(debs.Root(t), "usr/lib/python3/dist-packages"))
	var errs strings.Builder
	cmd.Stderr = &errs
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	guard := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	defer guard.Stop()
	var out strings.Builder
	for sc := bufio.NewScanner(stdout); sc.Scan(); {
		line := sc.Text()
		if what, ok := strings.CutPrefix(line, "ask "); ok {
			s.kill()
			s.start(t)
			fmt.Fprintln(in, what)
			continue
		}
		fmt.Fprintln(&out, line)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%s: %v\n%s%s\nserver: %s", name, err, out.String(), errs.String(), s.said())
	}
	return out.String()
}

// compared drops the lines that only one of the servers is to print.
func compared(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// TestPythonIDL runs scenes of Open vSwitch's Python IDL: conditions and their
// changes, transactions that are tried again, locks, a restart.
func TestPythonIDL(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, func(t *testing.T, c bool) string { return serve(t, c, vswitch.JSON()).script(t, "idl.py") })
	sameLines(t, "the IDL's view", compared(ours), compared(theirs))
	// Our server resumes: what clients had is not sent again.
	if !strings.Contains(ours, "# created anew: 0\n") {
		t.Errorf("after a restart rows were sent again:\n%s", ours)
	}
}

// TestOVSDBApp runs commands of ovsdbapp, which Neutron and os-vif use.
func TestOVSDBApp(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, func(t *testing.T, c bool) string {
		s := serve(t, c, vswitch.JSON())
		s.run(t, "ovs-vsctl", "--db="+s.target(), "--no-wait", "init")
		return s.script(t, "app.py")
	})
	sameLines(t, "ovsdbapp's output", ours, theirs)
}
