package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sideRole is the environment variable by which this program becomes the first
// process of a side.
const sideRole = "GOVS_BRCTL_SIDE"

// A side is a set of namespaces in which commands run. It ends with this
// process, and everything in it ends with it.
type side struct {
	name string
	cmd  *exec.Cmd
	enc  *json.Encoder
	dec  *json.Decoder
	in   io.Closer
	dir  string // run directory of its daemons
	env  []string
}

// A request is a command that a side is to run.
type request struct {
	Argv  []string
	Env   []string
	Times int // how often; 0 is once
}

// A result is what a command left. Of several runs it is the last one's.
type result struct {
	Out, Err string
	Status   int
	Error    string          // why it could not be run
	Took     []time.Duration // each run
}

// String is the output with the exit status, one line after the other.
func (r result) String() string {
	s := r.Out + r.Err
	if r.Status != 0 {
		s += fmt.Sprintf("(exit status %d)\n", r.Status)
	}
	return s
}

// newSide makes a side.
func newSide(name string) (*side, error) {
	dir, err := os.MkdirTemp("", "govs-brctl-")
	if err != nil {
		return nil, err
	}
	s := &side{name: name, dir: dir}
	s.cmd = exec.Command("/proc/self/exe")
	s.cmd.Env = append(os.Environ(), sideRole+"="+name)
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("no namespaces for %s: %w", name, err)
	}
	s.in, s.enc, s.dec = in, json.NewEncoder(in), json.NewDecoder(out)
	return s, nil
}

// close ends the side.
func (s *side) close() {
	s.in.Close()
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// run runs a command in the side, n times.
func (s *side) run(n int, argv ...string) (result, error) {
	if err := s.enc.Encode(request{Argv: argv, Env: s.env, Times: n}); err != nil {
		return result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	var r result
	if err := s.dec.Decode(&r); err != nil {
		return result{}, fmt.Errorf("%s: %w", s.name, err)
	}
	if r.Error != "" {
		return result{}, fmt.Errorf("%s: %s: %s", s.name, strings.Join(argv, " "), r.Error)
	}
	return r, nil
}

// must is run, where any failure of the command is one of ours.
func (s *side) must(argv ...string) error {
	r, err := s.run(1, argv...)
	if err == nil && r.Status != 0 {
		err = fmt.Errorf("%s: %s: %s", s.name, strings.Join(argv, " "), r)
	}
	return err
}

// all runs several commands that must not fail.
func (s *side) all(lines ...string) error {
	for _, l := range lines {
		if err := s.must(strings.Fields(l)...); err != nil {
			return err
		}
	}
	return nil
}

// daemons starts our database, switch and ovs-brcompatd in the side.
func (s *side) daemons(bin string) error {
	s.env = []string{"OVS_RUNDIR=" + s.dir, "OVS_LOGDIR=" + s.dir, "OVS_DBDIR=" + s.dir, "OVS_SYSCONFDIR=" + s.dir}
	at := func(name string) string { return filepath.Join(bin, name) }
	for _, argv := range [][]string{
		{at("ovsdb-tool"), "create", s.dir + "/conf.db", "schema/vswitch/vswitch.ovsschema"},
		{at("ovsdb-server"), s.dir + "/conf.db", "--remote=punix:" + s.dir + "/db.sock", "--pidfile", "--detach", "-vconsole:off", "--log-file"},
		{at("ovs-vsctl"), "--no-wait", "init"},
		{at("ovs-vswitchd"), "--pidfile", "--detach", "-vconsole:off", "--log-file"},
		{at("ovs-brcompatd"), "--pidfile", "--detach", "-vANY:console:EMER", "--log-file"},
	} {
		if err := s.must(argv...); err != nil {
			return err
		}
	}
	return nil
}

// serveSide is the first process of a side: it runs what it is asked to.
func serveSide() {
	enc := json.NewEncoder(os.Stdout)
	dec := json.NewDecoder(os.Stdin)
	setup := func() error {
		if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
			return err
		}
		if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
			return err
		}
		return unix.Mount("sysfs", "/sys", "sysfs", 0, "")
	}()
	os.Unsetenv(sideRole)
	for {
		var q request
		if err := dec.Decode(&q); err != nil {
			return
		}
		var r result
		if setup != nil {
			r.Error = setup.Error()
		} else {
			r = runHere(q)
		}
		if err := enc.Encode(r); err != nil {
			return
		}
	}
}

// runHere runs a command as often as asked, and measures it. A run that takes
// a minute is ended.
func runHere(q request) result {
	var r result
	for range max(q.Times, 1) {
		cmd := exec.Command(q.Argv[0], q.Argv[1:]...)
		cmd.Env = append(os.Environ(), q.Env...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		cmd.WaitDelay = time.Second
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			return result{Error: err.Error()}
		}
		guard := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		cmd.Wait()
		guard.Stop()
		r.Took = append(r.Took, time.Since(begin))
		r.Out, r.Err, r.Status = out.String(), errs.String(), cmd.ProcessState.ExitCode()
	}
	return r
}
