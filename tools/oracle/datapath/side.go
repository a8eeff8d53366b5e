package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"govs/internal/unixctl"
	"govs/schema/vswitch"
	"govs/tools/peer"
)

// patience is how long a program may take for an answer.
const patience = 20 * time.Second

// A side is one switch with a database of its own.
type side struct {
	name  string
	dir   string
	vsctl string
	db    *peer.Server
	cmd   *exec.Cmd
	ctl   *unixctl.Client
	read  map[string]int64 // how much of each port's file was read
}

// startSide starts a switch. Its database is served by the C server on both
// sides.
func startSide(name, program, dir string) (*side, error) {
	server, err := peer.Debian("ovsdb-server")
	if err != nil {
		return nil, err
	}
	s := &side{name: name, dir: dir, read: map[string]int64{}, vsctl: filepath.Join(filepath.Dir(server), "ovs-vsctl")}
	if s.db, err = peer.Start(server, dir, vswitch.JSON()); err != nil {
		return nil, err
	}
	if _, err := s.run(s.vsctl, "--db=unix:"+s.db.Sock, "--no-wait", "init"); err != nil {
		return nil, err
	}
	ctl := filepath.Join(dir, "ctl")
	s.cmd = exec.Command(program, "unix:"+s.db.Sock, "--enable-dummy", "--disable-system", "--unixctl="+ctl,
		"--pidfile="+filepath.Join(dir, "pid"), "-vconsole:off", "--log-file="+filepath.Join(dir, "switch.log"))
	s.cmd.Dir, s.cmd.Env = dir, s.environ()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.stop()
		return nil, err
	}
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("unix", ctl); err == nil {
			conn.Close()
			break
		}
		if time.Now().After(end) {
			s.stop()
			return nil, fmt.Errorf("%s does not answer", program)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if s.ctl, err = unixctl.Dial(ctx, ctl); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *side) environ() []string {
	return append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_DBDIR="+s.dir, "OVS_LOGDIR="+s.dir, "OVS_SYSCONFDIR="+s.dir)
}

func (s *side) run(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Env = s.dir, s.environ()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %s %s: %w: %s", s.name, filepath.Base(program), strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

func (s *side) stop() {
	if s.ctl != nil {
		s.ctl.Close()
	}
	if s.cmd != nil && s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s.db.Stop()
}

// call asks the switch; an error that it answers is text, too.
func (s *side) call(verb string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := s.ctl.Call(ctx, verb, args)
	var refused *unixctl.CommandError
	if errors.As(err, &refused) {
		return "error: " + refused.Text, nil
	}
	if err != nil {
		return "", fmt.Errorf("%s: %s %s: %w", s.name, verb, strings.Join(args, " "), err)
	}
	return text, nil
}

// configure runs ovs-vsctl.
func (s *side) configure(args []string) error {
	_, err := s.run(s.vsctl, append([]string{"--db=unix:" + s.db.Sock, "--timeout=15"}, args...)...)
	return err
}

// file is where a port writes what it sends.
func (s *side) file(n int, port string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%d-%s.pcap", n, port))
}

// sent are the frames in hexadecimal that the port sent since the last call.
func (s *side) sent(n int, port string) ([]string, error) {
	path := s.file(n, port)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	at := max(s.read[path], 24)
	var frames []string
	for int64(len(b)) >= at+16 {
		size := int64(binary.LittleEndian.Uint32(b[at+8:]))
		if int64(len(b)) < at+16+size {
			break
		}
		frames = append(frames, hex.EncodeToString(bytes.Clone(b[at+16:at+16+size])))
		at += 16 + size
	}
	s.read[path] = at
	return frames, nil
}
