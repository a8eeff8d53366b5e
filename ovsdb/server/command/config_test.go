package command

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"govs/ovsdb/client"
	"govs/ovsdb/server"
	"govs/ovsdb/storage/file"
)

func TestParseConfig(t *testing.T) {
	c, err := parseConfig([]byte(`{"remotes": {"punix:db.sock": {}, "ptcp:0": null,
		"pssl:1": {"inactivity-probe": 5000, "max-backoff": 8000, "read-only": true, "role": "ovn-controller", "dscp": 48}},
		"databases": {"b.db": {"service-model": "standalone"}, "a.db": null, "R": {"service-model": "relay", "source": {"tcp:b": {"max-backoff": 3000}, "tcp:a": null}},
		"c.db": {"service-model": "active-backup", "backup": true, "source": {"unix:x": {"inactivity-probe": 7000, "dscp": 1}}, "exclude-tables": ["T"]},
		"d.db": {"service-model": "active-backup", "backup": false}}}`))
	if err != nil {
		t.Fatal(err)
	}
	o := c.remotes["pssl:1"]
	if len(c.remotes) != 3 || o.Probe == nil || *o.Probe != 5*time.Second || o.MaxBackoff != 8*time.Second || !o.ReadOnly || o.Role != "ovn-controller" {
		t.Errorf("%+v", c.remotes)
	}
	probe := 7 * time.Second
	if want := map[string]database{
		"a.db": {}, "b.db": {}, "d.db": {},
		"R":    {relay: true, sources: []server.Source{{Target: "tcp:a"}, {Target: "tcp:b", MaxBackoff: 3 * time.Second}}},
		"c.db": {backup: true, sources: []server.Source{{Target: "unix:x", Probe: &probe}}, exclude: []string{"T"}},
	}; !reflect.DeepEqual(c.databases, want) {
		t.Errorf("%+v", c.databases)
	}
	for text, want := range map[string]string{
		`[]`:                    "a JSON object is expected",
		`{"remotes": []}`:       `"remotes": a JSON object is expected`,
		`{"x": {"y": null}}`:    `unknown member "x"`,
		`{"remotes": {"x": 1}}`: `"remotes": "x": a JSON object or null is expected`,
		`{"remotes": {"x": {"inactivity-probe": "1"}}}`:                                    `"remotes": "x": option "inactivity-probe" has a wrong value`,
		`{"remotes": {"x": {"max-backoff": -1}}}`:                                          `"remotes": "x": option "max-backoff" has a wrong value`,
		`{"remotes": {"x": {"foo": 1}}}`:                                                   `"remotes": "x": unknown option "foo"`,
		`{"databases": {"x": {"service-model": "fast"}}}`:                                  `"databases": "x": unknown service model "fast"`,
		`{"databases": {"x": {"service-model": "clustered"}}}`:                             `"databases": "x": service model clustered is not supported`,
		`{"databases": {"x": {"service-model": "relay"}}}`:                                 `"databases": "x": a source is expected`,
		`{"databases": {"_x": {"service-model": "relay", "source": {"a": {}}}}}`:           `"databases": "_x": the name is reserved`,
		`{"databases": {"x": {"service-model": "active-backup", "backup": true}}}`:         `"databases": "x": a source is expected`,
		`{"databases": {"x": {"service-model": "relay", "source": "tcp:1"}}}`:              `"databases": "x": option "source" has a wrong value`,
		`{"databases": {"x": {"service-model": "relay", "source": {"a": {"role": "x"}}}}}`: `"databases": "x": source "a": unknown option "role"`,
		`{"databases": {"x": {"service-model": "active-backup", "exclude-tables": [1]}}}`:  `"databases": "x": option "exclude-tables" has a wrong value`,
	} {
		if _, err := parseConfig([]byte(text)); err == nil || err.Error() != want {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add(`{"remotes": {"punix:db.sock": {}, "pssl:1": {"inactivity-probe": 5000, "max-backoff": 8000, "read-only": true, "role": "x", "dscp": 48}}}`)
	f.Add(`{"databases": {"conf.db": {"service-model": "active-backup", "backup": true, "source": {"tcp:1": null}, "exclude-tables": ["a"]}, "x": null}}`)
	f.Add(`{"remotes": null, "databases": []}`)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parseConfig([]byte(text)); err == nil && c.remotes == nil {
			t.Error("no remotes and no error")
		}
	})
}

// TestConfigFile starts a server from a file, and changes that.
func TestConfigFile(t *testing.T) {
	s := &running{dir: runDir(t)}
	for name, schema := range map[string]string{"conv": convertSchema, "other": otherSchema} {
		if err := file.Create(s.dir+"/"+name+".db", []byte(schema)); err != nil {
			t.Fatal(err)
		}
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(s.dir+"/config", []byte(strings.ReplaceAll(text, "DIR", s.dir)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`{"remotes": {"punix:DIR/db.sock": {}, "punix:DIR/ro.sock": {"read-only": true}}, "databases": {"DIR/conv.db": null}}`)
	s.program(t, os.Args[0], "--config-file="+s.dir+"/config", "--unixctl="+s.dir+"/ctl", "-vsyslog:off")
	p := &party{running: s}
	ctl := func(args, want string) {
		t.Helper()
		if got := p.ctl(t, strings.Fields(args)...); got != want {
			t.Errorf("%s: %q, not %q", args, got, want)
		}
	}
	ctl("ovsdb-server/list-dbs", "_Server\nconv\n[0]")
	ctl("ovsdb-server/list-remotes", "punix:DIR/db.sock\npunix:DIR/ro.sock\n[0]")
	c := s.dial(t)
	if _, err := c.Call(t.Context(), "set_db_change_aware", []byte(`[true]`)); err != nil {
		t.Fatal(err)
	}
	insert := func(c *client.Client) string {
		t.Helper()
		b, err := c.Call(t.Context(), "transact", []byte(`["conv",{"op":"insert","table":"gone","row":{}}]`))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	ro, err := client.Dial(t.Context(), "unix:"+s.dir+"/ro.sock", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer ro.Close()
	if got := insert(ro); !strings.Contains(got, "read only mode") {
		t.Errorf("a read-only remote: %s", got)
	}

	// Broken files, and ones with a database that is not there, change nothing.
	write(`{"remotes": {`)
	if got := p.ctl(t, "ovsdb-server/reload"); !strings.HasSuffix(got, "[2]") {
		t.Errorf("reload: %s", got)
	}
	write(`{"remotes": {}, "databases": {"DIR/other.db": null, "DIR/zzz.db": null}}`)
	if got := p.ctl(t, "ovsdb-server/reload"); !strings.Contains(got, "open failed (No such file or directory)") {
		t.Errorf("reload: %s", got)
	}
	ctl("ovsdb-server/list-dbs", "_Server\nconv\n[0]")
	ctl("ovsdb-server/list-remotes", "punix:DIR/db.sock\npunix:DIR/ro.sock\n[0]")

	// What stays is not disturbed.
	write(`{"remotes": {"punix:DIR/db.sock": {"read-only": true}, "punix:DIR/new.sock": {}}, "databases": {"DIR/conv.db": {}, "DIR/other.db": {}}}`)
	ctl("ovsdb-server/reload", "[0]")
	ctl("ovsdb-server/list-dbs", "_Server\nconv\nother\n[0]")
	ctl("ovsdb-server/list-remotes", "punix:DIR/db.sock\npunix:DIR/new.sock\n[0]")
	if got := insert(c); !strings.Contains(got, "read only mode") {
		t.Errorf("a remote that is read-only now: %s", got)
	}
	write(`{"remotes": {"punix:DIR/db.sock": {}}, "databases": {"DIR/other.db": {}}}`)
	ctl("ovsdb-server/reload", "[0]")
	ctl("ovsdb-server/list-dbs", "_Server\nother\n[0]")
	if got := p.ctl(t, "ovsdb-server/add-remote", "punix:x"); !strings.HasPrefix(got, "add-remote: databases and remotes stand in DIR/config") {
		t.Errorf("add-remote: %s", got)
	}
}

// TestConfigFollows has a server follow another one as its file says: a database
// is a backup, then active, then a relay, then gone; another one has no part in it.
func TestConfigFollows(t *testing.T) {
	debian(t)
	source, n := newNode(t, our), newNode(t, our)
	source.create(t, followed)
	source.up(t)
	source.transact(t, insertNamed("one"))
	n.create(t, followed)
	n.create(t, strings.Replace(followed, `"F"`, `"G"`, 1))
	write := func(databases string) {
		t.Helper()
		text := strings.NewReplacer("DIR", n.dir, "SOURCE", source.target()).Replace(`{"remotes": {"punix:DIR/db.sock": {}}, "databases": {` + databases + `}}`)
		if err := os.WriteFile(n.dir+"/config", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reload := func(databases string) {
		t.Helper()
		write(databases)
		want(t, n.ctl(t, "ovsdb-server/reload"), "[0]")
	}
	insert := func(db string) string {
		t.Helper()
		return n.transact(t, `["`+db+`",{"op":"insert","table":"A","uuid":"00000000-0000-4000-8000-00000000000a","row":{"two":1}},{"op":"abort"}]`)
	}
	const (
		refused  = "insert operation not allowed when database server is in read only mode"
		inserted = `[{"uuid":["uuid","00000000-0000-4000-8000-00000000000a"]},`
		other    = `, "DIR/G.db": null`
	)
	check := func(db, part string) {
		t.Helper()
		if got := insert(db); !strings.Contains(got, part) {
			t.Errorf("an insertion in %s: %s", db, got)
		}
	}

	write(`"DIR/F.db": {"service-model": "active-backup", "backup": true, "source": {"SOURCE": {"inactivity-probe": 0, "max-backoff": 100}}, "exclude-tables": ["C"]}` + other)
	n.program(t, os.Args[0], "--config-file="+n.dir+"/config", "--unixctl="+n.dir+"/ctl", "-vsyslog:off")
	awaitSame(t, source, n, followed, "A", "B")
	n.awaitCtl(t, strings.ReplaceAll("state: backup\nreplicating: SOURCE\ndatabase: F\nexclude: F:C\n[0]", "SOURCE", source.target()), "ovsdb-server/sync-status")
	check("F", refused)
	check("G", inserted)
	if got := n.ctl(t, "ovsdb-server/connect-active-ovsdb-server"); !strings.Contains(got, "ovsdb-server/reload") {
		t.Error(got)
	}

	reload(`"DIR/F.db": {"service-model": "active-backup", "backup": false, "source": {"SOURCE": null}}` + other)
	want(t, n.ctl(t, "ovsdb-server/sync-status"), "state: active\n[0]")
	check("F", inserted)

	reload(`"F": {"service-model": "relay", "source": {"SOURCE": null}}` + other)
	source.transact(t, insertNamed("two"))
	awaitSame(t, source, n, followed)
	write(`"DIR/F.db": null, "DIR/zzz.db": null`)
	if got := n.ctl(t, "ovsdb-server/reload"); !strings.HasSuffix(got, "[2]") {
		t.Errorf("reload: %s", got)
	}
	awaitSame(t, source, n, followed) // the relay is there again
	check("F", inserted)              // by the source
	check("G", inserted)

	reload(`"DIR/F.db": {"service-model": "active-backup", "backup": true, "source": {"SOURCE": null}}`)
	awaitSame(t, source, n, followed)
	check("F", refused)
	want(t, n.ctl(t, "ovsdb-server/list-dbs"), "F\n_Server\n[0]")
	reload("")
	want(t, n.ctl(t, "ovsdb-server/list-dbs"), "_Server\n[0]")
}
