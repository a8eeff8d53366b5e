package up_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/unixctl"
	"govs/tools/govs/up"
)

// A buffer tells when it was first written to.
type buffer struct {
	bytes.Buffer
	written chan struct{}
}

func (b *buffer) Write(p []byte) (int, error) {
	n, err := b.Buffer.Write(p)
	if strings.Contains(b.String(), "Ctrl-C") {
		close(b.written)
	}
	return n, err
}

// TestUp runs "govs up" twice: with nothing there, and with what the first
// run has left.
func TestUp(t *testing.T) {
	dir, err := os.MkdirTemp("", "govs")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("OVS_RUNDIR", filepath.Join(dir, "run"))
	t.Setenv("OVS_LOGDIR", filepath.Join(dir, "log"))
	t.Setenv("OVS_DBDIR", filepath.Join(dir, "etc"))
	for _, what := range []string{"made", "opened"} {
		c := up.Config{Dummy: "override"}
		c.Log.Verbose = []string{"console:off"}
		ctx, cancel := context.WithCancel(context.Background())
		out := &buffer{written: make(chan struct{})}
		done := make(chan error)
		go func() { done <- up.Run(ctx, c, out) }()
		select {
		case <-out.written:
		case err := <-done:
			t.Fatal("ended at once: ", err)
		case <-time.After(20 * time.Second):
			t.Fatal("not up after 20 s")
		}
		ctl, _ := filepath.Glob(filepath.Join(dir, "run", "ovs-vswitchd.*.ctl"))
		if len(ctl) != 1 {
			t.Fatal("control sockets of the switch: ", ctl)
		}
		if _, err := unixctl.Call(ctx, ctl[0], "dpif/show", nil); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if !strings.Contains(out.String(), "("+what+")") {
			t.Errorf("output does not say that the database was %s:\n%s", what, out)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "run", "*")); len(left) > 0 {
			t.Error("left behind: ", left)
		}
	}
}
