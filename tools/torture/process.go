package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"govs/internal/unixctl"
	"govs/ovsdb/storage/file"
)

// place is a folder with a database and the sockets of its server.
type place struct {
	server string   // the program
	dir    string   // of the sockets
	db     string   // the database's file, in a folder below
	wrap   []string // a command line that the server's is put behind
}

// newPlace makes a database in a new folder.
func newPlace(server string, format file.Format) (*place, error) {
	server, err := filepath.Abs(server)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tort")
	if err != nil {
		return nil, err
	}
	p := &place{server: server, dir: dir, db: filepath.Join(dir, "db", "conf.db")}
	if err := os.Mkdir(filepath.Dir(p.db), 0o700); err != nil {
		return nil, err
	}
	if err := file.CreateAs(p.db, format, []byte(schemaText)); err != nil {
		p.remove()
		return nil, err
	}
	return p, nil
}

func (p *place) remove()      { os.RemoveAll(p.dir) }
func (p *place) sock() string { return filepath.Join(p.dir, "s") }
func (p *place) ctl() string  { return filepath.Join(p.dir, "c") }

// process is a running server.
type process struct {
	place *place
	cmd   *exec.Cmd
	log   journal
	ended chan struct{} // closed when it is gone
}

// journal is what a server writes.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// launch starts a server and does not wait for anything.
func (p *place) launch() (*process, error) {
	argv := append(append([]string{}, p.wrap...), p.server, "--remote=punix:"+p.sock(), "--unixctl="+p.ctl(), "-vsyslog:off", "--no-chdir", p.db)
	s := &process{place: p, ended: make(chan struct{})}
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = append(os.Environ(), "OVS_RUNDIR="+p.dir, "OVS_DBDIR="+p.dir, "OVS_LOGDIR="+p.dir, "TZ=UTC")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = s.cmd.Wait() // how it ended, ProcessState tells
		close(s.ended)
	}()
	return s, nil
}

// start starts a server and waits until it answers.
func (p *place) start() (*process, error) {
	s, err := p.launch()
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", p.sock())
		if err == nil {
			conn.Close()
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("the server does not start: %s: %s", s.cmd.ProcessState, s.log.String())
		default:
		}
		if time.Now().After(end) {
			s.kill()
			return nil, fmt.Errorf("the server does not listen: %w: %s", err, s.log.String())
		}
	}
}

// kill kills it as kill -9 does, and waits for its end.
func (s *process) kill() {
	_ = s.cmd.Process.Kill() // it may be gone
	<-s.ended
}

// running says whether the server is there.
func (s *process) running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// control calls a verb of the server's control socket.
func (p *place) control(verb string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, err := unixctl.Call(ctx, p.ctl(), verb, args)
	return err
}

// compact asks for a compaction. The error is what the server answered; that it
// was killed meanwhile is none.
func (p *place) compact() error {
	err := p.control("ovsdb-server/compact")
	var answer *unixctl.CommandError
	if errors.As(err, &answer) && !strings.Contains(answer.Text, "a compaction is in progress") {
		return err
	}
	return nil
}

// exit has a server end by itself.
func (p *place) exit(s *process) error {
	if err := p.control("exit"); err != nil {
		return err
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return errors.New("the server does not exit")
	}
}
