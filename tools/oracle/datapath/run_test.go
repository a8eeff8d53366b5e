package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"govs/tools/peer"
)

// TestSwitch runs a few configurations on our ovs-vswitchd and on Debian's. A
// failure prints what led to it, and the seed.
func TestSwitch(t *testing.T) {
	if testing.Short() {
		t.Skip("starts programs")
	}
	theirs, err := peer.Debian("ovs-vswitchd")
	if err != nil {
		t.Skip("Debian's ovs-vswitchd is not at hand: ", err)
	}
	ours := filepath.Join(t.TempDir(), "ovs-vswitchd")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", ours, "./vswitchd/ovs-vswitchd")
	build.Dir = "../../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	rep, err := run(options{cases: 5, limit: 15 * time.Second, seed: 1, ours: ours, theirs: theirs, say: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(rep)
	if rep.found != "" {
		t.Error("there is a difference that is not meant")
	}
	if rep.flows == 0 || rep.traces == 0 {
		t.Error("nothing was compared: the generator is broken")
	}
}
