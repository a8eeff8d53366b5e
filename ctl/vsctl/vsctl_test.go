package vsctl

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"govs/internal/daemon"
	"govs/internal/debs"
	"govs/internal/json"
	"govs/ovsdb/client"
	"govs/ovsdb/data"
	server "govs/ovsdb/server/command"
	"govs/schema"
	"govs/schema/atom"
	vswitchd "govs/vswitchd/daemon"
)

var rewrite = flag.Bool("rewrite", false, "record the transcripts from Debian's programs")

// TestMain lets the test's binary be our own programs.
func TestMain(m *testing.M) {
	switch os.Getenv("GOVS_TEST_PROGRAM") {
	case "ovs-vsctl":
		os.Exit(Main(append([]string{program}, os.Args[1:]...), os.Stdout, os.Stderr))
	case "ovs-vswitchd":
		os.Exit(daemon.Execute(vswitchd.Command(), append([]string{"ovs-vswitchd"}, os.Args[1:]...), os.Stdout, os.Stderr))
	case "ovsdb-server":
		os.Exit(daemon.Execute(server.New(), append([]string{"ovsdb-server"}, os.Args[1:]...), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// self is a command that runs the test's binary as one of our programs.
func self(t testing.TB, dir, prog string, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Dir, cmd.Env = dir, append(debs.Env(dir), "GOVS_TEST_PROGRAM="+prog)
	return cmd
}

// ourServer starts our ovsdb-server on an empty database with C's schema.
func ourServer(t testing.TB) (dir string) {
	t.Helper()
	dir = debs.ShortTemp(t)
	text := filepath.Join(debs.Root(t), "usr/share/openvswitch/vswitch.ovsschema")
	if r := debs.Run(t, dir, debs.Bin(t, "ovsdb-tool"), "create", dir+"/conf.db", text); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	cmd := self(t, dir, "ovsdb-server", dir+"/conf.db", "--remote=punix:"+dir+"/db.sock", "--unixctl="+dir+"/ctl")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("our server: %s", &errs)
		}
	})
	debs.Await(t, "our server's socket", func() bool {
		c, err := net.Dial("unix", dir+"/db.sock")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return dir
}

type runner func(t testing.TB, dir string, args []string) debs.Result

func runOurs(t testing.TB, dir string, args []string) debs.Result {
	t.Helper()
	for _, v := range debs.Env(dir) {
		if k, v, _ := strings.Cut(v, "="); strings.HasPrefix(k, "OVS_") {
			t.Setenv(k, v)
		}
	}
	var out, errs bytes.Buffer
	code := Main(append([]string{program}, args...), &out, &errs)
	return debs.Result{Stdout: out.String(), Stderr: errs.String(), Code: code}
}

func runDebian(t testing.TB, dir string, args []string) debs.Result {
	t.Helper()
	return debs.Run(t, dir, debs.Bin(t, program), args...)
}

// words splits a line as a shell does.
func words(t testing.TB, line string) (out []string) {
	t.Helper()
	var w strings.Builder
	in, quote := false, byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote == 0 && c == ' ':
			if in {
				out = append(out, w.String())
				w.Reset()
			}
			in = false
		case quote == 0 && (c == '"' || c == '\''):
			quote, in = c, true
		case c == quote && quote != 0:
			quote = 0
		case c == '\\' && (quote == 0 || quote == '"' && i+1 < len(line) && strings.IndexByte(`"\`, line[i+1]) >= 0):
			i++
			w.WriteByte(line[i])
			in = true
		default:
			w.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, w.String())
	}
	if quote != 0 {
		t.Fatalf("%s: unbalanced quotes", line)
	}
	return out
}

var (
	uuids   = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	stamps  = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT[0-9:.]+Z\|\d+\|`)
	argv0   = regexp.MustCompile(`(?m)^/\S*/ovs-vsctl: `)
	ignored = regexp.MustCompile(`(?m)^(stream\|WARN\|The default OVSDB|stream_tcp\|ERR\|).*\n`) // C's own words on odd targets
)

// normal takes out of an output what differs from run to run: UUIDs, times, and
// the order of rows.
func normal(args []string, r debs.Result) string {
	out := uuids.ReplaceAllString(r.Stdout, "<uuid>")
	switch i := slices.IndexFunc(args, func(a string) bool { return a == "find" || a == "list" || a == "show" || a == "list-dp-cap" }); {
	case i < 0:
	case args[i] == "find" || args[i] == "list" && len(args) == i+2:
		p := strings.Split(strings.TrimSuffix(out, "\n"), "\n\n")
		slices.Sort(p)
		out = strings.Join(p, "\n\n") + strings.Repeat("\n", strings.Count(out[max(0, len(out)-1):], "\n"))
	case args[i] == "show":
		p := strings.SplitAfter(out, "\n")
		slices.Sort(p)
		out = strings.Join(p, "")
	case args[i] == "list-dp-cap":
		p := strings.Fields(out)
		slices.Sort(p)
		out = strings.Join(p, " ")
	}
	errs := stamps.ReplaceAllString(uuids.ReplaceAllString(r.Stderr, "<uuid>"), "")
	errs = ignored.ReplaceAllString(argv0.ReplaceAllString(errs, "ovs-vsctl: "), "")
	var b strings.Builder
	for l := range strings.Lines(out) {
		b.WriteString("  " + strings.TrimSuffix(l, "\n") + "\n")
	}
	for l := range strings.Lines(errs) {
		b.WriteString("! " + strings.TrimSuffix(l, "\n") + "\n")
	}
	if r.Code != 0 {
		fmt.Fprintf(&b, "exit %d\n", r.Code)
	}
	return b.String()
}

// snapshot reads the whole database: a line a row, with the columns that are not
// empty, references as the tables and names of what they refer to.
func snapshot(t testing.TB, c *client.Client, sch *schema.Schema) map[string]int {
	t.Helper()
	ctx := context.Background()
	var ops [][]byte
	for _, tab := range sch.Tables {
		ops = append(ops, fmt.Appendf(nil, `{"op":"select","table":"%s","where":[]}`, tab.Name))
	}
	reply, err := c.Transact(ctx, dbName, ops...)
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]string)
	for i, tab := range sch.Tables {
		for row := range reply.At(i).Get("rows").Elems() {
			name := tab.Name
			for _, c := range []string{"name", "target", "type", "id"} {
				if v := row.Get(c); v.Kind() == json.String || v.Kind() == json.Integer {
					name += " " + string(v.Raw())
				}
			}
			names[row.Get("_uuid").At(1).Str()] = "<" + name + ">"
		}
	}
	lines := make(map[string]int)
	for i, tab := range sch.Tables {
		for row := range reply.At(i).Get("rows").Elems() {
			line := tab.Name + ":"
			for _, col := range tab.Columns[schema.FirstColumn:] {
				d, err := data.ParseJSON(row.Get(col.Name), &col.Type, nil)
				if err != nil {
					t.Fatal(err)
				}
				if d.Equal(data.Default(&col.Type)) {
					continue
				}
				line += " " + col.Name + "=" + named(d, names)
			}
			lines[line]++
		}
	}
	return lines
}

func named(d data.Datum, names map[string]string) string {
	show := func(a atom.Atom) string {
		if n, ok := names[a.String()]; ok {
			return n
		}
		return a.String()
	}
	var list []string
	for k, v := range d.Pairs() {
		s := show(k)
		if d.IsMap() {
			s += "=" + show(v)
		}
		list = append(list, s)
	}
	slices.Sort(list)
	text := strings.Join(list, ",")
	if len(text) > 300 {
		text = fmt.Sprintf("%s... (%d)", text[:300], len(list))
	}
	return text
}

// play runs the command lines of a transcript and writes it anew.
func play(t testing.TB, dir, text string, run runner) string {
	t.Helper()
	c, err := client.Dial(context.Background(), "unix:"+dir+"/db.sock", client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	sch, err := c.Schema(context.Background(), dbName)
	if err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, c, sch)
	var b strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		cmd, ok := strings.CutPrefix(line, "$")
		if !ok {
			if strings.HasPrefix(line, "#") {
				b.WriteString(line + "\n")
			}
			continue
		}
		args := words(t, cmd)
		b.WriteString(line + "\n" + normal(args, run(t, dir, append([]string{"--no-wait"}, args...))))
		after := snapshot(t, c, sch)
		writeDiff(&b, before, after)
		before = after
	}
	return b.String()
}

func writeDiff(b *strings.Builder, before, after map[string]int) {
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, l := range slices.Sorted(maps.Keys(all)) {
		for range before[l] - after[l] {
			b.WriteString("- " + l + "\n")
		}
	}
	for _, l := range slices.Sorted(maps.Keys(all)) {
		for range after[l] - before[l] {
			b.WriteString("+ " + l + "\n")
		}
	}
}

// TestTranscripts plays the command lines of testdata with our program on our
// server; the transcripts are Debian's on Debian's. The other pairings are
// tools/oracle/ctl's.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if *rewrite {
			text = play(t, debs.OVSDBServer(t), text, runDebian)
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			if got := play(t, ourServer(t), text, runOurs); got != text {
				t.Error(firstDiff(got, text))
			}
		})
	}
}

// firstDiff shows the command lines whose outcomes differ.
func firstDiff(got, want string) string {
	g, w := strings.Split("\n"+got, "\n$"), strings.Split("\n"+want, "\n$")
	var b strings.Builder
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] && b.Len() < 8000 {
			fmt.Fprintf(&b, "got  $%s\nwant $%s\n\n", g[i], w[i])
		}
	}
	return b.String()
}

// TestTimeout dies of SIGALRM.
func TestTimeout(t *testing.T) {
	dir := ourServer(t)
	cmd := self(t, dir, program, "-t", "1", "wait-until", "bridge", "nope")
	out, err := cmd.CombinedOutput()
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || err == nil || ws.Signal() != syscall.SIGALRM {
		t.Errorf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "|fatal_signal|WARN|terminating with signal 14 (Alarm clock)") {
		t.Errorf("said %q", out)
	}
}

// TestWait has one command wait for another, and a change wait for the switch,
// which the test plays: it sets cur_cfg, and the new interface's error.
func TestWait(t *testing.T) {
	dir := ourServer(t)
	if r := runOurs(t, dir, []string{"--no-wait", "init"}); r.Code != 0 {
		t.Fatal(r)
	}
	type end struct {
		out []byte
		err error
	}
	begin := func(args ...string) chan end {
		ch := make(chan end, 1)
		cmd := self(t, dir, program, append([]string{"-t", "20"}, args...)...)
		go func() {
			out, err := cmd.CombinedOutput()
			ch <- end{out, err}
		}()
		return ch
	}
	waiter := begin("wait-until", "bridge", "br0", "stp_enable=true", "--", "get", "bridge", "br0", "name")
	if r := runOurs(t, dir, []string{"--no-wait", "add-br", "br0"}); r.Code != 0 {
		t.Fatal(r)
	}
	if r := runOurs(t, dir, []string{"--no-wait", "set", "bridge", "br0", "stp_enable=true"}); r.Code != 0 {
		t.Fatal(r)
	}
	if e := <-waiter; e.err != nil || string(e.out) != "br0\n" {
		t.Errorf("wait-until: %v %s", e.err, e.out)
	}
	adder := begin("add-port", "br0", "p0")
	if r := runOurs(t, dir, []string{"--no-wait", "wait-until", "open", ".", "next_cfg=1", "--", "wait-until", "interface", "p0", "--", "set", "interface", "p0", "ofport=-1",
		`error="no such device"`, "--", "set", "open", ".", "cur_cfg=1"}); r.Code != 0 {
		t.Fatal(r)
	}
	want := fmt.Sprintf("ovs-vsctl: Error detected while setting up 'p0': no such device.  See ovs-vswitchd log for details.\novs-vsctl: The default log directory is \"%s\".\n", dir)
	if e := <-adder; e.err != nil || string(e.out) != want {
		t.Errorf("add-port: %v %s", e.err, e.out)
	}
}

// TestRace lets many commands change the same rows at once; none may be lost, and
// of those that want the same name one may win.
func TestRace(t *testing.T) {
	for name, start := range map[string]func(testing.TB) string{"ours": ourServer, "Debian's": func(t testing.TB) string { return debs.OVSDBServer(t) }} {
		t.Run(name, func(t *testing.T) {
			dir := start(t)
			if r := runOurs(t, dir, []string{"--no-wait", "add-br", "br0"}); r.Code != 0 {
				t.Fatal(r)
			}
			const n = 16
			codes := make(chan string, 2*n)
			for i := range n {
				for _, port := range []string{fmt.Sprint("p", i), "same"} {
					go func() {
						var out, errs bytes.Buffer
						code := Main([]string{program, "--no-wait", "add-port", "br0", port}, &out, &errs)
						codes <- fmt.Sprintf("%t %d %s", port == "same", code, &errs)
					}()
				}
			}
			count := make(map[string]int)
			for range 2 * n {
				select {
				case c := <-codes:
					count[c]++
				case <-time.After(20 * time.Second):
					t.Fatal("a command hangs")
				}
			}
			lost := "true 1 ovs-vsctl: cannot create a port named same because a port named same already exists on bridge br0\n"
			if count["false 0 "] != n || count["true 0 "] != 1 || count[lost] != n-1 {
				t.Errorf("%v", count)
			}
			if r := runOurs(t, dir, []string{"list-ports", "br0"}); strings.Count(r.Stdout, "\n") != n+1 {
				t.Errorf("%s", r.Stdout)
			}
		})
	}
}

// TestNames keeps the list of names that is built in up to date.
func TestNames(t *testing.T) {
	text, err := os.ReadFile("../../schema/vswitch/vswitch.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	s, err := schema.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want, got := namesOf(s), knownNames()
	if s.Version != schemaVersion {
		t.Errorf("schemaVersion is not %s", s.Version)
	}
	if !slices.Equal(want.tables, got.tables) || !maps.Equal(want.roots, got.roots) || !maps.EqualFunc(want.columns, got.columns, slices.Equal) {
		t.Error("names.go is not what the schema has")
	}
}

// TestFree keeps heavy packages out of the binary.
func TestFree(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../ovs-vsctl").Output()
	if err != nil {
		t.Skip(err)
	}
	for _, bad := range []string{"libovsdb", "grpc", "prometheus", "etcd", "bbolt"} {
		if bytes.Contains(out, []byte(bad)) {
			t.Errorf("ovs-vsctl links %s", bad)
		}
	}
}

func FuzzParseDatum(f *testing.F) {
	for _, s := range []string{"1,2", "[1-4, 9]", `{"a b"=c,d="\n"}`, "a=b]", `"x`, "@x", "true", "1.5"} {
		for i := range 6 {
			f.Add(s, byte(i))
		}
	}
	var types []*schema.Type
	for _, s := range []string{`"integer"`, `{"key":"integer","min":0,"max":4096}`, `{"key":"string","value":"string","min":0,"max":"unlimited"}`,
		`{"key":"uuid","min":0,"max":"unlimited"}`, `"boolean"`, `{"key":"real","min":0,"max":3}`} {
		typ, err := schema.ParseType([]byte(s))
		if err != nil {
			f.Fatal(err)
		}
		types = append(types, typ)
	}
	f.Fuzz(func(t *testing.T, s string, i byte) {
		if strings.IndexByte(s, 0) >= 0 {
			return // no argument has one
		}
		typ := types[int(i)%len(types)]
		r := newRun(newMirror(nil), nil, nil)
		d, err := r.parseDatum(s, typ)
		if err != nil {
			return
		}
		// Reals are printed with 15 digits, so texts are compared.
		if e, err := r.parseDatum(d.Text(typ), typ); err != nil || e.Text(typ) != d.Text(typ) {
			t.Errorf("%q became %s: %v", s, d.Text(typ), err)
		}
	})
}

// TestNamed looks at which commands read all ports, and which only those that
// they name.
func TestNamed(t *testing.T) {
	many := []string{"--", "add-bond", "br0", "bond0"}
	for i := range mostNames {
		many = append(many, fmt.Sprint("e", i))
	}
	for _, c := range []struct {
		line  []string
		whole bool
	}{
		{[]string{"add-port", "br0", "p0", "--", "set", "interface", "p0", "type=internal", "--", "comment", "x"}, false},
		{[]string{"br-exists", "br0"}, false},
		{[]string{"--may-exist", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"}, false},
		{[]string{"--if-exists", "del-port", "br0", "p0"}, false},
		{[]string{"get", "interface", "p0", "ofport"}, false},
		{[]string{"get", "interface", "face", "ofport"}, true}, // could be the beginning of a UUID
		{[]string{"get", "interface", "fac", "ofport"}, false},
		{[]string{"get", "port", "01234567-89ab-cdef-0123-456789abcdef", "tag"}, true},
		{[]string{"list", "port"}, true},
		{[]string{"list", "port", "p0"}, false},
		{[]string{"add-port", "br0", "p0", "--", "list-ports", "br0"}, true},
		{[]string{"set", "qos", "p0", "type=linux-htb"}, true},
		{append([]string{"add-port", "br0", "p0"}, many...), true},
	} {
		commands, err := parseCommands(c.line, nil)
		if err != nil {
			t.Fatal(err)
		}
		f := &fetch{names: knownNames()}
		if err := f.prepare(commands); err != nil {
			t.Fatal(err)
		}
		if got := f.whole["Port"] || f.whole["Interface"]; got != c.whole {
			t.Errorf("%v: reads all: %t, want %t", c.line, got, c.whole)
		}
	}
}
