// Package appctl is the command ovs-appctl: it sends one verb to the control
// socket of a daemon and prints the answer.
//
// The target is a daemon's name (its pid file RUNDIR/NAME.pid tells the socket
// RUNDIR/NAME.PID.ctl) or the absolute path of a socket; without -t it is
// ovs-vswitchd. The exit status is 0, 1 when the command line or the connection
// is bad, 2 when the daemon answered with an error. -T makes the command die of
// SIGALRM.
package appctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"govs/internal/daemon"
	"govs/internal/stream"
	"govs/internal/table"
	"govs/internal/unixctl"
	"govs/internal/vlog"
)

// Exit statuses.
const (
	ExitUsage   = 1 // bad command line, no connection
	ExitCommand = 2 // the daemon answered with an error
)

const program = "ovs-appctl"

type options struct {
	log     daemon.Options
	target  string
	timeout string
	format  string
	pretty  bool
	execute bool
	list    bool
}

// New returns the command.
func New() *cobra.Command {
	o := &options{}
	cmd := daemon.Frame(program, "for querying and controlling Open vSwitch daemons")
	cmd.Args = cobra.ArbitraryArgs
	cmd.Annotations["permute"] = "no"
	fs := cmd.Flags()
	fs.StringVarP(&o.target, "target", "t", "ovs-vswitchd", "pidfile or socket to contact")
	fs.StringVarP(&o.timeout, "timeout", "T", "", "wait at most SECS seconds for a response")
	fs.StringVarP(&o.format, "format", "f", "text", "output format, text or json")
	fs.BoolVar(&o.pretty, "pretty", false, "spread JSON over lines")
	fs.BoolVarP(&o.execute, "execute", "e", false, "accepted for compatibility")
	fs.BoolVarP(&o.list, "option", "o", false, "list the options")
	o.log.LogFlags(fs)
	cmd.Long = page(fs).Help()
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) }
	return cmd
}

func (o *options) run(cmd *cobra.Command, args []string) error {
	if o.list {
		printOptions(cmd)
		return nil
	}
	log := vlog.New(program)
	log.SetConsole(cmd.ErrOrStderr())
	defer log.Close()
	if err := o.log.StartLog(program, log); err != nil {
		return err
	}
	if o.timeout != "" || cmd.Flags().Changed("timeout") {
		secs, err := strconv.ParseUint(o.timeout, 0, 31)
		if err != nil || secs == 0 {
			return fmt.Errorf("value %s on -T or --timeout is invalid", o.timeout)
		}
		defer daemon.Alarm(time.Duration(secs)*time.Second, func() {
			log.Logger("fatal_signal").Warn("terminating with signal 14 (Alarm clock)")
		})()
	}
	switch {
	case o.format != "text" && o.format != "json":
		return fmt.Errorf("value %s on -f or --format is invalid", o.format)
	case o.pretty && o.format != "json":
		return errors.New("--pretty is supported with --format json only")
	case len(args) == 0:
		return errors.New("at least one non-option argument is required (use --help for help)")
	}
	return o.call(cmd, log, args[0], args[1:])
}

func (o *options) call(cmd *cobra.Command, log *vlog.System, verb string, args []string) error {
	ctx := context.Background()
	path, err := socketPath(log, o.target)
	if err != nil {
		return err
	}
	c, err := unixctl.Dial(ctx, path)
	if err != nil {
		log.Logger("unixctl").Warn("failed to connect to " + path)
		return fmt.Errorf("cannot connect to %q (%s)", path, stream.ErrText(err))
	}
	defer c.Close()
	if o.format == "json" {
		if _, err := c.CallRaw(ctx, "set-options", []string{"--format", "json"}); err != nil {
			return o.failed(cmd, log, path, err)
		}
	}
	raw, err := c.CallRaw(ctx, verb, args)
	if err != nil {
		return o.failed(cmd, log, path, err)
	}
	return o.print(cmd.OutOrStdout(), raw)
}

// failed turns an error of a call into the text and exit status of C.
func (o *options) failed(cmd *cobra.Command, log *vlog.System, path string, err error) error {
	var ce *unixctl.CommandError
	if errors.As(err, &ce) {
		fmt.Fprint(cmd.ErrOrStderr(), ce.Text)
		return &daemon.ExitError{Code: ExitCommand, Text: o.target + ": server returned an error"}
	}
	log.Logger("unixctl").Warn(fmt.Sprintf("error communicating with unix:%s: %s", path, stream.ErrText(err)))
	return fmt.Errorf("%s: transaction error (%s)", o.target, stream.ErrText(err))
}

func (o *options) print(w io.Writer, raw json.RawMessage) error {
	var s string
	switch err := json.Unmarshal(raw, &s); {
	case o.format == "json" && o.pretty:
		var b strings.Builder
		if err := compact(&b, raw); err != nil {
			return err
		}
		_, err = fmt.Fprintln(w, string(table.Pretty([]byte(b.String()))))
		return err
	case o.format == "json":
		_, err = fmt.Fprintln(w, string(raw))
		return err
	case err != nil:
		return errors.New("the daemon's reply is not a string")
	}
	_, err := io.WriteString(w, s)
	return err
}

// socketPath finds the control socket of a target.
func socketPath(log *vlog.System, target string) (string, error) {
	if strings.HasPrefix(target, "/") {
		return target, nil
	}
	path, err := daemon.ControlSocket(target)
	if err == nil {
		return path, nil
	}
	pidfile := daemon.PidFilePath(target)
	if !errors.Is(err, unix.ESRCH) {
		log.Logger("daemon_unix").Warn(fmt.Sprintf("%s: open: %s", pidfile, stream.ErrText(err)))
	}
	return "", fmt.Errorf("cannot read pidfile %q (%s)", pidfile, stream.ErrText(err))
}
