package server_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"govs/internal/stream"
	"govs/internal/stream/streamtest"
	"govs/ovsdb/client"
	"govs/ovsdb/server"
	"govs/ovsdb/storage/memory"
)

// TestTLS: a pssl: remote in the database, with keys in the database, which
// come after it.
func TestTLS(t *testing.T) {
	f := startVswitch(t)
	o := streamtest.Keys(t)
	if err := f.SetTLS(stream.TLSOptions{
		PrivateKey:  "db:Open_vSwitch,SSL,private_key",
		Certificate: "db:Open_vSwitch,SSL,certificate",
		CACert:      "db:Open_vSwitch,SSL,ca_cert",
		BootstrapCA: true,
	}); err != nil {
		t.Fatal(err)
	}
	if err := f.AddRemote("db:Open_vSwitch,Open_vSwitch,manager_options"); err != nil {
		t.Fatal(err)
	}
	c, _ := f.dial(t)
	const target = "pssl:0:127.0.0.1"
	call(t, c, "transact", `["Open_vSwitch",{"op":"insert","table":"Manager","uuid-name":"m","row":{"target":"`+target+`"}},`+
		`{"op":"insert","table":"Open_vSwitch","row":{"manager_options":["named-uuid","m"]}}]`)
	call(t, c, "transact", fmt.Sprintf(`["Open_vSwitch",{"op":"insert","table":"SSL","uuid-name":"s","row":{"private_key":%q,"certificate":%q,"ca_cert":%q}},`+
		`{"op":"update","table":"Open_vSwitch","where":[],"row":{"ssl":["named-uuid","s"]}}]`, o.PrivateKey, o.Certificate, o.CACert))
	var last error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		addr := f.Addr(target)
		if addr == nil {
			continue
		}
		sc, err := client.Dial(t.Context(), "ssl:"+addr.String(), client.Options{TLS: &o})
		if err != nil {
			last = err
			continue
		}
		if _, err := sc.Databases(t.Context()); err != nil {
			last = err
			sc.Close()
			continue
		}
		defer sc.Close()
		want(t, call(t, sc, "list_dbs", `[]`), `["Open_vSwitch","_Server"]`)
		return
	}
	t.Fatal("no connection: ", last)
}

// TestFollowByNetwork: a relay and a backup whose source is there by TCP and by
// TLS, with the keys of the server; and one whose keys the source does not trust.
func TestFollowByNetwork(t *testing.T) {
	o := streamtest.Keys(t)
	src := start(t, memory.New([]byte(oneTable)))
	if err := src.SetTLS(o); err != nil {
		t.Fatal(err)
	}
	c, _ := src.dial(t)
	n := 0
	for scheme, remote := range map[string]string{"tcp:": "ptcp:0:127.0.0.1", "ssl:": "pssl:0:127.0.0.1"} {
		if err := src.AddRemote(remote); err != nil {
			t.Fatal(err)
		}
		target := scheme + src.Addr(remote).String()
		n++
		call(t, c, "transact", fmt.Sprintf(`["P",{"op":"delete","table":"T","where":[]},{"op":"insert","table":"T","row":{"n":%d}}]`, n))

		relay := start(t, memory.New([]byte(strings.Replace(oneTable, `"P"`, `"Q"`, 1))))
		backup := start(t, memory.New([]byte(oneTable)))
		for _, f := range []*fixture{relay, backup} {
			if err := f.SetTLS(o); err != nil {
				t.Fatal(err)
			}
		}
		if err := relay.AddRelay("relay:P:" + target); err != nil {
			t.Fatal(err)
		}
		backup.SetActive(target)
		if err := backup.ConnectActive(); err != nil {
			t.Fatal(err)
		}
		for _, f := range []*fixture{relay, backup} {
			eventually(t, target, func() bool { return rowsOf(f.Server) == fmt.Sprint(n) })
		}
		eventually(t, "a write through the relay", func() bool { // which may drop us: the database just came
			rc, _ := relay.dial(t)
			return call(t, rc, "transact", `["P",{"op":"update","table":"T","where":[],"row":{"n":9}}]`) == `[{"count":1}]`
		})
		eventually(t, target, func() bool { return rowsOf(backup.Server) == "9" })
	}

	refused := make(chan string, 100)
	stranger := startWith(t, server.Config{Log: func(module string) *slog.Logger {
		if module != "reconnect" {
			return slog.New(slog.DiscardHandler)
		}
		return slog.New(slog.NewTextHandler(lines(refused), nil))
	}}, memory.New([]byte(strings.Replace(oneTable, `"P"`, `"Q"`, 1))))
	if err := stranger.SetTLS(streamtest.Keys(t)); err != nil {
		t.Fatal(err)
	}
	if err := stranger.AddRelay("relay:P:ssl:" + src.Addr("pssl:0:127.0.0.1").String()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); ; {
		select {
		case line := <-refused:
			if !strings.Contains(line, "failed") && !strings.Contains(line, "dropped") {
				continue
			}
		case <-deadline:
			t.Error("nobody says that the connection failed")
		}
		break
	}
	if got := rowsOf(stranger.Server); got != "none" {
		t.Error("a stranger has", got)
	}
}

// lines is a writer of log lines, as far as somebody reads them.
type lines chan string

func (l lines) Write(b []byte) (int, error) {
	select {
	case l <- string(b):
	default:
	}
	return len(b), nil
}
