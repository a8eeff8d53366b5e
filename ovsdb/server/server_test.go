package server_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"govs/ovsdb/client"
	"govs/ovsdb/server"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
	"govs/ovsdb/storage/memory"
	"govs/ovsdb/storage/storagetest"
	"govs/schema/vswitch"
)

// fixture is a server in this process.
type fixture struct {
	*server.Server
	dir    string
	target string
}

// start serves an engine on a Unix socket.
func start(t testing.TB, e storage.Engine) *fixture {
	t.Helper()
	return startWith(t, server.Config{}, e)
}

func startWith(t testing.TB, cfg server.Config, e storage.Engine) *fixture {
	t.Helper()
	// Names of sockets are short; TempDir's are not.
	dir, err := os.MkdirTemp("", "govs")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Server: server.New(cfg), dir: dir, target: "unix:" + dir + "/db.sock"}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		os.RemoveAll(dir)
	})
	if err := f.AddDatabase("test.db", e); err != nil {
		t.Fatal(err)
	}
	if err := f.AddRemote("p" + f.target); err != nil {
		t.Fatal(err)
	}
	return f
}

func startVswitch(t testing.TB) *fixture { return start(t, memory.New(vswitch.JSON())) }

// note is a notification.
type note struct{ method, params string }

// dial connects a client that collects notifications.
func (f *fixture) dial(t testing.TB) (*client.Client, <-chan note) {
	t.Helper()
	notes := make(chan note, 100)
	c, err := client.Dial(context.Background(), f.target, client.Options{Notify: func(m string, p []byte) {
		notes <- note{m, string(p)}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, notes
}

func call(t testing.TB, c *client.Client, method, params string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := c.Call(ctx, method, []byte(params))
	if err != nil {
		return "error " + err.Error()
	}
	return string(b)
}

func want(t testing.TB, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

func (n note) String() string { return n.method + n.params }

func next(t testing.TB, notes <-chan note) string {
	t.Helper()
	select {
	case n := <-notes:
		return n.String()
	case <-time.After(20 * time.Second):
		t.Fatal("no notification")
		return ""
	}
}

const insertOVS = `["Open_vSwitch",{"op":"insert","table":"Open_vSwitch","uuid":"00000000-0000-4000-8000-000000000001","row":{"next_cfg":%d}}]`

func bump(n int) string {
	return fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"next_cfg":%d}}]`, n)
}

// TestResume: monitor_cond_since gives what was missed, also after a restart.
func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.db")
	if err := file.Create(path, vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	open := func() *fixture {
		e, err := file.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return start(t, e)
	}
	f := open()
	c, notes := f.dial(t)
	const since = `["Open_vSwitch",%q,{"Open_vSwitch":{"columns":["next_cfg"]}},%q]`
	want(t, call(t, c, "monitor_cond_since", fmt.Sprintf(since, "a", "00000000-0000-0000-0000-000000000000")),
		`[false,"00000000-0000-0000-0000-000000000000",{}]`)
	call(t, c, "transact", fmt.Sprintf(insertOVS, 1))
	got := next(t, notes)
	id := strings.Split(got, `"`)[3]
	want(t, got, `update3["a","`+id+`",{"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"insert":{"next_cfg":1}}}}]`)
	call(t, c, "transact", bump(2))
	last := strings.Split(next(t, notes), `"`)[3]
	const missed = `{"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"modify":{"next_cfg":2}}}}`
	want(t, call(t, c, "monitor_cond_since", fmt.Sprintf(since, "b", id)), `[true,"`+last+`",`+missed+`]`)
	want(t, call(t, c, "monitor_cond_since", fmt.Sprintf(since, "c", last)), `[true,"`+last+`",{}]`)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open()
	c, _ = f.dial(t)
	want(t, call(t, c, "monitor_cond_since", fmt.Sprintf(since, "b", id)), `[true,"`+last+`",`+missed+`]`)
	if err := f.Database("Open_vSwitch").Compact("test"); err != nil {
		t.Fatal(err)
	}
	want(t, call(t, c, "transact", `["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}]`), `[{"rows":[{"next_cfg":2}]}]`)
	f.Close()
	f = open()
	c, _ = f.dial(t)
	want(t, call(t, c, "transact", `["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}]`), `[{"rows":[{"next_cfg":2}]}]`)
	want(t, call(t, c, "monitor_cond_since", fmt.Sprintf(since, "d", last)), `[true,"`+last+`",{}]`)
}

// TestOrder: what comes before what on one session's connection.
func TestOrder(t *testing.T) {
	f := startVswitch(t)
	conn, err := net.Dial("unix", strings.TrimPrefix(f.target, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reqs := []string{
		`{"id":0,"method":"transact","params":` + fmt.Sprintf(insertOVS, 1) + `}`,
		`{"id":1,"method":"monitor","params":["Open_vSwitch",null,{"Open_vSwitch":{"columns":["next_cfg"]}}]}`,
		`{"id":2,"method":"transact","params":` + bump(2) + `}`,
		`{"id":3,"method":"transact","params":["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["next_cfg"],"until":"==","rows":[{"next_cfg":4}]}]}`,
		`{"id":4,"method":"transact","params":["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["next_cfg"],"until":"==","rows":[{"next_cfg":99}]}]}`,
		`{"id":5,"method":"list_dbs","params":[]}`,
		`{"id":6,"method":"transact","params":["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}]}`,
		`{"id":7,"method":"transact","params":` + bump(3) + `}`,
		`{"id":null,"method":"cancel","params":[4]}`,
		`{"id":8,"method":"transact","params":` + bump(4) + `}`,
		`{"id":9,"method":"echo","params":[]}`,
	}
	if _, err := io.WriteString(conn, strings.Join(reqs, "")); err != nil {
		t.Fatal(err)
	}
	const row = `{"id":null,"method":"update","params":[null,{"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"old":{"next_cfg":%d},"new":{"next_cfg":%d}}}}]}`
	wants := []string{
		`{"id":0,"result":[{"uuid":["uuid","00000000-0000-4000-8000-000000000001"]}],"error":null}`,
		`{"id":1,"result":{"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"new":{"next_cfg":1}}}},"error":null}`,
		fmt.Sprintf(row, 1, 2), `{"id":2,"result":[{"count":1}],"error":null}`,
		`{"id":5,"result":["Open_vSwitch","_Server"],"error":null}`,
		`{"id":6,"result":[{"rows":[{"next_cfg":2}]}],"error":null}`,
		fmt.Sprintf(row, 2, 3), `{"id":7,"result":[{"count":1}],"error":null}`,
		fmt.Sprintf(row, 3, 4), `{"id":8,"result":[{"count":1}],"error":null}`,
		`{"id":9,"result":[],"error":null}`,
	}
	// Those that had to wait come when they may, but after what woke them.
	loose := []string{`{"id":3,"result":[{}],"error":null}`, `{"id":4,"error":"canceled"}`}
	total := 0
	for _, s := range append(wants, loose...) {
		total += len(s)
	}
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	buf := make([]byte, total)
	if n, err := io.ReadFull(conn, buf); err != nil {
		t.Fatalf("%q: %v", buf[:n], err)
	}
	rest := string(buf)
	for _, s := range loose {
		if strings.Count(rest, s) != 1 {
			t.Fatalf("no %s in %s", s, buf)
		}
		rest = strings.Replace(rest, s, "", 1)
	}
	want(t, rest, strings.Join(wants, ""))
	if strings.Index(string(buf), loose[0]) < strings.Index(string(buf), fmt.Sprintf(row, 3, 4)) {
		t.Errorf("the answer to the wait precedes the update: %s", buf)
	}
}

func TestLocks(t *testing.T) {
	f := startVswitch(t)
	a, na := f.dial(t)
	b, nb := f.dial(t)
	want(t, call(t, a, "lock", `["x"]`), `{"locked":true}`)
	want(t, call(t, b, "lock", `["x"]`), `{"locked":false}`)
	want(t, call(t, a, "transact", `["Open_vSwitch",{"op":"assert","lock":"x"}]`), `[{}]`)
	want(t, call(t, b, "transact", `["Open_vSwitch",{"op":"assert","lock":"x"}]`), `[{"details":"Asserted lock x not held.","error":"not owner"}]`)
	want(t, call(t, a, "unlock", `["x"]`), `{}`)
	want(t, next(t, nb), `locked["x"]`)
	want(t, call(t, a, "steal", `["x"]`), `{"locked":true}`)
	want(t, next(t, nb), `stolen["x"]`)
	a.Close()
	want(t, next(t, nb), `locked["x"]`)
	want(t, call(t, b, "transact", `["Open_vSwitch",{"op":"assert","lock":"x"},`+strings.TrimPrefix(fmt.Sprintf(insertOVS, 1), `["Open_vSwitch",`)),
		`[{},{"uuid":["uuid","00000000-0000-4000-8000-000000000001"]}]`)
	if len(na) > 0 {
		t.Error(<-na)
	}
}

// TestStorageFails: a transaction that cannot be kept fails, nothing of it is
// seen, and the server goes on.
func TestStorageFails(t *testing.T) {
	fail := false
	f := start(t, &storagetest.Faulty{Engine: memory.New(vswitch.JSON()), Fail: func(string) error {
		if fail {
			return fmt.Errorf("no space left on device")
		}
		return nil
	}})
	c, notes := f.dial(t)
	call(t, c, "transact", fmt.Sprintf(insertOVS, 1))
	call(t, c, "monitor", `["Open_vSwitch",null,{"Open_vSwitch":{"columns":["next_cfg"]}}]`)
	f.Database("Open_vSwitch").Do(func() { fail = true })
	want(t, call(t, c, "transact", bump(2)), `[{"count":1},{"details":"no space left on device","error":"I/O error"}]`)
	want(t, call(t, c, "transact", `["Open_vSwitch",{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}]`), `[{"rows":[{"next_cfg":1}]}]`)
	f.Database("Open_vSwitch").Do(func() { fail = false })
	want(t, call(t, c, "transact", bump(3)), `[{"count":1}]`)
	want(t, next(t, notes), `update[null,{"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"old":{"next_cfg":1},"new":{"next_cfg":3}}}}]`)
}

// TestDatabasesComeAndGo: _Server tells, monitors are cancelled, and those who
// do not know of it are dropped.
func TestDatabasesComeAndGo(t *testing.T) {
	f := startVswitch(t)
	aware, notes := f.dial(t)
	plain, _ := f.dial(t)
	want(t, call(t, aware, "set_db_change_aware", `[true]`), `{}`)
	want(t, call(t, plain, "echo", `[]`), `[]`)
	call(t, aware, "monitor", `["_Server","s",{"Database":{"columns":["name"]}}]`)
	call(t, aware, "monitor", `["Open_vSwitch","o",{"Bridge":{}}]`)
	if err := f.RemoveDatabase("Open_vSwitch"); err != nil {
		t.Fatal(err)
	}
	if got := next(t, notes); !strings.HasPrefix(got, `update["s",`) || !strings.Contains(got, `"old":{"name":"Open_vSwitch"}`) {
		t.Error(got)
	}
	want(t, next(t, notes), `monitor_canceled["o"]`)
	select {
	case <-plain.Done():
	case <-time.After(20 * time.Second):
		t.Error("the session that is not aware goes on")
	}
	want(t, call(t, aware, "list_dbs", `[]`), `["_Server"]`)
	if err := f.AddDatabase("again.db", memory.New(vswitch.JSON())); err != nil {
		t.Fatal(err)
	}
	want(t, call(t, aware, "list_dbs", `[]`), `["Open_vSwitch","_Server"]`)
	if err := f.AddDatabase("twice.db", memory.New(vswitch.JSON())); err == nil {
		t.Error("a second database of the same name")
	}
}

// TestManagerRemotes: remotes that stand in the database.
func TestManagerRemotes(t *testing.T) {
	f := startVswitch(t)
	c, _ := f.dial(t)
	if err := f.AddRemote("db:Open_vSwitch,Open_vSwitch,manager_options"); err != nil {
		t.Fatal(err)
	}
	if err := f.AddRemote("db:Open_vSwitch,Open_vSwitch,nope"); err == nil ||
		err.Error() != `"db:Open_vSwitch,Open_vSwitch,nope": table "Open_vSwitch" has no column "nope"` {
		t.Error(err)
	}
	target := "unix:" + f.dir + "/m.sock"
	call(t, c, "monitor", `["Open_vSwitch",null,{"Manager":{"columns":["is_connected"]}}]`)
	call(t, c, "transact", `["Open_vSwitch",{"op":"insert","table":"Manager","uuid-name":"m","row":{"target":"p`+target+`"}},`+
		`{"op":"insert","table":"Open_vSwitch","row":{"manager_options":["named-uuid","m"]}}]`)
	m := &fixture{target: target}
	deadline := time.Now().Add(20 * time.Second)
	for f.Addr("p"+target) == nil && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	mc, _ := m.dial(t)
	want(t, call(t, mc, "list_dbs", `[]`), `["Open_vSwitch","_Server"]`)
	want(t, call(t, c, "transact", `["Open_vSwitch",{"op":"wait","table":"Manager","where":[],"columns":["is_connected"],"until":"==","rows":[{"is_connected":true}],"timeout":10000}]`), `[{}]`)
	call(t, c, "transact", `["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"manager_options":["set",[]]}}]`)
	select {
	case <-mc.Done():
	case <-time.After(20 * time.Second):
		t.Error("the remote is still there")
	}
}

// TestKeepRemote: a remote that cannot listen at first.
func TestKeepRemote(t *testing.T) {
	f := startVswitch(t)
	dir := f.dir + "/later"
	target := "unix:" + dir + "/s"
	if err := f.AddRemote("p" + target); err == nil || !strings.Contains(err.Error(), "listen failed") {
		t.Fatal(err)
	}
	if err := f.KeepRemote("p" + target); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	// Any change of configuration is a reason to look again.
	if err := f.AddRemote("db:Open_vSwitch,Open_vSwitch,manager_options"); err != nil {
		t.Fatal(err)
	}
	c, _ := (&fixture{target: target}).dial(t)
	want(t, call(t, c, "echo", `[]`), `[]`)
	if err := f.RemoveRemote("p" + target); err != nil {
		t.Fatal(err)
	}
}
