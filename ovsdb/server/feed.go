package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"govs/internal/json"
	"govs/ovsdb/client"
	"govs/ovsdb/monitor"
	"govs/schema"
	"govs/schema/atom"
)

// feed is what another server tells of one database, over one connection after
// the other: the contents, then updates, in the best form that the server knows.
// Its three functions are called one at a time.
type feed struct {
	name string // the database's
	// whole takes contents: updates as of a first reply.
	whole func(v monitor.Version, updates []byte) error
	// change takes an update.
	change func(v monitor.Version, updates []byte) error

	mu      sync.Mutex
	count   int    // of monitors so far, so that each has another id
	id      []byte // of the monitor, sorted JSON; nil where there is none
	version monitor.Version
	held    bool // the first reply is not taken yet: updates wait
	queue   [][][]byte
	since   atom.UUID // the last transaction that is known; zero where none is
	over    bool      // the server canceled the monitor
}

// start starts a monitor of all columns of the tables of s that covers names, and
// takes the first reply. With update3 it resumes where the last one ended.
func (f *feed) start(ctx context.Context, c *client.Client, s *schema.Schema, covers func(*schema.Table) bool) error {
	requests := monitor.RequestAll(s, covers)
	for v := monitor.V3; ; v-- {
		id, since := f.prepare(v)
		reply, err := c.Monitor(ctx, v.Request(), f.name, id, requests, since)
		if err != nil {
			if v > monitor.V1 && unknownMethod(err) {
				continue
			}
			return err
		}
		return f.begin(reply)
	}
}

// prepare makes the feed wait for the first reply to a monitor.
func (f *feed) prepare(v monitor.Version) (id, since []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count++
	id = append(json.AppendString([]byte{'['}, f.name), ',')
	f.id = append(strconv.AppendInt(id, int64(f.count), 10), ']')
	f.version, f.held, f.queue, f.over = v, true, nil, false
	return f.id, json.AppendString(nil, f.since.String())
}

// begin takes the first reply and what came after it. After an error nothing is
// known.
func (f *feed) begin(reply []byte) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() {
		if err != nil {
			f.since = atom.UUID{}
		}
	}()
	found, since := false, atom.UUID{}
	if f.version == monitor.V3 {
		parts, err := split(reply)
		if err != nil || len(parts) != 3 {
			return errors.New("the answer to monitor_cond_since is no array of three")
		}
		if since, err = transactionID(parts[1]); err != nil {
			return err
		}
		found, reply = string(parts[0]) == "true", parts[2]
	}
	take := f.whole
	if found {
		take = f.change
	}
	if err := f.take(take, since, reply); err != nil {
		return err
	}
	queue := f.queue
	f.held, f.queue = false, nil
	for _, params := range queue {
		if err := f.apply(params); err != nil {
			return err
		}
	}
	return nil
}

// take hands updates on.
func (f *feed) take(take func(monitor.Version, []byte) error, since atom.UUID, updates []byte) error {
	if err := take(f.version, updates); err != nil {
		return err
	}
	f.since = since
	return nil
}

// notify takes a notification, if it is one of this feed. After an error nothing
// is known.
func (f *feed) notify(method string, params []byte) (mine bool, err error) {
	parts, err := split(params)
	if err != nil || len(parts) == 0 {
		return false, fmt.Errorf("params of %s are not an array with an id", method)
	}
	v, err := json.Parse(parts[0])
	if err != nil {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() {
		if err != nil {
			f.since = atom.UUID{}
		}
	}()
	if f.id == nil || !bytes.Equal(v.AppendSorted(nil), f.id) {
		return false, nil
	}
	switch {
	case method == "monitor_canceled":
		f.id, f.over = nil, true
	case method != f.version.Method():
		return true, fmt.Errorf("%s for a monitor that gets %s", method, f.version.Method())
	case f.held:
		for i := range parts {
			parts[i] = bytes.Clone(parts[i])
		}
		f.queue = append(f.queue, parts)
	default:
		return true, f.apply(parts)
	}
	return true, nil
}

// apply takes the params of an update.
func (f *feed) apply(params [][]byte) error {
	want := 2
	if f.version == monitor.V3 {
		want = 3
	}
	if len(params) != want {
		return fmt.Errorf("%s has %d params", f.version.Method(), len(params))
	}
	since := atom.UUID{}
	if want == 3 {
		var err error
		if since, err = transactionID(params[1]); err != nil {
			return err
		}
	}
	return f.take(f.change, since, params[want-1])
}

// stop makes the feed deaf: what still comes for its monitor is not taken.
func (f *feed) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.id = nil
}

// idle reports whether there is no monitor.
func (f *feed) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id == nil
}

// forget makes the next monitor start from the contents.
func (f *feed) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.since = atom.UUID{}
}

// canceled reports whether the server ended the monitor.
func (f *feed) canceled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.over
}

func transactionID(raw []byte) (atom.UUID, error) {
	v, err := json.Parse(raw)
	if err != nil {
		return atom.UUID{}, err
	}
	u, ok := atom.Parse(v.Str())
	if !ok {
		return u, fmt.Errorf("%s is no transaction's id", raw)
	}
	return u, nil
}

// split finds the elements of an array without parsing them, for they may be
// large.
func split(raw []byte) ([][]byte, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) < 2 || raw[0] != '[' || raw[len(raw)-1] != ']' {
		return nil, errors.New("array expected")
	}
	rest := bytes.TrimSpace(raw[1 : len(raw)-1])
	var parts [][]byte
	for len(rest) > 0 {
		var f json.Framer
		n, done := f.Scan(rest)
		if !done {
			n = len(rest) // a bare word at the end
		}
		parts = append(parts, bytes.TrimSpace(rest[:n]))
		rest = bytes.TrimSpace(rest[n:])
		if len(rest) == 0 {
			break
		}
		if rest[0] != ',' || len(rest) == 1 {
			return nil, errors.New("array expected")
		}
		rest = rest[1:]
	}
	return parts, nil
}
