package command

import (
	"os"
	"regexp"
	"testing"
)

// TestVerbs compares control commands.
func TestVerbs(t *testing.T) {
	schema, err := os.ReadFile("testdata/corners.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	both(t, []string{string(schema), otherSchema}, []string{"--log-file=DIR/log"}, transcript(t, "verbs.txt"), func(p *party) {
		if err := os.WriteFile(p.dir+"/text", schema, 0o600); err != nil {
			t.Fatal(err)
		}
		mask := p.fmt
		// What is ours alone, or differs by nature.
		version, modules := regexp.MustCompile(`(?m)^(ovsdb-server \(Open vSwitch\)) .*`), regexp.MustCompile(`(?ms)^(                 -------    ------    ------\n).*(\[)`)
		rates := regexp.MustCompile(`(?m)^\w+ +[0-9.]+/sec +[0-9.]+/sec +[0-9.]+/sec   total: \d+\n|^\d+ events never hit\n|hash=\w+`)
		history := regexp.MustCompile(` txn-history:\d+`)
		p.fmt = func(s string) string {
			s = modules.ReplaceAllString(version.ReplaceAllString(mask(s), "$1 VERSION"), "$1$2")
			return history.ReplaceAllString(rates.ReplaceAllString(s, ""), "")
		}
	})
}
