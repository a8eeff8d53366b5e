package vsctl

import (
	"govs/internal/daemon"
)

// Exit status of br-exists where it does not.
const ExitNoBridge = 2

// runBrExists ends with ExitNoBridge where there is no such bridge.
func runBrExists(r *run, c *command) error {
	if _, err := r.tree().bridge(c.args[0]); err != nil {
		return &daemon.ExitError{Code: ExitNoBridge}
	}
	return nil
}
