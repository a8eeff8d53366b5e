package dbtool

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govs/internal/daemon"
	"govs/ovsdb/storage/file"
	"govs/schema/vswitch"
)

var (
	rewrite = flag.Bool("rewrite", false, "write the transcripts anew")
	seed    = flag.Uint64("seed", 1, "start of the random sequences")
)

// TestTranscripts runs the commands of testdata/*.txt: lines that begin with
// "> " are arguments, split at blanks outside of '..'; what follows is the
// output, standard error behind it, and the exit status where it is not 0.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts: ", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			path, err := filepath.Abs(name)
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			t.Setenv("OVS_DBDIR", dir)
			t.Setenv("OVS_PKGDATADIR", dir)
			t.Setenv(file.Env, "")
			t.Chdir(dir)
			if err := os.WriteFile("schema", vswitch.JSON(), 0o644); err != nil {
				t.Fatal(err)
			}
			var got strings.Builder
			for line := range strings.Lines(string(text)) {
				switch {
				case strings.HasPrefix(line, "> "):
					got.WriteString(line)
					got.WriteString(strings.ReplaceAll(run(split(line[2:])), dir, "DIR"))
				case strings.HasPrefix(line, "#"), line == "\n":
					got.WriteString(line)
				}
			}
			if *rewrite {
				if err := os.WriteFile(path, []byte(got.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got.String() != string(text) {
				t.Errorf("got\n%s", got.String())
			}
		})
	}
}

func split(line string) []string {
	var args []string
	for i, part := range strings.Split(strings.TrimSpace(line), "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}

func run(args []string) string {
	var out, errw bytes.Buffer
	code := daemon.Execute(New(), append([]string{"ovsdb-tool"}, args...), &out, &errw)
	s := out.String() + errw.String()
	if code != 0 {
		s += "exit " + string(rune('0'+code)) + "\n"
	}
	return s
}

// TestFormat: the environment chooses what a new file is, and --format before it.
func TestFormat(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		env, option string
		want        file.Format
		fails       string
	}{
		{"", "", file.Bolt, ""},
		{"bolt", "", file.Bolt, ""},
		{"log", "", file.Log, ""},
		{"log", "bolt", file.Bolt, ""},
		{"", "log", file.Log, ""},
		{"x", "", "", "ovsdb-tool: OVSDB_FORMAT=x: unknown database file format (use bolt or log)\nexit 1\n"},
		{"x", "log", file.Log, ""},
	} {
		t.Setenv(file.Env, c.env)
		args := []string{"create", "f.db"}
		if c.option != "" {
			args = append(args, "--format", c.option)
		}
		if got := run(args); got != c.fails {
			t.Errorf("%+v: %q", c, got)
		}
		if c.fails != "" {
			continue
		}
		if got, err := file.Detect("f.db"); err != nil || got != c.want {
			t.Errorf("%+v: %s, %v", c, got, err)
		}
		if err := os.Remove("f.db"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLocked: the tool keeps off a database that is served, but reads it.
func TestLocked(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if got := run([]string{"create", "x.db"}); got != "" {
		t.Fatal(got)
	}
	e, err := file.Open("x.db")
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const locked = "ovsdb-tool: I/O error: x.db: failed to lock lockfile (Resource temporarily unavailable)\nexit 1\n"
	for _, args := range []string{"compact x.db", `transact x.db ["Open_vSwitch"]`} {
		if got := run(strings.Fields(args)); !strings.Contains(got, "|lockfile|WARN|.x.db.~lock~: cannot lock file because it is already locked by pid ") || !strings.HasSuffix(got, "\n"+locked) {
			t.Errorf("%s: %q", args, got)
		}
	}
	if got := run(strings.Fields(`query x.db ["Open_vSwitch",{"op":"select","table":"Bridge","where":[]}]`)); got != "[{\"rows\":[]}]\n" {
		t.Errorf("%q", got)
	}
}
