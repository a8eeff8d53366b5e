package server

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"govs/internal/stream"
)

// status describes a remote for its row (ovs-vswitchd.conf.db(5), Manager). One
// that could not be opened is nil.
func (r *remote) status(target string, now time.Time) (connected bool, status map[string]string) {
	status = make(map[string]string)
	if passive(target) {
		// As the C server has it, the times of passive ones say nothing.
		status["sec_since_connect"], status["sec_since_disconnect"] = "0", "0"
		if r != nil {
			connected = r.listening(status)
		}
		return connected, status
	}
	status["state"] = "BACKOFF"
	if r == nil {
		return false, status
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	seconds := func(t time.Time) string { return fmt.Sprint(int64(now.Sub(t) / time.Second)) }
	if r.state != "" {
		status["state"] = r.state
	}
	if !r.connected.IsZero() {
		status["sec_since_connect"] = seconds(r.connected)
	}
	if !r.disconnect.IsZero() {
		status["sec_since_disconnect"] = seconds(r.disconnect)
	}
	for sess := range r.sessions { // there is one at most
		connected = true
		status["state"] = "ACTIVE"
		sess.lockStatus(status)
	}
	if r.lastErr != "" && !connected {
		status["last_error"] = r.lastErr
	}
	return connected, status
}

// passive reports whether a target can be listened on.
func passive(target string) bool {
	_, err := stream.Parse(target, 0)
	return err == nil && stream.IsPassive(target)
}

// listening is the part of a status that passive remotes have.
func (r *remote) listening(status map[string]string) (connected bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.sessions) > 1 {
		status["n_connections"] = strconv.Itoa(len(r.sessions))
	}
	if r.lis != nil {
		if a, ok := r.lis.Addr().(*net.TCPAddr); ok {
			status["bound_port"] = strconv.Itoa(a.Port)
		}
	}
	return len(r.sessions) > 0
}

// lockStatus puts the session's locks into a status.
func (sess *session) lockStatus(status map[string]string) {
	sess.mu.Lock()
	names := make([]string, 0, len(sess.locks))
	for name := range sess.locks {
		names = append(names, name)
	}
	sess.mu.Unlock()
	slices.Sort(names)
	lists := make(map[string][]string)
	for _, name := range names {
		key := sess.srv.locks.state(sess, name)
		lists[key] = append(lists[key], name)
	}
	for key, list := range lists {
		status[key] = strings.Join(list, " ")
	}
}
