// Package brcompatd is the daemon ovs-brcompatd: it puts together the bridges
// of the database (package bridge), the sessions of programs under the
// launcher (package notify) and the watch over network devices (package link).
//
// # Caveats
//
// The daemon answers for the network namespace that it runs in.
//
// --appctl, --vsctl, --appctl-command and --prune-timeout are taken from old
// command lines, and do nothing: no programs are run, and the ports of vanished
// devices are removed at once.
package brcompatd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"govs/brcompat/bridge"
	"govs/brcompat/link"
	"govs/brcompat/notify"
	"govs/brcompat/seccomp"
	"govs/internal/daemon"
	"govs/internal/stream"
	"govs/internal/unixctl"
	"govs/internal/vlog"
)

// firstTry is how long the start of the daemon waits for the database. After
// that it is ready nevertheless, and goes on trying.
const firstTry = 5 * time.Second

// Command returns the command of the daemon.
func Command() *cobra.Command {
	opts := &daemon.Options{Capabilities: []int{unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH}}
	var socket string
	cmd := daemon.Command("ovs-brcompatd", "Linux bridge ioctls for the switch", opts, func(p *daemon.Process, args []string) error {
		remote := "unix:db.sock"
		switch {
		case len(args) > 1:
			return errors.New("more than one database given (use --help for help)")
		case len(args) == 1:
			remote = args[0]
		}
		if socket == "" {
			socket = filepath.Join(daemon.RunDir(), notify.SocketName)
		}
		return run(p, remote, daemon.AbsPath(socket), &opts.TLS)
	})
	fs := cmd.Flags()
	fs.StringVar(&socket, "socket", "", "socket for launchers (default: RUNDIR/"+notify.SocketName+")")
	for _, old := range []string{"appctl", "vsctl", "appctl-command", "prune-timeout"} {
		fs.String(old, "", "accepted for compatibility")
	}
	return cmd
}

// run is the daemon.
func run(p *daemon.Process, remote, socket string, tls *stream.TLSOptions) error {
	log := p.Logger("brcompatd")
	if ok, err := (seccomp.Caller{TID: os.Getpid()}).Capable(unix.CAP_SYS_PTRACE); err == nil && !ok {
		log.Warn("without CAP_SYS_PTRACE (not started by root?) calls of other users' programs fail")
	}
	links, err := link.Open()
	if err != nil {
		return err
	}
	defer links.Close()
	monitor, err := link.Watch()
	if err != nil {
		return err
	}
	defer monitor.Close()
	ctx := p.Context()
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // somebody is about to look anyway
		}
	}
	limited := vlog.Limit(log, 60, 60)
	dial := func() (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, firstTry)
		defer cancel()
		c, err := stream.Dial(ctx, remote, tls)
		if err != nil {
			limited.Warn(fmt.Sprintf("%s: connection attempt failed (%v)", remote, err))
		}
		return c, err
	}
	sw, err := bridge.New(bridge.Config{Remote: remote, Dial: dial, Links: links, News: monitor.Drain, FDB: fdbShow, Timers: stpTimers, Flush: fdbFlush, Changed: tell,
		Log: limited})
	if err != nil {
		return err
	}
	defer sw.Close()
	server, err := notify.Listen(socket, sw, vlog.Limit(p.Logger("brcompat_notify"), 60, 60))
	if err != nil {
		return err
	}
	defer server.Close()

	connected := make(chan struct{})
	go func() {
		if sw.Connect(ctx) == nil {
			close(connected)
			log.Info("connected to " + remote)
			prune(ctx, monitor.Wait, sw.Prune, again, log)
		}
	}()
	p.Count(func() map[string]uint64 { return map[string]uint64{"brcompat_pruned_ports": uint64(sw.Pruned())} })
	p.Count(server.Counters)
	p.Ctl.Register("brcompat/show", "", 0, 0, func(ctx context.Context, _ []string) (string, error) {
		return show(ctx, sw, server, remote), nil
	})
	go func() {
		for {
			select {
			case <-changed:
				server.Changed(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx) }()
	select {
	case <-connected:
	case <-time.After(firstTry):
	case <-ctx.Done():
	}
	p.Ready()
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	}
}

// again is how long after a failed attempt to prune the next one comes.
const again = time.Second

// prune removes the ports of vanished devices as they vanish, until wait fails
// or ctx ends. What cannot be removed now is tried again after a pause.
func prune(ctx context.Context, wait func() error, remove func(context.Context) error, pause time.Duration, log *slog.Logger) {
	for wait() == nil {
		for {
			c, cancel := context.WithTimeout(ctx, 5*time.Second)
			err := remove(c)
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			log.Warn(fmt.Sprintf("cannot remove the ports of vanished devices: %v", err))
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
	}
}

func show(ctx context.Context, sw *bridge.Switch, server *notify.Server, remote string) string {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	state := "not connected"
	if sw.Connected(ctx) {
		state = "connected"
	}
	return fmt.Sprintf("database: %s (%s)\npruned ports: %d\n%s", remote, state, sw.Pruned(), server.Show())
}

// fdbShow asks the switch in our run directory for the MAC table of a bridge.
func fdbShow(ctx context.Context, name string) (string, error) {
	return vswitchd(ctx, "fdb/show", name)
}

// stpTimers asks it for the timers of a bridge's spanning tree.
func stpTimers(ctx context.Context, name string) (string, error) {
	return vswitchd(ctx, "stp/timers", name)
}

// fdbFlush makes that switch forget what a bridge learned.
func fdbFlush(ctx context.Context, name string) error {
	_, err := vswitchd(ctx, "fdb/flush", name)
	return err
}

func vswitchd(ctx context.Context, verb, arg string) (string, error) {
	path, err := daemon.ControlSocket("ovs-vswitchd")
	if err != nil {
		return "", err
	}
	return unixctl.Call(ctx, path, verb, []string{arg})
}
