package modeltest

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata with what comes out")

// Transcripts runs the files testdata/*.txt of the package under test. A file
// is prose in lines that begin with "#", commands in lines that begin with
// "> ", and behind each the output that is expected, with a dot for each empty
// line. start begins a file and returns what carries out its commands.
func Transcripts(t *testing.T, start func(t *testing.T) func(command string) string) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			do := start(t)
			var out strings.Builder
			skipping := false
			for line := range strings.Lines(string(text)) {
				command, is := strings.CutPrefix(line, "> ")
				switch {
				case is:
					out.WriteString(line)
					for l := range strings.Lines(do(strings.TrimSuffix(command, "\n"))) {
						if l == "\n" {
							l = ".\n"
						}
						out.WriteString(l)
					}
					skipping = true
				case strings.HasPrefix(line, "#") || line == "\n":
					out.WriteString(line)
					skipping = false
				case !skipping:
					t.Fatalf("%s: line without a command: %s", file, line)
				}
			}
			if out.String() == string(text) {
				return
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			t.Errorf("%s: output differs, got:\n%s", file, out.String())
		})
	}
}
