package dbclient

import (
	"context"
	"fmt"

	"govs/internal/json"
	"govs/internal/table"
)

// lock asks for a lock and tells what becomes of it.
func (c *client) lock(args []string) error { return c.locking("lock", args[0]) }

// steal takes a lock from its owner.
func (c *client) steal(args []string) error { return c.locking("steal", args[0]) }

// unlock gives a lock back.
func (c *client) unlock(args []string) error { return c.locking("unlock", args[0]) }

// locking sends a request about a lock and prints answer and notifications until
// the end. Answers to the requests of others, through the control socket, are
// printed, too.
func (c *client) locking(method, name string) error {
	replies := make(chan json.Value, 16)
	for _, m := range []string{"lock", "steal", "unlock"} {
		c.proc.Ctl.Register(m, "LOCK", 1, 1, func(ctx context.Context, args []string) (string, error) {
			go func() {
				if v, err := c.call(m, array(args[0])); err == nil {
					select {
					case replies <- v:
					case <-c.ctx.Done():
					}
				}
			}()
			return "", nil
		})
	}
	v, err := c.call(method, array(name))
	if err == nil { // what the server refuses is not told, as in C
		if err := c.print(v); err != nil {
			return err
		}
	} else {
		select {
		case <-c.conn.done:
			return fmt.Errorf("%s: receive failed (%s)", c.target, c.conn.lost())
		default:
		}
	}
	c.proc.Ready()
	for {
		for _, n := range c.conn.notes() {
			if err := c.lockNote(n); err != nil {
				return err
			}
		}
		select {
		case <-c.ctx.Done():
			return nil
		case v := <-replies:
			if err := c.print(v); err != nil {
				return err
			}
		case <-c.conn.more:
		case <-c.conn.done:
			return fmt.Errorf("%s: receive failed (%s)", c.target, c.conn.lost())
		}
	}
}

// lockNote prints a notification: its name, and its parameters.
func (c *client) lockNote(n note) error {
	v, err := json.Parse(n.params)
	if err != nil {
		return err
	}
	text := v.AppendSorted(nil)
	if c.style.Pretty {
		text = table.Pretty(text)
	}
	_, err = fmt.Fprintf(c.out, "%s\n%s\n", n.method, text)
	return err
}
