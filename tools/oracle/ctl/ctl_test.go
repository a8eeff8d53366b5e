package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"govs/internal/debs"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

var built string // by programs

// programs builds our programs, once, and returns their folder.
func programs(t *testing.T) string {
	t.Helper()
	if built != "" {
		return built
	}
	dir, err := os.MkdirTemp("", "gv")
	if err != nil {
		t.Fatal(err)
	}
	built = dir
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "./ovsdb/ovsdb-server", "./vswitchd/ovs-vswitchd",
		"./ctl/ovs-vsctl", "./ctl/ovsdb-tool", "./ctl/ovsdb-client", "./ctl/ovs-appctl")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// TestCommands runs the corpus but for what its scripts leave to make
// oracle-ctl, and some random command lines.
func TestCommands(t *testing.T) {
	theirs := filepath.Dir(debs.Bin(t, "ovs-vsctl"))
	rep, err := start(options{ours: programs(t), theirs: theirs, seed: 1, lines: 60, quick: true, say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if rep.differences > 0 {
		t.Errorf("%d differences are not meant", rep.differences)
	}
	if rep.commands < 300 || rep.same < rep.commands/4 {
		t.Errorf("only %d command lines, %d of them with both programs on the same database", rep.commands, rep.same)
	}
}

func TestTidy(t *testing.T) {
	w := &world{dir: "/tmp/x"}
	for in, want := range map[string]string{
		"a 01234567-89ab-cdef-0123-456789abcdef /tmp/x/db.sock":        "a " + anUUID + " DIR/db.sock",
		"2026-01-02T03:04:05Z|00001|vsctl|WARN|x":                      "TIME|vsctl|WARN|x",
		`<a href="#01234567-89ab-cdef-0123-456789abcdef">01234567</a>`: `<a href="#` + anUUID + `">????????</a>`,
		"[01234567- 8":                   "[????????- 8",
		"ovs-vsctl (Open vSwitch) 3.1.0": "ovs-vsctl (Open vSwitch) VERSION",
		"ovsdb-server.123.ctl":           "ovsdb-server.PID.ctl",
	} {
		if got := w.tidyText(in); got != want {
			t.Errorf("%q became %q", in, got)
		}
	}
	if !sameBag("b a\nc", "c\na b") || sameBag("a", "b") {
		t.Error("sameBag")
	}
}

func TestMeant(t *testing.T) {
	list, err := parseMeant("# no\na | b | c\n$ ^x y | stdout order | why\n")
	if err != nil || len(list) != 1 || !list[0].is("x y z", "order") || list[0].is("x y z", "exit") || list[0].is("z", "order") {
		t.Error(list, err)
	}
	for _, bad := range []string{"$ x | y", "$ ( | stdout | why"} {
		if _, err := parseMeant(bad); err == nil {
			t.Error(bad)
		}
	}
}
