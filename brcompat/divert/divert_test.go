package divert

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A system is a folder with a dpkg database and a merged /usr.
type system struct {
	*Diverter
	t   *testing.T
	out strings.Builder
}

func newSystem(t *testing.T) *system {
	t.Helper()
	if _, err := exec.LookPath("dpkg-divert"); err != nil {
		t.Skip("needs dpkg-divert")
	}
	root := t.TempDir()
	for _, dir := range []string{"usr/sbin", "var/lib/dpkg"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("usr/sbin", filepath.Join(root, "sbin")); err != nil {
		t.Fatal(err)
	}
	s := &system{t: t}
	s.Diverter = &Diverter{Root: root, Program: "/usr/bin/brcompat", Out: &s.out}
	if _, err := s.run("--list"); err != nil {
		t.Skipf("this dpkg-divert does not work on another root: %v", err)
	}
	return s
}

func (s *system) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.Root, name), []byte(text), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// state is what is in /sbin, and the diversions.
func (s *system) state() string {
	s.t.Helper()
	files, err := os.ReadDir(filepath.Join(s.Root, "sbin"))
	if err != nil {
		s.t.Fatal(err)
	}
	var parts []string
	for _, f := range files {
		file := filepath.Join(s.Root, "sbin", f.Name())
		if to, err := os.Readlink(file); err == nil {
			parts = append(parts, f.Name()+"->"+to)
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		parts = append(parts, f.Name()+"="+string(b))
	}
	list, err := s.run("--list")
	if err != nil {
		s.t.Fatal(err)
	}
	lines := strings.Split(list, "\n")
	slices.Sort(lines)
	for _, l := range lines {
		if _, rest, ok := strings.Cut(l, "diversion of "); ok {
			parts = append(parts, "diverted:"+strings.Fields(rest)[0])
		}
	}
	return strings.Join(parts, " ")
}

func (s *system) is(what, want string) {
	s.t.Helper()
	if got := s.state(); got != want {
		s.t.Errorf("%s:\n got %s\nwant %s\n%s", what, got, want, s.out.String())
	}
}

func (s *system) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Error(err)
	}
}

const both = "diverted:/sbin/brctl diverted:/usr/sbin/brctl"

func TestDivert(t *testing.T) {
	s := newSystem(t)
	s.write("usr/sbin/brctl", "real")
	s.ok(s.Undivert()) // nothing to do
	s.is("before", "brctl=real")
	for _, what := range []string{"first", "second"} {
		s.ok(s.Divert(true))
		s.is(what, "brctl->/usr/bin/brcompat brctl.distrib=real "+both)
	}
	text, err := os.ReadFile(filepath.Join(s.Root, unit))
	if err != nil || !strings.Contains(string(text), "ExecStart=/usr/bin/brcompat exec --or-native --sysfs=fuse -- /sbin/ifup -a") {
		t.Errorf("%s: %v\n%s", unit, err, text)
	}
	// A new version of the package comes to where dpkg diverts it.
	s.write("usr/sbin/brctl.distrib", "newer")
	s.ok(s.Divert(false))
	s.is("after an upgrade", "brctl->/usr/bin/brcompat brctl.distrib=newer "+both)
	// A brcompat elsewhere takes over.
	s.Program = "/opt/bin/brcompat"
	s.ok(s.Divert(false))
	s.is("moved", "brctl->/opt/bin/brcompat brctl.distrib=newer "+both)
	for _, what := range []string{"undivert", "undivert again"} {
		s.ok(s.Undivert())
		s.is(what, "brctl=newer")
	}
	if _, err := os.Stat(filepath.Join(s.Root, filepath.Dir(unit))); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is left: %v", filepath.Dir(unit), err)
	}
}

// Without bridge-utils, its brctl is diverted when it comes.
func TestDivertNothing(t *testing.T) {
	s := newSystem(t)
	s.ok(s.Divert(false))
	s.is("divert", "brctl->/usr/bin/brcompat "+both)
	s.ok(s.Undivert())
	s.is("undivert", "")
}

// Another package's diversion is left alone.
func TestForeignDiversion(t *testing.T) {
	s := newSystem(t)
	s.write("usr/sbin/brctl", "real")
	if _, err := s.run("--package", "other", "--no-rename", "--divert", "/sbin/brctl.other", "--add", "/sbin/brctl"); err != nil {
		t.Fatal(err)
	}
	if err := s.Divert(false); err == nil || !strings.Contains(err.Error(), "clashes") {
		t.Errorf("divert: %v", err)
	}
	s.is("divert", "brctl=real diverted:/sbin/brctl")
	s.ok(s.Undivert())
	s.is("undivert", "brctl=real diverted:/sbin/brctl")
}

func TestNoDpkg(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	d := &Diverter{Root: newRoot(t), Program: "/usr/bin/brcompat", Out: &strings.Builder{}}
	if err := d.Divert(false); !errors.Is(err, ErrUnsupported) {
		t.Error(err)
	}
}

func newRoot(t *testing.T) string {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "usr/sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}
