package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"govs/tools/peer"
)

// build makes our server and its tool, as a user would run them.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", dir, "./ovsdb/ovsdb-server", "./ctl/ovsdb-tool")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return filepath.Join(dir, "ovsdb-server")
}

// TestServer runs some thousands of random messages on our ovsdb-server and
// on Debian's. A failure prints the input, and the seed that leads to it.
func TestServer(t *testing.T) {
	theirs, err := peer.Debian("ovsdb-server")
	if err != nil {
		t.Fatal(err)
	}
	ours := build(t)
	// The last two once found a difference.
	for _, seed := range []uint64{1, 2, 15500143784240810, 48350439661491392} {
		rep, err := run(options{cases: 1500, limit: 3 * time.Second, seed: seed, ours: ours, theirs: theirs, say: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(rep)
		if rep.bad() {
			t.Error("there are differences that are not meant")
		}
		if rep.failed == rep.cases {
			t.Error("no transaction succeeded: the generator is broken")
		}
	}
}

// TestItself compares Debian's server with itself: a difference is a mistake
// of the oracle.
func TestItself(t *testing.T) {
	theirs, err := peer.Debian("ovsdb-server")
	if err != nil {
		t.Fatal(err)
	}
	rep, err := run(options{cases: 400, limit: 2 * time.Second, seed: 3, ours: theirs, theirs: theirs, say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if rep.bad() {
		t.Errorf("the judge differs from itself:\n%s", rep)
	}
}
