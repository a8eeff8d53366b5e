package dbclient

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"govs/internal/debs"
)

// TestMonitors: monitors of both programs, in the background, print the same of the
// same changes.
func TestMonitors(t *testing.T) {
	debian := debs.Bin(t, "ovsdb-client")
	dir := debs.ShortTemp(t)
	serve(t, dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	send := func(ops string) {
		t.Helper()
		if r := run(t, dir, "client", nil, "ovsdb-client", "transact", ops); r.Code != 0 || strings.Contains(r.Stdout, "error") {
			t.Fatal(r)
		}
	}
	send(fill)
	type pair [2]*background
	var pairs []pair
	for i, line := range monitors {
		var p pair
		for j, path := range []string{debian, self} {
			name := fmt.Sprintf("%s/%d.%d", dir, i, j)
			b := &background{name + ".out", name + ".pid"}
			f, err := os.Create(b.out)
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(path, append([]string{"--detach", "--pidfile=" + b.pidfile}, split(line)...)...)
			cmd.Dir, cmd.Env, cmd.Stdout = dir, environ(dir, "client"), f
			err = cmd.Run()
			_ = f.Close()
			if err != nil {
				t.Fatal(line, err)
			}
			p[j] = b
		}
		pairs = append(pairs, p)
	}
	for _, ops := range changes {
		send(`["Test",` + ops + `]`)
	}
	for i, p := range pairs {
		var out [2]string
		debs.Await(t, monitors[i], func() bool {
			for j, b := range p {
				text, err := os.ReadFile(b.out)
				if err != nil {
					return false
				}
				out[j] = timeRE.ReplaceAllString(string(text), "TIME")
			}
			return out[0] == out[1] && strings.Contains(out[0], "the end")
		})
		if out[0] != out[1] {
			t.Errorf("%s\n got %s\nwant %s", monitors[i], out[1], out[0])
		}
		for _, b := range p {
			finish(t, b.pidfile, b.ctl(t, dir))
		}
	}
}

var monitors = []string{
	"monitor ALL", "monitor-cond-since [] A", "--bare monitor A", "-d bare monitor-cond [] A", "-f json monitor-cond [] A",
	"monitor A name,!modify i,!insert os,!delete", "monitor A name,!initial", "-d json monitor-cond [] A ss,mm,si,os,rng,mi,name",
	"--timestamp -f csv monitor-cond-since [] A ss,mm,name", "-f html monitor-cond-since [] A name,os", "-f list monitor-cond [] A name,!delete",
	`monitor-cond '[["name","==","the end"]]' A name`, "--no-headings monitor A name mm",
}

var changes = []string{
	`{"op":"insert","table":"A","row":{"name":"new","en":"red"}},{"op":"insert","table":"E","row":{"x":"a"}}`,
	`{"op":"mutate","table":"A","where":[["name","==","first"]],"mutations":[["ss","insert",["set",["n1","n2"]]],["ss","delete","x"],["mm","insert",["map",[["kk","vv"]]]],["mm","delete",["set",["k"]]]]}`,
	`{"op":"update","table":"A","where":[["name","==","first"]],"row":{"mm":["map",[["k 2","changed"]]],"ss":["set",[]],"os":["set",[]],"rng":9,"mi":["map",[[1,3],[4,5]]]}}`,
	`{"op":"delete","table":"A","where":[["name","==","new"]]},{"op":"delete","table":"E","where":[]}`,
	`{"op":"insert","table":"A","row":{"name":"the end","en":"green"}}`,
}

// fill is a transaction with values of all kinds.
const fill = `["Test",
{"op":"insert","table":"B","row":{"bn":"b1"},"uuid-name":"b1"},
{"op":"insert","table":"B","row":{"bn":"b two"},"uuid-name":"b2"},
{"op":"insert","table":"A","row":{"name":"first","i":5,"r":1.5,"b":true,"ss":["set",["x","y z","\"q\""]],
 "si":["set",[3,1,2]],"os":"opt","mm":["map",[["k","v"],["k 2","v,2"]]],"mi":["map",[[1,2]]],"eph":"e","en":"red",
 "refs":["set",[["named-uuid","b1"],["named-uuid","b2"]]],"rng":7}},
{"op":"insert","table":"A","row":{"name":"","en":"blue","ss":["set",[""]],"os":"a b"}},
{"op":"insert","table":"A","row":{"name":"true","r":1e30,"i":-3,"en":"green"}}]`

// TestFaults compares what is said about JSON with what Debian's program says.
func TestFaults(t *testing.T) {
	debian := debs.Bin(t, "ovsdb-client")
	dir := debs.ShortTemp(t)
	serve(t, dir)
	for _, text := range faulty {
		want := run(t, dir, "", nil, debian, "transact", text)
		if _, err := parse(text); err == nil || "ovsdb-client: "+err.Error()+"\n" != want.Stderr {
			t.Errorf("%q: %v, want %s", text, err, want.Stderr)
		}
	}
}

var faulty = []string{
	"[", "[1", "[1,", "[1,]", "{", `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, `{"a":1,}`, `["x`, `["\q"]`, `["\u12"]`,
	"[01]", "[1.]", "[1e]", "[-]", "[+1]", "[tru]", "[] []", "[]x", "[1 2]", "{1:2}", "[,]", "[1e400]", `["\ud800"]`,
	"[\"a\nb\"]", "]", "}", "[}", "{]", "", "  ", "\n", "[\n[x", `["\u0000"]`, "//x", "[1}", `"abc`, "tr", "null", "1", "x",
	"[.5]", "[1.5e+]", `["\"]`, "[0x1]", `{"a" 1}`, "[a1_b]", "[A]", "{}{}", `["\u12zz"]`, `["\ud800\u0041"]`, "[1.5.5]",
	`{"a":1 "b"}`, `{"a":1]`, "[truefalse]", "\r\n[", "[1,\n\n2x",
}
