package vsctl

import (
	"context"
	"errors"
	"fmt"
	"io"

	"govs/internal/daemon"
	"govs/internal/json"
	"govs/internal/stream"
	"govs/internal/unixctl"
)

// planTables are the tables that a plan is made from.
var planTables = []string{"Open_vSwitch", "Bridge", "Port", "Interface", "NetFlow"}

// printPlan prints the steps in which ovs-vswitchd would take in what the run
// changed. The server executes the transaction, hands out the rows as they are
// then, and aborts it; the running switch makes the plan of them.
func (s *session) printPlan(ctx context.Context, r *run, w io.Writer) error {
	ops, _, changed := r.ops()
	if !changed {
		return nil
	}
	ops = append(ops, r.incrementOps(r.ovs())...)
	from := len(ops)
	for _, t := range planTables {
		ops = append(ops, fmt.Appendf(nil, `{"op":"select","table":"%s","where":[]}`, t))
	}
	reply, err := s.client.Transact(ctx, dbName, append(ops, []byte(`{"op":"abort"}`))...)
	if last := reply.At(from + len(planTables)); !last.Get("error").Is("aborted") {
		if err == nil {
			err = errors.New("the server did not abort it")
		}
		return fmt.Errorf("transaction error: %w", err)
	}
	rows := []byte{'{'}
	for i, t := range planTables {
		if i > 0 {
			rows = append(rows, ',')
		}
		rows = append(json.AppendString(rows, t), ':')
		rows = reply.At(from + i).Get("rows").AppendSorted(rows)
	}
	path, err := daemon.ControlSocket("ovs-vswitchd")
	if err != nil {
		return fmt.Errorf("--plan needs a running ovs-vswitchd: cannot read pidfile %q (%s)", daemon.PidFilePath("ovs-vswitchd"), stream.ErrText(err))
	}
	text, err := unixctl.Call(ctx, path, "govs/plan", []string{string(append(rows, '}'))})
	if err != nil {
		return fmt.Errorf("--plan: ovs-vswitchd: %w", err)
	}
	_, err = io.WriteString(w, text)
	return err
}
