package service

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"govs/internal/daemon"
	"govs/schema/vswitch"
)

// start does what ovs-ctl(8) lists for its start command.
func (s *service) start() error {
	for _, dir := range []string{daemon.RunDir(), daemon.LogDir()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if !s.o.noDatabase {
		if err := s.startDatabase(); err != nil {
			return err
		}
	}
	if !s.o.noSwitch {
		if err := s.startSwitch(); err != nil {
			return err
		}
	}
	return s.started()
}

// restart stops and starts each daemon.
func (s *service) restart() error {
	for _, d := range s.o.daemons() {
		if err := s.end(d, false); err != nil {
			return err
		}
		start := s.startDatabase
		if d == switchd {
			start = s.startSwitch
		}
		if err := start(); err != nil {
			return err
		}
	}
	return s.started()
}

// started tells a database that was started what it does not keep.
func (s *service) started() error {
	if running(database) == 0 {
		return nil
	}
	s.say("Enabling remote OVSDB managers.")
	if _, err := s.output("ovs-appctl", "-t", database, "ovsdb-server/add-remote", "db:Open_vSwitch,Open_vSwitch,manager_options"); err != nil {
		return err
	}
	if s.o.noHostname {
		return nil
	}
	return s.recordHostname()
}

func (s *service) startDatabase() error {
	if running(database) != 0 {
		s.say("%s is already running.", database)
		return nil
	}
	if err := s.prepareFile(); err != nil {
		return err
	}
	args := []string{s.o.dbFile}
	for _, name := range strings.Fields(s.o.extraDBs) {
		args = append(args, daemon.In(daemon.DBDir(), name))
	}
	args = append(args, "-vconsole:emer", "-vsyslog:err", "-vfile:info", "--remote=punix:"+s.o.dbSock,
		"--private-key=db:Open_vSwitch,SSL,private_key", "--certificate=db:Open_vSwitch,SSL,certificate",
		"--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert")
	if err := s.run(database, s.o.databasePriority, append(args, strings.Fields(s.o.databaseOptions)...)); err != nil {
		return err
	}
	if _, err := s.vsctl("init", "--", "set", "Open_vSwitch", ".", "db-version="+vswitch.Schema().Version); err != nil {
		return err
	}
	if err := s.identify(); err != nil {
		return err
	}
	if s.o.deleteBridges {
		bridges, err := s.vsctl("list-br")
		if err != nil {
			return err
		}
		for _, b := range strings.Fields(bridges) {
			if _, err := s.vsctl("del-br", b); err != nil {
				return err
			}
		}
	}
	if s.o.deleteTransient {
		return s.deleteTransientPorts()
	}
	return nil
}

// prepareFile makes the database where there is none, and brings an older one to
// the schema of today.
func (s *service) prepareFile() error {
	schema := s.o.dbSchema
	if _, err := os.Stat(schema); errors.Is(err, fs.ErrNotExist) {
		dir, err := os.MkdirTemp("", "govs-schema")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		schema = filepath.Join(dir, "vswitch.ovsschema")
		if err := os.WriteFile(schema, vswitch.JSON(), 0o600); err != nil {
			return err
		}
	}
	if _, err := os.Stat(s.o.dbFile); errors.Is(err, fs.ErrNotExist) {
		s.say("%s does not exist ... (warning).", s.o.dbFile)
		if err := os.MkdirAll(filepath.Dir(s.o.dbFile), 0o755); err != nil {
			return err
		}
		s.say("Creating empty database %s.", s.o.dbFile)
		_, err := s.output("ovsdb-tool", "create", s.o.dbFile, schema)
		return err
	}
	answer, err := s.output("ovsdb-tool", "needs-conversion", s.o.dbFile, schema)
	if err != nil || answer != "yes" {
		return err
	}
	version, err := s.output("ovsdb-tool", "db-version", s.o.dbFile)
	if err != nil {
		return err
	}
	sum, err := s.output("ovsdb-tool", "db-cksum", s.o.dbFile)
	if err != nil {
		return err
	}
	backup := fmt.Sprintf("%s.backup%s-%s", s.o.dbFile, version, strings.ReplaceAll(sum, " ", "-"))
	s.say("Backing up database to %s.", backup)
	if err := copyFile(s.o.dbFile, backup); err != nil {
		return err
	}
	if _, err := s.output("ovsdb-tool", "compact", s.o.dbFile); err != nil {
		return err
	}
	s.say("Converting database schema.")
	_, err = s.output("ovsdb-tool", "convert", s.o.dbFile, schema)
	return err
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o640)
}

func (s *service) startSwitch() error {
	if running(switchd) != 0 {
		s.say("%s is already running.", switchd)
		return nil
	}
	args := []string{"unix:" + s.o.dbSock, "-vconsole:emer", "-vsyslog:err", "-vfile:info"}
	if !s.o.noMlockall {
		args = append(args, "--mlockall")
	}
	return s.run(switchd, s.o.switchPriority, append(args, strings.Fields(s.o.switchOptions)...))
}

// run starts a daemon and returns when it is ready.
func (s *service) run(name, priority string, args []string) error {
	args = append(args, "--no-chdir", "--log-file="+filepath.Join(daemon.LogDir(), name+".log"),
		"--pidfile="+daemon.PidFilePath(name), "--detach")
	if !s.o.noMonitor {
		args = append(args, "--monitor")
	}
	if s.o.noConfine {
		args = append(args, "--no-self-confinement")
	}
	if s.o.user != "" {
		args = append(args, "--user="+s.o.user)
	}
	cmd, err := s.program(name, args...)
	if err != nil {
		return err
	}
	if priority != "" && priority != "0" {
		cmd = niced(cmd, priority)
	}
	cmd.Dir, cmd.Stdout = s.o.cwd, s.out
	s.say("Starting %s.", name)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("starting %s failed (%w)", name, err)
	}
	return nil
}

// niced runs a command by nice(1), under its own name: a shell passes that on.
func niced(cmd *exec.Cmd, priority string) *exec.Cmd {
	n := exec.Command("nice", append([]string{"-n", priority, "sh", "-c", `exec "$0" "$@"`, cmd.Path, filepath.Base(cmd.Args[0])}, cmd.Args[1:]...)...)
	n.Stderr = cmd.Stderr
	return n
}
