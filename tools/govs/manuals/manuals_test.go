package manuals_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"govs/tools/govs/manuals"
)

// TestMain lets the test's binary be govs, as far as completion goes.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "govs" {
		os.Exit(manuals.Main(os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// run runs govs and gives what it prints.
func run(args ...string) (string, int) {
	var out bytes.Buffer
	code := manuals.Main(args, &out, &out)
	return out.String(), code
}

// TestShells has each shell complete a command line.
func TestShells(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"govs", "ovs-vsctl", "ovsdb-tool"} { // fish looks whether there is a program
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for shell, ask := range map[string]string{
		"bash": `. ./bash.sh; COMP_LINE="$1"; COMP_POINT=${#1}; _govs_complete 2>/dev/null; printf '%s\n' "${COMPREPLY[@]}"`,
		"zsh": `compdef() { }; _describe() { print -l -- ${found%%:*} }; _files() { }; . ./zsh.sh
			words=(${(s: :)1}); [[ $1 == *' ' ]] && words+=(""); CURRENT=${#words}; _govs`,
		"fish": `source ./fish.sh; complete -C "$argv[1]" | cut -f1`,
	} {
		script, code := run("completion", shell)
		if code != 0 {
			t.Fatal(script)
		}
		if err := os.WriteFile(filepath.Join(dir, shell+".sh"), []byte(script), 0o600); err != nil {
			t.Fatal(err)
		}
		for line, want := range map[string]string{
			"ovs-vsctl add-b":             "add-bond add-bond-iface add-br",
			"ovs-vsctl --no-wait br-to-":  "br-to-parent br-to-vlan",
			"ovs-vsctl set-fail-mode x s": "secure standalone",
			"ovs-vsctl set Mi":            "Mirror",
			"ovsdb-tool schema-":          "schema-cksum schema-name schema-version",
		} {
			args := []string{"-c", ask, shell, line}
			if shell == "fish" {
				args = []string{"-N", "-c", ask, line}
			}
			cmd := exec.Command(shell, args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir, "OVS_RUNDIR="+dir)
			out, err := cmd.CombinedOutput()
			if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
				t.Errorf("%s: %q: %s, %v; want %s", shell, line, got, err, want)
			}
		}
	}
}

func TestPages(t *testing.T) {
	list, _ := run("man")
	dir := t.TempDir()
	if out, code := run("man", "--into="+dir); code != 0 {
		t.Fatal(out)
	}
	for _, name := range strings.Fields(list) {
		page, code := run("man", name)
		if code != 0 || !strings.HasPrefix(page, ".TH "+strings.ToUpper(name)+" ") {
			t.Errorf("%s: %d, %s", name, code, page)
		}
		files, err := filepath.Glob(filepath.Join(dir, "man[18]", name+".[18].gz"))
		if err != nil || len(files) != 1 {
			t.Fatalf("%s: %v, %v", name, files, err)
		}
		f, err := os.Open(files[0])
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(z); err != nil || string(text) != page {
			t.Errorf("%s: the installed page is another, %v", name, err)
		}
		cmd := exec.Command("man", "--warnings", "-l", "-")
		cmd.Stdin = strings.NewReader(page)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Run(); err != nil || errs.Len() > 0 {
			t.Errorf("%s: man(1) says %v: %s", name, err, &errs)
		}
	}
	for _, bad := range [][]string{{"man", "nope"}, {"man", "a", "b"}, {"completion"}, {"completion", "csh"}, {"complete"}, {"complete", "nope", ""}, {"man", "--into=/proc/nope"}} {
		if out, code := run(bad...); code != 1 || !strings.HasPrefix(out, "govs "+bad[0]+": ") {
			t.Errorf("%q: %d, %s", bad, code, out)
		}
	}
}
