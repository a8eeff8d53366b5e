package server_test

import (
	stdjson "encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"govs/ovsdb/client"
	"govs/ovsdb/storage"
	"govs/ovsdb/storage/file"
	"govs/schema/vswitch"
)

const qosSince = `["Open_vSwitch",%q,{"QoS":{"columns":["type","external_ids"]}},%q]`

const never = "00000000-0000-0000-0000-000000000000"

// qosID is the UUID of row n.
func qosID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// open serves the database in a file.
func open(t *testing.T, path string) *fixture {
	t.Helper()
	e, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, e)
}

// TestResumeManyRows restarts a server with 100,000 rows: who was there before
// is sent what changed, and nothing else.
func TestResumeManyRows(t *testing.T) {
	const rows = 100_000
	path := filepath.Join(t.TempDir(), "conf.db")
	if err := file.Create(path, vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"QoS":{`)
	for n := range rows {
		if n > 0 {
			body = append(body, ',')
		}
		body = fmt.Appendf(body, `%q:{"type":"t%d"}`, qosID(n), n)
	}
	e, err := file.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.Append([]storage.Record{{ID: [16]byte{1}, Body: append(body, "}}"...)}}, false); err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	c, notes := f.dial(t)
	first := call(t, c, "monitor_cond_since", fmt.Sprintf(qosSince, "a", never))
	if n := strings.Count(first, `"initial"`); n != rows || !strings.HasPrefix(first, "[false,") {
		t.Fatalf("%d rows, %.80s", n, first)
	}
	// What is not on disk does not count for those who do not monitor it.
	call(t, c, "transact", fmt.Sprintf(insertOVS, 1))
	call(t, c, "transact", `["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"statistics":["map",[["a","b"]]]}}]`)
	call(t, c, "monitor_cancel", `["a"]`)
	short := call(t, c, "monitor_cond_since", fmt.Sprintf(`["Open_vSwitch","a",{"QoS":{"columns":["type","external_ids"],"where":[["type","==","t7"]]}},%q]`, never))
	id := strings.Split(short, `"`)[1]
	if n := strings.Count(short, `"initial"`); n != 1 {
		t.Fatalf("%d rows instead of one: %s", n, short)
	}
	call(t, c, "transact", fmt.Sprintf(`["Open_vSwitch",{"op":"update","table":"QoS","where":[["_uuid","==",["uuid",%q]]],"row":{"external_ids":["map",[["k","v"]]]}},`+
		`{"op":"delete","table":"QoS","where":[["_uuid","==",["uuid",%q]]]},{"op":"insert","table":"QoS","uuid":%q,"row":{"type":"new"}}]`, qosID(7), qosID(8), qosID(rows)))
	want(t, next(t, notes)[:7], "update3")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}

	f = open(t, path)
	c, _ = f.dial(t)
	var got [3]any
	text := call(t, c, "monitor_cond_since", fmt.Sprintf(qosSince, "a", id))
	if err := stdjson.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if got[0] != true {
		t.Fatalf("not found: %.200s", text)
	}
	changed, _ := stdjson.Marshal(got[2])
	want(t, string(changed), fmt.Sprintf(`{"QoS":{%q:{"modify":{"external_ids":["map",[["k","v"]]]}},%q:{"delete":null},%q:{"insert":{"type":"new"}}}}`, qosID(7), qosID(8), qosID(rows)))
}

// TestResumeEphemeral: nobody knows after a restart what ephemeral columns held. Who
// has seen values in them is sent everything, others only what changed.
func TestResumeEphemeral(t *testing.T) {
	path := filepath.Join(t.TempDir(), "conf.db")
	if err := file.Create(path, vswitch.JSON()); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	c, _ := f.dial(t)
	call(t, c, "transact", fmt.Sprintf(insertOVS, 1))
	ask := func(c *client.Client, name, columns, id string) (found bool, last string) {
		text := call(t, c, "monitor_cond_since", fmt.Sprintf(`["Open_vSwitch",%q,{"Open_vSwitch":{"columns":[%s]}},%q]`, name, columns, id))
		return strings.HasPrefix(text, "[true,"), strings.Split(text, `"`)[1]
	}
	const plain, with = `"next_cfg"`, `"next_cfg","statistics"`
	_, early := ask(c, "early", with, never)
	call(t, c, "transact", `["Open_vSwitch",{"op":"update","table":"Open_vSwitch","where":[],"row":{"statistics":["map",[["a","b"]]]}}]`)
	_, seen := ask(c, "seen", with, never)
	_, blind := ask(c, "blind", plain, never)
	if found, _ := ask(c, "again", with, seen); !found {
		t.Error("it is not found while the server runs")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path)
	c, _ = f.dial(t)
	for _, k := range []struct {
		name, columns, id string
		want              bool
	}{{"early", with, early, true}, {"seen", with, seen, false}, {"blind", plain, blind, true}} {
		if found, _ := ask(c, k.name, k.columns, k.id); found != k.want {
			t.Errorf("%s: found is %t", k.name, found)
		}
	}
}
