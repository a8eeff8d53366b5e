// Package command is the command line of ovsdb-server: options, database files,
// remotes, --run.
//
// # Caveats
//
// Record and replay are not supported: the options exist and say so. A
// --config-file with relay, active-backup or clustered databases is refused.
package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"govs/internal/daemon"
	"govs/ovsdb/server"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // a usage error, a file that cannot be opened, a --run command that failed
)

// options are the command's own.
type options struct {
	daemon                daemon.Options
	remotes               []string
	run                   string
	config                string
	syncFrom, syncExclude string
	active                bool
	ignored               struct {
		columnDiff bool
	}
	unsupported map[string]*string
}

// unsupportedFlags are options of the C server that need an argument, or have
// one that may be left out.
var unsupportedFlags = []string{"record", "replay"}

// New makes the command.
func New() *cobra.Command {
	o := &options{unsupported: make(map[string]*string)}
	o.daemon.Modules = []string{"ovsdb_server", "ovsdb_jsonrpc_server", "jsonrpc", "reconnect", "transaction"}
	cmd := daemon.Command("ovsdb-server", "Open vSwitch database server", &o.daemon, func(p *daemon.Process, args []string) error {
		return o.main(p, args)
	})
	cmd.Use = "ovsdb-server [flags] [DATABASE...]"
	fs := cmd.Flags()
	fs.StringArrayVar(&o.remotes, "remote", nil, "connect or listen to `REMOTE`")
	fs.StringVar(&o.run, "run", "", "run `COMMAND` and exit when it does")
	fs.StringVar(&o.syncFrom, "sync-from", "", "replicate the databases of `SERVER`")
	fs.StringVar(&o.syncExclude, "sync-exclude-tables", "", "do not replicate `DB:TABLE,...`")
	fs.BoolVar(&o.active, "active", false, "with --sync-from, start as the active server")
	fs.StringVar(&o.config, "config-file", "", "read databases and remotes from `FILE`")
	fs.BoolVar(&o.ignored.columnDiff, "disable-file-column-diff", false, "accepted for compatibility; has no effect")
	for _, name := range unsupportedFlags {
		v := fs.String(name, "", "not supported")
		fs.Lookup(name).NoOptDefVal = " "
		o.unsupported[name] = v
	}
	return cmd
}

func (o *options) main(p *daemon.Process, args []string) error {
	tuneGC(debug.FreeOSMemory)
	for _, name := range unsupportedFlags {
		if *o.unsupported[name] != "" {
			return fmt.Errorf("--%s is not supported", name)
		}
	}
	back := returner{free: debug.FreeOSMemory}
	s := server.New(server.Config{Log: p.Logger, Events: server.Events{Spent: back.used}})
	defer func() {
		if err := s.Close(); err != nil {
			p.Logger("ovsdb_server").Warn("closing: " + err.Error())
		}
	}()
	if o.config != "" && (len(args) > 0 || len(o.remotes) > 0 || o.syncFrom != "" || o.syncExclude != "" || o.active) {
		return errors.New("--config-file excludes databases, --remote, --sync-from, --sync-exclude-tables and --active")
	}
	if len(args) == 0 && o.config == "" {
		args = []string{filepath.Join(daemon.DBDir(), "conf.db")}
	}
	for _, name := range args {
		if err := s.Open(name, daemon.AbsPath); err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), daemon.AbsPath(name), name))
		}
	}
	if o.syncFrom != "" {
		s.SetActive(o.syncFrom)
	}
	s.SetSyncExclude(o.syncExclude)
	tls := o.daemon.TLS
	for _, name := range []*string{&tls.PrivateKey, &tls.Certificate, &tls.CACert, &tls.PeerCACert} {
		if *name != "" && *name != "none" && !strings.HasPrefix(*name, "db:") {
			*name = daemon.AbsPath(*name)
		}
	}
	if err := s.SetTLS(tls); err != nil {
		return err
	}
	if o.syncFrom != "" && !o.active {
		if err := s.ConnectActive(); err != nil {
			return err
		}
	}
	handed, _, err := daemon.ListenFDs()
	if err != nil {
		return err
	}
	for _, lis := range handed {
		if err := s.AddListener(lis); err != nil {
			return err
		}
	}
	for _, r := range o.remotes {
		if err := s.KeepRemote(r); err != nil {
			return err
		}
	}
	s.Register(p.Ctl, daemon.AbsPath)
	if o.config != "" {
		c := &configured{s: s, path: daemon.AbsPath(o.config)}
		if err := c.load(); err != nil {
			return err
		}
		c.register(p.Ctl)
	}
	p.Logger("ovsdb_server").Info(strings.TrimSpace(daemon.VersionLine("ovsdb-server")))
	p.Ready()
	if o.run != "" {
		return run(p.Context(), o.run)
	}
	<-p.Context().Done()
	if errors.Is(context.Cause(p.Context()), daemon.ErrExit) {
		s.CancelMonitors() // as the C server does; after a signal it just ends
	}
	return nil
}

// run runs a shell command; its failure is the server's.
func run(ctx context.Context, command string) error {
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	var ee *exec.ExitError
	if !errors.As(err, &ee) {
		return err
	}
	if ws, ok := ee.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		name := ws.Signal().String()
		return fmt.Errorf("%s: child exited, killed (%s)", command, strings.ToUpper(name[:1])+name[1:])
	}
	return fmt.Errorf("%s: child exited, exit status %d", command, ee.ExitCode())
}
