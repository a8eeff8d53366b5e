package service

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"govs/internal/daemon"
	"govs/internal/unixctl"
)

// stop ends the daemons, the switch first.
func (s *service) stop() error {
	list := s.o.daemons()
	for i := len(list) - 1; i >= 0; i-- {
		if err := s.end(list[i], true); err != nil {
			return err
		}
	}
	return nil
}

// patience is how long each means of ending a daemon gets.
const patience = 15 * time.Second

// end ends one daemon: by its control socket, then by SIGTERM and SIGKILL. tell
// says that one that does not run is worth a line.
func (s *service) end(name string, tell bool) error {
	pid := running(name)
	if pid == 0 {
		if tell {
			s.say("%s is not running.", name)
		}
		return nil
	}
	s.say("Exiting %s (%d).", name, pid)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	socket := filepath.Join(daemon.RunDir(), fmt.Sprintf("%s.%d.ctl", name, pid))
	if _, err := unixctl.Call(ctx, socket, "exit", nil); err == nil && ended(pid) {
		return nil
	}
	for _, by := range []struct {
		signal syscall.Signal
		text   string
	}{{syscall.SIGTERM, "Terminating"}, {syscall.SIGKILL, "Killing"}} {
		s.say("%s %s (%d) with %s.", by.text, name, pid, by.signal)
		if err := syscall.Kill(pid, by.signal); err != nil || ended(pid) {
			return nil
		}
	}
	return fmt.Errorf("%s (%d) does not end", name, pid)
}

// ended waits for the end of a process that is no child of this one.
func ended(pid int) bool {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if syscall.Kill(pid, 0) != nil {
			return true
		}
	}
	return false
}
