package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/internal/debs"
)

// TestMininet has Debian's Mininet build a tree of four switches and nine hosts
// over our programs, and ping from every host to every other.
func TestMininet(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("Mininet needs root")
	}
	root := debs.Root(t)
	if _, err := os.Stat(filepath.Join(root, "usr/bin/mn")); err != nil {
		t.Skip("Debian's mininet is not at hand")
	}
	for _, prog := range []string{"python3", "unshare", "ifconfig", "ping"} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skipf("Mininet needs %s", prog)
		}
	}
	if err := exec.Command("unshare", "-n", "-m", "-p", "-f", "--mount-proc", "true").Run(); err != nil {
		t.Skipf("no namespaces: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "-n", "-m", "-p", "-f", "--kill-child", "--mount-proc", "sh", "testdata/mininet.sh", programs(t), root)
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 77 {
		t.Skipf("this Python cannot load Mininet: %s", out)
	}
	text := string(out)
	if err != nil || !strings.Contains(text, "*** Results: 0% dropped (72/72 received)") || !strings.Contains(text, "bridges left: 0") {
		t.Errorf("%v\n%s", err, text)
	}
}
