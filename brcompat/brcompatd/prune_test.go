package brcompatd

import (
	"context"
	"errors"
	"testing"
	"time"

	"govs/internal/vlog"
)

// Ports of vanished devices are removed in the end, also when the database
// cannot be reached for a time and nothing else happens to devices.
func TestPruneAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	waits, tries := 0, 0
	wait := func() error {
		if waits++; waits > 2 {
			return errors.New("closed")
		}
		return nil
	}
	remove := func(context.Context) error {
		if tries++; tries < 4 {
			return errors.New("no connection to the database")
		}
		return nil
	}
	prune(ctx, wait, remove, time.Millisecond, vlog.Discard())
	if waits != 3 || tries != 5 {
		t.Errorf("waited %d times and tried %d times", waits, tries)
	}
	// The end of the daemon ends the attempts.
	waits, tries = 0, 0
	prune(ctx, wait, func(context.Context) error {
		cancel()
		tries++
		return context.Canceled
	}, time.Hour, vlog.Discard())
	if tries != 1 {
		t.Errorf("tried %d times", tries)
	}
}
