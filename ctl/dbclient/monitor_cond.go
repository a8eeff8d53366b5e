package dbclient

import (
	"context"
	"fmt"

	"govs/internal/json"
	"govs/internal/unixctl"
	"govs/schema/atom"
)

// monitorCond prints the rows of a table that meet conditions, and changes.
func (c *client) monitorCond(args []string) error {
	return c.condMonitor("monitor_cond", atom.UUID{}, args)
}

// monitorCondSince is monitor-cond from a transaction on, if the server knows it.
func (c *client) monitorCondSince(args []string) error {
	since, ok := atom.Parse(args[0])
	if ok {
		args = args[1:]
	}
	if ok && (len(args) < 2 || len(args) > 3) {
		return badSyntax("monitor-cond-since")
	}
	return c.condMonitor("monitor_cond_since", since, args)
}

func (c *client) condMonitor(method string, since atom.UUID, args []string) error {
	s, err := c.schema()
	if err != nil {
		return err
	}
	t := s.Table(args[1])
	if t == nil {
		return fmt.Errorf("%s does not have a table named \"%s\"", c.db, args[1])
	}
	where, err := c.conditions(t, args[0])
	if err != nil {
		return err
	}
	wt, err := c.watched(s, t, args[2:], where)
	if err != nil {
		return err
	}
	w := c.newWatch(method)
	w.tables = []*watched{wt}
	return w.run(since)
}

// registerChange lets others change the conditions of a table.
func (w *watch) registerChange(ctl *unixctl.Server) {
	ctl.Register("ovsdb-client/cond_change", "TABLE COND", 2, 2, func(_ context.Context, args []string) (string, error) {
		if v, err := json.Parse([]byte(args[1])); err == nil {
			id := array("monid", w.c.quoted())
			req := append(json.AppendString([]byte{'{'}, args[0]), `:[{"where":`...)
			req = append(append(req, v.AppendSorted(nil)...), "}]}"...)
			params := append(append(append(append(append(append([]byte{'['}, id...), ','), id...), ','), req...), ']')
			go func() { // a refusal has nobody to hear it
				_, _ = w.c.call("monitor_cond_change", params)
			}()
		}
		return "condition changed", nil
	})
}
