package command

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"govs/ovsdb/storage/file"
)

// TestRun compares --run: the server lives as long as the command, and ends as
// it does.
func TestRun(t *testing.T) {
	debs := debian(t)
	for _, program := range []string{os.Args[0], debs + "/bin/ovsdb-server"} {
		s := &running{dir: runDir(t)}
		if err := file.CreateAs(s.dir+"/conf.db", file.Log, []byte(otherSchema)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			command, out string
			code         int
		}{
			{`"` + debs + `"/bin/ovsdb-client list-dbs unix:` + s.dir + `/db.sock`, "_Server\nother\n", 0},
			{"exit 7", "", 1},
			{"kill -9 $$", "", 1},
		} {
			cmd := exec.Command(program, "--remote=punix:"+s.dir+"/db.sock", "--run="+c.command, "--unixctl=none", "--disable-file-column-diff",
				"-vconsole:off", "-vsyslog:off", s.dir+"/conf.db")
			cmd.Env = append(os.Environ(), asServer+"=1", "OVS_RUNDIR="+s.dir)
			out, err := cmd.Output()
			if code := cmd.ProcessState.ExitCode(); string(out) != c.out || code != c.code {
				t.Errorf("%s --run=%q: %q, exit status %d, %v", program, c.command, out, code, err)
			}
		}
	}
}

// TestTLSReload replaces the server's certificate, and then the CA: who connects
// from then on meets the new ones, who is connected stays.
func TestTLSReload(t *testing.T) {
	pki := newCA(t, t.TempDir())
	s := &running{dir: runDir(t)}
	if err := file.Create(s.dir+"/conf.db", []byte(otherSchema)); err != nil {
		t.Fatal(err)
	}
	s.run(t, os.Args[0], "--private-key="+pki.dir+"/key.pem", "--certificate="+pki.dir+"/cert.pem", "--ca-cert="+pki.dir+"/cacert.pem",
		"--remote=pssl:0:127.0.0.1", "--log-file="+s.dir+"/log")
	port := listeningPort(t, s.cmd.Process.Pid)
	var conns []*tls.Conn
	meet := func(by *ca) (string, error) {
		t.Helper()
		conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{
			Certificates:       []tls.Certificate{by.certificate(t, "client")},
			InsecureSkipVerify: true, // the name is looked at below
		})
		if err != nil {
			return "", err
		}
		t.Cleanup(func() { conn.Close() })
		if err := echo(conn); err != nil {
			return "", err
		}
		conns = append(conns, conn)
		return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
	}
	if name, err := meet(pki); err != nil || name != "server" {
		t.Fatalf("met %q, %v", name, err)
	}
	pki.files(t, "renewed")
	if name, err := meet(pki); err != nil || name != "renewed" {
		t.Errorf("met %q, %v", name, err)
	}
	other := newCA(t, t.TempDir())
	if _, err := meet(other); err == nil {
		t.Error("a client of another CA gets in")
	}
	text, err := os.ReadFile(other.dir + "/cacert.pem")
	if err == nil {
		err = os.WriteFile(pki.dir+"/new.pem", text, 0o600)
	}
	if err == nil {
		err = os.Rename(pki.dir+"/new.pem", pki.dir+"/cacert.pem")
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := meet(other); err != nil {
		t.Errorf("a client of the new CA: %v", err)
	}
	if _, err := meet(pki); err == nil {
		t.Error("a client of the old CA gets in")
	}
	for i, conn := range conns {
		if err := echo(conn); err != nil {
			t.Errorf("connection %d did not survive: %v", i, err)
		}
	}
	// Without a certificate nobody gets in.
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true}) // the server's name does not matter here
	if err == nil {
		err = echo(conn)
		conn.Close()
	}
	if err == nil {
		t.Error("a client without a certificate gets in")
	}
}

// echo asks for a sign of life.
func echo(conn net.Conn) error {
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(conn, `{"id":1,"method":"echo","params":[]}`); err != nil {
		return err
	}
	for dec := json.NewDecoder(conn); ; {
		var m struct {
			ID     any
			Result json.RawMessage
		}
		if err := dec.Decode(&m); err != nil || m.ID == float64(1) {
			return err
		}
	}
}

// listeningPort finds the TCP port that a process listens on.
func listeningPort(t *testing.T, pid int) string {
	t.Helper()
	own := make(map[string]bool)
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Skip("no /proc: ", err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name())); err == nil {
			own[strings.TrimSuffix(strings.TrimPrefix(to, "socket:["), "]")] = true
		}
	}
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Skip("no /proc/net/tcp: ", err)
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 9 && f[3] == "0A" && own[f[9]] {
			_, hex, _ := strings.Cut(f[1], ":")
			n, err := strconv.ParseUint(hex, 16, 16)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(n)
		}
	}
	t.Fatal("the server does not listen")
	return ""
}
