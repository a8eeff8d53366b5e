// Package lint holds the rules of the house that a test can check.
package lint

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// floors gives each package (the longest prefix counts) its floor: an import
// within the same top-level folder may only point to a lower one. A package
// with no line stands on the floor of its folder's own line.
var floors = map[string]int{
	"internal": 0,

	"schema":         2,
	"schema/atom":    1,
	"schema/vswitch": 3,
	"schema/builtin": 3,

	"ovsdb/jsonrpc":      1,
	"ovsdb/data":         3,
	"ovsdb/query":        4,
	"ovsdb/store":        5,
	"ovsdb/storage":      5,
	"ovsdb/storage/disk": 4,
	"ovsdb/storage/file": 6,
	"ovsdb/txn":          6,
	"ovsdb/history":      6,
	"ovsdb/client":       6,
	"ovsdb/monitor":      7,
	"ovsdb/server":       8,
	"ovsdb/ovsdb-server": 9,
}

// below lists what the packages of a top-level folder may import of the other ones.
var below = map[string]string{
	"internal": "",
	"schema":   "internal",
	"ovsdb":    "internal schema",
	"datapath": "internal",
	"vswitchd": "internal schema datapath",
	"ctl":      "internal schema ovsdb datapath vswitchd",
	"brcompat": "internal schema ovsdb datapath vswitchd",
	"tools":    "internal schema ovsdb datapath vswitchd ctl brcompat",
}

type pkg struct {
	ImportPath string
	Dir        string
	Name       string
	Imports    []string
	Deps       []string
}

func list(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Name,Imports,Deps", "govs/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func floor(path string) (int, bool) {
	for p := path; p != "."; {
		if f, ok := floors[p]; ok {
			return f, true
		}
		i := strings.LastIndexByte(p, '/')
		if i < 0 {
			break
		}
		p = p[:i]
	}
	return 0, false
}

// TestFloors checks that imports point downwards only.
func TestFloors(t *testing.T) {
	for _, p := range list(t) {
		from, ok := strings.CutPrefix(p.ImportPath, "govs/")
		if !ok {
			continue
		}
		top, _, _ := strings.Cut(from, "/")
		allowed, known := below[top]
		if !known {
			t.Errorf("%s: no such room: %q is not a top-level folder of ARCHITECTURE.md", from, top)
			continue
		}
		for _, imp := range p.Imports {
			to, ok := strings.CutPrefix(imp, "govs/")
			if !ok {
				continue
			}
			toTop, _, _ := strings.Cut(to, "/")
			if toTop != top {
				if !strings.Contains(" "+allowed+" ", " "+toTop+" ") {
					t.Errorf("%s imports %s: %s may import only: %s", from, to, top, allowed)
				}
				continue
			}
			ff, ok1 := floor(from)
			tf, ok2 := floor(to)
			if ok1 && ok2 && tf >= ff && !strings.HasPrefix(from, to+"/") && !strings.HasPrefix(to, from+"/") && top != "internal" {
				t.Errorf("%s (floor %d) imports %s (floor %d)", from, ff, to, tf)
			}
		}
	}
}

// testsOnly are modules that judge us, and that no binary links.
var testsOnly = []string{"github.com/gopacket/", "github.com/anishathalye/porcupine", "github.com/netsampler/"}

// TestWeight checks that commands stay small, and that judges are linked by
// tests alone.
func TestWeight(t *testing.T) {
	for _, p := range list(t) {
		for _, d := range p.Deps {
			for _, judge := range testsOnly {
				if strings.HasPrefix(d, judge) {
					t.Errorf("%s links %s, which is for tests only", p.ImportPath, d)
				}
			}
			if p.Name == "main" && strings.HasPrefix(p.ImportPath, "govs/ctl/") &&
				(strings.HasPrefix(d, "google.golang.org/grpc") || strings.HasPrefix(d, "github.com/prometheus/")) {
				t.Errorf("%s links %s", p.ImportPath, d)
			}
		}
	}
}

// TestMains checks that a main only starts its package.
func TestMains(t *testing.T) {
	for _, p := range list(t) {
		if p.Name != "main" || !strings.HasPrefix(p.ImportPath, "govs/") || strings.HasPrefix(p.ImportPath, "govs/tools/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(p.Dir, "main.go"))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("\n")); n > 40 {
			t.Errorf("%s/main.go has %d lines; 40 at the most", p.ImportPath, n)
		}
	}
}
