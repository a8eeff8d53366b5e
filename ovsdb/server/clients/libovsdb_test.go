package clients_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"govs/schema/vswitch"
)

// tap stands between a client and the server's socket, and keeps what the
// server sends.
type tap struct {
	lis net.Listener

	mu   sync.Mutex
	sent []byte
}

func newTap(t *testing.T, s *running) *tap {
	t.Helper()
	lis, err := net.Listen("unix", filepath.Join(s.dir, "tap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{lis: lis}
	t.Cleanup(func() { lis.Close() })
	go func() {
		for {
			down, err := lis.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("unix", s.sock())
			if err != nil {
				down.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(up, down)
				up.Close()
			}()
			go func() {
				_, _ = io.Copy(io.MultiWriter(p, down), up)
				down.Close()
			}()
		}
	}()
	return p
}

// Write keeps what passes.
func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, b...)
	return len(b), nil
}

// take returns what was kept since the last call.
func (p *tap) take() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := string(p.sent)
	p.sent = nil
	return s
}

// soon is a backoff: the next try comes at once.
type soon struct{}

func (soon) NextBackOff() time.Duration { return 10 * time.Millisecond }
func (soon) Reset()                     {}

// TestLibovsdbResumes: libovsdb's client reconnects after a restart and resumes
// with monitor_cond_since: it is sent what changed meanwhile, and nothing else.
func TestLibovsdbResumes(t *testing.T) {
	t.Parallel()
	s := serve(t, false, vswitch.JSON())
	p := newTap(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	dbm, err := vswitch.FullDatabaseModel()
	if err != nil {
		t.Fatal(err)
	}
	dial := func(endpoint string, o ...client.Option) client.Client {
		t.Helper()
		c, err := client.NewOVSDBClient(dbm, append(o, client.WithEndpoint(endpoint))...)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	insert := func(c client.Client, names ...string) {
		t.Helper()
		var ops []ovsdb.Operation
		for _, name := range names {
			o, err := c.Create(&vswitch.QoS{Type: name})
			if err != nil {
				t.Fatal(err)
			}
			ops = append(ops, o...)
		}
		res, err := c.Transact(ctx, ops...)
		if err != nil {
			t.Fatal(err)
		}
		if errs, err := ovsdb.CheckOperationResults(res, ops); err != nil {
			t.Fatal(err, errs)
		}
	}
	watcher := dial("unix:"+filepath.Join(s.dir, "tap.sock"), client.WithReconnect(5*time.Second, soon{}))
	m := watcher.NewMonitor(client.WithTable(&vswitch.QoS{}))
	m.Method = ovsdb.ConditionalMonitorSinceRPC
	if _, err := watcher.Monitor(ctx, m); err != nil {
		t.Fatal(err)
	}
	count := func(want int) {
		t.Helper()
		for {
			var list []vswitch.QoS
			if err := watcher.List(ctx, &list); err == nil && len(list) == want {
				return
			}
			select {
			case <-ctx.Done():
				t.Fatalf("the cache does not come to hold %d rows\nserver: %s\nsent: %s", want, s.said(), p.take())
			case <-time.After(2 * time.Millisecond):
			}
		}
	}
	other := dial(s.target())
	var names []string
	for i := range 500 {
		names = append(names, fmt.Sprintf("before-%d", i))
	}
	insert(other, names...)
	count(500)
	other.Close()

	s.kill()
	p.take()
	s.start(t)
	other = dial(s.target())
	insert(other, "after")
	count(501)
	sent := p.take()
	if strings.Contains(sent, "before-") {
		t.Errorf("rows that the client had were sent again: %.500s", sent)
	}
	if !strings.Contains(sent, "[true,") {
		t.Errorf("the monitor did not resume: %.500s", sent)
	}
	insert(other, "later")
	count(502)
}
