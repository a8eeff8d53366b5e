package vswitch_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"govs/internal/json"
	"govs/schema"
	"govs/schema/vswitch"
)

// debs returns the folder of Debian's programs.
func debs(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("../../tools/debs/debs").Output()
	if err != nil {
		t.Skipf("no Debian programs: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// TestSameAsDebian compares the schema with the one that Debian installs: by our
// parser, and by what Debian's ovsdb-tool makes of the two.
func TestSameAsDebian(t *testing.T) {
	dir := debs(t)
	theirs := filepath.Join(dir, "root/usr/share/openvswitch/vswitch.ovsschema")
	text, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	a, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	b, err := schema.Parse(vswitch.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if x, y := a.AppendJSON(nil), b.AppendJSON(nil); !bytes.Equal(x, y) {
		t.Errorf("the schemas differ:\nDebian's %s\nours     %s", x, y)
	}

	tool := filepath.Join(dir, "bin/ovsdb-tool")
	run := func(args ...string) string {
		out, err := exec.Command(tool, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("ovsdb-tool %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, verb := range []string{"schema-name", "schema-version", "schema-cksum"} {
		if x, y := run(verb, theirs), run(verb, "vswitch.ovsschema"); x != y {
			t.Errorf("ovsdb-tool %s: Debian's %s, ours %s", verb, x, y)
		}
	}
	stored := func(name, file string) []byte {
		db := filepath.Join(t.TempDir(), name)
		run("create", db, file)
		text, err := os.ReadFile(db)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(text, []byte("\n"))
		v, err := json.Parse(body)
		if err != nil {
			t.Fatal(err)
		}
		return v.AppendSorted(nil)
	}
	if x, y := stored("a", theirs), stored("b", "vswitch.ovsschema"); !bytes.Equal(x, y) {
		t.Errorf("ovsdb-tool stores different schemas:\nDebian's %s\nours     %s", x, y)
	}
}

// TestGenerated runs the generator again and compares its output with the files
// here.
func TestGenerated(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("go", "tool", "modelgen", "-extended", "-p", "vswitch", "-o", dir, "vswitch.ovsschema")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("modelgen: %v: %s", err, out)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal("nothing was generated", err)
	}
	for _, f := range files {
		want, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		if got, err := os.ReadFile(f.Name()); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not up to date: run go generate ./schema/vswitch", f.Name())
		}
	}
}

func TestModel(t *testing.T) {
	m, err := vswitch.FullDatabaseModel()
	if err != nil {
		t.Fatal(err)
	}
	if name := m.Name(); name != vswitch.Name {
		t.Errorf("the model is of database %s", name)
	}
}
