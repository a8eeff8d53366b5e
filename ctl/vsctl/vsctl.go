// Package vsctl is the command ovs-vsctl: it queries and changes the
// configuration of ovs-vswitchd, several commands in one transaction.
//
// A run goes so: the command line is taken apart ([command]); each command says
// which columns it needs ([fetch]); a monitor brings those into a [mirror]; the
// commands work on it and leave their changes in its rows ([run]); the changes
// become one transaction, sets by mutate, held to what the commands relied on by
// wait operations; where somebody else was faster, all is done anew. In the end
// it waits until ovs-vswitchd has taken the configuration in.
//
// # Caveats
//
// Rows are listed in the order in which the C program's hash tables have them (internal/chash); list-dp-cap goes by the names.
// --dry-run has the server judge the transaction and does not wait for ovs-vswitchd, which C does in vain. Zone ids, policies
// and inactivity probes that are no numbers are errors, where C takes them as 0 or
// as what lies in memory. --db-change-aware is accepted without effect. After the connection is lost the command ends with an error.
package vsctl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"govs/internal/daemon"
	"govs/internal/getopt"
	"govs/internal/stream"
	"govs/internal/table"
	"govs/internal/vlog"
)

// Exit statuses; see also ExitNoBridge. A time-out is a death of SIGALRM.
const (
	ExitOK      = 0
	ExitFailure = 1
)

const program = "ovs-vsctl"

type options struct {
	db      string
	noWait  bool
	retry   bool
	dryRun  bool
	plan    bool
	oneline bool
	timeout string
	style   table.Style
	tls     stream.TLSOptions
	log     daemon.Options
}

// flags binds the global options, in the order in which --options lists them.
func (o *options) flags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.StringVar(&o.db, "db", defaultDB(), "connect to DATABASE")
	fs.Bool("no-syslog", false, "equivalent to --verbose=vsctl:syslog:warn")
	fs.BoolVar(&o.noWait, "no-wait", false, "do not wait for ovs-vswitchd to reconfigure")
	fs.BoolVar(&o.dryRun, "dry-run", false, "do not commit changes to database")
	fs.BoolVar(&o.oneline, "oneline", false, "print exactly one line of output per command")
	fs.StringVarP(&o.timeout, "timeout", "t", "", "wait at most SECS seconds for ovs-vswitchd")
	fs.BoolVar(&o.retry, "retry", false, "keep trying to connect to server forever")
	fs.BoolP("help", "h", false, "display this help message")
	fs.Bool("commands", false, "list the commands")
	fs.Bool("options", false, "list the options")
	fs.Bool("leader-only", false, "accepted for compatibility")
	fs.Bool("no-leader-only", false, "accepted for compatibility")
	fs.Bool("shuffle-remotes", false, "accepted for compatibility")
	fs.Bool("no-shuffle-remotes", false, "accepted for compatibility")
	fs.BoolP("version", "V", false, "display version information")
	o.log.LogFlags(fs)
	o.style.Format = table.FormatList
	o.style.Flags(fs)
	o.tls.Flags(fs)
	fs.Bool("db-change-aware", false, "accepted for compatibility")
	fs.BoolVar(&o.plan, "plan", false, "with --dry-run, print what ovs-vswitchd would do")
	for _, n := range []string{"db-change-aware", "plan"} {
		fs.Lookup(n).Hidden = true
	}
}

// local marks the flags of commands among those of the program: a first command's
// options may stand without "--" before them.
const local = "of a command"

func localFlags(fs *pflag.FlagSet) {
	for _, v := range verbs() {
		for _, opt := range strings.Fields(v.options) {
			name := strings.TrimSuffix(strings.TrimPrefix(opt, "--"), "=")
			if fs.Lookup(name) != nil {
				continue
			}
			if strings.HasSuffix(opt, "=") {
				fs.String(name, "", local)
			} else {
				fs.Bool(name, false, local)
			}
		}
	}
}

func defaultDB() string { return "unix:" + daemon.RunDir() + "/db.sock" }

// Main runs the command with argv and returns the exit status.
func Main(argv []string, stdout, stderr io.Writer) int {
	err := command0(argv, stdout, stderr)
	var usage *getopt.UsageError
	var exit *daemon.ExitError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &exit):
		return exit.Code
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v\n", argv[0], err) // as getopt(3) prints it
	default:
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
	}
	return ExitFailure
}

func command0(argv []string, stdout, stderr io.Writer) error {
	var o options
	fs := pflag.NewFlagSet(program, pflag.ContinueOnError)
	fs.SetOutput(io.Discard)
	o.flags(fs)
	localFlags(fs)
	opts, words, err := getopt.Split(fs, argv[1:], false)
	if err != nil {
		return err
	}
	first, done, err := o.take(fs, opts, stdout)
	if done || err != nil {
		return err
	}
	if o.plan && !o.dryRun {
		return errors.New("--plan goes with --dry-run")
	}
	commands, err := parseCommands(words, first)
	if err != nil {
		return err
	}
	log := vlog.New(program)
	log.SetConsole(stderr)
	defer log.Close()
	if err := o.startLog(fs, log); err != nil {
		return err
	}
	called := log.Logger("vsctl").Debug
	if slices.ContainsFunc(commands, func(c *command) bool { return !readers[c.verb.name] }) {
		called = log.Logger("vsctl").Info
	}
	called("Called as " + strings.Join(argv, " "))
	stop, err := o.alarm(fs, log)
	if err != nil {
		return err
	}
	defer stop()
	return o.start(argv, commands, log, stdout, stderr)
}

func (o *options) startLog(fs *pflag.FlagSet, log *vlog.System) error {
	log.Declare("vsctl", "db_ctl_base", "ovsdb_idl", "reconnect", "jsonrpc", "stream", "fatal_signal")
	o.log.Verbose = append([]string{"reconnect:warn"}, o.log.Verbose...)
	if fs.Changed("no-syslog") {
		o.log.Verbose = append(o.log.Verbose, "vsctl:syslog:warn")
	}
	return o.log.StartLog(program, log)
}

// take reads the options in their order. It returns those that belong to the
// first command; done says that an option was all there was to do.
func (o *options) take(fs *pflag.FlagSet, opts []string, stdout io.Writer) (first []string, done bool, err error) {
	for _, opt := range opts {
		name, value, attached := strings.Cut(strings.TrimPrefix(opt, "--"), "=")
		f := fs.Lookup(name)
		if f.Usage == local {
			first = append(first, opt)
			continue
		}
		if !attached {
			value = f.NoOptDefVal
		}
		if err := fs.Set(name, value); err != nil {
			var bad *pflag.InvalidValueError
			if errors.As(err, &bad) {
				err = bad.Unwrap()
			}
			return nil, true, err
		}
		switch name {
		case "help":
			_, err = io.WriteString(stdout, Manual().Help())
		case "version":
			_, err = fmt.Fprintf(stdout, "%sDB Schema %s\n", daemon.VersionText(program), schemaVersion)
		case "commands":
			err = listCommands(stdout)
		case "options":
			err = listOptions(fs, stdout)
		case "timeout":
			if _, ok := seconds(value); !ok {
				err = fmt.Errorf("value %s on -t or --timeout is invalid", value)
			} else {
				continue
			}
		default:
			continue
		}
		return nil, true, err
	}
	return first, false, nil
}

func seconds(s string) (time.Duration, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return time.Duration(n) * time.Second, err == nil && n > 0
}

// alarm sets the time-out of -t, or of OVS_CTL_TIMEOUT.
func (o *options) alarm(fs *pflag.FlagSet, log *vlog.System) (stop func(), err error) {
	text := o.timeout
	if !fs.Changed("timeout") {
		text = os.Getenv("OVS_CTL_TIMEOUT")
	}
	d, _ := seconds(text)
	return daemon.Alarm(d, func() {
		log.Logger("fatal_signal").Warn("terminating with signal 14 (Alarm clock)")
	}), nil
}

func (o *options) start(argv []string, commands []*command, log *vlog.System, stdout, stderr io.Writer) error {
	ctx := context.Background()
	warn := func(module, text string) { log.Logger(module).Warn(text) }
	s := &session{o: o, argv: argv, warn: warn, news: make(chan struct{}, 1)}
	if err := s.connect(ctx, log); err != nil {
		// A command line that is wrong anyway is the better answer.
		if bad := (&fetch{names: knownNames(), warn: warn}).prepare(commands); bad != nil {
			return bad
		}
		return err
	}
	defer s.client.Close()
	return s.perform(ctx, commands, stdout, stderr)
}

// leadingInt reads the number at the start of s, 0 where there is none.
func leadingInt(s string) int64 {
	n, _, _ := number(s)
	return n
}
