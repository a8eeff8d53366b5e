package server

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// registerReplication adds the control verbs of active-backup pairs.
func (s *Server) registerReplication(reg func(name, usage string, least, most int, fn func(args []string) (string, error))) {
	reg("ovsdb-server/set-active-ovsdb-server", "", 1, 1, func(a []string) (string, error) {
		s.SetActive(a[0])
		return "", nil
	})
	reg("ovsdb-server/get-active-ovsdb-server", "", 0, 0, func([]string) (string, error) { return s.Active(), nil })
	reg("ovsdb-server/connect-active-ovsdb-server", "", 0, 0, func([]string) (string, error) {
		if err := s.ConnectActive(); err != nil {
			return err.Error(), nil // no error to the C server
		}
		return "", nil
	})
	reg("ovsdb-server/disconnect-active-ovsdb-server", "", 0, 0, func([]string) (string, error) {
		s.DisconnectActive()
		return "", nil
	})
	reg("ovsdb-server/set-active-ovsdb-server-probe-interval", "", 1, 1, func(a []string) (string, error) {
		ms, ok := milliseconds(a[0])
		if !ok {
			return "Invalid probe interval, integer value expected", nil // no error to the C server
		}
		s.SetActiveProbe(ms)
		return "", nil
	})
	reg("ovsdb-server/set-sync-exclude-tables", "", 0, 1, func(a []string) (string, error) {
		s.SetSyncExclude(strings.Join(a, ""))
		return "", nil
	})
	reg("ovsdb-server/get-sync-exclude-tables", "", 0, 0, func([]string) (string, error) { return s.SyncExclude(), nil })
	reg("ovsdb-server/sync-status", "", 0, 0, func([]string) (string, error) { return s.SyncStatus(), nil })
}

// milliseconds reads an interval. Less than 0 counts as 0.
func milliseconds(text string) (time.Duration, bool) {
	ms, err := strconv.ParseInt(text, 10, 32)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(max(ms, 0), math.MaxInt32)) * time.Millisecond, true
}
