// Package up is "govs up": database and switch in one process in the
// foreground, for containers and first tries. What is missing is made: the
// directories, and the database from the schema that is built in.
//
// Paths come from the environment variables that all programs share:
// OVS_RUNDIR, OVS_LOGDIR, OVS_DBDIR, OVS_SYSCONFDIR. Both daemons have the pid
// files and control sockets there that commands look for.
//
// # Caveats
//
// When the process is killed both go at once; a switch that is to outlive its
// database, or the other way round, is started with the two daemons.
package up

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"govs/internal/daemon"
	"govs/ovsdb/server"
	"govs/ovsdb/storage/file"
	"govs/schema/vswitch"
	vswitchd "govs/vswitchd/daemon"
	"govs/vswitchd/desired"
)

// Config is what "govs up" is told by its options.
type Config struct {
	Database string   // the file; "" is DBDIR/conf.db
	Remotes  []string // more remotes of the database
	Dummy    string   // as ovs-vswitchd --enable-dummy; "" is none
	Log      daemon.Options
}

// Command is "govs up".
func Command() *cobra.Command {
	var c Config
	cmd := daemon.Frame("up", "run database and switch in one process")
	cmd.Use = "govs up"
	cmd.Args = cobra.NoArgs
	fs := cmd.Flags()
	fs.StringVar(&c.Database, "database", "", "database `FILE`, made when missing (default DBDIR/conf.db)")
	fs.StringArrayVar(&c.Remotes, "remote", nil, "one more `REMOTE` on which the database listens, such as ptcp:6640:127.0.0.1")
	fs.StringVar(&c.Dummy, "enable-dummy", "", "as the option of ovs-vswitchd")
	fs.Lookup("enable-dummy").NoOptDefVal = "on"
	c.Log.LogFlags(fs)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		return Run(ctx, c, cmd.OutOrStdout())
	}
	return cmd
}

// Run runs both until the context ends, one of them fails, or is told to exit
// by its control socket. It tells out how to talk to them.
func Run(ctx context.Context, c Config, out io.Writer) error {
	for _, dir := range []string{daemon.RunDir(), daemon.LogDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	db, err := start("ovsdb-server", c.Log)
	if err != nil {
		return err
	}
	defer db.Close()
	s := server.New(server.Config{Log: db.Logger, RunDir: daemon.RunDir()})
	defer s.Close()
	path, made, err := database(s, c.Database)
	if err != nil {
		return err
	}
	socket := filepath.Join(daemon.RunDir(), "db.sock")
	for _, remote := range append([]string{"punix:" + socket, "db:Open_vSwitch,Open_vSwitch,manager_options"}, c.Remotes...) {
		if err := s.AddRemote(remote); err != nil {
			return err
		}
	}
	s.Register(db.Ctl, daemon.AbsPath)
	db.Ready()

	sw, err := start("ovs-vswitchd", c.Log)
	if err != nil {
		return err
	}
	defer sw.Close()
	ready := make(chan struct{})
	dummy := desired.DummyOff
	if c.Dummy != "" {
		dummy = vswitchd.Dummies(c.Dummy)
	}
	x, err := vswitchd.New(vswitchd.Options{
		Remote:  "unix:" + socket,
		RunDir:  daemon.RunDir(),
		Version: daemon.Version,
		Dummy:   dummy,
		Log:     sw.Logger,
		Ready:   func() { close(ready) },
	})
	if err != nil {
		return fmt.Errorf("switch: %w", err)
	}
	x.Register(sw.Ctl)
	sw.Serve()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	for {
		select {
		case <-ready:
			ready = nil
			sw.Ready()
			tell(out, path, made, socket)
			continue
		case <-ctx.Done():
		case <-db.Context().Done():
		case <-sw.Context().Done():
		case err := <-done:
			return err
		}
		cancel()
		return <-done
	}
}

// start begins a daemon within this process.
func start(name string, log daemon.Options) (*daemon.Process, error) {
	o := log
	o.Embedded = true
	o.PidFile.Set = true
	return daemon.Start(name, &o)
}

// database opens the database file, and makes it and its one row of
// Open_vSwitch first where they are missing.
func database(s *server.Server, path string) (at string, made bool, err error) {
	if path == "" {
		path = filepath.Join(daemon.DBDir(), "conf.db")
	}
	path = daemon.AbsPath(path)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return path, false, err
		}
		if err := file.Create(path, vswitch.JSON()); err != nil {
			return path, false, err
		}
		made = true
	}
	if err := s.OpenDatabase(path); err != nil {
		return path, made, err
	}
	db := s.Database(vswitch.Name)
	if db == nil {
		return path, made, fmt.Errorf("%s: not a database of the switch: it has no %s", path, vswitch.Name)
	}
	return path, made, initialize(db)
}

// initialize gives the database its row, as "ovs-vsctl init" does. The wait
// fails where there is one already, and so the insert is not done.
func initialize(db *server.Database) error {
	const none = `["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["_uuid"],` +
		`"until":"==","rows":[],"timeout":0},{"op":"insert","table":"Open_vSwitch","row":{}}]`
	if _, err := db.Transact([]byte(none)); err != nil {
		const some = `["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["_uuid"],` +
			`"until":"!=","rows":[],"timeout":0}]`
		if _, second := db.Transact([]byte(some)); second != nil {
			return fmt.Errorf("initializing the database: %w", err)
		}
	}
	return nil
}

func tell(out io.Writer, path string, made bool, socket string) {
	what := "opened"
	if made {
		what = "made"
	}
	fmt.Fprintf(out, "govs %s is up (process %d)\n", daemon.Version, os.Getpid())
	fmt.Fprintf(out, "  database  %s (%s), served at unix:%s\n", path, what, socket)
	fmt.Fprint(out, "  logs      standard error\n")
	fmt.Fprintf(out, "talk to it, with OVS_RUNDIR=%s:\n", daemon.RunDir())
	fmt.Fprintf(out, "  ovs-vsctl --db=unix:%s add-br br0\n", socket)
	fmt.Fprintf(out, "  ovs-appctl -t %s dpif/show\n", filepath.Join(daemon.RunDir(), fmt.Sprintf("ovs-vswitchd.%d.ctl", os.Getpid())))
	fmt.Fprint(out, "Ctrl-C ends it.\n")
}
