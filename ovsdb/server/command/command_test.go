package command

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"govs/internal/daemon"
	"govs/ovsdb/client"
	"govs/ovsdb/storage/file"
	"govs/schema/vswitch"
)

const asServer = "GOVS_TEST_OVSDB_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		os.Exit(daemon.Main(New()))
	}
	os.Exit(m.Run())
}

// debian finds the C programs, or skips.
func debian(t testing.TB) string {
	t.Helper()
	out, err := exec.Command("../../../tools/debs/debs").Output()
	if err != nil {
		t.Skipf("Debian's programs are not at hand: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// runDir makes a directory whose sockets have short names.
func runDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "govs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// running is a running ovsdb-server.
type running struct {
	dir string
	dbs []string // the databases; nil: conf.db in dir
	cmd *exec.Cmd
	log bytes.Buffer
}

func (s *running) target() string { return "unix:" + s.dir + "/db.sock" }

// run starts a server's process and waits until its sockets answer.
func (s *running) run(t testing.TB, program string, args ...string) {
	t.Helper()
	args = append(args, "--remote=p"+s.target(), "--unixctl="+s.dir+"/ctl", "-vsyslog:off")
	if s.dbs == nil {
		args = append(args, s.dir+"/conf.db")
	}
	s.program(t, program, append(args, s.dbs...)...)
}

// program is run with these arguments only.
func (s *running) program(t testing.TB, program string, args ...string) {
	t.Helper()
	s.cmd = exec.Command(program, args...)
	s.cmd.Env = append(os.Environ(), asServer+"=1", "OVS_RUNDIR="+s.dir)
	s.log.Reset()
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	sockets := []string{s.dir + "/db.sock"}
	if slices.Contains(args, "--unixctl="+s.dir+"/ctl") {
		sockets = append(sockets, s.dir+"/ctl") // the C server makes it after the other one
	}
	deadline := time.Now().Add(20 * time.Second)
	for len(sockets) > 0 {
		conn, err := net.Dial("unix", sockets[0])
		if err == nil {
			conn.Close()
			sockets = sockets[1:]
			continue
		}
		if time.Now().After(deadline) {
			s.kill()
			t.Fatalf("the server does not answer: %v\n%s", err, s.log.String())
		}
		time.Sleep(2 * time.Millisecond) // there is no event for it
	}
}

func (s *running) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait() // it was killed
		s.cmd = nil
	}
}

// ours starts this package's server on a new database.
func ours(t testing.TB, args ...string) *running {
	t.Helper()
	s := &running{dir: runDir(t)}
	if err := file.Create(s.dir+"/conf.db", vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	s.run(t, os.Args[0], args...)
	return s
}

// theirs starts Debian's server on a new database of the same schema.
func theirs(t testing.TB, debs string) *running {
	t.Helper()
	s := &running{dir: runDir(t)}
	text := filepath.Join(s.dir, "schema")
	if err := os.WriteFile(text, vswitch.JSON(), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(debs+"/bin/ovsdb-tool", "create", s.dir+"/conf.db", text).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	s.run(t, debs+"/bin/ovsdb-server")
	return s
}

// tool runs one of Debian's commands against the server.
func (s *running) tool(t *testing.T, debs, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, debs+"/bin/"+name, args...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, s.log.String())
	}
	return string(out)
}

func (s *running) vsctl(t *testing.T, debs string, args ...string) string {
	t.Helper()
	return s.tool(t, debs, "ovs-vsctl", append([]string{"--db=" + s.target(), "--no-wait"}, args...)...)
}

// TestVsctl drives the server with Debian's ovs-vsctl, through kill -9.
func TestVsctl(t *testing.T) {
	debs := debian(t)
	s := ours(t)
	s.vsctl(t, debs, "init")
	s.vsctl(t, debs, "add-br", "br0")
	s.vsctl(t, debs, "add-port", "br0", "p1", "tag=10", "--", "set", "interface", "p1", "type=internal")
	s.vsctl(t, debs, "--", "--id=@nf", "create", "netflow", `targets="127.0.0.1:5000"`, "--", "set", "bridge", "br0", "netflow=@nf")
	check := func() {
		t.Helper()
		got := s.vsctl(t, debs, "show")
		for _, part := range []string{
			"    Bridge br0\n",
			"        Port br0\n            Interface br0\n                type: internal\n",
			"        Port p1\n            tag: 10\n            Interface p1\n                type: internal\n",
		} {
			if !strings.Contains(got, part) {
				t.Fatalf("show prints\n%s", got)
			}
		}
		if got := s.vsctl(t, debs, "list-ports", "br0"); got != "p1\n" {
			t.Fatalf("list-ports prints %q", got)
		}
		if got := s.vsctl(t, debs, "--columns=targets", "--bare", "list", "netflow"); got != "127.0.0.1:5000\n" {
			t.Fatalf("netflow is %q", got)
		}
	}
	check()
	s.kill()
	s.run(t, os.Args[0])
	check()

	// wait-until is answered when somebody else makes it true.
	waits := exec.Command(debs+"/bin/ovs-vsctl", "--db="+s.target(), "--no-wait", "-t", "20", "wait-until", "port", "p1", "tag=11")
	if err := waits.Start(); err != nil {
		t.Fatal(err)
	}
	s.vsctl(t, debs, "set", "port", "p1", "tag=11")
	if err := waits.Wait(); err != nil {
		t.Fatal("wait-until: ", err)
	}
	s.vsctl(t, debs, "del-br", "br0")
	if got := s.vsctl(t, debs, "--columns=name", "--bare", "list", "interface"); got != "" {
		t.Errorf("interfaces are left: %q", got)
	}
	if got := s.tool(t, debs, "ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/list-dbs"); got != "Open_vSwitch\n_Server\n" {
		t.Errorf("list-dbs prints %q", got)
	}
	s.tool(t, debs, "ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/compact")
	s.tool(t, debs, "ovs-appctl", "-t", s.dir+"/ctl", "exit")
	if err := s.cmd.Wait(); err != nil {
		t.Error("exit: ", err)
	}
	s.cmd = nil
}

// TestListenFDs hands a listening socket to the server, as systemd does.
func TestListenFDs(t *testing.T) {
	dir := runDir(t)
	if err := file.Create(dir+"/conf.db", vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Name: dir + "/db.sock", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	f, err := lis.File()
	if err != nil {
		t.Fatal(err)
	}
	s := &running{dir: dir}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, self, "--unixctl="+dir+"/ctl", "-vsyslog:off", dir+"/conf.db")
	s.cmd.Env = append(os.Environ(), asServer+"=1", "OVS_RUNDIR="+dir, "LISTEN_FDS=1")
	s.cmd.ExtraFiles = []*os.File{f}
	s.cmd.Stderr = &s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	f.Close()
	lis.SetUnlinkOnClose(false)
	lis.Close() // the server has it: connections wait until it accepts them
	c, err := client.Dial(t.Context(), s.target(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if dbs, err := c.Databases(t.Context()); err != nil || len(dbs) != 2 {
		t.Errorf("databases %q, %v\n%s", dbs, err, s.log.String())
	}
}

// TestClient drives the server with Debian's ovsdb-client.
func TestClient(t *testing.T) {
	debs := debian(t)
	s := ours(t)
	s.vsctl(t, debs, "init")
	run := func(args ...string) string { return s.tool(t, debs, "ovsdb-client", args...) }
	if got := run("list-dbs", s.target()); got != "Open_vSwitch\n_Server\n" {
		t.Errorf("list-dbs prints %q", got)
	}
	if got := run("get-schema-version", s.target(), "Open_vSwitch"); got != "8.3.1\n" {
		t.Errorf("get-schema-version prints %q", got)
	}
	if got := run("transact", s.target(), `["Open_vSwitch",{"op":"insert","table":"QoS","row":{"type":"x"}},{"op":"select","table":"QoS","where":[],"columns":["type"]}]`); !strings.HasSuffix(got, `{"rows":[{"type":"x"}]}]`+"\n") {
		t.Errorf("transact prints %q", got)
	}
	if got := run("dump", s.target(), "Open_vSwitch", "QoS", "type", "queues"); got != "QoS table\nqueues type\n------ ----\n{}     x   \n" && got != "QoS table\nqueues type\n------ ----\n{}     x\n" {
		t.Errorf("dump prints %q", got)
	}
	for _, method := range []string{"monitor", "monitor-cond", "monitor-cond-since"} {
		cmd := exec.Command(debs+"/bin/ovsdb-client", "--format=csv", "--no-headings", method, s.target(), "Open_vSwitch")
		switch method {
		case "monitor-cond":
			cmd.Args = append(cmd.Args, `[["type","==","`+method+`"]]`, "QoS", "type")
		case "monitor-cond-since":
			cmd.Args = append(cmd.Args, "00000000-0000-0000-0000-000000000000", `[["type","==","`+method+`"]]`, "QoS", "type")
		default:
			cmd.Args = append(cmd.Args, "QoS", "type")
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		found := make(chan bool)
		go func() {
			for sc := bufio.NewScanner(out); sc.Scan(); {
				if strings.HasSuffix(sc.Text(), "insert,"+method) {
					found <- true
					return
				}
			}
			found <- false
		}()
		// The row may come with the first reply where the client is slow, so
		// rows come until one was an update.
		ok := false
		for range 200 {
			run("transact", s.target(), `["Open_vSwitch",{"op":"insert","table":"QoS","row":{"type":"`+method+`"}}]`)
			select {
			case ok = <-found:
			case <-time.After(50 * time.Millisecond):
				continue
			}
			break
		}
		if !ok {
			t.Errorf("%s saw no insertion", method)
		}
		cmd.Process.Kill()
		cmd.Wait() // it was killed
	}
}

// TestDifferential compares answers with those of the C server. One difference
// is meant: transactions have ids (the C server's are all zero), so that
// monitor_cond_since resumes.
func TestDifferential(t *testing.T) {
	debs := debian(t)
	text, err := os.ReadFile("testdata/protocol.txt")
	if err != nil {
		t.Fatal(err)
	}
	a, b := dialRaw(t, ours(t)), dialRaw(t, theirs(t, debs))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		got, want := a.ask(t, line), b.ask(t, line)
		if !slices.Equal(got, want) {
			t.Errorf("%s\n ours: %s\n C:    %s", line, strings.Join(got, "\n       "), strings.Join(want, "\n       "))
		}
	}
}

type raw struct {
	conn net.Conn
	dec  *json.Decoder
	n    int
}

func dialRaw(t *testing.T, s *running) *raw {
	t.Helper()
	conn, err := net.Dial("unix", s.dir+"/db.sock")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	dec := json.NewDecoder(conn)
	dec.UseNumber()
	return &raw{conn: conn, dec: dec}
}

var (
	maskUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	maskTime = regexp.MustCompile(`timed out after \d+ ms`)
)

// ask sends a message and an echo, and collects what comes before its answer;
// where the message waits for a time, that answer is waited for.
func (r *raw) ask(t *testing.T, msg string) []string {
	t.Helper()
	r.n++
	barrier := fmt.Sprintf(`"barrier %d"`, r.n)
	r.conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := fmt.Fprintf(r.conn, "%s", msg); err != nil {
		t.Fatal(err)
	}
	var out []string
	more := strings.Contains(msg, `"timeout"`)
	send := func() {
		if _, err := fmt.Fprintf(r.conn, `{"id":%s,"method":"echo","params":[]}`, barrier); err != nil {
			t.Fatal(err)
		}
	}
	if !more {
		send()
	}
	for {
		var m map[string]json.RawMessage
		if err := r.dec.Decode(&m); err != nil {
			t.Fatalf("%s: %v", msg, err)
		}
		if string(m["id"]) == barrier {
			break
		}
		var v any
		b, err := json.Marshal(m)
		if err == nil {
			err = json.Unmarshal(b, &v)
		}
		if err == nil {
			sortRows(v)
			b, err = json.Marshal(v)
		}
		if err != nil {
			t.Fatal(err)
		}
		s := maskTime.ReplaceAllString(string(b), "timed out after N ms")
		out = append(out, maskUUID.ReplaceAllString(s, "UUID"))
		if more {
			more = false
			send()
		}
	}
	slices.Sort(out)
	return out
}

// sortRows sorts the rows of select, which come in no order.
func sortRows(v any) {
	switch v := v.(type) {
	case map[string]any:
		for name, m := range v {
			sortRows(m)
			if rows, ok := m.([]any); ok && name == "rows" {
				slices.SortFunc(rows, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
	case []any:
		for _, m := range v {
			sortRows(m)
		}
	}
}
