package command

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"govs/ovsdb/client"
	"govs/ovsdb/storage/file"
)

// transcript reads a file of testdata.
func transcript(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

const convertSchema = `{"name":"conv","version":"1.0.0","tables":{
	"a":{"columns":{"name":{"type":"string"},"n":{"type":{"key":"integer","min":0,"max":1}},"old":{"type":"string"},"e":{"type":"integer","ephemeral":true}},"isRoot":true,"indexes":[["name"]]},
	"gone":{"columns":{"x":{"type":"integer"}},"isRoot":true}}}`

const otherSchema = `{"name":"other","version":"1.0.0","tables":{"t":{"columns":{"i":{"type":"integer"}},"isRoot":true}}}`

// TestConvert converts databases while sessions of all kinds look on.
func TestConvert(t *testing.T) {
	both(t, []string{convertSchema, otherSchema}, nil, strings.ReplaceAll(transcript(t, "convert.txt"), "\\\n", ""))
}

const newSchema = `{"name":"conv","version":"2.0.0","tables":{"a":{"columns":{"name":{"type":"string"},"new":{"type":"integer"}},"isRoot":true}}}`

// dial connects our own client.
func (s *running) dial(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.Dial(t.Context(), s.target(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestConvertKept kills the server after a conversion: the file has the new
// schema, and clients that have the contents of before it get everything anew.
func TestConvertKept(t *testing.T) {
	for _, format := range []string{"bolt", "log"} {
		t.Run(format, func(t *testing.T) {
			t.Setenv(file.Env, format)
			s := &running{dir: runDir(t)}
			if err := file.Create(s.dir+"/conf.db", []byte(convertSchema)); err != nil {
				t.Fatal(err)
			}
			s.run(t, os.Args[0])
			c := s.dial(t)
			ask := func(method, params string) string {
				t.Helper()
				b, err := c.Call(t.Context(), method, []byte(params))
				if err != nil {
					t.Fatalf("%s %s: %v", method, params, err)
				}
				return string(b)
			}
			since := func(id string) (found, last string) {
				t.Helper()
				reply := ask("monitor_cond_since", `["conv","`+id+`",{"a":{"columns":["name"]}},"`+id+`"]`)
				var parts []json.RawMessage
				if err := json.Unmarshal([]byte(reply), &parts); err != nil || len(parts) != 3 {
					t.Fatalf("%s: %v", reply, err)
				}
				if n := strings.Count(string(parts[2]), `"name"`); n != 1 && string(parts[0]) == "false" {
					t.Errorf("%s: %d rows", reply, n)
				}
				return string(parts[0]), strings.Trim(string(parts[1]), `"`)
			}
			ask("transact", `["conv",{"op":"insert","table":"a","row":{"name":"x","n":5}}]`)
			_, before := since("00000000-0000-0000-0000-000000000000")
			ask("set_db_change_aware", `[true]`)
			ask("convert", `["conv",`+newSchema+`]`)
			if found, _ := since(before); found != "false" {
				t.Error("monitor_cond_since goes on over a conversion")
			}
			s.kill()
			s.run(t, os.Args[0])
			c = s.dial(t)
			if got := ask("transact", `["conv",{"op":"select","table":"a","where":[],"columns":["name","new"]}]`); got != `[{"rows":[{"name":"x","new":0}]}]` {
				t.Errorf("after a restart: %s", got)
			}
			if found, _ := since(before); found != "false" {
				t.Error("monitor_cond_since goes on over a conversion and a restart")
			}
			ask("transact", `["conv",{"op":"update","table":"a","where":[],"row":{"new":7}}]`)
			s.tool(t, debian(t), "ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/compact")
			s.kill()
			if format == "log" {
				if got := s.tool(t, debian(t), "ovsdb-tool", "db-version", s.dir+"/conf.db"); got != "2.0.0\n" {
					t.Errorf("ovsdb-tool prints %q", got)
				}
			}
			s.run(t, os.Args[0])
			c = s.dial(t)
			if got := ask("transact", `["conv",{"op":"select","table":"a","where":[],"columns":["name","new"]}]`); got != `[{"rows":[{"name":"x","new":7}]}]` {
				t.Errorf("after a second restart: %s", got)
			}
		})
	}
}

// TestConvertServer shows what differs from the C server on purpose: _Server
// tells of the new schema, and cannot be converted itself; both end the C server
// or are forgotten by it.
func TestConvertServer(t *testing.T) {
	s := &running{dir: runDir(t)}
	if err := file.Create(s.dir+"/conf.db", []byte(convertSchema)); err != nil {
		t.Fatal(err)
	}
	s.run(t, os.Args[0])
	p := &party{running: s, fmt: func(s string) string { return maskUUID.ReplaceAllString(s, "UUID") }}
	for _, step := range []struct{ line, want string }{
		{`a {"id":1,"method":"convert","params":["_Server",{"name":"_Server","version":"2.0.0","tables":{}}]}`,
			`a: {"error":{"details":"database _Server cannot be converted","error":"not allowed"},"id":1}`},
		{`a {"id":2,"method":"transact","params":["conv",{"op":"insert","table":"a","row":{"name":"x","n":5}}]}`,
			`a: {"error":null,"id":2,"result":[{"uuid":["uuid","UUID"]}]}`},
		{`a {"id":3,"method":"convert","params":["conv",{"name":"conv","version":"2.0.0","tables":{"a":{"columns":{"name":{"type":"string"},"n":{"type":{"key":{"type":"integer","maxInteger":4}}}}}}}]}`,
			`a: {"error":{"details":"5 is greater than maximum allowed value 4","error":"constraint violation"},"id":3}`},
		{`a {"id":4,"method":"set_db_change_aware","params":[true]}`, `a: {"error":null,"id":4,"result":{}}`},
		{`a {"id":5,"method":"monitor_cond","params":["_Server",null,{"Database":{"columns":["name","schema"],"where":[["name","==","nope"]]}}]}`,
			`a: {"error":null,"id":5,"result":{}}`},
		{`a {"id":6,"method":"monitor_cond_change","params":[null,1,{"Database":[{"where":[["name","==","conv"]]}]}]}`,
			`a: {"error":null,"id":6,"result":{}}` + "\n" +
				`a: {"id":null,"method":"update2","params":[1,{"Database":{"UUIDs":[{"insert":{"name":"conv","schema":"{\"name\":\"conv\",\"tables\":{\"a\":{\"columns\":{\"e\":{\"ephemeral\":true,\"type\":\"integer\"},\"n\":{\"type\":{\"key\":\"integer\",\"min\":0}},\"name\":{\"type\":\"string\"},\"old\":{\"type\":\"string\"}},\"indexes\":[[\"name\"]]},\"gone\":{\"columns\":{\"x\":{\"type\":\"integer\"}}}},\"version\":\"1.0.0\"}"}}]}}]}`},
		{`a {"id":7,"method":"convert","params":["conv",` + newSchema + `]}`,
			`a: {"error":null,"id":7,"result":{}}` + "\n" +
				`a: {"id":null,"method":"update2","params":[1,{"Database":{"UUIDs":[{"modify":{"schema":"{\"name\":\"conv\",\"tables\":{\"a\":{\"columns\":{\"name\":{\"type\":\"string\"},\"new\":{\"type\":\"integer\"}}}},\"version\":\"2.0.0\"}"}}]}}]}`},
	} {
		if got := strings.Join(p.step(t, step.line), "\n"); got != step.want {
			t.Errorf("%s\n got  %s\n want %s", step.line, got, step.want)
		}
	}
}
