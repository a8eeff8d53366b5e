package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/stream"
	"govs/internal/unixctl"
	"govs/internal/vlog"
)

// Process is a running daemon.
type Process struct {
	// Log is the daemon's logging; its vlog/ verbs are registered on Ctl.
	Log *vlog.System
	// Ctl is the control server, with list-commands, version, vlog/.. and exit.
	// A daemon may replace exit and then calls Exit itself.
	Ctl *unixctl.Server

	opts    *Options
	program string
	log     *slog.Logger
	pid     *pidFile
	ready   *os.File // write end of the pipe to the waiting parent
	ctx     context.Context
	cancel  context.CancelCauseFunc
	signals chan os.Signal

	serve, readyOnce, closeOnce sync.Once
	mu                          sync.Mutex
	signal                      syscall.Signal
	count                       []func() map[string]uint64 // what coverage/show tells besides
}

// ExitError tells the caller of Start to end the process with Code at once:
// this process was the parent of a daemon, or a monitor. Where Signal is not 0
// the process should die of it.
type ExitError struct {
	Code   int
	Signal syscall.Signal
	Text   string // printed to stderr as "PROG: Text" unless empty
}

func (e *ExitError) Error() string {
	if e.Text != "" {
		return e.Text
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// ErrExit is the cause of the context (context.Cause) after the verb exit.
var ErrExit = errors.New("exit command")

// Start makes the process a daemon as o says: logging, --user, --detach and
// --monitor (in which the parents' Start returns an *ExitError), signals, pid
// file, control socket. program is the daemon's name, without directory.
func Start(program string, o *Options) (_ *Process, err error) {
	p := &Process{Log: vlog.New(program), opts: o, program: program}
	p.Log.Declare(o.Modules...)
	if err := o.setLevels(p.Log); err != nil {
		return nil, err
	}
	role := takeRole(o)
	if role == "" && !o.Embedded {
		if err := o.spawnParents(program, p.Log); err != nil {
			return nil, err
		}
	}
	p.ready = takeReadyPipe(o)
	defer func() {
		if err != nil {
			p.release()
		}
	}()
	if role == roleMonitor {
		return nil, p.monitor()
	}
	if err := dropPrivileges(program, o, p.ready); err != nil {
		return nil, err
	}
	if err := o.startLog(program, p.Log); err != nil {
		return nil, err
	}
	p.log = p.Log.Logger("daemon_unix")
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	if o.Monitor && !o.Embedded {
		debug.SetTraceback("crash") // a panic becomes SIGABRT
	}
	if o.PidFile.Set {
		if p.pid, err = makePidFile(o.pidPath(program), o.OverwritePidFile); err != nil {
			return nil, err
		}
	}
	if err := p.startCtl(); err != nil {
		return nil, err
	}
	if !o.Embedded {
		p.watchSignals()
	}
	return p, nil
}

func (o *Options) pidPath(program string) string {
	name := o.PidFile.Value
	if name == "" {
		name = program + ".pid"
	}
	return In(RunDir(), name)
}

func (o *Options) logPath(program string) string {
	if o.LogFile.Value == "" {
		return In(LogDir(), program+".log")
	}
	return AbsPath(o.LogFile.Value)
}

// StartLog prepares the logging of a command (not of a daemon) by the options of
// LogFlags; the console shows warnings and worse unless -v says otherwise.
func (o *Options) StartLog(program string, log *vlog.System) error {
	if err := log.SetLevels("console:warn"); err != nil {
		return err
	}
	if err := o.setLevels(log); err != nil {
		return err
	}
	return o.startLog(program, log)
}

func (o *Options) setLevels(log *vlog.System) error {
	for _, spec := range o.Verbose {
		if err := log.SetLevels(spec); err != nil {
			return fmt.Errorf("processing %q: %w", spec, err)
		}
	}
	return nil
}

// startLog sets up the ways to syslog and opens the log file. One that cannot be
// opened is a warning, as the C daemons have it, but an end where its name was
// given; whatever -v says, that is told.
func (o *Options) startLog(program string, log *vlog.System) error {
	if err := log.SetSyslogMethod(o.SyslogMethod); err != nil {
		return err
	}
	if o.SyslogTarget != "" {
		if err := log.SetSyslogTarget(o.SyslogTarget); err != nil {
			return err
		}
	}
	if o.LogFile.Set {
		if err := log.OpenFile(o.logPath(program)); err != nil {
			if o.LogFile.Value == "" {
				log.Logger("vlog").Warn(err.Error())
				return nil
			}
			if err := log.SetLevels("vlog:console:warn"); err != nil {
				return err
			}
			log.Logger("vlog").Warn(err.Error())
			return &ExitError{Code: 1}
		}
	}
	return nil
}

func (p *Process) startCtl() error {
	log := p.Log.Logger("unixctl")
	p.Ctl = unixctl.NewServer(log)
	p.Ctl.SetVersion(VersionLine(p.program))
	p.Log.Register(p.Ctl)
	p.Ctl.Register("exit", "", 0, 0, func(context.Context, []string) (string, error) {
		p.Exit()
		return "", nil
	})
	p.usage()
	path := p.opts.Unixctl
	switch path {
	case "none":
		return nil
	case "":
		path = fmt.Sprintf("%s.%d.ctl", p.program, os.Getpid())
	}
	path = In(RunDir(), path)
	if err := p.Ctl.Bind(path); err != nil {
		return fmt.Errorf("%s: could not initialize control socket (%s)", path, stream.ErrText(err))
	}
	return nil
}

// VersionLine is the first line of --version and of the verb version.
func VersionLine(program string) string {
	return fmt.Sprintf("%s (Open vSwitch) %s\n", program, Version)
}

// Program returns the daemon's name.
func (p *Process) Program() string { return p.program }

// Logger is Log.Logger.
func (p *Process) Logger(module string) *slog.Logger { return p.Log.Logger(module) }

// Context ends when the daemon is to end.
func (p *Process) Context() context.Context { return p.ctx }

// Exit ends the context, as the verb exit does.
func (p *Process) Exit() { p.cancel(ErrExit) }

// Serve begins to answer control connections; for daemons whose Ready comes
// long after their verbs are registered. Further calls do nothing.
func (p *Process) Serve() {
	p.serve.Do(func() {
		go func() {
			if err := p.Ctl.Serve(); err != nil {
				p.log.Error("control socket failed: " + err.Error())
			}
		}()
	})
}

// Ready says that the daemon is ready for its clients: the --detach parent
// returns, stdio and the working directory are left, control connections are
// answered, systemd is told. Further calls do nothing.
func (p *Process) Ready() {
	p.readyOnce.Do(func() {
		if !p.opts.Embedded {
			if p.opts.Detach {
				p.leave()
			}
			if p.ready != nil {
				_, _ = p.ready.Write([]byte{0})
				_ = p.ready.Close()
				p.ready = nil
			}
			if err := Notify("READY=1\nMAINPID=" + fmt.Sprint(os.Getpid())); err != nil {
				p.log.Warn("cannot notify the service manager: " + err.Error())
			}
		}
		p.Serve()
	})
}

// leave gives up stdio and the working directory.
func (p *Process) leave() {
	if err := p.Log.SetLevels("console:off"); err != nil {
		p.log.Warn(err.Error())
	}
	if null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0); err == nil {
		for fd := range 3 {
			if fd == 1 && p.opts.KeepStdout {
				continue
			}
			_ = unix.Dup3(int(null.Fd()), fd, 0)
		}
		_ = null.Close()
	}
	if !p.opts.NoChdir {
		if err := os.Chdir("/"); err != nil {
			p.log.Warn("chdir to / failed: " + err.Error())
		}
	}
}

func (p *Process) watchSignals() {
	signal.Ignore(syscall.SIGPIPE)
	p.signals = make(chan os.Signal, 4)
	notify(p.signals)
	go func() {
		var since time.Time
		for sig := range p.signals {
			s := sig.(syscall.Signal)
			p.mu.Lock()
			first := p.signal == 0
			if first {
				p.signal = s
			}
			p.mu.Unlock()
			if !first { // the second one does not wait, unless it is an echo of the first
				if time.Since(since) < time.Second/2 {
					continue
				}
				p.removeFiles()
				Die(s)
			}
			since = time.Now()
			p.Log.Logger("fatal_signal").Warn(fmt.Sprintf("terminating with signal %d (%s)", int(s), signalName(s)))
			p.cancel(fmt.Errorf("signal %d", int(s)))
		}
	}()
}

func (p *Process) removeFiles() {
	if p.pid != nil {
		p.pid.remove()
	}
	if path := p.Ctl.Path(); path != "" {
		_ = os.Remove(path)
	}
}

// Close ends the daemon: context, control socket, pid file, log.
func (p *Process) Close() error {
	p.closeOnce.Do(func() {
		p.cancel(ErrExit)
		if !p.opts.Embedded {
			_ = Notify("STOPPING=1") // nobody to tell if it fails
		}
		_ = p.Ctl.Close()
		p.release()
		if p.signals != nil {
			signal.Stop(p.signals)
			close(p.signals)
		}
		p.Log.Close()
	})
	return nil
}

func (p *Process) release() {
	if p.pid != nil {
		p.pid.remove()
	}
	if p.ready != nil { // the parent sees that we failed
		_ = p.ready.Close()
		p.ready = nil
	}
}

// Signal returns the signal that ended the context, or 0.
func (p *Process) Signal() syscall.Signal {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.signal
}

func signalName(s syscall.Signal) string {
	if n, ok := map[syscall.Signal]string{
		syscall.SIGTERM: "Terminated", syscall.SIGINT: "Interrupt", syscall.SIGHUP: "Hangup", syscall.SIGKILL: "Killed",
		syscall.SIGSEGV: "Segmentation fault", syscall.SIGABRT: "Aborted", syscall.SIGBUS: "Bus error",
		syscall.SIGFPE: "Floating point exception", syscall.SIGILL: "Illegal instruction", syscall.SIGALRM: "Alarm clock",
		syscall.SIGPIPE: "Broken pipe", syscall.SIGXCPU: "CPU time limit exceeded", syscall.SIGXFSZ: "File size limit exceeded",
	}[s]; ok {
		return n
	}
	return s.String()
}

// fatal writes an error as C does and returns the exit status.
func fatal(w io.Writer, program string, err error) int {
	var ee *ExitError
	if errors.As(err, &ee) {
		if ee.Text != "" {
			fmt.Fprintf(w, "%s: %s\n", program, ee.Text)
		}
		if ee.Signal != 0 {
			Die(ee.Signal)
		}
		return ee.Code
	}
	fmt.Fprintf(w, "%s: %v\n", filepath.Base(program), err)
	return 1
}

// notify has the signals that end a daemon sent to the channel, but for those
// that it was started to ignore, as nohup(1) does.
func notify(to chan<- os.Signal) {
	for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(to, s)
		}
	}
}
