package brcompatd

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the transcripts in testdata")

// macs are what a run cannot repeat.
var macs = regexp.MustCompile(`([0-9a-f]{2}:){5}[0-9a-f]{2}`)
var ids = regexp.MustCompile(`([0-9a-f]{4})\.[0-9a-f]{12}`)

func mask(s string) string {
	s = macs.ReplaceAllString(s, "MM:MM:MM:MM:MM:MM")
	return ids.ReplaceAllString(s, "$1.MMMMMMMMMMMM")
}

// TestSession plays a session of brctl and ovs-vsctl in all modes, and
// compares it with testdata/session.txt.
func TestSession(t *testing.T) {
	w := newWorld(t)
	w.veth("v0", "v1")
	script, err := os.ReadFile("testdata/session.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"none", "hide", "fuse"} {
		got := w.play(mode, string(script))
		if *rewrite {
			if err := os.WriteFile("testdata/session.txt", []byte(got), 0o666); err != nil {
				t.Fatal(err)
			}
			script = []byte(got)
		}
		w.same("--sysfs="+mode, got, string(script))
	}
}

// play runs the commands of a transcript, the lines that begin with "$ ", and
// returns it with what they print now in place of the indented lines.
func (w *world) play(mode, script string) string {
	w.t.Helper()
	var b strings.Builder
	for line := range strings.Lines(script) {
		if strings.HasPrefix(line, "    ") {
			continue
		}
		b.WriteString(line)
		cmd, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			continue
		}
		var r result
		switch f := strings.Fields(cmd); f[0] {
		case "brctl":
			r = w.brctl(mode, f[1:]...)
		case "ip":
			r = w.exec(nil, f...)
		default:
			r = w.exec(nil, append([]string{w.tool(f[0])}, f[1:]...)...)
		}
		for out := range strings.Lines(mask(r.String())) {
			b.WriteString("    " + strings.TrimRight(out, "\n") + "\n")
		}
	}
	return b.String()
}
