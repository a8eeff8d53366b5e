package clients_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"govs/internal/debs"
	"govs/schema/vswitch"
)

var logTime = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT[0-9:.]+Z\|`)

// transcript runs the commands of a file in testdata, one a line, and returns
// them with what each printed: UUIDs masked, and sorted where the order is
// that of a hash.
func (s *running) transcript(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		line, sorted := strings.CutPrefix(line, "sorted ")
		cmd := strings.ReplaceAll(line, "$DB", s.target())
		cmd = strings.Replace(cmd, "ovs-vsctl ", "ovs-vsctl -t 20 --no-wait --db="+s.target()+" ", 1)
		r := debs.Run(t, s.dir, "/bin/sh", "-c", "PATH="+filepath.Dir(debs.Bin(t, "ovs-vsctl"))+":$PATH; "+cmd)
		printed := uuidText.ReplaceAllString(r.Stdout+r.Stderr, "UUID")
		printed = strings.ReplaceAll(printed, s.dir, "DIR")
		printed = logTime.ReplaceAllString(printed, "TIME|")
		if sorted {
			lines := slices.Sorted(strings.Lines(printed))
			printed = strings.Join(lines, "")
		}
		out.WriteString("$ " + line + "\n" + printed)
		if r.Code != 0 {
			fmt.Fprintf(&out, "exit code %d\n", r.Code)
		}
	}
	return out.String()
}

// TestVsctl runs all verbs of Debian's ovs-vsctl.
func TestVsctl(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, func(t *testing.T, c bool) string { return serve(t, c, vswitch.JSON()).transcript(t, "vsctl.txt") })
	sameLines(t, "ovs-vsctl's output", ours, theirs)
	if n := strings.Count(ours, "exit code"); n > strings.Count(ours, "$ ")/2 {
		t.Errorf("%d commands failed:\n%s", n, ours)
	}
}

// TestOvsdbClient runs the verbs of Debian's ovsdb-client.
func TestOvsdbClient(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, func(t *testing.T, c bool) string {
		return serve(t, c, vswitch.JSON()).transcript(t, "ovsdb-client.txt")
	})
	sameLines(t, "ovsdb-client's output", ours, theirs)
	if n := strings.Count(ours, "exit code"); n > strings.Count(ours, "$ ")/2 {
		t.Errorf("%d commands failed:\n%s", n, ours)
	}
}

// TestOvsdbClientMonitor: all kinds of monitors print what happens.
func TestOvsdbClientMonitor(t *testing.T) {
	t.Parallel()
	ours, theirs := both(t, monitors)
	sameLines(t, "what monitors print", ours, theirs)
	if n := strings.Count(ours, "modify"); n == 0 {
		t.Errorf("no modification was seen:\n%s", ours)
	}
}

// monitors has each kind of monitor see changes up to one that it knows for the
// last, and returns what they print.
func monitors(t *testing.T, c bool) string {
	s := serve(t, c, vswitch.JSON())
	transact := func(ops string) {
		t.Helper()
		s.run(t, "ovsdb-client", "transact", s.target(), `["Open_vSwitch",`+ops+`]`)
	}
	row := func(kind, a string) string {
		return `{"op":"insert","table":"QoS","row":{"type":"` + kind + `","external_ids":["map",[["a","` + a + `"]]]}}`
	}
	transact(row("x", "1") + "," + row("y", "1"))
	var all strings.Builder
	for _, args := range [][]string{
		{"monitor", s.target(), "Open_vSwitch", "QoS", "type", "external_ids"},
		{"monitor", s.target(), "Open_vSwitch", "QoS", "type", "external_ids,!modify"},
		{"monitor", s.target(), "Open_vSwitch", "QoS", "type", "external_ids,!initial"},
		{"monitor-cond", s.target(), "Open_vSwitch", `[["type","==","x"],["type","==","last"],["type","==","end"]]`, "QoS", "type,external_ids"},
		{"monitor-cond-since", s.target(), "Open_vSwitch", "00000000-0000-0000-0000-000000000000", `[["external_ids","includes",["map",[["a","2"]]]]]`, "QoS", "type,external_ids"},
		{"monitor", s.target(), "ALL"},
	} {
		cmd := exec.Command(debs.Bin(t, "ovsdb-client"), append([]string{"--format=csv", "--no-headings", "-vconsole:off"}, args...)...)
		cmd.Dir, cmd.Env = s.dir, debs.Env(s.dir)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Where a monitor begins to see is up to it: the comparison begins with the
		// first row that says so.
		lines := make(chan string, 1000)
		go func() {
			defer close(lines)
			for sc := bufio.NewScanner(stdout); sc.Scan(); {
				lines <- sc.Text()
			}
		}()
		var seen []string
		started := false
		for n := 0; !started; n++ {
			transact(row("last", "2"))
			select {
			case l, ok := <-lines:
				if !ok {
					t.Fatalf("%q ended", args)
				}
				started = strings.Contains(l, "last") && !strings.Contains(l, "initial")
			case <-t.Context().Done():
			}
			if n > 1000 {
				t.Fatalf("%q sees nothing", args)
			}
		}
		transact(`{"op":"delete","table":"QoS","where":[["type","==","last"]]}`)
		transact(`{"op":"mutate","table":"QoS","where":[["type","==","x"]],"mutations":[["external_ids","insert",["map",[["b","3"]]]]]}`)
		transact(`{"op":"update","table":"QoS","where":[["type","==","y"]],"row":{"external_ids":["map",[["a","2"]]]}}`)
		transact(`{"op":"update","table":"QoS","where":[["type","==","y"]],"row":{"external_ids":["map",[["a","1"]]]}}`)
		transact(`{"op":"update","table":"QoS","where":[["type","==","x"]],"row":{"external_ids":["map",[["a","1"]]]}}`)
		transact(row("end", "2"))
		for l := range lines {
			if strings.Contains(l, "end") {
				break
			}
			if !strings.Contains(l, "last") && !strings.Contains(l, "initial") && l != "" {
				seen = append(seen, uuidText.ReplaceAllString(l, "UUID")+"\n")
			}
		}
		transact(`{"op":"delete","table":"QoS","where":[["type","==","end"]]}`)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		all.WriteString("$ " + strings.Replace(strings.Join(args, " "), s.target(), "DB", 1) + "\n")
		// How many rows there were to delete is a matter of time.
		all.WriteString(strings.Join(slices.Compact(seen), ""))
	}
	return all.String()
}
