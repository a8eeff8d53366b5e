package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain lets the test's binary be the first process of a side.
func TestMain(m *testing.M) {
	if os.Getenv(sideRole) != "" {
		serveSide()
		return
	}
	os.Exit(m.Run())
}

// What brctl prints on govs is what it prints on a bridge of the kernel's.
func TestOracle(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: it makes network namespaces")
	}
	if testing.Short() {
		t.Skip("takes long, for it builds our programs")
	}
	// The programs find the schema from the repository's top.
	t.Chdir("../..")
	bin := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-o", bin+"/", "./ovsdb/ovsdb-server", "./ctl/ovsdb-tool",
		"./ctl/ovs-vsctl", "./vswitchd/ovs-vswitchd", "./brcompat/ovs-brcompatd", "./brcompat/brcompat")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	modes := []string{"none", "hide"}
	if _, err := os.Stat("/dev/fuse"); err == nil {
		modes = append(modes, "fuse")
	}
	var out strings.Builder
	if err := oracle(options{bin: bin, modes: modes, random: 30, seed: 1}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestRules(t *testing.T) {
	for _, text := range []string{"a | b", "all | ( | a | b | c"} {
		if _, err := readRules(text); err == nil {
			t.Errorf("%q is a rule", text)
		}
	}
	rules, err := readRules("# no rule\n\nnone,hide | show.* | a+ | b\\|c | why\nall | x | (sorted) | (sorted) | why\n")
	if err != nil || len(rules) != 2 {
		t.Fatal(rules, err)
	}
	r := rules[0]
	for _, tt := range []struct {
		mode, line, kernel, govs string
		want                     bool
	}{
		{"none", "show k0", "aaa", "c", true},
		{"fuse", "show k0", "aaa", "c", false},
		{"none", "addbr", "aaa", "c", false},
		{"none", "show", "aaab", "c", false},
		{"none", "show", "a", "d", false},
	} {
		if r.matches(tt.mode, tt.line, tt.kernel, tt.govs) != tt.want {
			t.Errorf("%+v", tt)
		}
	}
}

func TestInOrder(t *testing.T) {
	const show = "bridge name\tbridge id\nb\t\t8000.00\tno\t\tz\n\t\t\t\t\t\t\ta\nc\t\t8000.00\tno\t\t"
	const want = "bridge name\tbridge id\nb\t\t8000.00\tno\t\ta\n\t\t\t\t\t\t\tz\nc\t\t8000.00\tno\t\t"
	if got := inOrder(show); got != want {
		t.Errorf("%q", got)
	}
	if got := inOrder("k0\n flags\t\t\t\n\n\nz (1)\n x\n\na (2)\n y\n"); got != "k0\n flags\t\t\t\n\na (2)\n y\n\nz (1)\n x" {
		t.Errorf("%q", got)
	}
}
