package command

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"govs/internal/json"
	"govs/ovsdb/client"
	"govs/ovsdb/monitor"
	"govs/ovsdb/store"
	"govs/schema"
)

// watcher is a client of a relay that keeps a copy of the database.
type watcher struct {
	*client.Client
	t testing.TB

	mu    sync.Mutex
	snap  *store.Snapshot
	early [][]byte // updates before the first reply
	news  chan struct{}
	notes []string // other notifications
}

// watch monitors every column of a node's database F, and keeps the copy by the
// updates.
func watch(t *testing.T, ctx context.Context, n *node) *watcher {
	t.Helper()
	s, err := schema.Parse([]byte(followed))
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{t: t, news: make(chan struct{}, 1)}
	w.Client, err = client.Dial(ctx, n.target(), client.Options{Notify: w.notify})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if _, err := w.Call(ctx, "set_db_change_aware", []byte("[true]")); err != nil {
		t.Fatal(err)
	}
	b, err := w.Monitor(ctx, "monitor_cond", "F", []byte(`"w"`), monitor.RequestAll(s, func(*schema.Table) bool { return true }), nil)
	if err != nil {
		t.Fatal(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snap = store.NewSnapshot(s)
	w.apply(b)
	for _, b := range w.early {
		w.apply(b)
	}
	return w
}

func (w *watcher) notify(method string, params []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	v, err := json.Parse(append([]byte(nil), params...))
	switch {
	case err != nil:
		w.t.Error(err)
	case method != "update2":
		w.notes = append(w.notes, method+string(params))
	case w.snap == nil:
		w.early = append(w.early, v.At(1).Raw())
	default:
		w.apply(v.At(1).Raw())
	}
	select {
	case w.news <- struct{}{}:
	default:
	}
}

func (w *watcher) apply(updates []byte) {
	d, err := monitor.Decode(w.snap, monitor.V2, updates)
	if err != nil {
		w.t.Errorf("%s: %v", updates, err)
		return
	}
	w.snap = w.snap.Apply(d)
}

// await waits until something holds, and looks at each notification.
func (w *watcher) await(what string, holds func() bool) {
	w.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		w.mu.Lock()
		ok := holds()
		w.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-w.news:
		case <-w.Done():
			w.t.Fatalf("%s: the relay dropped its client", what)
		case <-deadline:
			w.t.Fatalf("%s: it does not happen; notified: %v", what, w.notes)
		}
	}
}

// names lists the names of the rows of A in the copy.
func (w *watcher) has(name string) bool {
	t := w.snap.Schema().Table("A")
	for r := range w.snap.Rows(t) {
		if d := r.Get(t.Column("name")); d.Key(0).Str() == name {
			return true
		}
	}
	return false
}

func insertNamed(name string) string {
	return fmt.Sprintf(`["F",{"op":"insert","table":"A","row":{"name":%q}}]`, name)
}

// TestRelay: a relay, and the relay of a relay, have what the source has, take
// transactions to it, and outlive its absence with their clients.
func TestRelay(t *testing.T) {
	debian(t)
	for i, p := range pairs {
		t.Run(fmt.Sprintf("%s of %s", p[1], p[0]), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			r := rand.New(rand.NewPCG(uint64(i), 2))
			source, relay, second := newNode(t, p[0]), newNode(t, p[1]), newNode(t, our)
			for _, n := range []*node{source, relay, second} {
				n.narrow = p[1] == their
			}
			source.create(t, followed)
			relay.dbs = []string{"relay:F:" + source.target()}
			second.dbs = []string{"relay:F:unix:/nonexistent/socket,unix:" + relay.dir + "/db.sock"}
			relay.up(t) // before its source
			second.up(t)
			if got, _ := relay.try(ctx, "get_schema", `["F"]`); got != "" {
				t.Errorf("the schema comes from nowhere: %s", got)
			}
			source.up(t)
			source.write(t, r, 100)
			awaitSame(t, source, relay, followed)
			awaitSame(t, source, second, followed)
			relay.write(t, r, 200)
			second.write(t, r, 100)
			awaitSame(t, source, relay, followed)
			awaitSame(t, source, second, followed)

			// The update comes before the answer.
			w := watch(t, ctx, relay)
			for i := range 50 {
				name := fmt.Sprintf("mine %d", i)
				if _, err := w.Call(ctx, "transact", []byte(insertNamed(name))); err != nil {
					t.Fatal(err)
				}
				w.mu.Lock()
				if !w.has(name) {
					t.Errorf("%s is answered and not there", name)
				}
				w.mu.Unlock()
			}

			// While the source is away, what reads is answered and what writes waits.
			source.kill()
			late := w.Start("transact", []byte(insertNamed("late")))
			if b, err := w.Call(ctx, "transact", []byte(`["F",{"op":"select","table":"A","where":[["name","==","mine 7"]],"columns":["n"]}]`)); err != nil || string(b) != `[{"rows":[{"n":0}]}]` {
				t.Errorf("a relay without a source answers %s, %v", b, err)
			}
			source.up(t)
			// The first one may have been on its way when the source died.
			if b, err := late(); err != nil && err.Error() != `"canceled"` {
				t.Errorf("late: %s, %v", b, err)
			}
			w.await("a change after the source came back", func() bool { return true })
			source.transact(t, insertNamed("afterwards"))
			w.await("a change after the source came back", func() bool { return w.has("afterwards") })
			awaitSame(t, source, relay, followed)
			awaitSame(t, source, second, followed)

			// A relay that is killed loses nothing, for it has nothing.
			relay.kill()
			source.write(t, r, 50)
			relay.up(t)
			awaitSame(t, source, relay, followed)
			awaitSame(t, source, second, followed)
			second.write(t, r, 50)
			awaitSame(t, source, second, followed)
			if got, want := second.ctl(t, "ovsdb-server/list-dbs"), "F\n_Server\n[0]"; sortLines(got) != sortLines(want) {
				t.Errorf("list-dbs prints %s", got)
			}
		})
	}
}

func sortLines(s string) string {
	lines := strings.Split(s, "\n")
	// [0] stays last: the names are few.
	if len(lines) == 3 && lines[0] > lines[1] {
		lines[0], lines[1] = lines[1], lines[0]
	}
	return strings.Join(lines, "\n")
}

const wider = `{"name":"F","version":"2.0.0","tables":{"A":{"isRoot":true,"columns":{"n":{"type":"integer"},"name":{"type":"string"},"more":{"type":"string"}}}}}`

// TestRelayConversion: a source that is converted converts its relays, by a
// client of its own or of a relay.
func TestRelayConversion(t *testing.T) {
	debian(t)
	for _, k := range []kind{our, their} {
		t.Run("ours of "+k.String(), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			source, relay := newNode(t, k), newNode(t, our)
			source.create(t, followed)
			source.up(t)
			source.transact(t, insertNamed("kept"))
			relay.dbs = []string{"relay:F:" + source.target()}
			relay.up(t)
			awaitSame(t, source, relay, followed)
			w := watch(t, ctx, relay)
			if got, err := source.try(ctx, "convert", `["F",`+wider+`]`); err != nil {
				t.Fatal(got, err)
			}
			w.await("the end of the monitor", func() bool { return len(w.notes) > 0 })
			want(t, w.notes[0], `monitor_canceled["w"]`)
			awaitSame(t, source, relay, wider)
			want(t, relay.transact(t, `["F",{"op":"update","table":"A","where":[],"row":{"more":"x"}}]`), `[{"count":1}]`)
			awaitSame(t, source, relay, wider)
			if got, err := relay.try(ctx, "convert", `["F",`+strings.Replace(wider, "2.0.0", "3.0.0", 1)+`]`); err != nil {
				t.Fatal(got, err)
			}
			if got, err := source.try(ctx, "get_schema", `["F"]`); err != nil || !strings.Contains(got, "3.0.0") {
				t.Errorf("the source's schema is %s, %v", got, err)
			}
			awaitSame(t, source, relay, wider)
		})
	}
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestRelayVerbs: databases of a relay come and go by the verbs, and print as
// those of the C server.
func TestRelayVerbs(t *testing.T) {
	debian(t)
	script := func(k kind) string {
		source, n := newNode(t, our), newNode(t, k)
		source.create(t, followed)
		source.up(t)
		n.create(t, strings.Replace(followed, `"F"`, `"G"`, 1))
		n.up(t)
		var out strings.Builder
		do := func(words ...string) {
			got := n.ctl(t, words...)
			fmt.Fprintf(&out, "%s: %s\n", strings.NewReplacer(source.dir, "SOURCE", n.dir, "DIR").Replace(strings.Join(words, " ")), got)
		}
		do("ovsdb-server/add-db", "relay:F:"+source.target())
		do("ovsdb-server/list-dbs")
		awaitSame(t, source, n, followed)
		do("ovsdb-server/get-db-storage-status", "F")
		do("ovsdb-server/compact", "F")
		do("ovsdb-server/sync-status")
		rows := n.transact(t, `["_Server",{"op":"select","table":"Database","where":[["name","==","F"]],"columns":["name","model","connected","leader","cid","sid","index"]}]`)
		v, err := json.Parse([]byte(rows))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "%s\n", v.AppendSorted(nil))
		do("ovsdb-server/remove-db", "F")
		do("ovsdb-server/list-dbs")
		do("ovsdb-server/get-db-storage-status", "F")
		do("ovsdb-server/add-db", "relay:H:unix:"+n.dir+"/nowhere")
		do("ovsdb-server/list-dbs")
		do("ovsdb-server/get-db-storage-status", "H")
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		for _, method := range []string{"get_schema", "transact"} {
			_, err := n.try(ctx, method, `["H"]`)
			if err == nil {
				t.Fatal("a database without a source is served")
			}
			v, perr := json.Parse([]byte(err.Error()))
			if perr != nil {
				t.Fatal(perr)
			}
			fmt.Fprintf(&out, "%s\n", v.AppendSorted(nil))
		}
		return out.String()
	}
	want(t, script(our), script(their))
}

// TestRelayArguments: what is no relay is refused with the C server's texts.
func TestRelayArguments(t *testing.T) {
	debs := debian(t)
	for _, args := range [][]string{
		{"relay:F"}, {"relay:"}, {"relay:_Server:unix:x"}, {"relay:F:unix:x", "relay:F:unix:y"},
	} {
		var got [2]string
		for i, k := range []kind{our, their} {
			n := newNode(t, k)
			got[i] = n.refused(t, debs, args...)
		}
		want(t, got[0], got[1])
	}
}
