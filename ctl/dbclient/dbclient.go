// Package dbclient is the command ovsdb-client: it asks a database server for
// schemas and data, changes them, and shows changes as they come. One file holds
// one verb.
//
// SERVER and DATABASE may be left out of a command line. A first argument that
// looks like a connection method is the server where the verb has arguments to
// spare, and a name that the server knows is the database.
//
// # Caveats
//
// What the C program prints in the order of its hash tables (the names of tables
// and columns, rows of updates, the members of a backup) comes in the same order
// here; see internal/chash.
//
// A snapshot that is restored is held in memory with the transaction that is made
// of it. --record and --replay are not supported.
package dbclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"govs/internal/daemon"
	"govs/internal/json"
	"govs/internal/table"
	"govs/internal/vlog"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1
)

const (
	program   = "ovsdb-client"
	defaultDB = "Open_vSwitch"
)

// need says what a verb wants before it runs.
type need int

const (
	nothing  need = iota
	remote        // the server's name
	session       // a connection to the server
	database      // a connection, and the name of a database
)

// verb is a command.
type verb struct {
	name        string
	needs       need
	least, most int // arguments behind SERVER and DATABASE
	daemon      bool
	run         func(*client, []string) error
}

const many = int(^uint(0) >> 1)

func verbs() []verb {
	return []verb{
		{"list-dbs", session, 0, 0, false, (*client).listDBs},
		{"get-schema", database, 0, 0, false, (*client).getSchema},
		{"get-schema-version", database, 0, 0, false, (*client).getSchemaVersion},
		{"get-schema-cksum", database, 0, 0, false, (*client).getSchemaCksum},
		{"list-tables", database, 0, 0, false, (*client).listTables},
		{"list-columns", database, 0, 1, false, (*client).listColumns},
		{"transact", session, 1, 2, false, (*client).transact},
		{"query", session, 1, 2, false, (*client).query},
		{"monitor", database, 1, many, true, (*client).monitor},
		{"monitor-cond", database, 2, 3, true, (*client).monitorCond},
		{"monitor-cond-since", database, 2, 4, true, (*client).monitorCondSince},
		{"wait", remote, 2, 2, false, (*client).wait},
		{"convert", session, 1, 2, false, (*client).convert},
		{"needs-conversion", session, 1, 2, false, (*client).needsConversion},
		{"dump", database, 0, many, false, (*client).dump},
		{"backup", database, 0, 0, false, (*client).backup},
		{"restore", database, 0, 0, false, (*client).restore},
		{"lock", session, 1, 1, true, (*client).lock},
		{"steal", session, 1, 1, true, (*client).steal},
		{"unlock", session, 1, 1, true, (*client).unlock},
		{"help", nothing, 0, many, false, (*client).help},
	}
}

// client is one run of the command.
type client struct {
	opts      daemon.Options
	style     table.Style
	timeout   string
	limited   bool // -t was given
	timestamp bool
	force     bool
	anyone    bool // --no-leader-only
	unaware   bool // --no-db-change-aware

	in   io.Reader
	out  io.Writer
	ctx  context.Context
	sys  *vlog.System
	log  *slog.Logger
	proc *daemon.Process // verbs that may detach only

	target string
	conn   *conn
	db     string
}

// New returns the command.
func New() *cobra.Command {
	c := &client{}
	cmd := daemon.Frame(program, "Open vSwitch database JSON-RPC client")
	cmd.Args = cobra.ArbitraryArgs
	fs := cmd.Flags()
	c.opts.Flags(fs)
	c.style.Flags(fs)
	fs.StringVarP(&c.timeout, "timeout", "t", "", "die of SIGALRM after SECS seconds")
	fs.BoolVar(&c.timestamp, "timestamp", false, "timestamp \"monitor\" output")
	fs.BoolVar(&c.force, "force", false, "restore although schemas differ")
	leader := fs.Bool("leader-only", true, "of several servers, take the leader")
	fs.BoolVar(&c.anyone, "no-leader-only", false, "of several servers, take the first that answers")
	aware := fs.Bool("db-change-aware", true, "have the server tell of databases that change")
	fs.BoolVar(&c.unaware, "no-db-change-aware", false, "have the server disconnect instead")
	record := fs.String("record", "", "not supported")
	replay := fs.String("replay", "", "not supported")
	for _, name := range []string{"record", "replay"} {
		fs.Lookup(name).NoOptDefVal, fs.Lookup(name).Hidden = ".", true
	}
	cmd.Long = page(fs).Help()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.in, c.out = cmd.InOrStdin(), cmd.OutOrStdout()
		if *record != "" || *replay != "" {
			return errors.New("--record and --replay are not supported")
		}
		_, _ = *leader, *aware // the defaults
		c.limited = cmd.Flags().Changed("timeout")
		return c.main(args)
	}
	return cmd
}

func (c *client) main(args []string) error {
	limit, err := c.seconds()
	switch {
	case err != nil:
		return err
	case len(args) == 0:
		return errors.New("missing command name; use --help for help")
	}
	var v *verb
	for _, w := range verbs() {
		if w.name == args[0] {
			v = &w
			break
		}
	}
	if v == nil {
		return fmt.Errorf("unknown command '%s'; use --help for help", args[0])
	}
	c.ctx = context.Background()
	if v.daemon {
		if err := c.start(); err != nil {
			return err
		}
		defer c.proc.Close()
	} else {
		c.sys = vlog.New(program)
		defer c.sys.Close()
		c.opts.Verbose = append([]string{"console:info"}, c.opts.Verbose...)
		if err := c.opts.StartLog(program, c.sys); err != nil {
			return err
		}
	}
	c.log = c.sys.Logger("ovsdb_client")
	defer daemon.Alarm(limit, func() {
		c.sys.Logger("fatal_signal").Warn("terminating with signal 14 (Alarm clock)")
	})()
	err = c.dispatch(v, args[1:])
	if c.conn != nil {
		c.conn.close()
	}
	if c.proc != nil && c.proc.Signal() != 0 {
		return &daemon.ExitError{Code: ExitFailure, Signal: c.proc.Signal()}
	}
	if c.ctx.Err() != nil { // the verb exit
		return nil
	}
	return err
}

// seconds reads the argument of -t.
func (c *client) seconds() (time.Duration, error) {
	if !c.limited {
		return 0, nil
	}
	n, err := strconv.ParseUint(c.timeout, 0, 31)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("value %s on -t or --timeout is invalid", c.timeout)
	}
	return time.Duration(n) * time.Second, nil
}

// dispatch finds server and database and runs a verb.
func (c *client) dispatch(v *verb, args []string) error {
	if v.needs != nothing {
		args = c.takeServer(v, args)
	}
	if v.needs >= session {
		if err := c.connect(v); err != nil {
			return err
		}
	}
	if v.needs == database {
		var err error
		if args, err = c.takeDatabase(v, args); err != nil {
			return err
		}
	}
	if len(args) < v.least || len(args) > v.most {
		return badSyntax(v.name)
	}
	return v.run(c, args)
}

func badSyntax(verb string) error {
	return fmt.Errorf("invalid syntax for '%s' (use --help for help)", verb)
}

// takeServer takes the server off the arguments.
func (c *client) takeServer(v *verb, args []string) []string {
	if len(args) > v.least && letter(args[0]) && strings.Contains(args[0], ":") {
		c.target = args[0]
		return args[1:]
	}
	c.target = "unix:" + daemon.In(daemon.RunDir(), "db.sock")
	return args
}

func letter(s string) bool {
	return s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] >= 'A' && s[0] <= 'Z')
}

// takeDatabase takes the database off the arguments.
func (c *client) takeDatabase(v *verb, args []string) ([]string, error) {
	names, err := c.databases()
	if err != nil {
		return nil, err
	}
	var plain []string
	known := make(map[string]bool)
	for _, n := range names {
		known[n] = true
		if !strings.HasPrefix(n, "_") {
			plain = append(plain, n)
		}
	}
	switch {
	case len(args) > v.least && known[args[0]]:
		c.db, args = args[0], args[1:]
	case known[defaultDB]:
		c.db = defaultDB
	case len(plain) == 1:
		c.db = plain[0]
	default:
		return nil, errors.New("could not find a default database, please specify a database name")
	}
	return args, nil
}

// print prints JSON with the members of objects in order.
func (c *client) print(v json.Value) error {
	text := v.AppendSorted(nil)
	if c.style.Pretty {
		text = table.Pretty(text)
	}
	_, err := c.out.Write(append(text, '\n'))
	return err
}

// array makes a JSON array of a string and raw values.
func array(first string, more ...[]byte) []byte {
	b := json.AppendString([]byte{'['}, first)
	for _, m := range more {
		b = append(append(b, ','), m...)
	}
	return append(b, ']')
}
