// Package dbtool is the command ovsdb-tool: it creates, inspects, compacts and
// changes database files that no server has open. One file holds one verb.
//
// Files are made in the bbolt format, unless --format or OVSDB_FORMAT in the
// environment asks for the C server's log format; all verbs work on both, and
// import and export copy one to the other. Where the default schema file is not
// installed, the Open_vSwitch schema that is built in takes its place.
//
// # Caveats
//
// Clusters are not supported; their verbs and options say so. With --rbac-role the
// tool may change nothing in a database that has roles: they allow what the names
// of their clients are in the rows for, and it has none (so the C program).
package dbtool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"govs/internal/daemon"
	"govs/internal/vlog"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
	"govs/schema"
	"govs/schema/vswitch"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1
	ExitNo      = 2 // db-is-.. and compare-versions: the answer is no
)

const program = "ovsdb-tool"

// tool is one run of the command.
type tool struct {
	log  daemon.Options
	more int
	role string

	format  string // of a new file; empty: the default
	lockLog *slog.Logger
	out     io.Writer
	errw    io.Writer
}

// verb is a command of the tool.
type verb struct {
	name, usage string
	least, most int
	run         func(t *tool, args []string) error
}

// verbs are in the order in which list-commands prints them.
func verbs() []verb {
	return []verb{
		{"create", "[db [schema]]", 0, 2, (*tool).create},
		{"create-cluster", "db contents local", 3, 3, notSupported("create-cluster")},
		{"join-cluster", "db name local remote...", 4, -1, notSupported("join-cluster")},
		{"compact", "[db [dst]]", 0, 2, (*tool).compact},
		{"convert", "[db [schema [dst]]]", 0, 3, (*tool).convert},
		{"needs-conversion", "[db [schema]]", 0, 2, (*tool).needsConversion},
		{"db-name", "[db]", 0, 1, (*tool).dbName},
		{"db-version", "[db]", 0, 1, (*tool).dbVersion},
		{"db-cksum", "[db]", 0, 1, (*tool).dbCksum},
		{"db-cid", "db", 1, 1, notClustered},
		{"db-sid", "db", 1, 1, notClustered},
		{"db-local-address", "db", 1, 1, notClustered},
		{"db-is-clustered", "db", 1, 1, (*tool).dbIsClustered},
		{"db-is-standalone", "db", 1, 1, (*tool).dbIsStandalone},
		{"schema-name", "[schema]", 0, 1, (*tool).schemaName},
		{"schema-version", "[schema]", 0, 1, (*tool).schemaVersion},
		{"schema-cksum", "[schema]", 0, 1, (*tool).schemaCksum},
		{"compare-versions", "a op b", 3, 3, (*tool).compareVersions},
		{"query", "[db] trns", 1, 2, (*tool).query},
		{"transact", "[db] trns", 1, 2, (*tool).transact},
		{"show-log", "[db]", 0, 1, (*tool).showLog},
		{"check-cluster", "db...", 1, -1, notSupported("check-cluster")},
		{"cluster-to-standalone", "db clusterdb", 2, 2, notSupported("cluster-to-standalone")},
		{"import", "src db", 2, 2, (*tool).importLog},
		{"export", "db dst", 2, 2, (*tool).exportLog},
		{"help", "", 0, -1, (*tool).help},
		{"list-commands", "", 0, -1, (*tool).listCommands},
	}
}

// New makes the command.
func New() *cobra.Command {
	t := &tool{}
	cmd := daemon.Frame(program, "Open vSwitch database management utility")
	cmd.Args = cobra.ArbitraryArgs
	fs := cmd.Flags()
	fs.CountVarP(&t.more, "more", "m", "increase show-log verbosity")
	fs.StringVar(&t.role, "rbac-role", "", "RBAC role for transact and query commands")
	fs.StringVar(&t.format, "format", "", "format of create's file: bolt or log")
	cid := fs.String("cid", "", "cluster ID for join-cluster")
	timer := fs.String("election-timer", "", "election timer for create-cluster")
	t.log.LogFlags(fs)
	for _, name := range []string{"cid", "election-timer"} {
		fs.Lookup(name).Hidden = true // they are not supported
	}
	cmd.Long = page(fs).Help()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t.out, t.errw = cmd.OutOrStdout(), cmd.ErrOrStderr()
		log := vlog.New(program)
		log.SetConsole(t.errw)
		defer log.Close()
		if err := t.log.StartLog(program, log); err != nil {
			return err
		}
		t.lockLog = log.Logger("lockfile")
		if *cid != "" || *timer != "" {
			return errors.New("clustered databases are not supported")
		}
		return t.dispatch(args)
	}
	return cmd
}

// dispatch runs a verb.
func (t *tool) dispatch(args []string) error {
	if len(args) == 0 {
		return errors.New("missing command name; use --help for help")
	}
	for _, v := range verbs() {
		if v.name != args[0] {
			continue
		}
		switch n := len(args) - 1; {
		case n < v.least:
			return fmt.Errorf("'%s' command requires at least %d arguments", v.name, v.least)
		case v.most >= 0 && n > v.most:
			return fmt.Errorf("'%s' command takes at most %d arguments", v.name, v.most)
		}
		return v.run(t, args[1:])
	}
	return fmt.Errorf("unknown command '%s'; use --help for help", args[0])
}

func notSupported(name string) func(*tool, []string) error {
	return func(*tool, []string) error { return fmt.Errorf("%s is not supported", name) }
}

// notClustered answers what only a clustered database has.
func notClustered(_ *tool, args []string) error {
	f, err := file.Detect(args[0])
	switch {
	case err != nil:
		return err
	case f == file.Cluster:
		return fmt.Errorf("%s: clustered databases are not supported", args[0])
	}
	return fmt.Errorf("%s: not a clustered database", args[0])
}

// no ends the command with ExitNo.
var errNo = &daemon.ExitError{Code: ExitNo}

func defaultDB() string     { return filepath.Join(daemon.DBDir(), "conf.db") }
func defaultSchema() string { return filepath.Join(daemon.PkgDataDir(), "vswitch.ovsschema") }

// arg is an argument that may be left out.
func arg(args []string, i int, otherwise string) string {
	if i < len(args) {
		return args[i]
	}
	return otherwise
}

// schemaArg reads the schema file that an argument names; without one, the
// installed default, or else the one built in.
func schemaArg(args []string, i int) (*schema.Schema, error) {
	name := arg(args, i, defaultSchema())
	s, err := schema.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && i >= len(args) {
		return schema.Parse(vswitch.JSON())
	}
	return s, err
}

// withSchema reads the schema of the database that an argument names.
func withSchema(args []string, f func(*schema.Schema)) error {
	e, err := openRead(arg(args, 0, defaultDB()))
	if err != nil {
		return err
	}
	defer e.Close()
	s, err := schemaOf(e)
	if err != nil {
		return err
	}
	f(s)
	return nil
}

func schemaOf(e storage.Engine) (*schema.Schema, error) {
	text, err := e.Schema()
	if err != nil {
		return nil, err
	}
	return schema.Parse(text)
}
