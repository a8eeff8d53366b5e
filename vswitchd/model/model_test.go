package model

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"govs/schema/vswitch"
)

func TestCheckRemote(t *testing.T) {
	for _, test := range []struct{ remote, want string }{
		{"unix:db.sock", ""},
		{"tcp:127.0.0.1:6640,ssl:[::1]:6640", ""},
		{"", ": not a database remote (unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT)"},
		{"unix:", "unix:: not a database remote (unix:FILE, tcp:HOST:PORT or ssl:HOST:PORT)"},
		{"tcp:127.0.0.1:6640,http:x", `http:x: unknown connection method "http"`},
		{"punix:db.sock", "punix:db.sock: passive database connections are not supported"},
	} {
		got := ""
		if err := CheckRemote(test.remote); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%q: got %q, want %q", test.remote, got, test.want)
		}
	}
	if got, _ := absolute("unix:db.sock", "/run/openvswitch"); got != "unix:/run/openvswitch/db.sock" {
		t.Error("relative socket: ", got)
	}
}

// TestLock plays the server's part of the lock's session, line by line.
func TestLock(t *testing.T) {
	ours, server := net.Pipe()
	defer server.Close()
	requests := make(chan string, 8)
	go func() {
		d := json.NewDecoder(bufio.NewReader(server))
		for {
			var m struct {
				Method string
				ID     any
			}
			if d.Decode(&m) != nil {
				close(requests)
				return
			}
			requests <- m.Method
			switch m.Method {
			case "lock":
				_, _ = fmt.Fprintf(server, `{"id":%v,"result":{"locked":false},"error":null}`, m.ID)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l, err := takeLock(ctx, ours, Lock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if <-requests != "lock" || !l.waits {
		t.Error("did not ask for the lock, or does not wait for it")
	}
	select {
	case <-l.got:
		t.Fatal("has the lock too soon")
	default:
	}
	await := func(what string, c <-chan struct{}) {
		select {
		case <-c:
		case <-ctx.Done():
			t.Fatal("never came: " + what)
		}
	}
	_, _ = io.WriteString(server, `{"method":"locked","params":["ovs_vswitchd"],"id":null}`)
	await("locked", l.got)
	_, _ = io.WriteString(server, `{"method":"stolen","params":["ovs_vswitchd"],"id":null}`)
	await("stolen", l.lost)
	// A server that says it twice does no harm.
	_, _ = io.WriteString(server, `{"method":"locked","params":["ovs_vswitchd"],"id":null}`)
	server.Close()
	await("end of the session", l.done())
}

func TestBackoff(t *testing.T) {
	var b Backoff
	for i, want := range []time.Duration{0, 100, 200, 400, 800, 1600, 3200, 6400, 8000, 8000} {
		if got := b.Next(); got != want*time.Millisecond {
			t.Errorf("attempt %d waits %v, want %v", i, got, want*time.Millisecond)
		}
	}
	b.Reset()
	if got := b.Next(); got != 0 {
		t.Errorf("after a good session: %v", got)
	}
}

// What the switch writes itself is no change of the configuration; everything else is.
func TestSame(t *testing.T) {
	number, mac := 7, "02:00:00:00:00:01"
	iface, port := &vswitch.Interface{UUID: "i", Name: "p1"}, &vswitch.Port{UUID: "p", Name: "p1"}
	rows := func(i *vswitch.Interface, p *vswitch.Port) raw {
		r := raw{{}, {}, {}}
		if p != nil {
			r[1]["p"] = p
		}
		if i != nil {
			r[2]["i"] = i
		}
		return r
	}
	before := rows(iface, port)
	for _, test := range []struct {
		name string
		now  raw
		want bool
	}{
		{"the same rows", rows(iface, port), true},
		{"equal rows", rows(&vswitch.Interface{UUID: "i", Name: "p1"}, &vswitch.Port{UUID: "p", Name: "p1"}), true},
		{"ofport", rows(&vswitch.Interface{UUID: "i", Name: "p1", Ofport: &number}, port), true},
		{"bond_active_slave", rows(iface, &vswitch.Port{UUID: "p", Name: "p1", BondActiveSlave: &mac}), true},
		{"ofport_request", rows(&vswitch.Interface{UUID: "i", Name: "p1", OfportRequest: &number}, port), false},
		{"tag", rows(iface, &vswitch.Port{UUID: "p", Name: "p1", Tag: &number}), false},
		{"a row less", rows(nil, port), false},
	} {
		if got := test.now.same(before); got != test.want {
			t.Errorf("%s: same is %v", test.name, got)
		}
		if got := before.same(test.now); got != test.want {
			t.Errorf("%s, the other way round: same is %v", test.name, got)
		}
	}
}
