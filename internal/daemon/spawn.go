package daemon

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"govs/internal/vlog"
)

// The part that a process plays is told by environment variables from its
// parent; they are removed at once, so that children do not inherit them.
const (
	envRole  = "GOVS_DAEMON_ROLE"
	envReady = "GOVS_DAEMON_READY_FD"

	roleMonitor = "monitor"
	roleWorker  = "worker"
)

func takeRole(o *Options) string {
	if o.Embedded {
		return roleWorker
	}
	role := os.Getenv(envRole)
	_ = os.Unsetenv(envRole)
	return role
}

func takeReadyPipe(o *Options) *os.File {
	if o.Embedded {
		return nil
	}
	v := os.Getenv(envReady)
	_ = os.Unsetenv(envReady)
	fd, err := strconv.Atoi(v)
	if err != nil || fd < 3 {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "ready")
}

// spawnParents starts the next process of the chain (monitor or worker) where
// --detach or --monitor ask for one, and returns an *ExitError in the parent.
func (o *Options) spawnParents(program string, log *vlog.System) error {
	switch {
	case o.Detach:
		role := roleWorker
		if o.Monitor {
			role = roleMonitor
		}
		return o.detach(role)
	case o.Monitor:
		p := &Process{Log: log, opts: o, program: program}
		return p.monitor()
	}
	return nil
}

// executable returns the file of this program, also where it was replaced.
func executable() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(self); err != nil {
		return "/proc/self/exe", nil
	}
	return self, nil
}

// spawn starts this program again in directory dir with its own arguments, its
// standard input and output (stdio) or only the output (stdout).
func spawn(role, dir string, session, stdio, stdout bool) (cmd *exec.Cmd, ready *os.File, err error) {
	self, err := executable()
	if err != nil {
		return nil, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	cmd = exec.Command(self)
	cmd.Args, cmd.Dir = os.Args, dir
	cmd.Env = append(os.Environ(), envRole+"="+role, envReady+"=3")
	cmd.ExtraFiles = []*os.File{w}
	if fds := os.Getenv("LISTEN_FDS"); fds != "" && handedOver(os.Getenv("LISTEN_PID")) {
		// Handed-over sockets stand from 3 on: keep them there.
		n, _ := strconv.Atoi(fds)
		cmd.ExtraFiles = nil
		for fd := 3; fd < 3+n; fd++ {
			// A copy, for the file closes its descriptor when it is collected,
			// and a monitor needs the sockets for the next worker, too.
			own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3+n)
			if err != nil {
				r.Close()
				return nil, nil, fmt.Errorf("handed-over socket %d: %w", fd, err)
			}
			f := os.NewFile(uintptr(own), "listen")
			defer f.Close()
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		cmd.ExtraFiles = append(cmd.ExtraFiles, w)
		cmd.Env = append(cmd.Env, envReady+"="+strconv.Itoa(3+n), "LISTEN_PID=self")
	}
	if stdio {
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
	}
	if stdout {
		cmd.Stdout = os.Stdout
	}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, nil, err
	}
	return cmd, r, nil
}

// detach starts the background process and waits for it to be ready.
func (o *Options) detach(role string) error {
	cmd, ready, err := spawn(role, "", true, false, o.KeepStdout)
	if err != nil {
		return fmt.Errorf("could not start the background process: %w", err)
	}
	defer ready.Close()
	if n, _ := ready.Read(make([]byte, 1)); n == 1 {
		return &ExitError{Code: 0}
	}
	err = cmd.Wait()
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		if ws := ee.Sys().(syscall.WaitStatus); ws.Signaled() {
			return &ExitError{Code: 1, Text: fmt.Sprintf("fork child died before signaling startup (%s)", waitText(ws))}
		}
		return &ExitError{Code: ee.ExitCode()}
	}
	if err != nil {
		return err
	}
	return &ExitError{Code: 1, Text: "fork child died before signaling startup (exit status 0)"}
}

// waitText says how a process ended.
func waitText(ws syscall.WaitStatus) string {
	switch {
	case ws.Signaled():
		s := "killed (" + signalName(ws.Signal()) + ")"
		if ws.CoreDump() {
			s += ", core dumped"
		}
		return s
	case ws.Exited():
		return fmt.Sprintf("exit status %d", ws.ExitStatus())
	}
	return fmt.Sprintf("status %#x", uint32(ws))
}

// crashed reports whether a process died of a signal that tells of a bug.
func crashed(ws syscall.WaitStatus) bool {
	if !ws.Signaled() {
		return false
	}
	switch ws.Signal() {
	case syscall.SIGABRT, syscall.SIGALRM, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGILL,
		syscall.SIGPIPE, syscall.SIGSEGV, syscall.SIGXCPU, syscall.SIGXFSZ:
		return true
	}
	return false
}

// monitor runs workers until one ends for a reason that is no crash, and
// returns the *ExitError to end with.
func (p *Process) monitor() error {
	p.Log.SetSubprogram("monitor")
	log := p.Log.Logger("daemon_unix")
	sigs := make(chan os.Signal, 4)
	notify(sigs)
	defer signal.Stop(sigs)
	var last time.Time
	dir, err := os.Getwd() // relative paths of the command line mean this, also later
	if err != nil {
		dir = ""
	}
	for crashes := 0; ; {
		cmd, ready, err := spawn(roleWorker, dir, false, !p.opts.Detach, p.opts.KeepStdout)
		if err != nil {
			return fmt.Errorf("could not start the daemon: %w", err)
		}
		last = time.Now()
		ended := make(chan error, 1)
		up := make(chan bool, 1)
		go func() {
			n, _ := ready.Read(make([]byte, 1))
			ready.Close()
			up <- n == 1
		}()
		go func() { ended <- cmd.Wait() }()
		wasUp, pending := crashes > 0, true
		for err, running := error(nil), true; running; {
			select {
			case sig := <-sigs:
				_ = cmd.Process.Signal(sig)
			case ok := <-up:
				pending = false
				if ok && !wasUp {
					wasUp = true
					p.monitorReady()
				}
			case err = <-ended:
				running = false
				_ = err // the state tells more
			}
		}
		ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
		if pending { // it may have been ready just before it ended
			if ok := <-up; ok && !wasUp {
				wasUp = true
				p.monitorReady()
			}
		}
		if !wasUp && crashes == 0 {
			if ws.Signaled() {
				return &ExitError{Code: 1, Text: fmt.Sprintf("fork child died before signaling startup (%s)", waitText(ws))}
			}
			return &ExitError{Code: ws.ExitStatus()}
		}
		if !crashed(ws) {
			p.monitorLog(func() {
				log.Info(fmt.Sprintf("pid %d died, %s, exiting", cmd.Process.Pid, waitText(ws)))
			})
			if ws.Signaled() {
				return &ExitError{Code: 1, Signal: ws.Signal()}
			}
			return &ExitError{Code: ws.ExitStatus()}
		}
		crashes++
		p.monitorLog(func() {
			log.Error(fmt.Sprintf("%d crashes: pid %d died, %s, restarting", crashes, cmd.Process.Pid, waitText(ws)))
		})
		if wait := 10*time.Second - time.Since(last); crashes > 1 && wait > 0 {
			select { // not more than one start in ten seconds
			case <-time.After(wait):
			case sig := <-sigs:
				return &ExitError{Code: 1, Signal: sig.(syscall.Signal)}
			}
		}
	}
}

// monitorReady passes the readiness of the first worker on.
func (p *Process) monitorReady() {
	if p.opts.Detach {
		p.leave()
	}
	if p.ready != nil {
		_, _ = p.ready.Write([]byte{0})
		_ = p.ready.Close()
		p.ready = nil
	}
}

// monitorLog opens the log file for a message, so that a rotated file is not held.
func (p *Process) monitorLog(fn func()) {
	if p.opts.LogFile.Set {
		path := p.opts.logPath(p.program)
		if !strings.HasPrefix(path, "/") {
			return
		}
		if err := p.Log.OpenFile(path); err == nil {
			defer p.Log.CloseFile()
		}
	}
	fn()
}
