package dbclient

import (
	"fmt"
	"time"

	"govs/internal/json"
	"govs/internal/stream"
)

// Times between attempts to connect.
const (
	minBackoff = time.Second
	maxBackoff = 8 * time.Second
)

// wait waits until a database is in a state, connecting as often as it takes.
func (c *client) wait(args []string) error {
	name, state := args[0], args[1]
	if state != "added" && state != "connected" && state != "removed" {
		return fmt.Errorf("%s: unknown state", state)
	}
	log := c.sys.Logger("reconnect")
	backoff, quiet := time.Duration(0), false
	for {
		if !quiet {
			log.Info(c.target + ": connecting...")
		}
		nc, err := c.open(c.target)
		if err == nil {
			log.Info(c.target + ": connected")
			backoff, quiet = 0, false
			c.conn = newConn(nc, c.target)
			if done, err := c.waitOn(name, state); done || err != nil {
				return err
			}
			log.Info(c.target + ": connection dropped (" + c.conn.lost() + ")")
			c.conn = nil
		} else if !quiet {
			log.Info(fmt.Sprintf("%s: connection attempt failed (%s)", c.target, stream.ErrText(err)))
		}
		backoff = min(max(2*backoff, minBackoff), maxBackoff)
		switch {
		case quiet:
		case backoff == maxBackoff:
			log.Info(c.target + ": continuing to reconnect in the background but suppressing further logging")
			quiet = true
		case backoff > minBackoff:
			log.Info(fmt.Sprintf("%s: waiting %d seconds before reconnect", c.target, int(backoff.Seconds())))
		}
		time.Sleep(backoff)
	}
}

// waitOn watches the databases of a server until one is in a state, or the
// connection is lost.
func (c *client) waitOn(name, state string) (bool, error) {
	const request = `["_Server",["monid","_Server"],{"Database":[{"columns":["name","connected"]}]}]`
	reply, err := c.call("monitor", []byte(request))
	if err != nil {
		select {
		case <-c.conn.done:
			return false, nil
		default:
			return false, err
		}
	}
	connected := make(map[string]bool) // by the row's UUID, of rows of the database
	learn := func(updates json.Value) bool {
		for id, u := range updates.Get("Database").Members() {
			row := u.Get("new")
			delete(connected, id.Str())
			if row.Get("name").Is(name) {
				connected[id.Str()], _ = row.Get("connected").Bool()
			}
		}
		up := false
		for _, ok := range connected {
			up = up || ok
		}
		switch state {
		case "added":
			return len(connected) > 0
		case "connected":
			return up
		}
		return len(connected) == 0
	}
	if learn(reply) {
		return true, nil
	}
	for {
		for _, n := range c.conn.notes() {
			v, err := json.Parse(n.params)
			if err != nil {
				return false, err
			}
			if n.method == "update" && learn(v.At(1)) {
				return true, nil
			}
		}
		select {
		case <-c.conn.more:
		case <-c.conn.done:
			return false, nil
		}
	}
}
