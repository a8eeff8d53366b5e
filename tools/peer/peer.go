// Package peer runs database servers, ours and other projects', for the tools
// that compare them.
package peer

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A Server is one running ovsdb-server, and a session with it.
type Server struct {
	cmd     *exec.Cmd
	dir     string
	log     string    // the file of what it printed
	Sock    string    // path of its socket
	Started time.Time // just before it was executed
	conn    net.Conn
	dec     *json.Decoder
	id      int
}

// Start runs program on a new database with the schema, in a folder of its
// own. The program's ovsdb-tool, beside it, makes the database.
func Start(program, dir string, schema []byte) (*Server, error) {
	if err := Create(program, dir, schema); err != nil {
		return nil, err
	}
	return Run(program, dir)
}

// Create has the ovsdb-tool beside program make a database, dir/db.
func Create(program, dir string, schema []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	schemaFile := filepath.Join(dir, "schema.json")
	if err := os.WriteFile(schemaFile, schema, 0o600); err != nil {
		return err
	}
	create := exec.Command(filepath.Join(filepath.Dir(program), "ovsdb-tool"), "create", filepath.Join(dir, "db"), schemaFile)
	create.Env = environ(dir)
	if out, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", create, err, out)
	}
	return nil
}

func environ(dir string) []string {
	return append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_DBDIR="+dir, "OVS_LOGDIR="+dir)
}

// Run runs program on the database dir/db, and returns when it listens. The
// server dies with this process. args go to it besides.
func Run(program, dir string, args ...string) (*Server, error) {
	s := &Server{dir: dir, Sock: filepath.Join(dir, "sock")}
	s.cmd = exec.Command(program, append([]string{filepath.Join(dir, "db"), "--remote=punix:" + s.Sock, "-vconsole:warn", "--no-chdir"}, args...)...)
	s.cmd.Env, s.cmd.Dir = environ(dir), dir
	s.log = filepath.Join(dir, "log")
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.Started = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.Dial("unix", s.Sock)
		if err == nil {
			s.conn, s.dec = conn, json.NewDecoder(conn)
			s.dec.UseNumber()
			return s, nil
		}
		if time.Now().After(end) {
			s.Stop()
			return nil, s.failed(err)
		}
	}
}

// A Reply is the answer to one request.
type Reply struct {
	ID     any `json:"id"`
	Result any `json:"result"`
	Error  any `json:"error"`
	Method any `json:"method"`
}

// Call sends one request and waits for its reply.
func (s *Server) Call(method string, params any) (*Reply, error) {
	s.id++
	msg, err := json.Marshal(map[string]any{"id": s.id, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if err := s.conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := s.conn.Write(msg); err != nil {
		return nil, s.failed(err)
	}
	for {
		var r Reply
		if err := s.dec.Decode(&r); err != nil {
			return nil, s.failed(err)
		}
		if r.Method == nil {
			return &r, nil
		}
	}
}

func (s *Server) failed(err error) error {
	log, _ := os.ReadFile(s.log) // without it the error has to do
	return fmt.Errorf("%s: %w; its log: %s", s.cmd.Path, err, log)
}

// Stop ends the server.
func (s *Server) Stop() {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
}

// Exit has the server end by itself, on request of appctl, an ovs-appctl. What
// is asked for before that, a unixctl command with its arguments each, is done
// first.
func (s *Server) Exit(appctl string, before ...[]string) error {
	for _, args := range append(before, []string{"exit"}) {
		cmd := exec.Command(appctl, append([]string{"-t", filepath.Join(s.dir, fmt.Sprintf("ovsdb-server.%d.ctl", s.Pid()))}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", cmd, err, out)
		}
	}
	s.conn.Close()
	return s.cmd.Wait()
}

// Pid is the server's process id.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Root is the module's folder.
func Root() (string, error) {
	mod, err := exec.Command("go", "env", "GOMOD").Output()
	return filepath.Dir(strings.TrimSpace(string(mod))), err
}

// Debian finds a C program in the cache that tools/debs keeps.
func Debian(program string) (string, error) {
	cache, err := debs()
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "bin", program), nil
}

// DebianFile finds a file of the packages in that cache: the first of several
// paths, from the root, that is there.
func DebianFile(paths ...string) (string, error) {
	cache, err := debs()
	if err != nil {
		return "", err
	}
	for _, p := range paths {
		file := filepath.Join(cache, "root", p)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("the packages in %s have no %s", cache, strings.Join(paths, " or "))
}

// debs is the path of the cache, which is filled where it is not.
func debs() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	script := filepath.Join(root, "tools/debs/debs")
	out, err := exec.Command(script).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}
