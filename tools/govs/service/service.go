// Package service is "govs ctl": it starts, stops and checks the daemons as
// ovs-ctl(8) does, for service files and start scripts. The programs that it runs
// are govs itself under their names, so that nothing else need be installed.
//
// Paths come from the environment variables that all programs share.
//
// # Caveats
//
// There is no kernel module: load-kmod succeeds without one, and
// force-reload-kmod is restart. restart does not save OpenFlow flows, the limits
// of core files are left to the system, and enable-protocol and the wrappers are
// not supported.
package service

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"govs/internal/daemon"
)

// Exit statuses.
const (
	ExitOK      = 0
	ExitFailure = 1 // also of status, where a daemon is not running
)

// The daemons.
const (
	database = "ovsdb-server"
	switchd  = "ovs-vswitchd"
)

// service is one run of the command.
type service struct {
	o           options
	name        string // of the command, for messages
	out, errors io.Writer
}

// verbs are the commands by their names.
func verbs() map[string]func(*service) error {
	return map[string]func(*service) error{
		"start":                      (*service).start,
		"stop":                       (*service).stop,
		"restart":                    (*service).restart,
		"force-reload-kmod":          (*service).restart,
		"load-kmod":                  func(*service) error { return nil },
		"status":                     (*service).status,
		"version":                    (*service).version,
		"delete-transient-ports":     (*service).deleteTransientPorts,
		"record-hostname-if-not-set": (*service).recordHostname,
		"enable-protocol": func(*service) error {
			return fmt.Errorf("enable-protocol is not supported; let the packet filter accept the protocol yourself")
		},
	}
}

// Main runs "govs ctl" with argv, its name first, and returns the exit status.
func Main(argv []string, stdout, stderr io.Writer) int {
	s := &service{o: defaults(), name: argv[0], out: stdout, errors: stderr}
	verb := ""
	for _, arg := range argv[1:] {
		switch {
		case arg == "-h", arg == "--help", arg == "help" && verb == "":
			fmt.Fprint(stdout, help())
			return ExitOK
		case arg == "-V", arg == "--version":
			fmt.Fprint(stdout, daemon.VersionText(s.name))
			return ExitOK
		case strings.HasPrefix(arg, "-"):
			if !s.o.set(arg) {
				fmt.Fprintf(stderr, "%s: unknown option %q (use --help for help)\n", s.name, arg)
			}
		case verb == "":
			verb = arg
		default:
			fmt.Fprintf(stderr, "%s: exactly one non-option argument required (use --help for help)\n", s.name)
			return ExitFailure
		}
	}
	run, ok := verbs()[verb]
	switch {
	case verb == "":
		fmt.Fprintf(stderr, "%s: missing command name (use --help for help)\n", s.name)
		return ExitFailure
	case !ok:
		fmt.Fprintf(stderr, "%s: unknown command %q (use --help for help)\n", s.name, verb)
		return ExitFailure
	}
	if err := run(s); err != nil {
		if text := err.Error(); text != "" {
			fmt.Fprintf(stderr, "%s: %s\n", s.name, text)
		}
		return ExitFailure
	}
	return ExitOK
}

// quiet is a failure of which everything has been said.
type quiet struct{}

func (quiet) Error() string { return "" }

func (s *service) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// program is a run of one of the project's programs.
func (s *service) program(name string, args ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, args...)
	cmd.Args[0] = name
	cmd.Stderr = s.errors
	return cmd, nil
}

// output runs one of the programs and returns what it printed.
func (s *service) output(name string, args ...string) (string, error) {
	cmd, err := s.program(name, args...)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s failed (%w)", name, err)
	}
	return strings.TrimRight(out.String(), "\n"), nil
}

// vsctl runs ovs-vsctl, which does not wait for the switch.
func (s *service) vsctl(args ...string) (string, error) {
	return s.output("ovs-vsctl", append([]string{"--no-wait", "--db=unix:" + s.o.dbSock}, args...)...)
}

// running tells a daemon's process id, 0 where it does not run.
func running(name string) int {
	pid, err := daemon.ReadPidFile(daemon.PidFilePath(name))
	if err != nil {
		return 0
	}
	return pid
}

func (s *service) status() error {
	var err error
	for _, d := range s.o.daemons() {
		if pid := running(d); pid != 0 {
			s.say("%s is running with pid %d", d, pid)
		} else {
			s.say("%s is not running", d)
			err = quiet{}
		}
	}
	return err
}

func (s *service) version() error {
	for _, d := range s.o.daemons() {
		s.say("%s", strings.TrimSpace(daemon.VersionLine(d)))
	}
	return nil
}

// configured is a file of the system's configuration.
func configured(name string) string {
	return filepath.Join(daemon.SysconfDir(), "openvswitch", name)
}
