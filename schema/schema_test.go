package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"govs/internal/json"
)

// TestTranscript parses the schemas of testdata/schemas.txt; below each stands
// what C's ovsdb-tool says of it.
func TestTranscript(t *testing.T) {
	text, err := os.ReadFile("testdata/schemas.txt")
	if err != nil {
		t.Fatal(err)
	}
	in := ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "{"):
			in = line
		case strings.HasPrefix(line, "  "):
			want := strings.TrimSpace(line)
			got := ""
			if s, err := Parse([]byte(in)); err != nil {
				got = err.Error()
			} else {
				v, err := json.Parse(s.AppendJSON(nil))
				if err != nil {
					t.Fatalf("%s: printed schema: %v", in, err)
				}
				got = "ok " + string(v.AppendSorted(nil))
			}
			if got != want {
				t.Errorf("%s\nwant %s\ngot  %s", in, want, got)
			}
		}
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.2.3", "1.2.3", 0}, {"1.2.3", "1.2.4", -1}, {"1.10.0", "1.9.9", 1}, {"2.0.0", "10.0.0", -1}, {"", "0.0.1", -1}, {"01.2.3", "1.2.3", 0},
	} {
		if got := CompareVersions(c.a, c.b); got != c.want {
			t.Errorf("CompareVersions(%q, %q) = %d", c.a, c.b, got)
		}
	}
	for _, v := range []string{"", "1", "1.2", "1.2.3.4", "a.b.c", "1..3", " 1.2.3", "1.2.3 "} {
		if ValidVersion(v) {
			t.Errorf("ValidVersion(%q)", v)
		}
	}
}

func TestLookup(t *testing.T) {
	s, err := Parse([]byte(`{"name":"D","tables":{"b":{"columns":{"y":{"type":"integer"},"x":{"type":"string"}},"indexes":[["y","x"]]},"a":{"columns":{"r":{"type":{"key":{"type":"uuid","refTable":"b"}}}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	a, b := s.Table("a"), s.Table("b")
	if a.Index != 0 || b.Index != 1 || s.Table("c") != nil || a.Column("z") != nil {
		t.Error("tables are not in order")
	}
	for i, name := range []string{"_uuid", "_version", "x", "y"} {
		if c := b.Columns[i]; c.Name != name || c.Index != i || b.Column(name) != c || c.Implicit() != (i < FirstColumn) {
			t.Errorf("column %d is %s", i, b.Columns[i].Name)
		}
	}
	if len(b.Indexes) != 1 || b.Indexes[0][0].Name != "y" || b.Indexes[0][1].Name != "x" {
		t.Error("the index lost its order")
	}
	if a.Column("r").Type.Key.RefTable != b || !a.IsRoot || !b.IsRoot {
		t.Error("references or roots are wrong")
	}
}

func FuzzParse(f *testing.F) {
	text, _ := os.ReadFile("testdata/schemas.txt")
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "{") {
			f.Add([]byte(line))
		}
	}
	for _, name := range []string{"vswitch/vswitch.ovsschema", "builtin/server.ovsschema"} {
		text, _ := os.ReadFile(filepath.FromSlash(name))
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		once := s.AppendJSON(nil)
		s, err = Parse(once)
		if err != nil {
			t.Fatalf("the printed schema is refused: %v\n%s", err, once)
		}
		if twice := s.AppendJSON(nil); string(once) != string(twice) {
			t.Fatalf("printing is not stable:\n%s\n%s", once, twice)
		}
	})
}
