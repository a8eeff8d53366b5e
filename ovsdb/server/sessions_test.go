package server_test

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/client"
)

var manySessions = flag.Int("sessions", 300, "how many sessions come and go in TestShortSessions")

// short is a session as ovs-vsctl has it: it looks which databases there are,
// monitors the one, changes it, and waits for the update that tells so. All is
// sent at once where the answers do not matter for what comes next.
func short(ctx context.Context, target string, n int, method string) error {
	const key = "next_cfg"
	updated := make(chan string, 1000)
	c, err := client.Dial(ctx, target, client.Options{Notify: func(_ string, p []byte) { updated <- string(p) }})
	if err != nil {
		return err
	}
	defer c.Close()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var failed error
	ask := func(method, params string) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if _, err := c.Call(ctx, method, []byte(params)); err != nil {
				mu.Lock()
				failed = fmt.Errorf("%s: %w", method, err)
				mu.Unlock()
			}
		}()
	}
	since := ""
	if method == "monitor_cond_since" {
		since = `,"00000000-0000-0000-0000-000000000000"`
	}
	ask("monitor_cond", `["_Server",["monid","_Server"],{"Database":[{"columns":["name","schema","model","connected","leader","index"]}]}]`)
	ask("get_schema", `["Open_vSwitch"]`)
	ask("set_db_change_aware", `[true]`)
	ask(method, fmt.Sprintf(`["Open_vSwitch",["monid",%d],{"Open_vSwitch":[{"columns":["next_cfg","cur_cfg"]}],"Bridge":[{}]}%s]`, n, since))
	wg.Wait()
	if failed != nil {
		return failed
	}
	res, err := c.Call(ctx, "transact", []byte(`["Open_vSwitch",{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["`+key+`","+=",1]]},`+
		`{"op":"select","table":"Open_vSwitch","where":[],"columns":["`+key+`"]}]`))
	if err != nil {
		return fmt.Errorf("transact: %w", err)
	}
	v, err := json.Parse(res)
	if err != nil {
		return err
	}
	got, ok := v.At(1).Get("rows").At(0).Get(key).Int()
	if !ok {
		return fmt.Errorf("transact: %s", res)
	}
	// The update of its own transaction came before the reply.
	for {
		select {
		case p := <-updated:
			if strings.Contains(p, fmt.Sprintf(`"%s":%d`, key, got)) {
				return nil
			}
		default:
			return fmt.Errorf("no update says that %s is %d", key, got)
		}
	}
}

// TestShortSessions has many sessions come and go beside writers: none hangs,
// and each sees what it did before it is told that it is done.
func TestShortSessions(t *testing.T) {
	f := start(t, bolt(t))
	first, _ := f.dial(t)
	call(t, first, "transact", fmt.Sprintf(insertOVS, 0))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stop := make(chan struct{})
	var writers, sessions sync.WaitGroup
	for w := range 2 {
		c, _ := f.dial(t)
		writers.Add(1)
		go func() {
			defer writers.Done()
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				op := fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"cur_cfg":%d,"bridges":["set",[]]}}]`, n)
				if n%3 != 0 {
					op = string(addBridge(fmt.Sprintf("w%d-%d", w, n)))
				}
				if res, err := c.Call(ctx, "transact", []byte(op)); err != nil || strings.Contains(string(res), `"error"`) {
					t.Errorf("writer: %s, %v", res, err)
					return
				}
			}
		}()
	}
	count := *manySessions
	var n atomic.Int64
	for range 8 {
		sessions.Add(1)
		go func() {
			defer sessions.Done()
			for i := n.Add(1); i <= int64(count); i = n.Add(1) {
				method := []string{"monitor", "monitor_cond", "monitor_cond_since"}[i%3]
				if err := short(ctx, f.target, int(i), method); err != nil {
					t.Errorf("session %d: %v", i, err)
					return
				}
			}
		}()
	}
	sessions.Wait()
	close(stop)
	writers.Wait()
}

// TestWokenFirst: a transaction that another one lets go on is answered before
// what the session asks after that one.
func TestWokenFirst(t *testing.T) {
	f := startVswitch(t)
	conn, err := net.Dial("unix", strings.TrimPrefix(f.target, "unix:"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	first, _ := f.dial(t)
	call(t, first, "transact", fmt.Sprintf(insertOVS, 0))
	// Somebody else writes, so that it is not always this session's turn.
	stop, stopped := make(chan struct{}), make(chan struct{})
	defer func() { close(stop); <-stopped }()
	go func() {
		defer close(stopped)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
				call(t, first, "transact", fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"cur_cfg":%d}}]`, n))
			}
		}
	}()
	for n := 1; n <= 1000; n++ {
		var want []byte
		for _, s := range []string{
			`{"id":1,"method":"transact","params":["Open_vSwitch",{"op":"wait","table":"Open_vSwitch","where":[],"columns":["next_cfg"],"until":"==","rows":[{"next_cfg":%d}]}]}`,
			`{"id":2,"method":"transact","params":["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"next_cfg":%d}}]}`,
			`{"id":3,"method":"echo","params":[%d]}`,
		} {
			want = fmt.Appendf(want, s, n)
		}
		if _, err := conn.Write(want); err != nil {
			t.Fatal(err)
		}
		want = fmt.Appendf(nil, `{"id":2,"result":[{"count":1}],"error":null}{"id":1,"result":[{}],"error":null}{"id":3,"result":[%d],"error":null}`, n)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != string(want) {
			t.Fatalf("round %d: %s, %v", n, got, err)
		}
	}
}

// TestWaitBehindWrite: what a transaction wrote before it waits may depend on
// columns that the wait does not name.
func TestWaitBehindWrite(t *testing.T) {
	f := startVswitch(t)
	a, _ := f.dial(t)
	b, _ := f.dial(t)
	call(t, a, "transact", fmt.Sprintf(insertOVS, 0))
	done := make(chan string, 1)
	go func() {
		done <- call(t, a, "transact", `["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[["next_cfg","==",7]],"row":{"cur_cfg":1}},`+
			`{"op":"wait","table":"Open_vSwitch","where":[],"columns":["cur_cfg"],"until":"==","rows":[{"cur_cfg":1}]}]`)
	}()
	// Whether it waits already, or comes later: it is answered.
	call(t, b, "transact", bump(7))
	want(t, <-done, `[{"count":1},{}]`)
}
